"""benchmarks/accuracy/time_to_error.py: seconds to an error from histories of a log, and what is missing."""

import json
from pathlib import Path

import pytest

ACCURACY = Path(__file__).resolve().parents[2] / "benchmarks" / "accuracy"
pytestmark = pytest.mark.skipif(not ACCURACY.exists(), reason="the source distribution has no benchmarks")


@pytest.fixture
def main(monkeypatch):
    monkeypatch.syspath_prepend(str(ACCURACY))
    from time_to_error import main

    return main


def add(folder, run, settings, epochs, curve, row="molecule", size="small"):
    """A line of the log and its history: (seconds, eV/Å) of epochs."""
    entry = dict(row=row, size=size, structures=None, run=run, epochs=epochs, tests={})
    with open(folder / "validations.jsonl", "a") as f:
        f.write(json.dumps(entry | {"set": settings}) + "\n")
    (folder / "history").mkdir(exist_ok=True)
    lines = [f"{k},{t},{e}" for k, (t, e) in enumerate(curve)]
    (folder / "history" / f"{run}.csv").write_text("\n".join(["epoch,cpu,forces_valid", *lines]) + "\n")


AMSGRAD = ["training.optimizer=amsgrad", "training.lr=0.01"]


def test_seconds_to_the_error_and_what_is_missing(tmp_path, main, capsys):
    assert main(["--log", str(tmp_path)]) == 2
    said = capsys.readouterr().out
    assert said.count("no runs") == 4 and said.count("python benchmarks/accuracy") == 8
    add(tmp_path, "a", AMSGRAD, 300, [(10, 0.3), (100, 0.02), (120, 0.021)])
    add(tmp_path, "short", AMSGRAD, 299, [(10, 0.001)])
    add(tmp_path, "large", [], 50, [(1, 0.001)], size="large")
    add(tmp_path, "adam", ["training.optimizer=adam"], 50, [(1, 0.001)])
    add(tmp_path, "slow", [], 50, [(1, 0.5), (30, 0.02)])
    add(tmp_path, "fast", ["training.max_epochs=20"], 20, [(1, 0.5), (15, 0.0199), (20, 0.01)])
    assert main(["--log", str(tmp_path)]) == 2
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("molecule"))
    assert line.split()[1:] == ["20.0", "120.0", "15.0", "8.0"]


@pytest.mark.parametrize("seconds, code", [(15, 0), (25, 1)])
def test_exit_code(tmp_path, main, seconds, code):
    for row in ("acac", "mlearn_Si", "rmd17_aspirin", "molecule"):
        add(tmp_path, f"{row}-a", AMSGRAD, 300, [(120, 0.02)], row=row)
        add(tmp_path, f"{row}-m", [], 50, [(seconds, 0.02)], row=row)
    assert main(["--log", str(tmp_path)]) == code


def test_never_as_good_is_missing(tmp_path, main, capsys):
    add(tmp_path, "a", AMSGRAD, 300, [(120, 0.02)])
    add(tmp_path, "m", [], 50, [(15, 0.03)])
    assert main(["--log", str(tmp_path)]) == 2 and "never" in capsys.readouterr().out
