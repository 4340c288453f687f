"""Lines of the log that belong together: the same row, size, number of structures and settings, with several seeds."""

from typing import NamedTuple

from rows import ROWS

TRIAL = "trial"  #: how notes of lines begin that are not shown
CURVE = "time to error"  #: the note of validated runs that are drawn beside the tested ones


class Key(NamedTuple):
    """What runs of several seeds have in common."""

    size: str
    structures: int | None
    settings: tuple[str, ...]


def key_of(entry) -> Key:
    """The settings without their tables: "optimizer=amsgrad"."""
    return Key(entry["size"], entry["structures"], tuple(map(_without_table, entry["set"])))


def _without_table(text):
    """model.channels=64 as channels=64; other words as they are."""
    key, is_one, value = text.partition("=")
    return key.rpartition(".")[2] + is_one + value if is_one else text


def latest(entries, row) -> dict[Key, list]:
    """{key: lines}: those with the settings of the newest line of this key, of each seed the newest.

    Defaults change while the log grows: lines with other defaults are of another model. In the order of sizes and
    numbers of structures. Lines that are noted as trials do not count.
    """
    groups = {}
    for entry in entries:
        if entry["row"] == row and not entry["note"].startswith(TRIAL):
            groups.setdefault(key_of(entry), []).append(entry)
    order = {"small": 0, "medium": 1, "large": 2}
    found = {}
    for key, lines in sorted(
        groups.items(), key=lambda item: (order.get(item[0].size, 3), item[0].structures or 10**9)
    ):
        seeds = {e["seed"]: e for e in lines if e.get("settings") == lines[-1].get("settings")}
        found[key] = [seeds[seed] for seed in sorted(seeds)]
    return found


def label(entry) -> str:
    """Size, number of structures where it is not all, and settings."""
    key = key_of(entry)
    return ", ".join([key.size, *([f"{key.structures} structures"] if key.structures else []), *key.settings])


def forces_of(row, entry, test):
    """The force error as the row shows it."""
    return next(figure for figure in row.figures if figure.name == "forces").of(entry["tests"][test])


def wanted_curves(log) -> dict[str, list]:
    """{row: lines whose history is drawn}: the first seed of each tested group, and what is noted for it."""
    found = {}
    noted = [entry for entry in log.entries(tested=False) if entry["note"] == CURVE]
    for name in ROWS:
        tested = [lines[0] for key, lines in latest(log.entries(), name).items() if key.structures is None]
        others = [lines[0] for lines in latest(noted, name).values()]
        if tested or others:
            found[name] = [*tested, *others]
    return found
