"""benchmarks/accuracy: rows, runs that go on, the log."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import nbcore
from nbcore.config import load
from nbcore.data import read

ROOT = Path(__file__).resolve().parents[2]
ACCURACY = ROOT / "benchmarks" / "accuracy"
pytestmark = pytest.mark.skipif(not ACCURACY.exists(), reason="the source distribution has no benchmarks")

TINY = ["--size", "small", "--set", "training.max_epochs=3", "--set", "model.channels=2", "--set", "model.levels=1"]
TINY += ["--set", "model.l_harmonics=1", "--structures", "20", "--least", "0"]


def command(folder, *more):
    places = ["--runs", folder / "runs", "--log", folder / "log"]
    return [sys.executable, str(ACCURACY), "molecule", *TINY, *map(str, places), *more]


def run(folder, *more, code=0):
    done = subprocess.run(command(folder, *more), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that was validated first and tested after it, by the same command without --no-test."""
    folder = tmp_path_factory.mktemp("accuracy")
    first = run(folder, "--no-test")
    assert "300 K" not in first and not lines(folder / "log" / "results.jsonl")
    assert not (folder / "log" / "test_evaluations.md").exists()
    return folder, run(folder)


def test_errors_in_the_log_are_those_of_the_model(finished):
    """By NumPy, from the potential and the labels."""
    folder, out = finished
    (entry,) = lines(folder / "log" / "results.jsonl")
    model = folder / "runs" / entry["run"] / "run" / "molecule.nbcore"
    potential = nbcore.Potential.load(model)
    for test, file in (("300 K", "test_300K.xyz"), ("scan", "scan.xyz")):
        structures = read(ROOT / "examples" / "molecule" / file)
        results = potential.compute_many(structures)
        forces = np.concatenate([r.forces - s.forces for r, s in zip(results, structures, strict=True)])
        energies = np.array([r.energy - s.energy for r, s in zip(results, structures, strict=True)])
        assert entry["tests"][test]["forces_rmse"] == pytest.approx(np.sqrt(np.mean(forces**2)), rel=1e-4)
        assert entry["tests"][test]["energy_mae"] == pytest.approx(np.abs(energies).mean(), rel=1e-4)
    assert entry["parameters"] == len(potential.parameters) and entry["epochs"] == 3 and entry["structures"] == 20
    assert entry["tests"].keys() == {"300 K", "800 K", "scan"} and entry["train"]["n_structures"] == 18
    assert 0 < entry["us_per_atom"] < 1e5 and 0 < entry["cpu_seconds"] < 600
    assert "aim 12: MISSED" in out


def test_each_test_is_evaluated_once(finished):
    folder, _ = finished
    assert "in the log since" in run(folder)
    assert len(lines(folder / "log" / "results.jsonl")) == 1
    assert len(lines(folder / "log" / "validations.jsonl")) == 1
    page = (folder / "log" / "test_evaluations.md").read_text().splitlines()
    assert [line.split("|")[4].strip() for line in page[4:]] == ["molecule 300 K", "molecule 800 K", "molecule scan"]


def test_history_has_seconds(finished):
    folder, _ = finished
    from log import Log

    (entry,) = lines(folder / "log" / "results.jsonl")
    history = Log(folder / "log").history(entry["run"])
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert all(a["cpu"] <= b["cpu"] <= entry["cpu_seconds"] for a, b in zip(history, history[1:], strict=False))
    own = np.genfromtxt(folder / "runs" / entry["run"] / "run" / "history.csv", delimiter=",", names=True)
    np.testing.assert_allclose([row["forces_valid"] for row in history], own["forces_valid"], rtol=1e-4)


def test_nbcore_train_takes_the_configuration(finished):
    folder, _ = finished
    (entry,) = lines(folder / "log" / "results.jsonl")
    config = load(folder / "runs" / entry["run"] / "train.toml")
    assert config.model.channels == 2 and config.training.optimizer == "muon" and config.data.test == []


