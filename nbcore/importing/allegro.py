"""Weights of Allegro (mir-group, MIT; read as nequip-allegro 0.8.3 writes them) as a potential.

They come as arrays by Allegro's own names and the arguments of its `AllegroModel`.
"""

import re
from collections.abc import Mapping

import numpy as np

from nbcore.errors import InputError
from nbcore.importing.e3nn_weights import OURS, sign
from nbcore.importing.nequip import Reader
from nbcore.potential import Potential
from nbcore.presets.allegro import Widths, allegro_gates, tensors

#: arguments of AllegroModel that change nothing here, or are read; others are refused
READ = {
    "r_max", "type_names", "l_max", "parity", "num_layers", "num_scalar_features", "num_tensor_features",
    "radial_chemical_embed", "radial_chemical_embed_dim", "scalar_embed_mlp_hidden_layers_depth",
    "scalar_embed_mlp_hidden_layers_width", "allegro_mlp_hidden_layers_depth", "allegro_mlp_hidden_layers_width",
    "readout_mlp_hidden_layers_depth", "readout_mlp_hidden_layers_width", "tp_path_channel_coupling",
    "weight_individual_irreps", "avg_num_neighbors", "per_type_energy_scales", "per_type_energy_shifts",
    "per_type_energy_scales_trainable", "per_type_energy_shifts_trainable", "forward_normalize", "seed", "model_dtype",
    "version", "do_derivatives",
}  # fmt: skip
FUNCTIONS = ("scalar_embed_mlp_nonlinearity", "allegro_mlp_nonlinearity", "readout_mlp_nonlinearity")
EMBEDDINGS = {"TwoBodyBesselScalarEmbed": "bessel", "TwoBodySplineScalarEmbed": "windows"}


def from_allegro(arguments: Mapping, weights: Mapping[str, np.ndarray]) -> Potential:
    """The potential of an Allegro model. arguments: of `AllegroModel`. weights: its state, names as they are.

    Energies and forces are the model's to rounding. Raises InputError for arguments and weights that are not known.
    """
    strangers = sorted(k for k, v in arguments.items() if k not in READ and v is not None
                       and not (k in FUNCTIONS and v == "silu"))  # fmt: skip
    if strangers:
        raise InputError(f"Allegro: {', '.join(strangers)}: nbcore does not know what this changes")
    if arguments.get("forward_normalize", True) is not True:
        raise InputError("Allegro: forward_normalize = False divides by the other width, which nbcore does not read")
    return _Reader(arguments, weights).potential()


