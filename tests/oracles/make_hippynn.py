"""Runs hippynn on random weights and writes what it computes: small files that test_hippynn.py compares with.

Made with hippynn 0.1.3 (BSD-3) and torch 2.13.0 on one thread, in double precision:

    python -m venv peer
    peer/bin/pip install torch numpy hippynn==0.1.3
    peer/bin/python tests/oracles/make_hippynn.py [variant ...]

The tests need none of it. A file holds the arguments of the network (JSON), its weights and those of its energy node by
hippynn's names, and for each structure positions, atomic numbers, cell, energy and forces.
"""

import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
from structures import pairs, structures

os.environ["HIPPYNN_USE_CUSTOM_KERNELS"] = "False"
os.environ["HIPPYNN_WARN_LOW_DISTANCES"] = "False"
HERE = Path(__file__).resolve().parent
COMMON = dict(dist_soft_min=0.85, dist_soft_max=3.9, dist_hard_max=4.5, possible_species=[0, 1, 6, 8])
VARIANTS = {
    "inner": dict(n_features=5, n_sensitivities=6, n_atom_layers=1, n_interaction_layers=2, resnet=4),
    "widths": dict(n_features=[6, 4, 4], n_sensitivities=4, n_atom_layers=2, resnet=True),
    "plain": dict(
        n_features=4,
        n_sensitivities=5,
        n_atom_layers=2,
        n_interaction_layers=2,
        resnet=False,
        sensitivity_type="linear",
    ),
    "vectors": dict(n_features=[5, 4], n_sensitivities=5, n_atom_layers=1, resnet=True, cusp_reg=1e-4),
    "quadrupoles": dict(n_features=4, n_sensitivities=6, n_atom_layers=2, n_interaction_layers=2, resnet=6),
    "tensors_plain": dict(
        n_features=5, n_sensitivities=4, n_atom_layers=0, n_interaction_layers=3, resnet=False, cusp_reg=1e-30
    ),
    "hop": dict(n_features=4, n_sensitivities=5, n_atom_layers=1, n_interaction_layers=2, resnet=6),
    "hop_widths": dict(n_features=[5, 3], n_sensitivities=4, n_atom_layers=0, resnet=True, l_max=3, n_max=3),
    "hop_plain": dict(
        n_features=4,
        n_sensitivities=4,
        n_atom_layers=1,
        n_interaction_layers=2,
        resnet=False,
        l_max=2,
        group_norm=False,
    ),
}
#: the classes of those that are not "Hipnn"
NETWORKS = {"vectors": "HipnnVec", "quadrupoles": "HipnnQuad", "tensors_plain": "HipnnQuad",
            "hop": "HipHopNNModule", "hop_widths": "HipHopNNModule", "hop_plain": "HipHopNNModule"}  # fmt: skip


def main(variants):
    warnings.simplefilter("ignore")
    import torch

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    import hippynn
    from hippynn.layers.targets import HEnergy
    from hippynn.networks import hiphop, hipnn

    for name in variants or VARIANTS:
        torch.manual_seed(len(name))
        arguments = COMMON | VARIANTS[name]
        network = NETWORKS.get(name, "Hipnn")
        net = getattr(hiphop if network.startswith("HipHop") else hipnn, network)(**arguments).double()
        head = HEnergy(net.feature_sizes).double()
        with torch.no_grad():
            for key, parameter in [*net.named_parameters(), *head.named_parameters()]:
                if "maps" in key:
                    continue
                small = 0.02 if key.endswith(("mu", "sigma")) else 0.2
                parameter.mul_(1 + small * torch.randn_like(parameter))
                if key.endswith("bias"):
                    parameter.add_(0.1 * torch.randn_like(parameter))
        arrays = {f"net.{k}": v.detach().numpy() for k, v in net.named_parameters()}
        arrays |= {f"head.{k}": v.detach().numpy() for k, v in head.named_parameters()}
        arrays = {f"weights/{k}": v for k, v in arrays.items()}
        species = arguments["possible_species"][1:]
        for key, s in structures().items():
            i, j, shift = pairs(s, arguments["dist_hard_max"])
            positions = torch.tensor(s["positions"], requires_grad=True)
            r = positions[j] + torch.tensor(shift @ s["cell"]) - positions[i]
            one_hot = torch.tensor(np.array(s["numbers"])[:, None] == species).double()
            directions = [r] if name in NETWORKS else []
            features = net(one_hot, torch.tensor(i), torch.tensor(j), r.norm(dim=1), *directions)
            energy = head(features, torch.zeros(len(one_hot), dtype=torch.long), 1)[0].sum()
            (slope,) = torch.autograd.grad(energy, positions)
            arrays |= {f"{key}/{n}": x for n, x in {**s, "energy": energy.item(), "forces": -slope.numpy()}.items()}
        about = arguments | {"version": f"hippynn {hippynn.__version__}"}
        np.savez_compressed(HERE / f"hippynn_{name}.npz", arguments=np.array(json.dumps(about)), **arrays)
        print(name, {key: float(arrays[f"{key}/energy"]) for key in structures()})


if __name__ == "__main__":
    main(sys.argv[1:])
