"""Fixed atoms of structure files: in relax and md they stay, count for no degree of freedom, and are written again."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import units
from ase.build import bulk, fcc111
from ase.constraints import FixAtoms, FixBondLength, FixCartesian, FixedPlane

import nbcore
from nbcore import md
from nbcore.cli import main
from nbcore.data.constraints import constraints_of, fixed_components, fixed_text
from nbcore.data.start import read_structure
from nbcore.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fixed")
    nbcore.presets.nbody(species=["Cu"], cutoff=3.4, channels=4, seed=2).save(folder / "cu.nbcore")
    return folder


@pytest.fixture(autouse=True)
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)


def slab():
    atoms = fcc111("Cu", (2, 2, 2), a=3.6, vacuum=6, periodic=True)
    atoms.rattle(0.05, seed=1)
    atoms.info.clear()
    atoms.arrays.pop("tags")
    return atoms


def write(name, constraints):
    atoms = slab()
    atoms.set_constraint(constraints)
    ase.io.write(name, atoms)
    return atoms


PARTLY = [
    FixAtoms([0, 1]),
    FixCartesian([2, 3], mask=[True, False, True]),
    FixCartesian([5], mask=[False, True, False]),
]
FILES = [("POSCAR", [FixAtoms([0, 1, 3])]), ("a.traj", PARTLY), ("a.xyz", PARTLY), ("a.db", PARTLY), ("a.json", PARTLY)]


@pytest.mark.parametrize("name, constraints", FILES)
def test_fixed_atoms_stay_and_are_written(folder, name, constraints, capsys):
    (folder / name).unlink(missing_ok=True)
    fixed = fixed_components(write(name, constraints))
    atoms, _, _ = read_structure(name)
    assert np.array_equal(fixed_components(atoms), fixed) and fixed.any()
    assert main(["relax", "cu.nbcore", name, "--steps", "3", "--output", "r.xyz", "--force"]) in (0, 5)
    assert f"fixed          {fixed_text(atoms)}" in capsys.readouterr().out
    assert main(["md", "cu.nbcore", name, "--time", "5fs", "--every", "5", "--restart", "--output", "m"]) == 0
    assert "Fixed" in capsys.readouterr().out
    for result in ("r.xyz", "m/trajectory.xyz"):
        after = ase.io.read(result, index=-1)
        moved = np.abs(after.positions - atoms.positions)
        assert moved[fixed].max() < 1e-8 < moved[~fixed].min()
        assert np.array_equal(fixed_components(after), fixed)
        assert np.array_equal(fixed_components(read_structure(result)[0]), fixed)
        assert np.abs(after.get_forces(apply_constraint=False)[fixed]).min() > 0  # labels are whole


@pytest.mark.parametrize("ensemble", ["nve", "langevin"])
def test_degrees_of_freedom(ensemble):
    """By hand: 24 components; 8 fixed; NVE keeps the centre at rest where no component of that direction is fixed."""
    atoms = slab()
    free = md.degrees_of_freedom(atoms, ensemble)
    assert free == (21 if ensemble == "nve" else 24)
    atoms.set_constraint(FixCartesian([0, 3, 4], mask=[True, False, True]))
    assert md.degrees_of_freedom(atoms, ensemble) == 24 - 6 - (ensemble == "nve")
    rng = np.random.default_rng(1)
    md.draw_momenta(atoms, 300.0, ensemble, rng)
    p, fixed = atoms.get_momenta(), fixed_components(atoms)
    assert not p[fixed].any() and abs(p[:, 1].sum()) < 1e-12 < abs(p[:, 0].sum())
    kinetic = 0.5 * np.sum(p**2 / atoms.get_masses()[:, None])
    assert abs(kinetic - 0.5 * units.kB * 300 * md.degrees_of_freedom(atoms, ensemble)) < 1e-12


def test_overlapping_constraints_count_once():
    atoms = slab()
    atoms.set_constraint([FixAtoms([0, 1]), FixAtoms([1, 2]), FixCartesian([2, 4], mask=[False, False, True])])
    again = slab()
    again.set_constraint(constraints_of(fixed_components(atoms)))
    assert again.get_number_of_degrees_of_freedom() == 24 - 10
    assert fixed_text(atoms) == "3 of 8 atoms are fixed, 1 more in some directions"
    assert fixed_text(slab()) == ""


@pytest.mark.parametrize("constraint", [FixBondLength(0, 1), FixedPlane([0], [1, 1, 0])])
@pytest.mark.parametrize("verb", ["md", "relax"])
def test_other_constraints_are_refused_by_name(constraint, verb, capsys):
    write("b.traj", [constraint])
    assert main([verb, "cu.nbcore", "b.traj"]) == 3
    message = " ".join(capsys.readouterr().err.split())
    assert "b.traj, frame 0" in message and type(constraint).__name__ in message


def test_selective_dynamics_along_a_slanted_vector():
    """Components of selective dynamics are those of the cell vectors: held where these are axes, refused elsewhere."""
    text = "x\n1\n{}\nCu\n2\nSelective\nDirect\n0 0 0 F T F\n0.5 0.5 0.5 F F F\n"
    with open("POSCAR", "w") as f:
        f.write(text.format("4 0 0\n0 4 0\n0 0 4"))
    assert fixed_components(read_structure("POSCAR")[0]).tolist() == [[True, False, True], [True] * 3]
    with open("POSCAR", "w") as f:
        f.write(text.format("4 0 0\n1 4 0\n0 0 4"))
    with pytest.raises(InputError, match="POSCAR, frame 0: the structure fixes atoms along vectors of a cell"):
        read_structure("POSCAR")


def test_a_cell_is_not_relaxed_with_fixed_atoms(capsys):
    atoms = bulk("Cu", cubic=True)
    atoms.set_constraint(FixAtoms([0]))
    ase.io.write("c.traj", atoms)
    assert main(["relax", "cu.nbcore", "c.traj", "--cell"]) == 2
    assert "1 of 4 atoms are fixed" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("verb", ["md", "relax"])
def test_md_and_relax_read_what_train_reads(verb, capsys):
    """Small letters, and malformed files, by the one reader."""
    ase.io.write("d.xyz", slab())
    text = Path("d.xyz").read_text()
    with open("d.xyz", "w") as f:
        f.write(text.replace("Lattice", "lattice").replace(' pbc="T T T"', ""))
    assert read_structure("d.xyz")[0].pbc.all()
    with open("d.xyz", "w") as f:
        f.write(text.replace("pos:R:3", "x:R:3"))
    assert main([verb, "cu.nbcore", "d.xyz"]) == 3
    assert "has no positions" in " ".join(capsys.readouterr().err.split())
