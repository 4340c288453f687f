"""A 300 K model fine-tuned with 50 structures of 600 K, beside a model of these 50 alone.

    python benchmarks/accuracy/fine_tuning.py --data DATA --seed 1                start, tuned and alone; tests once
    python benchmarks/accuracy/fine_tuning.py --data DATA --model acac.nbcore     from a model that is there
    python benchmarks/accuracy/fine_tuning.py --data DATA --no-test               validation data only: for choosing

DATA: the folder of the published sets, of which acac is used. The start is trained on 450 + 50 structures at 300 K, by
default in a minute or two (32 channels); the 50 at 600 K are drawn by the seed, 40 + 10. `tuned` goes on from the start
with them and with the old structures, `alone` begins anew with them. Runs have folders of their own below --runs; the
same command continues, and evaluates a model on the tests once: a line each in the log of evaluations.

It must be that tuned has smaller force errors at 600 K than alone, and at 300 K at most a fifth more than the start.
"""

import argparse
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
from log import EVALUATIONS, add_rows
from training import frames

from nbcore import Potential, data, files
from nbcore.bench.record import commit
from nbcore.config_values import to_toml
from nbcore.data.files import read_bytes
from nbcore.results import Prediction, compare

FEW, FORGETTING = (
    50,
    0.2,
)  # structures at 600 K; growth of the force error at 300 K that is allowed
OLD, NEW, ATOMS = (f"acac/{name}.xyz.xz" for name in ("train_300K", "train_600K", "isolated_atoms"))
TESTS = {"300 K": "acac/test_MD_300K.xyz.xz", "600 K": "acac/test_MD_600K.xyz.xz"}
MUON = {"training.optimizer": "muon", "training.schedule": "cosine"}
ANEW = {**MUON, "model.channels": 32, "model.cutoff": 4.5, "training.lr": 0.04}
SETTINGS = {
    "start": {**ANEW, "training.max_epochs": 60},
    "tuned": {**MUON, "training.lr": 0.01, "training.max_epochs": 60},
    "alone": {**ANEW, "training.max_epochs": 300},  # as many steps as tuned
}


def main(arguments=None) -> int:
    """Exit code: 0, 1 where it is not as it must be, or that of `nbcore train`."""
    args = parser().parse_args(arguments)
    base, folder = (
        Path(args.data).resolve(),
        Path(args.runs).resolve() / f"fine_tuning-{args.seed}",
    )
    folder.mkdir(parents=True, exist_ok=True)
    few = folder / "few_600K.xyz"
    few.write_text(drawn(base / NEW, args.seed))
    old, atoms = str(base / OLD), {"data.isolated_atoms": str(base / ATOMS)}
    models = {name: folder / name / f"{name}.nbcore" for name in SETTINGS}
    if args.model:
        models["start"] = Path(args.model).resolve()
    of_few = {"data.train": str(few), "data.valid": 0.2}
    of_data = {
        "start": {"data.train": old, "data.valid": 0.1, **atoms},
        "tuned": {
            **of_few,
            "fine_tune.model": str(models["start"]),
            "fine_tune.replay": old,
        },
        "alone": {**of_few, **atoms},
    }
    for name in list(SETTINGS)[bool(args.model) :]:
        values = {
            "name": name,
            "seed": args.seed,
            "training.threads": args.threads,
            **of_data[name],
            **SETTINGS[name],
        }
        if code := train(folder / name, values, args.overrides):
            return code
    for name, model in models.items():
        errors = Potential.load(model).description["errors"]
        print(
            f"{name:<6}",
            *(f"  {part} F {1e3 * errors[part]['forces_rmse']:5.1f}" for part in errors),
            "meV/Å",
        )
    return tested(args, base, folder, models) if args.test else 0


def parser():
    """The options."""
    p = argparse.ArgumentParser("benchmarks/accuracy/fine_tuning.py", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--data", metavar="DATA", required=True, help="the folder of the published sets")
    p.add_argument(
        "--seed",
        type=int,
        default=1,
        help="of the 50 structures and of the trainings (1)",
    )
    p.add_argument("--model", help="the start, instead of a training")
    p.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="of all trainings",
    )
    p.add_argument(
        "--no-test",
        dest="test",
        action="store_false",
        help="train and validate only: for choosing",
    )
    p.add_argument(
        "--runs",
        default="build/accuracy",
        metavar="DIR",
        help="where the runs are (build/accuracy)",
    )
    p.add_argument("--log", default=str(EVALUATIONS), metavar="FILE", help="the log of evaluations")
    p.add_argument("--threads", type=int, default=1)
    return p


def drawn(path, seed):
    """FEW of the structures of a file, as text."""
    found = frames(read_bytes(path)[0].decode())
    return "".join(found[k] for k in np.sort(np.random.default_rng(seed).permutation(len(found))[:FEW]))


def train(folder, values, overrides) -> int:
    """`nbcore train`, to the end or on; its exit code."""
    tables = {}
    for key, value in values.items():
        table, _, name = key.rpartition(".")
        tables.setdefault(table, []).append(f"{name} = {to_toml(value)}")
    text = "\n".join("\n".join([f"[{table}]"] * bool(table) + lines) for table, lines in tables.items())
    folder.with_suffix(".toml").write_text(text + "\n")
    command = [
        sys.executable,
        "-m",
        "nbcore",
        "train",
        str(folder.with_suffix(".toml")),
        "--output",
        str(folder),
    ]
    return subprocess.run([*command, *(word for o in overrides for word in ("--set", o))], check=False).returncode


def tested(args, base, folder, models) -> int:
    """Evaluates each model on the tests, once; prints the table; 0 if it is as it must be."""
    seen = folder / "tests.json"
    known = json.loads(seen.read_text()) if seen.exists() else {}
    said = f"benchmarks/accuracy/fine_tuning.py, seed {args.seed}{''.join(f', {o}' for o in args.overrides)}"
    found = {}
    for name, model in models.items():
        digest = files.sha256(model)
        if digest not in known:
            known[digest] = {test: errors_of(model, base / file) for test, file in TESTS.items()}
            seen.write_text(json.dumps(known, indent=1))
            rows = [f"| {date.today()} | {commit()} | {said}: {name} | acac {test} | {e:.3g} | {f:.3g} |"
                    for test, (e, f) in known[digest].items()]  # fmt: skip
            add_rows(Path(args.log), rows)
        found[name] = known[digest]
        print(
            f"{name:<6}",
            *(f"  {test}: E {e:5.1f} meV, F {f:5.1f} meV/Å" for test, (e, f) in found[name].items()),
        )
    forces = {name: {test: f for test, (_, f) in tests.items()} for name, tests in found.items()}
    learned = forces["tuned"]["600 K"] < forces["alone"]["600 K"]
    forgotten = forces["tuned"]["300 K"] / forces["start"]["300 K"] - 1
    print(f"better at 600 K than 50 alone: {'yes' if learned else 'NO'}; forgotten at 300 K: {forgotten:.0%}")
    return 0 if learned and forgotten <= FORGETTING else 1


def errors_of(model, path):
    """(energy per structure in meV, forces in meV/Å): RMSE of a model on a file."""
    structures = data.read([str(path)])
    results = Potential.load(model).compute_many(structures, threads=1)
    errors = compare(
        "test",
        structures,
        [Prediction(r.energy, r.forces, r.stress, {}) for r in results],
    )
    return 1e3 * errors.energy_rmse, 1e3 * errors.forces_rmse


if __name__ == "__main__":
    sys.exit(main())
