"""Instructions of a fixed evaluation and a fixed training step, function by function: for comparing two commits.

    python benchmarks/instructions.py [--channels 32] [--lines 15] [--only evaluation]

Counts do not depend on what else the machine does: two runs differ by less than one part in a million. Needs valgrind
(apt install valgrind), which knows no AVX-512, so a build with the set x86-64-v3: `python tools/dev.py sets`, then
PYTHONPATH=build/sets, or NBCORE_ISA_LIST=x86-64-v3. Only what happens inside the evaluation (or the step) is counted.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

KERNELS = "x86-64-v3"
WORK = {  # what switches counting on and off
    "evaluation": "nbcore::Potential::compute(*",
    "training step": "nbcore::TrainingSet::evaluate(*",
}


def work(what, channels):
    """What is counted; the first call allocates, the second is like all others and no different to callgrind."""
    import nbcore
    from nbcore.bench.models import CUTOFF, batch, evaluation, silicon, training

    species = ["Si"] if what == "evaluation" else ["H", "C", "O"]
    potential = nbcore.presets.nbody(species=species, cutoff=CUTOFF, channels=channels)
    run = evaluation(potential, silicon(2)) if what == "evaluation" else training(potential, batch())[1]
    run(2)


def count(what, channels):
    """[(instructions, function)] of two calls of the work, the largest first."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", f"--toggle-collect={WORK[what]}"]
        command += [sys.executable, __file__, "--work", what, "--channels", str(channels)]
        run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NBCORE_ISA": KERNELS})
        if run.returncode:
            raise SystemExit(f"valgrind ended with {run.returncode}:\n{run.stderr[-2000:]}")
        listing = subprocess.run(
            ["callgrind_annotate", "--threshold=99", str(out)], capture_output=True, text=True, check=True
        ).stdout
    found = []
    for line in listing.splitlines():
        if match := re.match(r"\s*([\d,]+) \([^)]*\)\s+(?:\S*:)?(.*?)(?: \[.*\])?$", line):
            found.append((int(match[1].replace(",", "")), match[2]))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--lines", type=int, default=15, help="functions to list")
    parser.add_argument("--only", choices=list(WORK))
    parser.add_argument("--work", choices=list(WORK), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        return work(args.work, args.channels)
    import nbcore
    from nbcore.bench import record

    if KERNELS not in nbcore.build_info()["kernel_sets"]:
        sets = ", ".join(nbcore.build_info()["kernel_sets"])
        raise SystemExit(f"The set {KERNELS} is not installed (there is {sets}): see --help.")
    print(f"# {record.date.today()}, commit {record.commit()}, kernels {KERNELS}, nbody with {args.channels} channels")
    for what in [args.only] if args.only else WORK:
        functions = count(what, args.channels)
        print(
            f"\n{what}: {functions[0][0]:,} instructions in two calls\n\n| instructions | % | function |\n|---|---|---|"
        )
        for n, name in functions[1 : args.lines + 1]:
            print(f"| {n:,} | {100 * n / functions[0][0]:.1f} | {name} |")


if __name__ == "__main__":
    main()
