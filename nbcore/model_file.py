"""What a model file says of itself, and whether this machine computes what it promises."""

import json
from typing import NamedTuple

import numpy as np

from nbcore import _core
from nbcore.errors import ModelFileError


class Golden(NamedTuple):
    """One golden case: what the file says and what was computed here, as largest absolute differences."""

    case: int
    n_atoms: int
    energy: float  #: eV
    forces: float  #: eV/Angstrom
    virial: float  #: eV


def read_description(path) -> dict:
    """The description of a model: species, cutoff, program, about, training, errors.

    Raises ModelFileError (not a model, damaged, of a newer release) and OSError.

    >>> read_description("molecule.nbcore")["species"]
    ['H', 'C', 'O']
    """
    return json.loads(_core.read_model_file(path)[0])


def check_golden(path, tolerance: float = 1e-10) -> list[Golden]:
    """Evaluates the golden cases of a model file: structures whose results were stored when it was written.

    Differences are compared with `tolerance` times the largest stored number of their kind (at least 1).
    Returns one `Golden` for each case, none if the file has none; raises ModelFileError if a case differs.

    >>> [(golden.n_atoms, golden.forces < 1e-9) for golden in check_golden("molecule.nbcore")]
    [(5, True), (3, True)]
    """
    from nbcore.potential import Potential

    _, tensors = _core.read_model_file(path)
    potential = Potential.load(path)
    results = []
    case = 0
    while f"golden.{case}.positions" in tensors:
        try:
            stored = {
                key: tensors[f"golden.{case}.{key}"]
                for key in ("positions", "numbers", "cell", "pbc", "energy", "forces", "virial")
            }
        except KeyError as missing:
            raise ModelFileError(f"{path}: golden case {case} lacks the array {missing.args[0]}") from None
        pbc = stored["pbc"] != 0
        numbers = stored["numbers"].astype(int)
        got = potential.golden_result(stored["positions"], numbers, stored["cell"], pbc)
        differences = []
        for key in ("energy", "forces", "virial"):
            value = np.asarray(getattr(got, key))
            if value.shape != stored[key].shape:
                raise ModelFileError(f"{path}: golden case {case}: {key} has shape {stored[key].shape}")
            scale = max(1.0, np.abs(stored[key]).max(initial=0))
            differences.append(float(np.abs(value - stored[key]).max(initial=0)))
            if not differences[-1] <= tolerance * scale:
                raise ModelFileError(
                    f"{path}: golden case {case}: {key} differs by {differences[-1]:.3g} from what the file says "
                    f"(allowed {tolerance * scale:.3g}): this build computes something else than the one that wrote it"
                )
        results.append(Golden(case, len(stored["numbers"]), *differences))
        case += 1
    return results
