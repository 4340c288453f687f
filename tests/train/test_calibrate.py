"""Scales from data that excite little: perfect crystals, dimers, single structures and atoms, labels that vanish.

Whatever the data lack, a potential made from them must give finite numbers of the size of energies where atoms move.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

import nbcore
from nbcore import train
from nbcore.data import Structure, Structures
from nbcore.errors import InputError
from nbcore.train.calibrate import calibrate
from nbcore.train.displaced import displaced

MOLECULES = Path(__file__).resolve().parents[2] / "examples" / "molecule" / "train.xyz"

QUIET = dict(valid=0, max_epochs=4, threads=1, quiet=True)
PRESETS = {
    "nbody": dict(cutoff=3.6, channels=4),
    "kondor": dict(cutoff=3.6, channels=4),
    "nequip": dict(cutoff=3.6, channels=4, levels=2, l_states=1, radial_layers=[8, 4]),
    "cormorant": dict(cutoff=3.6, channels=4, levels=2, l_harmonics=2, l_states=1),
}


def labelled(atoms, **changes):
    atoms.calc = EMT()
    stress = atoms.get_stress(voigt=False) if atoms.pbc.all() else None
    s = Structure(
        positions=atoms.positions, numbers=atoms.numbers, cell=atoms.cell[:] if atoms.pbc.any() else None,
        pbc=atoms.pbc.copy(), energy=atoms.get_potential_energy(), forces=atoms.get_forces(), stress=stress,
    )  # fmt: skip
    return dataclasses.replace(s, **changes)


def fcc(a=3.6, cubic=True):
    return bulk("Cu", "fcc", a=a, cubic=cubic)


def moved(seed, amplitude=0.08):
    atoms = fcc() * (2, 1, 1)
    atoms.positions += amplitude * np.random.default_rng(seed).standard_normal(atoms.positions.shape)
    return atoms


def dimer(d):
    return Atoms("Cu2", [[0, 0, 0], [0, 0, d]])


TRIMER = Atoms("Cu3", [[0, 0, 0], [2.4, 0, 0], [1, 2.2, 0]])


PARAMETERS = np.linspace(3.4, 3.9, 6)
DEGENERATE = {
    "one atom in a cell, labels nobody reads": [
        labelled(fcc(a, False), labels={"tag": np.zeros(1, int)}) for a in PARAMETERS
    ],
    "equation of state, one atom in a cell": [labelled(fcc(a, cubic=False)) for a in PARAMETERS],
    "equation of state, cubic cells": [labelled(fcc(a)) for a in PARAMETERS],
    "a perfect crystal": [labelled(fcc())],
    "perfect crystals first": [labelled(fcc(a)) for a in PARAMETERS] + [labelled(moved(k)) for k in range(2)],
    "a perfect crystal among displaced ones": [labelled(fcc())] + [labelled(moved(k)) for k in range(3)],
    "dimers": [labelled(dimer(d)) for d in (2.2, 2.4, 2.8)],
    "dimers that hardly see each other": [labelled(dimer(d)) for d in (3.5, 3.55, 3.58)],
    "an equilateral triangle": [labelled(Atoms("Cu3", [[0, 0, 0], [2.4, 0, 0], [1.2, 1.2 * 3**0.5, 0]]))],
    "atoms that see nothing": [labelled(dimer(d)) for d in (8.0, 9.0)],
    "one atom": [Structure(np.zeros((1, 3)), np.array([29]), energy=-0.1, forces=np.zeros((1, 3)))],
    "no forces": [labelled(moved(k), forces=None) for k in range(3)],
    "crystals without forces": [labelled(fcc(a), forces=None, stress=None) for a in PARAMETERS],
    "no energies": [labelled(moved(k), energy=None) for k in range(3)],
    "forces that are zero": [labelled(moved(k), forces=np.zeros((8, 3))) for k in range(3)],
    "all labels zero": [labelled(moved(k), energy=0.0, forces=np.zeros((8, 3)), stress=None) for k in range(3)],
    "some of weight zero": [labelled(moved(k), weight=float(k > 1)) for k in range(4)],
}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", DEGENERATE)
def test_a_potential_from_degenerate_data_is_sane_where_atoms_move(name, preset):
    potential = getattr(nbcore.presets, preset)(species=["Cu"], seed=2, **PRESETS[preset])
    train.fit(potential, Structures(DEGENERATE[name]), **QUIET)
    gates = potential.description["program"]["gates"]
    gains = np.concatenate([gate.get("gain", [1.0]) for gate in gates])
    assert np.all(gains > 1e-3) and np.all(gains < 1e3) and 1e-3 < potential.scale < 1e2
    crowd = len(DEGENERATE[name][0]) > 3 or DEGENERATE[name][0].pbc.any()
    largest = 1e7 if "hardly" in name else 1e3
    for atoms in (fcc(), moved(7, 0.02), moved(8, 0.2)) if crowd else (dimer(2.3), TRIMER):
        found = potential.compute(atoms.positions, atoms.numbers, atoms.cell[:] if atoms.pbc.any() else None, atoms.pbc)
        assert np.all(np.abs(found.energies) < largest) and np.all(np.abs(found.forces) < 10 * largest)


def test_the_sample_is_more_than_the_first_structures():
    """With four structures or fewer the first alone once was the measure."""
    data = [labelled(fcc())] + [labelled(moved(k)) for k in range(3)]
    one, other = (nbcore.presets.nbody(species=["Cu"], cutoff=3.6, channels=4) for _ in range(2))
    calibrate(one, data), calibrate(other, data[::-1])
    for a, b in zip(one.description["program"]["gates"], other.description["program"]["gates"], strict=True):
        assert np.all(np.abs(np.log(np.divide(a.get("gain", 1.0), b.get("gain", 1.0)))) < np.log(5))


def test_structures_of_weight_zero_change_nothing():
    used, more = [labelled(moved(k)) for k in range(3)], [labelled(moved(k, 0.5), weight=0.0) for k in range(9, 12)]
    found = []
    for data in (used, more + used):
        potential = nbcore.presets.nbody(species=["Cu"], cutoff=3.6, channels=4)
        calibrate(potential, data)
        found.append((potential.scale, potential.parameters.tobytes()))
    assert found[0] == found[1]
    with pytest.raises(InputError, match="every structure has the weight 0"):
        calibrate(potential, more)


def test_labels_of_weight_zero_change_nothing():
    """Energies and forces that do not count are like none."""
    good, wrong = [labelled(moved(k)) for k in range(3)], [labelled(moved(k, 0.5)) for k in range(9, 12)]
    found = []
    for data in (
        [dataclasses.replace(s, energy=None, forces=None, stress=None) for s in wrong] + good,
        [dataclasses.replace(s, label_weights={"energy": 0, "forces": 0, "stress": 0}) for s in wrong] + good,
    ):
        potential = nbcore.presets.nbody(species=["Cu"], cutoff=3.6, channels=4)
        calibrate(potential, data)
        found.append((potential.scale, potential.parameters.tobytes()))
    assert found[0] == found[1]


def test_displaced_copies():
    """Small cells are repeated, atoms move by a twentieth of the distance to the next one, labels are gone."""
    potential = nbcore.presets.nbody(species=["Cu", "H"], cutoff=5.0, channels=2)
    cell, alone = labelled(fcc(cubic=False)), Structure(np.zeros((1, 3)), np.array([1]))
    slab = Structure(np.zeros((1, 3)), np.array([29]), cell=np.diag([2.5, 2.5, 20.0]), pbc=np.array([1, 1, 0], bool))
    copies = displaced(potential, [cell, alone, slab])
    assert [len(s) for s in copies] == [27, 1, 4] and np.array_equal(copies[1].positions, alone.positions)
    assert np.allclose(copies[2].cell, np.diag([5.0, 5.0, 20.0]))
    big = copies[0]
    perfect = np.array(list(np.ndindex(3, 3, 3))) @ cell.cell
    step = np.sqrt(np.mean(np.sum((big.positions - perfect) ** 2, axis=1)))
    assert 0.03 < step / (3.6 / 2**0.5) < 0.07
    assert big.energy is None and big.forces is None and big.stress is None
    again = displaced(potential, [cell, alone, slab])
    assert np.array_equal(again[0].positions, big.positions) and len(cell) == 1


def test_outputs_whose_labels_vanish_or_follow_from_the_elements():
    water = molecule("H2O")
    rng = np.random.default_rng(0)
    data = []
    for _ in range(6):
        positions = water.positions + 0.05 * rng.standard_normal((3, 3))
        isotropic = 2.0 * np.eye(3)  # only l = 0, and the same for all: all of it is the offset
        data.append(Structure(positions, water.numbers, outputs={"polarizability": isotropic, "dipole": np.zeros(3)}))
    outputs = ["polarizability", "dipole"]
    potential = nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=4, outputs=outputs, energy=False)
    train.fit(potential, Structures(data), **QUIET)
    assert all(1e-6 < spread < 1e3 for spread in potential.spreads.values())
    found = potential.compute(water.positions + 0.1, water.numbers).outputs
    assert np.allclose(found["polarizability"], 2 * np.eye(3), atol=0.3) and np.all(np.abs(found["dipole"]) < 1.0)


def test_features_are_standardised():
    """Behind a gate `affine` channels of an element have mean 0 and deviation 1, or less where they hardly vary."""
    data = train.read(MOLECULES)[:10]
    potential = nbcore.presets.ani(species=["C", "H", "O", "S"], n_radial=4, n_shifts=2, n_angles=3, layers=[4])
    calibrate(potential, data)
    names = [name for name, _, _ in potential._core.slots()]
    seen = [*data, *displaced(potential, data)]
    states = [train.TrainingSet(potential, seen)._core.states(k) for k in range(len(seen))]
    elements = np.concatenate([s.numbers for s in seen])
    for name in ("radial", "angular"):
        before, after = (
            np.concatenate([s[names.index(slot)][0].reshape(8, -1) for s in states])
            for slot in (name, f"scaled_{name}")
        )
        for z in (1, 6, 8):
            varies = before[elements == z].std(axis=0)
            assert np.abs(after[elements == z].mean(axis=0)).max() < 1e-12
            expected = np.minimum(1, varies / (0.01 * varies.max()))
            assert np.abs(after[elements == z].std(axis=0) - expected).max() < 1e-12
        where, shape = potential.parameter_slices[f"scaled_{name}.scale"]
        assert np.array_equal(potential.parameters[where].reshape(shape)[3], np.zeros(shape[1]))  # no sulphur
