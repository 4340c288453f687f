"""The levels of a MACE model: an interaction and its product, with all factors of the program included."""

from dataclasses import dataclass

import numpy as np

from nbcore.importing import e3nn_modules as e3nn
from nbcore.importing.e3nn_modules import Product, array, attribute, child, class_of, refuse
from nbcore.importing.mace_readouts import gate_factors
from nbcore.importing.radial_networks import RadialNetwork, radial_network
from nbcore.importing.torch_file import attributes, children, tensors

CUEQUIVARIANCE = "convert it back with `mace_cueq_to_e3nn FILE --output_model NEW`"
KINDS = {
    "RealAgnosticInteractionBlock": "species",
    "RealAgnosticResidualInteractionBlock": "residual",
    "RealAgnosticDensityInteractionBlock": "species",
    "RealAgnosticDensityResidualInteractionBlock": "residual",
    "RealAgnosticResidualNonLinearInteractionBlock": "gated",
}
Matrices = dict[int, np.ndarray]  #: by l


@dataclass
class Gated:
    """What a non-linear interaction does with its sums. Factors of functions are those of nbcore."""

    residual: Matrices  #: of the states that are sent, added to the mixed sums; columns as of `linear`
    factors: tuple[float, float]  #: of the scalars, of what is gated
    second: Matrices  #: of the gated state


@dataclass
class Level:
    """One interaction and its product. Matrices by l, channels in and out."""

    kind: str  #: species: sums are mixed by element; residual: the state before is, and added to the products; gated
    up: Matrices  #: of the state before; narrower parts are filled up with zeros
    network: RadialNetwork  #: its last layer gives the weights of all products
    products: list[Product]  #: `part` is its l
    columns: list[int]  #: where the weights of each product begin in the last layer
    widths: list[int]  #: channels of each product
    rows: list[int]  #: where the channels of each product begin among those of its l
    linear: Matrices  #: of the sums; of "gated" the gates stand behind the scalars
    skip: Matrices  #: by element, of the sums or of the state before; of "gated" of the state before, without element
    neighbours: float  #: by which sums are divided, beside a count of neighbours
    count: RadialNetwork | None  #: z of the count of neighbours, the sum of tanh(z^2)
    count_weight: float  #: the sums are divided by one plus this times the count
    gated: Gated | None
    tensors: dict[int, list[np.ndarray]]  #: U of one factor, of two, ... by l of the output
    rounding: float  #: of these tensors, relative
    weights: dict[int, list[np.ndarray]]  #: of each (elements, paths, channels)
    mix: Matrices  #: of the products
    channels: int
    parities: set[tuple[int, int]]  #: (l, parity) of all its parts

    @property
    def sent(self) -> int:
        """Channels of the states that are sent."""
        return self.up[0].shape[1]


def levels(model, where: str, basis: tuple[int, float]) -> tuple[list[Level], str]:
    """The levels of a model, and "o3" or "so3". basis: number of the radial functions and their factor."""
    interactions, products = (
        list(children(child(model, name, where)).values()) for name in ("interactions", "products")
    )
    if not interactions or len(interactions) != len(products):
        refuse(where, f"it has {len(interactions)} interactions and {len(products)} products")
    found = [
        _level(interaction, product, f"{where}: interactions.{k}", f"{where}: products.{k}", basis)
        for k, (interaction, product) in enumerate(zip(interactions, products, strict=True))
    ]
    last = found[-1]  # nothing reads its state but the energy
    last.tensors, last.weights, last.mix, last.skip = (
        {0: by_l[0]} if name != "skip" or last.kind != "species" else by_l
        for name, by_l in [("tensors", last.tensors), ("weights", last.weights), ("mix", last.mix), ("skip", last.skip)]
    )
    parities = set().union(*(level.parities for level in found))
    if all(p == (-1) ** l for l, p in parities):
        return found, "o3"
    if any(p < 0 for _, p in parities):
        refuse(where, "it has parts of both parities, which is not known")
    return found, "so3"


