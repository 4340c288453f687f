"""`read`: files in, a checked list of structures in eV and Angstrom out, with what was assumed on the way."""

import io
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from ase.data import covalent_radii

from nbcore.data import programs
from nbcore.data.extxyz import decode, frames, parse
from nbcore.data.files import PACKED, Bar, expand, plain_name, read_bytes
from nbcore.data.labels import CANDIDATES, Frame, Options, candidates_of, find_keys, structure_of
from nbcore.data.structure import Structure, Structures
from nbcore.errors import InputError

ISOLATED = {"isolatedatom", "isolated_atom"}
ALONE = 10.0  # Å to its own image, from which a periodic one-atom frame counts as isolated
BONDED = 1.5  # times the sum of the covalent radii: nearer images make a crystal, whatever the frame is called
# Formats with labels under names and units of the user's.
WITH_KEYS = {"extxyz", "xyz", "traj", "db", "json", "bundletrajectory"}


@dataclass
class FileReading:
    """One file: how many structures and isolated atoms, its format and the keys of its labels."""

    name: str
    count: int
    isolated: int
    format: str
    keys: dict[str, str]
    kind: str = ""  # of its energies: "free", "plain" (the file does not say which), or "" where both are the same


@dataclass
class Reading:
    """What the reader found and assumed: files, remarks for the screen, and how many structures lack a label."""

    options: Options
    files: list[FileReading] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)


def read(
    paths: str | os.PathLike | Sequence,
    *,
    isolated_atoms: str | os.PathLike | Sequence | None = (),
    config_type_weights: dict | None = None,
    require: Sequence[str] | None = None,
    name: str = "",
    **keys: str | None,
) -> "Structures":
    """Reads reference data of every format ASE reads, compressed or not, and converts it to eV and Å.

    paths: a file, a glob or a list; isolated_atoms: further files that hold only those; config_type_weights:
    {"Default": 1.0, ...}; require: labels that must be there (by default the outputs, or energy and forces without any;
    "evaluate" needs none); further keys as under [data] in
    train.toml: energy_key, forces_key, stress_key, virial_key, energy_kind, energy_unit, length_unit, stress_unit,
    stress_sign, missing; outputs: covariant labels, names ("dipole") or {name: options} (see `nbcore.outputs`), whose
    numbers keep their unit. Keys and units apply to files that carry the user's own (extended XYZ, ASE databases);
    outputs of programs have theirs.

    Returns Structures; one-atom frames and config_type IsolatedAtom are in `.isolated`, what was assumed in `.reading`.
    Raises InputError that names file, frame and line, FileNotFoundError.

    >>> read("test_300K.xyz", energy_unit="eV")
    Structures(100 structures, H C O)
    """
    options = Options(**keys)
    require = (options.outputs or ("energy", "forces")) if require is None else require
    reading = Reading(options)
    files = _with_partners(expand(paths)) + [f for f in expand(isolated_atoms or [])]
    structures, isolated, seen, smearing = [], [], {}, 0.0
    with Bar("reading", sum(os.path.getsize(f) for f in files)) as bar:
        for file in files:
            raw, format = read_frames(file, bar, reading)
            found = find_keys(raw, options)
            smearing = max(smearing, found.kinds_differ)
            seen.update({key: None for frame in raw for key in _described(frame)})
            here = [structure_of(frame, found, options) for frame in raw]
            alone = [s for s in here if is_isolated(s)]
            structures += [s for s in here if not is_isolated(s)]
            isolated += alone
            labels = found.named()
            for label, (off, where) in found.asymmetry.items():
                reading.remarks.append(
                    f"{label} is not quite symmetric, by up to {off:.2g} ({where}); its symmetric part is used."
                )
            reading.files.append(FileReading(file, len(here) - len(alone), len(alone), format, labels, found.kind))
            for kinds, count in found.not_held.items():
                reading.remarks.append(
                    f"{file}: the constraints of {count} frame{'s' * (count > 1)} are not kept ({kinds}). Training "
                    "does not look at constraints; md and relax refuse these."
                )
            for key, count in found.unused.items():
                if count and key:
                    reading.remarks.append(
                        f"{file}: {key} of {count} frames is not used: they have no cell with a volume."
                    )
    if smearing:
        reading.remarks.append(
            f"Both energy (sigma -> 0) and free_energy are present and differ by up to {1000 * smearing:.3g} meV/atom; "
            "the free energy is used, because the forces belong to it."
        )
    reading.remarks += mixed_kinds(reading.files)
    _check_present(structures, options, require, list(seen), files, reading)
    check_missing(structures, options, reading)
    for key in dict.fromkeys(key for s in structures for key in s.weights):
        own = [s.weights[key] for s in structures if key in s.weights]
        reading.remarks.append(
            f"{len(own)} structures give a {key.replace('_', ' ')} of their own, {min(own):g} to {max(own):g}; it "
            "counts in the loss."
        )
    _set_weights(structures, config_type_weights or {})
    return Structures(structures, isolated, reading, name or _stem(files[0]))


