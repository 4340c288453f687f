"""Second derivatives against differences of forces and virials, for every network; symmetry; strain; threads."""

import functools

import numpy as np
import pytest
from random_structures import NETWORKS, TRICLINIC, crystal, molecule, network

import nbcore
from nbcore.errors import InputError


@pytest.fixture(scope="module", params=list(NETWORKS))
def potential(request):
    pot = network(request.param)
    pot.radial_splines = False  # second derivatives are those of the networks
    return pot


def moved(potential, structure, v, S, t):
    """Forces and virial at r + t v, strained by 1 + t S."""
    x, species, cell, pbc = structure
    F = np.eye(3) + t * S
    return potential.compute((x + t * v) @ F.T, species, None if cell is None else cell @ F.T, pbc)


def derivative(f, h=1e-4):
    """d f / dt at 0 by the five-point formula of sixth order."""
    return sum(c * (f(k * h) - f(-k * h)) for k, c in ((1, 45), (2, -9), (3, 1))) / (60 * h)


def structures():
    rng = np.random.default_rng(3)
    yield *molecule(rng, 7), None, False
    yield crystal(rng, 5)
    yield crystal(rng, 70, cell=2.2 * TRICLINIC)  # several blocks


def test_products_are_derivatives_of_forces_and_virials(potential):
    rng = np.random.default_rng(4)
    for structure in structures():
        x, species, cell, pbc = structure
        v, S = rng.normal(size=x.shape), 0.1 * rng.normal(size=(3, 3))
        h = potential.hvp(x, species, v, cell, pbc, strain=S)
        at = functools.partial(moved, potential, structure, v, S)
        forces, virial = derivative(lambda t, at=at: at(t).forces), derivative(lambda t, at=at: at(t).virial)
        assert np.abs(h.product + forces).max() < 1e-7 * max(1, np.abs(forces).max())
        assert np.abs(h.virial - virial).max() < 1e-7 * max(1, np.abs(virial).max())


def test_hessian_is_symmetric_and_knows_translations(potential):
    for x, species, cell, pbc in list(structures())[:2]:
        H = potential.hessian(x, species, cell, pbc)
        largest = np.abs(H).max()
        assert np.abs(H - H.transpose(2, 3, 0, 1)).max() < 1e-12 * largest
        assert np.abs(H.sum(axis=2)).max() < 1e-11 * largest
        v = np.random.default_rng(5).normal(size=x.shape)
        assert (
            np.abs(np.einsum("iajb,jb->ia", H, v) - potential.hvp(x, species, v, cell, pbc).product).max()
            < 1e-11 * largest
        )


def test_strain_is_the_second_derivative_of_the_energy(potential):
    """d virial / dt along the strain of the virial: the energy's second derivative, dE = -W : S dt to first order."""
    x, species, cell, pbc = crystal(np.random.default_rng(6), 6)
    S = np.array([[0.3, 0.1, 0.0], [0.1, -0.2, 0.05], [0.0, 0.05, 0.1]])

    def slope(t):  # dE/dt at r = (1 + t S) r_0: minus the virial by the velocity gradient S (1 + t S)^-1
        W = moved(potential, (x, species, cell, pbc), 0 * x, S, t).virial
        return -np.sum(W * (S @ np.linalg.inv(np.eye(3) + t * S)).T)

    h = potential.hvp(x, species, None, cell, pbc, strain=S)
    W = potential.compute(x, species, cell, pbc).virial
    expected = -np.sum(h.virial * S.T) + np.sum(W * (S @ S).T)
    assert abs(derivative(slope) - expected) < 1e-7 * max(1, abs(expected))


def test_parts_move_with_their_atoms():
    """Networks over composition schemes: nodes above the atoms have the tangents of their atoms."""
    pot = nbcore.presets.tree(species=["H", "O"], cutoff=3.0, channels=4, labels="molecule", tree_levels=2, seed=1)
    x, species = molecule(np.random.default_rng(9), 8, ["H", "O"])
    scheme = pot.scheme(x, labels={"molecule": [0, 0, 0, 0, 1, 1, 1, 1]})
    v = np.random.default_rng(10).normal(size=x.shape)
    S = 0.1 * np.random.default_rng(11).normal(size=(3, 3))
    h = pot.hvp(x, species, v, strain=S, scheme=scheme)

    def at(t):
        return pot.compute((x + t * v) @ (np.eye(3) + t * S).T, species, scheme=scheme)

    forces, virial = derivative(lambda t: at(t).forces), derivative(lambda t: at(t).virial)
    assert np.abs(h.product + forces).max() < 1e-7 * max(1, np.abs(forces).max())
    assert np.abs(h.virial - virial).max() < 1e-7 * max(1, np.abs(virial).max())
    H = pot.hessian(x, species, scheme=scheme)
    assert np.abs(H - H.transpose(2, 3, 0, 1)).max() < 1e-12 * np.abs(H).max()


def test_many_directions_threads_and_refusals():
    pot = network(next(iter(NETWORKS)))
    x, species, cell, pbc = crystal(np.random.default_rng(7), 80, cell=2.3 * TRICLINIC)
    v = np.random.default_rng(8).normal(size=(3, *x.shape))
    many = pot.hvp(x, species, v, cell, pbc, threads=2)
    for k in range(3):
        one = pot.hvp(x, species, v[k], cell, pbc, threads=1)
        assert np.array_equal(one.product, many.product[k]) and np.array_equal(one.virial, many.virial[k])
    assert pot.hvp(np.zeros((0, 3)), [], np.zeros((0, 3))).product.shape == (0, 3)
    assert pot.hvp(x, species, np.zeros((0, *x.shape)), cell, pbc).product.shape == (0, *x.shape)
    alone = pot.hvp(x[:1], species[:1], np.ones((1, 3)))
    assert np.array_equal(alone.product, np.zeros((1, 3)))
    for wrong in (v[0][:-1], v[0].T, np.full_like(v[0], np.nan)):
        with pytest.raises(InputError, match="vectors"):
            pot.hvp(x, species, wrong, cell, pbc)
    with pytest.raises(InputError, match="vectors .* strain"):
        pot.hvp(x, species, cell=cell, pbc=pbc)
    with pytest.raises(InputError, match="strain"):
        pot.hvp(x, species, v[0], cell, pbc, strain=np.eye(2))
    with pytest.raises(TypeError):
        pot.hvp(x, species, np.full(x.shape, "a"), cell, pbc)


def test_potentials_without_an_energy_have_none():
    pot = nbcore.presets.nbody(species=["H", "O"], cutoff=4.0, channels=4, outputs=["dipole"], energy=False)
    with pytest.raises(InputError, match="no energy"):
        pot.hvp(np.eye(3), ["H", "H", "O"], np.ones((3, 3)))
