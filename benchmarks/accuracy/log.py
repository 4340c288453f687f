"""The log of what was trained: a line of JSON per run, and the histories of the errors; both are committed.

results.jsonl         runs whose model was evaluated on the tests, once
validations.jsonl     runs that were only validated, for choosing
dynamics.jsonl        what md_judge.py found
history/RUN.csv       epoch, seconds (wall, CPU), errors in training and on the validation data
../test_evaluations.md   a line for each test set that was evaluated
"""

import contextlib
import csv
import fcntl
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
EVALUATIONS = HERE.parent / "test_evaluations.md"
HISTORY_ROWS = 120


class Log:
    """The log in a folder; without one the committed log."""

    def __init__(self, folder=None):
        self.folder = HERE if folder is None else Path(folder)
        self.results, self.validations = self.folder / "results.jsonl", self.folder / "validations.jsonl"
        self.evaluations = EVALUATIONS if folder is None else self.folder / EVALUATIONS.name

    @contextlib.contextmanager
    def locked(self):
        """A block in which no other process writes to the log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def entries(self, tested=True) -> list[dict]:
        """All lines, in order."""
        path = self.results if tested else self.validations
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def dynamics(self) -> list[dict]:
        """The lines of md_judge.py, in order."""
        path = self.folder / "dynamics.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def tested(self, digest):
        """The line of the model with this digest, if it has seen the tests; else None."""
        return next((entry for entry in self.entries() if entry["model"] == digest), None)

    def validated(self, digest):
        """The line of the model with this digest among those that were only validated; else None."""
        return next((entry for entry in self.entries(tested=False) if entry["model"] == digest), None)

    def append(self, entry, lines=()) -> None:
        """Adds a run; lines: what test_evaluations.md says of its tests."""
        with self.locked():
            path = self.results if entry["tests"] else self.validations
            with open(path, "a") as f:
                f.write(json.dumps(entry, ensure_ascii=False) + "\n")
            if lines:
                add_rows(self.evaluations, lines)

    def write_history(self, run, rows) -> None:
        """history/RUN.csv, thinned: rows are dicts of an epoch each."""
        folder = self.folder / "history"
        folder.mkdir(parents=True, exist_ok=True)
        step = max(1, -(-len(rows) // HISTORY_ROWS))
        kept = [row for k, row in enumerate(rows) if (k + 1) % step == 0 or k in (0, len(rows) - 1)]
        with open(folder / f"{run}.csv", "w", newline="") as f:
            table = csv.DictWriter(f, list(rows[0]) if rows else ["epoch"], lineterminator="\n")
            table.writeheader()
            table.writerows({key: _short(value) for key, value in row.items()} for row in kept)

    def history(self, run) -> list[dict]:
        """What write_history wrote, as numbers (None where nothing stands)."""
        path = self.folder / "history" / f"{run}.csv"
        if not path.exists():
            return []
        with open(path, newline="") as f:
            return [{key: float(v) if v else None for key, v in row.items()} for row in csv.DictReader(f)]


def _short(value):
    return f"{value:.5g}" if isinstance(value, float) else value


HEAD = [
    "RMSE; energies in meV per structure, forces in meV/Angstrom.",
    "",
    "| date | commit | configuration | test set | energy | forces |",
    "|---|---|---|---|---|---|",
]


def add_rows(path, rows) -> None:
    """Adds rows at the end of the first table of a page; makes the page where it is missing."""
    lines = path.read_text().splitlines() if path.exists() else list(HEAD)
    start = next(k for k, line in enumerate(lines) if line.startswith("|"))
    end = next((k for k in range(start, len(lines)) if not lines[k].startswith("|")), len(lines))
    lines[end:end] = rows
    path.write_text("\n".join(lines) + "\n")
