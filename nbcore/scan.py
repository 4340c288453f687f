"""Many trainings from lists in one file, scan.toml: which there are, which are done, their table.

Each training is a run of `nbcore train` in a folder of its own, called after its settings, and has `setting.json` when
it is finished. What is finished is not trained again; what was interrupted goes on.
"""

import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbcore
from nbcore import files
from nbcore.config import ConfigError, tomllib
from nbcore.config_values import to_toml

KEYS = ("name", "config", "vary", "settings")
DONE = "setting.json"
MOST = 10_000  # trainings; more is a mistake


class Setting(NamedTuple):
    """One training: its folder, and {key of train.toml: value}."""

    folder: Path
    values: dict[str, Any]

    @property
    def overrides(self) -> list[str]:
        """The values as `--set` takes them."""
        return [f"{key}={to_toml(value)}" for key, value in self.values.items()]

    @property
    def done(self) -> bool:
        """True if it was trained to its end."""
        return (self.folder / DONE).exists()


class Scan(NamedTuple):
    """All trainings of a scan.toml. name: its folder; config: the train.toml that they share."""

    name: str
    config: Path
    settings: list[Setting]


def load(path, folder=None) -> Scan:
    """Reads scan.toml; folder: where the trainings go, otherwise NAME where the command is started.

    Every combination of the lists under [vary] is a training, and every table of [[settings]]; where both are there,
    every table with every combination. Raises ConfigError, FileNotFoundError.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: not a TOML file: {e}") from None
    unknown = [key for key in content if key not in KEYS]
    if unknown:
        raise ConfigError(f"{path}: {unknown[0]}: no such key. There are: {', '.join(KEYS)}")
    for key in ("name", "config"):
        if not isinstance(content.get(key), str):
            raise ConfigError(f"{path}: {key}: expected a text, got {content.get(key, 'nothing')!r}")
    files.check_name(content["name"])
    config = path.parent / content["config"]
    if not config.exists():
        raise ConfigError(f"{path}: config: {config}: no such file")
    tables, vary = content.get("settings", [{}]), content.get("vary", {})
    if not (isinstance(tables, list) and tables and all(isinstance(table, dict) for table in tables)):
        raise ConfigError(f"{path}: settings: expected tables, [[settings]], with a value for each key")
    if not isinstance(vary, dict) or not (vary or "settings" in content):
        raise ConfigError(f"{path}: expected lists under [vary], or tables [[settings]]")
    lists = dict(_flat(vary))
    for key, values in lists.items():
        if not (isinstance(values, list) and values):
            raise ConfigError(f"{path}: vary: {key}: expected a list of values, got {values!r}")
    combinations = [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]
    chosen = [dict(_flat(table)) | one for table in tables for one in combinations]
    if len(chosen) > MOST:
        raise ConfigError(f"{path}: these are {len(chosen)} trainings; at most {MOST}")
    top = Path(folder or content["name"])
    settings = [Setting(top / _called(values), values) for values in chosen]
    for k, setting in enumerate(settings):
        first = next(i for i, other in enumerate(settings) if other.folder == setting.folder)
        if first != k:
            raise ConfigError(f"{path}: trainings {first + 1} and {k + 1} are the same, {setting.folder.name}")
    return Scan(content["name"], config, settings)


def _flat(table: dict, before: str = "") -> Iterator[tuple[str, Any]]:
    """training = { lr = 1 } and "training.lr" = 1 are the same."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _called(values):
    """lr=0.02,channels=32: the last words of the keys, or all of them where two would be the same."""
    last = [key.rpartition(".")[2] for key in values]
    names = [word if last.count(word) == 1 else key for key, word in zip(values, last, strict=True)]
    text = ",".join(f"{name}={to_toml(value)}" for name, value in zip(names, values.values(), strict=True))
    return re.sub(r"[^\w.,=+-]+", "_", text.replace('"', ""))[:150] or "alone"


def finished(scan: Scan, setting: Setting) -> None:
    """Takes note that a setting was trained to its end, with the errors of its model."""
    models = sorted(setting.folder.glob("*.nbcore"))
    row = {"settings": setting.values, "errors": {}}
    for model in models:
        description = nbcore.load(str(model)).description
        name = model.stem if len(models) > 1 else ""
        row["errors"][name] = description.get("errors", {})
        row["best_epoch"] = description.get("training", {}).get("best_epoch")
    with files.replacing(setting.folder / DONE, "w", overwrite=True) as f:
        json.dump(row, f)


ERRORS = {"energy_rmse_per_atom": "energy, meV/atom", "forces_rmse": "forces, meV/Å"}


def rows(scan: Scan) -> list[dict[str, Any]]:
    """A row for each finished training, the best forces (else energies) on validation data first."""
    found = []
    for setting in scan.settings:
        if not setting.done:
            continue
        done = json.loads((setting.folder / DONE).read_text())
        row = {**done["settings"], "best epoch": done.get("best_epoch")}
        for model, sets in done["errors"].items():
            for name, errors in sets.items():
                for key, title in ERRORS.items():
                    if errors.get(key) is not None:
                        row[" ".join(filter(None, [model, name, title]))] = 1e3 * errors[key]
        row["folder"] = str(setting.folder)
        found.append(row)

    def quality(row):
        for wanted in ("valid forces", "valid energy", "train forces", "train energy"):
            if here := [value for key, value in row.items() if wanted in key]:
                return sum(here) / len(here)
        return float("inf")

    return sorted(found, key=quality)


def table(scan: Scan) -> str:
    """The rows as comma-separated values."""
    found = rows(scan)
    head = list(dict.fromkeys(key for row in found for key in row if key != "folder")) + ["folder"]
    text = io.StringIO()
    writer = csv.DictWriter(text, head, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: f"{x:.6g}" if isinstance(x, float) else x for key, x in row.items()} for row in found)
    return text.getvalue()
