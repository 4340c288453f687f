"""Runs torchani on random weights and writes what it computes: small files that test_ani.py compares with.

Made with torchani 2.2.4 (MIT licence) and torch 2.13.0 on one thread, in double precision:

    python -m venv peer
    peer/bin/pip install torch numpy torchani==2.2.4
    peer/bin/python tests/oracles/make_ani.py [variant ...]

The tests need none of it. A file holds elements and numbers of the functions (JSON), the layers of each element, and
for each structure positions (Angstrom), atomic numbers, cell, energy and forces in the unit of the networks.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from structures import structures

HERE = Path(__file__).resolve().parent
#: elements out of the order of their numbers; another grid, a zeta that is no whole number; one layer more
VARIANTS = {
    "order": dict(species=["O", "C", "H"], cutoff=5.2, angular_cutoff=3.5, eta=16.0, shifts=6, angular_eta=8.0,
                  zeta=32.0, angles=4, angular_shifts=2, start=0.9, hidden=dict(H=[6, 5], C=[4, 7], O=[5, 3])),
    "grid": dict(species=["H", "C", "N", "O"], cutoff=4.6, angular_cutoff=3.1, eta=19.7, shifts=9, angular_eta=12.5,
                 zeta=14.1, angles=3, angular_shifts=3, start=0.8,
                 hidden=dict(H=[5, 4, 3], C=[6, 3, 2], N=[2, 2, 2], O=[4, 4, 4])),
}  # fmt: skip


def main(variants):
    warnings.simplefilter("ignore")
    import torch
    import torchani

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    for name in variants or VARIANTS:
        v = VARIANTS[name]
        rng = np.random.default_rng(len(name))
        grid = lambda n, end, start=v["start"]: (start + np.arange(n) * (end - start) / n).tolist()  # noqa: E731
        functions = dict(
            cutoff=v["cutoff"], angular_cutoff=v["angular_cutoff"], eta=v["eta"], shifts=grid(v["shifts"], v["cutoff"]),
            angular_eta=v["angular_eta"], zeta=v["zeta"],
            angles=((np.arange(v["angles"]) + 0.5) * np.pi / v["angles"]).tolist(),
            angular_shifts=grid(v["angular_shifts"], v["angular_cutoff"]),
        )  # fmt: skip
        tensors = {key: torch.tensor(x if isinstance(x, list) else [x]) for key, x in functions.items()}
        aev = torchani.AEVComputer(v["cutoff"], v["angular_cutoff"], tensors["eta"], tensors["shifts"],
                                   tensors["angular_eta"], tensors["zeta"], tensors["angular_shifts"],
                                   tensors["angles"], len(v["species"])).double()  # fmt: skip
        arrays, networks = {}, []
        for symbol in v["species"]:
            widths, layers = [aev.aev_length, *v["hidden"][symbol], 1], []
            for k in range(len(widths) - 1):
                layer = torch.nn.Linear(widths[k], widths[k + 1]).double()
                weights = rng.standard_normal(layer.weight.shape) * 1.5 / np.sqrt(widths[k])
                biases = 0.3 * rng.standard_normal(layer.bias.shape)
                arrays |= {f"weights/{symbol}.{k}": weights, f"biases/{symbol}.{k}": biases}
                with torch.no_grad():
                    layer.weight.copy_(torch.tensor(weights)), layer.bias.copy_(torch.tensor(biases))
                layers += [layer, torch.nn.CELU(0.1)]
            networks.append(torch.nn.Sequential(*layers[:-1]))
        model = torchani.ANIModel(networks).double()
        about = dict(species=v["species"], functions=functions, version=f"torchani {torchani.__version__}")
        numbers = dict(H=1, C=6, N=7, O=8)
        for key, s in structures().items():
            positions = torch.tensor(s["positions"][None], requires_grad=True)
            types = torch.tensor([[[numbers[e] for e in v["species"]].index(z) for z in s["numbers"]]])
            more = dict(cell=torch.tensor(s["cell"]), pbc=torch.tensor([True] * 3)) if s["cell"].any() else {}
            energy = model(aev((types, positions), **more)).energies.sum()
            (slope,) = torch.autograd.grad(energy, positions)
            found = dict(energy=energy.item(), forces=-slope[0].numpy())
            arrays |= {f"{key}/{n}": x for n, x in {**s, **found}.items()}
        np.savez_compressed(HERE / f"ani_{name}.npz", about=np.array(json.dumps(about)), **arrays)
        print(name, {key: float(arrays[f"{key}/energy"]) for key in structures()})


if __name__ == "__main__":
    main(sys.argv[1:])
