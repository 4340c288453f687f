"""Composition schemes: the parts a structure is made of (Kondor, arXiv:1803.01588, section 3)."""

import os
import zipfile
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from nbcore import _core, _extras
from nbcore.errors import InputError
from nbcore.scheme_arrays import coefficients, cubes, images_by_atom, nearest_to_first, ragged

__all__ = ["CompositionScheme"]

ARRAYS = ("classes", "atom_first", "atom", "coefficient", "image", "child_first", "child", "child_image")


class CompositionScheme:
    """Nodes above the atoms of one structure: a directed acyclic graph of subsystems of any size.

    A node has atoms P_j, a position r_j = sum_k c_k (r_k + n_k cell) with sum_k c_k = 1, a weight-sharing class, and
    children, atoms or nodes of a set made before; it may have several parents. Nodes of one set run the same gates of
    a program ("nodes": the name of the set). The scheme is input: it belongs to a structure and stays as it is while
    the atoms move; forces flow through the positions of its nodes exactly.

    n_atoms: of the structure. Sets are added from the bottom up, `add`; or a whole scheme comes from a builder:
    `from_labels`, `from_bonds`, `tree`, `neighbourhoods`. It is checked when it is used first, or by `check`: lengths,
    indices, sums of coefficients, no atom of a child that its parent lacks, one root that has all atoms.

    >>> water = CompositionScheme(6)
    >>> water.add("molecules", [[0, 1, 2], [3, 4, 5]])
    >>> water.add("dimer", [[0, 1]], children="molecules")
    >>> water
    CompositionScheme(6 atoms, 2 molecules, 1 dimer)
    """

    def __init__(self, n_atoms: int):
        self.n_atoms = int(n_atoms)
        self.sets: list[dict] = []
        self._checked = None
        self._radii = None
        self.reference = np.zeros((0, 3))  # places of the atoms in units of the cell vectors, for periodic cells

    def __repr__(self) -> str:
        counts = [f"{self.n_atoms} atoms", *(f"{len(s['classes'])} {s['name']}" for s in self.sets)]
        return f"CompositionScheme({', '.join(counts)})"

    def __getitem__(self, name: str) -> dict:
        """The set with this name: arrays "classes" (n), "atom_first" (n+1), "atom", "coefficient", "image" (.., 3),
        "child_first", "child", "child_image"; those of node k are first[k]:first[k+1]."""
        for s in self.sets:
            if s["name"] == name:
                return s
        raise InputError(
            f'the composition scheme has no set "{name}"; there are {", ".join(s["name"] for s in self.sets)}'
        )

    def add(
        self,
        name: str,
        nodes: Sequence,
        children: str = "atoms",
        classes: ArrayLike | None = None,
        positions: Sequence | None = "centroid",
        images: Sequence | None = None,
        atoms: Sequence | None = None,
    ) -> None:
        """One more set of nodes.

        nodes: per node the list of its children; or one array, for every child the node it belongs to (-1: to none).
        children: "atoms" or a set added before. classes: per node an integer from 0 on, all 0 by default.
        positions: "centroid" of the node's atoms; or per node the atom it stands on, an integer; or per node a list
        of coefficients, one per atom of the node in the order of `scheme[name]["atom"]`. images: per child as in
        `nodes`, the cell vectors (3 integers) to be added to it; none by default. atoms: per node a list of atoms that
        it has besides those of its children.
        """
        first, child, shift = ragged(nodes, images)
        n = len(first) - 1
        below = None if children == "atoms" else self[children]
        owner = np.repeat(np.arange(n), np.diff(first))
        if below is None:
            atom_owner, atom, image = owner, child, shift
        else:
            bad = (child < 0) | (child >= len(below["classes"]))
            if bad.any():
                raise InputError(f'set "{name}": child {child[bad][0]} does not exist in "{children}"')
            counts = np.diff(below["atom_first"])[child]
            atom_owner = np.repeat(owner, counts)
            start = np.repeat(below["atom_first"][child] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
            source = start + np.arange(counts.sum())
            atom, image = below["atom"][source], below["image"][source] + np.repeat(shift, counts, axis=0)
        rows = np.column_stack([atom_owner, atom, image])
        if atoms is not None:
            more = [[k, a, 0, 0, 0] for k, list_ in enumerate(atoms) for a in np.atleast_1d(list_)]
            rows = np.vstack([rows, np.array(more, dtype=rows.dtype).reshape(-1, 5)])
        rows = np.unique(rows, axis=0)  # what several children share, once
        atom_first = np.searchsorted(rows[:, 0], np.arange(n + 1))
        self.sets.append({
            "name": str(name), "children": str(children),
            "classes": np.zeros(n, dtype=np.int32) if classes is None else np.asarray(classes, dtype=np.int32),
            "atom_first": atom_first, "atom": rows[:, 1].astype(np.int32), "image": rows[:, 2:].astype(np.int32),
            "coefficient": coefficients(name, positions, atom_first, rows[:, 1], rows[:, 2:]),
            "child_first": first, "child": child.astype(np.int32), "child_image": shift.astype(np.int32),
        })  # fmt: skip
        self._checked = None

    def check(self) -> None:
        """Raises InputError that names the set and the node where something does not fit."""
        if self._checked is None:
            self._checked = _core.CompositionScheme(self.n_atoms, self.sets, self.reference)
            for s in self.sets:  # the core has copies: what is written here from now on would not count
                for name in ARRAYS:
                    s[name] = np.array(s[name])
                    s[name].flags.writeable = False

    @property
    def core(self) -> object:
        """The checked scheme as the C++ core holds it."""
        self.check()
        return self._checked

    def save(self, path: str | os.PathLike, overwrite: bool = False) -> None:
        """Writes the scheme to a NumPy archive (.npz), whole or not at all.

        A scheme is replaced, a file of another kind (FileExistsError) only with `overwrite`.
        """
        from nbcore.files import Kind, replacing

        self.check()
        arrays = {
            "n_atoms": np.array(self.n_atoms),
            "reference": self.reference,
            "names": np.array([[s["name"], s["children"]] for s in self.sets]),
        }
        for k, s in enumerate(self.sets):
            arrays |= {f"{k}.{key}": s[key] for key in ARRAYS}
        with replacing(path, kind=Kind("composition scheme", b"n_atoms.npy"), overwrite=overwrite) as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "CompositionScheme":
        """A scheme from `save`, checked. Raises InputError for a file that holds none, OSError."""
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                scheme = cls(int(arrays["n_atoms"]))
                scheme.reference = arrays["reference"]
                for k, (name, children) in enumerate(arrays["names"].reshape(-1, 2).tolist()):
                    scheme.sets.append({"name": name, "children": children, **{a: arrays[f"{k}.{a}"] for a in ARRAYS}})
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as e:
            raise InputError(f"{path}: no composition scheme ({e})") from None
        scheme.check()
        return scheme

    def positions(self, name: str, positions: ArrayLike, cell: ArrayLike | None = None) -> np.ndarray:
        """(n, 3) positions of the nodes of a set, from those of the atoms."""
        s = self[name]
        r = np.asarray(positions, dtype=float)[s["atom"]]
        if cell is not None:
            r = r + s["image"] @ np.asarray(cell, dtype=float)
        return np.add.reduceat(s["coefficient"][:, None] * r, s["atom_first"][:-1]) if len(r) else np.zeros((0, 3))

    def radii(self, name: str, positions: ArrayLike, cell: ArrayLike | None = None) -> np.ndarray:
        """Per node of a set the distance of its farthest atom from its position, Angstrom."""
        s = self[name]
        r = np.asarray(positions, dtype=float)[s["atom"]]
        if cell is not None:
            r = r + s["image"] @ np.asarray(cell, dtype=float)
        centre = np.repeat(self.positions(name, positions, cell), np.diff(s["atom_first"]), axis=0)
        return np.maximum.reduceat(np.linalg.norm(r - centre, axis=1), s["atom_first"][:-1])

    def remember(self, positions: ArrayLike, cell: ArrayLike | None = None) -> "CompositionScheme":
        """Keeps a reference geometry; the builders do it.

        The sizes of the parts of the first set, for `outgrown`; and in a periodic cell the places of the atoms: one
        that is wrapped back into the cell later is taken in the image nearest to its place, to which the images of the
        scheme belong. An atom that wanders half a cell away is lost for its part.
        """
        self._radii = self.radii(self.sets[0]["name"], positions, cell) if self.sets else None
        if cell is not None and abs(np.linalg.det(cell)) > 1e-12:
            self.reference = np.asarray(positions, dtype=float) @ np.linalg.inv(cell)
        self._checked = None
        return self

    def outgrown(self, positions: ArrayLike, cell: ArrayLike | None = None, factor: float = 2.0) -> list[tuple]:
        """Parts of the first set that no longer fit the structure, the worst first: (set, node, radius, before).

        One whose farthest atom is more than `factor` times as far from its position, and 1 Angstrom more, than in the
        reference geometry of the scheme; none where the scheme has no such geometry.
        """
        if self._radii is None:
            return []
        name, radii = self.sets[0]["name"], self.radii(self.sets[0]["name"], positions, cell)
        worst = np.argsort(self._radii - radii, kind="stable")
        worst = worst[radii[worst] > factor * self._radii[worst] + 1.0]
        return [(name, int(k), float(radii[k]), float(self._radii[k])) for k in worst]

    # ---- builders ----

    @classmethod
    def from_labels(
        cls,
        labels: ArrayLike,
        positions: ArrayLike | None = None,
        cell: ArrayLike | None = None,
        pbc: ArrayLike = False,
        classes: ArrayLike | None = None,
        root: str | None = "system",
    ) -> "CompositionScheme":
        """Parts by label, a molecule or residue each, and a root above them.

        labels: per atom a number or text. classes: {label: class}, all 0 by default. With a periodic cell every atom
        is taken in the image nearest to the first atom of its part, so positions are needed; parts must be smaller
        than half the cell. The sets are called "parts" and `root`.

        >>> CompositionScheme.from_labels(["a", "a", "b", "b", "b"])
        CompositionScheme(5 atoms, 2 parts, 1 system)
        """
        labels = np.asarray(labels)
        names, node = np.unique(labels, return_inverse=True)
        scheme = cls(len(labels))
        images = nearest_to_first(node, positions, cell, pbc) if np.any(pbc) else None
        scheme.add("parts", node, classes=None if classes is None else [classes[k] for k in names.tolist()],
                   images=images)  # fmt: skip
        if root:
            scheme.add(root, [np.arange(len(names))], children="parts")
        return scheme if positions is None else scheme.remember(positions, cell)

    @classmethod
    def from_bonds(
        cls,
        positions: ArrayLike,
        numbers: ArrayLike,
        cell: ArrayLike | None = None,
        pbc: ArrayLike = False,
        scale: float = 1.2,
        root: str | None = "system",
    ) -> "CompositionScheme":
        """Molecules as parts: atoms closer than `scale` times the sum of their covalent radii are bonded.

        Needs ASE for the radii, and SciPy: ImportError without them. A network of bonds that runs through a periodic
        cell without end is an InputError.
        """
        _extras.require("CompositionScheme.from_bonds", ["ase", "scipy"])
        from ase.data import covalent_radii
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        radii = covalent_radii[np.asarray(numbers)]
        i, j, shift, vector = _core.neighbours(positions, cell, pbc, 2 * scale * radii.max(), r_min=0.0)
        bonded = np.linalg.norm(vector, axis=1) < scale * (radii[i] + radii[j])
        i, j, shift = i[bonded], j[bonded], shift[bonded]
        n = len(radii)
        _, node = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(n, n)), directed=False)
        images = np.zeros((n, 3), dtype=int)
        seen = np.zeros(n, dtype=bool)
        seen[np.unique(node, return_index=True)[1]] = True
        while True:  # from the first atom of a molecule along its bonds
            step = seen[i] & ~seen[j]
            if not step.any():
                break
            images[j[step]] = images[i[step]] + shift[step]
            seen[j[step]] = True
        if np.any(images[i] + shift != images[j]):
            raise InputError("the bonds of a part run through the periodic cell without end: it is no molecule")
        scheme = cls(n)
        scheme.add("parts", node, images=images)
        if root:
            scheme.add(root, [np.arange(node.max() + 1)], children="parts")
        return scheme.remember(positions, cell)

    @classmethod
    def tree(
        cls,
        positions: ArrayLike,
        cell: ArrayLike | None = None,
        pbc: ArrayLike = False,
        size: float = 6.0,
        levels: int = 6,
        labels: ArrayLike | None = None,
    ) -> "CompositionScheme":
        """A spatial tree over a reference geometry: cubes of edge size, 2 size, 4 size, ...: sets part1, part2, ...

        O(N) nodes, the same for the same geometry. A part of level k are the non-empty cubes of level k - 1 in one
        larger cube, those of level 1 the atoms in a cube of edge `size` (Angstrom), or those with one of the `labels`.
        Level `levels` is the root, with whatever is left as its children. In a periodic direction the cubes divide the
        cell evenly.
        """
        if isinstance(levels, bool) or not isinstance(levels, (int, np.integer)) or not 1 <= levels <= 64:
            raise InputError(f"levels must be an integer from 1 to 64, got {levels!r}")
        positions = np.asarray(positions, dtype=float)
        pbc = np.broadcast_to(np.asarray(pbc, dtype=bool), 3)
        n = len(positions)
        scheme = cls(n)
        if labels is not None:
            bottom = cls.from_labels(labels, positions, cell, pbc, root=None)
            scheme.add("part1", np.unique(np.asarray(labels), return_inverse=True)[1],
                       images=images_by_atom(bottom["parts"], n))  # fmt: skip
            places, first = scheme.positions("part1", positions, cell), 2
        else:
            places, first = positions, 1
        grid, shape, images = cubes(places, cell, pbc, size)
        for level in range(first, levels + 1):
            last = level == levels
            if level > first:
                grid, shape = grid // 2, -(-shape // 2)
            key = np.zeros(len(grid), dtype=int) if last else np.ravel_multi_index(grid.T, shape)
            _, index, node = np.unique(key, return_index=True, return_inverse=True)
            scheme.add(f"part{level}", node, children="atoms" if level == 1 else f"part{level - 1}",
                       images=images)  # fmt: skip
            grid, images = grid[index], None  # images are in the atoms of the parts already
        return scheme.remember(positions, cell)

    @classmethod
    def neighbourhoods(
        cls, positions: ArrayLike, cutoff: float, levels: int = 2, cell: ArrayLike | None = None, pbc: ArrayLike = False
    ) -> "CompositionScheme":
        """Neighbourhoods of neighbourhoods of a reference geometry, sets level1, level2, ..., and a root "system".

        Node i of level k stands on atom i; its children are the nodes of level k - 1 (atoms for k = 1) on the atoms
        within the cutoff (Angstrom) of atom i, without itself: the scheme of the flat potentials, which make their
        edges anew at every evaluation.
        """
        positions = np.asarray(positions, dtype=float)
        i, j, shift, _ = _core.neighbours(positions, cell, pbc, cutoff)
        n = len(positions)
        first = np.searchsorted(i, np.arange(n + 1))
        scheme = cls(n)
        for level in range(1, levels + 1):
            scheme.add(f"level{level}", (first, j), children="atoms" if level == 1 else f"level{level - 1}",
                       positions=np.arange(n), images=shift, atoms=np.arange(n))  # fmt: skip
        scheme.add("system", [np.arange(n)], children=f"level{levels}")
        return scheme


