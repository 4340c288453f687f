"""Structures with stretched displacements, labelled by a model."""

from types import SimpleNamespace

import ase
import numpy as np
import pytest
from ase.calculators.morse import MorsePotential

from nbcore.data import read
from nbcore.errors import InputError, NumericsError
from nbcore.train import stretched


class Morse:
    """A model with a minimum that is known: Morse's dimer at 1.3 Angstrom, by ASE."""

    def compute_many(self, many, threads=None):
        results = []
        for atoms in many:
            atoms = atoms.copy()
            atoms.calc = MorsePotential(epsilon=4.0, r0=1.3, rho0=4.0)
            stress = atoms.get_stress(voigt=False) if atoms.cell.rank == 3 else None
            energy, forces = atoms.get_potential_energy(), atoms.get_forces()
            results.append(SimpleNamespace(energy=energy, forces=forces, stress=stress))
        return results


class Collapsing:
    """A model that pulls atoms onto each other, and refuses them there, as potentials do."""

    def compute_many(self, many, threads=None):
        for atoms in many:
            if atoms.get_distance(0, 1) < 1:
                raise NumericsError("atoms 0 and 1 are too near")
        pull = [[0, 0, 1], [0, 0, -1]]
        return [SimpleNamespace(energy=a.get_distance(0, 1), forces=np.array(pull, float), stress=None) for a in many]


def dimers(*lengths, **more):
    return [ase.Atoms("N2", [[0, 0, 0], [0, 0, r]], **more) for r in lengths]


@pytest.mark.parametrize("cell", [{}, {"cell": [9, 9, 9], "pbc": True}], ids=["molecule", "cell"])
def test_displacements_from_the_minimum_are_stretched(cell, tmp_path):
    made = stretched(Morse(), dimers(1.35, 1.2, **cell), count=40, stretch=1.5)
    x = np.array([atoms.get_distance(0, 1) for atoms in made]) - 1.3
    factors = np.where(x > 0, x / 0.05, x / -0.1)
    assert np.sum(x > 0) == 20  # every structure as often as the others
    assert 0.99 < factors.min() < 1.1 and 1.4 < factors.max() < 1.51 and len(set(factors.round(6))) == 40
    ase.io.write(tmp_path / "made.xyz", made)
    for s, result in zip(read(tmp_path / "made.xyz"), Morse().compute_many(made), strict=True):
        assert s.energy == pytest.approx(result.energy, abs=1e-7) and s.config_type == "stretched"
        np.testing.assert_allclose(s.forces, result.forces, atol=1e-7)
        assert (s.stress is None) == (not cell)
        if cell:
            np.testing.assert_allclose(s.stress, result.stress, atol=1e-7)


def test_the_seed_decides():
    a, b, c = (stretched(Morse(), dimers(1.35, 1.2), count=3, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(x.positions, y.positions) for x, y in zip(a, b, strict=True))
    assert not all(np.array_equal(x.positions, y.positions) for x, y in zip(a, c, strict=True))


def test_refusals():
    with pytest.raises(InputError, match="count must be 1 or more"):
        stretched(Morse(), dimers(1.3), count=0)
    with pytest.raises(InputError, match="count must be 1 or more, of 1 or more structures"):
        stretched(Morse(), [], count=1)
    with pytest.raises(InputError, match="stretch must be 1 or more"):
        stretched(Morse(), dimers(1.3), count=1, stretch=0.9)
    with pytest.raises(NumericsError, match="frame 0.*no minimum near this structure: atoms 0 and 1 are too near"):
        stretched(Collapsing(), dimers(1.1), count=1)
