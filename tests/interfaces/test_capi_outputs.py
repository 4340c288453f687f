"""What systems of the C ABI give and take beside energies: covariant outputs, leaf states, uncertainties, distances."""

import ctypes
import json

import capi
import numpy as np
import pytest
from random_structures import TRICLINIC, positions

import nbcore

CELL = 2.0 * TRICLINIC
N = 40
RNG = np.random.default_rng(8)
X, NUMBERS = positions(RNG, N, cell=CELL), RNG.choice([1, 6, 8], N)
RADIAL = {"basis": "bessel", "n": 4, "cutoff": 3.2}
OUTPUTS = {"dipole": {"charges": True}, "polarizability": {}, "charge": {"rank": 0, "per": "atom"}}


def loaded(potential, folder):
    potential.save(folder / "model.nbcore")
    return capi.Model(folder / "model.nbcore")


def pointers(arrays):
    return (ctypes.c_void_p * len(arrays))(*(None if a is None else a.ctypes.data for a in arrays))


def parts(reach):
    """(system arguments, its owned atoms) of two domains of the cluster, ghosts within reach."""
    for owned in (np.arange(N // 3), np.arange(N // 3, N)):
        others = np.setdiff1d(np.arange(N), owned)
        near = np.linalg.norm(X[others, None] - X[owned], axis=2).min(1) < reach
        atoms = np.concatenate([owned, others[near]])
        yield atoms, len(owned)


def described(call, model, k, *more):
    name, values = ctypes.create_string_buffer(32), [ctypes.c_int() for _ in more]
    capi.check(call(model.handle, k, 32, name, *(ctypes.byref(v) for v in values)))
    return name.value.decode(), *(v.value for v in values)


def test_outputs(tmp_path):
    """By name and size; of a cluster, of domains (parts of atoms or of sums), of images without those of charges."""
    potential = nbcore.presets.nbody(["H", "C", "O"], 3.2, channels=5, outputs=OUTPUTS, seed=2)
    potential.offsets = {"charge": {"H": 0.3, "C": -0.5, "O": 1.2}, "polarizability": {"H": 1.0, "C": 2.0, "O": 3.0}}
    model = loaded(potential, tmp_path)
    info = model.info()
    names = [described(capi.lib.nbcore_output, model, k, "numbers", "per_atom") for k in range(info.outputs)]
    assert names == [("charge", 1, 1), ("dipole", 3, 0), ("polarizability", 6, 0)]

    def outputs(s, wanted=(True, True, True)):
        room, _ = capi.result(s)
        arrays = [np.full(size, np.nan) if w else None for size, w in zip((s.n, 3, 6), wanted, strict=True)]
        room.outputs = ctypes.cast(pointers(arrays), ctypes.c_void_p)
        capi.check(capi.lib.nbcore_compute(model.handle, ctypes.byref(s), None, ctypes.byref(room)))
        return arrays

    expected = potential.compute(X, NUMBERS).outputs
    charge, dipole, polarizability = outputs(capi.system(X, NUMBERS))
    close = dict(rtol=0, atol=1e-12)
    np.testing.assert_allclose(dipole, expected["dipole"][[1, 2, 0]], **close)  # m = -1, 0, 1 are y, z, x
    np.testing.assert_allclose(charge, expected["charge"], **close)
    np.testing.assert_allclose(polarizability[0], np.trace(expected["polarizability"]) / np.sqrt(3), **close)
    total = np.zeros(6)
    for atoms, n in parts(info.ghost_range):
        own, _, part = outputs(capi.system(X[atoms], NUMBERS[atoms], len(atoms) - n), (True, False, True))
        np.testing.assert_allclose(own, charge[atoms[:n]], **close)
        total += part
    np.testing.assert_allclose(total, polarizability, rtol=0, atol=1e-11)

    whole = capi.system(X, NUMBERS, cell=CELL, pbc=[1, 1, 1])
    ghosts = capi.system(X, NUMBERS, 1)
    periodic = potential.compute(X, NUMBERS, CELL, True).outputs
    np.testing.assert_allclose(outputs(whole, (True, False, True))[0], periodic["charge"], **close)
    for s in (whole, ghosts):
        with pytest.raises(RuntimeError, match=r"1: outputs\[1\]: dipole multiplies charges by positions"):
            outputs(s)


def test_leaf_states(tmp_path):
    """Numbers that a model reads of each atom, those of ghosts too."""
    program = {
        "parity": "o3",
        "gates": [
            dict(gate="leaf", name="charge_of", channels=2),
            dict(gate="leaf", name="field", l=1),
            dict(gate="mix", name="own", inputs=["charge_of", "field"], channels=4),
            dict(gate="zeroth_order", name="A", inputs=["own"], l_max=2, l_out=1, radial=RADIAL),
            dict(gate="mix", name="psi", inputs=["A", "own"], channels=4),
            dict(gate="zeroth_order", name="B", inputs=["psi"], l_max=2, l_out=0, radial=RADIAL),
            dict(gate="mix", name="e", inputs=["B"], channels=1),
        ],
        "readout": ["e"],
    }
    potential = nbcore.Potential({"species": ["H", "C", "O"], "program": program}, 4)
    model = loaded(potential, tmp_path)
    info = model.info()
    assert (info.leaves, info.levels) == (2, 3)  # mixing leaf states is a level, too
    assert [described(capi.lib.nbcore_leaf, model, k, "n") for k in range(2)] == [("charge_of", 2), ("field", 3)]
    charges, field = RNG.standard_normal((N, 2)), RNG.standard_normal((N, 3))
    expected = potential.compute(X, NUMBERS, leaves={"charge_of": charges, "field": field})
    as_harmonics = np.ascontiguousarray(field[:, [1, 2, 0]])
    scale = np.abs(expected.forces).max()

    def compute(atoms, n, run):
        kept = [np.ascontiguousarray(a[atoms]) for a in (charges, as_harmonics)]
        leaves = pointers(kept)
        return run(capi.system(X[atoms], NUMBERS[atoms], len(atoms) - n, leaves=ctypes.cast(leaves, ctypes.c_void_p)))

    whole = compute(np.arange(N), N, model.compute)
    assert np.array_equal(whole["forces"], expected.forces)
    energy, forces = 0.0, np.zeros((N, 3))
    for atoms, n in parts(info.ghost_range):
        got = compute(atoms, n, model.compute)
        energy += got["energy"][0]
        np.add.at(forces, atoms, got["forces"])
    assert abs(energy - expected.energy) < 1e-12 * np.abs(expected.energies).sum()
    assert np.abs(forces - expected.forces).max() < 1e-12 * scale
    with pytest.raises(RuntimeError, match='reads the leaf state "charge_of"'):
        model.compute(capi.system(X, NUMBERS))
    with pytest.raises(RuntimeError, match=r"leaves\[1\], the leaf state field, is NULL"):
        leaves = pointers([charges, None])
        model.compute(capi.system(X, NUMBERS, leaves=ctypes.cast(leaves, ctypes.c_void_p)))


def test_uncertainties_and_distances(tmp_path):
    """Of the last layer in domains, level by level too; a committee's are of whole forces. Trained distances."""
    potential = nbcore.presets.nbody(["H", "C", "O"], 3.2, channels=4, l_harmonics=2, seed=3)
    elements, n = dict.fromkeys(potential.species, 1.0), potential._core.n_features
    known = {"energy": 0.5, "forces": elements}
    potential._core.set_uncertainty(
        json.dumps({"kind": "last_layer", "largest": elements, **known}), np.broadcast_to(np.eye(n), (3, n, n))
    )
    potential._core.annotate(json.dumps({"shortest_distances": {"C-H": 0.95, "O-O": 2.25}}))
    model = loaded(potential, tmp_path)
    expected = potential.compute(X, NUMBERS, uncertainty=True)

    def uncertain(s, begin=None):
        room, _ = capi.result(s)
        found = {name: np.full(s.n, np.nan) for name in ("forces_uncertainty", "grades")}
        for name, array in found.items():
            setattr(room, name, array.ctypes.data)
        if begin is None:
            capi.check(capi.lib.nbcore_compute(model.handle, ctypes.byref(s), None, ctypes.byref(room)))
        else:
            capi.check(capi.lib.nbcore_levels_begin(begin.handle, ctypes.byref(s), ctypes.byref(room)))
            begin.forward(1), begin.adjoint(2), begin.adjoint(1)
            capi.check(capi.lib.nbcore_levels_finish(begin.handle))
        return found

    close = dict(rtol=1e-11, atol=0)
    for atoms, m in parts(model.info().ghost_range):
        found = uncertain(capi.system(X[atoms], NUMBERS[atoms], len(atoms) - m))
        np.testing.assert_allclose(found["grades"], expected.uncertainty.grades[atoms[:m]], **close)
        np.testing.assert_allclose(found["forces_uncertainty"], expected.uncertainty.forces[atoms[:m]], **close)
    found = uncertain(capi.system(X, NUMBERS), capi.Levels(model))
    np.testing.assert_allclose(found["grades"], expected.uncertainty.grades, **close)

    distance = ctypes.c_double()
    for pair, d in (((6, 1), 0.95), ((1, 6), 0.95), ((8, 8), 2.25), ((1, 1), 0.0)):
        capi.check(capi.lib.nbcore_closest(model.handle, *pair, ctypes.byref(distance)))
        assert distance.value == d

    committee = nbcore.Committee([nbcore.presets.nbody(["H", "C", "O"], 3.2, channels=4, seed=k) for k in (1, 2)])
    committee._core.set_scales(json.dumps({"kind": "committee", **known}))
    model = loaded(committee, tmp_path)
    with pytest.raises(RuntimeError, match="1: grades: a committee has none"):
        uncertain(capi.system(X, NUMBERS))
    s = capi.system(X, NUMBERS, 1)
    room, arrays = capi.result(s)
    room.energy_uncertainty = np.zeros(1).ctypes.data
    status = capi.lib.nbcore_compute(model.handle, ctypes.byref(s), None, ctypes.byref(room))
    assert status == 1 and b"those of one domain with ghosts are not whole" in capi.lib.nbcore_message()
    assert np.isnan(arrays["forces"]).all()
