"""Virials of atoms: their sum is the virial, by every way to compute, whatever the system is evaluated with."""

import numpy as np
import pytest
from random_structures import SYMBOLS, TRICLINIC, crystal, molecule, network

import nbcore
from nbcore.evaluator import Evaluator


def assert_sum(r, tolerance=1e-12):
    size = np.abs(r.virials).max()
    assert size > 0 and np.abs(r.virials.sum(0) - r.virial).max() < tolerance * size * len(r.virials)


@pytest.mark.parametrize("name", ["nbody", "nbody-3", "kondor", "cormorant"])
def test_every_way_gives_the_same(name, tmp_path):
    pot, rng = network(name), np.random.default_rng(0)
    pot.save(tmp_path / "m.nbcore")
    for s in ((*molecule(rng, 8), None, False), crystal(rng, 80, cell=2.4 * TRICLINIC)):
        assert pot.compute(*s).virials is None
        r = pot.compute(*s, virials=True)
        assert_sum(r)
        others = [pot.compute(*s, threads=3, virials=True), *pot.compute_many([s, pot.prepare(*s)], virials=True)]
        for other in others:
            assert np.array_equal(other.virials, r.virials) and np.array_equal(other.virial, r.virial)
        x, species, cell, pbc = s
        virials = np.empty_like(r.virials)
        numbers = np.array(nbcore.species.atomic_numbers(species), np.intc)
        Evaluator(tmp_path / "m.nbcore").evaluate(x, numbers, cell, pbc, virials=virials)
        assert np.array_equal(virials, r.virials)
        with pytest.raises(nbcore.InputError, match=r"virials must have shape \(\d+, 3, 3\), got \(2, 3, 3\)"):
            Evaluator(tmp_path / "m.nbcore").evaluate(x, numbers, cell, pbc, virials=virials[:2].copy())
        pot.precision = "float32"
        single = pot.compute(*s, virials=True)
        assert np.abs(single.virials - r.virials).max() < 1e-4 * np.abs(r.virials).max()
        pot.precision = "float64"


def test_in_parts_and_of_a_committee():
    rng = np.random.default_rng(1)
    s = crystal(rng, 700, cell=np.diag([18.0, 18.0, 18.0]) + np.eye(3, k=-1))
    options = dict(cutoff=3.5, channels=4, l_harmonics=2, correlation=2, n_radial=4)
    pots = [nbcore.presets.nbody(SYMBOLS, seed=k, **options) for k in range(2)]
    whole = pots[0].compute(*s, virials=True)
    parts = pots[0].compute(*s, virials=True, max_bytes=4.5e6)
    assert not np.array_equal(parts.virials, whole.virials)
    assert np.abs(parts.virials - whole.virials).max() < 1e-12 * np.abs(whole.virials).max()
    mean = nbcore.Committee(pots).compute(*s, virials=True)
    expected = (whole.virials + pots[1].compute(*s, virials=True).virials) / 2
    assert np.abs(mean.virials - expected).max() < 1e-14 * np.abs(expected).max()
    assert np.array_equal(nbcore.Committee(pots).compute_many([s], virials=True)[0].virials, mean.virials)


@pytest.mark.parametrize("periodic", [False, True])
def test_of_a_scheme(periodic):
    pot = nbcore.presets.tree(SYMBOLS, 3.2, channels=4, tree_levels=3, tree_channels=3)
    x, species, cell, pbc = crystal(np.random.default_rng(2), 10) if periodic else (
        *molecule(np.random.default_rng(2), 10), None, False)  # fmt: skip
    r = pot.compute(x, species, cell, pbc, scheme=pot.scheme(x, cell, pbc), virials=True)
    assert_sum(r)
