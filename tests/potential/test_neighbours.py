"""Neighbour list against a brute force over images, against ASE, and at the edges."""

import itertools

import ase.build
import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from nbcore._core import neighbours
from nbcore.errors import InputError, NumericsError


def brute_force(positions, cell, pbc, cutoff):
    """Every pair, every image within reach of the planes of the periodic directions; {(i, j, S): vector}."""
    periodic = np.flatnonzero(pbc)
    lattice = np.asarray(cell, float)[periodic]
    dual = np.linalg.pinv(lattice) if len(periodic) else np.zeros((3, 0))
    reach = cutoff * np.linalg.norm(dual, axis=0) + 1e-6
    found = {}
    for i, j in itertools.product(range(len(positions)), repeat=2):
        d = positions[j] - positions[i]
        f = d @ dual
        ranges = [np.arange(np.floor(-x - w), np.ceil(-x + w) + 1) for x, w in zip(f, reach, strict=True)]
        images = np.stack(np.meshgrid(*ranges, indexing="ij"), -1).reshape(-1, len(periodic)) if ranges else [[]]
        images = np.asarray(images, float)
        vectors = d + images @ lattice
        for k in np.flatnonzero(np.linalg.norm(vectors, axis=1) < cutoff):
            shift = np.zeros(3, int)
            shift[periodic] = images[k]
            if i != j or shift.any():
                found[(i, j, *shift.tolist())] = vectors[k]
    return found


def as_dict(result):
    parent, child, shift, vector = result
    pairs = {(int(i), int(j), *map(int, s)): v for i, j, s, v in zip(parent, child, shift, vector, strict=True)}
    assert len(pairs) == len(parent), "a pair is listed twice"
    return pairs


def assert_sorted(result):
    parent, child, shift, _ = result
    keys = [(i, j, *s) for i, j, s in zip(parent.tolist(), child.tolist(), shift.tolist(), strict=True)]
    assert keys == sorted(keys)


def assert_symmetric(result):
    """(i, j, S) and (j, i, -S) are both there, their vectors negatives of each other to the last bit."""
    pairs = as_dict(result)
    for (i, j, *s), v in pairs.items():
        assert np.array_equal(pairs[(j, i, *(-x for x in s))], -v)


def assert_same(got, expected, cutoff, tolerance):
    """Equal up to pairs so close to the cutoff that rounding decides."""
    for key in got.keys() ^ expected.keys():
        v = got.get(key, expected.get(key))
        assert abs(np.linalg.norm(v) - cutoff) < tolerance, key
    for key in got.keys() & expected.keys():
        assert np.abs(got[key] - expected[key]).max() <= tolerance, key


@st.composite
def cells(draw):
    """Triclinic cells: angles tilted up to 80 degrees, left- or right-handed, edges over a ratio of 10."""
    lengths = np.array([draw(st.floats(0.5, 5)) for _ in range(3)])
    tilt = [np.tan(np.radians(draw(st.floats(-80, 80)))) for _ in range(3)]
    cell = np.diag(lengths)
    cell[1, 0], cell[2, 0], cell[2, 1] = tilt[0] * lengths[0], tilt[1] * lengths[0], tilt[2] * lengths[1]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]  # determinant +1 or -1
    return cell[rng.permutation(3)] @ rotation


def smallest_width(cell, pbc):
    periodic = np.flatnonzero(pbc)
    if not len(periodic):
        return 2.0
    return 1 / np.linalg.norm(np.linalg.pinv(cell[periodic]), axis=0).max()


