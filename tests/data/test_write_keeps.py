"""What a structure carries beside its labels stays with it, through `write_extxyz`, the verbs and ase.Atoms."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixBondLength, FixCartesian
from ase.io import read as ase_read
from ase.io import write as ase_write

from nbcore.cli import main
from nbcore.data import Structure, read, write_extxyz


def slab(constraints=()):
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=np.zeros((4, 3)), stress=np.zeros(6))
    atoms.set_constraint(list(constraints))
    return atoms


HELD = {
    "whole atoms": [FixAtoms([0, 2])],
    "components": [FixCartesian([1], mask=[False, True, False])],
    "both": [FixAtoms([3]), FixCartesian([0], mask=[True, False, True])],
}


@pytest.mark.parametrize("suffix", ["xyz", "traj"])
@pytest.mark.parametrize("held", HELD)
def test_constraints_stay_through_conversion(tmp_path, held, suffix):
    from nbcore.data.constraints import fixed_components

    ase_write(tmp_path / f"in.{suffix}", slab(HELD[held]))
    assert main(["data", str(tmp_path / f"in.{suffix}"), "--output", str(tmp_path / "out.xyz"), "--quiet"]) == 0
    wanted = fixed_components(slab(HELD[held]))
    assert np.array_equal(fixed_components(ase_read(tmp_path / "out.xyz")), wanted)
    (again,) = read(tmp_path / "out.xyz")
    assert np.array_equal(fixed_components(again.to_ase()), wanted)


def test_constraints_that_cannot_stay_are_said(tmp_path):
    ase_write(tmp_path / "in.traj", slab([FixBondLength(0, 1)]))
    data = read(tmp_path / "in.traj")
    assert data[0].fixed is None
    assert any("FixBondLength" in remark for remark in data.reading.remarks)


def test_weights_labels_and_leaf_states_stay(tmp_path):
    atoms = slab()
    atoms.new_array("molecule", np.array([0, 0, 1, 1]))
    atoms.new_array("part", np.array(["a", "b", "a", "b"]))
    atoms.new_array("spin", np.array([[0.1, 1e-13], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8]]))
    atoms.info |= {"weight": 0.0, "config_energy_weight": 0.5}
    ase_write(tmp_path / "in.xyz", [atoms, slab()], format="extxyz")
    data = read(tmp_path / "in.xyz")
    write_extxyz(data, tmp_path / "out.xyz")
    again = read(tmp_path / "out.xyz")
    assert [s.weight for s in again] == [s.weight for s in data] == [0.0, 1.0]
    assert [s.label_weights for s in again] == [{"energy": 0.5}, {}]
    assert Structure.from_ase(data[0].to_ase()).weights == {"weight": 0.0, "energy_weight": 0.5}
    assert again[0].labels["molecule"].tolist() == [0, 0, 1, 1]
    assert again[0].labels["part"].tolist() == ["a", "b", "a", "b"]
    assert np.array_equal(again[0].leaves["spin"], data[0].leaves["spin"])
    assert "spin" not in again[1].leaves and "molecule" not in again[1].labels


def test_labels_that_were_not_asked_for_are_not_taken_for_reference(tmp_path):
    atoms = slab()
    atoms.new_array("dft_forces", np.full((4, 3), 0.25))
    ase_write(tmp_path / "in.xyz", atoms, format="extxyz")
    for keys, wanted in (({"forces_key": "dft_forces"}, 0.25), ({"forces_key": "none"}, None)):
        write_extxyz(read(tmp_path / "in.xyz", require=(), **keys), tmp_path / "out.xyz")
        (again,) = read(tmp_path / "out.xyz", require=())
        assert again.forces is None if wanted is None else np.all(again.forces == wanted)
