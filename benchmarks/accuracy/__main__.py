"""Trains and evaluates one row of the table of accuracy; see `ROWS` in rows.py.

    python benchmarks/accuracy                                        the rows
    python benchmarks/accuracy acac --data DATA --size large --seed 1
    python benchmarks/accuracy acac --data DATA --set training.max_epochs=300 --no-test

DATA: the published sets as extended XYZ (also .xz), one folder per set. The same command continues a run that was
interrupted; one that is finished and in the log is not evaluated again. Every choice of size, seed and settings has a
folder of its own below --runs, with a train.toml that `nbcore train` takes. Several may run at a time, on a core each.
What came out is added to the log: to results.jsonl with the errors on the tests, with --no-test to validations.jsonl.
"""

import argparse
import json
import subprocess
import sys
from datetime import date

from cost import us_per_atom
from distillation import Distillation, Distilled
from log import Log
from rows import ROWS
from training import Run, digest_of

from nbcore import Potential, build_info, files
from nbcore.errors import InputError


def main(arguments=None) -> int:
    """Exit code: 0, or that of `nbcore train` or `nbcore evaluate`."""
    args = parser().parse_args(arguments)
    if args.row is None:
        print("\n".join(f"{row.name:<22}{row.what}" for row in ROWS.values()))
        return 0
    row = ROWS[args.row]
    if args.data is None and not row.shipped:
        print(f"{row.name} needs --data DATA, the folder of the published sets", file=sys.stderr)
        return 2
    try:
        what = (row, args.data, args.runs, args.size, args.seed, args.overrides, args.structures)
        run = (
            Distilled(*what, Distillation(int(args.distil[0]), float(args.distil[1]), int(args.distil[2])))
            if args.distil
            else Run(*what)
        )
    except (InputError, FileNotFoundError) as e:
        print(e, file=sys.stderr)
        return 2
    if run.config.uncertainty.committee > 1:
        print("--set uncertainty.committee: a row is one model; --distil makes one of a committee", file=sys.stderr)
        return 2
    if args.restart and run.folder.exists():
        print(f"the old run is kept as {files.set_aside(run.folder)}/")
    print(f"{run.name}: {row.what} -> {run.folder}/", flush=True)
    if not run.finished and (code := run.train(args.threads)):
        return code
    log = Log(args.log)
    digest = files.sha256(run.model)
    entry = log.tested(digest) or (None if args.test else log.validated(digest))
    if entry is not None:
        print(f"in the log since {entry['date']}, which says:")
        show(run, entry)
        return 0
    entry = {
        "date": date.today().isoformat(),
        "commit": run.about["commit"],
        "row": row.name,
        "size": args.size,
        "seed": args.seed,
        "structures": args.structures,
        "set": [*args.overrides, *([str(run.how)] if args.distil else [])],
        "run": run.name,
        "settings": digest_of(run.config, args.structures, without=["seed"]),
        **training_figures(run),
        "us_per_atom": round(us_per_atom(run.model, [str(run.base / f) for f in row.train], least=args.least), 2),
        "kernels": build_info()["kernel_set"],
        "model": digest,
        "tests": {},
        "note": args.note,
    }
    if args.test:
        entry["tests"] = {test: evaluate(run.model, run.base / file) for test, file in row.tests.items()}
    log.write_history(run.name, run.history())
    log.append(entry, [evaluation_line(run, entry, test) for test in entry["tests"]])
    show(run, entry)
    return 0