def test_a_run_that_was_stopped_goes_on(tmp_path):
    """SIGTERM: the training saves itself, the seconds go on, and every epoch has some."""
    more = ["--no-test", "--set", "training.max_epochs=2000"]
    child = subprocess.Popen(command(tmp_path, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    path = None
    while path is None or path.read_text().count("\n") < 6:
        assert child.poll() is None
        time.sleep(0.05)
        path = next((tmp_path / "runs").glob("*/times.csv"), None)
    child.send_signal(signal.SIGTERM)
    assert child.wait() == 128 + signal.SIGTERM
    from training import read_times

    before = read_times(path)
    assert not lines(tmp_path / "log" / "validations.jsonl")
    child = subprocess.Popen(command(tmp_path, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(read_times(path)) < len(before) + 3:
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    child.wait()
    after = read_times(path)
    assert [epoch for epoch, _ in after] == list(range(1, len(after) + 1))
    cpu = [seconds for _, (_, seconds) in after]
    assert cpu == sorted(cpu) and after[: len(before) - 2] == before[:-2]


def test_refusals(tmp_path):
    assert (
        "--data DATA"
        in subprocess.run([sys.executable, str(ACCURACY), "acac"], capture_output=True, text=True, check=False).stderr
    )
    missing = [sys.executable, str(ACCURACY), "acac", "--data", str(tmp_path)]
    assert "no such file" in subprocess.run(missing, capture_output=True, text=True, check=False).stderr
    assert "--size and --seed" in run(tmp_path, "--set", "model.size=large", code=2)
    assert "--distil" in run(tmp_path, "--set", "uncertainty.committee=2", code=2)
    assert "no such key" in run(tmp_path, "--set", "training.epochs=1", code=2)
    assert not (tmp_path / "runs").exists() and not (tmp_path / "log").exists()


def test_rows_are_listed():
    out = subprocess.run([sys.executable, str(ACCURACY)], capture_output=True, text=True, check=True).stdout
    assert {"acac", "3bpa", "mlearn_Ni", "water_dp"} <= {line.split()[0] for line in out.splitlines()}


def test_rows_name_what_they_have():
    """Every bar and every published column is one of a test and a figure of its row; proxies say so."""
    from rows import ROWS

    for row in ROWS.values():
        names = {(test, figure.name) for test in row.tests for figure in row.figures}
        for bars in row.bars.values():
            assert bars and bars.keys() <= names, row.name
        if row.published:
            assert set(row.published.columns) <= names and row.published.source
            assert all(len(values) == len(row.published.columns) for values in row.published.values.values())
    assert all("proxy" in test for test in ROWS["3bpa"].tests)


def test_published_values_by_hand():
    from rows import ROWS

    assert ROWS["acac"].published.best("600 K", "forces") == (13.6, "MACE-OFF23, tuned (ELoRA)")
    assert ROWS["rmd17_aspirin"].published.of("test", "forces")["NequIP"] == 8.2
    assert ROWS["rmd17_toluene"].published.of("test", "energy")["PaiNN"] == 4.2
    assert ROWS["mlearn_Ge"].published.of("test", "energy")["MTP"] == 1.79
    assert "PaiNN" not in ROWS["rmd17_benzene"].published.of("test", "forces")
    assert ROWS["acac"].bar("large", "600 K", "energy") == 4.6 and ROWS["acac"].bar("small", "600 K", "energy") is None


def test_first_structures_and_some_of_them():
    from rows import ROWS
    from training import chosen, frames

    row = ROWS["molecule"]
    whole = frames((ROOT / row.train[0]).read_text())
    assert chosen(row, ROOT) is None and len(whole) == len(read(ROOT / row.train[0]))
    some = frames(chosen(row, ROOT, 3))
    assert some == [whole[0], whole[round((len(whole) - 1) / 2)], whole[-1]]
    first = type(row)(**{**vars(row), "first": 5})
    assert frames(chosen(first, ROOT)) == whole[:5]


def append(arguments):
    folder, k = arguments
    sys.path.insert(0, str(ACCURACY))
    from log import Log

    for n in range(20):
        Log(folder).append({"k": k, "n": n, "tests": {"a": 1}}, [f"| {k} | {n} |"])


def test_the_log_takes_several_at_a_time(tmp_path):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.map(append, [(tmp_path, k) for k in range(3)])
    from log import Log

    assert sorted((e["k"], e["n"]) for e in Log(tmp_path).entries()) == [(k, n) for k in range(3) for n in range(20)]
    assert len((tmp_path / "test_evaluations.md").read_text().splitlines()) == 4 + 60


def test_rows_of_the_page_come_into_its_first_table(tmp_path):
    from log import add_rows

    page = tmp_path / "page.md"
    page.write_text("# Title\n\n| a |\n|---|\n| 1 |\n\nOthers:\n\n| b |\n|---|\n| 2 |\n")
    add_rows(page, ["| new |"])
    assert page.read_text() == "# Title\n\n| a |\n|---|\n| 1 |\n| new |\n\nOthers:\n\n| b |\n|---|\n| 2 |\n"


def test_cost_is_cpu_time_per_atom(tmp_path):
    from cost import us_per_atom

    path = tmp_path / "m.nbcore"
    nbcore.presets.nbody(["H", "C", "O"], cutoff=4.0, channels=2, levels=1, l_harmonics=1, l_states=0).save(path)
    begin = os.times()
    value = us_per_atom(path, [ROOT / "examples/molecule/test_300K.xyz"], structures=4, repetitions=2, least=0.05)
    end = os.times()
    assert 0 < value < 1e6 * (end.user + end.system - begin.user - begin.system)
