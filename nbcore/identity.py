"""What decides the bits of a run, as digests by name: another one in any of them is another run."""

import hashlib
import platform

import numpy as np


def digest(*parts) -> str:
    """SHA-256 over arrays (with type and shape), texts, bytes and plain values, each kept apart from the next.

    >>> digest("a", "bc") == digest("ab", "c")
    False
    """
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            array = np.ascontiguousarray(part)
            content = f"{array.dtype.str} {array.shape} ".encode()
            content += repr(array.tolist()).encode() if array.dtype.kind == "O" else array.tobytes()
        else:
            content = part if isinstance(part, bytes) else repr(part).encode()
        found.update(len(content).to_bytes(8, "little") + content)
    return found.hexdigest()


def of_potential(potential) -> str:
    """Of a Potential: description, parameters and what else decides its results; of an evaluator: its file; of a
    committee: its members."""
    if hasattr(potential, "members"):
        return digest(*map(of_potential, potential.members))
    if not hasattr(potential, "parameters"):
        return digest(potential.digest, potential.precision, potential.max_bytes)  # any skin gives the same bits
    ways = [potential.precision, potential.radial_splines, potential.scale, sorted(potential.E0s.items())]
    program = potential.description.get("program")
    kept = potential.description.get("repulsion") or {}
    repulsion = [sorted(potential.repulsion.items())] if potential.repulsion else []
    repulsion += [sorted(kept["screening"].items())] if "screening" in kept else []
    return digest(program, potential.offsets, potential.parameters, *ways, *repulsion)


def of_structures(structures) -> str:
    """Of structures of any kind that a potential computes: positions, elements, cells; else of what kind they are."""
    return digest(*(part for s in structures for part in _of_structure(s)))


def _of_structure(s):
    try:
        read = (s.positions, s.numbers, s.cell) if hasattr(s, "positions") else (*s, None)[:3]
        positions, elements, cell = read
        cell = None if cell is None else np.asarray(cell, dtype=float).tolist()
        return np.asarray(positions, dtype=float), np.asarray(elements).tolist(), cell
    except (TypeError, ValueError):
        return (type(s).__qualname__,)


def of_installation() -> dict[str, str]:
    """{what: which} of all that is installed and decides bits.

    >>> sorted(of_installation())
    ['the kernel set', 'the release']
    """
    import nbcore

    versions = f"{nbcore.__version__}, Python {platform.python_version()}, NumPy {np.__version__}"
    return {"the release": versions, "the kernel set": nbcore.build_info()["kernel_set"]}


def of_calculator(calculator) -> str:
    """Of a calculator of ASE: its potential, or its class and those of its parameters that are plain values."""
    name = f"{type(calculator).__module__}.{type(calculator).__qualname__}"
    if hasattr(getattr(calculator, "potential", None), "precision"):
        scheme = getattr(calculator, "scheme", None)
        sets = [x for s in scheme.sets for key, x in sorted(s.items())] if scheme else []
        return digest(name, of_potential(calculator.potential), getattr(calculator, "max_bytes", None), *sets)
    parameters = getattr(calculator, "parameters", None) or {}
    return digest(name, *(f"{key} {_plain(value)!r}" for key, value in sorted(parameters.items())))


def _plain(value):
    """The value without objects whose text differs from process to process."""
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return digest(value)
    plain = value is None or isinstance(value, (str, bytes, bool, int, float, complex, np.generic))
    return value if plain else type(value).__qualname__


def of_atoms(atoms) -> dict:
    """{what: digest} of a structure: what moves, how heavy it is, what holds it, what a potential may read beside it.

    Momenta and forces are not part of it: they are results.
    """
    others = {name: a for name, a in atoms.arrays.items() if name not in NOT_INPUT}
    # ASE fills these in from the elements
    others |= {"initial_charges": atoms.get_initial_charges(), "initial_magmoms": atoms.get_initial_magnetic_moments()}
    arrays = (atoms.numbers.astype("<i8"), atoms.positions.astype("<f8"), atoms.cell.array.astype("<f8"), atoms.pbc)
    return {
        "structure": digest(*arrays),
        "masses": digest(atoms.get_masses().astype("<f8")),
        "constraints": digest([_plain(c.todict()) for c in atoms.constraints]),
        "per-atom arrays": digest(*(x for name in sorted(others) for x in (name, others[name]))),
    }


NOT_INPUT = {"numbers", "positions", "masses", "momenta", "forces"}