def parser():
    """The options."""
    p = argparse.ArgumentParser("benchmarks/accuracy", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("row", nargs="?", choices=list(ROWS), metavar="ROW", help="without it the rows are listed")
    p.add_argument("--data", metavar="DATA", help="the folder of the published sets")
    p.add_argument("--size", default="medium", help="of the preset (medium)")
    p.add_argument("--seed", type=int, default=1, help="of weights, order and the split of validation data (1)")
    p.add_argument("--structures", type=int, metavar="N", help="train on so many, evenly over the training files")
    p.add_argument(
        "--distil", nargs=3, metavar=("MEMBERS", "STRETCH", "N"),
        help="train a committee, and one model also on N structures, stretched up to STRETCH, that it labels",
    )  # fmt: skip
    p.add_argument(
        "--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[], help="as `nbcore train`"
    )
    p.add_argument("--no-test", dest="test", action="store_false", help="train and validate only: for choosing")
    p.add_argument(
        "--note",
        default="",
        help='a word for the log; "time to error": a validated run is drawn, "trial...": a run is not shown',
    )
    p.add_argument("--runs", default="build/accuracy", metavar="DIR", help="where the runs are (build/accuracy)")
    p.add_argument("--log", metavar="DIR", help="another folder for the log (benchmarks/accuracy)")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--restart", action="store_true", help="begin again; the old run is kept")
    p.add_argument("--least", type=float, default=0.5, help="seconds per repetition of the measurement of speed (0.5)")
    return p


def training_figures(run):
    """Parameters, epochs, seconds, and the errors in training and on the validation data, of a finished run."""
    potential, about, history = Potential.load(run.model), run.about, run.history()
    errors = potential.description["errors"]
    return {
        "parameters": len(potential.parameters),
        "epochs": len(history),
        "best_epoch": potential.description["training"]["best_epoch"],
        **{key: about[key] for key in ("wall_seconds", "cpu_seconds", "threads")},
        **{part: plain(errors[part]) for part in ("train", "valid")},
    }


def plain(errors):
    """The numbers of an Errors.as_dict, without those by element."""
    return {key: float(f"{v:.6g}") for key, v in errors.items() if isinstance(v, (int, float))}


def evaluate(model, file):
    """`nbcore evaluate MODEL FILE --json`, as numbers."""
    command = [sys.executable, "-m", "nbcore", "evaluate", str(model), str(file), "--json", "--threads", "1"]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    if out.returncode:
        print(out.stderr, file=sys.stderr)
        sys.exit(out.returncode)
    return plain(json.loads(out.stdout))


def evaluation_line(run, entry, test):
    """A row of test_evaluations.md."""
    errors = entry["tests"][test]
    said = [f"size {run.size}, seed {run.seed}", *entry["set"]]
    said += [f"{run.structures} structures"] if run.structures else []
    energy, forces = (f"{1e3 * errors[key]:.3g}" for key in ("energy_rmse", "forces_rmse"))
    if any(figure.measure == "MAE" for figure in run.row.figures):
        figures = {figure.name: (figure.of(errors), figure.unit) for figure in run.row.figures}
        energy += " (MAE {:.3g} {})".format(*figures["energy"])
        forces += " (MAE {:.3g} {}".format(*figures["forces"])
        forces += "; stress MAE {:.3g} {})".format(*figures["stress"]) if "stress" in figures else ")"
    what = f"benchmarks/accuracy {run.row.name}, {', '.join(said)}"
    return f"| {entry['date']} | {entry['commit']} | {what} | {run.row.name} {test} | {energy} | {forces} |"


def show(run, entry):
    """What came out, beside what is aimed at and the best that is published."""
    seconds, shown = entry["cpu_seconds"], {"train": entry["train"], "valid": entry["valid"], **entry["tests"]}
    print(f"\n{entry['parameters']} parameters, {entry['epochs']} epochs (best {entry['best_epoch']}), ", end="")
    print(f"{entry['wall_seconds']:.0f} s, CPU {seconds:.0f} s, {entry['us_per_atom']:.1f} us/atom")
    for test, errors in shown.items():
        for figure in run.row.figures:
            value = figure.of(errors)
            if value is None:
                continue
            line = f"  {test:<15} {figure.name:<7} {figure.measure:<4} {value:9.4g} {figure.unit:<9}"
            if (bar := run.row.bar(run.size, test, figure.name)) is not None:
                line += f" aim {bar:g}: {'reached' if value <= bar else 'MISSED'}"
            if run.row.published and (best := run.row.published.best(test, figure.name)):
                line += f"   best published {best[0]:g} ({best[1]})"
            print(line)


if __name__ == "__main__":
    sys.exit(main())
