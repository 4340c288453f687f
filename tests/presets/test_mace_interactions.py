"""Kinds of interactions of the preset mace, from scratch; tests/importing compares them with mace-torch."""

import numpy as np
import pytest

import nbcore
from nbcore import train
from nbcore.data import Structure, Structures
from nbcore.errors import InputError

OPTIONS = dict(species=["H", "C"], cutoff=4.0, channels=4, l_harmonics=2, radial_layers=[6, 5], seed=2)


def labelled(n):
    """Distorted molecules of five atoms, labelled by a potential of another kind."""
    rng = np.random.default_rng(1)
    truth = nbcore.presets.nbody(["H", "C"], 4.0, channels=2, levels=1, l_harmonics=1, correlation=2, seed=7)
    tetrahedron = 0.63 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    structures = []
    for _ in range(n):
        x, numbers = (
            np.concatenate([np.zeros((1, 3)), tetrahedron]) + rng.normal(0, 0.1, (5, 3)),
            np.array([6, 1, 1, 1, 1]),
        )
        r = truth.compute(x, numbers, threads=1)
        structures.append(Structure(x, numbers, energy=r.energy, forces=r.forces))
    return Structures(structures)


def forces_error(potential, structures):
    errors = [potential.compute(s.positions, s.numbers, threads=1).forces - s.forces for s in structures]
    return np.sqrt(np.mean(np.square(errors)))


@pytest.mark.parametrize("interaction", ["density", "nonlinear"])
def test_interactions_are_trained(interaction, tmp_path):
    data = labelled(12)
    potential = train.fit(
        nbcore.presets.mace(**OPTIONS, interaction=interaction),
        data,
        valid=data[:3],
        max_epochs=60,
        lr=0.02,
        batch_size=2,
        threads=1,
        quiet=True,
    ).potential
    assert forces_error(potential, data) < 0.6 * np.sqrt(np.mean([s.forces**2 for s in data]))
    potential.save(tmp_path / "a.nbcore")
    again, s = nbcore.load(tmp_path / "a.nbcore"), data[0]
    assert np.array_equal(
        again.compute(s.positions, s.numbers).forces, potential.compute(s.positions, s.numbers).forces
    )
    x, h = np.array(s.positions), 1e-4
    v = np.random.default_rng(3).standard_normal(x.shape)
    forth, back = (potential.compute(x + k * h * v, s.numbers) for k in (1, -1))
    slope = -np.sum(potential.compute(x, s.numbers).forces * v)
    assert (forth.energy - back.energy) / (2 * h) == pytest.approx(slope, rel=1e-5, abs=1e-6 * np.abs(s.forces).max())


def test_sums_stay_of_one_size():
    """With a smooth count of neighbours the sum over many of them is divided by their number."""
    gates = nbcore.presets.mace(**OPTIONS, interaction="density").description["program"]["gates"]
    assert [g["inputs"] for g in gates if g["gate"] == "normalise"] == [["A1", "count1"], ["A2", "count2"]]
    gates = nbcore.presets.mace(**OPTIONS, interaction="nonlinear").description["program"]["gates"]
    assert [g["inputs"] for g in gates if g["gate"] == "normalise"] == [["sum1", "count1"], ["sum2", "count2"]]
    assert all(g["radial"]["envelope_of"] == "network" for g in gates if "radial" in g)


def test_what_does_not_go_together_is_refused():
    for more in ({"first": "species"}, {"radial_layers": []}):
        with pytest.raises(InputError, match='interaction "nonlinear".*expected first = "residual"'):
            nbcore.presets.mace(**OPTIONS | more, interaction="nonlinear")
