"""Runs SevenNet on random weights, writes its checkpoints and what it computes: small files for test_sevennet.py.

Made with sevenn 0.13.0 (MIT licence), e3nn 0.5.9 (MIT) and torch 2.13.0, in double precision; weights are single ones:

    python -m venv peer
    peer/bin/pip install torch numpy ase sevenn==0.13.0
    peer/bin/python tests/oracles/make_sevennet.py [variant ...]
    peer/bin/python tests/oracles/make_sevennet.py --published FILE.pth RESULTS.npz

The second form computes the same structures with any checkpoint, those that come with the package for example, for
`python tests/oracles/compare_sevennet.py FILE.pth RESULTS.npz`, which needs nbcore alone.
"""

import copy
import sys
import warnings
from pathlib import Path

import numpy as np
from structures import pairs, structures

warnings.simplefilter("ignore")
HERE = Path(__file__).resolve().parent
COMMON = dict(cutoff=4.5, conv_denominator=[2.5, 3.5, 3.0], num_convolution_layer=3, weight_nn_hidden_neurons=[6, 5],
              chemical_species=["C", "H", "O"], _number_of_species=3, _type_map={6: 0, 1: 1, 8: 2},
              shift=[-9.0, -3.0, -6.0], scale=[1.5, 0.7, 1.1])  # fmt: skip
VARIANTS = {
    "parity": dict(channel=4, lmax=2, is_parity=True, self_connection_type="nequip",
                   radial_basis=dict(radial_basis_name="bessel", bessel_basis_num=5),
                   cutoff_function=dict(cutoff_function_name="poly_cut", poly_cut_p_value=5)),
    "manual": dict(channel=8, lmax=3, is_parity=False, self_connection_type="linear",
                   irreps_manual=["6x0e", "6x0e+4x1e+3x2e+2x3e", "6x0e+4x1e+3x2e+2x3e", "6x0e"],
                   radial_basis=dict(radial_basis_name="bessel", bessel_basis_num=6),
                   cutoff_function=dict(cutoff_function_name="XPLOR", cutoff_on=3.9)),
}  # fmt: skip


def in_double(torch):
    """SevenNet's one-hot elements are single numbers, whatever the rest is."""
    from sevenn.nn.node_embedding import OnehotEmbedding

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.Tensor.float = torch.Tensor.double
    assert OnehotEmbedding


def results(model, torch, cutoff):
    import sevenn._keys as KEY
    from ase import Atoms
    from sevenn.atom_graph_data import AtomGraphData
    from sevenn.train.dataload import unlabeled_atoms_to_graph

    model.set_is_batch_data(False)
    found = {}
    for label, s in structures().items():
        atoms = Atoms(s["numbers"], s["positions"], cell=s["cell"], pbc=s["cell"].any())
        if not s["cell"].any():
            atoms.center(vacuum=2 * cutoff)
        data = AtomGraphData.from_numpy_dict(unlabeled_atoms_to_graph(atoms, cutoff))
        for key, value in list(data.items()):
            if torch.is_tensor(value) and value.is_floating_point():
                data[key] = value.double()
        i, j, shift = pairs(s, cutoff)
        data[KEY.EDGE_IDX] = torch.tensor(np.stack([i, j]))
        data[KEY.EDGE_VEC] = torch.tensor(s["positions"][j] + shift @ s["cell"] - s["positions"][i])
        out = model(data)
        found |= {f"{label}/{key}": value for key, value in s.items()}
        found[f"{label}/energy"] = out[KEY.PRED_TOTAL_ENERGY].detach().numpy().reshape(())
        found[f"{label}/forces"] = out[KEY.PRED_FORCE].detach().numpy()
        print(label, float(found[f"{label}/energy"]))
    return found


def main(arguments):
    import e3nn.o3
    import sevenn
    import torch
    from sevenn._const import DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG
    from sevenn.model_build import build_E3_equivariant_model

    if arguments[:1] == ["--published"]:
        from sevenn.checkpoint import SevenNetCheckpoint

        checkpoint = SevenNetCheckpoint(arguments[1])
        model = checkpoint.build_model().double().eval()
        in_double(torch)
        for key, tensor in model.named_buffers():  # rounded coupling tensors
            if "_w3j_" in key:
                exact = e3nn.o3.wigner_3j(*map(int, key.split("_")[-3:]), dtype=torch.float64)
                tensor.copy_(exact * torch.sign((exact * tensor).sum()))
        np.savez_compressed(arguments[2], **results(model, torch, checkpoint.config["cutoff"]))
        return
    in_double(torch)
    for number, name in enumerate(arguments or VARIANTS):
        torch.manual_seed(number)
        config = {**copy.deepcopy(DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG), **COMMON, **VARIANTS[name]}
        model = build_E3_equivariant_model(copy.deepcopy(config)).eval()
        with torch.no_grad():  # Bessel coefficients as after some training, single numbers
            for key, parameter in model.state_dict().items():
                if key.endswith("coeffs"):
                    parameter += 0.05 * torch.cos(7 * parameter)
                if parameter.is_floating_point():
                    parameter.copy_(parameter.to(torch.float32))
        config["version"] = sevenn.__version__
        state = {key: value.to(torch.float32) for key, value in model.state_dict().items()}
        torch.save({"config": config, "model_state_dict": state}, HERE / f"sevennet_{name}.pth")
        made = f"sevenn {sevenn.__version__} e3nn {e3nn.__version__} torch {torch.__version__}"
        np.savez_compressed(HERE / f"sevennet_{name}.npz", made_with=made, **results(model, torch, config["cutoff"]))


if __name__ == "__main__":
    main(sys.argv[1:])
