"""Runs MACE on random weights, writes its model files and what they compute: small files for test_mace.py.

Made with mace-torch 0.3.16 (MIT licence), e3nn 0.4.4 (MIT) and torch 2.13.0 on one thread, in double precision:

    python -m venv peer
    peer/bin/pip install mace-torch==0.3.16
    peer/bin/python tests/oracles/make_mace.py [variant ...]

The tests need none of it. mace_VARIANT.model is the file as torch.save writes it, its records compressed; the results
stand in mace_VARIANT.npz: for each structure energy, forces and, of crystals, stress.

mace_gate is "nonlinear" of mace-torch 0.3.14, whose interactions have gates of e3nn, and whose readouts mask the units
of other heads behind the last hidden layer alone.

    peer/bin/python tests/oracles/make_mace.py --frames 200 FILE.model FRAMES.npz
    python tests/oracles/compare_mace.py FILE.model FRAMES.npz

compute random clusters and crystals with any model, and compare nbcore's import of it; the second needs nbcore alone.
"""

import os
import sys
import zipfile
from pathlib import Path

os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # constants of e3nn 0.4.4 hold a slice
import numpy as np
from structures import CUTOFF, pairs, structures

HERE = Path(__file__).resolve().parent
SPECIES = [1, 6, 8]
ENERGIES = np.array([-13.5, -1027.0, -2041.0]) / 27
COMMON = dict(
    r_max=CUTOFF, num_bessel=5, num_polynomial_cutoff=5, max_ell=2, num_interactions=2, num_elements=3,
    hidden_irreps="4x0e+4x1o", MLP_irreps="3x0e", avg_num_neighbors=9.3, atomic_numbers=SPECIES, correlation=3,
    interaction="RealAgnosticResidualInteractionBlock", interaction_first="RealAgnosticResidualInteractionBlock",
    radial_MLP=[8, 7], use_reduced_cg=False, scale=[0.8], shift=[0.15],
)  # fmt: skip
DENSITY = dict(interaction_first="RealAgnosticDensityInteractionBlock",
               interaction="RealAgnosticDensityResidualInteractionBlock")  # fmt: skip
NONLINEAR = dict(interaction_first="RealAgnosticResidualNonLinearInteractionBlock",
                 interaction="RealAgnosticResidualNonLinearInteractionBlock", apply_cutoff=False,
                 readout="NonLinearBiasReadoutBlock")  # fmt: skip
INPUTS = {"total_charge": -1, "total_spin": 2}
CHARGE_AND_SPIN = {
    "total_charge": dict(type="categorical", per="graph", num_classes=5, emb_dim=3, offset=2),
    "total_spin": dict(type="continuous", per="graph", in_dim=1, emb_dim=2),
}
VARIANTS = {
    "plain": dict(kind="MACE", interaction_first="RealAgnosticInteractionBlock", correlation=[3, 2], max_ell=3,
                  num_polynomial_cutoff=6),
    "states": dict(hidden_irreps="4x0e+4x1o+4x2e", num_interactions=3, correlation=2),
    "single": dict(dtype="float32", hidden_irreps="6x0e"),
    "so3": dict(hidden_irreps="3x0e+3x1e", use_so3=True, correlation=2),
    "heads": dict(heads=["first", "second"], scale=[0.8, 0.7], shift=[0.15, -0.1], radial_type="gaussian",
                  use_agnostic_product=True),
    "edges": dict(edge_irreps="5x0e", correlation=2),
    "density": dict(**DENSITY, pair_repulsion=True, distance_transform="Agnesi"),
    "soft": dict(**DENSITY, distance_transform="Soft", hidden_irreps="4x0e"),
    "nonlinear": dict(**NONLINEAR, hidden_irreps="4x0e+4x1o", edge_irreps="3x0e+2x1o", pair_repulsion=True,
                      distance_transform="Agnesi", heads=["first", "second"], scale=[0.8, 0.7], shift=[0.15, -0.1]),
    "charged": dict(**NONLINEAR, hidden_irreps="4x0e", max_ell=1, correlation=2, use_agnostic_product=True,
                    embedding_specs=CHARGE_AND_SPIN, use_embedding_readout=True, use_last_readout_only=True),
    "cutoff": dict(**DENSITY, apply_cutoff=False, gate="tanh", keep_last_layer_irreps=True, max_ell=1, correlation=2),
}  # fmt: skip


