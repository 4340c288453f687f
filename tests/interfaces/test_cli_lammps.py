"""`nbcore lammps`: the data file holds the structure, the lines name what the model needs."""

import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene, molecule
from ase.constraints import FixAtoms

from nbcore import Potential
from nbcore.cli import main
from nbcore.presets import nbody, tree


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A random model and structures."""
    monkeypatch.chdir(tmp_path)
    potential = nbody(species=["C", "H", "O"], cutoff=3.5, channels=4, l_harmonics=2, n_radial=4)
    potential.save("m.nbcore")
    crystal = bulk("C", "diamond", a=3.6)
    crystal.rattle(0.05, seed=1)
    ase.io.write("crystal.xyz", crystal)
    ase.io.write("methanol.xyz", molecule("CH3OH"))
    ase.io.write("sheet.xyz", graphene(vacuum=None))
    crystal = bulk("C", "diamond", a=3.6, cubic=True)
    crystal.set_cell(crystal.cell.array + [[0, 0, 0], [2e-4, 0, 0], [-1e-4, 1e-5, 0]], scale_atoms=True)
    crystal.rattle(0.05, seed=2)
    ase.io.write("hardly_tilted.xyz", crystal)
    return potential


@pytest.mark.parametrize("name", ["crystal", "methanol", "sheet", "hardly_tilted"])
def test_the_data_file_has_the_energy_of_the_structure(here, name, capsys):
    assert main(["lammps", "m.nbcore", f"{name}.xyz"]) == 0
    said = capsys.readouterr().out
    before = ase.io.read(f"{name}.xyz")
    (elements,) = re.findall(r"^pair_coeff +\* \* m.nbcore (.*)$", said, re.M)
    types = {k: s for k, s in enumerate(elements.split(), 1)}
    after = ase.io.read(
        f"{name}.data", format="lammps-data", Z_of_type={k: Atoms(s).numbers[0] for k, s in types.items()}
    )
    (boundary,) = re.findall(r"^boundary +(.*)$", said, re.M)
    assert boundary.split() == ["p" if p else "s" for p in before.pbc]
    assert np.array_equal(after.numbers, before.numbers)
    if not before.pbc.all():  # the box holds all atoms
        inside = after.get_scaled_positions(wrap=False)[:, ~before.pbc]
        assert (inside > 0).all() and (inside < 1).all()
    expected = here.compute(before.positions, before.numbers, before.cell.array, before.pbc).energy
    found = here.compute(after.positions, after.numbers, after.cell.array, before.pbc).energy
    assert found == pytest.approx(expected, abs=1e-10)
    assert f"read_data       {name}.data" in said and "newton          on" in said


def test_repeated_and_without_a_structure(here, capsys):
    assert main(["lammps", "m.nbcore", "crystal.xyz", "--repeat", "2", "1", "3", "--units", "real"]) == 0
    said = capsys.readouterr().out
    assert (
        "12 atoms" in Path("crystal.data").read_text()
        and "units           real" in said
        and "timestep        1 " in said
    )
    assert main(["lammps", "m.nbcore"]) == 0
    said = capsys.readouterr().out
    assert "pair_coeff      * * m.nbcore H C O" in said and "read_data " not in said.replace("# here read_data", "")
    assert "closeness" not in said  # nothing is known of its training
    here.annotate(shortest_distances={"C-H": 1.0})
    here.save("my model.nbcore")
    assert main(["lammps", "my model.nbcore"]) == 0
    said = capsys.readouterr().out
    assert '* * "my model.nbcore" H C O' in said and "fix             contacts all pair 10 nbcore closeness 1" in said


def test_atoms_held_fixed_are_said(capsys):
    atoms = ase.io.read("crystal.xyz")
    atoms.set_constraint([FixAtoms([0])])
    ase.io.write("fixed.xyz", atoms)
    assert main(["lammps", "m.nbcore", "fixed.xyz"]) == 0
    assert "1 atoms are held fixed, wholly or in part, which a data file" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "arguments, code, text",
    [
        (["absent.nbcore"], 6, "absent.nbcore"),
        (["m.nbcore", "absent.xyz"], 6, "absent.xyz"),
        (["m.nbcore", "silicon.xyz"], 3, "does not know Si; its elements are H C O"),
        (["m.nbcore", "--output", "x.data"], 2, "--output is for the data file of a structure"),
        (["m.nbcore", "methanol.xyz", "--repeat", "2", "1", "1"], 2, "not periodic along all of these vectors"),
        (["m.nbcore", "crystal.xyz", "--repeat", "0", "1", "1"], 2, "at least 1"),
        (["m.nbcore", "left.xyz"], 3, "left-handed"),
        (
            ["m.nbcore", "isotopes.xyz"],
            3,
            "C has masses from 12.011 to 13.003; the atom type of an element has one",
        ),
        (["m.nbcore", "crystal.xyz", "--output", "crystal.xyz"], 6, "crystal.xyz"),
        (["charges.nbcore"], 3, "no energy"),
        (["leaf.nbcore"], 3, "leaf states"),
        (["tree.nbcore"], 3, "composition scheme"),
    ],
)
def test_what_a_user_can_do_wrong(arguments, code, text, capsys):
    ase.io.write("silicon.xyz", bulk("Si"))
    left = ase.io.read("crystal.xyz")
    left.set_cell(left.cell.array[[1, 0, 2]])
    ase.io.write("left.xyz", left)
    isotopes = ase.io.read("crystal.xyz")
    isotopes.set_masses([None, 13.003])
    ase.io.write("isotopes.xyz", isotopes, columns=["symbols", "positions", "masses"])
    nbody(["H", "C", "O"], 3.2, channels=4, outputs=["dipole"], energy=False).save("charges.nbcore")
    tree(["H", "O"], 3.0, channels=4, l_harmonics=2, tree_levels=2, part_size=2.0).save("tree.nbcore")
    gates = [
        {"gate": "leaf", "name": "charge_of"},
        {"gate": "mix", "name": "own", "inputs": ["charge_of"], "channels": 1},
    ]
    Potential({"species": ["H"], "program": {"gates": gates, "readout": ["own"]}}, seed=1).save("leaf.nbcore")
    assert main(["lammps", *arguments]) == code
    assert text in " ".join(capsys.readouterr().err.split())
    assert ase.io.read("crystal.xyz").get_global_number_of_atoms() == 2
