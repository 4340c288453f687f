"""Leaf states beside the elements: charges, dipoles, external fields as inputs of a network."""

import numpy as np
import pytest
from differences import check_loss_gradient, derivative
from random_structures import SYMBOLS, molecule

import nbcore
from nbcore import so3
from nbcore.data import Structure
from nbcore.train import Loss, TrainingSet

RADIAL = {"basis": "bessel", "n": 4, "cutoff": 3.2}


def program(parity="o3"):
    """Charges of two kinds and a field act on the atoms and on the states of neighbours."""
    return {
        "parity": parity,
        "gates": [
            dict(gate="leaf", name="charge_of", channels=2),
            dict(gate="leaf", name="field", l=1),
            dict(gate="mix", name="own", inputs=["charge_of", "field"], channels=4),
            dict(gate="density", name="sum", l_max=2, radial=RADIAL),
            dict(gate="mix", name="A", inputs=["sum"], channels=4),
            dict(gate="zeroth_order", name="of_charges", inputs=["own"], l_max=2, l_out=2, radial=RADIAL),
            dict(gate="mix", name="C", inputs=["of_charges", "own", "A"], channels=4),
            dict(gate="self_product", name="B", inputs=["C"], l_max=0, correlation=3),
            dict(gate="mix", name="e", inputs=["B"], channels=1),
        ],
        "readout": ["e"],
    }


def network(parity="o3"):
    return nbcore.Potential({"species": sorted(SYMBOLS, key=nbcore.species.NUMBERS.get), "program": program(parity)}, 4)


def case(n=7, seed=0):
    rng = np.random.default_rng(seed)
    x, species = molecule(rng, n)
    return x, species, {"charge_of": rng.standard_normal((n, 2)), "field": rng.standard_normal((n, 3))}


@pytest.mark.parametrize("n", [7, 90])
def test_rotations_and_permutations(n):
    """The energy is that of the turned structure with the turned field; charges go with their atoms."""
    potential, (x, species, leaves) = network(), case(n)
    r = potential.compute(x, species, leaves=leaves)
    for R in [*so3.random_rotations(2, np.random.default_rng(1)), -np.eye(3)]:
        turned = {"charge_of": leaves["charge_of"], "field": leaves["field"] @ R.T}
        got = potential.compute(x @ R.T, species, leaves=turned)
        assert abs(got.energy - r.energy) < 1e-12 * abs(r.energy)
        assert np.abs(got.forces - r.forces @ R.T).max() < 1e-11 * np.abs(r.forces).max()
    order = np.random.default_rng(2).permutation(n)
    got = potential.compute(x[order], [species[k] for k in order], leaves={k: a[order] for k, a in leaves.items()})
    assert abs(got.energy - r.energy) < 1e-12 * abs(r.energy)
    other = potential.compute(x, species, leaves=leaves | {"charge_of": leaves["charge_of"][::-1]})
    assert abs(other.energy - r.energy) > 1e-6 * abs(r.energy)


def test_derivatives():
    """Forces at fixed leaf states, and the loss gradient, against differences."""
    potential, (x, species, leaves) = network("so3"), case()
    r = potential.compute(x, species, leaves=leaves)
    rng = np.random.default_rng(3)
    v = rng.standard_normal(x.shape)
    value, error = derivative(lambda t: potential.compute(x + t * v, species, leaves=leaves).energy)
    assert abs(value + np.sum(r.forces * v)) < 1e-9 * max(1, abs(value)) + 5 * error
    s = Structure(x, np.array([nbcore.species.NUMBERS[k] for k in species]), None, np.zeros(3, bool), 0.3, v)
    s.leaves = leaves
    training_set, loss = TrainingSet(potential, [s]), Loss(energy_weight=2.0, forces_weight=3.0)
    gradient = training_set.loss_and_gradient(loss=loss).gradient
    check_loss_gradient(training_set, loss, gradient)


