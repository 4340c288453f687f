"""What a model file says of itself, and whether this machine computes what it promises."""

import itertools
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nbcore import _core
from nbcore.errors import Error, InputError, ModelFileError
from nbcore.outputs import Output
from nbcore.printable import printable
from nbcore.species import atomic_numbers

MOST_GOLDEN_ATOMS, FARTHEST = 1000, 1e4  # Angstrom


class Golden(NamedTuple):
    """One golden case: what the file says and what was computed here, as largest absolute differences."""

    case: int
    n_atoms: int
    energy: float  #: eV; 0 for a model without energies, as the next two
    forces: float  #: eV/Angstrom
    virial: float  #: eV
    outputs: float = 0.0  #: of all covariant outputs, in their units


def read_description(path) -> dict:
    """The description of a model, of a committee that of its first member: species, program, about, training, errors.

    Raises ModelFileError (not a model, damaged, of a newer release, entries of another kind) and OSError.

    >>> read_description("molecule.nbcore")["species"]
    ['H', 'C', 'O']
    """
    description = json.loads(_core.read_model_file(path)[0])
    if "committee" not in description:
        return check_description(description, path)
    members = description["committee"]
    if not isinstance(members, list) or not members or not all(isinstance(member, dict) for member in members):
        raise ModelFileError(f"{path}: description: committee: expected a list of descriptions")
    for member in members:
        check_description(member, path)
    return committee_description(members, description.get("uncertainty"))


def committee_description(members: Sequence[dict], uncertainty: dict | None) -> dict:
    """That of the first member, with "members", how many there are, and the uncertainty of the committee."""
    first = {name: value for name, value in members[0].items() if name != "uncertainty"}
    return {**first, "members": len(members)} | ({"uncertainty": uncertainty} if uncertainty else {})


NUMBERS = {"*": float}
OUTPUT = {"slot!": str, "rank!": int, "traceless": bool, "per": str, "charges": bool, "unit": str}
# what a description may hold beside what the core reads; "*": under any name; [...]: a list; !: must be there
FORM = {
    "species!": [str],
    "preset": str,
    "options": {},
    "about": {"*": str},
    "E0s": NUMBERS,
    "scale": float,
    "offsets": {"*": NUMBERS},
    "repulsion": {"kind!": str, "radii!": NUMBERS, "screening": {}},
    "spreads": NUMBERS,
    "shortest_distances": NUMBERS,
    "seeds": {},
    "versions": {"*": str},
    "certificate": {
        "passed!": bool,
        "of!": str,
        "checks!": [{"name!": str, "what!": str, "figure": float, "limit": float, "note": str, "passed": bool}],
        "dimers": [{"pair!": str, "minimum": float, "depth": float, "repulsive": bool, "begin": float}],
        "versions": {"*": str},
    },
    "uncertainty": {"kind!": str, "energy!": float, "forces!": NUMBERS, "largest": NUMBERS},
    "scheme": {"builder!": str, "size!": float, "levels!": int, "labels": str},
    "errors": {"*": {"n_structures!": int, "energy_rmse_per_atom": float, "forces_rmse": float, "stress_rmse": float}},
    "training": {
        "name": str,
        "n_train": int,
        "n_valid": int,
        "settings": {},
        "files": [{"name!": str, "n!": int, "role": str, "sha256!": str}],
        "start": {"file": str, "n_train": int},
    },
    "program!": {"gates!": [{"name!": str, "gate!": str}], "readout": [str], "outputs": {"*": OUTPUT}},
}
WORDS = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    dict: "an object",
    list: "a list",
}


