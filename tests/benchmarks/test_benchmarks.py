"""Every program in benchmarks/ runs, once and quickly: what it measures means nothing here."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nbcore

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
pytestmark = pytest.mark.skipif(not BENCHMARKS.exists(), reason="the source distribution has no benchmarks")

QUICK = ["--repetitions", "1", "--least", "0.001"]


def benchmark(name, *arguments, codes=(0,)):
    """What a program prints; its exit code must be one of `codes`."""
    run = subprocess.run(
        [sys.executable, BENCHMARKS / f"{name}.py", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert run.returncode in codes, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Small random potentials whose forces are weak: silicon, and the elements of the example molecule."""
    folder = tmp_path_factory.mktemp("models")
    paths = []
    for name, species in (("si", ["Si"]), ("molecule", ["H", "C", "O"])):
        potential = nbcore.presets.nbody(species, cutoff=4.0, channels=4, l_harmonics=2, l_states=0)
        potential.scale *= 1e-2
        paths.append(folder / f"{name}.nbcore")
        potential.save(paths[-1])
    return paths


def test_speed(models):
    data = ROOT / "examples" / "molecule" / "test_300K.xyz"
    out = benchmark("speed", "--data", data, "--batch", 2, "--model", models[1], *QUICK)
    assert "training step" in out and "| nbcore |" in out and "FMA peak" in out


def test_speed_of_silicon():
    out = benchmark("speed", "--structure", "si512", "--channels", 4, "--l", 0, *QUICK)
    assert "| nbcore |" in out and "4 channels, states to l = 0" in out


def test_radial_networks():
    data = ROOT / "examples" / "molecule" / "test_300K.xyz"
    out = benchmark("radial_networks", "--data", data, "--channels", 2, *QUICK)
    assert out.count("| spline |") == out.count("| network |") == 3 and "linear" in out


def test_imported():
    """Without the peers: one process of nbcore asks another, "imported_peer.py", which computes the same."""
    out = benchmark("imported", "--quick", "--cells", 1, "--rounds", 1)
    rows = [line.split("|") for line in out.splitlines() if line.startswith("| nbcore")]
    assert [row[1].strip() for row in rows] == ["nbcore, float64", "nbcore, float32", "nbcore itself"]
    assert float(rows[2][5]) < 1e-12 < float(rows[1][6]) and float(rows[2][6]) < 1e-10


def test_precision():
    out = benchmark("precision", "--size", "small", "--steps", 3)
    assert "molecules: " in out and "crystals: " in out and out.count(" in float32: ") == 2


def test_peers(models):
    out = benchmark("peers", "--model", models[0], "--cells", 2, *QUICK)
    assert "Si64" in out and "| nbcore, 2 levels, 4 channels |" in out


def test_tree_scaling():
    assert "ratio" in benchmark("tree_scaling", 100, 200, codes=(0, 1))


def test_md_drift(models):
    start = ROOT / "examples" / "molecule" / "test_300K.xyz"
    out = benchmark("md_drift", models[1], f"{start}@0", "--time", 0.02, "--short", 0.01, "--seeds", 1, codes=(0, 1))
    assert "M1" in out and "M2" in out


def test_relax_si(models):
    assert "largest stress" in benchmark("relax_si", models[0], "--steps", 2, codes=(0, 1))


def test_kill9():
    """One kill, in a run of a second; that the bits are the same is part of it."""
    settings = ["training.max_epochs=4", "model.channels=4", "data.test=[]"]
    options = [word for setting in settings for word in ("--set", setting)]
    out = benchmark("kill9", ROOT / "examples/molecule/train.toml", "--kills", 1, "--writing", 0, *options,
                    "--checkpoint-seconds", 0.1)  # fmt: skip
    assert "same bits" in out


@pytest.mark.skipif(
    shutil.which("valgrind") is None or "x86-64-v3" not in nbcore.build_info()["kernel_sets"],
    reason="needs valgrind and the kernel set x86-64-v3",
)
def test_instructions():
    out = benchmark("instructions", "--channels", 4, "--only", "evaluation")
    assert "instructions in two calls" in out


def test_all_are_here():
    """A new benchmark needs a test, here or in tests/bench."""
    tests = [path.read_text() for folder in ("bench", "benchmarks") for path in (ROOT / "tests" / folder).glob("*.py")]
    commands = [path for path in BENCHMARKS.glob("accuracy/*.py") if "def main(" in path.read_text()]
    for path in [*BENCHMARKS.glob("*.py"), *(p if p.stem != "__main__" else p.parent for p in commands)]:
        assert any(f'"{path.stem}"' in text or f'"{path.name}"' in text for text in tests), path


