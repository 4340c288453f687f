"""Runs NequIP on random weights and writes what it computes: small files that test_nequip.py compares with.

Made with nequip 0.19.1 (MIT licence), e3nn 0.5.9 (MIT) and torch 2.13.0 on one thread, in double precision:

    python -m venv peer
    peer/bin/pip install torch numpy nequip==0.19.1
    peer/bin/pip install --no-deps e3nn==0.5.9
    peer/bin/python tests/oracles/make_nequip.py [variant ...]

The tests need none of it. A file holds the arguments of NequIPGNNModel (JSON), the weights by NequIP's names, and for
each structure positions, atomic numbers, cell and what NequIP computes: energy, forces and, of crystals, stress.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from structures import CUTOFF, pairs, structures

os.environ.setdefault("NEQUIP_DISABLE_COMPILE", "1")
HERE = Path(__file__).resolve().parent
COMMON = dict(
    seed=11, model_dtype="float64", r_max=CUTOFF, type_names=["O", "H", "C"], avg_num_neighbors=9.3,
    per_type_energy_scales=dict(H=0.9, C=1.1, O=1.3), per_type_energy_shifts=dict(H=-13.5, C=-1027.0, O=-2041.0),
)  # fmt: skip
VARIANTS = {
    # four layers: pseudoscalars appear in the third one
    "parity": dict(num_layers=4, l_max=1, parity=True, num_features=4, radial_mlp_depth=2, radial_mlp_width=6,
                   num_bessels=6, bessel_trainable=True),
    "widths": dict(num_layers=3, l_max=2, parity=False, num_features=[6, 4, 3], type_embed_num_features=5,
                   radial_mlp_depth=1, radial_mlp_width=7, num_bessels=5, polynomial_cutoff_p=4,
                   readout_mlp_hidden_layers_depth=2, readout_mlp_hidden_layers_width=5),
    "l3": dict(num_layers=2, l_max=3, parity=True, num_features=3, radial_mlp_depth=3, radial_mlp_width=5,
               num_bessels=8),
}  # fmt: skip


def results(model, torch, names, structure):
    from nequip.data import AtomicDataDict as A

    symbols = dict(H=1, C=6, O=8)
    types = [[symbols[name] for name in names].index(z) for z in structure["numbers"]]
    i, j, shift = pairs(structure, CUTOFF)
    data = {A.POSITIONS_KEY: torch.tensor(structure["positions"]), A.ATOM_TYPE_KEY: torch.tensor(types),
            A.EDGE_INDEX_KEY: torch.tensor(np.stack([i, j])), A.NUM_NODES_KEY: torch.tensor([len(types)]),
            A.BATCH_KEY: torch.zeros(len(types), dtype=torch.long)}  # fmt: skip
    if structure["cell"].any():
        data |= {A.CELL_KEY: torch.tensor(structure["cell"])[None], A.EDGE_CELL_SHIFT_KEY: torch.tensor(shift)}
    found = model(data)
    keys = dict(energy=A.TOTAL_ENERGY_KEY, forces=A.FORCE_KEY)
    keys |= dict(stress=A.STRESS_KEY) if structure["cell"].any() else {}
    return {name: found[key].detach().numpy().reshape({"energy": (), "forces": (-1, 3), "stress": (3, 3)}[name])
            for name, key in keys.items()}  # fmt: skip


def main(variants):
    import e3nn
    import nequip
    import torch
    from nequip.model import NequIPGNNModel
    from nequip.utils.global_state import set_global_state

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    set_global_state(allow_tf32=False)
    for name in variants or VARIANTS:
        arguments = {**COMMON, **VARIANTS[name]}
        model = NequIPGNNModel(**arguments).eval()
        while not hasattr(model, "forward"):
            model = model[0]
        if arguments.get("bessel_trainable"):  # as after some training
            with torch.no_grad():
                for key, parameter in model.named_parameters():
                    if key.endswith("bessel_weights"):
                        parameter += 0.1 * torch.cos(7 * parameter)
        arguments["version"] = f"{nequip.__version__} e3nn {e3nn.__version__} torch {torch.__version__}"
        arrays = {"arguments": np.array(json.dumps(arguments))}
        for key, tensor in model.state_dict().items():
            if tensor.numel() and not key.endswith("output_mask"):
                arrays[f"weights/{key}"] = tensor.numpy()
        for label, structure in structures().items():
            found = results(model, torch, arguments["type_names"], structure)
            arrays |= {f"{label}/{key}": value for key, value in {**structure, **found}.items()}
            print(name, label, float(found["energy"]))
        np.savez_compressed(HERE / f"nequip_{name}.npz", **arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
