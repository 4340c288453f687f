"""First levels whose sums and mixes are done in one: evaluations of 64 atoms and more of few elements."""

import copy

import numpy as np
import pytest
from random_structures import molecule

import nbcore

ELEMENTS = ["H", "C", "O", "Si", "Fe", "Cu"]
WIDE = dict(cutoff=4.0, l_harmonics=2, radial_layers=[12, 24])


def mace(species=("H", "C", "O"), **options):
    return nbcore.presets.mace(**WIDE | dict(species=list(species), channels=12, seed=1) | options)


def changed(change):
    """A potential whose gates are changed."""
    description = copy.deepcopy(mace(first="species").description)
    gates = {gate["name"]: gate for gate in description["program"]["gates"]}
    change(gates)
    return nbcore.Potential(description, seed=5)


KINDS = {
    "a matrix for all": mace,
    "a matrix per element": lambda: mace(first="species", channels=20),
    "no parity": lambda: mace(parity="so3", l_harmonics=3),
    "pairs of elements": lambda: changed(
        lambda g: g["sum1"]["radial"].update(transform="agnesi", radii=[0.3, 0.8, 0.7])
    ),
    "gains": lambda: changed(lambda g: g["A1"].update(gain=[1.5, 0.7, 1.2])),
    "fewer parts behind": lambda: changed(lambda g: g["M1"].update(l_max=1)),
    "other widths": lambda: changed(lambda g: (g["A1"].update(channels=7), g["M1"].update(channels=9))),
}


def two_copies(rng, n=36):
    x, species = molecule(rng, n)
    return x, species, np.concatenate([x, x + 50]), [*species, *species]


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_two_copies_are_twice_one(kind, precision):
    """One is evaluated gate by gate, as it has fewer atoms."""
    pot = KINDS[kind]()
    pot.precision = precision
    x, species, xx, both = two_copies(np.random.default_rng(1))
    one, two = pot.compute(x, species), pot.compute(xx, both)
    bound = 1e-13 if precision == "float64" else 2e-5
    for copied in (slice(36), slice(36, None)):
        assert np.abs(two.energies[copied] - one.energies).max() < bound * np.abs(one.energies).max()
        assert np.abs(two.forces[copied] - one.forces).max() < 10 * bound * np.abs(one.forces).max()
    assert not np.array_equal(two.forces[:36], one.forces)  # in another order
    assert np.array_equal(two.forces, pot.compute(xx, both, threads=3).forces)


def test_forces_are_derivatives_of_the_energy():
    pot = KINDS["a matrix per element"]()
    rng = np.random.default_rng(2)
    _, _, x, species = two_copies(rng)
    found, v, h = pot.compute(x, species), rng.standard_normal(x.shape), 1e-3
    E = [pot.compute(x + k * h * v, species).energy - found.energy for k in (1, -1, 2, -2, 3, -3)]
    slope = (45 * (E[0] - E[1]) - 9 * (E[2] - E[3]) + (E[4] - E[5])) / (60 * h)
    assert abs(slope + np.sum(found.forces * v)) < 1e-9 * np.abs(found.forces).max() * np.abs(v).sum()


def test_the_bits_do_not_depend_on_what_was_evaluated_before():
    pot = mace(ELEMENTS, first="species")
    _, _, x, species = two_copies(np.random.default_rng(3))
    names = {
        "few": species,
        "other": [{"H": "Si", "C": "Cu", "O": "O"}[s] for s in species],
        "five": ["Si" if k % 7 == 0 else "Fe" if k % 7 == 1 else s for k, s in enumerate(species)],  # too many
    }
    expected = {name: mace(ELEMENTS, first="species").compute(x, s) for name, s in names.items()}
    for name in ("few", "other", "five", "few", "five", "other"):
        assert np.array_equal(pot.compute(x, names[name]).forces, expected[name].forces), name
    pot.radial_splines = False
    for name, r in expected.items():
        true = pot.compute(x, names[name])
        assert np.abs(r.forces - true.forces).max() < 1e-8 * np.abs(true.forces).max(), name


def test_blocks_with_a_short_edge_and_atoms_alone():
    """Gate by gate in one block, in one in the others; atoms without neighbours have no sums."""
    pot = mace()
    _, _, x, species = two_copies(np.random.default_rng(4))
    x[1] = x[0] + [0, 0, 0.9 * pot.radial_networks["sum1"].spline.begin]
    x[-1] += 100
    found = pot.compute(x, species)
    pot.radial_splines = False
    true = pot.compute(x, species)
    assert np.abs(found.forces - true.forces).max() < 1e-8 * np.abs(true.forces).max()
    assert np.abs(found.energies - true.energies).max() < 1e-9 * np.abs(true.energies).max()


def test_made_anew_when_any_weight_changes():
    pot = mace(first="species")
    _, _, x, species = two_copies(np.random.default_rng(6))
    for name in ("sum1.E", "sum1.R", "sum1.radial2", "A1.W1o", "M1.W2e"):
        before = pot.compute(x, species).forces
        pot.parameters[pot.parameter_slices[name][0]] *= 1.3
        after = pot.compute(x, species).forces
        pot.radial_splines = False
        true = pot.compute(x, species).forces
        pot.radial_splines = True
        assert np.abs(after - true).max() < 1e-8 * np.abs(true).max() < np.abs(before - true).max() * 1e-4, name
