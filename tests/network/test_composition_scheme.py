"""CompositionScheme: what its builders make, and what it refuses."""

import numpy as np
import pytest

from nbcore import CompositionScheme

H2O = np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])


def two_waters():
    scheme = CompositionScheme(6)
    scheme.add("molecules", [[0, 1, 2], [3, 4, 5]])
    scheme.add("dimer", [[0, 1]], children="molecules")
    return scheme


def test_sets_hold_what_they_were_given():
    scheme = CompositionScheme(5)
    scheme.add("parts", [[2, 0], [1, 2]], classes=[1, 0], positions=[[0.25, 0.75], [0.5, 0.25, 0.25]], atoms=[[], [4]])
    s = scheme["parts"]
    assert s["atom"].tolist() == [0, 2, 1, 2, 4] and s["atom_first"].tolist() == [0, 2, 5]
    assert s["child"].tolist() == [2, 0, 1, 2] and s["classes"].tolist() == [1, 0]
    x = np.arange(15.0).reshape(5, 3)
    assert np.allclose(scheme.positions("parts", x), [0.25 * x[0] + 0.75 * x[2], 0.5 * x[1] + 0.25 * (x[2] + x[4])])


def test_centroids_and_radii():
    scheme = two_waters()
    scheme.check()
    x = np.vstack([H2O, H2O + [5, 0, 0]])
    centre = H2O.mean(axis=0)
    assert np.allclose(scheme.positions("molecules", x), [centre, centre + [5, 0, 0]])
    assert np.allclose(scheme.positions("dimer", x), [centre + [2.5, 0, 0]])
    assert np.allclose(scheme.radii("molecules", x), np.linalg.norm(H2O - centre, axis=1).max())


def test_labels_in_a_periodic_cell():
    """A molecule cut by the boundary is put together again."""
    cell, shift = 8.0 * np.eye(3), np.array([0.1, 7.9, 4.0])
    x = np.vstack([H2O + shift, H2O + [4, 4, 4]]) % 8.0
    scheme = CompositionScheme.from_labels(["b"] * 3 + ["a"] * 3, x, cell, True, classes={"a": 0, "b": 3})
    scheme.check()
    assert scheme["parts"]["classes"].tolist() == [0, 3]
    assert np.allclose(scheme.radii("parts", x, cell), np.linalg.norm(H2O - H2O.mean(axis=0), axis=1).max())


def test_molecules_by_bonds():
    """Across boundaries, and a chain without end is refused."""
    cell = np.array([[7.0, 0, 0], [1.0, 7.5, 0], [0, 0.5, 8.0]])
    rng = np.random.default_rng(0)
    centres = np.array([[0.2, 0.1, 0.3], [3.5, 3.5, 4.0], [5.0, 0.9, 6.0]])
    x = np.vstack([H2O + c for c in centres]) + rng.integers(-2, 3, (9, 3)) @ cell
    order = rng.permutation(9)
    numbers = np.array([8, 1, 1] * 3)
    scheme = CompositionScheme.from_bonds(x[order], numbers[order], cell, True)
    scheme.check()
    found = {
        frozenset(order[s].tolist()) for s in np.split(scheme["parts"]["atom"], scheme["parts"]["atom_first"][1:-1])
    }
    assert found == {frozenset(range(3 * k, 3 * k + 3)) for k in range(3)}
    assert scheme.radii("parts", x[order], cell).max() < 0.8
    with pytest.raises(ValueError, match="through the periodic cell without end"):
        CompositionScheme.from_bonds([[0, 0, 0], [0, 0, 1.5]], [6, 6], np.diag([9, 9, 3.0]), True)


@pytest.mark.parametrize("pbc", [False, True, (True, False, True)])
@pytest.mark.parametrize("levels", [1, 2, 4, 7])
def test_tree(pbc, levels):
    rng = np.random.default_rng(levels)
    cell = np.array([[21.0, 0, 0], [3.0, 18.0, 0], [0, -2.0, 25.0]])
    x = rng.uniform(-1, 2, (300, 3)) @ cell / 2
    scheme = CompositionScheme.tree(x, cell, pbc, size=4.0, levels=levels)
    scheme.check()
    again = CompositionScheme.tree(x, cell, pbc, size=4.0, levels=levels)
    for a, b in zip(scheme.sets, again.sets, strict=True):
        assert all(np.array_equal(a[key], b[key]) for key in a)
    assert [s["name"] for s in scheme.sets] == [f"part{k}" for k in range(1, levels + 1)]
    assert len(scheme.sets[-1]["classes"]) == 1
    for k, s in enumerate(scheme.sets):
        assert np.array_equal(np.sort(s["atom"]), np.arange(300))  # every atom in one part of a level
        if k + 1 < levels:
            assert scheme.radii(s["name"], x, cell).max() < 2.2 * 4.0 * 2**k
        if 0 < k < levels - 1:
            assert np.diff(s["child_first"]).max() <= 8
    if levels > 2:  # O(N) nodes
        assert sum(len(s["classes"]) for s in scheme.sets) < 2 * 300


def test_tree_above_labels():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(30), 3)
    x = np.vstack([H2O + rng.uniform(0, 30, 3) for _ in range(30)])
    scheme = CompositionScheme.tree(x, size=4.0, levels=5, labels=labels)
    scheme.check()
    assert len(scheme["part1"]["classes"]) == 30 and len(scheme["part5"]["classes"]) == 1
    assert scheme.radii("part1", x).max() < 1