def _level(interaction, product, where, where_product, basis):
    kind = KINDS.get(class_of(interaction))
    if kind is None:
        refuse(where, f"a {class_of(interaction)} is not known")
    up = e3nn.linear(child(interaction, "linear_up", where), f"{where}.linear_up")
    tensor, parts, outputs = _products(child(interaction, "conv_tp", where), f"{where}.conv_tp")
    width = max(n for n, _, _ in parts)
    sent = {l: np.pad(m, ((0, 0), (0, width - m.shape[1]))) for (l, _), m in up.items()}
    for l in range(max(sent)):  # what is not sent, where something of larger l is
        sent.setdefault(l, np.zeros_like(sent[0]))
    channels_of = {l: n for n, l, _ in parts}
    widths = [channels_of[p.part] for p in tensor]
    columns = [sum(widths[:k]) for k in range(len(widths))]
    rows = [sum(n for n, l, _ in outputs[:k] if l == outputs[k][1]) for k in range(len(outputs))]
    elements = ()
    if kind == "gated":
        elements = tuple(
            e3nn.linear(child(interaction, f"{name}_embedding", where), f"{where}.{name}_embedding")[0, 1]
            for name in ("source", "target")
        )
    network = radial_network(child(interaction, "conv_tp_weights", where), f"{where}.conv_tp_weights", basis, elements)
    if network.last.shape[1] != sum(widths):
        refuse(where, f"its radial network gives {network.last.shape[1]} weights, its products take {sum(widths)}")
    count, neighbours, count_weight = None, 1.0, 1.0
    if kind == "gated" or "Density" in class_of(interaction):
        count = radial_network(child(interaction, "density_fn", where), f"{where}.density_fn", basis, elements, True)
    else:
        neighbours = float(attribute(interaction, "avg_num_neighbors", (int, float), where))
    if kind == "gated":
        neighbours, beta = (float(array(interaction, name, where)) for name in ("alpha", "beta"))
        if not neighbours > 0:
            refuse(where, f"its alpha is {neighbours}, expected a number above 0")
        count_weight = beta / neighbours
    linear = e3nn.linear(
        child(interaction, "linear_1" if kind == "gated" else "linear", where), f"{where}.linear of the sums"
    )
    skip_module = child(interaction, "skip_tp", where)
    skip = (e3nn.linear if kind == "gated" else e3nn.by_element)(skip_module, f"{where}.skip_tp")
    use_sc = attribute(product, "use_sc", bool, where_product)
    if kind != "species" and not use_sc:
        refuse(where_product, "it leaves the state before out (use_sc = False) behind a residual interaction")
    contraction = child(product, "symmetric_contractions", where_product)
    U, W, channels, rounding = _contractions(contraction, f"{where_product}.symmetric_contractions")
    mix = e3nn.linear(child(product, "linear", where_product), f"{where_product}.linear")
    return Level(
        kind=kind, up=sent, network=network, products=tensor, columns=columns, widths=widths, rows=rows,
        linear=by_l(linear), skip=by_l(skip), neighbours=neighbours, count=count, count_weight=count_weight,
        gated=_gated(interaction, where) if kind == "gated" else None,
        tensors=U, rounding=rounding, weights=W, mix=by_l(mix), channels=channels,
        parities={*up, *((l, p) for _, l, p in parts), *linear, *mix},
    )  # fmt: skip


def _gated(interaction, where):
    residual, second = (
        e3nn.linear(child(interaction, name, where), f"{where}.{name}") for name in ("linear_res", "linear_2")
    )
    factors = gate_factors(child(interaction, "equivariant_nonlin", where), f"{where}.equivariant_nonlin")
    return Gated(by_l(residual), factors, by_l(second))


def _products(module, where):
    """The products, with parts of the state by l; the parts."""
    found, inputs, outputs = e3nn.products(module, where)
    ls = [l for _, l, _ in inputs]
    if len(set(ls)) != len(ls) or 0 not in ls:
        refuse(where, "the states that are sent do not have one part at most for l = 0, 1, ...")
    return [p._replace(part=ls[p.part]) for p in found], inputs, outputs


def by_l(matrices: dict[tuple[int, int], np.ndarray]) -> Matrices:
    """The same without parities, which belong to l."""
    return {l: matrix for (l, _), matrix in matrices.items()}


def _contractions(module, where):
    """U tensors and weights by l of the output, channels, rounding of the tensors."""
    if not module.path.startswith("mace."):
        refuse(where, f"a {module.path} has no tensors U; {CUEQUIVARIANCE}")
    outputs = e3nn.irreps(attributes(module).get("irreps_out"), where)
    contractions = list(children(child(module, "contractions", where)).values())
    if [l for _, l, _ in outputs] != list(range(len(outputs))) or len(contractions) != len(outputs):
        kinds = " + ".join(f"{n}x{l}{'e' if p > 0 else 'o'}" for n, l, p in outputs)
        refuse(
            where, f"its outputs {kinds[:80]} are not one part for l = 0, 1, ...; states of both parities are not known"
        )
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
                refuse(at, f"it has no tensor U_matrix_{factors}; {CUEQUIVARIANCE}")
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