def test_blocks():
    potential, (x, species, leaves) = network(), case(90)
    s = Structure(x, np.array([nbcore.species.NUMBERS[k] for k in species]), leaves=leaves)
    blocks = potential.compute(x, species, leaves=leaves)
    for block in (90, 20):
        closed = TrainingSet(potential, [s], block).predict()
        assert abs(closed.energies[0] - blocks.energy) < 1e-11 * abs(blocks.energy)
        assert np.abs(closed.forces[0] - blocks.forces).max() < 1e-11 * np.abs(blocks.forces).max()
    assert np.array_equal(blocks.forces, potential.compute(x, species, leaves=leaves, threads=2).forces)
    [again] = potential.compute_many([s])
    assert again.energy == blocks.energy


def test_file(tmp_path):
    potential, (x, species, leaves) = network(), case()
    potential.save(tmp_path / "leaves.nbcore")
    again = nbcore.Potential.load(tmp_path / "leaves.nbcore")
    assert again.compute(x, species, leaves=leaves).energy == potential.compute(x, species, leaves=leaves).energy


def test_ase_and_the_command_line(tmp_path):
    """The arrays of an extended XYZ file under the names of the leaf states."""
    import json
    import subprocess
    import sys

    import ase.io
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    from nbcore.ase import NBCoreCalculator

    potential, (x, species, leaves) = network(), case()
    path = tmp_path / "leaves.nbcore"
    potential.save(path)
    atoms = Atoms(species, x)
    for name, array in leaves.items():
        atoms.new_array(name, array)
    r = potential.compute(x, species, leaves=leaves)
    ase.io.write(tmp_path / "a.xyz", [atoms.copy()], format="extxyz")
    labelled = atoms.copy()
    labelled.calc = SinglePointCalculator(labelled, energy=r.energy, forces=r.forces)
    ase.io.write(tmp_path / "b.xyz", [labelled], format="extxyz")
    atoms.calc = NBCoreCalculator(path)
    assert atoms.get_potential_energy() == r.energy
    command = [sys.executable, "-m", "nbcore", "evaluate", str(path), str(tmp_path / "b.xyz"), "--json"]
    facts = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert facts["forces_rmse"] < 1e-6 and facts["energy_rmse"] < 1e-6
    command = [sys.executable, "-m", "nbcore", "md", str(path), str(tmp_path / "a.xyz"), "--time", "1fs", "--nve",
               "--temperature", "1", "--output", str(tmp_path / "md")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_refusals():
    potential, (x, species, leaves) = network(), case()
    with pytest.raises(
        ValueError, match='reads the leaf state "charge_of" of the atoms, 2 numbers each .* has 0 for 7'
    ):
        potential.compute(x, species)
    with pytest.raises(ValueError, match=r'"field": expected 3 x 1 numbers for each of 7 atoms, got .* \(7, 2\)'):
        potential.compute(x, species, leaves=leaves | {"field": leaves["charge_of"]})
    leaves["charge_of"][3, 1] = np.nan
    with pytest.raises(ValueError, match='leaf state "charge_of": a number is not finite'):
        potential.compute(x, species, leaves=leaves)
    for change, text in (({"parity": 0}, "parity must be -1 or 1"), ({"l": 99}, "l must be a whole number")):
        p = program()
        p["gates"][0] |= change
        with pytest.raises(ValueError, match=text):
            nbcore.Potential({"species": ["H"], "program": p})
    p = program()
    p["readout"] = ["charge_of"]
    with pytest.raises(ValueError, match='readout: "charge_of" is not the name of a gate'):
        nbcore.Potential({"species": ["H"], "program": p})


@pytest.mark.parametrize("n", [7, 90])
def test_leaf_states_do_not_move(n):
    """The Hessian along a direction of the atoms, at constant charges and fields."""
    potential, (x, species, leaves) = network(), case(n)
    v = np.random.default_rng(3).standard_normal(x.shape)
    expected, error = derivative(lambda t: potential.compute(x + t * v, species, leaves=leaves).forces, h=1e-3)
    product = potential.hvp(x, species, v, leaves=leaves).product
    assert np.all(np.abs(product + expected) < 1e-8 * np.abs(expected).max() + 5 * error)
