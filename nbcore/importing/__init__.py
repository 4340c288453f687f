"""Models of other programs as potentials of nbcore, read without these programs."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbcore.committee import Committee
    from nbcore.potential import Potential

__all__ = ["import_model"]


def import_model(
    path: str | os.PathLike,
    head: str | None = None,
    inputs: dict[str, float] | None = None,
    length_unit: str | None = None,
    energy_unit: str | None = None,
) -> "Potential | Committee":
    """A potential with the network and weights of another program's model file.

    Read are `.model` files of MACE (classes MACE and ScaleShiftMACE), checkpoints of SevenNet, folders of ANI
    networks, several of which make a committee, and folders of n2p2; see docs/importing.md. Nothing that a file names
    is executed, and torch is not needed. head: which of several heads of a MACE model. inputs: what a MACE model reads
    of a structure beside its atoms, such as {"total_charge": 0}: the potential is for these values. length_unit,
    energy_unit: of networks of n2p2, whose files do not say it, "Bohr" or "Angstrom", and "Hartree", "eV", "kcal/mol"
    or "kJ/mol".
    The potential computes what the model does in double precision, and is an ordinary one: `save` it, train it
    further. Its E0s contain the shift of the model. Raises InputError for files that are damaged, of another kind, or
    hold what is not known, by its name; OSError.

    >>> import_model("mace_single.model")
    <nbcore.Potential mace: H C O, 2 levels, cutoff 4.5 Å, 1371 parameters>
    """
    from nbcore.errors import InputError
    from nbcore.importing import mace
    from nbcore.importing.ani import is_ani, read_ani
    from nbcore.importing.mace_file import read_mace
    from nbcore.importing.n2p2 import is_n2p2, read_n2p2
    from nbcore.importing.origin import note_origin
    from nbcore.importing.sevennet import from_sevennet, is_sevennet
    from nbcore.importing.torch_file import TorchFile

    if is_n2p2(path):
        return read_n2p2(path, length_unit, energy_unit)
    if length_unit or energy_unit:
        raise InputError(f"{path}: units are asked of networks of n2p2 alone.")
    if is_ani(path):
        if head is not None or inputs:
            raise InputError(f"{path}: ANI networks have no heads and no inputs, got {head or inputs!r}.")
        return read_ani(path)
    content = TorchFile(path).load()
    if not is_sevennet(content):
        made = mace.potential(read_mace(content, str(path), head, inputs))
    elif head is None and not inputs:
        made = from_sevennet(content, str(path))
    else:
        raise InputError(f"{path}: a checkpoint of SevenNet has no heads and no inputs, got {head or inputs!r}.")
    note_origin(made, path)
    return made
