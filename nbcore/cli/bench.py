"""`nbcore bench`: how fast this machine and this build are, and whether they still are as fast as recorded."""

import sys
from pathlib import Path

from nbcore.cli import console

PARTS = {
    "kernels": "gates forward and adjoint, against the peak of the machine",
    "models": "evaluations and training steps of the preset nbody",
    "scaling": "cost with atoms, channels, l and correlation; threads",
}


def add_parser(subparsers):
    """The options of `nbcore bench`."""
    p = subparsers.add_parser(
        "bench",
        help="speed of this machine and build",
        description="Speed of this machine and build on one pinned core: "
        + "; ".join(f"{name}: {what}" for name, what in PARTS.items())
        + ". Tables are Markdown. Leave the machine alone meanwhile.",
    )
    p.add_argument("--only", nargs="+", metavar="NAME", default=list(PARTS), help=f"some of: {', '.join(PARTS)}")
    p.add_argument("--quick", action="store_true", help="everything once, in seconds; the figures mean little")
    p.add_argument("--output", metavar="DIR", help="write bench.md, bench.json and bench.png there")
    p.add_argument("--force", action="store_true", help="replace files that `nbcore bench` did not write")
    p.add_argument("--check", metavar="FILE", nargs="?", const="", help="exit with 1 if a ratio is worse than recorded "
                   "(default: benchmarks/recorded/KERNELS.json)")  # fmt: skip
    p.add_argument("--margin", type=float, metavar="PART", default=0.2, help="how much worse (default: 0.2)")
    p.add_argument("--json", action="store_true", help="everything as one JSON object")


def run(args):
    """Measures, prints, writes, compares."""
    import importlib

    import nbcore
    from nbcore.bench import Machine, record
    from nbcore.cli import UsageError
    from nbcore.files import Kind, check_output, replacing

    for name in args.only:
        if name not in PARTS:
            raise UsageError(f"--only {name}: expected some of {', '.join(PARTS)}")
    outputs = {}
    if args.output:
        from nbcore.bench.plot import PLOT, plot

        kinds = {
            "bench.md": Kind("table of nbcore", b", kernels "),
            "bench.json": Kind("record of nbcore", b'"ratios":'),
        }
        outputs = {Path(args.output) / name: kind for name, kind in {**kinds, "bench.png": PLOT}.items()}
        for path, kind in outputs.items():
            check_output(path, kind, [args.check] if args.check else [], args.force)
    machine, rows = Machine(args.quick), []
    machine.pin()
    for name in dict.fromkeys(args.only):
        for row in importlib.import_module(f"nbcore.bench.{name}").rows(machine):
            rows.append(row)
            if sys.stderr.isatty() and not args.quiet:
                print(f"\r\033[K{row.table}: {row.name}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty() and not args.quiet:
        print("\r\033[K", end="", file=sys.stderr)
    about = record.circumstances(machine)
    if args.json:
        console.out(record.as_json(rows, about))
    elif not args.quiet:
        console.out(record.markdown(rows, about))
    if args.output:
        Path(args.output).mkdir(parents=True, exist_ok=True)
        table, recorded, picture = outputs
        for path, text in ((table, record.markdown(rows, about)), (recorded, record.as_json(rows, about))):
            with replacing(path, "w", outputs[path], args.force) as f:
                f.write(text + "\n")
        if args.force:
            picture.unlink(missing_ok=True)
        plot(picture, rows, about)
    if args.check is None:
        return 0
    kernel_set = nbcore.build_info()["kernel_set"]
    path = args.check or Path("benchmarks") / "recorded" / f"{kernel_set}.json"
    worse = record.compare(rows, path, kernel_set, args.margin)
    if worse:
        console.remark(f"Worse than {path} by more than {args.margin:.0%}:\n" + "\n".join(worse))
    return 1 if worse else 0
