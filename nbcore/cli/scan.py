"""`nbcore scan`: many trainings from lists in one file, side by side here or one by one in a job array."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent import futures

from nbcore.cli import console


def add_parser(subparsers):
    """`nbcore scan scan.toml [...]`."""
    p = subparsers.add_parser(
        "scan",
        help="many trainings from lists in one file, and their table",
        description="Trains every combination of the lists in scan.toml, each in a folder of its own. The same command "
        "goes on after an interruption; what is finished is not trained again. The table of all is NAME/table.csv.",
    )
    p.add_argument("scan", help="scan.toml: name, config (a train.toml), lists under [vary] or tables [[settings]]")
    p.add_argument("--jobs", type=int, default=1, metavar="N", help="so many trainings at a time, here (1)")
    p.add_argument("--only", type=int, metavar="K", help="training K of the list alone, from 1: for job arrays")
    p.add_argument("--list", action="store_true", help="print the trainings and which are finished, and stop")
    p.add_argument("--output", metavar="DIR", help="where the folders go (default: NAME, where the command is started)")


def run(args) -> int:
    """Exit code: 0 if all that was to be trained is finished, else the first one of a training that is not."""
    from nbcore import scan as scans
    from nbcore.cli import UsageError
    from nbcore.config import load

    scan = scans.load(args.scan, args.output)
    for setting in scan.settings:  # what is wrong with the last is said before the first is trained
        load(scan.config, setting.overrides)
    if args.list:
        for k, setting in enumerate(scan.settings):
            console.out(f"{k + 1:>5}  {'finished' if setting.done else '-':<10}{setting.folder}")
        return 0
    if args.only is not None and not 1 <= args.only <= len(scan.settings):
        raise UsageError(f"--only: expected a number from 1 to {len(scan.settings)}, got {args.only}.")
    if args.jobs < 1:
        raise UsageError(f"--jobs: expected 1 or more, got {args.jobs}.")
    chosen = scan.settings if args.only is None else [scan.settings[args.only - 1]]
    code = train_all(scan, [s for s in chosen if not s.done], args)
    left = [s for s in scan.settings if not s.done]
    if not left:
        write_table(scan, args.quiet)
    elif not args.quiet:
        console.out(f"{len(scan.settings) - len(left)} of {len(scan.settings)} trainings are finished.")
    return code


def write_table(scan, quiet) -> None:
    """NAME/table.csv, and on the screen."""
    from nbcore import scan as scans
    from nbcore.files import replacing

    path, text = scan.settings[0].folder.parent / "table.csv", scans.table(scan)
    with replacing(path, "w", overwrite=True) as f:
        f.write(text)
    if not quiet:
        console.out(f"{text}\n{path}   errors of all {len(scan.settings)} trainings")


def train_all(scan, settings, args) -> int:
    """Trains the settings, `--jobs` at a time; the first exit code that is not 0. A signal ends all, saved."""
    from nbcore import files
    from nbcore import scan as scans
    from nbcore._threads import threads as number_of_threads
    from nbcore.train.loop import Signals

    jobs = max(1, min(args.jobs, len(settings)))
    environment = os.environ | {"NBCORE_NUM_THREADS": str(max(1, number_of_threads() // jobs))}
    running, guard, codes = set(), threading.Lock(), []

    def train(setting):
        command = [
            sys.executable,
            "-m",
            "nbcore",
            "train",
            str(scan.config),
            "--output",
            str(setting.folder),
            "--quiet",
        ]
        for override in setting.overrides:
            command += ["--set", override]
        if (who := files.user_of(setting.folder)) and not args.quiet:
            console.out(f"{setting.folder}   is in use by {who}: waits for its end", file=sys.stderr)
        while files.user_of(setting.folder) and not signals.caught:  # a training whose scan was killed, it goes on
            time.sleep(0.2)
        if setting.done:
            return 0
        with guard:
            if signals.caught:
                return 128 + signals.caught
            process = subprocess.Popen(command, env=environment, start_new_session=True)
            running.add(process)
        code = process.wait()
        with guard:
            running.discard(process)
        if code == 0:
            scans.finished(scan, setting)
        if not args.quiet:
            words = "finished" if code == 0 else f"ended with exit code {code if code >= 0 else 128 - code}"
            console.out(f"{setting.folder}   {words}", file=sys.stderr)
        return code if code >= 0 else 128 - code

    with Signals() as signals, futures.ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(train, setting) for setting in settings]
        for future in waiting:
            while True:
                with contextlib.suppress(futures.TimeoutError):
                    codes.append(future.result(timeout=0.2))
                    break
                if signals.caught:
                    with guard:
                        for process in running:
                            process.send_signal(signal.SIGTERM)
                        running.clear()
        if signals.caught:
            return 128 + signals.caught
    return next((code for code in codes if code), 0)
