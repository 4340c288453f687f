"""Fuzzer of data files: damaged texts are read with all that they say, or refused by a typed error with file and frame.

    python tools/fuzz_data.py --minutes 1 --seed 7
    python tools/fuzz_data.py --count 1 --seed 123456 --show     # one finding again

A file is made, some words, lines or bytes of it are changed, and it goes through the reader of all verbs, the audit,
and the start of md and relax. Wrong is: an error that is not nbcore's, one that does not name the file, lines of
extended XYZ that became neither atom nor count nor comment, a cell in any letters that was lost.
"""

import argparse
import functools
import re
import sys
import tempfile
import time
import warnings
from pathlib import Path

import ase.db
import ase.io
import numpy as np
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from nbcore.data import audit, read
from nbcore.data.start import read_structure
from nbcore.errors import Error

WORDS = (
    'nan|inf|-inf|1e999|-1|0|1|2|3|1.5D+00|1d3|0x10|1_0|T|F|true||""|"|\'|{|}|[|]|=|:|,|\\|H|He|X|Xx|119|0.0|1e-300|1e300'
    '|lattice=|Lattice=|LATTICE="4 0 0 0 4 0 0 0 4"|cell="4 4 4"|pbc=|PBC="T T F"|pbc="F"|Properties='
    "|properties=species:S:1:pos:R:3|species:S:1|pos:R:3|Z:I:1|forces:R:3|force:R:3|move_mask:L:1|energy=1|energy="
    '|free_energy=-2|stress=|virial="1 2 3 4 5 6"|weight=0.5|weight=-1|config_type=IsolatedAtom|config_type=|VEC1'
    "|masses:R:1|momenta:R:3|id:I:1|#|!|\t|\ufeff|_JSON|é"
).split("|")


def labelled(atoms, rng):
    """The atoms, moved a little, with random labels."""
    atoms.rattle(0.1, seed=int(rng.integers(1 << 30)))
    labels = {"energy": -3.0 * len(atoms), "forces": rng.standard_normal((len(atoms), 3))}
    if atoms.pbc.any():
        labels["stress"] = 0.01 * rng.standard_normal(6)
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


@functools.cache
def seeds():
    """{file name: content}: small valid files."""
    rng = np.random.default_rng(0)
    frames = [labelled(molecule("H2O"), rng), labelled(bulk("Cu", cubic=True), rng), labelled(molecule("CH4"), rng)]
    crystal = labelled(bulk("NaCl", "rocksalt", a=5.6, cubic=True), rng)
    crystal.set_constraint(FixAtoms([0, 3]))
    with tempfile.TemporaryDirectory() as folder:
        for name, images in (
            ("a.xyz", frames), ("b.xyz", [crystal]), ("POSCAR", crystal), ("a.cif", crystal), ("geometry.in", crystal),
            ("a.gen", crystal), ("a.cfg", crystal), ("a.xsf", crystal), ("a.pdb", frames[0]), ("a.traj", crystal),
        ):  # fmt: skip
            ase.io.write(f"{folder}/{name}", images)
        ase.io.write(f"{folder}/c.xyz", frames[0], format="xyz")
        with ase.db.connect(f"{folder}/a.json") as rows:
            rows.write(frames[0], dft=-1.0, data={"grad": np.zeros((3, 3))})
        found = {path.name: path.read_bytes() for path in Path(folder).iterdir() if not path.name.endswith(".lock")}
    gpumd = found["a.xyz"].decode().replace("Lattice", "lattice").replace("Properties", "properties")
    found["train.xyz"] = gpumd.replace(":forces:", ":force:").replace("energy=", "weight=1.0 energy=").encode()
    comment = "i = {}, time = 0.5, E = -17.1"
    cp2k = "".join(f"2\n{comment.format(k)}\nO 0 0 0\nH 0 0 1\n" for k in range(2))
    found["w-pos-1.xyz"] = found["w-frc-1.xyz"] = cp2k.encode()
    return found


