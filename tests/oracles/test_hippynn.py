"""HIP-NN's own weights in nbcore's gates: hippynn's energies and forces. make_hippynn.py says how they were made."""

import json
from pathlib import Path

import numpy as np
import pytest
from differences import derivative

from nbcore.errors import InputError
from nbcore.importing.hippynn import from_hippynn

HERE = Path(__file__).resolve().parent
VARIANTS = sorted(p.stem.removeprefix("hippynn_") for p in HERE.glob("hippynn_*.npz"))


def read(variant):
    with np.load(HERE / f"hippynn_{variant}.npz") as data:
        arrays = dict(data)
    arguments = json.loads(str(arrays.pop("arguments")))
    del arguments["version"]
    return arguments, {k.removeprefix("weights/"): v for k, v in arrays.items() if k.startswith("weights/")}, arrays


def test_there_are_files():
    assert VARIANTS == ["hop", "hop_plain", "hop_widths", "inner", "plain", "quadrupoles", "tensors_plain", "vectors",
                        "widths"]  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("structure", ["acac", "cluster", "triclinic"])
def test_energies_and_forces(variant, structure):
    arguments, weights, arrays = read(variant)
    potential = from_hippynn(arguments, weights)
    s = {key: arrays[f"{structure}/{key}"] for key in ("positions", "numbers", "cell", "energy", "forces")}
    found = potential.compute(s["positions"], s["numbers"], cell=s["cell"], pbc=bool(s["cell"].any()))
    assert abs(found.energy - s["energy"]) < 1e-10 * abs(s["energy"])
    assert np.abs(found.forces - s["forces"]).max() < 1e-8 * np.abs(s["forces"]).max()


def test_forces_are_derivatives():
    arguments, weights, arrays = read("inner")
    potential = from_hippynn(arguments, weights, unit=27.2)
    r, numbers = arrays["acac/positions"], arrays["acac/numbers"]
    v = np.random.default_rng(1).standard_normal(r.shape)
    value, error = derivative(lambda t: np.array(potential.compute(r + t * v, numbers).energy), h=1e-2)
    along = -np.sum(potential.compute(r, numbers).forces * v)
    assert error < 1e-7 * abs(value) and abs(along - value) < 1e-9 * abs(value) + 5 * error
    assert np.isclose(potential.compute(r, numbers).energy, 27.2 * arrays["acac/energy"], rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"activation": "tanh"}, "activation = 'tanh'"),
        ({"sensitivity_type": "spline"}, "sensitivity_type = 'spline'"),
        ({"n_atom_layers": 2}, "there are no weights net.blocks.0.2"),
        ({"n_atom_layers": 0}, "nbcore does not know what they do"),
        ({"possible_species": [0, 1, 6]}, "expected"),
    ],
)
def test_what_is_not_known_is_refused(change, said):
    arguments, weights, _ = read("inner")
    with pytest.raises(InputError, match=said):
        from_hippynn(arguments | change, weights)