def mixed_kinds(files: list[FileReading]) -> list[str]:
    """A remark where some files give free energies and others an energy whose kind they do not say."""
    free = [f.name for f in files if f.kind == "free"]
    plain = [f.name for f in files if f.kind == "plain"]
    if not free or not plain:
        return []
    more = f" and {len(plain) - 1} more" if len(plain) > 1 else ""
    return [
        f"Two kinds of energy: free energies from {free[0]}, but {plain[0]}{more} has an energy alone and does not say "
        'whether it is the free one or E(sigma -> 0). They must be of one kind: energy_kind = "zero"  takes the other '
        "from every file that has it; or leave those files out."
    ]


def read_frames(path: str, bar: Bar | None, reading: Reading, index: int | None = None) -> tuple[list[Frame], str]:
    """All frames of one file, or the one with this index, and the name of its format.

    What is left out is said in `reading.remarks`. Raises InputError, and IndexError where there is no such frame.
    """
    bar, size = bar or Bar("reading", 1.0), os.path.getsize(path)
    chosen = slice(None) if index is None else slice(index, index + 1 or None)

    def some(frames):
        if index is not None and not -len(frames) <= index < len(frames):
            raise IndexError(index)
        return frames[chosen]

    if programs.cp2k_kind(path):
        pairs, remark = programs.read_cp2k(path)
        reading.remarks.append(remark)
        bar.advance(size)
        return [Frame.of(atoms, path, text.number, text.line) for atoms, text in some(pairs)], "CP2K"
    content, packed = read_bytes(path)
    format = _format(path, content)
    if format in ("xyz", "extxyz"):
        raw = []
        dropped = ""
        texts = frames(decode(content, path), path)
        for text in texts if index is None else some(list(texts)):
            raw.append(Frame.of(parse(text, path), path, text.number, text.line, keyed=True))
            count = len(text.lines[2].split())
            if not text.announced.columns and count > 4 and not dropped:
                dropped = (
                    f"{path}: frame {text.number} has {count} columns, but no Properties= says what those after the "
                    "fourth are; they are not read."
                )
            bar.advance(size * sum(map(len, text.lines)) / max(1, len(content)))
        reading.remarks += [dropped] if dropped else []
        return raw, "extxyz"
    images = _read_ase(path, content if packed else None, format)
    if format == "orca-output":
        kept = programs.drop_unfinished_orca(images)
        if len(kept) < len(images):
            reading.remarks.append(f"{path}: the last energy of the optimisation has no gradient; frame left out.")
        images = kept
    bar.advance(size)
    numbered = list(enumerate(images))
    return [Frame.of(atoms, path, k, keyed=format in WITH_KEYS) for k, atoms in some(numbered)], format


def _format(path, content):
    from ase.io.formats import UnknownFileTypeError, filetype

    name = plain_name(path)
    if name.lower().endswith((".xyz", ".extxyz")):
        return "extxyz"
    try:
        file = io.BytesIO(content)
        file.name = name
        return filetype(file)
    except UnknownFileTypeError:
        raise InputError(f"{path}: {'empty' if not content else 'not a format that ASE recognises'}.") from None


def _read_ase(path, content, format):
    """Through ASE; what was compressed goes through a temporary file, because some readers need a real one."""
    import ase.io

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = Path(path)
        if content is not None:
            source = Path(folder) / os.path.basename(plain_name(path))
            source.write_bytes(content)
        try:
            if format in ("db", "json"):
                images = _database(source)
            else:
                images = ase.io.read(source, index=":", format=format)
        except Exception as e:
            # The readers of ASE raise whatever comes up in them; for the user all of it means: this file does not fit.
            raise InputError(f"{path}: could not be read as {format}: {str(e) or type(e).__name__}") from None
    if not images:
        raise InputError(f"{path}: no complete frame in it ({format}).")
    return images


def _database(source):
    """The rows of an ASE database with what it holds beside the atoms: info["key_value_pairs"], info["data"]."""
    import ase.db

    with ase.db.connect(source) as rows:
        return [row.toatoms(add_additional_information=True) for row in rows.select()]


def _with_partners(files):
    """CP2K pairs are read from the file of positions; a file of forces alone is an error."""
    kept = []
    for file in files:
        if programs.cp2k_kind(file) == "frc":
            if not os.path.exists(programs.cp2k_partner(file)):
                raise InputError(f"{file}: CP2K forces without their positions, {programs.cp2k_partner(file)}.")
            file = programs.cp2k_partner(file)
        if file not in kept:
            kept.append(file)
    return kept


