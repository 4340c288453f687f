"""`nbcore data FILES...`: what is in these files, and gather, convert and split them."""

import itertools
import os
import sys

from nbcore.cli import console

SUFFIX = ".shards"

UNITS = (
    ("--energy-unit", "eV, Hartree, Ry, kcal/mol, kJ/mol (default eV)"),
    ("--length-unit", "Angstrom, Bohr (default Angstrom)"),
    ("--forces-unit", 'ENERGY/LENGTH, for example Hartree/Bohr (default "auto": from the two above)'),
    ("--stress-unit", "eV/Angstrom^3, GPa, kbar, bar, Hartree/Bohr^3, Ry/Bohr^3"),
    ("--stress-sign", "tension (positive, as ASE; default) or pressure"),
)
KEYS = (
    ("--energy-key", 'default "auto": REF_energy, energy'),
    ("--forces-key", 'default "auto": REF_forces, forces, force; "none": there are none'),
    ("--stress-key", 'default "auto": REF_stress, stress or a virial; "none": not used'),
    ("--virial-key", "instead of --stress-key; stress = -virial/volume"),
    ("--output-key", "of a covariant label: dipole=mu; given again for another one (default: its name)"),
    ("--energy-kind", "auto, free, zero: which energy where a file has both (default auto)"),
)


def add_reader_options(parser):
    """Keys and units, the same words as under [data] in train.toml."""
    keys = parser.add_argument_group("keys of the labels")
    units = parser.add_argument_group("units of the files (outputs of programs have their own)")
    for group, options in ((keys, KEYS), (units, UNITS)):
        for name, text in options:
            more = dict(action="append", metavar="NAME=KEY") if name == "--output-key" else {}
            group.add_argument(name, **{"metavar": name.rsplit("-", 1)[1].upper(), "help": text, **more})


def reader_options(args, outputs=None) -> dict:
    """The options of `add_reader_options` that were given, for `nbcore.data.read`.

    outputs: {name: nbcore.outputs.Output} that are to be read; else those named by --output-key.
    """
    names = [option[2:].replace("-", "_") for option, _ in (*KEYS, *UNITS) if option != "--output-key"]
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    keys = {}
    for pair in args.output_key or []:
        name, equals, key = pair.partition("=")
        if not (name and key) or (outputs is not None and name not in outputs):
            known = f" The model has {', '.join(outputs)}." if outputs else ""
            raise _usage(f"--output-key {pair}: expected NAME=KEY, for example dipole=mu.{known}")
        keys[name] = {"key": key}
    wanted = {name: output.as_dict() for name, output in (outputs or {}).items()}
    wanted = {name: {**wanted.get(name, {}), **keys.get(name, {})} for name in {**wanted, **keys}}
    return {**options, "outputs": wanted} if wanted else options


def add_parser(subparsers):
    """`nbcore data FILES... [--output all.xyz] [--split 0.8,0.1,0.1]`."""
    parser = subparsers.add_parser(
        "data",
        help="what is in these files; gather, convert, split them",
        description="Reads files of every format ASE reads (globs and .gz, .xz, .bz2 too), says what is in them and "
        "what is wrong with them; with --output writes them as one extended XYZ file in eV and Angstrom.",
        epilog="nbcore data 'runs/*/OUTCAR' orca/*.out water-pos-1.xyz --output all.xyz --split 0.8,0.1,0.1",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILES", help="files or quoted globs; a CP2K -pos- file finds its -frc-"
    )
    parser.add_argument(
        "--output", metavar="FILE",
        help="gather everything in this file, keys energy, forces, stress; FILE.shards is for sets larger than memory",
    )  # fmt: skip
    parser.add_argument("--split", metavar="0.8,0.1,0.1", help="with --output: cut into FILE_train, _valid and _test")
    parser.add_argument("--seed", type=int, default=1, help="of the split (default 1)")
    parser.add_argument("--cutoff", type=float, metavar="A", help="count the neighbours within this many Angstrom")
    parser.add_argument(
        "--missing", choices=("mask", "error"), default="mask", help="frames without a label (default mask)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    add_reader_options(parser)


def run(args) -> int:
    """Exit code of the command."""
    from nbcore import data

    if args.cutoff is not None and not 0 < args.cutoff < float("inf"):
        raise _usage(f"--cutoff: expected a length > 0 in Angstrom, got {args.cutoff}.")
    outputs = _outputs(args)
    options = dict(missing=args.missing, **reader_options(args))
    gathered = None
    if args.output and args.output.endswith(SUFFIX) and not args.split:  # one pass, and the memory of a portion
        gathered = data.write_shards(args.files, args.output, args.force, **options)
    structures = data.sets.open_or_read([args.output] if gathered else args.files, require=(), **options)
    result = data.audit(structures, cutoff=args.cutoff) if len(structures) else None
    if not args.quiet:
        console.out(data.audit_text(result, console.width()) if result else _only_isolated(structures))
        for text in [*structures.reading.remarks, *(result.remarks if result else [])]:
            console.remark(text)
    for path, part, isolated in _parts(args, structures, outputs):
        if not gathered:
            _write(part, isolated, path, structures.reading, args.force)
        if not args.quiet:
            console.out(f"wrote {path}: {len(part) + len(isolated)} structures", file=sys.stderr)
    return 0


def _write(structures, isolated, path, reading, force):
    """A set of shards or an extended XYZ file, by its name; isolated atoms stand at the head of the latter."""
    from nbcore import data
    from nbcore.data.convert import facts

    if not path.endswith(SUFFIX):
        data.write_extxyz(itertools.chain(isolated, structures), path, force)
        return
    with data.ShardWriter(path, force) as writer:
        writer.add(structures)
        writer.set_apart(isolated)
        writer.describe(**facts(reading))


def _usage(text):
    from nbcore.cli import UsageError

    return UsageError(text)


def _outputs(args):
    """Files to write, checked before anything is read: they must be new, and the split must be three fractions."""
    from nbcore.files import check_output

    if not args.output:
        if args.split:
            raise _usage("--split needs --output FILE.")
        return []
    stem, extension = os.path.splitext(args.output)
    outputs = [args.output]
    if args.split:
        count = len(_fractions(args.split))
        outputs = [f"{stem}_{role}{extension or '.xyz'}" for role in ("train", "valid", "test")[:count]]
    for path in outputs:
        if os.path.exists(path) and not args.force:
            raise FileExistsError(f"{path} exists already; --force overwrites it, or choose another output.")
        check_output(path, force=args.force)
        if not os.path.isdir(os.path.dirname(path) or "."):
            raise FileNotFoundError(f"{os.path.dirname(path)}: no such folder")
    return outputs


def _fractions(text):
    try:
        fractions = [float(f) for f in text.split(",")]
    except ValueError:
        fractions = []
    if len(fractions) not in (2, 3) or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise _usage(f"--split {text}: expected two or three fractions > 0 that add up to 1, for example 0.8,0.1,0.1")
    return fractions


def _parts(args, structures, outputs):
    """(file, structures, isolated atoms) for each file to write; isolated atoms go with the first."""
    from nbcore import data

    if not outputs:
        return []
    parts = data.split(structures, _fractions(args.split), args.seed) if args.split else [structures]
    for atom in structures.isolated:
        atom.config_type = "IsolatedAtom"
    return list(zip(outputs, parts, [structures.isolated, [], []], strict=False))


def _only_isolated(structures):
    atoms = "   ".join(f"{a.symbols[0]} {a.energy:.4f}" for a in structures.isolated if a.energy is not None)
    return f"  isolated atoms only    {atoms} eV"
