"""Are errors where they are expected, beyond the training data? Last layer and committee, trained on AcAc at 300 K.

    python benchmarks/accuracy/uncertainty.py DIR [--runs RUNS] [--members 4] [--epochs 150]
        [--models FILE ...] [--no-test] [--log FOLDER]

DIR holds train_300K, test_MD_300K and test_MD_600K, .xyz or .xyz.xz. 450 structures are trained on; factors are such
that errors on the other 50 have the expected size. Prints the rank correlation of expected and actual errors and the
RMS of error / expectation, the errors themselves, and what an evaluation of the committee costs beside one of its
members, processor time in one run. Models are kept in RUNS (uncertainty-runs) and trained once; each evaluation of a
test is a line of test_evaluations.md, in FOLDER if one is given.
"""

import argparse
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
from log import Log, add_rows

import nbcore
from nbcore import data
from nbcore.bench.record import commit
from nbcore.results.calibration import calibrations
from nbcore.train import add_uncertainty, fit

E0S = {"H": -13.568422178253735, "C": -1026.8538996116154, "O": -2037.796869412825}
TESTS = ("test_MD_300K", "test_MD_600K")


def structures(folder, name):
    """The structures of a file of the data set, compressed or not."""
    found = sorted(Path(folder).glob(f"{name}.xyz*"))
    if not found:
        raise SystemExit(f"{folder}: no {name}.xyz and no {name}.xyz.xz")
    return data.read(str(found[0]))


def trained(path, train, valid, seed, epochs, channels, threads):
    """A member: settings as they are with nothing set, second stage included; read where it was trained before."""
    if not path.exists():
        model = nbcore.presets.nbody(species=list(E0S), cutoff=4.0, channels=channels, E0s=E0S, seed=seed)
        fit(model, train, valid, max_epochs=epochs, seed=seed, threads=threads, quiet=True)
        model.save(path)
    return nbcore.Potential.load(path)


def cost(committee, structure, seconds=1.0):
    """Processor time of an evaluation of the committee, in evaluations of its first member; medians of many pairs."""
    ratios, end = [], time.process_time() + seconds
    while time.process_time() < end or len(ratios) < 5:
        times = []
        for model in (committee.members[0], committee):
            begin = time.process_time()
            for _ in range(5):
                model.compute_many([structure], threads=1)
            times.append(time.process_time() - begin)
        ratios.append(times[1] / times[0])
    return float(np.median(ratios))


def main(argv=None):
    """The command."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", metavar="DIR")
    p.add_argument("--runs", metavar="RUNS", type=Path, default=Path("uncertainty-runs"))
    p.add_argument("--members", type=int, default=4)
    p.add_argument(
        "--models", nargs="+", metavar="FILE", type=Path, help="members that `acac` of the table has trained"
    )
    p.add_argument("--epochs", type=int, default=150)
    p.add_argument("--channels", type=int, default=64)
    p.add_argument("--no-test", action="store_true", help="the 50 structures for validation alone")
    p.add_argument("--log", metavar="FOLDER", help="of test_evaluations.md (benchmarks/)")
    args = p.parse_args(argv)
    train, valid = data.split(structures(args.folder, "train_300K"), [0.9, 0.1], 1)
    members = [nbcore.Potential.load(path) for path in args.models or ()]
    if not members:
        args.runs.mkdir(parents=True, exist_ok=True)
        for seed in range(1, args.members + 1):
            path = args.runs / f"{args.channels}-{args.epochs}-{seed}.nbcore"
            members.append(trained(path, train, valid, seed, args.epochs, args.channels, 1))
            print(f"{path}", file=sys.stderr)
    models = {"last layer": members[0]}
    if len(members) > 1:
        models[f"committee of {len(members)}"] = nbcore.Committee(members)
    sets = {"valid": list(valid)} | ({} if args.no_test else {name: structures(args.folder, name) for name in TESTS})
    rows = []
    print("rank correlation of expected and actual errors, RMS of error / expectation")
    for words, model in models.items():
        add_uncertainty(model, train, valid)
        for name, these in sets.items():
            results = model.compute_many(these, uncertainty=True)
            found = "   ".join(f"{k} {c.spearman:.2f}, {c.ratio:.2f}" for k, c in calibrations(these, results).items())
            energy = 1e3 * _rms([r.energy - s.energy for r, s in zip(results, these, strict=True)])
            forces = 1e3 * _rms(np.concatenate([r.forces - s.forces for r, s in zip(results, these, strict=True)]))
            print(f"{words:<16} {name:<13} {found}   (RMSE {energy:.1f} meV, {forces:.1f} meV/Å)")
            if name != "valid":
                which = f"{args.channels} channels, {args.epochs} epochs"
                which = " ".join(map(str, args.models)) if args.models else which
                how = f"accuracy/uncertainty.py, {words}, {which}; {found}"
                rows.append(f"| {date.today()} | {commit()} | {how} | AcAc {name} | {energy:.1f} | {forces:.1f} |")
    for committee in [model for model in models.values() if isinstance(model, nbcore.Committee)]:
        print(f"committee of {len(members)}: {cost(committee, valid[0]):.2f} evaluations")
    if rows:
        log = Log(args.log)
        with log.locked():
            add_rows(log.evaluations, rows)
    return 0


def _rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


if __name__ == "__main__":
    sys.exit(main())