class _Reader(Reader):
    program = "Allegro"

    def __init__(self, arguments, weights):
        self.arguments = {"parity": True, "num_layers": 2, "num_tensor_features": 16, **arguments}
        self.read_weights(weights)
        self.l_max, self.products = int(self.arguments["l_max"]), int(self.arguments["num_layers"])
        self.odd, self.channels = bool(self.arguments["parity"]), int(self.arguments["num_tensor_features"])

    def potential(self):
        species = self.order_of_species()
        n = len(species)
        if self.get("edge_norm._rmax_recip").size != 1:
            raise InputError(
                "Allegro: per_edge_type_cutoff: nbcore's radial functions have one cutoff for all elements"
            )
        radial, pair = self.pair(n)
        two_body = self.perceptron("scalar_embed_mlp.mlp_module")
        latents = [self.perceptron(f"allegro.latents.{k}") for k in range(self.products)]
        readout = self.perceptron("edge_readout.mlp_module", 1)
        scalars = latents[-1][-1].shape[1]
        widths = Widths(self.channels, scalars, pair.shape[-1], *(_widths(m) for m in (two_body, latents[0], readout)))
        coupling = "channels" if self.arguments.get("tp_path_channel_coupling", True) else "paths"
        if two_body[-1].shape[1] != scalars:
            raise InputError(f"Allegro: the first perceptron has {two_body[-1].shape[1]} scalars, layers {scalars}")
        program = allegro_gates(radial, widths, self.products, self.l_max, "o3", self.odd, coupling, self.neighbours())
        shifts, scales = (self.per_type(f"per_type_energy_scale_shift.{name}", default)
                          for name, default in (("shifts", 0.0), ("scales", 1.0)))  # fmt: skip
        options = {"cutoff": radial["cutoff"], "channels": self.channels, "scalars": scalars,
                   "products": self.products, "l_harmonics": self.l_max}  # fmt: skip
        self.made = Potential({
            "preset": "allegro", "options": options, "species": species, "cutoff": radial["cutoff"], "program": program,
            "E0s": dict(zip(species, map(float, shifts), strict=True)),
            "about": {"origin": f"Allegro {self.arguments.get('version', '')}".strip()},
        })  # fmt: skip
        self.put("pair.W", pair * np.sqrt(pair.shape[2]))
        self.put_hidden("two_body", two_body)
        self.put_matrix("two_body", two_body[-1], len(two_body) > 1)
        self.put_matrix("tensor_weights", self.by_l(self.perceptron("tensor_embed.env_embed_linear")[0]))
        projection = self.perceptron("allegro.first_layer_env_embed_projection")[0]
        self.put_matrix("x0", projection[:, :scalars])
        self.put_matrix("weights1", self.by_l(projection[:, scalars:]))
        state = tensors(self.l_max, "o3", self.odd, self.products)
        for k, latent in enumerate(latents, start=1):
            self.put_product(k, state[k - 1], state[k], coupling)
            self.put_hidden(f"latent{k}", latent)
            self.put_matrix(f"x{k}", latent[-1][:, :scalars], len(latent) > 1)
            if k < self.products:
                self.put_matrix(f"weights{k + 1}", self.by_l(latent[-1][:, scalars:]), len(latent) > 1)
        self.put_hidden("readout", readout)
        last = readout[-1]
        if len(readout) == 1:
            self.put_matrix("readout", last)
            last = np.ones((1, 1))
        self.put_matrix("energy", last[None] * scales[:, None, None], len(readout) > 1)
        self.check_left()
        return self.made

    def pair(self, n):
        """The radial functions, and their weights (centre, neighbour, function, scalar) in nbcore's order."""
        embedding = dict(self.arguments["radial_chemical_embed"])
        kind = EMBEDDINGS.get(str(embedding.pop("_target_", "")).rpartition(".")[2])
        known = (
            {"num_bessels", "bessel_trainable", "polynomial_cutoff_p"}
            if kind == "bessel"
            else {"num_splines", "spline_span"}
        )
        if kind is None or set(embedding) - known:
            raise InputError(
                f"Allegro: radial_chemical_embed: nbcore does not know {self.arguments['radial_chemical_embed']}"
            )
        cutoff = float(self.arguments["r_max"])
        if kind == "windows":
            count, span = int(embedding.get("num_splines", 16)), int(embedding.get("spline_span", 12))
            table = self.get("radial_chemical_embed.spline.class_embed.weight").reshape(n, n, -1, count)
            radial = {"basis": "windows", "n": count, "span": span, "cutoff": cutoff, "envelope": "none"}
            return radial, table.swapaxes(2, 3)[self.order][:, self.order]
        count, where = int(embedding.get("num_bessels", 8)), "radial_chemical_embed"
        radial = {"basis": "bessel", "n": count, "cutoff": cutoff, "envelope": "polynomial",
                  "power": int(embedding.get("polynomial_cutoff_p", 6))}  # fmt: skip
        frequencies = self.get(f"{where}.bessel_encode.bessel_weights").ravel()
        if not np.array_equal(frequencies, np.arange(1, count + 1)):
            radial["frequencies"] = frequencies.tolist()
        linear = self.perceptron(f"{where}.type_embed.basis_linear")[0]
        centre, neighbour = (
            self.get(f"{where}.type_embed.{name}_embed.weight")[self.order] for name in ("center", "neighbor")
        )
        half = centre.shape[1]
        types = np.zeros((n, n, 2 * half))  # of both elements: scalars of the one, then of the other
        types[:, :, :half], types[:, :, half:] = centre[:, None], neighbour[None]
        # nbcore's functions have sqrt(2 / cutoff) before the sine, theirs cutoff / pi
        return radial, types[:, :, None, :] * linear * (cutoff / np.pi * np.sqrt(cutoff / 2))

    def by_l(self, matrix):
        """Columns by l and then channel, from theirs by channel and then l; or the same for every l."""
        if self.arguments.get("weight_individual_irreps", True):
            return matrix.reshape(len(matrix), self.channels, -1).swapaxes(1, 2).reshape(len(matrix), -1)
        return np.tile(matrix, (1, self.l_max + 1))

    def put_product(self, k, before, after, coupling):
        """The weights of a product, by path: with the signs of e3nn's coupling tensors, which the file has."""
        name = f"allegro.tps.{k - 1}"
        weights, couplings = self.get(f"{name}.weights"), self.get(f"{name}.w3j")
        kinds = [[(int(part[:-1]), 1 if part[-1] == "e" else -1) for part in state] for state in (before, after)]
        environment = [(l, (-1) ** l) for l in range(self.l_max + 1)]
        # theirs: even parts before odd ones of the same l
        ours = [
            paths(*kinds, environment),
            paths(*(sorted(state, key=lambda part: (part[0], -part[1])) for state in kinds), environment),
        ]
        if couplings.ndim == 2 + (len(ours[1]) > 1):  # of products of equal components alone
            couplings = np.einsum("...ik,ij->...ijk", couplings, np.eye(couplings.shape[-2]))
        places = [_places(sorted(kinds[0], key=lambda part: (part[0], -part[1]))), _places(environment),
                  _places(sorted(kinds[1], key=lambda part: (part[0], -part[1])))]  # fmt: skip
        columns = weights.reshape(-1, len(ours[1]))
        couplings = couplings.reshape(len(ours[1]), *couplings.shape[-3:])
        signed = {}
        for p, (a, b, c) in enumerate(ours[1]):
            block = couplings[p][places[0][a], places[1][b], places[2][c]] / np.sqrt(2 * c[0] + 1)
            signed[a, b, c] = columns[:, p] * sign(a[0], b[0], c[0], {(a[0], b[0], c[0]): block})
        into = {c: sum(path[2] == c for path in signed) for c in kinds[1]}
        found = np.stack([signed[path] * np.sqrt(into[path[2]]) for path in ours[0]])
        self.put(f"V{k}.w", found if coupling == "channels" else found[:, 0])

    def put_hidden(self, name, matrices):
        for k, matrix in enumerate(matrices[:-1], start=1):
            self.put_matrix(f"{name}_{k}", matrix, k > 1)

    def put_matrix(self, gate, matrix, behind_function=False):
        """nbcore divides by the root of the fan-in, and its function has a factor."""
        self.put(f"{gate}.W0e", matrix * np.sqrt(matrix.shape[-2]) / (OURS["silu"] if behind_function else 1))

    def put(self, name, values):
        where, shape = self.made.parameter_slices[name]
        if values.size != np.prod(shape):
            raise InputError(f"Allegro: {name}: expected the shape {tuple(shape)}, got {values.shape}")
        self.made.parameters[where] = values.ravel()

    def check_left(self):
        ignored = re.compile(r".*(spline\.(lower|upper)|alpha|norm_const|_rtoi)$")
        left = [
            name for name, x in self.weights.items() if x.size and name not in self.used and not ignored.match(name)
        ]
        if left:
            raise InputError(f"Allegro: weights {', '.join(left)}: nbcore does not know what they do")


def paths(before, after, environment):
    """(part before, of the environment, after) of every product, by the part after, then the others."""
    return [(a, b, c) for c in after for a in before for b in environment
            if abs(a[0] - b[0]) <= c[0] <= a[0] + b[0] and a[1] * b[1] == c[1]]  # fmt: skip


def _places(parts):
    found, at = {}, 0
    for part in parts:
        found[part] = slice(at, at + 2 * part[0] + 1)
        at += 2 * part[0] + 1
    return found


def _widths(matrices):
    return [m.shape[1] for m in matrices[:-1]]
