"""`nbcore evaluate MODEL DATA...`: errors of a model on data: tables, JSON, plots, and the predictions themselves."""

import json
import re
import time
from pathlib import Path

from nbcore.cli import console
from nbcore.errors import Error, InputError, ModelFileError
from nbcore.files import check_output, kind_of, replacing

PREDICTIONS = kind_of("nbcore evaluate")
LOOKED_AT = 20_000  # structures of sets of shards; other files are evaluated whole
CHUNK_ATOMS = 2000  # structures are handed over in portions of about so many atoms


def add_parser(subparsers):
    """The options of `nbcore evaluate`."""
    from nbcore.cli import evaluation
    from nbcore.cli.data import add_reader_options

    p = subparsers.add_parser(
        "evaluate",
        help="errors of a model on data",
        description="Errors of a model on labelled data, predicted minus reference: one row per file. RMSE and MAE "
        "over structures, force components, six stress components; eV and Å, tables in meV and GPa.",
    )
    p.add_argument("model", metavar="MODEL", help="model file (.nbcore)")
    p.add_argument("data", metavar="DATA", nargs="+", help="files or globs, in any format ASE reads")
    p.add_argument("--output", metavar="PATH", help="write the predictions: a folder, or one file that ends in .xyz")
    p.add_argument("--force", action="store_true", help="replace files that `nbcore evaluate` did not write")
    p.add_argument("--plot", action="store_true", help="parity.png and errors.png, in the folder of --output (here)")
    p.add_argument(
        "--uncertainty", action="store_true",
        help="expected errors too, beside the actual ones; with --plot uncertainty.png",
    )  # fmt: skip
    p.add_argument("--json", action="store_true", help="print one JSON object, in eV and Å, and nothing else")
    p.add_argument("--by", choices=["config_type"], help="split the rows by config_type")
    p.add_argument("--worst", type=int, default=5, metavar="N", help="how many of the worst structures to list (5)")
    evaluation.add_options(p, moving=False)
    add_reader_options(p)


def run(args):
    """Reads, predicts, prints, writes."""
    from nbcore.ranks import world

    ranks = world()
    with ranks.guard():
        return evaluate(args, ranks, *ranks.together(lambda: read_all(args, ranks)))


def read_all(args, ranks):
    """(model, what was read, structures, {name of a row: structures of a file}, files of the predictions)."""
    import nbcore
    from nbcore import data
    from nbcore.cli.data import reader_options
    from nbcore.data import whole_sets

    potential = nbcore.load(args.model)
    if args.uncertainty and not potential.uncertainty:
        raise ModelFileError(
            f"{args.model} knows nothing of its errors. "
            f"`nbcore uncertainty {args.model} TRAIN --calibrate VALID` adds it."
        )
    potential.precision = args.precision
    whole = data.sets.open_or_read(args.data, require=(), missing="mask", **reader_options(args, potential.outputs))
    read = whole_sets.sample(whole, LOOKED_AT) if isinstance(whole, data.Shards) else whole
    if len(read) < len(whole):
        read.reading.remarks.append(
            f"{' '.join(args.data)}: evaluated are {len(read)} of its {len(whole)} structures, evenly spaced."
        )
    structures = [*read, *read.isolated]
    if not structures:
        raise InputError(f"{' '.join(args.data)}: no structures.")
    files = list(dict.fromkeys(s.file for s in structures))
    structures.sort(key=lambda s: (files.index(s.file), s.frame))
    sets = [(name, [s for s in structures if s.file == f]) for f, name in zip(files, distinct(files), strict=True)]
    outputs = output_files(args.output, [name for name, _ in sets])
    if ranks.first:
        check_outputs(args, outputs, [args.model, *args.data, *files])
    return potential, read, structures, sets, outputs