def check_description(description: dict, path) -> dict:
    """The description itself, if its entries are of the kinds that nbcore writes; else ModelFileError names the first.

    Whoever reads a checked description need not ask what kind of value stands where; absent entries, and others than
    those of `FORM`, are nobody's business.
    """

    def check(value, form, where):
        kind = form if isinstance(form, type) else type(form)
        kinds = (int, float) if kind is float else kind
        if value is None and kind not in (dict, list):  # left open
            return
        if not isinstance(value, kinds) or (isinstance(value, bool) and kind in (int, float)):
            raise ModelFileError(f"{path}: description: {printable(where)[:200]}: expected {WORDS[kind]}")
        if isinstance(form, list):
            for k, item in enumerate(value):
                check(item, form[0], f"{where}[{k}]")
        if isinstance(form, dict):
            for key, inner in form.items():
                plain = key.removesuffix("!")
                if plain != key and plain not in value:
                    raise ModelFileError(f"{path}: description: {printable(where)[:200]} lacks {plain}")
                for name in value if key == "*" else {plain} & value.keys():
                    check(value[name], inner, f"{where}.{name}" if where else name)

    check(description, FORM, "")
    for name, options in description["program"].get("outputs", {}).items():
        try:
            Output(name, **{key: value for key, value in options.items() if key != "slot"})
        except (InputError, TypeError) as e:
            raise ModelFileError(f"{path}: description: output {printable(name)[:200]}: {printable(e)[:200]}") from None
    for output, (name, figures) in itertools.product(
        description["program"].get("outputs", {}), description.get("errors", {}).items()
    ):
        for key in (f"{output}_rmse", f"{output}_rmse_per_atom"):
            check(figures.get(key), float, f"errors.{name}.{key}")
    return description


def check_written(description: dict) -> None:
    """InputError where nobody could load a file with this description."""
    try:
        check_description(description, "a potential")
    except ModelFileError as e:
        raise InputError(str(e)) from None


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
    while f"golden.{len(results)}.positions" in tensors:
        case = len(results)
        try:
            results.append(_check_case(potential, case, tensors, tolerance))
        except KeyError as missing:
            raise ModelFileError(f"{path}: golden case {case} lacks the array {missing.args[0]}") from None
        except Error as e:
            raise ModelFileError(f"{path}: golden case {case}: {e}") from None
    return results


def _check_case(potential, case, tensors, tolerance):
    """The `Golden` of one case."""
    from nbcore import golden

    n = tensors[f"golden.{case}.positions"].shape[:1]
    structure = {"positions": (*n, 3), "numbers": n, "cell": (3, 3), "pbc": (3,)}
    energies = {"energy": (), "forces": (*n, 3), "virial": (3, 3)} if potential.has_energy else {}
    stored = {}
    for key, shape in {**structure, **energies, **dict.fromkeys(potential.outputs)}.items():
        array = stored[key] = tensors.get(f"golden.{case}.{key}")
        if array is None and key in potential.outputs:
            del stored[key]  # of a structure that has no such output
        elif array is None:
            raise KeyError(f"golden.{case}.{key}")
        elif shape is not None and array.shape != shape:
            raise ModelFileError(f"{key} has shape {array.shape}, expected {shape}")
    numbers = stored["numbers"]
    if not 0 < len(numbers) <= MOST_GOLDEN_ATOMS:
        raise ModelFileError(f"expected 1 to {MOST_GOLDEN_ATOMS} atoms, got {len(numbers)}")
    if not np.isin(numbers, atomic_numbers(potential.species)).all():
        raise ModelFileError(f"numbers must be atomic numbers of {' '.join(potential.species)}")
    for key in ("positions", "cell"):
        if np.abs(stored[key]).max() > FARTHEST:
            raise ModelFileError(f"{key} must lie within {FARTHEST:g} Å")
    pbc = [bool(p) for p in stored["pbc"] != 0]
    got = golden.result(potential, stored["positions"], numbers.astype(int), stored["cell"], pbc)
    differences = {}
    for key in [key for key in stored if key not in structure]:
        value = np.asarray(getattr(got, key) if key in energies else got.outputs.get(key))
        if value.shape != stored[key].shape:
            raise ModelFileError(f"{key} has shape {stored[key].shape}, expected {value.shape}")
        scale = max(1.0, np.abs(stored[key]).max(initial=0))
        difference = differences[key] = float(np.abs(value - stored[key]).max(initial=0))
        if not difference <= tolerance * scale:
            raise ModelFileError(
                f"{key} differs by {difference:.3g} from what the file says (allowed {tolerance * scale:.3g}): "
                "this build computes something else than the one that wrote it"
            )
    of_outputs = max((d for key, d in differences.items() if key not in energies), default=0.0)
    return Golden(
        case, len(numbers), *(differences.get(key, 0.0) for key in ("energy", "forces", "virial")), of_outputs
    )