def is_isolated(structure: Structure) -> bool:
    """One atom without periods, or farther than 10 Å from its own images, or called isolated and not bonded to them.

    Raises InputError for one that is called isolated and is a crystal.
    """
    if len(structure) != 1:
        return False
    if not structure.pbc.any():
        return True
    periods = structure.cell[structure.pbc]
    steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * len(periods), indexing="ij"), -1).reshape(-1, len(periods))
    nearest = np.linalg.norm(steps[np.any(steps != 0, axis=1)] @ periods, axis=1).min()
    called = structure.config_type.lower() in ISOLATED
    if called and nearest < BONDED * 2 * covalent_radii[structure.numbers[0]]:
        raise InputError(
            f"{structure.where}: config_type is {structure.config_type}, but its own image is {nearest:.2f} Å away: a "
            'crystal of one atom per cell. Write pbc="F F F", or another config_type.'
        )
    return bool(called or nearest >= ALONE)


def _described(frame):
    """The keys of a frame for messages: "dft_forces (per atom, 3 columns)"."""
    for key, value in frame.values.items():
        per_atom = (
            isinstance(value, np.ndarray)
            and value.ndim
            and len(value) == len(frame.atoms)
            and key in frame.atoms.arrays
        )
        results = getattr(frame.atoms.calc, "results", {})
        per_atom = per_atom or (key in results and np.ndim(value) == 2 and np.shape(value)[0] == len(frame.atoms))
        columns = np.shape(value)[1] if np.ndim(value) == 2 else 1
        yield f"{key} (per atom, {columns} column{'s' * (columns > 1)})" if per_atom else key


def _check_present(structures, options, require, seen, files, reading):
    """A label that was asked for, or that training needs, must be in some frame; others are remarked on."""
    for label in (*CANDIDATES, *options.outputs):
        asked = options.asked(label)
        attribute = "stress" if label == "virial" else label
        needed = label in require or asked not in ("auto", "none")
        remarked = ("energy", "forces") if not options.outputs else tuple(options.outputs)
        if asked == "none" or not structures or not (needed or label in remarked):
            continue
        if any(_value(s, attribute) is not None for s in structures):
            continue
        if all(not _may_have(s, attribute) for s in structures):
            continue
        file = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
        looked = ", ".join(CANDIDATES.get(label) or candidates_of(label)) if asked == "auto" else asked
        hold = f"The frames hold: {', '.join(seen)}." if seen else "The frames hold positions only."
        near = [word.split()[0] for word in seen if label in word.lower()]
        write = f'\nWrite  {options.key_word(label)} = "{near[0]}"  under [{options.table(label)}].' if near else ""
        if not near and label == "forces":
            write = '\nWrite  forces_key = "none"  under [data] to train on energies alone.'
        text = f"{file}: no frame has {_article(label)}.\nLooked for {looked}. {hold}"
        if needed:
            raise InputError(text + write)
        reading.remarks.append(text)


def _article(label):
    return {"energy": "an energy", "forces": "forces"}.get(label, f"a {label}")


def _value(structure, label):
    """A label of a structure, None if it has none."""
    return structure.outputs.get(label) if label not in ("energy", "forces", "stress") else getattr(structure, label)


def _may_have(structure, label):
    """Whether a label can be expected: forces on more than one atom, stress with three periods."""
    return {"forces": len(structure) > 1, "stress": structure.periodic}.get(label, True)


def check_missing(structures, options, reading):
    """A label that some structures have and others lack: an error, or counted where `missing` is "mask"."""
    for label in ("energy", "forces", "stress", *options.outputs):
        expected = [s for s in structures if _may_have(s, label)]
        lacking = [s for s in expected if _value(s, label) is None]
        if not lacking or len(lacking) == len(expected):
            continue
        have, first = len(expected) - len(lacking), lacking[0]
        if options.missing == "error":
            others = f"{have} other frames have them" if label == "forces" else f"{have} other frames have one"
            more = f" So it is with {len(lacking) - 1} more." if len(lacking) > 1 else ""
            labels = ("energy", "forces", "stress", *options.outputs)
            rest = " and ".join(x for x in labels if _value(first, x) is not None)
            use = f"to use its {rest} alone" if rest else "to accept it"
            raise InputError(
                f"{first.where}: no {label}, although {others}.{more}\n"
                f'Remove {"it" if len(lacking) == 1 else "them"}, or write  missing = "mask"  {use}.'
            )
        reading.missing[label] = len(lacking)
        reading.remarks.append(
            f"{len(lacking)} of {len(expected)} structures {'has' if len(lacking) == 1 else 'have'} no {label} "
            f"(the first: {first.where}); only the other labels of such a structure count."
        )


def _set_weights(structures, weights):
    types = Counter(s.config_type for s in structures)
    unknown = [t for t in weights if t != "Default" and t not in types]
    if unknown and structures:
        raise InputError(f"config_type_weights: no structure is of type {unknown[0]}. There are: {', '.join(types)}.")
    for k, structure in enumerate(structures):
        weight = structure.weight * weights.get(structure.config_type, weights.get("Default", 1.0))
        structures[k] = structure if weight == structure.weight else replace(structure, weight=float(weight))


def _stem(path):
    name = os.path.basename(plain_name(path))
    return name.partition(".")[0] if not name.endswith(PACKED) else name
