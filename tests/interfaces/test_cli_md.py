"""`nbcore md` as a stranger runs it: interrupted, killed, resumed, with wrong input."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule

import nbcore
from nbcore.cli import main
from nbcore.cli.md import amount, duration
from nbcore.presets import nbody

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(nbcore.__file__).parent.parent), "COLUMNS": "60"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A weak random model, a crystal to run it on, and structures that do not fit."""
    folder = tmp_path_factory.mktemp("md runs")
    potential = nbody(
        species=["C", "H"], cutoff=3.5, channels=8, l_harmonics=2, l_states=1, n_radial=4, smoothness=1,
        E0s={"C": -1026.0, "H": -13.5},
    )  # fmt: skip
    potential.annotate(shortest_distances={"C-C": 1.5})
    potential.save(folder / "wild.nbcore")
    crystal = bulk("C", "diamond", a=3.6, cubic=True)
    crystal.rattle(0.02, seed=1)
    forces = potential.compute(crystal.positions, crystal.numbers, crystal.cell.array, True).forces
    potential.scale = 0.05 / np.sqrt(np.mean(forces**2))  # 0.05 eV/Å
    potential.save(folder / "m.nbcore")
    ase.io.write(folder / "start.xyz", [crystal[1:], crystal])
    ase.io.write(folder / "oxygen.xyz", molecule("H2CO"))
    close = molecule("CH4")
    close.positions[1] = close.positions[0] + 1e-4
    ase.io.write(folder / "close.xyz", close)
    (folder / "empty.xyz").write_text("")
    (folder / "text.xyz").write_text("three\natoms\nhere\n")
    return folder


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "nbcore", "md", "m.nbcore", "start.xyz", *arguments],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(path, size, process):
    """Until a file has grown to some size, while the run is under way."""
    while not path.exists() or path.stat().st_size <= size:
        assert process.poll() is None, f"{path} does not grow"
        time.sleep(0.01)


def outputs(folder):
    return {name: (Path(folder) / name).read_bytes() for name in ("md.log", "trajectory.xyz")}


# ---- runs ----


@pytest.mark.parametrize("ensemble", [["--nve"], ["--langevin", "20"]])
def test_interrupted_and_killed_runs_end_with_the_same_bits(folder, ensemble):
    """SIGINT (130), SIGTERM (143) and kill -9 in the middle, then the same command."""
    arguments = [
        "start.xyz",
        *ensemble,
        "--time",
        "120fs",
        *"--every 20 --log-every 1 --temperature 20 --quiet".split(),
    ]
    whole, parts = f"whole{ensemble[0]}", f"parts{ensemble[0]}"
    assert main(["md", "m.nbcore", *arguments, "--output", whole]) == 0
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        log = Path(parts, "md.log")
        process = start(*arguments[1:], "--output", parts)
        wait_for(log, (log.stat().st_size if log.exists() else 0) + 400, process)
        process.send_signal(number)
        out, err = process.communicate()
        assert process.returncode == code, err
        if number != signal.SIGKILL:
            assert "The same command continues." in err.replace("\n  ", " ") and "Traceback" not in err
    assert outputs(parts) != outputs(whole)
    assert main(["md", "m.nbcore", *arguments, "--output", parts]) == 0
    assert outputs(parts) == outputs(whole)


