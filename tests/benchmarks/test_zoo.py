"""benchmarks/zoo: presets trained with one budget, their table and page."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ZOO = Path(__file__).resolve().parents[2] / "benchmarks" / "zoo"
pytestmark = pytest.mark.skipif(not ZOO.exists(), reason="the source distribution has no benchmarks")


def test_the_command(tmp_path):
    """A preset within its budget; the same command again trains nothing."""
    places = ["--runs", str(tmp_path / "runs"), "--log", str(tmp_path / "log")]
    command = [
        sys.executable,
        str(ZOO),
        "--presets",
        "behler_parrinello",
        "--size",
        "small",
        "--minutes",
        "0.001",
        *places,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = (tmp_path / "log" / "validations.jsonl").read_text().splitlines()
    (entry,) = map(json.loads, lines)
    assert (entry["note"], entry["epochs"], entry["tests"]) == ("behler_parrinello", 5, {})
    row = done.stdout.splitlines()[-1]
    assert row.startswith(f"| behler_parrinello, small | {entry['parameters']} | 5 |")
    assert f"| {1e3 * entry['valid']['forces_rmse']:.1f} |" in row
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "in the log since" in again.stdout and again.stdout.splitlines()[-1] == row
    assert (tmp_path / "log" / "validations.jsonl").read_text().splitlines() == lines


def test_page_and_figure(tmp_path, monkeypatch):
    """The newest line of each preset and size, the best first; what a stranger's log says is what is drawn."""
    monkeypatch.syspath_prepend(str(ZOO.parent / "accuracy"))
    monkeypatch.syspath_prepend(str(ZOO))
    for name in ("page", "figures", "table"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import page

    def add(preset, forces, size="medium"):
        errors = {"forces_rmse": forces, "energy_rmse_per_atom": 1e-3}
        entry = dict(row="molecule", note=preset, size=size, run=preset + size, parameters=9, epochs=3, tests={},
                     cpu_seconds=90.0, us_per_atom=12.3, train=errors, valid=errors)  # fmt: skip
        with open(tmp_path / "validations.jsonl", "a") as f:
            f.write(json.dumps(entry) + "\n")
        (tmp_path / "history").mkdir(exist_ok=True)
        (tmp_path / "history" / f"{preset}{size}.csv").write_text(f"epoch,cpu,forces_valid\n1,2,1\n2,4,{forces}\n")

    add("schnet", 0.9), add("schnet", 0.02), add("ani", 0.03, "small"), add("nbody", 0.01)
    rows = [line for line in page.text(tmp_path, ["molecule"]).splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows] == ["preset", "nbody", "schnet", "ani, small"]
    assert rows[2] == "| schnet | 9 | 3 | 1.5 | 20.0 | 20.0 | 1.00 | 12 |"
    cost, time = page.figure(tmp_path, "molecule").axes
    assert [line.get_ydata()[0] for line in cost.lines] == [10.0, 20.0, 30.0]
    assert [list(line.get_xdata()) for line in time.lines] == [[2.0, 4.0]] * 3
