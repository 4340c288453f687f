"""`nbcore relax`: atoms and cell against ASE's optimizer by hand, and what a user can do wrong."""

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule

from nbcore.cli import main
from nbcore.presets import nbody


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A weak random model, and a crystal near one of its minima."""
    monkeypatch.chdir(tmp_path)
    potential = nbody(species=["C", "H"], cutoff=3.5, channels=4, l_harmonics=2, n_radial=4, levels=1, smoothness=1)
    crystal = bulk("C", "diamond", a=3.6, cubic=True)
    crystal.rattle(0.02, seed=1)
    forces = potential.compute(crystal.positions, crystal.numbers, crystal.cell.array, True).forces
    potential.scale = 0.5 / np.sqrt(np.mean(forces**2))
    potential.save("m.nbcore")
    ase.io.write("start.xyz", crystal)
    ase.io.write("methane.xyz", molecule("CH4"))


def test_atoms_and_cell(capsys):
    assert main(["relax", "m.nbcore", "start.xyz", "--fmax", "1e-4", "--threads", "1"]) == 0
    said = capsys.readouterr().out
    start, end = ase.io.read("start.xyz"), ase.io.read("start_relaxed.xyz")
    assert np.abs(end.get_forces()).max() <= 1e-4 and "largest force" in said
    assert np.array_equal(start.cell.array, end.cell.array)
    before = float(said.split("energy")[1].split()[0])
    assert end.get_potential_energy() < before
    cell = ["--cell", "--steps", "2", "--fmax", "1e-9", "--output", "cell.xyz"]  # a random model has no best cell
    assert main(["relax", "m.nbcore", "start.xyz", *cell]) == 5
    assert not np.allclose(ase.io.read("cell.xyz").cell.array, start.cell.array, atol=1e-6)


@pytest.mark.parametrize(
    "arguments, code, text",
    [
        (["absent.nbcore", "start.xyz"], 6, "absent.nbcore"),
        (["m.nbcore", "absent.xyz"], 6, "absent.xyz"),
        (["m.nbcore", "methane.xyz", "--cell"], 2, "not periodic in three directions"),
        (["m.nbcore", "start.xyz", "--fmax", "0"], 2, "--fmax must be positive"),
        (["m.nbcore", "start.xyz", "--fmax", "1e-9", "--steps", "1"], 5, "not converged after 1 steps"),
    ],
)
def test_what_a_user_can_do_wrong(arguments, code, text, capsys):
    assert main(["relax", *arguments]) == code
    said = capsys.readouterr().err
    assert text in " ".join(said.split()) and "Traceback" not in said
