"""From ASE's frames to labels in eV and Angstrom: which keys, which energy, which units, and what is missing."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from nbcore.data import units
from nbcore.data.constraints import fixed_components
from nbcore.data.extxyz import finite
from nbcore.data.structure import Structure, location
from nbcore.errors import InputError
from nbcore.outputs import Output, outputs_of
from nbcore.scheme import labels_of

CANDIDATES = {
    "energy": ("REF_energy", "energy"),
    "forces": ("REF_forces", "forces", "force"),
    "stress": ("REF_stress", "stress"),
    "virial": ("REF_virial", "REF_virials", "virial", "virials"),
}
FREE = {"REF_energy": "REF_free_energy", "energy": "free_energy"}
NOT_LABELS = {"numbers", "positions", "symbols", "initial_magmoms", "initial_charges", "momenta", "tags", "masses"}
WEIGHTS = ("weight", "config_weight")  # of GPUMD and MACE
FARTHEST = 1e8  # Å, beyond which a position is a mistake
ASYMMETRY = 1e-3  # of the largest component: more than rounding in the last digit does
CONSISTENCY = 1e-6  # relative, of stress and virial in one frame
ROUNDING = 1e-8  # eV/Å^3: what eight printed decimals leave open


@dataclass
class Frame:
    """A frame as ASE gave it, its `values` by key; `keyed`: keys and units are the user's (extended XYZ, databases)."""

    atoms: Atoms
    values: dict[str, Any]
    file: str
    number: int
    line: int | None
    keyed: bool

    @classmethod
    def of(cls, atoms: Atoms, file: str, number: int, line: int | None = None, keyed: bool = False):
        """Collects what ASE keeps in info, arrays and results under their keys.

        What a database holds beside them, in key_value_pairs and data, is found by its own name; where that is taken,
        as `data.energy`.
        """
        arrays = {key: value for key, value in atoms.arrays.items() if key not in NOT_LABELS}
        results = {k: v for k, v in getattr(atoms.calc, "results", {}).items() if v is not None}
        values = {**atoms.info, **arrays, **results}
        for table in ("key_value_pairs", "data"):
            for key, value in values.pop(table).items() if isinstance(values.get(table), dict) else ():
                values[key if key not in values else f"{table}.{key}"] = value
        return cls(atoms, values, file, number, line, keyed)

    @property
    def where(self) -> str:
        return location(self.file, self.number, self.line)


