"""What stands in a `.model` file of MACE: its parts with all factors of the program included, or a refusal by name."""

from dataclasses import dataclass, field

import numpy as np

from nbcore.errors import InputError
from nbcore.importing import e3nn_modules as e3nn
from nbcore.importing.e3nn_modules import Product, array, attribute, child, class_of, refuse
from nbcore.importing.torch_file import Inert, attributes, children, tensors
from nbcore.species import symbols

#: classes of modules that are understood; one that is not here is refused, wherever it stands
KNOWN = {
    "MACE", "ScaleShiftMACE", "ModuleList", "ParameterList", "LinearNodeEmbeddingBlock", "Linear",
    "RadialEmbeddingBlock", "BesselBasis", "GaussianBasis", "PolynomialCutoff", "SphericalHarmonics",
    "AtomicEnergiesBlock", "RealAgnosticInteractionBlock", "RealAgnosticResidualInteractionBlock", "TensorProduct",
    "FullyConnectedNet", "_Layer", "normalize2mom", "FullyConnectedTensorProduct", "reshape_irreps",
    "EquivariantProductBasisBlock", "SymmetricContraction", "Contraction", "LinearReadoutBlock",
    "NonLinearReadoutBlock", "Activation", "ScaleShiftBlock", "RealAgnosticDensityInteractionBlock",
    "RealAgnosticDensityResidualInteractionBlock", "AgnesiTransform", "SoftTransform", "ZBLBasis",
}  # fmt: skip
#: what to say of classes that are met, beside their name
HINTS = {
    "Dipole": "models of dipoles and polarizabilities are not read",
    "LoRA": "merge its corrections into the weights first (mace.modules.lora.merge_lora_weights)",
    "LES": "models with latent charges are not read",
    "cuequivariance": "convert it back with `mace_cueq_to_e3nn FILE --output_model NEW`",
    "openequivariance": "convert it back with `mace_oeq_to_e3nn FILE --output_model NEW`",
}
KINDS = {
    "RealAgnosticInteractionBlock": "species", "RealAgnosticResidualInteractionBlock": "residual",
    "RealAgnosticDensityInteractionBlock": "species", "RealAgnosticDensityResidualInteractionBlock": "residual",
}  # fmt: skip


@dataclass
class Level:
    """One interaction and its product. Matrices by l, channels in and out."""

    kind: str  #: species: sums are mixed by element; residual: the state before is, and added to the products
    up: dict[int, np.ndarray]  #: of the state before
    radial: list[np.ndarray]  #: of the network; the last one gives the weights of all products
    factors: list[float]  #: c of c silu(x W) of all layers but the last
    products: list[Product]
    rows: list[int]  #: where the channels of each product begin among those of its l
    linear: dict[int, np.ndarray]  #: of the sums
    skip: dict[int, np.ndarray]  #: by element, of the sums or of the state before
    neighbours: float  #: by which sums are divided, 1 where neighbours are counted
    count: np.ndarray | None  #: (radial functions,) z of the count of neighbours, the sum of tanh(z^2)
    tensors: dict[int, list[np.ndarray]]  #: U of one factor, of two, ... by l of the output
    rounding: float  #: of these tensors, relative
    weights: dict[int, list[np.ndarray]]  #: of each (elements, paths, channels)
    mix: dict[int, np.ndarray]  #: of the products
    channels: int
    parities: set[tuple[int, int]]  #: (l, parity) of all its parts

    @property
    def sent(self) -> int:
        """Channels of the states that are sent."""
        return self.up[0].shape[1]


@dataclass
class Mace:
    """A network of MACE, of one of its heads."""

    where: str  #: the file, for messages
    species: np.ndarray  #: atomic numbers as in the file
    cutoff: float
    parity: str  #: o3 or so3
    l_harmonics: int
    radial: dict  #: the option of gates: basis and envelope
    radial_factor: float  #: of the functions, against those of the option
    embedding: np.ndarray  #: (elements, channels)
    levels: list[Level]
    readouts: list[np.ndarray | None]  #: (channels,) of each level but the last; None: it has none
    hidden: tuple[np.ndarray, float, np.ndarray]  #: of the last level: matrix, c of c silu(x W), last layer
    scale: float
    shift: float
    energies: np.ndarray  #: of isolated atoms (elements,)
    repulsion: dict | None  #: of cores, as a description has it
    about: dict = field(default_factory=dict)