def evaluate(args, ranks, potential, read, structures, sets, outputs) -> int:
    """Predictions by all ranks; the first prints and writes."""
    from nbcore.prepared import same_work
    from nbcore.results import Errors, compare, tables

    files = list(dict.fromkeys(s.file for s in structures))
    threads, quiet = ranks.threads(args.threads), args.quiet or args.json or not ranks.first
    if ranks.size > 1:
        same_work(ranks, potential, structures)
    begin = time.monotonic()
    predictions = ranks.gathered_lists(
        lambda own: predict(potential, own, threads, quiet, args.max_bytes, args.uncertainty),
        structures,
        [len(s.numbers) for s in structures],
    )
    seconds = time.monotonic() - begin
    if not ranks.first:
        return 0

    shortest = potential.description.get("shortest_distances")
    of = dict(zip(map(id, structures), predictions, strict=True))
    sets = [
        (name, mine, [of[id(s)] for s in mine]) for name, mine in sets
    ]  # name, structures, predictions of each file
    rows = [compare(*s, shortest, potential.outputs) for s in sets]
    total = Errors.pooled("all", rows)
    written = write_predictions(outputs, sets, args.force)
    if args.plot:
        written += plot(plot_files(args)[:2], sets, potential.E0s, potential.outputs, args.force)
    trust = {}
    if args.uncertainty:
        from nbcore.results import calibration

        trust = {f: calibration.calibrations(*s[1:]) for f, s in zip(files, sets, strict=True)}
        if args.plot:
            path = plot_files(args)[2]
            if args.force:
                path.unlink(missing_ok=True)
            calibration.plot(path, sets)
            written.append(path)
    if args.json:
        parts = {"files": {f: e.as_dict() for f, e in zip(files, rows, strict=True)}}
        if args.uncertainty:
            parts["uncertainty"] = {f: {kind: c.as_dict() for kind, c in of.items()} for f, of in trust.items()}
        if args.by:
            parts["config_types"] = {t: e.as_dict() for t, e in total.by_config_type.items()}
        console.out(json.dumps({**total.as_dict(), **parts}))
    elif not args.quiet:
        print_errors(args, potential, rows, total)
        print_trust(trust, [name for name, *_ in sets])
        n = max(total.n_atoms, 1)
        speed = f"{total.n_atoms} atoms in {seconds:.2g} s, {1e6 * seconds / n:.0f} µs/atom"
        workers = f"{f'{ranks.size} ranks x ' * (ranks.size > 1)}{threads} thread{'s' * (threads > 1)}"
        say("speed", f"{speed}, {workers}, {args.precision}")
        for remark in [*read.reading.remarks, *tables.offsets(rows)]:
            console.remark(remark)
        if written:
            console.out("\n" + console.block("  ".join(map(str, written)), "", "  "))
    return 0


def distinct(files):
    """Names for the rows: the file without folder and suffix, or the whole path where two would be called the same."""
    from nbcore.results.tables import stem

    stems = [stem(f) for f in files]
    return [s if stems.count(s) == 1 else str(f) for s, f in zip(stems, files, strict=True)]


def predict(potential, structures, threads=None, quiet=True, max_bytes=None, uncertainty=False):
    """The results of the potential for all structures; an error names the structure it belongs to."""
    from nbcore.cli.progress import progress

    results, portion, atoms = [], [], 0
    with progress(len(structures), lambda done: "structures", quiet=quiet) as tick:
        for k, s in enumerate(structures):
            portion.append(s)
            atoms += len(s.numbers)
            if atoms >= CHUNK_ATOMS or k + 1 == len(structures):
                results += _portion(potential, portion, threads, max_bytes, uncertainty)
                tick(len(results))
                portion, atoms = [], 0
    return results


def _portion(potential, structures, threads, max_bytes, uncertainty):
    """compute_many; after an error one by one, to say which structure it was."""
    try:
        return potential.compute_many(structures, threads, max_bytes, uncertainty)
    except Error:
        for s in structures:
            try:
                potential.compute_many([s], threads, max_bytes, uncertainty)
            except Error as e:
                raise type(e)(f"{s.where}: {e}") from None
        raise


# ---- on the screen ----


def say(head, text):
    """One entry below the table, wrapped to the terminal."""
    console.out(console.block(text, f"  {head:<20}", 22 * " "))


def print_errors(args, potential, rows, total):
    """The model in a line, the table, what stands out."""
    from nbcore.cli.inspect import one_line
    from nbcore.results import tables

    screen = console.terminal()
    console.out(console.block(one_line(args.model, potential), "", "  "))
    console.out()
    shown = [part for e in rows for part in e.by_config_type.values()] if args.by else rows
    with screen.capture() as table:
        screen.print(tables.table([*shown, total] if len(shown) > 1 else shown, screen.width))
    console.out("\n".join(line.rstrip() for line in table.get().splitlines()), end="\n\n")
    if element := tables.by_element(total):
        say("forces, by element", f"RMSE meV/Å   {element}")
    for k, line in enumerate(tables.worst(total, args.worst)):
        say("worst structures" if k == 0 else "", line)
    if total.outside:
        counts = [f"{e.outside} of {e.n_structures} in {e.name}" for e in rows if e.outside]
        say("outside train", f"{', '.join(counts)}   (a pair closer than any such pair in train)")


