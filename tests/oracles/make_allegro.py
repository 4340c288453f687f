"""Runs Allegro on random weights and writes what it computes: small files that test_allegro.py compares with.

Made with nequip-allegro 0.8.3 and nequip 0.19.1 (MIT licence), e3nn 0.5.9 (MIT) and torch 2.13.0 on one thread, in
double precision:

    python -m venv peer
    peer/bin/pip install torch numpy nequip==0.19.1
    peer/bin/pip install --no-deps e3nn==0.5.9 nequip-allegro==0.8.3
    peer/bin/python tests/oracles/make_allegro.py [variant ...]

The tests need none of it. A file holds the arguments of AllegroModel (JSON), the weights by Allegro's names, and for
each structure positions, atomic numbers, cell and what Allegro computes: energy, forces and, of crystals, stress.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from make_nequip import COMMON, results
from structures import structures

os.environ.setdefault("NEQUIP_DISABLE_COMPILE", "1")
HERE = Path(__file__).resolve().parent
BESSEL = dict(
    _target_="allegro.nn.TwoBodyBesselScalarEmbed", num_bessels=5, bessel_trainable=True, polynomial_cutoff_p=5
)
SPLINES = dict(_target_="allegro.nn.TwoBodySplineScalarEmbed", num_splines=6, spline_span=4)
VARIANTS = {
    # three products: pseudo-vectors appear in the second
    "parity": dict(l_max=2, parity=True, num_layers=3, num_scalar_features=6, num_tensor_features=3,
                   allegro_mlp_hidden_layers_width=5, readout_mlp_hidden_layers_width=4,
                   scalar_embed_mlp_hidden_layers_width=7, radial_chemical_embed=BESSEL, radial_chemical_embed_dim=4),
    "splines": dict(l_max=1, parity=False, num_layers=2, num_scalar_features=5, num_tensor_features=4,
                    allegro_mlp_hidden_layers_depth=2, allegro_mlp_hidden_layers_width=4,
                    readout_mlp_hidden_layers_depth=0, scalar_embed_mlp_hidden_layers_depth=0,
                    tp_path_channel_coupling=False, radial_chemical_embed=SPLINES),
    "l3": dict(l_max=3, parity=False, num_layers=1, num_scalar_features=4, num_tensor_features=2,
               allegro_mlp_hidden_layers_depth=0, readout_mlp_hidden_layers_width=3, weight_individual_irreps=True,
               scalar_embed_mlp_hidden_layers_width=4, radial_chemical_embed=BESSEL),
}  # fmt: skip


def main(variants):
    import allegro
    import e3nn
    import nequip
    import torch
    from allegro.model import AllegroModel
    from nequip.utils.global_state import set_global_state

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    set_global_state(allow_tf32=False)
    for name in variants or VARIANTS:
        arguments = {**COMMON, **VARIANTS[name]}
        model = AllegroModel(**arguments).eval()
        while not hasattr(model, "forward"):
            model = model[0]
        with torch.no_grad():  # as after some training
            for key, parameter in model.named_parameters():
                if key.endswith("bessel_weights"):
                    parameter += 0.1 * torch.cos(7 * parameter)
        version = f"{allegro.__version__} nequip {nequip.__version__} e3nn {e3nn.__version__} torch {torch.__version__}"
        arrays = {"arguments": np.array(json.dumps({**arguments, "version": version}))}
        for key, tensor in model.state_dict().items():
            arrays[f"weights/{key}"] = tensor.detach().numpy()
        for structure, s in structures().items():
            found = results(model, torch, arguments["type_names"], s)
            arrays |= {f"{structure}/{key}": value for key, value in {**s, **found}.items()}
        np.savez_compressed(HERE / f"allegro_{name}.npz", **arrays)
        print(name, {s: float(arrays[f"{s}/energy"]) for s in structures()})


if __name__ == "__main__":
    main(sys.argv[1:])
