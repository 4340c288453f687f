"""Elastic constants against differences of stresses at finite strains, where forces are what they were."""

import numpy as np
import pytest
from random_structures import TRICLINIC, crystal, molecule, network

import nbcore
from nbcore.elasticity import elastic_constants
from nbcore.errors import InputError

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def followed(pot, x, species, cell, forces):
    """Where the atoms near x feel these forces again, atom 0 held: crystals move as a whole at no cost."""
    for _ in range(20):
        F = pot.compute(x, species, cell, True).forces - forces
        if np.abs(F).max() < 1e-12 * max(1, np.abs(forces).max()):
            return x
        step = np.zeros_like(x)
        H = pot.hessian(x, species, cell, True)[1:, :, 1:].reshape(2 * [3 * len(x) - 3])
        step[1:] = np.linalg.solve(H, F[1:].ravel()).reshape(-1, 3)
        x = x + step
    pytest.fail("Newton's method does not converge")


def stress(pot, x, species, cell, k, t, forces):
    """The Cauchy stress at strain t of Voigt's kind k, in Voigt's order."""
    S = np.zeros((3, 3))
    S[VOIGT[k]] = S[VOIGT[k][::-1]] = 1 if k < 3 else 0.5
    F = np.eye(3) + t * S
    x, cell = x @ F, cell @ F
    x = x if forces is None else followed(pot, x, species, cell, forces)
    return np.array([pot.compute(x, species, cell, True).stress[v] for v in VOIGT])


@pytest.mark.parametrize("name", ["nbody-scalars", "cormorant"])
def test_finite_strains(name, h=1e-4):
    pot = network(name)
    x, species, cell, _ = crystal(np.random.default_rng(2), 3)
    forces = pot.compute(x, species, cell, True).forces  # a random network has them; they are to stay
    C = elastic_constants(pot, x, species, cell)
    for k in (1, 3):
        for kept, exact in ((forces, C.relaxed), (None, C.clamped)):
            at = {m: stress(pot, x, species, cell, k, m * h, kept) for m in (-3, -2, -1, 1, 2, 3)}
            differences = sum(c * (at[m] - at[-m]) for m, c in ((1, 45), (2, -9), (3, 1))) / (60 * h)
            assert np.abs(differences - exact[:, k]).max() < 1e-6 * np.abs(exact).max()
    assert np.abs(C.relaxed - C.clamped).max() > 1e-3 * np.abs(C.clamped).max()


def test_of_a_cubic_crystal_and_committees():
    """Diamond has three constants; those of a committee are second derivatives of its mean energy."""
    cell = 2.7 * (1 - np.eye(3))
    structure = [[0, 0, 0], [1.35, 1.35, 1.35]], ["Si", "Si"], cell
    pots = [nbcore.presets.nbody(species=["Si"], cutoff=4.5, channels=4, seed=k) for k in range(2)]
    C = elastic_constants(pots[0], *structure)
    for constants in C:
        c11, c12, c44 = constants[0, 0], constants[0, 1], constants[3, 3]
        cubic = np.diag([c11 - c12] * 3 + [c44] * 3)
        cubic[:3, :3] += c12
        assert np.abs(constants - cubic).max() < 1e-12 * np.abs(constants).max()
    assert abs(C.relaxed[3, 3] - C.clamped[3, 3]) > 1e-6  # the two lattices slide against each other
    mean = elastic_constants(nbcore.Committee(pots), *structure).clamped
    assert np.allclose(mean, np.mean([elastic_constants(pot, *structure).clamped for pot in pots], axis=0), rtol=1e-12)


def test_refusals():
    pot = network("nbody-pairs")
    with pytest.raises(InputError, match="periodic"):
        elastic_constants(pot, *molecule(np.random.default_rng(2), 4), np.eye(3) * 5, pbc=[True, True, False])
    with pytest.raises(InputError, match="without atoms"):
        elastic_constants(pot, np.zeros((0, 3)), [], TRICLINIC)
    far = 40 * np.eye(3)  # nothing holds these atoms
    with pytest.raises(InputError, match="3 motions"):
        elastic_constants(pot, [[0, 0, 0], [20, 0, 0]], ["H", "O"], far)
