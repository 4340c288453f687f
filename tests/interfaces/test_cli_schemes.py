"""Models over parts from the command line: train, evaluate, md, inspect, with labels from the file."""

import json
import subprocess
import sys

import numpy as np
import pytest

COLUMNS = "species:S:1:pos:R:3:forces:R:3:molecule:{}:1"


def write(path, n, kind="I", seed=0):
    """Pairs of charged rods some 15 Angstrom apart, with Coulomb energies."""
    rng = np.random.default_rng(seed)
    with open(path, "w") as file:
        for _ in range(n):
            x = np.vstack([[0, 0, 0], [0, 0, 1], [15, 0, 0], [15, 0, 1.0]]) + 0.1 * rng.standard_normal((4, 3))
            q = np.array([1, -0.4, -1, 0.4])
            d = x[:2, None] - x[None, 2:]
            r = np.linalg.norm(d, axis=2)
            e = 14.4 * q[:2, None] * q[None, 2:] / r
            f = (e / r**2)[:, :, None] * d
            forces = np.vstack([f.sum(axis=1), -f.sum(axis=0)])
            properties = COLUMNS.format(kind)
            file.write(f'4\nProperties={properties} energy={e.sum():.8f} pbc="F F F"\n')
            for k, s in enumerate("OHOH"):
                label = k // 2 if kind == "I" else "ab"[k // 2]
                file.write(f"{s} " + " ".join(f"{v:.8f}" for v in [*x[k], *forces[k]]) + f" {label}\n")


def nbcore(*arguments, expect=0):
    done = subprocess.run([sys.executable, "-m", "nbcore", *arguments], capture_output=True, text=True)
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


CONFIG = """
name = "rods"
[data]
train = "train.xyz"
valid = 0.2
[model]
preset = "tree"
cutoff = 3.0
channels = 8
levels = 1
labels = "molecule"
tree_levels = 2
tree_channels = 4
[training]
max_epochs = 3
"""


@pytest.mark.parametrize("kind", ["I", "S"])
def test_train_evaluate_run(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("train.xyz", 20, kind), write("test.xyz", 5, kind, seed=1)
    (tmp_path / "train.toml").write_text(CONFIG)
    nbcore("train", "train.toml", "--threads", "1")
    assert json.loads(nbcore("evaluate", "rods/rods.nbcore", "test.xyz", "--json"))["n_structures"] == 5
    assert "the parts see the whole structure" in " ".join(nbcore("inspect", "rods/rods.nbcore").split())
    nbcore("md", "rods/rods.nbcore", "test.xyz", "--temperature", "10", "--time", "5fs", "--nve")
    write("train.xyz", 3, kind)
    text = (tmp_path / "test.xyz").read_text().replace("molecule", "residue")
    (tmp_path / "other.xyz").write_text(text)
    run = ["--temperature", "10", "--time", "5fs", "--nve"]
    for command in (["evaluate", "rods/rods.nbcore", "other.xyz"], ["md", "rods/rods.nbcore", "other.xyz", *run]):
        said = " ".join(nbcore(*command, expect=3).split())
        assert "other.xyz" in said and "per-atom label 'molecule'" in said and "residue" in said
