"""Files of electronic-structure programs that need more than ASE's reader: CP2K pairs and ORCA outputs."""

import os
import re
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from nbcore.data import units
from nbcore.data.extxyz import TextFrame, decode, frames, parse
from nbcore.data.files import plain_name, read_bytes
from nbcore.errors import InputError

CP2K_COMMENT = re.compile(r"\bi\s*=\s*(\d+)\s*,.*\bE\s*=\s*([-+.\dEeDd]+)")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")
CP2K_NAME = re.compile(r"^(?P<project>.+)-(?P<kind>pos|frc)-(?P<run>\d+)\.xyz$")


def cp2k_kind(path) -> str | None:
    """ "pos" or "frc" for PROJECT-pos-1.xyz and PROJECT-frc-1.xyz (also compressed), else None."""
    match = CP2K_NAME.match(os.path.basename(plain_name(path)))
    return match.group("kind") if match else None


def cp2k_partner(path) -> str:
    """The file of forces that belongs to a file of positions, or the other way round; it need not exist."""
    folder, name = os.path.split(os.fspath(path))
    other = {"pos": "frc", "frc": "pos"}[cp2k_kind(path)]
    name = re.sub(r"-(pos|frc)-(\d+\.xyz)", rf"-{other}-\2", name)
    options = [os.path.join(folder, plain_name(name) + tail) for tail in ("", ".gz", ".xz", ".bz2")]
    return next((p for p in options if os.path.exists(p)), os.path.join(folder, name))


def read_cp2k(path) -> tuple[list[tuple[Atoms, TextFrame]], str]:
    """A pair of positions (Å, energies in Hartree) and forces (Hartree/Bohr), joined by step; and a remark or "".

    PROJECT-1.cell beside them gives the cell; without it the frames are taken as molecules. Units are CP2K's own.
    """
    path, partner = os.fspath(path), cp2k_partner(path)
    forces = dict(_cp2k_steps(partner)) if os.path.exists(partner) else {}
    cells = _cp2k_cells(path)
    result, steps = [], []
    for step, frame in _cp2k_steps(path):
        atoms = parse(frame, path)
        atoms.info.clear()
        labels = {"energy": float(_cp2k_numbers(frame, path)[1]) * units.ENERGY["Hartree"]}
        if step in forces:
            force = parse(forces[step], partner)
            if force.get_chemical_symbols() != atoms.get_chemical_symbols():
                raise InputError(f"{partner}:{forces[step].line}: step {step}: other atoms than in {path}.")
            if not np.isfinite(force.positions).all():
                raise InputError(f"{partner}:{forces[step].line}: step {step}: a force is not finite.")
            labels["forces"] = force.positions * (units.ENERGY["Hartree"] / units.LENGTH["Bohr"])
        if cells:
            if step not in cells:
                raise InputError(f"{path}:{frame.line}: step {step} is not in the cell file beside it.")
            atoms.set_cell(cells[step])
            atoms.set_pbc(True)
        atoms.calc = SinglePointCalculator(atoms, **labels)
        result.append((atoms, frame))
        steps.append(step)
    if forces and not set(forces) & set(steps):
        raise InputError(f"{path} and {partner} have no step in common.")
    where = "cell from the .cell file" if cells else "no .cell file beside it, so taken as molecules without a cell"
    return result, f"{path}: CP2K, Hartree and Hartree/Bohr converted; {where}."


def _cp2k_numbers(frame, path):
    match = CP2K_COMMENT.search(frame.comment)
    if not match or not NUMBER.fullmatch(match[2]):
        raise InputError(
            f'{path}:{frame.line + 1}: frame {frame.number}: expected a CP2K comment "i = 0, time = ..., E = ...", '
            f'got "{frame.comment[:40]}". If this is another program\'s file, give it a name without -pos- and -frc-.'
        )
    return match.groups()


def _cp2k_steps(path):
    text = decode(read_bytes(path)[0], path)
    return [(int(_cp2k_numbers(frame, path)[0]), frame) for frame in frames(text, path)]


def _cp2k_cells(path):
    """Step -> (3, 3) cell in Å from PROJECT-1.cell: step, time, nine components, volume."""
    match = CP2K_NAME.match(os.path.basename(plain_name(path)))
    file = Path(path).with_name(f"{match.group('project')}-{match.group('run')}.cell")
    if not file.exists():
        return {}
    cells = {}
    for number, line in enumerate(decode(read_bytes(file)[0], str(file)).split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            cells[int(line.split()[0])] = np.array(line.split()[2:11], dtype=float).reshape(3, 3)
        except ValueError:
            raise InputError(f"{file}:{number}: expected step, time, nine components of the cell, volume.") from None
    return cells


def drop_unfinished_orca(images: list[Atoms]) -> list[Atoms]:
    """Leaves out the last frame of an optimisation: ORCA evaluates its energy once more, without a gradient."""
    with_forces = [a for a in images if a.calc.results.get("forces") is not None]
    return with_forces if with_forces and images[-1] is not with_forces[-1] else images
