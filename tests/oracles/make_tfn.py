"""Runs tensor field networks of e3nn's operators on random weights: small files that test_tfn.py compares with.

Made with e3nn 0.5.9 (MIT) and torch 2.13.0 on one thread, in double precision:

    python -m venv peer
    peer/bin/pip install torch numpy e3nn==0.5.9
    peer/bin/python tests/oracles/make_tfn.py [variant ...]

The tests need none of it. A network is o3.Linear, a tensor product with weights from a FullyConnectedNet, a sum over
neighbours, o3.Linear, and NormActivation in all layers but the last. A file holds its arguments (JSON), the weights by
the names of these modules, and for each structure positions, atomic numbers, cell, energy and forces.
"""

import json
import sys
from pathlib import Path

import numpy as np
from structures import CUTOFF, pairs, structures

HERE = Path(__file__).resolve().parent
VARIANTS = {
    "tensors": dict(states=["4x0e", "4x0e+3x1o+2x2e", "3x0e+2x1o+2x2e", "1x0e"], l_max=2, hidden=[7]),
    "vectors": dict(states=["5x0e", "3x0e+4x1o", "1x0e"], l_max=1, hidden=[6, 5]),
}
N_BASIS, SCALE, ELEMENTS = 6, 0.4, [1, 6, 8]


def build(torch, states, l_max, hidden):
    """The modules, a list of each kind."""
    from e3nn import nn, o3

    sh, modules = (
        o3.Irreps.spherical_harmonics(l_max),
        {name: torch.nn.ModuleList() for name in ("L1", "tp", "fc", "L2", "act")},
    )
    for a, c in zip(states[:-1], states[1:], strict=True):
        a, c = o3.Irreps(a), o3.Irreps(c)
        mid, instructions = [], []
        for i, (mul, of) in enumerate(a):
            for j, (_, edge) in enumerate(sh):
                for to in of * edge:
                    if to in c:
                        instructions.append((i, j, len(mid)))
                        mid.append((mul, to))
        mid, order, _ = o3.Irreps(mid).sort()
        instructions = [(i, j, order[k], "uvu", True) for i, j, k in instructions]
        tp = o3.TensorProduct(a, sh, mid, instructions, shared_weights=False, internal_weights=False)
        modules["L1"].append(o3.Linear(a, a))
        modules["tp"].append(tp)
        modules["fc"].append(nn.FullyConnectedNet([N_BASIS, *hidden, tp.weight_numel], torch.nn.functional.silu))
        modules["L2"].append(o3.Linear(mid.simplify(), c))
        norm = dict(normalize=True, epsilon=1e-8, bias=True)  # without normalize 0.5.9 has no such module
        modules["act"].append(nn.NormActivation(c, torch.nn.functional.softplus, **norm))
    return torch.nn.ModuleDict(modules).double(), sh


def main(variants):
    import e3nn
    import torch
    from e3nn import o3

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    for name in variants or VARIANTS:
        torch.manual_seed(len(name))
        a = VARIANTS[name]
        modules, sh = build(torch, **a)
        embedding = torch.randn(len(ELEMENTS), o3.Irreps(a["states"][0]).dim)
        with torch.no_grad():
            for act in modules["act"]:
                act.biases.copy_(0.3 * torch.randn_like(act.biases))
        arrays = {f"weights/{k}": v.numpy() for k, v in modules.state_dict().items() if v.numel()}
        arrays["weights/embedding"] = embedding.numpy()
        for key, s in structures().items():
            i, j, shift = pairs(s, CUTOFF)
            positions = torch.tensor(s["positions"], requires_grad=True)
            v = positions[j] + torch.tensor(shift @ s["cell"]) - positions[i]
            r = v.norm(dim=1)
            basis = e3nn.math.soft_one_hot_linspace(r, 0.0, CUTOFF, N_BASIS, "bessel", cutoff=False)
            basis = basis * torch.cos(torch.pi / 2 * r / CUTOFF)[:, None] ** 2
            Y = o3.spherical_harmonics(sh, v, True, "component")
            x = embedding[[ELEMENTS.index(z) for z in s["numbers"]]]
            for k in range(len(modules["L1"])):
                messages = modules["tp"][k](modules["L1"][k](x)[j], Y, modules["fc"][k](basis))
                x = torch.zeros(len(x), messages.shape[1]).index_add(0, torch.tensor(i), messages) * SCALE
                x = modules["L2"][k](x)
                x = modules["act"][k](x) if k + 1 < len(modules["L1"]) else x
            (slope,) = torch.autograd.grad(x.sum(), positions)
            arrays |= {f"{key}/{n}": q for n, q in {**s, "energy": x.sum().item(), "forces": -slope.numpy()}.items()}
        about = a | {"version": f"e3nn {e3nn.__version__}"}
        np.savez_compressed(HERE / f"tfn_{name}.npz", arguments=np.array(json.dumps(about)), **arrays)
        print(name, {key: float(arrays[f"{key}/energy"]) for key in structures()})


if __name__ == "__main__":
    main(sys.argv[1:])
