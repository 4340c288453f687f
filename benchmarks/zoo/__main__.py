"""Trains presets on one data set with one budget, and shows their errors beside what they cost.

    python benchmarks/zoo                                        every preset on the shipped molecule
    python benchmarks/zoo --row acac --data DATA --minutes 10    on a published set
    python benchmarks/zoo --presets schnet nbody --size small
    python benchmarks/zoo --row small_molecules --test           trained on small molecules, tested on larger ones

Each preset is trained on one core by `benchmarks/accuracy` with its recipe (recipes.py), for so many epochs as fit into
the minutes of CPU time: the seconds of an epoch are those of a training of three. Errors are those on the validation
data; with --test the models are evaluated on the tests of the row, once. The same command continues what was
interrupted, and trains nothing twice. What came out is in the log (in this folder, or --log), from which
`python benchmarks/zoo/page.py` makes docs/zoo.md and its figures.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ACCURACY = HERE.parent / "accuracy"
sys.path.append(str(ACCURACY))

from recipes import RECIPES, settings_of  # noqa: E402
from table import table  # noqa: E402

from nbcore.presets import PRESETS  # noqa: E402

PROBE, LEAST = 3, 5  # epochs that are timed, and epochs that a training has at least


def main(arguments=None) -> int:
    """Trains what is asked for; the exit code is that of the first training that fails."""
    args = parser().parse_args(arguments)
    for preset in args.presets or list(RECIPES):
        if code := trained(preset, args):
            return code
    print("\n" + table(args.log, args.row))
    return 0


def parser():
    """The options."""
    p = argparse.ArgumentParser("benchmarks/zoo", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--row", default="molecule", help="of benchmarks/accuracy (molecule)")
    p.add_argument("--data", metavar="DATA", help="the folder of the published sets")
    p.add_argument("--minutes", type=float, default=10.0, help="of CPU time for each preset (10)")
    p.add_argument("--presets", nargs="+", choices=sorted(PRESETS), metavar="PRESET", help="some of them (all)")
    p.add_argument("--test", action="store_true", help="evaluate the tests, too")
    p.add_argument("--size", default="medium", help="of the presets (medium)")
    p.add_argument("--runs", default="build/zoo", metavar="DIR", help="where the runs are (build/zoo)")
    p.add_argument("--log", default=str(HERE), metavar="DIR", help="another folder for the log")
    return p


def trained(preset, args) -> int:
    """Trains one preset within the budget; the exit code of the command."""
    print(f"\n--- {preset}", flush=True)
    command = [sys.executable, str(ACCURACY), args.row, "--size", args.size]
    command += ["--data", args.data] if args.data else []
    for setting in settings_of(preset):
        command += ["--set", setting]
    probe = Path(args.runs) / "timed"
    timed = [*command, "--no-test", "--set", f"training.max_epochs={PROBE}", "--runs", str(probe), "--log", str(probe)]
    done = subprocess.run([*timed, "--least", "0", "--note", preset], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        return done.returncode
    epochs = max(LEAST, int(60 * args.minutes / seconds_per_epoch(probe, args, preset)))
    command += ["--set", f"training.max_epochs={epochs}", "--runs", args.runs, "--log", args.log, "--note", preset]
    command += [] if args.test else ["--no-test"]
    return subprocess.run(command, check=False).returncode


def seconds_per_epoch(probe, args, preset):
    """CPU seconds of an epoch of the timed training: of all but the first, which has the start in it."""
    from log import Log

    log = Log(probe)
    entry = [e for e in log.entries(tested=False) if (e["row"], e["size"], e["note"]) == (args.row, args.size, preset)]
    history = log.history(entry[-1]["run"])
    return max((history[-1]["cpu"] - history[0]["cpu"]) / (len(history) - 1), 1e-3)


if __name__ == "__main__":
    sys.exit(main())
