"""Structures as extended XYZ in eV and Å, with all digits: what `nbcore data --output` and other programs read."""

import os
import re
from collections.abc import Iterable

import numpy as np

from nbcore.data.labels import CANDIDATES, FREE, candidates_of
from nbcore.data.structure import Structure, one_per_atom
from nbcore.errors import InputError
from nbcore.files import kind_of, replacing

WRITER = "nbcore data"


def write_extxyz(structures: Iterable, path: str | os.PathLike, overwrite: bool = False) -> None:
    """Writes energy, forces, stress and covariant labels under these names, and what else a structure carries.

    That is its weight, config_type, labels of parts and leaf states of the atoms, and fixed components as move_mask.

    The old file, if any, stands until the new one is whole. It is replaced if this function wrote it (its first comment
    says so), any other only with `overwrite` (FileExistsError).

    Ten decimals per column: ASE's own writer keeps eight, which would be the largest error of a conversion.
    """
    with replacing(path, "w", kind_of(WRITER), overwrite) as f:
        for k, structure in enumerate(structures):
            f.write(frame_text(structure, WRITER if k == 0 else ""))


def frame_text(structure: Structure, writer: str = "") -> str:
    """One structure as a frame of extended XYZ; `writer` is noted in its comment."""
    comment = []
    if structure.cell is not None:
        comment.append(f'Lattice="{_numbers(structure.cell)}"')
    columns = [structure.positions]
    properties = "species:S:1:pos:R:3"
    if structure.forces is not None:
        columns.append(structure.forces)
        properties += ":forces:R:3"
    for name, tensor in structure.outputs.items():
        if one_per_atom(structure, tensor):
            columns.append(np.reshape(tensor, (len(structure), -1)))
            properties += f":{name}:R:{columns[-1].shape[1]}"
    rows = [" ".join(f"{x:17.10f}" for x in row) for row in np.hstack(columns)]
    for name, kind, words in _further(structure):
        properties += f":{name}:{kind}:{len(words[0])}"
        rows = [f"{row} {' '.join(more)}" for row, more in zip(rows, words, strict=True)]
    comment.append(f"Properties={properties}")
    if writer:
        comment.append(f'writer="{writer}"')
    if structure.energy is not None:
        comment.append(f"energy={structure.energy!r}")
    if structure.stress is not None:
        comment.append(f'stress="{_numbers(structure.stress)}"')
    for name, tensor in structure.outputs.items():
        if not one_per_atom(structure, tensor):
            comment.append(f'{name}="{_numbers(tensor)}"')
    comment.append(f"config_type={_word(structure.config_type)}")
    comment += [f"{key}={weight!r}" for key, weight in structure.weights.items()]
    comment.append(f'pbc="{" ".join("FT"[int(p)] for p in structure.pbc)}"')
    lines = [f"{s:<2} {row}" for s, row in zip(structure.symbols, rows, strict=True)]
    return "\n".join([str(len(structure)), " ".join(comment), *lines]) + "\n"


def _further(structure):
    """(name, type, words of each atom) of columns that are neither elements, positions nor reference labels."""
    taken = {"species", "pos", "move_mask"}
    for label in (*CANDIDATES.values(), *FREE.values(), *map(candidates_of, structure.outputs)):
        taken.update(word.lower() for word in ([label] if isinstance(label, str) else label))
    columns = {**structure.labels, **structure.leaves}
    for name, values in columns.items():
        if name.lower() in taken:
            continue
        table = np.reshape(values, (len(structure), -1))
        words = [[str(x) if table.dtype.kind in "iuUS" else repr(float(x)) for x in row] for row in table]
        if any(re.search(r"\s", word) or not word for row in words for word in row) or re.search(r"[\s:=]", name):
            raise InputError(f"{structure.where}: {name}: a column of extended XYZ has no blanks, nor empty words.")
        if words[0]:
            yield name, {"i": "I", "u": "I", "f": "R"}.get(table.dtype.kind, "S"), words
    if structure.fixed is not None and structure.fixed.any():
        whole = np.all(structure.fixed == structure.fixed[:, :1])
        free = ~structure.fixed[:, : 1 if whole else 3]
        yield "move_mask", "L", [["FT"[int(x)] for x in row] for row in free]


def _numbers(matrix):
    return " ".join(repr(float(x)) for x in np.ravel(matrix))


def _word(text):
    return text if re.fullmatch(r"[\w.+-]+", text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