def labels_of(arrays: dict) -> dict:
    """Those of the per-atom arrays that can say to which part an atom belongs: one integer or text each."""
    return {
        key: a.astype(str) if a.dtype.kind == "O" else a
        for key, a in arrays.items()
        if a.ndim == 1 and (a.dtype.kind in "iuUS" or (a.dtype.kind == "O" and all(isinstance(x, str) for x in a)))
    }


def scheme_of(potential, structure) -> CompositionScheme | None:
    """The scheme on which a potential works for a structure: its own, else what the potential's builder makes of it.

    None for networks of atoms alone. structure: anything with positions, cell, pbc and labels {name: per atom}; the
    builder stands in the potential's description, {"builder": "tree", "size", "levels", "labels"}.
    """
    if len(potential._core.sets) == 1:
        return None
    scheme = getattr(structure, "scheme", None)
    builder = potential.description.get("scheme")
    if scheme is not None or builder is None:
        return scheme
    key = builder.get("labels")
    labels = getattr(structure, "labels", {})
    if key and key not in labels:
        where = f"{structure.where}: " if getattr(structure, "file", "") else ""
        there = f"; there are {', '.join(labels)}" if labels else "; there are none"
        raise InputError(f"{where}the model works on parts by the per-atom label {key!r}, an integer or text{there}")
    return CompositionScheme.tree(
        structure.positions, structure.cell, structure.pbc, builder["size"], builder["levels"],
        labels[key] if key else None,
    )  # fmt: skip


def core_scheme(potential, structure):
    """`scheme_of` as the C++ core wants it."""
    scheme = scheme_of(potential, structure)
    return None if scheme is None else scheme.core
