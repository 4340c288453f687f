"""DTNN's own weights in nbcore's gates: deepchem's energies and forces. make_deepchem.py says how they were made."""

import json
from pathlib import Path

import numpy as np
import pytest

from nbcore.errors import InputError
from nbcore.importing.deepchem import from_deepchem

HERE = Path(__file__).resolve().parent


def read(variant):
    with np.load(HERE / f"deepchem_{variant}.npz") as data:
        arrays = dict(data)
    arguments = json.loads(str(arrays.pop("arguments")))
    range_ = {key: arguments[key] for key in ("distance_min", "distance_max")}
    return range_, {k.removeprefix("weights/"): v for k, v in arrays.items() if k.startswith("weights/")}, arrays


@pytest.mark.parametrize("variant", ["two", "deep"])
@pytest.mark.parametrize("structure", ["acac", "cluster"])
def test_energies_and_forces(variant, structure):
    range_, weights, arrays = read(variant)
    constant = float(weights["linear.bias"].item())
    weights["linear.bias"] = np.zeros(1)
    potential = from_deepchem(["C", "H", "O"], weights, **range_)
    energy, forces = arrays[f"{structure}/energy"] - constant, arrays[f"{structure}/forces"]
    found = potential.compute(arrays[f"{structure}/positions"], arrays[f"{structure}/numbers"])
    assert abs(found.energy - energy) < 1e-10 * abs(energy)
    assert np.abs(found.forces - forces).max() < 1e-8 * np.abs(forces).max()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "linear.bias is a constant of a molecule"),
        ({"linear.bias": np.zeros(1), "steps.1.W_df": np.zeros((2, 2))}, "expected"),
        ({"linear.bias": np.zeros(1), "steps.5.W_df": np.zeros((2, 2))}, "there are no weights steps.2.W_cf"),
        ({"linear.bias": np.zeros(1), "more": np.zeros(1)}, "weights more: nbcore does not know"),
    ],
)
def test_what_is_not_known_is_refused(change, said):
    range_, weights, _ = read("two")
    with pytest.raises(InputError, match=said):
        from_deepchem(["C", "H", "O"], weights | change, **range_)
