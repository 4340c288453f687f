"""Hostile model files, made by the thousand from real ones:  python tools/fuzz_models.py [--minutes 1] [--count N]

Each file is loaded, evaluated and described (`nbcore inspect`, golden cases) by a worker with bounded memory. A file
may be refused, as a model file that is damaged or does not make sense; whatever else happens is a finding: another
exception, a crash, a result that is not finite, more than 4 times its size + 50 MB of memory, more than 2 s per 100 MB
(and half a second) to load, or a byte on the screen that a terminal would obey. Findings are kept in a folder, with the
seed in their names; the same seed makes the same file. Exit code 1 if there is any.

`--driver PROGRAM` gives the files, several at a time, to a program that loads, evaluates and frees each: one that is
built with sanitizers. Its exit code must be 0, whatever the files hold.
"""

import argparse
import json
import os
import re
import resource
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hostile_models import mutant, seeds

ADDRESS_SPACE = 6 << 30  # bytes of a worker
PATIENCE = 60.0  # seconds until a worker hangs
DANGEROUS = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]"
)


# ---- workers ----


def worker():
    """Reads paths from stdin; answers each with a line of JSON: what happened, seconds, bytes."""
    import contextlib
    import io

    import ase.build
    import numpy as np

    from nbcore import load
    from nbcore.cli import main
    from nbcore.errors import Error, ModelFileError
    from nbcore.model_file import check_golden, read_description

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    known = ["H", "C"]
    cluster = np.array([[0, 0, 0], [1.1, 0.2, 0], [0, 1.3, 0.4], [0.5, 0.6, 1.4], [9.0, 9, 9]])
    assert len(ase.build.molecule("H2")) == 2
    for path in map(str.strip, sys.stdin):
        what, before, start = "refused", highest(reset=True), time.process_time()
        seconds, grown = 0.0, 0
        try:
            try:
                potential = load(path)
                what = "loaded"
            finally:
                seconds, grown = time.process_time() - start, highest() - before
            read_description(path)
            repr(potential)
            if not potential.has_parts:
                with contextlib.suppress(Error):
                    species = [known[k % 2] for k in range(5)] if set(known) <= set(potential.species) else ["H"] * 5
                    r = potential.compute(cluster, species, threads=1)
                    if r.energy is not None and not (np.isfinite(r.energy) and np.isfinite(r.forces).all()):
                        what = "not finite"
                    if potential.uncertainty:
                        potential.compute(cluster, species, threads=1, uncertainty=True)
            with contextlib.suppress(ModelFileError):
                check_golden(path)
        except ModelFileError as e:
            if not str(e).startswith(path) or len(str(e)) > 3000 or DANGEROUS.search(str(e).replace("\n", "").encode()):
                what = f"message {e!r}"
        except MemoryError:
            what = "MemoryError"
        except BaseException as e:
            what = f"{type(e).__name__}: {str(e)[:300]}"
        if what in ("loaded", "refused"):
            out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="replace")
            try:
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                    code = main(["inspect", path, "--parameters"])
                out.flush()
                bad = DANGEROUS.search(out.buffer.getvalue())
                if code not in ((0, 3, 4, 5) if what == "loaded" else (4,)):
                    what = f"inspect ends with {code}"
                elif bad:
                    what = f"inspect prints {bad[0]!r}"
            except BaseException as e:
                what = f"inspect: {type(e).__name__}: {str(e)[:300]}"
        potential = None
        print(json.dumps([what, seconds, grown]), flush=True)


def highest(reset=False):
    """Bytes of memory at the highest so far (since the last reset)."""
    if reset:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


class Worker:
    """A process that judges files one by one, started anew after each that it does not survive."""

    def __init__(self):
        self.process = None

    def judge(self, path):
        """(what happened, seconds, bytes)."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, __file__, "--worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, env={**os.environ, "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        self.process.stdin.write(f"{path}\n".encode())
        self.process.stdin.flush()
        ready, *_ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else b""
        if line:
            return json.loads(line)
        self.process.kill()
        code, self.process = self.process.wait(), None
        return [f"killed by signal {-code}" if ready else f"hangs for {PATIENCE:.0f} s", 0.0, 0]

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


def verdict(what, seconds, grown, size):
    """What is wrong with it, or None."""
    if what not in ("loaded", "refused"):
        return what
    if seconds > 0.5 + 2 * size / 1e8:
        return f"{seconds:.2f} s for {size} bytes"
    if grown > 4 * size + 50e6:
        return f"{grown / 1e6:.0f} MB for {size} bytes"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (1)")
    parser.add_argument("--count", type=int, help="so many files, however long it takes")
    parser.add_argument("--seed", type=int, default=0, help="of the first file (0)")
    parser.add_argument("--findings", metavar="DIR", default="build/fuzz_models", help="where to keep them")
    parser.add_argument("--driver", nargs="+", metavar="WORD", help="a program and its first arguments; files follow")
    parser.add_argument("--driver-files", type=int, default=50, metavar="N", help="files a call of the driver (50)")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker()
    folder, findings, kinds, begin = Path(args.findings), [], {}, time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        blobs, judge = seeds(scratch), Worker()
        for blob in blobs:
            path = Path(scratch) / "good.nbcore"
            path.write_bytes(blob)
            what, *_ = judge.judge(path)
            assert what == "loaded", f"a file that was not changed: {what}"
        seed, waiting = args.seed, []

        def found(seed, kind, what, content):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{seed}_{kind}.nbcore"
            path.write_bytes(content)
            findings.append(path)
            print(f"{path}: {what}", flush=True)

        def drive():
            if not waiting:
                return
            if not run_driver(args.driver, [path for path, *_ in waiting]):
                for path, seed, kind in waiting:
                    if not run_driver(args.driver, [path]):
                        found(seed, kind, "the driver failed", path.read_bytes())
            for path, *_ in waiting:
                path.unlink()
            waiting.clear()

        while seed - args.seed < args.count if args.count else time.monotonic() - begin < 60 * args.minutes:
            kind, blob = mutant(seed, blobs)
            path = Path(scratch) / f"{seed}.nbcore"
            path.write_bytes(blob)
            if args.driver:
                waiting.append((path, seed, kind))
                outcome = "driven"
                if len(waiting) == args.driver_files:
                    drive()
            else:
                what, seconds, grown = judge.judge(path)
                wrong, outcome = verdict(what, seconds, grown, len(blob)), what
                if wrong:
                    found(seed, kind, wrong, blob)
                path.unlink()
            counts = kinds.setdefault(kind, {})
            counts[outcome] = counts.get(outcome, 0) + 1
            seed += 1
        drive()
        judge.close()
    for kind, counts in sorted(kinds.items()):
        parts = ", ".join(f"{n} {what}" for what, n in counts.items() if what in ("loaded", "refused", "driven"))
        print(f"{kind:<20} {parts}")
    print(f"{seed - args.seed} files, seeds {args.seed} to {seed - 1}, {len(findings)} findings")
    return 1 if findings else 0


def run_driver(driver, names):
    """True if the driver comes to its end by itself, in time, with these files."""
    try:
        return (
            subprocess.run([*driver, *names], stdout=subprocess.DEVNULL, timeout=PATIENCE * len(names)).returncode == 0
        )
    except subprocess.TimeoutExpired:
        return False


if __name__ == "__main__":
    sys.exit(main())
