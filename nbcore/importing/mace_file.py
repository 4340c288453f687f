"""What stands in a `.model` file of MACE: its parts with all factors of the program included, or a refusal by name."""

from dataclasses import dataclass, field

import numpy as np

from nbcore.errors import InputError
from nbcore.importing import e3nn_modules as e3nn
from nbcore.importing.e3nn_modules import array, child, class_of, refuse
from nbcore.importing.mace_inputs import joint_embedding
from nbcore.importing.mace_levels import CUEQUIVARIANCE, KINDS, Level, by_l, levels
from nbcore.importing.mace_radial import radial_option, repulsion
from nbcore.importing.mace_readouts import Readout, readouts
from nbcore.importing.torch_file import Inert, attributes, children, tensors

#: classes of modules that are understood; one that is not here is refused, wherever it stands
KNOWN = {
    "MACE", "ScaleShiftMACE", "ModuleList", "ParameterList", "LinearNodeEmbeddingBlock", "Linear",
    "RadialEmbeddingBlock", "BesselBasis", "GaussianBasis", "PolynomialCutoff", "SphericalHarmonics",
    "ChebychevBasis", "AtomicEnergiesBlock", *KINDS, "TensorProduct",
    "FullyConnectedNet", "_Layer", "normalize2mom", "FullyConnectedTensorProduct", "reshape_irreps",
    "EquivariantProductBasisBlock", "SymmetricContraction", "Contraction", "LinearReadoutBlock",
    "NonLinearReadoutBlock", "NonLinearBiasReadoutBlock", "Activation", "ScaleShiftBlock", "AgnesiTransform",
    "SoftTransform", "ZBLBasis", "RadialMLP", "Sequential", "LayerNorm", "SiLU", "GatedEquivariantBlock",
    "Gate", "_Sortcut", "Extract", "ElementwiseTensorProduct", "GenericJointEmbedding", "ModuleDict", "Embedding",
}  # fmt: skip
#: what to say of classes that are met, beside their name
HINTS = {
    "Dipole": "models of dipoles and polarizabilities are not read",
    "LoRA": "merge its corrections into the weights first (mace.modules.lora.merge_lora_weights)",
    "LES": "models with latent charges are not read",
    "LAMMPS": "give the .model file that it was made from",
    "cuequivariance": CUEQUIVARIANCE,
    "openequivariance": "convert it back with `mace_oeq_to_e3nn FILE --output_model NEW`",
}


@dataclass
class Mace:
    """A network of MACE, of one of its heads."""

    where: str  #: the file, for messages
    species: np.ndarray  #: atomic numbers as in the file
    cutoff: float
    parity: str  #: o3 or so3
    l_harmonics: int
    radial: dict  #: the option of gates: basis and envelope
    embedding: np.ndarray  #: (elements, channels)
    levels: list[Level]
    readouts: list[Readout | None]  #: of each level; None: it has none
    scale: float
    shift: float
    energies: np.ndarray  #: of isolated atoms (elements,)
    repulsion: dict | None  #: of cores, as a description has it
    about: dict = field(default_factory=dict)


