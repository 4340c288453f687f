"""Energies and forces under all that must not matter, at the cutoff and at the edges."""

import itertools

import numpy as np
import pytest

import nbcore
from nbcore.errors import InputError, NumericsError

CUTOFF = 4.0
E0S = {"H": -13.6, "C": -1030.5, "O": -2041.3}


@pytest.fixture(scope="module")
def potential():
    return nbcore.presets.nbody(species=["H", "C", "O"], cutoff=CUTOFF, channels=4, seed=2, E0s=E0S)


CELL = np.array([[3.4, 0, 0], [0.9, 3.1, 0], [-0.6, 0.8, 3.7]])
FRACTIONS = np.array([[0.02, 0.05, 0.01], [0.45, 0.4, 0.1], [0.1, 0.6, 0.55], [0.6, 0.15, 0.7]])
SPECIES = ["C", "O", "H", "H"]


def assert_same(a, b, tolerance):
    assert abs(a.energy - b.energy) <= tolerance
    assert np.abs(a.forces - b.forces).max() <= tolerance


@pytest.mark.parametrize("pbc", list(itertools.product([False, True], repeat=3)))
def test_aperiodic_vectors_do_not_matter(potential, pbc):
    """Exactly the same for zero, parallel and huge vectors along directions that are not periodic."""
    positions = FRACTIONS @ CELL
    expected = potential.compute(positions, SPECIES, CELL, pbc)
    for filling in (np.zeros((3, 3)), CELL[[1, 2, 0]], np.full((3, 3), 1e200)):
        got = potential.compute(positions, SPECIES, np.where(np.array(pbc)[:, None], CELL, filling), pbc)
        assert got.energy == expected.energy and np.array_equal(got.forces, expected.forces)
        assert np.array_equal(got.virial, expected.virial)


def test_wrapping_does_not_matter(potential):
    """Every atom moved by its own lattice vector."""
    rng = np.random.default_rng(0)
    expected = potential.compute(FRACTIONS @ CELL, SPECIES, CELL, True)
    for _ in range(5):
        moved = (FRACTIONS + rng.integers(-50, 51, FRACTIONS.shape)) @ CELL
        got = potential.compute(moved, SPECIES, CELL, True)
        assert_same(got, expected, 1e-10)
        assert np.abs(got.virial - expected.virial).max() < 1e-10


@pytest.mark.parametrize("fraction", [-5e-17, 1 - 1e-17, 1.0, -1e-300, -4e-52])
def test_atom_on_a_face(potential, fraction):
    """A fraction that rounds to 0 or 1."""
    on_face = FRACTIONS.copy()
    on_face[0] = 0
    expected = potential.compute(on_face @ CELL, SPECIES, CELL, True)
    on_face[0] = fraction
    assert_same(potential.compute(on_face @ CELL, SPECIES, CELL, True), expected, 1e-10)


@pytest.mark.parametrize("repeat", [(2, 1, 1), (1, 3, 2), (3, 3, 3)])
def test_supercell(potential, repeat):
    """The energy multiplies, the forces are copied; the large ones are cut into blocks, the small one is not."""
    one = potential.compute(FRACTIONS @ CELL, SPECIES, CELL, True)
    n = int(np.prod(repeat))
    images = np.array(list(itertools.product(*map(range, repeat))))
    positions = ((images[:, None] + FRACTIONS) @ CELL).reshape(-1, 3)
    many = potential.compute(positions, SPECIES * n, np.diag(repeat) @ CELL, True)
    assert abs(many.energy / n - one.energy) / len(SPECIES) < 1e-11
    assert np.abs(many.forces - np.tile(one.forces, (n, 1))).max() < 1e-11
    assert np.abs(many.stress - one.stress).max() < 1e-12


def test_cell_much_smaller_than_the_cutoff(potential):
    """One atom, a cell of 0.4 times the cutoff (some 270 neighbours)."""
    cell = 0.4 * CUTOFF * np.array([[1, 0, 0], [0.1, 1, 0], [0, -0.2, 1.1]])
    one = potential.compute([[0.3, 0.2, 0.1]], ["C"], cell, True)
    images = np.array(list(itertools.product(range(3), repeat=3))) @ cell
    many = potential.compute(images, ["C"] * 27, 3 * cell, True)
    assert abs(many.energy / 27 - one.energy) < 1e-11 * abs(one.energy)
    assert np.abs(one.forces).max() < 1e-11 and np.abs(many.forces).max() < 1e-11
    assert np.abs(many.stress - one.stress).max() < 1e-10


@pytest.mark.parametrize("change", [[[1, 2, 0], [0, 1, -1], [0, 0, 1]], [[1, 0, 0], [1, 1, 0], [0, 2, -1]]])
def test_change_of_lattice_basis(potential, change):
    """Determinant 1 and -1."""
    positions = FRACTIONS @ CELL
    a = potential.compute(positions, SPECIES, CELL, True)
    b = potential.compute(positions, SPECIES, np.array(change) @ CELL, True)
    assert_same(a, b, 1e-11)
    assert np.abs(a.stress - b.stress).max() < 1e-11


