"""The table of the zoo, from its log."""

from log import Log

COLUMNS = ("preset", "parameters", "epochs", "minutes", "F train", "F valid", "E valid", "µs/atom")


def newest(log, row) -> dict[str, dict]:
    """{preset and size: the newest line of the log for this row}, the smallest error first."""
    found = {}
    for entry in Log(log).entries(tested=False):
        if entry["row"] == row:
            found[entry["note"], entry["size"]] = entry
    return dict(sorted(found.items(), key=lambda item: item[1]["valid"]["forces_rmse"]))


def cells(entry) -> list[str]:
    """What stands behind the name."""
    n = entry["valid"]["energy_rmse_per_atom"]
    return [
        f"{entry['parameters']}",
        f"{entry['epochs']}",
        f"{entry['cpu_seconds'] / 60:.1f}",
        f"{1e3 * entry['train']['forces_rmse']:.1f}",
        f"{1e3 * entry['valid']['forces_rmse']:.1f}",
        f"{1e3 * n:.2f}",
        f"{entry['us_per_atom']:.0f}",
    ]


def table(log, row) -> str:
    """The lines of a table in Markdown: RMSE in meV/Å and meV/atom; minutes of CPU time."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" + "|---:" * (len(COLUMNS) - 1) + "|"]
    for (preset, size), entry in newest(log, row).items():
        name = preset if size == "medium" else f"{preset}, {size}"
        lines.append("| " + " | ".join([name, *cells(entry)]) + " |")
    return "\n".join(lines)
