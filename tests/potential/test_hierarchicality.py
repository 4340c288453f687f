"""The hierarchicality of atoms, against NumPy and the energies of readouts; however a structure is evaluated."""

import numpy as np
import pytest
from energies_by_level import energies_by_level, hierarchicality
from random_structures import crystal, molecule

import nbcore
from nbcore.data import Structure
from nbcore.errors import InputError, SpeciesError

SPECIES, E0S = ["H", "C", "O"], {"H": -0.4, "C": 1.3, "O": 0.0}


def potential(preset="hipnn", **options):
    made = getattr(nbcore.presets, preset)(SPECIES, cutoff=3.2, channels=5, levels=2, E0s=E0S, seed=2, **options)
    made.scale = 0.7
    return made


def by_hand(made, positions, species, cell=None, pbc=False):
    numbers = [nbcore.species.NUMBERS[symbol] for symbol in species]
    s = Structure(positions, np.array(numbers), cell, np.broadcast_to(pbc, 3))
    total = energies_by_level(made, s).sum(axis=0)
    np.testing.assert_allclose(total, made.compute(positions, species, cell, pbc).energies, rtol=1e-12, atol=1e-12)
    return hierarchicality(made, s)


@pytest.mark.parametrize("preset", ["hipnn", "hipnn_ts", "hiphop", "nbody"])
def test_of_atoms(preset):
    made, rng = potential(preset), np.random.default_rng(1)
    for structure in (molecule(rng, 9, SPECIES), crystal(rng, 5)):
        np.testing.assert_allclose(made.hierarchicality(*structure), by_hand(made, *structure), rtol=1e-11)
    assert np.all(made.hierarchicality(np.zeros((1, 3)), ["O"]) <= 2.0)


def test_of_systems_in_blocks_and_in_parts():
    """Of many atoms, by more threads, within a bound of memory: the same atom by atom."""
    made, rng = potential(n_radial=5), np.random.default_rng(3)
    positions, species, cell, _ = crystal(rng, 24)
    copies = [np.array([a, b, c]) @ cell for a in range(3) for b in range(3) for c in range(3)]
    large = np.concatenate([positions + shift for shift in copies]), list(species) * 27, 3 * np.array(cell), True
    one = np.tile(made.hierarchicality(positions, species, cell, True), 27)
    whole = made.hierarchicality(*large, threads=1)
    np.testing.assert_allclose(whole, one, rtol=1e-10)
    assert np.array_equal(whole, made.hierarchicality(*large, threads=2))
    np.testing.assert_allclose(made.hierarchicality(*large, max_bytes=4e6), one, rtol=1e-10)


def test_follows_precision_scale_and_reference_energies():
    made, rng = potential(), np.random.default_rng(5)
    structure = molecule(rng, 7, SPECIES)
    exact = made.hierarchicality(*structure)
    made.precision = "float32"
    single = made.hierarchicality(*structure)
    np.testing.assert_allclose(single, exact, rtol=1e-3)
    assert not np.array_equal(single, exact)
    made.precision, made.scale, made.E0s = "float64", 1.4, {symbol: 2 * E0 for symbol, E0 in E0S.items()}
    np.testing.assert_allclose(made.hierarchicality(*structure), exact, rtol=1e-12)  # a ratio has no unit


def test_refusals():
    with pytest.raises(InputError, match="hierarchicality: schnet has no energies by level"):
        potential("schnet").hierarchicality(np.zeros((1, 3)), ["H"])
    made = potential()
    with pytest.raises(SpeciesError):
        made.hierarchicality(np.zeros((1, 3)), ["He"])
    with pytest.raises(InputError):
        made.hierarchicality(np.zeros((1, 2)), ["H"])
