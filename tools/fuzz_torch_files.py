"""Hostile files of torch.save, made by the thousand:  python tools/fuzz_torch_files.py [--minutes 1] [--count N]

Each file is read; it may be refused with an InputError, or read. Whatever else happens is a finding: another exception,
a file that appears in the working folder, more memory than 4 times the file plus 100 MB, more than 20 s of processor.
Exit code 1 if there is any. tests/importing/hostile_torch_files.py makes the files, the same seed the same file.
"""

import argparse
import os
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "importing"))


def highest(reset=False):
    """Bytes of memory at the highest so far (since the last reset)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def judge(path):
    """(what happened, what is wrong with it or None)."""
    from nbcore.errors import InputError
    from nbcore.importing.torch_file import TorchFile, all_tensors

    before, start = highest(reset=True), time.process_time()
    what = "read"
    try:
        all_tensors(TorchFile(path).load())
    except InputError as e:
        what = "refused" if str(e).startswith(str(path)) and len(str(e)) < 1500 else f"message {e!r}"
    except BaseException as e:
        what = f"{type(e).__name__}: {str(e)[:300]}"
    grown, seconds = highest() - before, time.process_time() - start
    if what not in ("read", "refused"):
        return "found", what
    if grown > 4 * path.stat().st_size + 100e6:
        return "found", f"{grown / 1e6:.0f} MB for {path.stat().st_size} bytes"
    return (what, None) if seconds < 20 else ("found", f"{seconds:.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (1)")
    parser.add_argument("--count", type=int, help="so many files, however long it takes")
    parser.add_argument("--seed", type=int, default=0, help="of the first file (0)")
    args = parser.parse_args()
    from hostile_torch_files import hostile

    warnings.simplefilter("ignore")  # zipfile says that names are doubled
    counts, findings, seed, begin = Counter(), 0, args.seed, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        path = Path(folder) / "hostile.model"
        while seed - args.seed < args.count if args.count else time.monotonic() - begin < 60 * args.minutes:
            kind, content = hostile(seed)
            path.write_bytes(content)
            what, wrong = judge(path)
            if sorted(os.listdir(folder)) != [path.name]:
                wrong = f"files have appeared: {os.listdir(folder)}"
            counts[kind, what] += 1
            if wrong:
                findings += 1
                print(f"seed {seed}, {kind}: {wrong}", flush=True)
            seed += 1
        os.chdir("/")
    for (kind, what), n in sorted(counts.items()):
        print(f"{kind:<16} {what:<8} {n}")
    print(f"{seed - args.seed} files, {findings} findings, {time.process_time():.0f} s of this process")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
