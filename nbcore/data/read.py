"""`read`: files in, a checked list of structures in eV and Angstrom out, with what was assumed on the way."""

import io
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.data import covalent_radii

from nbcore.data import programs
from nbcore.data.extxyz import decode, frames, parse, text_portions
from nbcore.data.files import PACKED, Bar, expand, plain_name, read_bytes
from nbcore.data.labels import Frame, Keys, Options, find_keys, structure_of
from nbcore.data.reading import (
    FileReading,
    Reading,
    Tally,
    check_missing,
    check_present,
    mixed_kinds,
    remark_on_weights,
    type_weights,
)
from nbcore.data.shard_set import view
from nbcore.data.shards import is_shards
from nbcore.data.structure import Structure, Structures
from nbcore.errors import InputError

ISOLATED = {"isolatedatom", "isolated_atom"}
ALONE = 10.0  # Å to its own image, from which a periodic one-atom frame counts as isolated
BONDED = 1.5  # times the sum of the covalent radii: nearer images make a crystal, whatever the frame is called
# Formats with labels under names and units of the user's.
WITH_KEYS = {"extxyz", "xyz", "traj", "db", "json", "bundletrajectory"}


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
    gathering = Gathering(paths, options, isolated_atoms)
    structures, isolated = [], []
    for here, alone in gathering.portions():
        structures += here
        isolated += alone
    reading = gathering.finish(require)
    factors = type_weights(gathering.tally.types, config_type_weights or {})
    for k, s in enumerate(structures):
        if factors[s.config_type] != 1.0:
            structures[k] = replace(s, weight=s.weight * factors[s.config_type])
    return Structures(structures, isolated, reading, name or stem(gathering.files[0]))


class Gathering:
    """Files, read one portion after another, and what there is to say of them all in the end.

    >>> gathering = Gathering(["train.xyz"], Options())
    >>> for structures, isolated in gathering.portions(10_000): ...
    >>> gathering.finish(require=()).remarks
    """

    def __init__(self, paths, options: Options, isolated_atoms=()):
        self.files = _with_partners(expand(paths)) + [f for f in expand(isolated_atoms or [])]
        self.options, self.reading, self.tally = options, Reading(options), Tally(options.outputs)
        self._seen, self._smearing = {}, 0.0

    def portions(self, most: int | None = None) -> Iterator[tuple[list[Structure], list[Structure]]]:
        """(structures, isolated atoms): a file at a time, or at most so many frames of files that can be cut."""
        with Bar("reading", sum(os.path.getsize(f) for f in self.files)) as bar:
            for file in self.files:
                yield from self._shards(file, most) if is_shards(file) else self._frames(file, most, bar)

    def _shards(self, file, most):
        shards = view([file], self.options)
        self.reading.files += shards.reading.files
        self.reading.remarks += shards.reading.remarks
        for first in range(0, max(1, len(shards)), most or max(1, len(shards))):
            here = list(shards[first : first + (most or len(shards))].in_memory())
            self.tally.add(here)
            yield here, [] if first else shards.isolated

    def _frames(self, file, most, bar):
        entry, whole = FileReading(file, 0, 0, "", {}), Keys()
        for raw, entry.format in frame_portions(file, bar, self.reading, most):
            found = find_keys(raw, self.options)
            whole.merge(found, raw[0])
            self._smearing = max(self._smearing, found.kinds_differ)
            self._seen.update({key: None for frame in raw for key in _described(frame)})
            here = [structure_of(frame, found, self.options) for frame in raw]
            alone = [s for s in here if is_isolated(s)]
            here = [s for s in here if not is_isolated(s)]
            whole.note(found)
            entry.count, entry.isolated = entry.count + len(here), entry.isolated + len(alone)
            self.tally.add(here)
            yield here, alone
        entry.keys, entry.kind = whole.named(), whole.kind
        self.reading.files.append(entry)
        self._remark(file, whole)

    def _remark(self, file, found):
        remarks = self.reading.remarks
        for label, (off, where) in found.asymmetry.items():
            remarks.append(f"{label} is not quite symmetric, by up to {off:.2g} ({where}); its symmetric part is used.")
        for kinds, count in found.not_held.items():
            remarks.append(
                f"{file}: the constraints of {count} frame{'s' * (count > 1)} are not kept ({kinds}). Training "
                "does not look at constraints; md and relax refuse these."
            )
        for key, count in found.unused.items():
            if count and key:
                remarks.append(f"{file}: {key} of {count} frames is not used: they have no cell with a volume.")

    def finish(self, require: Sequence[str]) -> Reading:
        """What was read; InputError for a label that is required, or that only some structures have."""
        reading, options = self.reading, self.options
        if self._smearing:
            reading.remarks.append(
                f"Both energy (sigma -> 0) and free_energy are present and differ by up to {1000 * self._smearing:.3g} "
                "meV/atom; the free energy is used, because the forces belong to it."
            )
        reading.remarks = [*dict.fromkeys(reading.remarks), *mixed_kinds(reading.files)]
        check_present(self.tally, options, require, list(self._seen), self.files, reading)
        check_missing(self.tally, options, reading)
        remark_on_weights(self.tally, reading)
        return reading


def frame_portions(path, bar, reading, most=None) -> Iterator[tuple[list[Frame], str]]:
    """(frames, format) of a file: all at once, or at most so many of extended XYZ, which is read as it comes."""
    name = plain_name(path).lower()
    if most is None or not name.endswith((".xyz", ".extxyz")) or programs.cp2k_kind(path):
        yield read_frames(path, bar, reading)
        return
    size, done, told = os.path.getsize(path), 0, False
    for text, number, line, at in text_portions(path, most):
        raw, dropped = _extxyz_frames(frames(text, path, number, line), path)
        reading.remarks += dropped * (not told)
        told = told or bool(dropped)
        yield raw, "extxyz"
        bar.advance(min(at, size) - done)
        done = min(at, size)


def _extxyz_frames(texts, path, bar=None):
    """Frames of texts, and at most one remark, on columns that no Properties= tells the meaning of."""
    raw, dropped = [], []
    for text in texts:
        raw.append(Frame.of(parse(text, path), path, text.number, text.line, keyed=True))
        count = len(text.lines[2].split())
        if not text.announced.columns and count > 4 and not dropped:
            dropped.append(
                f"{path}: frame {text.number} has {count} columns, but no Properties= says what those after the "
                "fourth are; they are not read."
            )
        if bar:
            bar(sum(map(len, text.lines)))
    return raw, dropped


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
        texts = frames(decode(content, path), path)
        texts = texts if index is None else some(list(texts))
        raw, dropped = _extxyz_frames(texts, path, lambda n: bar.advance(size * n / max(1, len(content))))
        reading.remarks += dropped
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


def stem(path) -> str:
    """The name of a file without folder and suffix."""
    name = os.path.basename(plain_name(path))
    return name.partition(".")[0] if not name.endswith(PACKED) else name
