"""The scales of covariant outputs from their labels: offsets per element, spreads, gains and first readouts."""

import dataclasses

import numpy as np

from nbcore.species import atomic_numbers
from nbcore.train.loss import Loss
from nbcore.train.training_set import TrainingSet

ROUNDING = 1e-9  # of labels: smaller ones are remains of what cancels


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
        size = float(np.sqrt(np.mean(targets**2)))
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
        spreads[name] = spread if spread > ROUNDING * size else size or 1.0
    if potential.outputs:
        potential.offsets = offsets
        potential.spreads = spreads


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


def scale_output(potential, name, output, structures):
    """Gains such that contributions of atoms have the size that their labels ask for, added up at random.

    The states that a readout mixes have an RMS of 1 / (l + 1), and so has the readout with a gain of one.
    """
    labelled = [s for s in structures if name in s.outputs]
    if not labelled:
        return
    rows, targets = _labels(potential, name, output, labelled)
    offset = {} if output.charges else potential.offsets.get(name, {})
    targets[:, 0] -= rows @ [offset.get(symbol, 0.0) for symbol in potential.species]
    spread = potential.spreads.get(name, 1.0)
    atoms = 1.0 if output.per_atom else np.array([[len(s.numbers)] for s in labelled], float)
    slot = potential.description["program"]["outputs"][name]["slot"]
    for part, columns in enumerate(_parts(output), start=int(output.charges)):
        wanted = float(np.sqrt(np.mean(targets[:, columns] ** 2 * atoms)))
        if wanted <= ROUNDING * spread:  # a part that symmetry, or the offsets, leave without labels
            wanted = spread
        _gain(potential, slot, part, wanted * (1 + (len(columns) - 1) // 2))
        if output.charges:
            _gain(potential, slot, 0, wanted / _radius(labelled))


def _gain(potential, slot, part, gain):
    """Sets the gain of a mixing, whatever it was."""
    gate = next(g for g in potential.description["program"]["gates"] if g["name"] == slot)
    potential.set_gain(slot, part, gain / gate.get("gain", [1.0] * (part + 1))[part])


def fit_output(potential, name, output, structures, tolerance=0.03):
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
            potential.parameters[where] = shortest_fit(np.array(rows[part]), np.array(targets[part]), tolerance, spread)


def _radius(structures):
    """Root mean square distance of atoms from the centre of their structure."""
    squares = [np.mean(np.sum((s.positions - s.positions.mean(axis=0)) ** 2, axis=1)) for s in structures]
    return float(np.sqrt(np.mean(squares))) or 1.0


def _parts(output):
    """The components of each part: [[0], [1, 2, 3, 4, 5]] for l = 0 and 2."""
    ends = np.cumsum([2 * l + 1 for l in output.ls])
    return [list(range(end - 2 * l - 1, end)) for end, l in zip(ends, output.ls, strict=True)]


def shortest_fit(rows, targets, tolerance, unit):
    """Least squares in the directions whose singular value is above `tolerance` times the largest.

    unit: of the features; where all are below a thousandth of it, the data say nothing about their weights.
    """
    u, sigma, vt = np.linalg.svd(rows, full_matrices=False)
    keep = sigma > max(tolerance * sigma[0], 1e-3 * unit)
    return vt[keep].T @ ((u[:, keep].T @ targets) / sigma[keep])
