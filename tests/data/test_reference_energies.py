"""E0: isolated atoms, fit with its rank, given values."""

import numpy as np
import pytest
from ase.data import atomic_numbers

from nbcore.data import Structure, Structures, read, reference_energies
from nbcore.errors import InputError

E0 = {"H": -13.5, "C": -1026.0, "O": -2037.25}


def molecule(symbols, extra=0.0, **more):
    numbers = np.array([atomic_numbers[s] for s in symbols])
    energy = sum(E0[s] for s in symbols) + extra
    return Structure(np.random.default_rng(len(symbols)).normal(size=(len(numbers), 3)), numbers, energy=energy, **more)


def atom(symbol, extra=0.0):
    return molecule([symbol], extra, file="atoms.xyz")


def test_isolated_atoms_are_set_apart(tmp_path):
    """One-atom frames without periods or far from their images, and config_type; not a crystal of one atom per cell."""
    path = tmp_path / "a.xyz"
    path.write_text(
        "1\nenergy=-13.5\nH 0 0 0\n"
        '1\nProperties=species:S:1:pos:R:3 energy=-1026.0 Lattice="12 0 0 0 12 0 0 0 12"\nC 0 0 0\n'
        '1\nProperties=species:S:1:pos:R:3 energy=-3.9 Lattice="0 2 2 2 0 2 2 2 0"\nCu 0 0 0\n'
        '1\nProperties=species:S:1:pos:R:3 energy=-2.0 Lattice="4 0 0 0 4 0 0 0 4" config_type=isolated_atom\nO 0 0 0\n'
        '1\nProperties=species:S:1:pos:R:3 energy=-1.0 Lattice="4 0 0 0 4 0 0 0 4" config_type=IsolatedAtom\nAl 0 0 0\n'
    )
    data = read(path, require=("energy",))
    assert [s.symbols[0] for s in data.isolated] == ["H", "C", "O", "Al"] and data.species == ["Cu"]


def test_auto_takes_isolated_atoms_where_all_are_there():
    molecules = [molecule("CHHO"), molecule("COO")]
    whole = reference_energies(Structures(molecules, [atom(s) for s in "HCO"]))
    assert (whole.energies, whole.source) == (E0, "isolated")
    part = reference_energies(Structures(molecules, [atom(s) for s in "HC"]))
    assert part.source == "fit" and "Isolated atoms only of H C, not of O" in part.remarks[0]
    with pytest.raises(InputError, match="no isolated atom of O"):
        reference_energies(Structures(molecules, [atom(s) for s in "HC"]), "isolated")
    # an atom that the data does not hold takes no part
    assert reference_energies(Structures([molecule("HH")], [atom("H"), atom("O")])).energies == {"H": -13.5}


def test_two_isolated_atoms_that_differ():
    same = Structures([molecule("HH")], [atom("H"), atom("H", 1e-9)])
    assert reference_energies(same).energies["H"] == pytest.approx(-13.5)
    with pytest.raises(InputError, match="Two isolated atoms of H with different energies: -13.5.* -13.4"):
        reference_energies(Structures([molecule("HH")], [atom("H"), atom("H", 0.1)]))


def test_fit_of_full_rank_is_exact():
    data = Structures([molecule("CHHO"), molecule("HHO"), molecule("CO"), molecule("CHHHH")])
    result = reference_energies(data, "fit")
    assert result.rank == 3 and not result.remarks
    assert result.energies == pytest.approx(E0, rel=1e-12)


def test_fit_minimises_the_error_per_atom():
    """Against the normal equations."""
    extras = np.random.default_rng(3).normal(size=6)
    words = ["CHHO", "HHO", "CO", "CHHHH", "OO", "HH"]
    data = Structures([molecule(w, e) for w, e in zip(words, extras, strict=True)])
    rows = np.array([[w.count(s) / len(w) for s in "HCO"] for w in words])
    target = np.array([s.energy / len(s) for s in data])
    expected = np.linalg.solve(rows.T @ rows, rows.T @ target)
    np.testing.assert_allclose(list(reference_energies(data).energies.values()), expected, rtol=1e-10)


@pytest.mark.parametrize(
    "words, rank",
    [(["CHHO"] * 3, 1), (["CHHO", "CHHOCHHO"], 1), (["HHO", "OO", "CHHO", "CO"], 3), (["CHHO", "CHHHHO"], 2)],
)
def test_rank(words, rank):
    data = Structures([molecule(w) for w in words])
    result = reference_energies(data)
    assert result.rank == rank
    for s in data:  # whatever the rank: the energies are reproduced
        assert sum(result.energies[x] for x in s.symbols) == pytest.approx(s.energy, rel=1e-12)
    assert bool(result.remarks) == (rank < 3)
    if rank == 1:
        assert "so only 1 of 3 numbers is determined (rank 1)" in result.remarks[0]


def test_given():
    data = Structures([molecule("CHHO")])
    assert reference_energies(data, {**E0, "N": 0.0}).energies == E0
    with pytest.raises(InputError, match="E0s: no value for O"):
        reference_energies(data, {"H": 1.0, "C": 2.0})
    with pytest.raises(InputError, match='expected "auto"'):
        reference_energies(data, "average")
