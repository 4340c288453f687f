"""The table of the zoo, from its log."""

from log import Log

COLUMNS = ("preset", "parameters", "epochs", "minutes", "F train", "F valid", "E valid")


def newest(log, row) -> dict[str, dict]:
    """{preset and size: the newest line of the log for this row}, the smallest error first."""
    found = {}
    for entry in (*Log(log).entries(tested=False), *Log(log).entries()):
        if entry["row"] == row:
            found[entry["note"], entry["size"]] = entry
    return dict(sorted(found.items(), key=lambda item: item[1]["valid"]["forces_rmse"]))


def cells(entry, tests) -> list[str]:
    """What stands behind the name."""
    n = entry["valid"]["energy_rmse_per_atom"]
    return [
        f"{entry['parameters']}",
        f"{entry['epochs']}",
        f"{entry['cpu_seconds'] / 60:.1f}",
        f"{1e3 * entry['train']['forces_rmse']:.1f}",
        f"{1e3 * entry['valid']['forces_rmse']:.1f}",
        f"{1e3 * n:.2f}",
        *(f"{1e3 * entry['tests'][test]['forces_rmse']:.1f}" if test in entry["tests"] else "" for test in tests),
        f"{entry['us_per_atom']:.0f}",
    ]


def table(log, row) -> str:
    """The lines of a table in Markdown: RMSE in meV/Å and meV/atom; minutes of CPU time."""
    found = newest(log, row)
    tests = list(dict.fromkeys(test for entry in found.values() for test in entry["tests"]))
    columns = [*COLUMNS, *(f"F {test}" for test in tests), "µs/atom"]
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    for (preset, size), entry in found.items():
        name = preset if size == "medium" else f"{preset}, {size}"
        lines.append("| " + " | ".join([name, *cells(entry, tests)]) + " |")
    return "\n".join(lines)
