"""benchmarks/accuracy/page.py: tables and figures are what the log says."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ACCURACY = ROOT / "benchmarks" / "accuracy"
pytestmark = pytest.mark.skipif(not ACCURACY.exists(), reason="the source distribution has no benchmarks")


def errors(energy, forces):
    """An entry's errors, of energies in meV and forces in meV/Angstrom."""
    keys = {"energy_rmse": energy, "energy_mae": energy, "energy_mae_per_atom": energy, "energy_rmse_per_atom": energy}
    keys |= {"forces_rmse": forces, "forces_mae": forces}
    return {key: value / 1e3 for key, value in keys.items()} | {"stress_mae": 0.001, "n_structures": 450}


def entry(row="acac", size="medium", seed=1, forces=6.0, **more):
    """A line of the log as the command writes it."""
    tests = {"acac": ("300 K", "600 K"), "3bpa": tuple(f"{t} K, proxy" for t in (300, 600, 1200))}.get(row, ("test",))
    line = {
        "date": "2026-01-02",
        "commit": "abc",
        "row": row,
        "size": size,
        "seed": seed,
        "structures": None,
        "set": [],
    }
    line |= {
        "run": f"{row}-{size}-{seed}",
        "settings": "s1",
        "parameters": 77,
        "cpu_seconds": 240.0,
        "us_per_atom": 33.0,
    }
    line |= {"tests": {test: errors(1.0, forces) for test in tests}, "train": errors(0.5, 2.0), "note": ""}
    return line | more


def log_of(folder, *entries, noted=(), dynamics=()):
    from log import Log

    log = Log(folder)
    for e in (*entries, *noted):
        log.append(e)
        log.write_history(
            e["run"], [{"epoch": k, "wall": 1.0 * k, "cpu": 1.0 * k, "forces_valid": 1 / k} for k in (1, 2, 3)]
        )
    if dynamics:
        (folder / "dynamics.jsonl").write_text("".join(json.dumps(d) + "\n" for d in dynamics))
    return log


def rows_of(text, beginning):
    """Cells of the rows of the tables that begin so."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {beginning}")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_seeds_become_mean_and_spread(tmp_path):
    from page import text

    values = [5.0, 5.4, 6.1]
    page = text(log_of(tmp_path, *[entry(seed=k, forces=f) for k, f in enumerate(values, 1)]))
    (row,) = rows_of(page, "nbcore `medium`")
    assert row[0] == "nbcore `medium` (seeds 1, 2, 3)"
    assert row[2] == f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}" == "5.50 ± 0.56"
    assert rows_of(page, "MACE ")[0][1:5] == ["0.9", "5.1", "4.6", "22.4"]


def test_the_newest_line_of_a_seed_counts_and_other_defaults_do_not(tmp_path):
    from page import text

    old = [entry(forces=9.0), entry(seed=2, forces=8.0, settings="s0")]
    page = text(log_of(tmp_path, *old, entry(forces=7.0), entry(seed=3, forces=1.0, note="trial, too short")))
    assert [row[:3] for row in rows_of(page, "nbcore")] == [["nbcore `medium` (seed 1)", "1", "7"]]


def test_units_are_those_of_the_row(tmp_path):
    """mlearn: eV/Angstrom, stress in GPa; one table for all elements; proxies are called so."""
    from page import text

    page = text(log_of(tmp_path, entry("mlearn_Si", forces=52.0), entry("3bpa")))
    (row,) = rows_of(page, "Si |")
    assert row[1:4] == ["1 / 0.052", "2.91 / 0.07", "2.21 / 0.06"]
    assert rows_of(page, "Si, nbcore")[0][-1] == "0.16 GPa"
    assert "Ge |" not in page and "proxy: forces RMSE" in page and "could not be had" in page


def test_rows_without_a_run_are_left_out(tmp_path):
    from page import text

    page = text(log_of(tmp_path))
    assert "##" not in page and "python benchmarks/accuracy acac" in page


def test_figures(tmp_path):
    """All of them, as PNG, and what is drawn: by the lines and points of the axes."""
    from figures import learning_curves, pareto, time_to_error

    few = entry(structures=100, forces=12.0, run="few", train=errors(1, 1) | {"n_structures": 90})
    noted = entry(set=["training.optimizer=amsgrad"], tests={}, note="time to error", run="noted")
    unnoted = entry(set=["training.lr=1"], tests={}, run="unnoted")
    log = log_of(tmp_path, entry(), entry(size="small", forces=17.0, run="small"), few, noted=[noted, unnoted])
    (ax,) = time_to_error(log).axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert drawn.keys() == {"small", "medium", "medium, optimizer=amsgrad"}
    assert drawn["medium"] == [[1.0, 1000.0], [2.0, 500.0], [3.0, pytest.approx(1000 / 3, rel=1e-4)]]
    (ax,) = learning_curves(log).axes
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[90.0, 12.0], [450.0, 6.0]]]
    (ax,) = pareto(log).axes
    points = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert points["nbcore medium"] == [[33.0, 6.0]] and points["NequIP"] == [[1610.0, 5.9]]
    assert points["MACE *"][0][1] == 5.1 and "best published: PACE" in points


def test_the_command(tmp_path):
    checks = [["mean temperature", 301.0, "K", 295.0, 305.0], ["rms", 0.5, "meV/atom", 0.0, 0.3]]
    run = {"case": "water", "model": "0123456789", "kelvin": 330.0, "ps": 50.0, "seed": 1, "commit": "abc"}
    run |= {"date": "2026-01-02", "name": "Water", "checks": checks, "broken": "", "good": False}
    log_of(tmp_path / "log", entry(), dynamics=[run])
    names = ["r", *(f"{pair} {who}" for pair in ("O-O", "O-H", "H-H") for who in ("nbcore", "data"))]
    table = [names, *([0.1 + k] + [1.0] * 6 for k in range(6))]
    rdf = "\n".join(",".join(map(str, line)) for line in table)
    (tmp_path / "log" / "history" / "rdf-01234567.csv").write_text(rdf + "\n")
    words = [sys.executable, ACCURACY / "page.py", "--log", tmp_path / "log", "--output", tmp_path / "docs"]

    def run_it(*more):
        return subprocess.run([*map(str, words), *more], capture_output=True, text=True, check=False).returncode

    assert run_it("--check") == 1 and not (tmp_path / "docs").exists()
    assert run_it() == 0 and run_it("--check") == 0
    page = (tmp_path / "docs" / "accuracy.md").read_text()
    for name in ("time_to_error", "pareto", "water_rdf"):
        assert f"](figures/{name}.png)" in page
        assert (tmp_path / "docs" / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "learning_curves" not in page
    assert rows_of(page, "mean temperature")[0][-1] == "ok" and rows_of(page, "rms")[0][-1] == "missed"
    (tmp_path / "docs" / "accuracy.md").write_text(page.replace("301", "300"))
    assert run_it("--check") == 1


def test_the_page_of_this_repository_is_what_its_log_says():
    words = [sys.executable, str(ACCURACY / "page.py"), "--check"]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