def test_neighbourhoods_have_several_parents():
    x = np.vstack([H2O, H2O + [3, 0, 0], [[40.0, 0, 0]]])  # one atom alone: a leaf
    scheme = CompositionScheme.neighbourhoods(x, 2.0)
    scheme.check()
    s = scheme["level1"]
    assert s["child"][s["child_first"][0] : s["child_first"][1]].tolist() == [1, 2]
    assert s["atom"][s["atom_first"][0] : s["atom_first"][1]].tolist() == [0, 1, 2]
    assert np.diff(s["child_first"])[6] == 0 and np.diff(s["atom_first"])[6] == 1
    assert np.allclose(scheme.positions("level2", x), x)


def broken(**changes):
    scheme = two_waters()
    for key, value in changes.items():
        name, key = key.split("__")
        scheme[name][key] = np.asarray(value)
    return scheme


@pytest.mark.parametrize(
    "change, text",
    [
        ({"molecules__coefficient": [0.5] * 6}, 'set "molecules", node 0: the coefficients .* sum 1, got 1.5'),
        ({"molecules__atom": [0, 1, 9, 3, 4, 5]}, "atom 9 does not exist, there are 6"),
        ({"molecules__atom": [0, 1, 1, 3, 4, 5]}, "has an atom twice"),
        ({"molecules__atom": [0, 1, 3, 3, 4, 5]}, "its child 2 of \"atoms\" has atom 2, which it has not itself"),
        ({"molecules__child": [0, 1, 1, 3, 4, 5]}, "has a child twice"),
        ({"molecules__child": [0, 1, 7, 3, 4, 5]}, 'child 7 does not exist in "atoms"'),
        ({"molecules__classes": [0, -1]}, "class must not be negative"),
        ({"molecules__child_first": [0, 4, 3]}, "list of children does not fit"),
        ({"molecules__coefficient": [1.0]}, "one coefficient and image per atom"),
        ({"dimer__atom": [0, 1, 2, 3, 4, 4]}, "has an atom twice"),
        ({"dimer__child": [0, 0]}, "has a child twice"),
        ({"dimer__child_first": [0, 0], "dimer__child": [], "dimer__child_image": np.zeros((0, 3))}, "a leaf has one"),
    ],
)  # fmt: skip
def test_what_does_not_hold_together(change, text):
    with pytest.raises(ValueError, match=text):
        broken(**change).check()


def test_roots():
    scheme = CompositionScheme(4)
    scheme.add("parts", [[0, 1], [2, 3]])
    with pytest.raises(ValueError, match="it is part of nothing, but there is another root|it is the root, but atom 2"):
        scheme.check()
    scheme = CompositionScheme(4)
    scheme.add("parts", [[0, 1, 2]])
    with pytest.raises(ValueError, match="it is the root, but atom 3 is no part of it"):
        scheme.check()
    scheme = two_waters()
    with pytest.raises(ValueError, match='two sets are called "dimer"'):
        scheme.add("dimer", [[0]], children="dimer"), scheme.check()
    with pytest.raises(ValueError, match='no set "trimer"; there are molecules, dimer'):
        two_waters().add("more", [[0]], children="trimer")


@pytest.mark.parametrize(
    "arguments, text",
    [
        (dict(positions=[0]), "positions for 2 nodes are needed, got 1"),
        (dict(positions=[0, 1]), "node 1: it stands on atom 1, which it has not"),
        (dict(positions=[[0.5, 0.5], [1, 0, 0]]), "node 0: it has 3 atoms, got 2 coefficients"),
        (dict(positions="middle"), 'must be "centroid", atoms or coefficients'),
        (dict(images=[[[0, 0, 0]]]), "one per child is needed, 6, got 1"),
    ],
)
def test_arguments_of_add(arguments, text):
    with pytest.raises(ValueError, match=text):
        CompositionScheme(6).add("parts", [[0, 1, 2], [3, 4, 5]], **arguments)


def test_parts_that_come_apart():
    x = np.vstack([H2O, H2O + [15.0, 0, 0]])
    scheme = CompositionScheme.tree(x, size=4.0, levels=2, labels=[0, 0, 0, 1, 1, 1])
    moved = x + 0.3 * np.random.default_rng(0).standard_normal(x.shape)
    assert scheme.outgrown(x) == [] and scheme.outgrown(moved) == []
    moved[4] += [0, 9.0, 0]
    [(name, node, radius, before)] = scheme.outgrown(moved)
    assert (name, node) == ("part1", 1) and radius > 5 and before < 1
    assert two_waters().outgrown(moved) == []  # made by hand: there is no reference


def test_files(tmp_path):
    x = np.random.default_rng(1).uniform(0, 20, (50, 3))
    scheme = CompositionScheme.tree(x, size=4.0, levels=3)
    scheme.save(tmp_path / "tree.npz")
    again = CompositionScheme.load(tmp_path / "tree.npz")
    assert repr(again) == repr(scheme)
    for a, b in zip(scheme.sets, again.sets, strict=True):
        assert all(np.array_equal(a[key], b[key]) for key in a)
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    for name in ("bad.npz", "other.npz"):
        with pytest.raises(ValueError, match=f"{name}: no composition scheme"):
            CompositionScheme.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        CompositionScheme.load(tmp_path / "absent.npz")
