"""Rows of a benchmark: printed as Markdown, kept as JSON, compared with what was recorded."""

import json
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

from nbcore.errors import InputError

MARGIN = 0.2  # ratios of one machine move by a tenth when it does other work


@dataclass
class Row:
    """One thing that was measured.

    table: where it belongs. name: what it is, unique in the table. figures: column -> text or number, as printed.
    ratio: what `--check` compares, None for rows that are only for reading. more_is_better: of the ratio.
    """

    table: str
    name: str
    figures: dict = field(default_factory=dict)
    ratio: float | None = None
    more_is_better: bool = True


def circumstances(machine) -> dict:
    """Date, release, commit, kernel set and machine: what every table says of itself."""
    import nbcore

    info = nbcore.build_info()
    return {
        "date": date.today().isoformat(),
        "version": info["version"],
        "commit": commit(),
        "kernel_set": info["kernel_set"],
        "compiler": info["compiler"],
        **machine.describe(),
    }


def commit() -> str | None:
    """The commit of the sources this runs from, with a + where they were changed; None for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    git = ["git", "-C", str(root)]
    try:
        name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "cpp", "nbcore"], check=False).returncode
    except (OSError, subprocess.CalledProcessError):
        return None
    return name.strip() + "+" * bool(changed)


def heading(about: dict) -> str:
    """The circumstances in two lines."""
    release = f"nbcore {about['version']}" + (f" ({about['commit']})" if about["commit"] else "")
    pinned = "not pinned" if about["pinned_core"] is None else f"core {about['pinned_core']}"
    return (
        f"{about['date']}, {release}, kernels {about['kernel_set']}, compiler {about['compiler']}; "
        f"{about['processor']}, {about['cores']} cores, {pinned}.\n"
        f"Peak {about['peak_float64_gflops']:.1f} GFLOP/s float64, {about['peak_float32_gflops']:.1f} float32; copies "
        f"{about['copy_l2_gb_per_s']:.0f} GB/s in L2 ({about['l2_bytes'] >> 10} KiB), "
        f"{about['copy_memory_gb_per_s']:.1f} in memory."
    )


def markdown(rows, about: dict) -> str:
    """All tables, each below a line with the circumstances.

    >>> about = circumstances(nbcore.bench.Machine(quick=True))
    >>> print(markdown([Row("kernels", "mix 64 forward", {"us": 1.5})], about))
    """
    out = []
    for table in dict.fromkeys(row.table for row in rows):
        chosen = [row for row in rows if row.table == table]
        columns = list(dict.fromkeys(key for row in chosen for key in row.figures))
        cells = [["", *columns]] + [[row.name, *(_text(row.figures.get(c)) for c in columns)] for row in chosen]
        widths = [max(len(line[k]) for line in cells) for k in range(len(cells[0]))]
        lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in cells]
        lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
        out += [f"## {table}", "", heading(about), "", *lines, ""]
    return "\n".join(out)


def _text(value):
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def as_json(rows, about: dict) -> str:
    """The same as one object: "about", "rows" with all figures, and "ratios", which `--check` reads."""
    ratios = {f"{row.table}: {row.name}": row.ratio for row in rows if row.ratio is not None}
    return json.dumps({"about": about, "ratios": ratios, "rows": [asdict(row) for row in rows]}, indent=1)


def compare(rows, path, kernel_set: str, margin: float = MARGIN) -> list[str]:
    """What is worse than recorded in the JSON file `path` by more than `margin`, a line each.

    InputError where the file is not there, is no record, or is one of another kernel set.
    """
    try:
        recorded = json.loads(Path(path).read_text())
        ratios, recorded_set = recorded["ratios"], recorded["about"]["kernel_set"]
    except FileNotFoundError:
        raise InputError(
            f"{path}: no recorded figures here. Run in the source folder of nbcore, name a file with --check FILE, or "
            "make one: nbcore bench --output DIR writes DIR/bench.json"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not what `nbcore bench --output DIR` writes.") from None
    if recorded_set != kernel_set:
        raise InputError(f"{path}: recorded with kernels {recorded_set}, these are {kernel_set}; see NBCORE_ISA.")
    worse = []
    for row in rows:
        before = ratios.get(f"{row.table}: {row.name}")
        if before is None or row.ratio is None:
            continue
        change = (row.ratio / before - 1) * (1 if row.more_is_better else -1)
        if change < -margin:
            worse.append(f"{row.table}: {row.name}: {row.ratio:.3g}, recorded {before:.3g} ({100 * change:+.0f} %)")
    return worse