def damage(content, rng):
    """A few changes: of bytes, of words, of lines, or the end cut off."""
    for _ in range(int(rng.integers(1, 5))):
        kind = int(rng.integers(7))
        if kind == 0 and content:  # a byte
            at = int(rng.integers(len(content)))
            byte = (
                bytes([int(rng.integers(256))]) if rng.random() < 0.3 else rng.choice(list(b' \n0.-:="')).tobytes()[:1]
            )
            content = content[:at] + byte * int(rng.integers(2)) + content[at + int(rng.integers(2)) :]
        elif kind == 1:  # the end
            content = content[: int(rng.integers(len(content) + 1))] if rng.random() < 0.3 else content
        elif kind in (2, 3, 4):  # a word replaced, put in, left out
            pieces = re.split(rb"([\s=:\"]+)", content)
            at = int(rng.integers(len(pieces)))
            word = WORDS[int(rng.integers(len(WORDS)))].encode()
            pieces[at : at + 1] = {2: [word], 3: [pieces[at], b" ", word, b" "], 4: []}[kind]
            content = b"".join(pieces)
        else:  # a line left out, doubled, moved
            lines = content.split(b"\n")
            at, to = (int(x) for x in rng.integers(len(lines), size=2))
            lines[to:to] = [lines[at]] * int(rng.integers(2))
            del lines[at : at + int(rng.integers(2))]
            content = b"\n".join(lines)
    return content


def refused_or(look, path, *arguments):
    """What `look` finds wrong with a file, or None: nbcore's own errors are right where they name the file."""
    try:
        return look(path, *arguments)
    except Error as e:
        return None if path.name in str(e) else f"{look.__name__}: an error that does not name the file: {e}"


def read_and_audited(path, content):
    """What is wrong with how the reader and the audit took a file, or None."""
    data = read(path, require=(), missing="mask")
    structures = [*data, *data.isolated]
    if not structures:
        return "read as nothing"
    if path.suffix == ".xyz" and "-1" not in path.stem:
        text = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n").rstrip()
        lines = [line for line in text.split("\n") if not line.lstrip().startswith("VEC")]
        announced = sum(len(s) + 2 for s in structures)
        if announced != len(lines) and re.sub(r"\s+$", "", text) == text:
            return f"{len(lines)} lines, but {announced} of them were read"
        for s in structures:
            comment = lines[s.line] if s.line < len(lines) else ""
            if re.search(r'^[^"\'{\[]*?(?:^|\s)lattice\s*=', comment, re.IGNORECASE) and s.cell is None:
                return f"frame {s.frame}: a cell was lost: {comment[:80]}"
    audit(data, cutoff=4.0) if len(data) else None
    return None


def started(path):
    """What is wrong with the start of md and relax, which reads the last frame, or None."""
    atoms, _, _ = read_structure(str(path))
    return None if len(atoms) else "md: a structure without atoms"


def wrong(path, content):
    """What is wrong with how the verbs took a file, or None."""
    return refused_or(read_and_audited, path, content) or refused_or(started, path)


def case(seed, folder):
    """(file name, content, what is wrong or None) of one seed."""
    rng = np.random.default_rng(seed)
    files = seeds()
    name = sorted(files)[int(rng.integers(len(files)))]
    for partner in ("w-pos-1.xyz", "w-frc-1.xyz"):
        (folder / partner).write_bytes(files[partner])
    content = damage(files[name], rng)
    path = folder / name
    path.write_bytes(content)
    try:
        return name, content, wrong(path, content)
    except Exception as e:
        import traceback

        place = traceback.extract_tb(e.__traceback__)[-1]
        return name, content, f"{type(e).__name__}: {e} ({Path(place.filename).name}:{place.lineno})"
    finally:
        path.unlink(missing_ok=True)


def main():
    """Exit code 1 where something was found; every finding is printed with its seed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (1)")
    parser.add_argument("--count", type=int, default=None, help="how many files, instead of --minutes")
    parser.add_argument("--seed", type=int, default=1, help="of the first file; the next has the next (1)")
    parser.add_argument("--show", action="store_true", help="print the content of what fails")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    begin, seed, found, kinds = time.monotonic(), args.seed, 0, {}
    with tempfile.TemporaryDirectory() as folder:
        while seed - args.seed < args.count if args.count else time.monotonic() - begin < 60 * args.minutes:
            name, content, fault = case(seed, Path(folder))
            if fault:
                found += 1
                kind = re.sub(r"\d+|'[^']*'", "", fault)[:60]
                kinds[kind] = kinds.get(kind, 0) + 1
                if kinds[kind] <= 3:
                    print(f"seed {seed}, {name}: {fault.replace(folder, '')}", flush=True)
                    print(content.decode(errors="replace") if args.show else "", end="")
            seed += 1
    print(f"{seed - args.seed} files, {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
