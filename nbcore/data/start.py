"""Where dynamics and relaxation start: one frame of a file, by the reader of training data, constraints included."""

import os
import re

from ase import Atoms

from nbcore.data.constraints import constraints_of, fixed_components
from nbcore.data.labels import NOT_LABELS, Options, geometry
from nbcore.data.read import read_frames
from nbcore.data.reading import Reading
from nbcore.errors import InputError
from nbcore.scheme import labels_of

NOT_STATES = ("positions", "masses", "momenta", "forces", "force", "REF_forces")


def read_structure(name: str) -> tuple[Atoms, str, list[str]]:
    """FILE or FILE@FRAME -> ase.Atoms, words for the frame, and remarks of the reader.

    The atoms have elements, positions (Å), cell, pbc, masses, constraints, and the arrays that models may read: labels
    of parts, leaf states. Energies, forces and momenta of the file are left behind. Raises InputError that names the
    file and the frame, OSError.
    """
    path, at, index = (name, "", "") if os.path.exists(name) else name.rpartition("@")
    path = path if at else name
    if at and not re.fullmatch(r"-?\d+", index):
        raise InputError(f"{name}: the frame after @ must be an integer, got {index!r}.")
    reading = Reading(Options())
    with open(path, "rb"):
        pass  # a file that is not there is said in the words of the system
    try:
        frames, _ = read_frames(path, None, reading, int(index) if at else -1)
    except IndexError:
        raise InputError(f"{path} has no frame {index}.") from None
    (frame,) = frames
    if not len(frame.atoms):
        raise InputError(f"{frame.where}: the structure has no atoms.")
    positions, cell, pbc = geometry(frame, 1.0)
    atoms = Atoms(frame.atoms.numbers, positions=positions, cell=cell, pbc=pbc)
    arrays = frame.atoms.arrays
    if "masses" in arrays:
        atoms.set_masses(arrays["masses"])
    states = {key: a for key, a in arrays.items() if a.dtype.kind == "f" and key not in NOT_STATES}
    labels = labels_of({key: a for key, a in arrays.items() if key not in NOT_LABELS})
    for key, array in (labels | states).items():
        if key not in atoms.arrays:
            atoms.new_array(key, array)
    try:
        atoms.set_constraint(constraints_of(fixed_components(frame.atoms)))
    except InputError as e:
        raise InputError(f"{frame.where}: {e}") from None
    return atoms, f"frame {index}" if at else "last frame", reading.remarks
