"""SchNet's own weights in nbcore's gates: schnetpack's energies and forces; make_schnetpack.py makes them."""

import json
from pathlib import Path

import numpy as np
import pytest
from differences import derivative

from nbcore.errors import InputError
from nbcore.importing.schnetpack import from_schnetpack

HERE = Path(__file__).resolve().parent


def read(variant):
    with np.load(HERE / f"schnetpack_{variant}.npz") as data:
        arrays = dict(data)
    cutoff = json.loads(str(arrays.pop("arguments")))["cutoff"]
    return cutoff, {k.removeprefix("weights/"): v for k, v in arrays.items() if k.startswith("weights/")}, arrays


@pytest.mark.parametrize("variant", ["own", "shared"])
@pytest.mark.parametrize("structure", ["acac", "cluster", "triclinic"])
def test_energies_and_forces(variant, structure):
    cutoff, weights, arrays = read(variant)
    potential = from_schnetpack(["O", "H", "C"], cutoff, weights)
    s = {key: arrays[f"{structure}/{key}"] for key in ("positions", "numbers", "cell", "energy", "forces")}
    found = potential.compute(s["positions"], s["numbers"], cell=s["cell"], pbc=bool(s["cell"].any()))
    assert abs(found.energy - s["energy"]) < 1e-10 * abs(s["energy"])
    assert np.abs(found.forces - s["forces"]).max() < 1e-8 * np.abs(s["forces"]).max()


def test_forces_are_derivatives():
    cutoff, weights, arrays = read("own")
    potential = from_schnetpack(["H", "C", "O"], cutoff, weights, unit=27.2)
    r, numbers = arrays["acac/positions"], arrays["acac/numbers"]
    v = np.random.default_rng(1).standard_normal(r.shape)
    value, error = derivative(lambda t: np.array(potential.compute(r + t * v, numbers).energy), h=1e-2)
    along = -np.sum(potential.compute(r, numbers).forces * v)
    assert error < 1e-7 * abs(value) and abs(along - value) < 1e-9 * abs(value) + 5 * error


def test_what_is_not_known_is_refused():
    cutoff, weights, _ = read("own")
    for change, said in (
        ({"rep.more": np.ones(2)}, "rep.more: nbcore does not know what they do"),
        ({"rep.cutoff_fn.cutoff": np.array([6.0])}, "the cutoff of the file is not 4.5"),
        ({"rep.embedding.weight": np.ones((5, 7))}, "ends at the element 4"),
    ):
        with pytest.raises(InputError, match=said):
            from_schnetpack(["H", "C", "O"], cutoff, weights | change)
    with pytest.raises(InputError, match="there are no weights rep.interactions.1.in2f.weight"):
        from_schnetpack(["H"], cutoff, {k: v for k, v in weights.items() if k != "rep.interactions.1.in2f.weight"})
