"""How long Muon takes to the validation error that AMSGrad has after 300 epochs, from the log.

    python benchmarks/accuracy/time_to_error.py [--size small] [--log FOLDER]

For each row the smallest force error on the validation data that AMSGrad reaches, the CPU seconds (one thread) of its
whole training, and the seconds after which a training with Muon first has this error: of all such runs of the same size
in the log the fastest. A must is a sixth. Where a run is missing, the command is printed that makes it. Exit code 0
where all rows are within a sixth, 1 where one is not, 2 where runs are missing.
"""

import argparse
import sys

from log import Log
from rows import ROWS

WHICH = ("acac", "mlearn_Si", "rmd17_aspirin", "molecule")
EPOCHS, PART = 300, 6.0
AMSGRAD = ("training.optimizer=amsgrad", "training.lr=0.01")
OTHERS = "training.optimizer="


def runs(log, row, size):
    """(of AMSGrad with so many epochs or more, of Muon): (line of the log, history) of the seeds and settings there."""
    entries = [e for e in (*log.entries(), *log.entries(tested=False)) if (e["row"], e["size"]) == (row, size)]
    entries = [e for e in entries if e["structures"] is None and not any(s.startswith("distilled") for s in e["set"])]
    found = [(e, h) for e in entries if (h := log.history(e["run"]))]
    amsgrad = [(e, h) for e, h in found if set(AMSGRAD) <= set(e["set"]) and e["epochs"] >= EPOCHS]
    return amsgrad, [(e, h) for e, h in found if not any(s.startswith(OTHERS) for s in e["set"])]


def reached(history, error):
    """The CPU seconds after which the force error on the validation data is at most `error`; None if it never is."""
    times = [row["cpu"] for row in history if row["forces_valid"] is not None and row["forces_valid"] <= error]
    return min((t for t in times if t is not None), default=None)


def compared(log, row, size):
    """(error of AMSGrad, its seconds, seconds of Muon or None), of AMSGrad's newest run; None without such runs."""
    amsgrad, muon = runs(log, row, size)
    if not amsgrad or not muon:
        return None
    history = amsgrad[-1][1]
    error = min(r["forces_valid"] for r in history if r["forces_valid"] is not None)
    seconds = max(r["cpu"] for r in history if r["cpu"] is not None)
    return error, seconds, min((t for _, h in muon if (t := reached(h, error)) is not None), default=None)


def command(row, size, *settings):
    """What trains a run that is missing."""
    data = [] if ROWS[row].shipped else ["--data DATA"]
    sets = [f"--set {s}" for s in settings]
    words = ["python benchmarks/accuracy", row, *data, f"--size {size}", *sets, "--no-test", '--note "time to error"']
    return " ".join(words)


def main(arguments=None) -> int:
    """Prints the table, and the commands of what is missing."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--size", default="small")
    p.add_argument("--log", metavar="FOLDER", help="another folder of the log (benchmarks/accuracy)")
    args = p.parse_args(arguments)
    log, missing, slow = Log(args.log), [], False
    print("row             error of AMSGrad, meV/Å   its seconds   Muon's   times as fast")
    for row in WHICH:
        found, (amsgrad, _) = compared(log, row, args.size), runs(log, row, args.size)
        if not amsgrad:
            missing.append(command(row, args.size, *AMSGRAD, f"training.max_epochs={EPOCHS}"))
        if found is None or found[2] is None:
            missing.append(command(row, args.size, f"training.max_epochs={EPOCHS // int(PART)}"))
        if found is None:
            print(f"{row:<16}no runs")
            continue
        error, seconds, muon = found
        ratio = seconds / muon if muon else 0.0
        slow = slow or ratio < PART
        words = f"{muon:8.1f}   {ratio:.1f}" if muon else "   never"
        print(f"{row:<16}{1e3 * error:23.1f}   {seconds:11.1f} {words}")
    if missing:
        print("\nnot in the log, or never as good; shorter runs of Muon come to their end sooner:", *missing, sep="\n")
    return 2 if missing else int(slow)


if __name__ == "__main__":
    sys.exit(main())