def read_mace(model: object, where: str, head: str | None = None, inputs: dict | None = None) -> Mace:
    """The network of a model that was read from the file `where`; of several heads the one named. Raises InputError.

    inputs: numbers of a structure that the model reads beside its atoms, total_charge and total_spin.
    """
    _check_classes(model, where)
    heads = attributes(model).get("heads") or ["Default"]
    head_number = _head(heads, head, where)
    numbers = array(model, "atomic_numbers", where, None).astype(int)
    scale, shift = _scale_shift(model, where, head_number)
    energies = np.atleast_2d(_energies(model, where))
    if energies.shape[0] <= head_number or energies.shape[1] != len(numbers):
        refuse(where, f"atomic_energies have the shape {energies.shape} for {len(numbers)} elements")
    sorted_numbers, embedded = np.sort(numbers), child(model, "radial_embedding", where)
    radial, factor = radial_option(embedded, f"{where}: radial_embedding", sorted_numbers)
    found, parity = levels(model, where, (radial["n"], factor))
    embedding = by_l(e3nn.linear(child(model, "node_embedding.linear", where), f"{where}: node_embedding"))[0]
    added, charged = joint_embedding(model, where, embedding, head_number, inputs or {})
    about = {"class": model.path} | ({"head": str(heads[head_number])} if len(heads) > 1 else {})
    return Mace(
        where=where, species=numbers, cutoff=float(array(model, "r_max", where)), parity=parity,
        l_harmonics=max(p.l2 for p in found[0].products), radial=radial, embedding=embedding + added, levels=found,
        readouts=readouts(model, where, len(found), head_number, len(heads)), scale=scale, shift=shift,
        energies=energies[head_number] + charged, repulsion=repulsion(model, where, sorted_numbers, scale),
        about=about | ({"for": ", ".join(f"{k} = {v:g}" for k, v in inputs.items())} if inputs else {}),
    )  # fmt: skip


def _check_classes(model, where):
    """Refuses a class that is not known, wherever it stands in the model."""
    if not isinstance(model, Inert):
        refuse(where, "it holds no model but a " + ("dictionary" if isinstance(model, dict) else type(model).__name__)
               + "; expected a whole MACE model, as its training saves it as NAME.model")  # fmt: skip
    if model.path.startswith("__torch__"):
        refuse(where, "it is a TorchScript program; give the .model file that it was compiled from")
    waiting, seen = [("", model)], set()
    while waiting:
        name, module = waiting.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        if class_of(module) not in KNOWN and not module.path.startswith("torch.fx."):
            hint = "".join(f"; {text}" for word, text in HINTS.items() if word.lower() in module.path.lower())
            which = f"its module {name}" if name else "the model"
            refuse(where, f"{which} is of the class {module.path}, which is not known{hint}")
        inside = children(module).items()
        for key, inner in inside:
            if inner is not None and not isinstance(inner, Inert):
                refuse(where, f"its module {name}.{key} is no module but a {type(inner).__name__}")
        waiting += [(f"{name}.{key}".strip("."), c) for key, c in inside if isinstance(c, Inert)]
    if class_of(model) not in ("MACE", "ScaleShiftMACE"):
        refuse(where, f"it holds a {model.path}, expected a MACE or ScaleShiftMACE")


def _head(heads, head, where):
    if not isinstance(heads, list) or not all(isinstance(h, str) for h in heads):
        refuse(where, "its heads are no list of names")
    if head is None and len(heads) > 1:
        raise InputError(f"{where}: it has the heads {', '.join(heads)}: choose one with --head NAME.")
    if head is not None and head not in heads:
        raise InputError(f"{where}: it has no head {head!r}, there are {', '.join(heads)}.")
    return heads.index(head) if head is not None else 0


def _energies(model, where):
    found = tensors(child(model, "atomic_energies_fn", where)).get("atomic_energies")
    if found is None or found.ndim not in (1, 2) or not np.isfinite(found).all():
        refuse(where, "it has no energies of isolated atoms")
    return found.astype(float)


def _scale_shift(model, where, head):
    if class_of(model) == "MACE":
        return 1.0, 0.0
    block, found = child(model, "scale_shift", where), []
    for name in ("scale", "shift"):
        value = tensors(block).get(name)
        if value is None or np.atleast_1d(value).ndim != 1 or not np.isfinite(value).all():
            refuse(where, f"its scale_shift has no {name}")
        value = np.atleast_1d(value).astype(float)
        if len(value) not in (1, head + 1) and len(value) <= head:
            refuse(where, f"its scale_shift has {len(value)} numbers for head {head}")
        found.append(float(value[head if len(value) > 1 else 0]))
    return found[0], found[1]
