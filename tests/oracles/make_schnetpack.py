"""Runs schnetpack on random weights and writes what it computes: small files that test_schnetpack.py compares with.

Made with schnetpack 2.1.1 (MIT licence) and torch 2.13.0 on one thread, in double precision:

    python -m venv peer
    peer/bin/pip install torch numpy schnetpack==2.1.1
    peer/bin/python tests/oracles/make_schnetpack.py [variant ...]

The tests need none of it. A file holds the arguments (JSON), weights by schnetpack's names, and for each structure
positions (Angstrom), atomic numbers, cell, energy and forces.
"""

import json
import sys
import typing
import warnings
from pathlib import Path

import numpy as np
from structures import pairs, structures

HERE = Path(__file__).resolve().parent
VARIANTS = {
    "own": dict(n_atom_basis=7, n_interactions=2, n_filters=5, n_rbf=9, cutoff=4.5, trainable=True, hidden=4),
    "shared": dict(n_atom_basis=4, n_interactions=3, n_filters=6, n_rbf=12, cutoff=4.0, shared_interactions=True,
                   hidden=3),
}  # fmt: skip


def main(variants):
    warnings.simplefilter("ignore")
    import torch
    import torch.utils.data.dataloader as loader

    loader.T_co = getattr(loader, "T_co", typing.TypeVar("T_co", covariant=True))  # schnetpack looks for it there
    import schnetpack
    import schnetpack.properties as keys
    from schnetpack.nn.activations import shifted_softplus
    from schnetpack.nn.blocks import build_mlp
    from schnetpack.nn.cutoff import CosineCutoff
    from schnetpack.nn.radial import GaussianRBF
    from schnetpack.representation.schnet import SchNet

    torch.set_num_threads(1)
    for name in variants or VARIANTS:
        v = VARIANTS[name]
        torch.manual_seed(len(name))
        torch.set_default_dtype(torch.float32)  # its radial functions are made in single precision
        rep = SchNet(v["n_atom_basis"], v["n_interactions"], GaussianRBF(v["n_rbf"], v["cutoff"], trainable=bool(
            v.get("trainable"))), CosineCutoff(v["cutoff"]), v["n_filters"],
            shared_interactions=v.get("shared_interactions", False)).double()  # fmt: skip
        out = build_mlp(v["n_atom_basis"], 1, n_hidden=v["hidden"], n_layers=2, activation=shifted_softplus).double()
        torch.set_default_dtype(torch.float64)
        with torch.no_grad():
            for key, parameter in [*rep.named_parameters(), *out.named_parameters()]:
                parameter.add_((0.02 if "radial_basis" in key else 0.2) * torch.randn_like(parameter))
        arrays = {f"weights/rep.{k}": x.numpy() for k, x in rep.state_dict().items()}
        arrays["weights/rep.embedding.weight"] = arrays["weights/rep.embedding.weight"][:9]
        arrays |= {f"weights/out.{k}": x.numpy() for k, x in out.state_dict().items()}
        for key, s in structures().items():
            i, j, shift = pairs(s, v["cutoff"])
            positions = torch.tensor(s["positions"], requires_grad=True)
            r = positions[j] + torch.tensor(shift @ s["cell"]) - positions[i]
            inputs = {
                keys.Z: torch.tensor(s["numbers"]),
                keys.Rij: r,
                keys.idx_i: torch.tensor(i),
                keys.idx_j: torch.tensor(j),
            }
            energy = out(rep(inputs)["scalar_representation"]).sum()
            (slope,) = torch.autograd.grad(energy, positions)
            arrays |= {f"{key}/{n}": x for n, x in {**s, "energy": energy.item(), "forces": -slope.numpy()}.items()}
        about = v | {"version": f"schnetpack {getattr(schnetpack, '__version__', '2.1.1')}"}
        np.savez_compressed(HERE / f"schnetpack_{name}.npz", arguments=np.array(json.dumps(about)), **arrays)
        print(name, {key: float(arrays[f"{key}/energy"]) for key in structures()})


if __name__ == "__main__":
    main(sys.argv[1:])