@settings(max_examples=120)
@given(
    cell=cells(),
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    n=st.integers(1, 12),
    widths=st.floats(0.3, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_brute_force(cell, pbc, n, widths, seed):
    rng = np.random.default_rng(seed)
    cutoff = min(widths * smallest_width(cell, pbc), 3 * abs(np.linalg.det(cell)) ** (1 / 3))
    positions = (rng.random((n, 3)) + rng.integers(-50, 51, (n, 3)) * rng.integers(0, 2)) @ cell
    result = neighbours(positions, cell, pbc, cutoff, r_min=0)
    tolerance = 1e-13 * max(1, np.abs(positions).max(), np.abs(cell).max())
    assert_same(as_dict(result), brute_force(positions, cell, pbc, cutoff), cutoff, tolerance)
    assert_sorted(result)
    assert_symmetric(result)


@pytest.mark.parametrize("pbc", list(itertools.product([False, True], repeat=3)))
def test_ase_many_bins(pbc):
    atoms = ase.build.bulk("Si", cubic=True) * (4, 3, 3)
    atoms.rattle(0.1, seed=1)
    atoms.set_cell(atoms.cell.array + 0.6 * np.random.default_rng(0).normal(size=(3, 3)), scale_atoms=True)
    atoms.pbc = pbc
    result = neighbours(atoms.positions, atoms.cell.array, pbc, 4.2)
    i, j, shift, vector = neighbor_list("ijSD", atoms, 4.2)
    expected = {(a, b, *s): v for a, b, s, v in zip(i.tolist(), j.tolist(), shift.tolist(), vector, strict=True)}
    assert len(expected) > 1000
    assert_same(as_dict(result), expected, 4.2, 1e-12)
    assert_sorted(result)
    assert_symmetric(result)


def test_sparse_system_has_few_bins():
    """A cluster and one atom far away along the diagonal: the number of bins stays bounded."""
    rng = np.random.default_rng(3)
    positions = np.concatenate([6 * rng.random((40, 3)), [[1e6, 1e6, -1e6]]])
    expected = brute_force(positions, np.zeros((3, 3)), [False] * 3, 3.0)
    assert as_dict(neighbours(positions, None, False, 3.0, r_min=0)).keys() == expected.keys()


@pytest.mark.parametrize("pbc", list(itertools.product([False, True], repeat=3)))
def test_aperiodic_vectors_are_ignored(pbc):
    rng = np.random.default_rng(5)
    cell = 3 * np.eye(3) + 0.3 * rng.normal(size=(3, 3))
    positions = rng.random((9, 3)) @ cell
    expected = neighbours(positions, cell, pbc, 4.0)
    aperiodic = ~np.array(pbc)
    for filling in (np.zeros((3, 3)), cell[[1, 2, 0]], 1e300 * np.ones((3, 3)), 1e-300 * rng.normal(size=(3, 3))):
        other = np.where(aperiodic[:, None], filling, cell)
        for got, want in zip(neighbours(positions, other, pbc, 4.0), expected, strict=True):
            assert np.array_equal(got, want)


def test_wrapping_does_not_matter():
    rng = np.random.default_rng(7)
    cell = np.array([[4.1, 0, 0], [1.2, 3.9, 0], [-0.8, 2.0, 5.0]])
    positions = rng.random((8, 3)) @ cell
    parent, child, shift, vector = neighbours(positions, cell, True, 4.0)
    move = rng.integers(-50, 51, (8, 3))
    moved = neighbours(positions + move @ cell, cell, True, 4.0)
    expected = {
        (int(i), int(j), *(s + move[i] - move[j]).tolist()): v
        for i, j, s, v in zip(parent, child, shift, vector, strict=True)
    }
    assert as_dict(moved).keys() == expected.keys()
    assert_same(as_dict(moved), expected, 4.0, 1e-11)


@pytest.mark.parametrize("fraction", [-5e-17, 1 - 1.2e-16, 1 - 1e-17, 1.0, -1e-300, 0.0, -0.0])
@pytest.mark.parametrize("length", [1.0, 0.4, 7.3, 40.0])
def test_atoms_on_the_faces(fraction, length):
    """A fraction that rounds to 1 must not fall out of the last bin."""
    positions = length * np.array([[fraction, 0.5, 0.5], [0.1, 0.5, 0.5], [fraction, -4e-52, 0.97]])
    cell = length * np.eye(3)
    expected = brute_force(positions, cell, [True] * 3, 2.3)
    assert_same(as_dict(neighbours(positions, cell, True, 2.3)), expected, 2.3, 1e-13)


def test_supercell_multiplies_pairs():
    rng = np.random.default_rng(9)
    cell = np.array([[2.0, 0, 0], [0.7, 1.9, 0], [0.3, -0.9, 2.1]])  # cutoff 5: 27 images are far from enough
    positions = rng.random((3, 3)) @ cell
    one = np.sort(np.linalg.norm(neighbours(positions, cell, True, 5.0)[3], axis=1))
    for repeat in ((2, 1, 1), (2, 3, 1), (3, 3, 3)):
        images = np.array(list(itertools.product(*map(range, repeat)))) @ cell
        many = (images[:, None] + positions).reshape(-1, 3)
        result = neighbours(many, np.diag(repeat) @ cell, True, 5.0)
        got = np.sort(np.linalg.norm(result[3], axis=1))
        assert got.shape == (np.prod(repeat) * len(one),)
        assert np.abs(got - np.repeat(one, np.prod(repeat))).max() < 1e-13


@pytest.mark.parametrize("determinant", [1, -1])
def test_change_of_lattice_basis(determinant):
    rng = np.random.default_rng(11)
    cell = 3 * np.eye(3) + 0.4 * rng.normal(size=(3, 3))
    positions = rng.random((6, 3)) @ cell
    change = np.array([[1, 2, -1], [0, 1, 3], [0, 0, determinant]])
    a = neighbours(positions, cell, True, 4.0)
    b = neighbours(positions, change @ cell, True, 4.0)
    inverse = np.rint(np.linalg.inv(change)).astype(int)
    expected = {(i, j, *(np.array(s) @ inverse).tolist()): v for (i, j, *s), v in as_dict(a).items()}
    assert_same(as_dict(b), expected, 4.0, 1e-12)
    assert len(a[0]) == len(b[0])


def test_exactly_at_the_cutoff():
    """Strictly inside counts; and however rounding falls, both sides agree."""
    for r, inside in ((2.5, False), (np.nextafter(2.5, 0), True), (np.nextafter(2.5, 3), False)):
        assert len(neighbours([[0, 0, 0], [0, 0, r]], None, False, 2.5)[0]) == 2 * inside
    rng = np.random.default_rng(13)
    for _ in range(300):
        cell = 2 * np.eye(3) + 0.3 * rng.normal(size=(3, 3))
        positions = rng.random((4, 3)) @ cell + rng.normal(scale=30, size=3)
        _, _, _, vector = neighbours(positions, cell, True, 3.0, r_min=0)
        cutoff = np.linalg.norm(vector[rng.integers(len(vector))])  # one pair lies at the cutoff to rounding
        assert_symmetric(neighbours(positions, cell, True, cutoff, r_min=0))


def test_few_atoms():
    for n in (0, 1):
        parent, child, shift, vector = neighbours(np.zeros((n, 3)), None, False, 5.0)
        assert (parent.shape, child.shape, shift.shape, vector.shape) == ((0,), (0,), (0, 3), (0, 3))
    assert len(neighbours(np.zeros((0, 3)), np.eye(3), True, 5.0)[0]) == 0
    assert len(neighbours([[7.0, 8.0, 9.0]], np.eye(3), True, 1.1)[0]) == 6


@pytest.mark.parametrize("distance", [0.0, 1e-300, 1e-160, 1e-8, 0.99e-3])
def test_overlapping_atoms(distance):
    positions = [[0, 0, 0], [5, 0, 0], [0, 1, 0], [5, 0, distance]]
    with pytest.raises(NumericsError, match=rf"atoms 1 and 3 are {distance:.6g}"):
        neighbours(positions, None, False, 3.0)
    positions[3][2] += 40  # the same through the boundary
    with pytest.raises(NumericsError, match="atoms 1 and 3"):
        neighbours(positions, np.diag([40, 40, 40]), True, 3.0)
    with pytest.raises(NumericsError, match="atom 0 and its own image"):
        neighbours([[0, 0, 0]], np.diag([0.9e-3, 10, 10]), [True, False, False], 0.01)


def test_shifted_clusters():
    """Differences are taken between original positions: exact while the shifted positions are."""
    rng = np.random.default_rng(17)
    for shift in (1e3, 1e6, 1e9):
        far = shift + np.round(6 * rng.random((20, 3)), 2)
        near = far - shift  # exact
        cell = 8.0 * np.eye(3)
        assert np.array_equal(neighbours(far, None, False, 3.0)[3], neighbours(near, None, False, 3.0)[3])
        a, b = neighbours(far, cell, True, 3.0), neighbours(near, cell, True, 3.0)
        assert np.array_equal(a[3], b[3]) and np.array_equal(a[2], b[2])


nan, inf = np.nan, np.inf
diagonal = np.eye(3) * 4


@pytest.mark.parametrize(
    "positions, cell, pbc, cutoff, text",
    [
        ([[0, 0, 0], [0, nan, 0]], None, False, 3.0, "y of atom 1 is nan"),
        ([[0, 0, -inf]], None, False, 3.0, "z of atom 0 is -inf"),
        ([[0, 0, 0]], np.where(diagonal > 0, nan, 0), True, 3.0, "x of vector a is nan"),
        ([[0, 0, 0]], np.diag([4, 4, inf]), [True, True, False], 3.0, "z of vector c is inf"),
        ([[0, 0, 0]], np.diag([4, 0, 4]), True, 3.0, "vector b is zero"),
        ([[0, 0, 0]], None, [False, False, True], 3.0, "vector c is zero"),
        ([[0, 0, 0]], [[1, 0, 0], [0, 1, 0], [1, 1, 0]], True, 3.0, "in one plane"),
        ([[0, 0, 0]], [[1, 2, 3], [2, 4, 6], [0, 0, 1]], [True, True, False], 3.0, "vectors a and b are parallel"),
        ([[0, 0, 0]], diagonal, True, 0.0, "cutoff must be a positive number, got 0"),
        ([[0, 0, 0]], diagonal, True, -1.0, "got -1"),
        ([[0, 0, 0]], diagonal, True, nan, "got nan"),
        ([[0, 0, 0]], diagonal, True, inf, "got inf"),
        ([[0, 0, 0]], diagonal * 1e30, True, 3.0, "too large for a cutoff"),
        ([[0, 0, 0]], diagonal * 1e300, True, 3.0, "too large for a cutoff"),
        ([[0, 0, 0]], diagonal * 1e-30, True, 3.0, "same unit"),
        ([[0, 0, 0]], diagonal * 1e-308, True, 3.0, "same unit"),
        ([[0, 0, 0]], diagonal, True, 1e30, "same unit"),
        ([[0, 0, 0]], diagonal, True, 1e300, "same unit"),
        ([[0, 0, 0]], np.diag([1e-6, 1e4, 1e4]), True, 50.0, "same unit|too thin"),
        ([[0, 0, 0]], np.diag([1e-9, 1e-9, 1]), [True, False, False], 3.0, "same unit|too thin"),
        ([[0, 0, 0], [0, 1e30, 0]], None, False, 3.0, "atom 1 lies 1e\\+30"),
        ([[0, 0, 1e300]], diagonal, True, 3.0, "atom 0 lies 1e\\+300"),
        ([[1e8, 0, 0]], 0.05 * np.eye(3), True, 0.5, "cells away along a"),
        ([[0, 0]], diagonal, True, 3.0, "shape \\(N, 3\\), got \\(1, 2\\)"),
        ([0, 0, 0], diagonal, True, 3.0, "got \\(3,\\)"),
        ([[0, 0, 0], [0, 0]], diagonal, True, 3.0, "rectangular"),
        ([[0, 0, 0]], np.eye(2), True, 3.0, "cell must have shape"),
        ([[0, 0, 0]], diagonal, [True, False], 3.0, "pbc"),
        ([[0, 0, 0]], diagonal, 2, 3.0, "got 2"),
    ],
)
def test_refused(positions, cell, pbc, cutoff, text):
    with pytest.raises(InputError, match=text):
        neighbours(positions, cell, pbc, cutoff)


@pytest.mark.parametrize(
    "positions, pbc",
    [
        (None, True), ("abc", True), ([["0", "1", "2"]], True), ([[None] * 3], True), ([[1j, 0, 0]], True),
        ([[0, 0, 0]], "TFT"), ([[0, 0, 0]], None), ([[0, 0, 0]], 1.0),
    ],
)  # fmt: skip
def test_wrong_types(positions, pbc):
    with pytest.raises(TypeError):
        neighbours(positions, diagonal, pbc, 3.0)


def test_array_layouts():
    """Strided, Fortran-ordered, byte-swapped, read-only, single-precision and integer positions; inputs untouched."""
    positions = np.arange(21.0).reshape(7, 3) % 11
    expected = neighbours(positions, diagonal * 2, True, 3.0)
    wide = np.zeros((14, 6))
    wide[::-2, ::2] = positions
    frozen = positions.copy()
    frozen.flags.writeable = False
    for other in (
        wide[::-2, ::2], np.asfortranarray(positions), positions.astype(">f8"), frozen, positions.astype(np.float32),
        positions.astype(int), positions.tolist(),
    ):  # fmt: skip
        for got, want in zip(neighbours(other, diagonal * 2, True, 3.0), expected, strict=True):
            assert np.array_equal(got, want)
    assert np.array_equal(positions, np.arange(21.0).reshape(7, 3) % 11)
