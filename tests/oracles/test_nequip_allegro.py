"""Allegro's own weights in nbcore's gates: its energies, forces and stresses; make_allegro.py makes them."""

import json
from pathlib import Path

import numpy as np
import pytest
from differences import derivative

from nbcore.errors import InputError
from nbcore.importing.allegro import from_allegro

HERE = Path(__file__).resolve().parent
VARIANTS = sorted(p.stem.removeprefix("allegro_") for p in HERE.glob("allegro_*.npz"))
SYMBOLS = {1: "H", 6: "C", 8: "O"}


def read(variant):
    with np.load(HERE / f"allegro_{variant}.npz") as data:
        arrays = dict(data)
    arguments = json.loads(str(arrays.pop("arguments")))
    return arguments, {k.removeprefix("weights/"): v for k, v in arrays.items() if k.startswith("weights/")}, arrays


@pytest.fixture(params=VARIANTS)
def model(request):
    arguments, weights, arrays = read(request.param)
    return from_allegro(arguments, weights), arrays


def test_there_are_files():
    assert VARIANTS == ["l3", "parity", "splines"]


@pytest.mark.parametrize("structure", ["acac", "cluster", "triclinic"])
def test_energies_and_forces(model, structure):
    potential, arrays = model
    s = {key: arrays[f"{structure}/{key}"] for key in ("positions", "numbers", "cell", "energy", "forces")}
    periodic = bool(s["cell"].any())
    found = potential.compute(s["positions"], s["numbers"], cell=s["cell"], pbc=periodic)
    E0 = sum(potential.E0s[SYMBOLS[int(z)]] for z in s["numbers"])
    assert abs(found.energy - s["energy"]) < 1e-10 * abs(s["energy"] - E0)
    assert np.abs(found.forces - s["forces"]).max() < 1e-8 * np.abs(s["forces"]).max()
    if periodic:
        stress = arrays[f"{structure}/stress"]
        assert np.abs(found.stress - stress).max() < 1e-8 * np.abs(stress).max()


def test_forces_are_derivatives(model):
    potential, arrays = model
    potential.E0s = dict.fromkeys(potential.species, 0.0)  # thousands of eV, and their rounding
    r, numbers = arrays["acac/positions"], arrays["acac/numbers"]
    v = np.random.default_rng(1).standard_normal(r.shape)
    value, error = derivative(lambda t: np.array(potential.compute(r + t * v, numbers).energy))
    along = -np.sum(potential.compute(r, numbers).forces * v)
    assert abs(along - value) < 1e-9 * abs(value) + 5 * error


@pytest.mark.parametrize(
    "change, text",
    [
        ({"per_edge_type_cutoff": {"H": 2.0}}, "Allegro: per_edge_type_cutoff: nbcore does not know what this changes"),
        ({"avg_num_neighbors": {"H": 2.0, "C": 3.0, "O": 4.0}}, "Allegro: avg_num_neighbors per element"),
        ({"allegro_mlp_nonlinearity": "mish"}, "allegro_mlp_nonlinearity"),
        ({"radial_chemical_embed": {"_target_": "allegro.nn.Other"}}, "radial_chemical_embed"),
        ({"num_layers": 2}, "there are no weights"),
        ({"pair_potential": "ZBL"}, "pair_potential"),
    ],
)
def test_what_is_not_known_is_refused(change, text):
    arguments, weights, _ = read("l3")
    with pytest.raises(InputError, match=text):
        from_allegro({**arguments, **change}, weights)


def test_weights_without_a_meaning_are_refused():
    arguments, weights, _ = read("l3")
    with pytest.raises(InputError, match="weights allegro.more: nbcore does not know what they do"):
        from_allegro(arguments, {**weights, "allegro.more": np.ones(3)})
