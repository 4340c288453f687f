"""What a model knows of its errors: fitted to the features of its training, scaled on data that it was not fitted to.

See docs/theory/uncertainty.md. The features f_i of the last layer are the derivatives of atom i's energy by the
weights of the readouts. C_z is the mean of f f^T over the atoms of element z in the training data, and
h_i = f_i^T C_z^-1 f_i the leverage of an atom: large where its surroundings are unlike those of the training.
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from nbcore.committee import Committee
from nbcore.data.atoms import as_structures
from nbcore.errors import InputError
from nbcore.prepared import compute_one
from nbcore.scheme import scheme_of
from nbcore.species import atomic_numbers

if TYPE_CHECKING:
    from nbcore.potential import Potential

REGULARISATION = 1e-6  # of C_z, times the mean of its diagonal
LARGEST = 2**26  # numbers of the matrices of all elements, 0.5 GB, which are diagonalised and stand in the model file
FEWEST = 10  # atoms of an element on which a factor of its own stands; else that of all atoms


def add_uncertainty(model: "Potential | Committee", train: Iterable, calibration: Iterable | None = None,
                    threads: int | None = None) -> dict:  # fmt: skip
    """Gives a model, in place, a measure of its errors; returns what `model.uncertainty` is then.

    A potential learns how far atoms are from those of its training, from the features of its last layer; a committee
    has its spread. train: the structures of the training, or ase.Atoms (a committee needs none of them). calibration:
    labelled structures that were not trained on; the factors are such that errors on them have the expected size. None:
    `train` itself, on which errors are smaller than elsewhere.

    Raises InputError where the calibration has no energies or no forces, an element of the model is absent from
    `train`, or the energy of the potential is not linear in its last layer.

    >>> data = nbcore.train.read("train.xyz")
    >>> potential = nbcore.presets.nbody(species=data.species, cutoff=4.0, channels=4)
    >>> fit = nbcore.train.fit(potential, data[:20], valid=0, max_epochs=1, quiet=True)
    >>> nbcore.train.add_uncertainty(potential, data[:20], data[20:30])["kind"]
    'last_layer'
    """
    train = as_structures(train, missing="mask")
    calibration = train if calibration is None else as_structures(calibration, missing="mask")
    calibration = [s for s in calibration if s.energy is not None and s.forces is not None]
    if not calibration:
        raise InputError("uncertainty: no structure has energy and forces, with which it could be scaled")
    if not model.has_energy:
        raise InputError("uncertainty: this model gives no energies and forces")
    unit = {"energy": 1.0, "forces": dict.fromkeys(model.species, 1.0)}
    if isinstance(model, Committee):
        unit["kind"] = "committee"

        def know(u):
            model._core.set_scales(json.dumps(u))
    else:
        whitening, largest = last_layer(model, train, threads)
        unit |= {"kind": "last_layer", "largest": dict(zip(model.species, largest, strict=True))}

        def know(u):
            model._core.set_uncertainty(json.dumps(u), whitening)

    know(unit)
    know({**unit, **_factors(model, calibration, threads)})
    return model.uncertainty


def last_layer(potential: "Potential", structures: Iterable, threads: int | None = None):
    """(W, largest): W_z with W_z^T W_z = (C_z + regularisation)^-1, (elements, K, K); and the largest leverage each.

    Elements by atomic number. Raises InputError where an element has no atoms, or no features other than zero, and
    where the matrices would take more than 0.5 GB.
    """
    elements, n_features = atomic_numbers(potential.species), potential._core.n_features
    there = np.unique(np.concatenate([np.asarray(s.numbers) for s in structures]))
    if absent := [symbol for symbol, z in zip(potential.species, elements, strict=True) if z not in there]:
        which = " ".join(absent[:3]) + f" and {len(absent) - 3} more" * (len(absent) > 3)
        verb = "has" if len(absent) == 1 else "have"
        raise InputError(f"uncertainty: {which} {verb} no atoms in the training data, so that errors cannot be known")
    if (size := len(elements) * n_features**2) > LARGEST:
        raise InputError(
            f"uncertainty: {n_features} weights in the last layer want a matrix for each of {len(elements)} elements: "
            f"{8e-9 * size:.1f} GB, more than {8e-9 * LARGEST:.1f}; a committee needs no such matrices"
        )

    def features():  # twice, as those of a large set would not fit into memory
        for s in structures:
            scheme, leaves = scheme_of(potential, s), getattr(s, "leaves", None)
            f = potential.features(s.positions, s.numbers, s.cell, s.pbc, threads, scheme, leaves)
            yield from ((k, f[np.asarray(s.numbers) == z]) for k, z in enumerate(elements))

    sums, counts = np.zeros((len(elements), n_features, n_features)), np.zeros(len(elements))
    for k, f in features():
        sums[k] += f.T @ f
        counts[k] += len(f)
    whitening = []
    for symbol, total, count in zip(potential.species, sums, counts, strict=True):
        if not total.any():
            what = "no features other than zero"
            raise InputError(f"uncertainty: {symbol} has {what}, so that nothing can be known of its errors")
        values, vectors = np.linalg.eigh(total / count)
        values = np.maximum(values, 0) + REGULARISATION * values.mean()
        whitening.append((vectors / np.sqrt(values)).T)
    largest = np.zeros(len(elements))
    for k, f in features():
        largest[k] = np.sum((f @ whitening[k].T) ** 2, axis=1).max(initial=largest[k])
    return np.array(whitening), largest.tolist()


def _factors(model, structures, threads):
    """{"energy", "forces"}: the factors with which errors have the expected size in the mean over these structures."""
    sizes, errors, numbers, energies = [], [], [], []
    for s in structures:
        r = compute_one(model, s, threads, None, uncertainty=True)
        sizes.append(r.uncertainty.forces)
        errors.append(np.sqrt(np.mean((r.forces - s.forces) ** 2, axis=1)))
        numbers.append(s.numbers)
        energies.append(r.energy - s.energy)
    of_atom, numbers = np.concatenate(sizes), np.concatenate(numbers)
    ratios = np.concatenate(errors) / np.maximum(of_atom, np.finfo(float).tiny)
    if not (of_atom > 0).all():
        raise InputError("uncertainty: it is zero for some atoms, which no factor helps: are members the same?")

    def size(x):
        return float(max(np.sqrt(np.mean(np.square(x))), 1e-12))  # errors that vanish: a model of its own data

    forces = {}
    for symbol, z in zip(model.species, atomic_numbers(model.species), strict=True):
        mine = ratios[numbers == z]
        forces[symbol] = size(mine if len(mine) >= FEWEST else ratios)
    factor = dict(zip(atomic_numbers(model.species), forces.values(), strict=True))
    roots = [
        np.sqrt(sum((factor[int(z)] * u) ** 2 for z, u in zip(s.numbers, mine, strict=True)))
        for s, mine in zip(structures, sizes, strict=True)
    ]
    return {"energy": size(np.array(energies) / np.array(roots)), "forces": forces}
