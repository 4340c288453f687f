"""The scales of a new potential from data: gains of the mixings, units of energies and outputs, first readouts."""

import dataclasses

import numpy as np

from nbcore.species import atomic_numbers
from nbcore.train.training_set import Loss, TrainingSet


def calibrate(potential, structures) -> None:
    """Sets the scales of a new potential from data, so that training starts from numbers of order one.

    The energy scale becomes the RMS of the forces (without forces, the spread of the energies per atom, E0s removed).
    Covariant outputs get their offsets, a constant per element for l = 0, and their spreads (`fit_offsets`).
    Gate by gate the gain of every mixing is chosen such that part l of its output has an RMS of 1/(l + 1) over a few
    structures: one for scalars, less for fine angular detail. At last the weights of the readouts, in which the energy
    is linear, are fitted to the energies in their strongest directions: binding energies of several eV per atom need
    not be learned in small steps. So it is with the readouts of covariant outputs, part by part.
    """
    labelled = [s.forces for s in structures if s.forces is not None]
    scale = (
        float(np.sqrt(np.mean(np.concatenate(labelled) ** 2)))
        if labelled
        else float(np.std(_binding(potential, structures)))
    )
    potential.scale = scale if scale > 0 and potential.has_energy else 1.0
    fit_offsets(potential, structures)

    sample = [structures[k] for k in np.unique(np.linspace(0, len(structures) - 1, 64).astype(int))]
    training_set = TrainingSet(potential, sample)
    outputs = [spec["slot"] for spec in potential.description["program"].get("outputs", {}).values()]
    factors = {}  # a gate with the weights of another has its gain, too
    for slot, gate in enumerate(potential.description["program"]["gates"]):
        if gate["gate"] == "mix" and gate["name"] not in outputs:
            for part, (l, _, _) in enumerate(potential._core.slots()[slot][2]):
                source = (gate.get("weights", gate["name"]), part)
                if source not in factors:
                    rms = training_set._core.slot_rms(list(range(0, len(sample), 4)))[slot][part]
                    factors[source] = 1 / (1 + l) / rms if rms > 0 else 1.0
                potential.set_gain(gate["name"], part, factors[source])
    if potential.has_energy:
        _fit_readouts(potential, training_set)
    for name, output in potential.outputs.items():
        _scale_output(potential, name, output, structures)
        if not output.per_atom:
            _fit_output(potential, name, output, sample)


def _binding(potential, structures):
    """Energies per atom without E0s."""
    from nbcore.species import symbols

    E0s = potential.E0s
    with_energy = [s for s in structures if s.energy is not None]
    return [(s.energy - sum(E0s[x] for x in symbols(s.numbers))) / len(s.numbers) for s in with_energy] or [1.0]


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
        if residual != 0:  # the gradient of weight x residual^2 holds the features of the readouts
            rows.append(result.gradient[columns] / (-2 * s.weight * residual))
            targets.append(residual)
    if rows:
        potential.parameters[columns] = _shortest_fit(np.array(rows), np.array(targets), tolerance)


def _shortest_fit(rows, targets, tolerance):
    """Least squares in the directions whose singular value is above `tolerance` times the largest."""
    u, sigma, vt = np.linalg.svd(rows, full_matrices=False)
    keep = sigma > tolerance * sigma[0]
    return vt[keep].T @ ((u[:, keep].T @ targets) / sigma[keep])


# ---- covariant outputs ----


def fit_offsets(potential, structures) -> None:
    """Sets `potential.offsets` and the spreads of the outputs from their labels.

    Offsets: what each atom of an element adds to the l = 0 component, by least squares per atom, as E0s are fitted.
    With charges the offsets are the charges of the elements. Spread: root mean square of the components per atom
    without offsets, the unit of the loss.
    """
    offsets, spreads = {}, {}
    for name, output in potential.outputs.items():
        labelled = [s for s in structures if name in s.outputs]
        if not labelled:
            continue
        rows, targets = _labels(potential, name, output, labelled)
        if output.charges:
            arms = np.concatenate([_arms(potential, s) for s in labelled])
            dipoles = np.concatenate([output.spherical(s.outputs[name]) for s in labelled])
            charges = np.linalg.lstsq(arms, dipoles, rcond=1e-10)[0]
            offsets[name] = dict(zip(potential.species, charges.tolist(), strict=True))
        if output.ls[0] == 0:
            solution = np.linalg.lstsq(rows, targets[:, 0], rcond=1e-10)[0]
            offsets[name] = dict(zip(potential.species, solution.tolist(), strict=True))
            targets[:, 0] -= rows @ solution
        spread = float(np.sqrt(np.mean(targets**2)))
        spreads[name] = spread if spread > 0 else 1.0
    if potential.outputs:
        potential.offsets = offsets
        potential.description["spreads"] = spreads