def read_mace(model: object, where: str, head: str | None = None) -> Mace:
    """The network of a model that was read from the file `where`; of several heads the one named. Raises InputError."""
    _check_classes(model, where)
    heads = attributes(model).get("heads") or ["Default"]
    head_number = _head(heads, head, where)
    levels, parity = _levels(model, where)
    n = len(levels)
    scale, shift = _scale_shift(model, where, head_number)
    energies = np.atleast_2d(_energies(model, where))
    numbers = array(model, "atomic_numbers", where, None).astype(int)
    radial, factor = _radial(child(model, "radial_embedding", where), f"{where}: radial_embedding", np.sort(numbers))
    embedding = e3nn.linear(child(model, "node_embedding.linear", where), f"{where}: node_embedding")
    readouts, hidden = _readouts(model, where, n, head_number, len(heads), levels)
    if energies.shape[0] <= head_number or energies.shape[1] != len(numbers):
        refuse(where, f"atomic_energies have the shape {energies.shape} for {len(numbers)} elements")
    harmonics = max(p.l2 for p in levels[0].products)
    return Mace(
        where=where, species=numbers, cutoff=float(array(model, "r_max", where)), parity=parity, l_harmonics=harmonics,
        radial=radial, radial_factor=factor, embedding=_by_l(embedding)[0], levels=levels, readouts=readouts,
        hidden=hidden, scale=scale, shift=shift, energies=energies[head_number],
        repulsion=_repulsion(model, where, np.sort(numbers), scale),
        about={"class": model.path} | ({"head": str(heads[head_number])} if len(heads) > 1 else {}),
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
        waiting += [(f"{name}.{key}".strip("."), c) for key, c in inside if isinstance(c, Inert)]
    if class_of(model) not in ("MACE", "ScaleShiftMACE"):
        refuse(where, f"it holds a {model.path}, expected a MACE or ScaleShiftMACE")
    for name in ("joint_embedding", "embedding_readout"):
        if name in children(model):
            refuse(where, f"it has a {name} (charges or spins as input), which is not read yet")
    if attributes(model).get("apply_cutoff", True) is not True:
        refuse(where, "apply_cutoff = False is not read yet")


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


def _radial(module, where, numbers):
    """The option "radial" of gates and the factor of its functions. numbers: atomic numbers, in nbcore's order."""
    basis, cutoff = child(module, "bessel_fn", where), child(module, "cutoff_fn", where)
    r_max, power = float(array(cutoff, "r_max", where)), int(array(cutoff, "p", where))
    radial, factor = {"cutoff": r_max, "envelope": "polynomial", "power": power}, 1.0
    if class_of(basis) == "BesselBasis":
        frequencies = array(basis, "bessel_weights", where, None) * r_max / np.pi
        n = len(frequencies)
        radial |= {"basis": "bessel", "n": n}
        if np.abs(frequencies - np.arange(1, n + 1)).max() > 1e-14 * n:  # those of files in float32 are rounded
            radial["frequencies"] = frequencies.tolist()
        factor = float(array(basis, "prefactor", where)) / np.sqrt(2 / r_max)
    else:
        centres = array(basis, "gaussian_weights", where, None)
        n = len(centres)
        coefficient = attribute(basis, "coeff", (int, float), where)
        if n < 2 or not np.allclose(centres, np.linspace(0, r_max, n), rtol=0, atol=1e-12 * r_max):
            refuse(where, "the centres of its Gaussians are not at equal distances from 0 to r_max")
        if abs(coefficient * (r_max / (n - 1)) ** 2 + 0.5) > 1e-12:
            refuse(where, f"the width of its Gaussians (coeff = {coefficient}) is not their distance")
        radial |= {"basis": "gaussian", "n": n}
    return radial | _transform(module, where, numbers), factor


def _transform(module, where, numbers):
    """The options of a transformed distance."""
    transform = children(module).get("distance_transform")
    if transform is None:
        return {}
    known = {
        "AgnesiTransform": ("agnesi", dict(a="a", q="q", p="p")),
        "SoftTransform": ("soft", dict(steepness="alpha")),
    }
    if class_of(transform) not in known:
        refuse(where, f"its distances are transformed by {class_of(transform)}, which is not known")
    kind, names = known[class_of(transform)]
    found = {name: float(array(transform, theirs, where)) for name, theirs in names.items()}
    return {"transform": kind, "radii": _radii(transform, numbers, where).tolist(), **found}


def _radii(module, numbers, where):
    """Covalent radii of the elements, from a table by atomic number."""
    table = array(module, "covalent_radii", where, None)
    if numbers.min() < 0 or numbers.max() >= len(table):
        refuse(where, "its table of covalent radii does not have all elements")
    return table[numbers]


def _repulsion(model, where, numbers, scale):
    """The repulsion of a description, None where there is none; MACE has it inside the scale.

    The constants that are no tensors of the file are those of mace-torch 0.3.
    """
    module = children(model).get("pair_repulsion_fn")
    if module is None:
        return None
    where, radii = f"{where}: pair_repulsion_fn", _radii(module, numbers, where)
    atoms = list(zip(symbols(numbers.tolist()), radii, strict=True))
    pairs = {f"{a}-{b}": float(r + s) for a, r in atoms for b, s in atoms if a <= b}
    exponent, prefactor = (float(array(module, name, where)) for name in ("a_exp", "a_prefactor"))
    screening = dict(
        coulomb=14.3996, length=0.529 * prefactor, exponent=exponent, power=int(array(module, "p", where)),
        weights=array(module, "c", where, 4).tolist(), decays=[3.2, 0.9423, 0.4028, 0.2016], scale=scale,
    )  # fmt: skip
    return {"kind": "zbl", "radii": pairs, "screening": screening}


# ---- levels ----


def _levels(model, where):
    interactions, products = (
        list(children(child(model, name, where)).values()) for name in ("interactions", "products")
    )
    if not interactions or len(interactions) != len(products):
        refuse(where, f"it has {len(interactions)} interactions and {len(products)} products")
    levels = [
        _level(interaction, product, f"{where}: interactions.{k}", f"{where}: products.{k}")
        for k, (interaction, product) in enumerate(zip(interactions, products, strict=True))
    ]
    parities = set().union(*(level.parities for level in levels))
    if all(p == (-1) ** l for l, p in parities):
        return levels, "o3"
    if any(p < 0 for _, p in parities):
        refuse(where, "it has parts of both parities, which is not read yet")
    return levels, "so3"


def _level(interaction, product, where, where_product):
    kind = KINDS.get(class_of(interaction))
    if kind is None:
        refuse(where, f"a {class_of(interaction)} is not read yet")
    tensor, parts, outputs = _products(child(interaction, "conv_tp", where), f"{where}.conv_tp")
    matrices, factors = e3nn.perceptron(child(interaction, "conv_tp_weights", where), f"{where}.conv_tp_weights")
    if matrices[-1].shape[1] != sum(parts[p.part][0] for p in tensor):
        refuse(where, f"its radial network gives {matrices[-1].shape[1]} weights, its products take others")
    linear = e3nn.linear(child(interaction, "linear", where), f"{where}.linear")
    skip = e3nn.by_element(child(interaction, "skip_tp", where), f"{where}.skip_tp")
    up = e3nn.linear(child(interaction, "linear_up", where), f"{where}.linear_up")
    use_sc = attribute(product, "use_sc", bool, where_product)
    if kind == "residual" and not use_sc:
        refuse(where_product, "it leaves the state before out (use_sc = False) behind a residual interaction")
    contraction = child(product, "symmetric_contractions", where_product)
    U, W, channels, rounding = _contractions(contraction, f"{where_product}.symmetric_contractions")
    mix = e3nn.linear(child(product, "linear", where_product), f"{where_product}.linear")
    count = None
    if "Density" in class_of(interaction):
        (matrix,), _ = e3nn.perceptron(child(interaction, "density_fn", where), f"{where}.density_fn", least=1)
        if matrix.shape[1] != 1:
            refuse(where, f"its density has {matrix.shape[1]} numbers, expected one")
        count = matrix[:, 0]
    neighbours = 1.0 if count is not None else attribute(interaction, "avg_num_neighbors", (int, float), where)
    return Level(
        kind=kind, up=_by_l(up), radial=matrices, factors=factors, products=tensor,
        rows=_rows(outputs), linear=_by_l(linear), skip=_by_l(skip),
        neighbours=float(neighbours), count=count,
        tensors=U, rounding=rounding, weights=W, mix=_by_l(mix), channels=channels,
        parities={*up, *linear, *mix},
    )  # fmt: skip


def _products(module, where):
    """The products, with parts of the state by l; the widths of the parts."""
    found, inputs, outputs = e3nn.products(module, where)
    if [l for _, l, _ in inputs] != list(range(len(inputs))) or len({n for n, _, _ in inputs}) > 1:
        refuse(where, "the states that are sent do not have one part of equal width for l = 0, 1, ...")
    return found, inputs, outputs


def _rows(outputs):
    """Where each part begins among those of its l."""
    return [sum(n for n, l, _ in outputs[:k] if l == outputs[k][1]) for k in range(len(outputs))]


def _by_l(matrices):
    return {l: matrix for (l, _), matrix in matrices.items()}


def _contractions(module, where):
    """U tensors and weights by l of the output, channels, rounding of the tensors."""
    if not module.path.startswith("mace."):
        refuse(where, f"a {module.path} has no tensors U; {HINTS['cuequivariance']}")
    outputs = e3nn.irreps(attributes(module).get("irreps_out"), where)
    contractions = list(children(child(module, "contractions", where)).values())
    if [l for _, l, _ in outputs] != list(range(len(outputs))) or len(contractions) != len(outputs):
        refuse(where, "its outputs are not one part for l = 0, 1, ...")
    U, W, channels, rounding = {}, {}, 0, 0.0
    for (_, l, _), contraction in zip(outputs, contractions, strict=True):
        at = f"{where}.contractions.{l}"
        correlation = attribute(contraction, "correlation", int, at)
        if not 1 <= correlation <= 3:
            refuse(at, f"products of {correlation} factors; nbcore has them to three")
        others = tensors(child(contraction, "weights", at))
        U[l], W[l] = [], []
        for factors in range(1, correlation + 1):
            tensor = tensors(contraction).get(f"U_matrix_{factors}")
            if tensor is None:
                refuse(at, f"it has no tensor U_matrix_{factors}; {HINTS['cuequivariance']}")
            if tensor.dtype.kind != "f" or not np.isfinite(tensor).all():
                refuse(at, f"U_matrix_{factors} does not hold finite numbers")
            rounding = max(rounding, float(np.finfo(tensor.dtype).eps))
            tensor = tensor.astype(float) if l else tensor.astype(float)[None]
            name = str(correlation - factors - 1)
            weights = tensors(contraction).get("weights_max") if factors == correlation else others.get(name)
            if weights is None or weights.ndim != 3 or tensor.ndim != factors + 2 or len(tensor) != 2 * l + 1:
                refuse(at, f"its weights and tensors of {factors} factors do not have the shapes of mace-torch 0.3")
            if weights.shape[1] != tensor.shape[-1]:
                refuse(at, f"it has {weights.shape[1]} weights for {tensor.shape[-1]} paths")
            U[l].append(tensor), W[l].append(weights.astype(float))
            channels = weights.shape[2]
    return U, W, channels, rounding


# ---- readouts ----


def _readouts(model, where, n_levels, head, n_heads, levels):
    """(channels,) of the levels but the last; of the last one matrix, factor, last layer."""
    found = list(children(child(model, "readouts", where)).values())
    if len(found) not in (1, n_levels):
        refuse(where, f"it has {len(found)} readouts for {n_levels} levels")
    linear = [None] * (n_levels - len(found))
    for k, block in enumerate(found[:-1] if n_levels > 1 else []):
        at = f"{where}: readouts.{k}"
        if class_of(block) != "LinearReadoutBlock":
            refuse(at, f"a {class_of(block)} is not known before the last level")
        linear.append(_by_l(e3nn.linear(child(block, "linear", at), at))[0][:, head])
    at, last = f"{where}: readouts.{len(found) - 1}", found[-1]
    if class_of(last) == "LinearReadoutBlock":
        linear.append(_by_l(e3nn.linear(child(last, "linear", at), at))[0][:, head])
        return linear, None
    first, second = (_by_l(e3nn.linear(child(last, name, at), at))[0] for name in ("linear_1", "linear_2"))
    acts = list(children(child(last, "non_linearity.acts", at)).values())
    if len(acts) != 1:
        refuse(at, f"it has {len(acts)} functions, expected one")
    factor = e3nn.function_factor(acts[0], "silu", at)
    if n_heads > 1 and attributes(last).get("num_heads", 1) > 1:  # the units of other heads are masked
        width = first.shape[1] // n_heads
        own = slice(head * width, (head + 1) * width)
        first, second = first[:, own], second[own]
    return linear, (first, factor, second[:, head])