def test_isolated_atoms(potential):
    """The sum of the references exactly, no force at all, the right shapes."""
    nothing = potential.compute(np.zeros((0, 3)), [])
    assert nothing.energy == 0.0 and nothing.forces.shape == (0, 3) and nothing.energies.shape == (0,)
    assert not nothing.virial.any()
    for symbol, energy in E0S.items():
        assert potential.compute([[1.0, 2.0, 3.0]], [symbol]).energy == energy
        assert potential.compute([[1.0, 2.0, 3.0]], [symbol], 10 * np.eye(3), True).energy == energy
    positions = 50.0 * np.arange(12).reshape(4, 3)
    apart = potential.compute(positions, SPECIES)
    assert apart.energy == sum(E0S[s] for s in SPECIES)
    assert not apart.forces.any() and not apart.virial.any()
    molecule = potential.compute(FRACTIONS @ CELL, SPECIES)
    with_guest = potential.compute(np.vstack([FRACTIONS @ CELL, [[99.0, 0, 0]]]), [*SPECIES, "O"])
    assert np.array_equal(with_guest.forces[:4], molecule.forces) and not with_guest.forces[4].any()
    assert with_guest.energies[4] == E0S["O"] and np.array_equal(with_guest.energies[:4], molecule.energies)


@pytest.mark.parametrize("pair", list(itertools.combinations_with_replacement("HCO", 2)))
@pytest.mark.parametrize("third", [False, True])
def test_smooth_at_the_cutoff(potential, pair, third):
    """From half to 1.1 cutoffs no kink in the force; next to the cutoff it vanishes at least like the distance."""
    others = [[0.2, 1.3, 0.4]] if third else []
    species = [*pair, *["O"] * len(others)]

    def at(d):
        return potential.compute([[0, 0, 0], [d, 0, 0], *others], species)

    h = 0.004
    force = np.array([at(d).forces[1] for d in np.arange(0.5 * CUTOFF, 1.1 * CUTOFF, h)])
    kinks = np.abs(force[2:] - 2 * force[1:-1] + force[:-2]).max()
    assert 0 < kinks < 0.01 * np.abs(force).max()

    beyond = at(CUTOFF)
    for d in (CUTOFF, np.nextafter(CUTOFF, 9), 1.1 * CUTOFF):
        far = at(d)
        if not third:  # else atom 1 may still see the third
            assert far.energy == sum(E0S[s] for s in species) and not far.forces.any()
    for delta in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
        inside, outside = at(CUTOFF - delta), at(CUTOFF + delta)
        assert np.abs(inside.forces - outside.forces).max() < 100 * delta * np.abs(force).max()
        if delta == 1e-7:
            drift = 2 * delta * np.abs(beyond.forces).max()  # what the third atom does over this way
            assert abs(inside.energy - outside.energy) < 1e-12 * max(1, abs(beyond.energy)) + drift
            if not third:
                assert np.abs(inside.forces).max() < 1e-9


@pytest.mark.parametrize("distance", [0.0, 1e-300, 1e-160, 1e-8, 0.05])
def test_atoms_on_top_of_each_other(potential, distance):
    """Both atoms and their distance, never NaN."""
    positions = np.vstack([FRACTIONS @ CELL, FRACTIONS[1] @ CELL + [0, 0, distance]])
    with pytest.raises(NumericsError, match="atoms 1 and 4"):
        potential.compute(positions, [*SPECIES, "H"], CELL, True)
    with pytest.raises(NumericsError, match=rf"atoms 0 and 1 are {distance:.6g} "):
        potential.compute([[0, 0, 0], [distance, 0, 0]], ["C", "H"])


@pytest.mark.parametrize(
    "change, text",
    [
        ({"positions": np.where(FRACTIONS == 0.6, np.nan, FRACTIONS)}, "y of atom 2 is nan"),
        ({"cell": np.full((3, 3), np.inf)}, "x of vector a is inf"),
        ({"cell": CELL * 1e30}, "too large"),
        ({"cell": CELL * [1, 1, 0]}, "in one plane"),
        ({"cell": None}, "vector a is zero"),
        ({"cell": CELL * 1e-7}, "neighbours"),
    ],
)
def test_refused_before_anything_runs(potential, change, text):
    """And the potential is as good as before."""
    good = {"positions": FRACTIONS @ CELL, "species": SPECIES, "cell": CELL, "pbc": True}
    before = potential.compute(**good)
    with pytest.raises(InputError, match=text):
        potential.compute(**(good | change))
    assert potential.compute(**good).energy == before.energy


@pytest.mark.parametrize("shift", [1e3, 1e6, 1e9])
def test_far_from_the_origin(potential, shift):
    """Differences are formed before anything is rounded."""
    positions = FRACTIONS @ CELL
    near = potential.compute(positions, SPECIES)
    far = potential.compute(positions + shift, SPECIES)
    bond = 1.0
    scale = np.abs(near.forces).max()
    assert np.abs(far.forces - near.forces).max() <= 10 * np.finfo(float).eps * shift / bond * scale
    exact = np.round(positions * 2**20) / 2**20  # moved without rounding: the same bits
    a, b = potential.compute(exact, SPECIES), potential.compute(exact + np.round(shift), SPECIES)
    assert a.energy == b.energy and np.array_equal(a.forces, b.forces)