def test_what_a_stranger_sees(folder):
    process = start("--nve", "--time", "20fs", "--every", "10", "--output", "seen")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert max(map(len, out.splitlines())) <= 60 and "\x1b" not in out
    words = " ".join(out.split())
    for text in (
        "-> seen/", "C8, 8 atoms, periodic T T T", "NVE; 20 fs = 40 steps of 0.5 fs", "drawn at 300 K (seed 1)",
        "total energy drift", "ms a step", "seen/trajectory.xyz 5 frames",
    ):  # fmt: skip
        assert text in words, out
    assert re.search(
        "[45] of 5 frames have a pair closer than any such pair in train .*C-C 1[.][34]", " ".join(err.split())
    )
    frames = ase.io.read("seen/trajectory.xyz", ":")
    assert len(frames) == 5 and frames[0].get_temperature() == pytest.approx(300 * (24 - 3) / 24)
    process = start("--nve", "--time", "20fs", "--every", "10", "--output", "seen", "--seed", "2")
    out, err = process.communicate()
    assert process.returncode == 4 and "seed = 1; now it is 2" in err
    process = start("--nve", "--time", "20fs", "--every", "10", "--output", "seen", "--seed", "2", "--restart")
    out, err = process.communicate()
    assert process.returncode == 0 and Path("seen.1/md.log").exists() and "seen.1/" in err
    assert outputs("seen") != outputs("seen.1")


def test_frame_of_a_file_and_default_folder(folder):
    assert main(["md", "m.nbcore", "start.xyz@0", "--time", "5fs", "--quiet"]) == 0
    assert ase.io.read("start_md/trajectory.xyz").get_chemical_formula() == "C7"


def test_wrong_input(folder, capsys):
    cases = [
        (["absent.nbcore", "start.xyz"], 6, "absent.nbcore"),
        (["start.xyz", "start.xyz"], 4, "start.xyz"),
        (["m.nbcore", "absent.xyz"], 6, "absent.xyz"),
        (["m.nbcore", "oxygen.xyz"], 3, r"oxygen\.xyz.*O .*H C"),
        (["m.nbcore", "close.xyz"], 5, r"close\.xyz.*atoms 0 and 1"),
        (["m.nbcore", "empty.xyz"], 3, "empty.xyz"),
        (["m.nbcore", "text.xyz"], 3, "text.xyz"),
        (["m.nbcore", "start.xyz@7"], 3, "no frame 7"),
        (["m.nbcore", "start.xyz@last"], 3, "integer"),
        (["m.nbcore", "start.xyz", "--time", "0.1fs"], 2, "shorter than one step"),
        (["m.nbcore", "start.xyz", "--time", "ten"], 2, "10ps"),
        (["m.nbcore", "start.xyz", "--timestep", "-1fs"], 2, "timestep"),
        (["m.nbcore", "start.xyz", "--temperature", "-5"], 2, "temperature must be 0 K or more"),
        (["m.nbcore", "start.xyz", "--skin", "-1"], 2, "--skin: must be 0 or more, got -1"),
        (["m.nbcore", "start.xyz", "--nve", "--langevin"], 2, "not allowed with"),
        (["m.nbcore", "start.xyz", "--output", "m.nbcore"], 6, "m.nbcore"),
    ]
    before = sorted(os.listdir())
    for arguments, code, text in cases:
        assert main(["md", *arguments, *([] if "--output" in arguments else ["--output", "nowhere"])]) == code, (
            arguments
        )
        err = capsys.readouterr().err
        assert err.startswith("error: ") and re.search(text, err.replace("\n       ", " "), re.S), err
    assert sorted(os.listdir()) == before  # nothing half-made


def test_an_explosion_is_exit_code_5(folder, capsys):
    """Random forces of hundreds of eV/Å: stopped, nothing that is not finite written."""
    code = main(
        ["md", "wild.nbcore", "start.xyz", *"--nve --timestep 3fs --log-every 1 --every 1 --output exploded".split()]
    )
    err = capsys.readouterr().err
    assert code == 5 and "step" in err and "timestep" in err
    for a in ase.io.read("exploded/trajectory.xyz", ":"):
        assert np.isfinite(a.positions).all() and np.isfinite(a.get_forces()).all()
    shutil.rmtree("exploded")


@pytest.mark.parametrize(
    "text, fs", [("10ps", 1e4), ("0.5fs", 0.5), ("1ns", 1e6), (" 2 ps ", 2e3), ("250", 250.0), ("1e-1ps", 100.0)]
)
def test_durations(text, fs):
    assert duration(text) == pytest.approx(fs)
    assert duration(amount(fs).replace(" ", "")) == pytest.approx(fs)