@dataclass
class Options:
    """How labels are found and converted: the keys of [data] in train.toml, same names, same defaults.

    outputs: covariant labels, {name: options of nbcore.outputs.Output, and "key"}, or names alone.
    """

    energy_key: str = "auto"
    forces_key: str = "auto"
    stress_key: str = "auto"
    virial_key: str = ""
    energy_kind: str = "auto"
    energy_unit: str = "eV"
    length_unit: str = "Angstrom"
    forces_unit: str = "auto"
    stress_unit: str = "eV/Angstrom^3"
    stress_sign: str = "tension"
    missing: str = "error"
    outputs: dict[str, dict] | list[str] = field(default_factory=dict)

    def __post_init__(self):
        choices = {
            "energy_kind": ("auto", "free", "zero"),
            "energy_unit": units.ENERGY,
            "length_unit": units.LENGTH,
            "stress_unit": units.PRESSURE,
            "stress_sign": ("tension", "pressure"),
            "missing": ("error", "mask"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"{name}: expected one of {', '.join(allowed)}, got {getattr(self, name)!r}.")
        units.forces_unit(self.forces_unit, self.energy_unit, self.length_unit)
        if self.virial_key and self.stress_key not in ("auto", "none"):
            raise InputError("Give stress_key or virial_key, not both.")
        items = self.outputs.items() if isinstance(self.outputs, dict) else [(name, {}) for name in self.outputs]
        items = [(name, o.as_dict() if isinstance(o, Output) else dict(o)) for name, o in items]
        self.output_keys = {name: options.pop("key", "auto") for name, options in items}
        self.outputs = outputs_of(dict(items))

    def asked(self, label: str) -> str:
        """The key the user wrote for a label: "auto", "none" or a name."""
        if label in self.outputs:
            return self.output_keys[label]
        if label == "virial":
            return self.virial_key or ("auto" if self.stress_key == "auto" else "none")
        if label == "stress" and self.virial_key:
            return "none"
        return getattr(self, f"{label}_key")

    def key_word(self, label: str) -> str:
        """What a label's key is called in train.toml."""
        return "key" if label in self.outputs else f"{label}_key"

    def table(self, label: str) -> str:
        """The table of train.toml where it stands."""
        return f"outputs.{label}" if label in self.outputs else "data"


@dataclass
class Keys:
    """The keys that one file's labels are under, and by how much its two kinds of energy differ (eV/atom)."""

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None
    virial: str | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    kinds_differ: float = 0.0
    kind: str = ""  # of the energies, see FileReading
    unused: Counter = field(default_factory=Counter)
    asymmetry: dict[str, tuple[float, str]] = field(default_factory=dict)  # of outputs: the largest, where
    not_held: Counter = field(default_factory=Counter)  # kinds of constraints that a Structure cannot keep

    def put(self, label: str, key: str | None) -> None:
        """Takes note of the key of a label."""
        if label in CANDIDATES:
            setattr(self, label, key)
        elif key:
            self.outputs[label] = key

    def merge(self, later: "Keys", frame: Frame) -> None:
        """Takes in the keys of a later portion of the same file, which begins with `frame`; they must be the same."""
        for label, key in later.named().items():
            before = self.named().get(label)
            if before is not None and before != key:
                word = f'{label}_key = "{before}"  or  "{key}"' if label in CANDIDATES else "its key"
                if {before, key} & {*FREE.values()}:
                    word = 'energy_kind = "free"  or  "zero"'
                raise InputError(
                    f"{frame.where}: the {label} stands under {key} from about here on, under {before} before. "
                    f"Write  {word}, or cut the file there."
                )
            self.put(label, key)
        self.kind = later.kind or self.kind

    def note(self, later: "Keys") -> None:
        """Takes in what was noted while the structures of a later portion were made."""
        self.unused += later.unused
        self.not_held += later.not_held
        for label, found in later.asymmetry.items():
            self.asymmetry[label] = max(self.asymmetry.get(label, (0.0, "")), found)

    def named(self) -> dict[str, str]:
        """{label: key} of what was found."""
        found = {label: key for label in CANDIDATES if (key := getattr(self, label))}
        return found | self.outputs


def candidates_of(output: str) -> tuple[str, ...]:
    """The keys under which a covariant output is looked for."""
    return (f"REF_{output}", output)


def find_keys(frames: list[Frame], options: Options) -> Keys:
    """Decides once per file which keys hold the labels.

    Raises InputError that lists them where two candidates exist.
    """
    counts = Counter(key for frame in frames for key in frame.values)
    keys = Keys()
    for label, candidates in {**CANDIDATES, **{name: candidates_of(name) for name in options.outputs}}.items():
        asked = options.asked(label)
        if asked == "none":
            continue
        if asked != "auto" and (frames[0].keyed or counts[asked]):
            keys.put(label, asked if counts[asked] else None)
            continue
        found = [c for c in candidates if counts[c]] or [c for c in counts if c.lower() in map(str.lower, candidates)]
        if len(found) > 1:
            lines = "  or  ".join(f'{options.key_word(label)} = "{c}"' for c in found)
            raise InputError(
                f"{frames[0].file}: two candidates for the {label}: "
                f"{', '.join(f'{c} ({counts[c]} frames)' for c in found)}.\nWrite  {lines}  under "
                f"[{options.table(label)}]."
            )
        keys.put(label, found[0] if found else None)
    if options.energy_key == "auto" or not frames[0].keyed:
        plain = keys.energy
        keys.energy, keys.kinds_differ = _energy_kind(frames, plain, counts, options.energy_kind)
        if keys.energy != plain:
            keys.kind = "free"
        elif keys.energy and options.energy_kind != "zero" and not any(counts[free] for free in FREE.values()):
            keys.kind = "plain"
    return keys


def _energy_kind(frames, key, counts, kind):
    """The free energy where both kinds exist and differ: forces are its derivative, not that of E(sigma -> 0)."""
    free = FREE.get(key) or next((f for f in FREE.values() if counts[f]), None)
    if kind == "zero" or free is None or not counts[free]:
        if kind == "free" and frames[0].keyed:
            raise InputError(f'{frames[0].file}: no frame has a free energy, though energy_kind = "free" asks for it.')
        return key, 0.0
    both = [f for f in frames if key in f.values and free in f.values]
    differ = max((abs(_number(f, key) - _number(f, free)) / len(f.atoms) for f in both), default=0.0)
    if key is None or kind == "free" or differ > 1e-9:
        return free, differ
    return key, 0.0


def structure_of(frame: Frame, keys: Keys, options: Options) -> Structure:
    """One frame -> a Structure in eV and Å; labels that the frame lacks are None.

    Raises InputError with file, frame and line for what cannot be a label: wrong shape, not finite, asymmetric stress.
    """
    energy_unit = units.ENERGY[options.energy_unit] if frame.keyed else 1.0
    length_unit = units.LENGTH[options.length_unit] if frame.keyed else 1.0
    forces_unit = 1.0
    if frame.keyed:
        forces_unit = units.forces_unit(options.forces_unit, options.energy_unit, options.length_unit)
    n = len(frame.atoms)
    positions, cell, pbc = geometry(frame, length_unit)
    energy = _number(frame, keys.energy)
    forces = _array(frame, keys.forces, (n, 3), "forces")
    structure = Structure(
        positions=positions,
        numbers=frame.atoms.numbers.astype(int),
        cell=cell,
        pbc=pbc,
        energy=None if energy is None else energy * energy_unit,
        forces=None if forces is None else forces * forces_unit,
        config_type=str(frame.values.get("config_type", "Default")),
        weight=_weight(frame, WEIGHTS),
        label_weights=_label_weights(frame, options),
        file=frame.file,
        frame=frame.number,
        line=frame.line,
        leaves={
            key: a
            for key, a in frame.atoms.arrays.items()
            if key not in ("positions", "momenta", "masses", keys.forces) and a.dtype.kind == "f"
        },
        labels=labels_of({key: a for key, a in frame.atoms.arrays.items() if key not in NOT_LABELS}),
        fixed=_fixed(frame, keys),
    )
    for name, key in keys.outputs.items():
        if frame.values.get(key) is not None:
            tensor, off = options.outputs[name].label(frame.values[key], n, frame.where, key)
            structure.outputs[name] = tensor
            if off > 1e-5 * np.abs(tensor).max(initial=0):
                keys.asymmetry[name] = max(keys.asymmetry.get(name, (0.0, "")), (off, frame.where))
    if structure.volume:
        structure.stress = _stress(frame, keys, options, structure.volume, energy_unit)
    else:
        for key in (keys.stress, keys.virial):
            keys.unused[key] += key in frame.values
    return structure


def _fixed(frame, keys):
    """The components that the constraints of a frame hold; kinds that cannot be kept are noted."""
    if not frame.atoms.constraints:
        return None
    try:
        return fixed_components(frame.atoms)
    except InputError:
        keys.not_held[", ".join(sorted({type(c).__name__ for c in frame.atoms.constraints}))] += 1
        return None


def _weight(frame, keys, rest=1.0):
    """The weight that a frame gives itself under one of these keys, else `rest`."""
    found = {key: _number(frame, key) for key in keys if key in frame.values} if frame.keyed else {}
    for key, value in found.items():
        if value < 0:
            raise InputError(f"{frame.where}: {key} is {value:g}; a weight is at least 0.")
    if len(set(found.values())) > 1:
        said = " and ".join(f"{key}={value:g}" for key, value in found.items())
        raise InputError(f"{frame.where}: {said} contradict each other; leave one of them out.")
    return next(iter(found.values()), rest)


def weight_keys(label: str) -> list[str]:
    """The keys under which a frame may give the weight of one of its labels: energy_weight, config_energy_weight."""
    names = (label, "virial", "virials") if label == "stress" else (label,)
    return [f"{prefix}{name}_weight" for name in names for prefix in ("", "config_")]


def _label_weights(frame, options):
    """{label: weight} of the labels that a frame weighs on their own."""
    found = {
        label: _weight(frame, weight_keys(label), None) for label in ("energy", "forces", "stress", *options.outputs)
    }
    return {label: weight for label, weight in found.items() if weight is not None}


def geometry(frame: Frame, length_unit: float):
    """Positions and cell (None without one) in Å, and pbc, of a frame; InputError where they make no structure."""
    positions = frame.atoms.positions * length_unit
    cell = np.array(frame.atoms.cell) * length_unit
    pbc = np.array(frame.atoms.pbc, dtype=bool)
    if not len(positions):
        raise InputError(f"{frame.where}: no atoms in it.")
    for i in np.flatnonzero(~np.isfinite(positions).all(axis=1)):
        raise InputError(f"{frame.where}: the position of atom {i} is not finite: {positions[i]}.")
    for i in np.flatnonzero(np.abs(positions).max(axis=1) > FARTHEST):
        raise InputError(f"{frame.where}: atom {i} lies {np.abs(positions[i]).max():.3g} Å from the origin.")
    for i in np.flatnonzero((frame.atoms.numbers < 1) | (frame.atoms.numbers >= len(chemical_symbols))):
        raise InputError(f"{frame.where}: atom {i} is of no element (atomic number {frame.atoms.numbers[i]}).")
    if not np.all(np.isfinite(cell)):
        raise InputError(f"{frame.where}: the cell is not finite.")
    if pbc.any() and np.linalg.matrix_rank(cell[pbc]) < pbc.sum():
        flags = " ".join("FT"[int(p)] for p in pbc)
        raise InputError(f'{frame.where}: pbc is "{flags}", but the cell has no volume there. Is Lattice missing?')
    return positions, cell if cell.any() else None, pbc


def _number(frame, key):
    value = frame.values.get(key)
    if value is None:
        return None
    if isinstance(value, (bool, str)) or np.size(value) != 1 or np.ndim(value) > 1 or not finite(value):
        got = repr(np.asarray(value).tolist())
        raise InputError(f"{frame.where}: {key} is {got}; expected one finite number.")
    return float(np.ravel(value)[0])


def _array(frame, key, shape, name):
    value = frame.values.get(key)
    if value is None:
        return None
    value = np.asarray(value)
    if value.dtype.kind not in "iuf" or value.shape != shape:
        expected = f"({len(frame.atoms)}, 3)" if name == "forces" else str(shape)
        raise InputError(f"{frame.where}: {key} must be numbers of shape {expected}, got shape {value.shape}.")
    bad = np.argwhere(~np.isfinite(value))
    if len(bad):
        place = f" of atom {bad[0][0]}, component {'xyz'[bad[0][1]]}," if name == "forces" else ""
        raise InputError(f"{frame.where}: {key}{place} is not finite: {value[tuple(bad[0])]}.")
    return value.astype(float)


def _matrix(frame, key):
    """A stress or virial as (3, 3), from a matrix, nine numbers, or six in the order xx yy zz yz xz xy."""
    value = frame.values.get(key)
    if value is None:
        return None
    size = np.size(value)
    if size == 6:
        value = np.asarray(_array(frame, key, np.shape(value), "stress")).ravel()[[0, 5, 4, 5, 1, 3, 4, 3, 2]]
    elif size != 9:
        raise InputError(f"{frame.where}: {key} must be six or nine numbers, got {size}.")
    else:
        value = _array(frame, key, np.shape(value), "stress")
    value = value.reshape(3, 3)
    if np.abs(value - value.T).max() > ASYMMETRY * np.abs(value).max():
        raise InputError(f"{frame.where}: {key} is not symmetric: {' '.join(f'{v:g}' for v in value.ravel())}.")
    return 0.5 * (value + value.T)


def _stress(frame, keys, options, volume, energy_unit):
    """stress = (1/V) dE/d(strain) = -virial/V in eV/Å^3, tension positive; checked where the frame has both."""
    stress, virial = _matrix(frame, keys.stress), _matrix(frame, keys.virial)
    if stress is not None and frame.keyed:
        stress = stress * units.PRESSURE[options.stress_unit] * (-1.0 if options.stress_sign == "pressure" else 1.0)
    if virial is None:
        return stress
    from_virial = virial * (-energy_unit / volume)
    if stress is None:
        return from_virial
    scale = max(np.abs(stress).max(), np.abs(from_virial).max())
    if np.abs(stress - from_virial).max() > CONSISTENCY * scale + ROUNDING:
        flipped = np.abs(stress + from_virial).max() <= CONSISTENCY * scale + ROUNDING
        hint = f'Check stress_unit; stress_key = "{keys.stress}"  or  virial_key = "{keys.virial}"  uses one of them.'
        if flipped:
            other = "tension" if options.stress_sign == "pressure" else "pressure"
            hint = f'They agree with stress_sign = "{other}".'
        raise InputError(
            f"{frame.where}: {keys.stress} and {keys.virial} disagree: stress xx {stress[0, 0]:.6g}, "
            f"-virial/volume xx {from_virial[0, 0]:.6g} eV/Å^3. {hint}"
        )
    return stress
