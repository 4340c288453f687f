"""The other side of imported.py, run by the Python of a peer: makes a model, converts it, or computes when told to.

make FILE BLOCK Z ...           a MACE of 128x0e + 128x1o with random weights
convert FILE JSON Z ...         it for Symmetrix
where                           the checkpoint of SevenNet-0
mace|symmetrix|sevenn|nbcore FILE STRUCTURE [PRECISION]
                                answers every line of input with CPU seconds, energy and forces
"""

import json
import os
import sys
import time
import warnings

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # constants of e3nn 0.4.4 hold a slice
warnings.filterwarnings("ignore")


def make(path, block, *numbers):
    import numpy as np
    import torch
    from e3nn import o3
    from mace import modules

    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    model = modules.ScaleShiftMACE(
        r_max=5.0, num_bessel=8, num_polynomial_cutoff=5, max_ell=3, num_interactions=2, num_elements=len(numbers),
        interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=modules.interaction_classes[block], hidden_irreps=o3.Irreps("128x0e + 128x1o"),
        MLP_irreps=o3.Irreps("16x0e"), gate=torch.nn.functional.silu, atomic_energies=np.zeros(len(numbers)),
        avg_num_neighbors=28.0, atomic_numbers=[int(z) for z in numbers], correlation=3, radial_type="bessel",
        atomic_inter_scale=1.0, atomic_inter_shift=0.0,
    )  # fmt: skip
    torch.save(model, path)


def convert(path, to, *numbers):
    from symmetrix.extract_mace_data import extract_mace_data

    with open(to, "w") as file:
        json.dump(extract_mace_data(path, species=list(numbers)), file)


def where():
    from sevenn.util import pretrained_name_to_path

    print(pretrained_name_to_path("7net-0"))


def calculator(kind, path, precision):
    """(name, calculator of ASE)"""
    from importlib.metadata import version

    if kind == "nbcore":
        from nbcore.ase import NBCoreCalculator

        return "nbcore itself", NBCoreCalculator(path)
    if kind == "symmetrix":
        from symmetrix import Symmetrix

        return f"symmetrix-xl {version('symmetrix-xl')}, float64", Symmetrix(path, dtype="float64")
    import torch

    torch.set_num_threads(1)
    if kind == "mace":
        from mace.calculators import MACECalculator

        made = MACECalculator(model_paths=path, device="cpu", default_dtype=precision)
        return f"mace-torch {version('mace-torch')}, {precision}", made
    from sevenn.calculator import SevenNetCalculator

    return f"sevenn {version('sevenn')}, float32", SevenNetCalculator(path, device="cpu")


def main():
    kind, *arguments = sys.argv[1:]
    if kind in ("make", "convert", "where"):
        return {"make": make, "convert": convert, "where": where}[kind](*arguments)
    import numpy as np
    from ase import Atoms

    path, structure, *precision = arguments
    name, made = calculator(kind, path, *precision or ["float64"])
    given = np.load(structure)
    atoms = Atoms(given["numbers"], given["positions"], cell=given["cell"], pbc=given["pbc"])
    atoms.calc = made
    print(json.dumps({"name": name}), flush=True)
    for _ in sys.stdin:
        made.results.clear()
        if made.atoms is not None:
            made.atoms = None  # or it would remember
        start = time.process_time()
        forces, energy = atoms.get_forces(), atoms.get_potential_energy()
        seconds = time.process_time() - start
        print(json.dumps({"seconds": seconds, "energy": float(energy), "forces": forces.tolist()}), flush=True)


if __name__ == "__main__":
    main()
