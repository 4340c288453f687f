"""A C program that hands everything careless to every function of the C ABI; `c_driver/main.c` says what."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nbcore

sys.path.append(str(Path(__file__).with_name("languages")))
import language_programs as programs

SOURCES = sorted(Path(__file__).with_name("c_driver").glob("*.c"))
SANITIZED = os.environ.get("NBCORE_SANITIZED")  # flags of a build with sanitizers: the program has them too
FLAGS = (SANITIZED or "-O1").split()
CYCLES = os.environ.get("NBCORE_CYCLES", "100" if SANITIZED else "1000")  # of loading, evaluating, freeing


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("driver")
    plain = nbcore.presets.nbody(species=["H", "C", "O"], cutoff=4.0, channels=4, l_harmonics=2, seed=3)
    tree = nbcore.presets.tree(["H", "O"], 3.0, channels=4, l_harmonics=2, tree_levels=2, part_size=2.0)
    plain.save(folder / "plain.nbcore"), tree.save(folder / "tree.nbcore")
    elements = dict.fromkeys(plain.species, 1.0)
    known = {"energy": 0.5, "forces": elements}
    n = plain._core.n_features
    committee = nbcore.Committee(
        [nbcore.presets.nbody(["H", "C", "O"], 4.0, channels=4, l_harmonics=2, seed=k) for k in (3, 4, 5)]
    )
    plain._core.set_uncertainty(
        json.dumps({"kind": "last_layer", "largest": elements, **known}), np.broadcast_to(np.eye(n), (3, n, n))
    )
    committee._core.set_scales(json.dumps({"kind": "committee", **known}))
    plain.save(folder / "knowing.nbcore"), committee.save(folder / "committee.nbcore")
    return [folder / f"{name}.nbcore" for name in ("plain", "tree", "knowing", "committee")]


def test_c_driver(models, tmp_path):
    """As C without a warning; no check of it fails, and a thousand cycles do not grow."""
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run(
        [*compiler, "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", *FLAGS, *programs.compile_flags(), *SOURCES,
         *programs.link_flags(), "-pthread", "-lm", "-o", tmp_path / "driver"], check=True,
    )  # fmt: skip
    environment = {k: v for k, v in programs.environment().items() if not k.endswith("NUM_THREADS")}
    environment["ASAN_OPTIONS"] = "detect_leaks=1"
    run = subprocess.run([*programs.EMULATOR, tmp_path / "driver", *models, tmp_path, CYCLES],
                         capture_output=True, text=True, env=environment)  # fmt: skip
    assert run.returncode == 0 and run.stdout.endswith(" checks, 0 wrong\n"), run.stdout[-3000:] + run.stderr[-3000:]