def _arms(potential, s):
    """(3, species): the dipole of a structure whose atoms of one element have the charge 1, without its net charge."""
    here = (np.asarray(s.numbers)[:, None] == atomic_numbers(potential.species)).astype(float)
    return (s.positions - s.positions.mean(axis=0))[:, [1, 2, 0]].T @ here


def _labels(potential, name, output, structures):
    """Counts of the elements and components of the labels, both per atom: (n, species), (n, components).

    One row per structure, or per atom where each atom has a label.
    """
    species = atomic_numbers(potential.species)
    rows, targets = [], []
    for s in structures:
        y = np.atleast_2d(output.spherical(s.outputs[name]))
        here = (np.asarray(s.numbers)[:, None] == species).astype(float)
        rows.append(here if output.per_atom else here.mean(axis=0, keepdims=True))
        targets.append(y if output.per_atom else y / len(s.numbers))
    return np.concatenate(rows), np.concatenate(targets)


def _scale_output(potential, name, output, structures):
    """Gains such that contributions of atoms have the size that their labels ask for, added up at random.

    The states that a readout mixes have an RMS of 1 / (l + 1), and so has the readout with a gain of one.
    """
    labelled = [s for s in structures if name in s.outputs]
    if not labelled:
        return
    rows, targets = _labels(potential, name, output, labelled)
    offset = {} if output.charges else potential.offsets.get(name, {})
    targets[:, 0] -= rows @ [offset.get(symbol, 0.0) for symbol in potential.species]
    atoms = 1.0 if output.per_atom else np.array([[len(s.numbers)] for s in labelled], float)
    slot = potential.description["program"]["outputs"][name]["slot"]
    for part, columns in enumerate(_parts(output), start=int(output.charges)):
        wanted = float(np.sqrt(np.mean(targets[:, columns] ** 2 * atoms)))
        if wanted > 0:
            _gain(potential, slot, part, wanted * (1 + (len(columns) - 1) // 2))
            if output.charges:
                _gain(potential, slot, 0, wanted / _radius(labelled))


def _gain(potential, slot, part, gain):
    """Sets the gain of a mixing, whatever it was."""
    gate = next(g for g in potential.description["program"]["gates"] if g["name"] == slot)
    potential.set_gain(slot, part, gain / gate.get("gain", [1.0] * (part + 1))[part])


def _fit_output(potential, name, output, structures, tolerance=0.03):
    """Minimum-norm least squares of an output per atom in the weights of its readout, part by part."""
    structures = [s for s in structures if name in s.outputs]
    slot = potential.description["program"]["outputs"][name]["slot"]
    slices = [s for gate, (s, _) in potential.parameter_slices.items() if gate.split(".")[0] == slot]
    groups = _parts(output)
    if output.charges:  # both parts give the same three components
        slices = [slice(slices[0].start, slices[-1].stop)]
    for s in slices:
        potential.parameters[s] = 0
    only = Loss(
        energy_weight=0.0, forces_weight=0.0, stress_weight=0.0,
        output_weights={other: float(other == name) for other in potential.outputs},
    )  # fmt: skip
    spread = potential.spreads.get(name, 1.0)
    rows, targets = [[] for _ in slices], [[] for _ in slices]
    for s in structures:
        n, y = len(s.numbers), output.spherical(potential.compute_many([s])[0].outputs[name])
        residual = (output.spherical(s.outputs[name]) - y) / n
        for part, columns in enumerate(groups):
            for c in columns:
                # a label that is off by n spreads in one component: the gradient holds the features of the readout
                label = output.cartesian(y - n * spread * np.eye(output.components)[c])
                moved = dataclasses.replace(s, weight=1.0, outputs={name: label})
                gradient = TrainingSet(potential, [moved]).loss_and_gradient([0], only, threads=1).gradient
                rows[part].append(gradient[slices[part]] * (0.5 * output.components * spread))
                targets[part].append(residual[c])
    for part, where in enumerate(slices):
        if rows[part]:
            potential.parameters[where] = _shortest_fit(np.array(rows[part]), np.array(targets[part]), tolerance)


def _radius(structures):
    """Root mean square distance of atoms from the centre of their structure."""
    squares = [np.mean(np.sum((s.positions - s.positions.mean(axis=0)) ** 2, axis=1)) for s in structures]
    return float(np.sqrt(np.mean(squares))) or 1.0


def _parts(output):
    """The components of each part: [[0], [1, 2, 3, 4, 5]] for l = 0 and 2."""
    ends = np.cumsum([2 * l + 1 for l in output.ls])
    return [list(range(end - 2 * l - 1, end)) for end, l in zip(ends, output.ls, strict=True)]
