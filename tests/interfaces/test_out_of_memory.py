"""No memory: each allocation of each call of the C ABI refused, one after the other; `out_of_memory.c` says how."""

import os
import platform
import subprocess
from pathlib import Path

import pytest

import nbcore
from nbcore import paths

HERE = Path(__file__).parent
SOURCES = [HERE / "out_of_memory.c", *sorted(p for p in (HERE / "c_driver").glob("*.c") if p.name != "main.c")]


@pytest.mark.skipif(os.environ.get("NBCORE_SANITIZED") is not None, reason="sanitizers have a malloc of their own")
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="stands before the malloc of glibc")
def test_every_allocation_refused(tmp_path):
    plain = nbcore.presets.nbody(["H", "C", "O"], 4.0, channels=4, l_harmonics=2, radial_layers=[4], seed=3)
    tree = nbcore.presets.tree(["H", "O"], 3.0, channels=4, l_harmonics=2, tree_levels=2, part_size=2.0)
    plain.save(tmp_path / "plain.nbcore"), tree.save(tmp_path / "tree.nbcore")
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run(
        [*compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", *paths.cflags(), *SOURCES, *paths.libs(),
         "-pthread", "-lm", "-o", tmp_path / "program"], check=True,
    )  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if not k.endswith("NUM_THREADS")}
    environment["LD_PRELOAD"] = " ".join([os.environ.get("LD_PRELOAD", ""), paths.get_library()])  # the same kernels
    run = subprocess.run([tmp_path / "program", tmp_path / "plain.nbcore", tmp_path / "tree.nbcore"],
                         capture_output=True, text=True, env=environment)  # fmt: skip
    assert run.returncode == 0 and run.stdout.endswith(" checks, 0 wrong\n"), run.stdout[-3000:] + run.stderr[-3000:]