def test_skin():
    out = benchmark("skin", "--seconds", 0, "--steps", 4, "--cases", "small-acac")
    assert "skin   0" in out and "1.00 searches a step" in out and "0.50 searches a step" in out


def test_hessian(models):
    structure = f"{ROOT / 'examples' / 'molecule' / 'test_300K.xyz'}@0"
    out = benchmark("hessian", models[1], structure, "--least", 0, codes=(0, 1))  # 1: slow where others work, too
    exact, symmetric = (float(line.split(" of the largest")[0].split()[-1]) for line in out.splitlines()[1:3])
    assert exact < 1e-6 and symmetric < 1e-12 and "evaluations per atom" in out


def test_parts():
    out = benchmark("parts", "--cells", 5, "--bounds", "0,5", "--channels", 4, "--l", 0)
    assert "1000 atoms,  no bound" in out and "5 MB:" in out


def test_memory_of_parameters():
    assert "bytes per parameter" in benchmark("memory_of_parameters", "--channels", 64)


@pytest.mark.slow
def test_bits(tmp_path):
    """Two processes compute the same bits; a digest that differs is seen."""
    record = tmp_path / "bits.json"
    benchmark("bits", "--record", record)
    assert "0 with other bits" in benchmark("bits", "--check", record)
    said = json.loads(record.read_text())
    first = next(iter(said["digests"]))
    record.write_text(json.dumps(said | {"digests": said["digests"] | {first: "another"}}))
    assert "1 with other bits" in benchmark("bits", "--check", record, codes=(1,))


def test_shards():
    """A run is killed and taken up again: its bits are part of it."""
    options = ["--structures", 1500, "--channels", 4, "--levels", 1, "--minutes", 1e-3]
    out = benchmark("shards", "--kill", *options, codes=(0, 1))
    assert "largest resident memory" in out and "killed and taken up again: the same bits" in out


def test_the_model_of_many_ranks_measures_and_draws(tmp_path, monkeypatch, capsys):
    scaling = runpy.run_path(str(BENCHMARKS / "ranks_scaling.py"))
    monkeypatch.setitem(scaling["line"].__globals__, "COUNTS", [1, 2, 64])
    words = ["--per-rank", "8", "--batch", "16", "--channels", "4", "--cutoff", "3", "--sample", "3", "--draws", "1"]
    code = scaling["main"](scaling["parsed"]([scaling["DATA"][0], *words, "--plot", str(tmp_path / "ranks.png")]))
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines() if line.strip().endswith("%") and line.split()[0].isdigit()]
    assert [row[:2] for row in rows] == [["1", "8"], ["2", "16"], ["64", "512"], ["1", "16"], ["2", "16"], ["64", "16"]]
    assert rows[0][-1] == rows[3][-1] == "100.0%"
    efficiency = float(rows[2][-1].rstrip("%")) / 100
    assert code == (efficiency < 0.9) and float(rows[5][-1].rstrip("%")) < 26  # 16 structures are no work for 64
    assert (tmp_path / "ranks.png").stat().st_size > 1000


def test_ranks_are_started_as_the_command_says():
    functions = runpy.run_path(str(BENCHMARKS / "ranks.py"))
    assert functions["parsed"](["bits", "train.toml"]).ranks == [1, 2, 3, 4]


#: what stands in for `nbcore scan`: settings one after another, in the folder where it is started
SCAN = """
import sys, time
from pathlib import Path
from nbcore import scan
from nbcore.cli.scan import write_table
found, killed = scan.load("scan.toml"), Path("begun").exists()
Path("begun").touch()
for k, setting in enumerate(found.settings):
    if not setting.done or sys.argv[1] == "again":
        setting.folder.mkdir(parents=True, exist_ok=True)
        (setting.folder / "last.ckpt").write_text("")
        for epochs in (1, 30):
            (setting.folder / "history.csv").write_text("epoch\\n" + "1\\n" * epochs)
            if k == 3 and not killed:
                time.sleep(600)
        scan.finished(found, setting)
write_table(found, quiet=True)
"""


@pytest.mark.parametrize("way", ["once", "again"])
def test_a_scan_that_trains_something_twice_is_found_out(way, monkeypatch, capsys):
    functions = runpy.run_path(str(BENCHMARKS / "scans.py"))

    def begin(folder, args):
        return subprocess.Popen([sys.executable, "-c", SCAN, way], cwd=folder)

    monkeypatch.setitem(functions["main"].__globals__, "begin", begin)
    assert functions["main"](functions["parsed"]([])) == (way == "again")
    out = capsys.readouterr().out
    assert "killed when 3 of 8 were finished" in out and f"untouched: {way == 'once'}; 30 epochs each: True" in out
