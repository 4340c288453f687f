"""Tensor field networks of e3nn's operators with their own weights. make_tfn.py says how they were made."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from structures import CUTOFF

from nbcore.importing.e3nn_weights import THEIRS, irreps, linear, sign
from nbcore.importing.nequip import products
from nbcore.importing.nequip_network import Layer, Network, potential
from nbcore.importing.nequip_network import Path as Product

HERE = Path(__file__).resolve().parent
SCALE = 0.4  #: of sums over neighbours, as in make_tfn.py


def read(variant):
    with np.load(HERE / f"tfn_{variant}.npz") as data:
        arrays = dict(data)
    return json.loads(str(arrays.pop("arguments"))), arrays


def network(arguments, arrays):
    """What nbcore's importers make of programs' networks, here of the names of make_tfn.py."""
    weights = {k.removeprefix("weights/"): v for k, v in arrays.items() if k.startswith("weights/")}
    states = [irreps(text) for text in arguments["states"]]
    edges = [(l, (-1) ** l) for l in range(arguments["l_max"] + 1)]
    layers = []
    for k, (before, after) in enumerate(zip(states[:-1], states[1:], strict=True)):
        found, messages = products(before, edges, after)
        couplings = {tuple(map(int, at.groups())): array for key, array in weights.items()
                     if (at := re.match(rf"tp\.{k}\..*_w3j_(\d+)_(\d+)_(\d+)$", key))}  # fmt: skip
        radial = [weights[f"fc.{k}.layer{n}.weight"] for n in range(len(arguments["hidden"]) + 1)]
        radial = [(THEIRS["silu"] if n else np.sqrt(2 / CUTOFF)) * m / np.sqrt(len(m)) for n, m in enumerate(radial)]
        last = k + 2 == len(states)
        norm = {"function": "softplus", "form": "unit", "scalars": "norm",
                "epsilon": 1e-12}  # fmt: skip
        at = np.cumsum([0] + [part[0] for part in after])
        layers.append(Layer(
            linear={key: SCALE * m for key, m in linear("L1", weights[f"L1.{k}.weight"], before, before).items()},
            radial=radial,
            paths=[Product(before[i][1:], l2, to, column, row, sign(before[i][1], l2, to[0], couplings))
                   for i, l2, to, column, row in found],
            mix=linear("L2", weights[f"L2.{k}.weight"], messages, after),
            own=None, state={part[1:]: part[0] for part in sorted(after, key=lambda part: part[1:])}, gated=[],
            factors={}, norm=None if last else norm, linear_end=last,
            biases={part[1:]: weights[f"act.{k}.biases"][a : a + part[0]] for part, a in zip(after, at, strict=False)},
        ))  # fmt: skip
    radial = {"basis": "bessel", "n": len(layers[0].radial[0]), "cutoff": CUTOFF, "envelope": "cosine"}
    return Network("tfn", ["H", "C", "O"], CUTOFF, "o3", arguments["l_max"], radial, weights["embedding"], layers,
                   [np.eye(1)], np.ones(3), np.zeros(3))  # fmt: skip


@pytest.mark.parametrize("variant", ["tensors", "vectors"])
def test_energies_and_forces(variant):
    arguments, arrays = read(variant)
    made = potential(network(arguments, arrays))
    for structure in ("acac", "cluster", "triclinic"):
        s = {key: arrays[f"{structure}/{key}"] for key in ("positions", "numbers", "cell", "energy", "forces")}
        found = made.compute(s["positions"], s["numbers"], cell=s["cell"], pbc=bool(s["cell"].any()))
        assert abs(found.energy - s["energy"]) < 1e-10 * abs(s["energy"])
        assert np.abs(found.forces - s["forces"]).max() < 1e-8 * np.abs(s["forces"]).max()