def build(torch, arguments):
    """The model of a variant; nothing is left at the zeros and ones of the initialisers."""
    from e3nn import o3
    from mace import modules

    given = {**COMMON, **arguments}
    heads = given.get("heads", ["Default"])
    energies = np.stack([ENERGIES * (1 + 0.01 * k) for k in range(len(heads))])
    first, other = (modules.interaction_classes[given.pop(name)] for name in ("interaction_first", "interaction"))
    scale, shift, kind = given.pop("scale"), given.pop("shift"), given.pop("kind", "ScaleShiftMACE")
    for name in {"hidden_irreps", "MLP_irreps", "edge_irreps"} & {*given}:
        given[name] = o3.Irreps(given[name])
    more = {} if kind == "MACE" else dict(atomic_inter_scale=scale, atomic_inter_shift=shift)
    dtype = getattr(torch, given.pop("dtype", "float64"))
    torch.set_default_dtype(dtype)
    torch.manual_seed(3)
    heads = given.pop("heads", heads)
    given["readout_cls"] = modules.readout_classes[given.pop("readout", "NonLinearReadoutBlock")]
    given["gate"] = modules.gate_dict[given.pop("gate", "silu")]
    model = getattr(modules, kind)(
        interaction_cls=other, interaction_cls_first=first, heads=heads,
        atomic_energies=energies if len(heads) > 1 else energies[0], **given, **more,
    )  # fmt: skip
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("alpha", "beta")):
                parameter.copy_(torch.tensor(7.0 if name.endswith("alpha") else 0.4))
            elif parameter.numel() and (parameter == parameter.flatten()[0]).all():
                parameter.add_(0.3 * torch.randn_like(parameter))
            elif name.endswith("_embedding.weight"):
                parameter.mul_(300)
    return model.eval()


def results(torch, model, structure, head):
    i, j, shift = pairs(structure, float(model.r_max))
    species = model.atomic_numbers.tolist()
    kinds = [species.index(z) for z in structure["numbers"]]
    crystal = bool(structure["cell"].any())
    cell = structure["cell"] if crystal else 100 * np.eye(3)
    data = dict(
        positions=torch.tensor(structure["positions"], requires_grad=True), cell=torch.tensor(cell),
        unit_shifts=torch.tensor(-shift), shifts=torch.tensor(-shift @ cell), edge_index=torch.tensor(np.stack([j, i])),
        node_attrs=torch.eye(len(species))[kinds], batch=torch.zeros(len(kinds), dtype=torch.long),
        ptr=torch.tensor([0, len(kinds)]), head=torch.tensor([head]),
        **{name: torch.tensor([value], dtype=torch.get_default_dtype()) for name, value in INPUTS.items()},
    )  # fmt: skip
    found = model(data, compute_force=True, compute_stress=crystal)
    shapes = dict(energy=(), forces=(-1, 3)) | (dict(stress=(3, 3)) if crystal else {})
    return {name: found[name].detach().numpy().reshape(shape) for name, shape in shapes.items()}


def compress(path):
    """The same records, compressed: tensors of couplings are mostly zeros."""
    with zipfile.ZipFile(path) as old:
        records = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for name, content in records.items():
            new.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)


def random_frames(count, species, cutoff):
    """Clusters and crystals of 4 to 12 atoms, none nearer to another one than 0.8 Angstrom."""
    rng = np.random.default_rng(1)
    for k in range(count):
        n = int(rng.integers(4, 13))
        edge = max(2.4 * n ** (1 / 3), cutoff / 2.5)
        cell = edge * np.eye(3) + rng.uniform(-0.4, 0.4, (3, 3))
        positions = []
        while len(positions) < n:
            new = rng.random(3) @ cell
            away = [new + (np.array(s) - 1) @ cell - x for x in positions for s in np.ndindex(3, 3, 3)]
            if not away or np.linalg.norm(away, axis=1).min() > 0.8:
                positions.append(new)
        numbers = rng.choice(species, n)
        yield dict(positions=np.array(positions), numbers=numbers, cell=cell if k % 2 else np.zeros((3, 3)))


def frames(count, path, output):
    import torch

    torch.set_num_threads(1)
    model = torch.load(path, map_location="cpu", weights_only=False).double()
    torch.set_default_dtype(torch.float64)
    arrays = {}
    for k, structure in enumerate(random_frames(count, model.atomic_numbers.tolist(), float(model.r_max))):
        found = results(torch, model, structure, 0)
        arrays |= {f"{k}/{key}": value for key, value in {**structure, **found}.items()}
    np.savez_compressed(output, **arrays)
    print(f"{count} frames of {path} in {output}")


def main(variants):
    import torch

    torch.set_num_threads(1)
    for name in variants or VARIANTS:
        model = build(torch, VARIANTS[name])
        path = HERE / f"mace_{name}.model"
        torch.save(model, path)
        compress(path)
        model = model.double()
        torch.set_default_dtype(torch.float64)
        arrays = {}
        for label, structure in structures().items():
            for head in range(len(model.heads)):
                at = label if head == 0 else f"{label}/{model.heads[head]}"
                arrays |= {f"{label}/{key}": value for key, value in structure.items()}
                found = results(torch, model, structure, head)
                arrays |= {f"{at}/{key}": value for key, value in found.items()}
                print(name, at, float(found["energy"]), path.stat().st_size, flush=True)
        np.savez_compressed(HERE / f"mace_{name}.npz", **arrays)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--frames"]:
        frames(int(sys.argv[2]), *sys.argv[3:5])
    else:
        main(sys.argv[1:])