def print_trust(trust, names):
    """Whether errors are where they are expected, a line for each file."""
    for k, (name, of) in enumerate(zip(names, trust.values(), strict=False)):
        words = [
            f"{kind} {'-' if c.spearman is None else f'{c.spearman:.2f}'}, {c.ratio:.2f}" for kind, c in of.items()
        ]
        say("uncertainty" if k == 0 else "", f"{name}   {';   '.join(words) or 'no labels'}")
    if trust:
        say("", "(rank correlation of expected and actual errors, RMS of actual / expected)")


# ---- files ----


def output_files(output, names):
    """The files of the predictions: one for each set in a folder, or one for all of them; none without an output."""
    if output is None:
        return []
    output = Path(output)
    if output.suffix.lower() in (".xyz", ".extxyz"):
        return [output]
    plain = [re.sub(r"[^\w.+-]+", "_", name).strip("._") or "set" for name in names]
    return [
        output / f"{name}{f'_{plain[:k].count(name) + 1}' if name in plain[:k] else ''}.xyz"
        for k, name in enumerate(plain)
    ]


def check_outputs(args, outputs, inputs):
    """Before anything is computed: nothing of the user's may be in the way."""
    for path in outputs:
        check_output(path, PREDICTIONS, inputs, args.force)
    if args.plot:
        from nbcore.results.plots import PLOT

        for path in plot_files(args):
            check_output(path, PLOT, inputs, args.force)


def write_predictions(paths, sets, force=False):
    """One extended-XYZ file per set, or all of it in one file; returns the paths."""
    frames = [list(zip(structures, results, strict=True)) for _, structures, results in sets]
    if len(paths) == 1:
        frames = [sum(frames, [])]
    for path, mine in zip(paths, frames if paths else [], strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_frames(path, mine, force)
    return paths


def write_frames(path, frames, force=False):
    """Labels as REF_energy, REF_forces, REF_dipole; predictions as nbcore_energy, nbcore_energies and so on.

    Weights and constraints stay with their structures.
    """
    import numpy as np
    from ase import Atoms
    from ase.io import write

    from nbcore.data.constraints import constraints_of
    from nbcore.data.structure import one_per_atom

    with replacing(path, "w", PREDICTIONS, force) as f:
        for s, r in frames:
            atoms = Atoms(s.numbers, positions=s.positions, cell=s.cell, pbc=s.pbc)
            atoms.info["writer"] = PREDICTIONS.mark.decode()
            atoms.info["config_type"] = s.config_type
            atoms.info |= s.weights
            if s.fixed is not None:
                atoms.set_constraint(constraints_of(s.fixed))
            for name, value in (("REF_energy", s.energy), ("nbcore_energy", r.energy)):
                if value is not None:
                    atoms.info[name] = float(value)
            for name, value in (("REF_stress", s.stress), ("nbcore_stress", r.stress)):
                if value is not None:
                    atoms.info[name] = value
            for name, value in (("REF_forces", s.forces), ("nbcore_forces", r.forces), ("nbcore_energies", r.energies)):
                if value is not None:
                    atoms.arrays[name] = value
            if r.uncertainty is not None:
                atoms.info["nbcore_energy_uncertainty"] = r.uncertainty.energy
                atoms.arrays["nbcore_forces_uncertainty"] = r.uncertainty.forces
                if r.uncertainty.grades is not None:
                    atoms.arrays["nbcore_grades"] = r.uncertainty.grades
            for prefix, tensors in (("REF_", s.outputs), ("nbcore_", r.outputs)):
                for name, tensor in tensors.items():
                    if one_per_atom(s, tensor):
                        atoms.arrays[prefix + name] = np.reshape(tensor, (len(s), -1))
                    else:
                        atoms.info[prefix + name] = np.ravel(tensor)
            write(f, atoms, format="extxyz")


def plot_files(args):
    """parity.png and errors.png, and uncertainty.png if it is wanted, in the folder of --output, or here."""
    folder = Path(args.output or ".")
    if folder.suffix.lower() in (".xyz", ".extxyz"):
        folder = folder.parent
    return [folder / "parity.png", folder / "errors.png"] + [folder / "uncertainty.png"] * args.uncertainty


def plot(paths, sets, E0s, outputs=None, force=False):
    """Makes the two plots; returns their paths."""
    from nbcore.results import plots

    parity, errors = paths
    parity.parent.mkdir(parents=True, exist_ok=True)
    for path in paths if force else []:
        path.unlink(missing_ok=True)
    plots.parity(parity, sets, E0s, outputs)
    plots.error_distributions(errors, sets, E0s, outputs)
    return list(paths)
