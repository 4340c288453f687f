"""Runs deepchem's DTNN layers on random weights and writes what they compute: small files for test_deepchem.py.

Made with deepchem 2.8.0 (MIT), torch_geometric (MIT) and torch 2.13.0 on one thread, in double precision:

    python -m venv peer
    peer/bin/pip install torch numpy torch_geometric
    peer/bin/pip install --no-deps deepchem==2.8.0
    peer/bin/python tests/oracles/make_deepchem.py [variant ...]

The tests need none of it. A file holds the widths (JSON), the weights by deepchem's names, and for each structure
positions, atomic numbers, energy and forces. DTNN has no cutoff: molecules alone. The packages of deepchem are not
imported as such, their __init__ would want the whole of it.
"""

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
from structures import structures

HERE = Path(__file__).resolve().parent
VARIANTS = {
    "two": dict(n_embedding=5, n_hidden=7, n_distance=12, distance_min=-1.0, distance_max=9.0, steps=2, gather=[6]),
    "deep": dict(n_embedding=4, n_hidden=3, n_distance=9, distance_min=0.0, distance_max=12.0, steps=3, gather=[5, 4]),
}


def layers():
    """deepchem's module of layers."""
    root = Path(importlib.util.find_spec("deepchem").origin).parent
    for name, path in (("deepchem", ""), ("deepchem.utils", "utils"), ("deepchem.models", "models"),
                       ("deepchem.models.torch_models", "models/torch_models")):  # fmt: skip
        module = types.ModuleType(name)
        module.__path__ = [str(root / path)]
        sys.modules[name] = module
    from deepchem.models.torch_models import layers

    return layers


def main(variants):
    import torch

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    L = layers()
    for name in variants or VARIANTS:
        torch.manual_seed(len(name))
        a = VARIANTS[name]
        modules = {"emb": L.DTNNEmbedding(a["n_embedding"]).double(),
                   "steps": torch.nn.ModuleList([L.DTNNStep(a["n_embedding"], a["n_distance"], a["n_hidden"]).double()
                                                 for _ in range(a["steps"])]),
                   "gather": L.DTNNGather(a["n_embedding"], 1, a["gather"], output_activation=False).double(),
                   "linear": torch.nn.Linear(1, 1).double()}  # fmt: skip
        arrays = {}
        with torch.no_grad():
            for key, module in modules.items():
                for which, parameter in module.named_parameters():
                    parameter.copy_(0.5 * torch.randn_like(parameter))
                    kept = parameter.detach().numpy()
                    arrays[f"weights/{key}.{which}"] = kept[:9] if key == "emb" else kept
        step = (a["distance_max"] - a["distance_min"]) / a["n_distance"]
        centres = torch.tensor([a["distance_min"] + k * step for k in range(a["n_distance"])])
        for key, s in structures().items():
            if s["cell"].any():
                continue
            n = len(s["numbers"])
            positions = torch.tensor(s["positions"], requires_grad=True)
            i, j = (torch.tensor(k) for k in np.nonzero(~np.eye(n, dtype=bool)))
            g = torch.exp(-(((positions[i] - positions[j]).norm(dim=1)[:, None] - centres) ** 2) / (2 * step**2))
            g = torch.cat([g, torch.zeros(n, len(centres))])  # pairs of an atom with itself, which the layer takes out
            own = torch.arange(n)
            i, j = torch.cat([i, own]), torch.cat([j, own])
            x = modules["emb"](torch.tensor(np.array(s["numbers"])))
            for module in modules["steps"]:
                x = module([x, g, i, j])
            energy = modules["linear"](modules["gather"]([x, torch.zeros(n, dtype=torch.long)])).sum()
            (slope,) = torch.autograd.grad(energy, positions)
            arrays |= {f"{key}/{k}": v for k, v in {**s, "energy": energy.item(), "forces": -slope.numpy()}.items()}
        np.savez_compressed(HERE / f"deepchem_{name}.npz", arguments=np.array(json.dumps(a)), **arrays)
        print(name, {key: float(value) for key, value in arrays.items() if key.endswith("/energy")})


if __name__ == "__main__":
    main(sys.argv[1:])
