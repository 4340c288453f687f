"""Structures prepared once for several potentials."""

import numpy as np
import pytest
from random_structures import NETWORKS, SYMBOLS, TRICLINIC, crystal, molecule, network

import nbcore
from nbcore.errors import InputError, SpeciesError


def same(a, b):
    for x, y in zip(a[:5], b[:5], strict=True):
        assert (x is None and y is None) or np.array_equal(x, y)
    assert a.outputs.keys() == b.outputs.keys()
    assert all(np.array_equal(a.outputs[k], b.outputs[k]) for k in a.outputs)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_bits_of_compute(name):
    pot, rng = network(name), np.random.default_rng(0)
    structures = [(*molecule(rng, 8), None, False), crystal(rng, 6), crystal(rng, 80, cell=2.4 * TRICLINIC)]
    prepared = [pot.prepare(*s) for s in structures]
    for threads in (1, 2):
        for s, r in zip(structures, pot.compute_many(prepared, threads=threads), strict=True):
            same(r, pot.compute(*s, threads=threads))
    pot.precision = "float32"
    same(pot.compute_many(prepared[1:2])[0], pot.compute(*structures[1]))


def test_members_of_a_committee_share_it():
    rng = np.random.default_rng(1)
    pots = [nbcore.presets.nbody(species=SYMBOLS, cutoff=3.2, channels=4 + k, seed=k, E0s={"H": k}) for k in range(3)]
    s = crystal(rng, 7)
    prepared = pots[0].prepare(*s)
    for pot in pots:
        same(pot.compute_many([prepared])[0], pot.compute(*s))
    pots[1].scale = 3.0  # weights and scales are not part of it
    same(pots[1].compute_many([prepared])[0], pots[1].compute(*s))


def test_schemes_leaves_and_outputs():
    pot = nbcore.presets.tree(species=["H", "O"], cutoff=3.0, channels=4, labels="molecule", tree_levels=2)
    x, species = molecule(np.random.default_rng(2), 6, ["H", "O"])
    scheme = pot.scheme(x, labels={"molecule": [0, 0, 0, 1, 1, 1]})
    same(pot.compute_many([pot.prepare(x, species, scheme=scheme)])[0], pot.compute(x, species, scheme=scheme))
    pot = nbcore.presets.nbody(species=["H", "O"], cutoff=3.0, channels=4, outputs=["dipole"], energy=False)
    same(pot.compute_many([pot.prepare(x, species)])[0], pot.compute(x, species))
    assert pot.compute_many([pot.prepare(np.zeros((0, 3)), [])])[0].energy is None


@pytest.mark.parametrize(
    "options, what",
    [
        (dict(species=["H", "C", "N"]), "the elements"),
        (dict(cutoff=3.3), r"the cutoff \(3.2 and 3.3 Angstrom\)"),
    ],
)
def test_others_are_refused_by_what_differs(options, what):
    usual = dict(species=SYMBOLS, cutoff=3.2, channels=4)
    prepared = nbcore.presets.nbody(**usual).prepare(*molecule(np.random.default_rng(3), 5))
    with pytest.raises(InputError, match=what):
        nbcore.presets.nbody(**usual | options).compute_many([prepared])


def test_wrong_structures_are_refused_when_prepared():
    pot = network("nbody")
    with pytest.raises(SpeciesError):
        pot.prepare([[0, 0, 0]], ["Xe"])
    with pytest.raises(InputError):
        pot.prepare([[0, 0, 0]], ["H", "H"])
    with pytest.raises(nbcore.NumericsError):
        pot.prepare([[0, 0, 0], [0, 0, 1e-9]], ["H", "H"])


def test_a_prepared_structure_keeps_its_own_cell():
    potential = nbcore.presets.nbody(["H"], 3.0, channels=4)
    cell, x = 5.0 * np.eye(3), np.array([[0, 0, 0], [0.9, 0.3, 0]])
    prepared = potential.prepare(x, ["H", "H"], cell, True)
    before = potential.compute(x, ["H", "H"], cell, True).stress
    cell *= 2
    np.testing.assert_array_equal(potential.compute_many([prepared])[0].stress, before)
    with pytest.raises(ValueError, match="read-only"):
        prepared.cell[0] = 1.0
    with pytest.raises(InputError, match="max_bytes"):
        potential.compute_many([prepared], max_bytes=1e6)


@pytest.mark.parametrize("z", [2**31, 2**40, 2**63, -(2**40)])
def test_no_atomic_numbers(z):
    with pytest.raises(SpeciesError, match="atomic number"):
        nbcore.presets.nbody(["H"], 3.0, channels=4).compute([[0, 0, 0]], np.array([z]))
