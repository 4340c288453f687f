"""The scales of a new potential from data: gains of the mixings, units of energies and outputs, first readouts."""

import dataclasses
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from nbcore.data import whole_sets
from nbcore.data.atoms import as_structures
from nbcore.data.structure import counted
from nbcore.errors import InputError
from nbcore.species import symbols
from nbcore.train.calibrate_outputs import fit_offsets, fit_output, scale_output, shortest_fit
from nbcore.train.displaced import displaced
from nbcore.train.heads import Heads, of_head, potentials_of
from nbcore.train.loss import Loss
from nbcore.train.training_set import TrainingSet

if TYPE_CHECKING:
    from nbcore.potential import Potential

LOOKED_AT = 10_000  # structures of a larger set, evenly spaced
SAMPLE, MEASURED = 64, 16  # structures that readouts are fitted to, and that states are measured in, about
ROUNDING = 1e-8  # below this part of what it stands beside, a size is what symmetry left over
FLAT = 0.01  # of the channel that varies most: how little a channel varies at least, for the gate `affine`
LEAST = 0.05  # of the largest part: what data at rest hardly show is not blown up beyond this


def calibrate(potential: "Potential | Heads", structures: Iterable) -> None:
    """Sets the scales of a new potential from data, so that training starts from numbers of order one.

    The energy scale becomes the RMS of the forces (without forces, the spread of the energies per atom, E0s removed).
    Covariant outputs get their offsets, a constant per element for l = 0, and their spreads (`fit_offsets`).
    Gate by gate, scales and shifts of the gate `affine` standardise its input, per element and channel, and the gain of
    every mixing is chosen such that part l of its output has an RMS of 1/(l + 1) over a few
    structures: one for scalars, less for fine angular detail. In crystals at rest symmetry forbids parts that appear as
    soon as atoms move: at least half of what a part has in slightly displaced copies counts as its size, and a part
    that is absent from these too takes the size of its neighbours.
    At last the weights of the readouts, in which the energy is linear, are fitted to the energies in their strongest
    directions: binding energies of several eV per atom need not be learned in small steps. So it is with the readouts
    of covariant outputs, part by part. Structures and labels of weight zero do not count; InputError where no other is
    left. Of heads, gains come from the structures of all, everything else from those of each.
    """
    structures, parts = as_structures(structures), []
    for head, one in potentials_of(potential).items():
        own = counted(whole_sets.sample(of_head(structures, head), LOOKED_AT))
        if not own:
            of = f" of {head}" * bool(head)
            raise InputError(f"every structure{of} has the weight 0: there is nothing to learn from")
        one.scale = _energy_scale(one, own) if one.has_energy else 1.0
        fit_offsets(one, own)
        parts.append((one, own, _sample(own)))
    sample = _sample([s for _, own, _ in parts for s in own])
    _scale_states([one for one, *_ in parts], sample[:: max(1, len(sample) // MEASURED)])
    for one, own, sample in parts:
        _fit_last_layers(one, own, sample)
    if isinstance(potential, Heads):
        potential.gather()


def _sample(structures):
    """Some of the structures, evenly spaced, without weights."""
    chosen = [structures[k] for k in np.unique(np.linspace(0, len(structures) - 1, SAMPLE).astype(int))]
    return [dataclasses.replace(s, weight=1.0, label_weights={}) for s in chosen]


def _fit_last_layers(potential, structures, sample):
    """The readouts of energies and outputs."""
    if potential.has_energy:
        _fit_readouts(potential, TrainingSet(potential, sample))
    for name, output in potential.outputs.items():
        scale_output(potential, name, output, structures)
        if not output.per_atom:
            fit_output(potential, name, output, sample)


def _energy_scale(potential, structures):
    """RMS of the forces, eV/Å, or the spread of the binding energies, eV/atom, where forces are absent or vanish."""
    forces = [s.forces for s in structures if s.forces is not None]
    size = float(np.sqrt(np.mean(np.concatenate(forces) ** 2))) if forces else 0.0
    spread = float(np.std(_binding(potential, structures)))
    if size < 0.01 * spread:  # crystals at rest
        size = spread
    return size if size > 1e-6 else 1.0  # no force or energy that anyone wants to tell is smaller


def _binding(potential, structures):
    """Energies per atom without E0s."""
    E0s = potential.E0s
    with_energy = [s for s in structures if s.energy is not None]
    return [(s.energy - sum(E0s[x] for x in symbols(s.numbers))) / len(s.numbers) for s in with_energy] or [1.0]


def _scale_states(potentials, structures):
    """The gain of every mixing but those of outputs, and the gates `affine`: each sees its inputs as they will be.

    potentials: heads of one network; what the first sees holds for all of them.
    """
    potential = potentials[0]
    program = potential.description["program"]
    outputs = [spec["slot"] for spec in program.get("outputs", {}).values()]
    sets = [TrainingSet(potential, some) for some in (structures, displaced(potential, structures))]
    slot_of = {gate["name"]: slot for slot, gate in enumerate(program["gates"])}
    found = {}  # a gate with the weights of another has its gain, too
    for slot, gate in enumerate(program["gates"]):
        if gate["gate"] == "affine" and "weights" not in gate:
            _standardise(potentials, gate, sets, slot_of[gate["inputs"][0]])
        if gate["gate"] != "mix" or gate["name"] in outputs:
            continue
        source = gate.get("weights", gate["name"])
        if source not in found:
            at_rest, moved = map(_rms, sets)
            sizes = [np.maximum(a, 0.5 * b) for a, b in zip(at_rest, moved, strict=True)]
            inputs = [sizes[slot_of[name]].max(initial=0.0) for name in gate["inputs"] if name in slot_of]
            found[source] = _present(sizes[slot], max(inputs, default=0.0))
        for part, (l, _, _) in enumerate(potential._core.slots()[slot][2]):
            size = float(found[source][part])
            for one in potentials:
                one.set_gain(gate["name"], part, 1 / (1 + l) / size if size > 0 else 1.0)


def _rms(training_set):
    """Of every slot the root mean square of its parts over all structures."""
    sums = {}
    for k in range(len(training_set)):
        for slot, parts in enumerate(training_set._core.states(k)):
            for part, x in enumerate(parts):
                sums.setdefault((slot, part), []).append((float(x @ x), len(x)))
    slots = training_set.potential._core.slots()
    totals = {key: np.sum(found, axis=0) for key, found in sums.items()}
    return [np.array([math.sqrt(totals[s, p][0] / max(totals[s, p][1], 1)) for p in range(len(parts))])
            for s, (_, _, parts) in enumerate(slots)]  # fmt: skip


def _standardise(potentials, gate, sets, source):
    """Scales and shifts of a gate `affine`, from the state of slot `source`: mean 0 and deviation 1 of each channel.

    A channel that varies less than a hundredth of the one of its part that varies most counts as varying so much; the
    channels of an element that is not there stay as they are.
    """
    slices, species = potentials[0].parameter_slices, potentials[0].species
    by_species = gate.get("share", "species") == "species"
    states = [t._core.states(k)[source] for t in sets for k in range(len(t))]  # [structure][part]
    elements = np.array([symbol for t in sets for s in t.structures for symbol in symbols(s.numbers)])
    parts = potentials[0]._core.slots()[source][2]
    for part, (l, _, channels) in enumerate(parts):
        rows = np.concatenate([of[part].reshape(-1, 2 * l + 1, channels) for of in states])
        number = str(part) if len(parts) > 1 else ""
        names = [f"{gate['name']}.{kind}{number}" for kind in ("scale", "shift")]
        for k, element in enumerate(species if by_species else [None]):
            own = rows[elements == element] if by_species else rows
            shifted = names[1] in slices
            mean = own.mean(axis=(0, 1)) if shifted and len(own) else np.zeros(channels)
            deviation = np.sqrt(((own - mean) ** 2).mean(axis=(0, 1))) if len(own) else np.zeros(channels)
            if deviation.max(initial=0.0) <= ROUNDING:
                continue
            scale = 1 / np.maximum(deviation, FLAT * deviation.max())
            for one in potentials:
                for name, value in zip(names, (scale - 1, -mean * scale), strict=True):
                    if name in slices:
                        where, shape = slices[name]
                        one.parameters[where].reshape(shape)[k] = value


def _present(sizes, of_inputs):
    """The sizes, with that of the largest part, or else of the inputs, in the place of what only rounding left.

    A part that is there counts as a twentieth of the largest at least: in data at rest it is small, and a network that
    takes it for large extrapolates wildly as soon as atoms move.
    """
    least = ROUNDING * max(sizes.max(initial=0.0), of_inputs)
    there = sizes[sizes > least]
    return np.where(sizes > least, np.maximum(sizes, LEAST * sizes.max()), there.max() if len(there) else of_inputs)


def _fit_readouts(potential, training_set, tolerance=0.03):
    """Minimum-norm least squares of energies per atom in the readouts' weights; weak directions are left alone."""
    program = potential.description["program"]
    slices = [s for name, (s, _) in potential.parameter_slices.items() if name.split(".")[0] in program["readout"]]
    columns = np.concatenate([np.arange(s.start, s.stop) for s in slices])
    potential.parameters[columns] = 0
    only_energy = Loss(energy_weight=1.0, forces_weight=0.0, stress_weight=0.0)
    rows, targets = [], []
    for k, s in enumerate(training_set.structures):
        if s.energy is None:
            continue
        result = training_set.loss_and_gradient([k], only_energy, threads=1)
        residual = (s.energy - result.energies[0]) / len(s.numbers)
        if residual != 0:  # the gradient of residual^2 holds the features of the readouts
            rows.append(result.gradient[columns] / (-2 * residual))
            targets.append(residual)
    if rows:
        fit = shortest_fit(np.array(rows), np.array(targets), tolerance, potential.scale)
        potential.parameters[columns] = fit
