"""Examples of every gate for the battery. A new gate brings a function here: rng -> Example.

The options are drawn at random, channel and radial counts mostly off the multiples of the register width.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np

CUTOFF = 4.0
N_SPECIES = 3
BASES = ["bessel", "chebyshev", "gaussian", "inverse_gaussian", "inverse_power"]
FUNCTIONS = ["silu", "tanh", "ssp", "softplus"]  # smooth ones: differences say nothing of celu near its kink
ENVELOPES = ["polynomial", "cosine", "smooth"]


@dataclass
class Example:
    spec: dict  #: the gate as in a program
    inputs: list = field(
        default_factory=list
    )  #: states, lists of parts (l, parity, channels) or (l, parity, groups, group) or (.., .., .., .., complex)
    parity: str = "o3"


def channels(rng):
    return int(rng.choice([1, 2, 3, 5, 8, 9, 13, 16, 17, 33]))


def natural(l, parity):  # noqa: E741
    return 0 if parity == "so3" else (-1) ** l


def radial(rng):
    """A radial basis whose functions are of order one."""
    basis = {"basis": str(rng.choice(BASES)), "n": int(rng.choice([1, 3, 4, 7, 8, 9, 12])), "cutoff": CUTOFF}
    basis["envelope"] = str(rng.choice(ENVELOPES))
    if basis["envelope"] == "polynomial":
        basis["power"] = int(rng.integers(3, 8))
    if basis["basis"] == "chebyshev":
        basis["decay"] = float(rng.choice([0.0, 2.5]))
    if basis["basis"] == "inverse_power":
        basis["first"] = int(rng.integers(-1, 4))
    if rng.random() < 0.3:
        basis |= {"transform": str(rng.choice(["agnesi", "soft"])), "radii": rng.uniform(0.5, 1.5, N_SPECIES).tolist()}
    if basis["basis"] in ("gaussian", "inverse_gaussian") and rng.random() < 0.3:
        basis |= {
            "centres": rng.uniform(0.1, 2.0, basis["n"]).tolist(),
            "widths": rng.uniform(0.3, 1.0, basis["n"]).tolist(),
        }
    if rng.random() < 0.4:
        basis["layers"] = rng.choice([1, 3, 8, 11, 17], size=rng.integers(1, 4)).tolist()
        basis["last_layer"] = str(rng.choice(["silu", "linear"]))
        basis["envelope_of"] = str(rng.choice(["basis", "network"]))
        kind = rng.random()
        if kind < 0.3:
            basis |= {"network": "biased", "function": str(rng.choice(["silu", "ssp"]))}
        elif kind < 0.7:
            basis |= {"network": "normalised", "layers": rng.choice([5, 8, 11, 17], size=rng.integers(1, 3)).tolist()}
    if basis["basis"] == "bessel" and rng.random() < 0.3:
        basis["frequencies"] = rng.uniform(0.5, 4.5, basis["n"]).tolist()
    return basis


def density(rng):
    l_max = int(rng.integers(0, 5))
    spec = dict(gate="density", l_max=l_max, l_min=int(rng.integers(0, l_max + 1)), radial=radial(rng), scale=0.7)
    spec |= dict(l_step=int(rng.integers(1, 3)), by_species=bool(rng.random() < 0.7))
    return Example(spec, [], str(rng.choice(["o3", "so3"])))


def zeroth_order(rng):
    parity, n = str(rng.choice(["o3", "so3"])), channels(rng)
    mode, is_complex = str(rng.choice(["mix", "all"])), bool(rng.random() < 0.4)
    ls = [0, *sorted(rng.choice([1, 2, 3], size=rng.integers(0, 4), replace=False).tolist())]
    parts = [(l, natural(l, parity)) for l in ls]
    if parity == "o3" and rng.random() < 0.5:
        l = int(rng.integers(0, 3))
        parts.append((l, -natural(l, parity)))  # an axial part
    if mode == "mix" and rng.random() < 0.3:  # parts of any width, of one group
        widths = [(1, channels(rng), bool(rng.random() < 0.4)) for _ in parts]
    elif mode == "all" and rng.random() < 0.5:  # as products of states have them: parts of any width
        widths = [(int(rng.integers(1, 3)), channels(rng), bool(rng.random() < 0.4)) for _ in parts]
    else:
        widths = [(1, n, is_complex)] * len(parts)
    parts = [(*part, g * (1 + c), width, c) for part, (g, width, c) in zip(parts, widths, strict=True)]
    l_max = int(rng.integers(0, 5))
    spec = dict(
        gate="zeroth_order", l_max=l_max, l_min=int(rng.integers(0, min(l_max, 2) + 1)), l_out=int(rng.integers(1, 5))
    )
    spec |= dict(radial=radial(rng), radial_mode=mode, scale=0.3, l_step=int(rng.integers(1, 3)))
    spec |= dict(parities=str(rng.choice(["natural", "all"])))
    if min(abs(l - k) for l in ls for k in range(l_max, spec["l_min"] - 1, -spec["l_step"])) > spec["l_out"]:
        spec |= dict(l_min=0, l_step=1)
    if spec["l_min"] <= spec["l_out"] and rng.random() < 0.3:  # the species of the children in the place of states
        return Example(spec | dict(channels=n, l_step=1), [], parity)
    return Example(spec, [parts], parity)


def edge_network(rng):
    parity, n = str(rng.choice(["o3", "so3"])), channels(rng)
    spec = dict(gate="edge_network", channels=n, function=str(rng.choice(FUNCTIONS)), scale=0.4, radial=radial(rng))
    for key in ("layers", "last_layer", "network", "function", "envelope_of"):
        spec["radial"].pop(key, None)
    part = (0, natural(0, parity), channels(rng))
    spec["skip"] = bool(rng.random() < 0.5)
    return Example(spec, [[part]] + [[(0, natural(0, parity), n)]] * spec["skip"], parity)


def embedding(rng):
    return Example(dict(gate="embedding", channels=channels(rng)), [], str(rng.choice(["o3", "so3"])))


def affine(rng):
    """Any real state; scales and shifts of all nodes or per species."""
    parity = str(rng.choice(["o3", "so3"]))
    spec = dict(gate="affine", share=str(rng.choice(["species", "all"])), shift=bool(rng.integers(2)))
    parts = [(int(l), 0 if parity == "so3" else int(rng.choice([-1, 1])), int(rng.integers(1, 3)), channels(rng))
             for l in rng.integers(0, 3, size=rng.integers(1, 5))]  # fmt: skip
    return Example(spec, [parts], parity)


def zeroth_order_dots(rng):
    parity, n = str(rng.choice(["o3", "so3"])), channels(rng)
    inputs = []
    for t in range(int(rng.integers(1, 4))):
        ls = [0, *sorted(rng.choice([1, 2, 3, 4], size=rng.integers(0, 3), replace=False).tolist())]
        inputs.append([(k, natural(k, parity), n if t == 0 else channels(rng)) for k in ls])
        if t > 0:
            inputs[-1].append((1, natural(0, parity), 2, 5))  # any parity and groups: only its dots are looked at
    l_max = int(rng.integers(0, 4))
    spec = dict(gate="zeroth_order_dots", l_max=l_max, l_min=int(rng.integers(0, min(l_max, 1) + 1)))
    spec |= dict(l_out=int(rng.integers(1, 5)), radial=radial(rng), scale=0.3)
    return Example(spec, inputs, parity)


def first_order_relative(rng):
    parity, full = str(rng.choice(["o3", "so3"])), bool(rng.random() < 0.5)
    n = int(rng.choice([1, 2, 3, 5])) if full else channels(rng)
    ls = sorted(rng.choice(3, size=rng.integers(1, 4), replace=False).tolist())
    spec = dict(gate="first_order_relative", l_max=int(rng.integers(2, 4)), l_out=int(rng.integers(0, 3)), scale=0.3)
    spec |= dict(radial=radial(rng), radial_mode=str(rng.choice(["mix", "all"])), channels="all" if full else "same")
    return Example(spec, [[(l, natural(l, parity), n) for l in ls]], parity)


def cluster_basis(rng):
    """Numbers of order one, several groups and nodes beyond a register; all that three factors of l = 3 can be."""
    parity, (groups, n) = str(rng.choice(["o3", "so3"])), [(1, 3), (2, 2), (1, 9), (3, 1)][rng.integers(4)]
    ls = sorted(rng.choice(4, size=rng.integers(2, 5), replace=False).tolist())
    l_max, n_max = [
        ([0, 3], [n, n]),
        ([0, 3, 2], [9, 2, 1]),
        ([0, 1, 1, 2], [1] * 4),
        ([0, 1, 1, 1, 1], [2] + [1] * 4),
    ][rng.integers(4)]
    if len(l_max) > 3:
        ls = [0, 1, 2]
    state = [(l, natural(l, parity), groups, n) for l in ls]
    return Example(dict(gate="cluster_basis", l_max=l_max, n_max=n_max), [state], parity)


def finnis_sinclair(rng):
    """Odd powers, and the shifted form of x itself: others have a corner at zero that differences find."""
    parity, n = str(rng.choice(["o3", "so3"])), channels(rng)
    form = str(rng.choice(["smooth", "shifted"]))
    exponents = rng.choice([1.0, 3.0], n).tolist() if form == "smooth" else [1.0] * n
    spec = dict(gate="finnis_sinclair", form=form, exponents=exponents)
    return Example(spec, [[(0, natural(0, parity), n)]], parity)


def self_product(rng):
    parity, n = str(rng.choice(["o3", "so3"])), channels(rng)
    ls = sorted(rng.choice(4, size=rng.integers(1, 5), replace=False).tolist())
    spec = dict(gate="self_product", l_max=int(rng.integers(ls[0], 4)), correlation=int(rng.integers(1, 4)))
    return Example(spec, [[(l, natural(l, parity), n) for l in ls]], parity)


def tensor_product(rng):
    """A state with itself or two states, by sets as the sums over s come from zeroth_order or from density, or channel
    by channel; real or complex."""
    parity, sets = str(rng.choice(["o3", "so3"])), int(rng.integers(1, 4))
    over, pairs = str(rng.choice(["groups", "channels"])), str(rng.choice(["all", "same"]))
    width = int(rng.choice([1, 3, 8, 11]))  # of channel by channel, the same everywhere

    def state():
        parts = []
        for l in sorted(rng.choice(4, size=rng.integers(1, 4), replace=False).tolist()):
            n, is_complex = int(rng.integers(1, 4)), bool(rng.random() < 0.4)
            groups, group = (n * sets, 5) if over == "groups" else (n, sets)
            if pairs == "same":
                groups, group = (sets, width) if over == "groups" else (1, sets * width)
            odd = parity == "o3" and rng.random() < 0.2
            parts.append((l, (-1) ** odd * natural(l, parity), groups * (1 + is_complex), group, is_complex))
        return parts

    spec = dict(gate="tensor_product", l_max=int(rng.integers(0, 5)), n_blocks=sets, blocks_over=over, pairs=pairs)
    spec |= dict(algebra=str(rng.choice(["real", "complex"])), conjugate=bool(rng.random() < 0.3))
    inputs = [state() for _ in range(rng.integers(1, 3))]
    nearest = min(abs(a[0] - b[0]) for a in inputs[0] for b in inputs[-1])
    spec |= dict(l_max=max(nearest + 1, spec["l_max"]), parities="all" if rng.random() < 0.5 else "natural")
    if parity == "o3" and not any(natural_outputs(a, b, spec["l_max"]) for a in inputs[0] for b in inputs[-1]):
        spec["parities"] = "all"
    return Example(spec, inputs, parity)


def natural_outputs(a, b, l_max):
    """The l of natural parity in the product of two parts of O(3)."""
    return [l for l in range(abs(a[0] - b[0]), min(a[0] + b[0], l_max) + 1) if a[1] * b[1] == (-1) ** l]


def mix(rng):
    parity = str(rng.choice(["o3", "so3"]))
    if rng.random() < 0.3:
        return tied_mix(rng, parity)
    states = []
    for _ in range(rng.integers(1, 4)):
        state = [
            (int(l), 0 if parity == "so3" else int(rng.choice([-1, 1])), 2 * int(rng.integers(1, 3)), channels(rng),
             bool(rng.random() < 0.5)) for l in rng.integers(0, 4, size=rng.integers(1, 5))
        ]  # fmt: skip
        states.append([(0, natural(0, parity), 1, channels(rng)), *state])
    spec = dict(
        gate="mix", channels=channels(rng), l_max=int(rng.integers(0, 4)), share=str(rng.choice(["all", "species"]))
    )
    spec |= dict(algebra=str(rng.choice(["real", "complex"])), parities=str(rng.choice(["all", "natural"])))
    kept = {(part[0], part[1]) for state in states for part in state if part[0] <= spec["l_max"]}
    if spec["parities"] == "natural":
        kept = {(l, p) for l, p in kept if p == natural(l, parity)}
    if rng.random() < 0.5:
        spec["shares"] = rng.choice(["all", "species"], size=len(states)).tolist()
    if rng.random() < 0.5:
        spec["widths"] = [channels(rng) for _ in kept]
    widths = spec.get("widths", [spec["channels"]] * len(kept))
    if rng.random() < 0.3:  # the last input is one like the output
        planes = 1 + (spec["algebra"] == "complex")
        like = [(*part, planes, n, planes == 2) for part, n in zip(sorted(kept), widths, strict=True)]
        states, spec["skip"] = [*states, like], True
    if spec["algebra"] == "real":
        spec["bias"] = str(rng.choice(["none", "all", "species"]))
        groups = int(rng.choice([1, 2, 3]))
        if not spec.get("skip") and all(width % groups == 0 for width in widths):
            spec["groups"] = groups
    return Example(spec | dict(gain=rng.uniform(0.5, 2, len(kept)).tolist()), states, parity)


def tied_mix(rng, parity):
    """One matrix for all parts; inputs of any width and kind that have even scalars."""
    is_complex = bool(rng.random() < 0.4)
    states = []
    for _ in range(rng.integers(1, 4)):
        planes, width = 1 + is_complex, channels(rng)
        kinds = {(0, natural(0, parity))} | {
            (int(k), 0 if parity == "so3" else int(rng.choice([-1, 1]))) for k in rng.integers(0, 4, size=3)
        }
        states.append([(*kind, planes, width, is_complex) for kind in sorted(kinds)])
    spec = dict(gate="mix", tied=True, channels=channels(rng), l_max=3, share=str(rng.choice(["all", "species"])))
    if is_complex:
        spec["algebra"] = "complex"
    else:
        spec["bias"] = str(rng.choice(["none", "all", "species"]))
    if rng.random() < 0.5:
        spec["shares"] = rng.choice(["all", "species"], size=len(states)).tolist()
    n_out = len({part[:2] for state in states for part in state})
    return Example(spec | dict(gain=rng.uniform(0.5, 2, n_out).tolist()), states, parity)


def activation(rng):
    parity = str(rng.choice(["o3", "so3"]))
    parities = [0, 0] if parity == "so3" else rng.choice([-1, 1], size=2).tolist()
    spec = dict(gate="activation", function=str(rng.choice(FUNCTIONS)))
    return Example(spec, [[(0, p, channels(rng)) for p in parities]], parity)


def gated(rng):
    """Any state with a part of l > 0; its gates in parts that do not end where those of the state do."""
    parity = str(rng.choice(["o3", "so3"]))
    state = [(int(l), 0 if parity == "so3" else int(rng.choice([-1, 1])), 2 * int(rng.integers(1, 3)), channels(rng),
              bool(rng.random() < 0.3)) for l in rng.integers(0, 4, size=rng.integers(1, 5))]  # fmt: skip
    state.insert(int(rng.integers(0, len(state) + 1)), (1, natural(1, parity), 1, channels(rng)))
    n = sum(part[2] * part[3] for part in state if part[0] > 0)
    cuts = [0, *sorted(set(rng.integers(1, n + 1, size=2).tolist()) - {n}), n]
    gates = [(0, natural(0, parity), 1, b - a) for a, b in itertools.pairwise(cuts)]
    functions = {option: str(rng.choice(names)) for option, names in [("function", FUNCTIONS),
                 ("gate_function", [*FUNCTIONS, "sigmoid"])]}  # fmt: skip
    return Example(dict(gate="gated", **functions), [state, gates], parity)


def norm_activation(rng):
    parity = str(rng.choice(["o3", "so3"]))
    parts = [(int(k), 0 if parity == "so3" else int(rng.choice([-1, 1])), int(rng.integers(1, 3)), channels(rng))
             for k in rng.integers(0, 4, size=rng.integers(1, 5))]  # fmt: skip
    spec = dict(gate="norm_activation", function=str(rng.choice([*FUNCTIONS, "sigmoid"])))
    spec |= dict(form=str(rng.choice(["times", "unit"])), scalars=str(rng.choice(["function", "norm"])))
    return Example(spec | dict(epsilon=float(rng.choice([0.3, 1.0]))), [parts], parity)


def normalise(rng):
    """Any state; the scalar, drawn from a normal distribution, stays far above -offset."""
    parity = str(rng.choice(["o3", "so3"]))
    state = [(int(l), 0 if parity == "so3" else int(rng.choice([-1, 1])), 2 * int(rng.integers(1, 3)), channels(rng),
              bool(rng.random() < 0.3)) for l in rng.integers(0, 4, size=rng.integers(1, 5))]  # fmt: skip
    return Example(dict(gate="normalise", offset=10.0), [state, [(0, natural(0, parity), 1)]], parity)


def norm(rng):
    parity = str(rng.choice(["o3", "so3"]))
    parts = [(int(l), 0 if parity == "so3" else int(rng.choice([-1, 1])), int(rng.integers(1, 3)), channels(rng))
             for l in rng.integers(0, 4, size=rng.integers(1, 5))]  # fmt: skip
    spec = dict(gate="norm", epsilon=float(rng.choice([0.1, 1.0])))
    if rng.random() < 0.5:
        parts = [(*part[:2], *parts[0][2:]) for part in [*parts, (1, natural(1, parity))]]
        spec["weighted"] = True
    return Example(spec, [parts], parity)


INVARIANTS = ["", "i,i", "ij,ij", "i,ij,j", "ijk,ijk", ",i,i", "i,i,j,j", "i,ij,jk,k", "ij,ijk,abk,ab"]


def invariants(rng):
    parity, n = str(rng.choice(["o3", "so3"])), channels(rng)
    ls = [0, *sorted(rng.choice([1, 2, 3], size=rng.integers(1, 4), replace=False).tolist())]
    spec = dict(gate="invariants", l_max=int(rng.integers(0, 4)), n_max=int(rng.integers(1, 5)))
    if rng.random() < 0.5:
        able = [term for term in INVARIANTS if all(len(f) in ls for f in term.split(","))]
        spec["terms"] = rng.choice(able, size=min(3, len(able)), replace=False).tolist()
    return Example(spec, [[(k, natural(k, parity), n) for k in rng.permutation(ls).tolist()]], parity)


def group_norm(rng):
    """A large epsilon: differences of a norm of two or three channels are hopeless otherwise."""
    parity = str(rng.choice(["o3", "so3"]))
    part = (0, natural(0, parity), int(rng.integers(1, 4)), max(2, channels(rng)))
    return Example(dict(gate="group_norm", epsilon=float(rng.choice([0.3, 1.0]))), [[part]], parity)


def triplet(rng):
    form, n = str(rng.choice(["wide", "narrow", "ani"])), channels(rng)
    envelopes = (
        ENVELOPES if form != "narrow" else ["polynomial", "smooth"]
    )  # r_jk passes the cutoff, where cosine is C1
    spec = dict(gate="triplet", form=form, cutoff=CUTOFF, envelope=str(rng.choice(envelopes)), scale=0.7)
    spec |= dict(eta=rng.choice([0.05, 0.3, 1.0], size=n).tolist())
    if form != "narrow":  # there a shift has a kink at r_jk = 0
        spec |= dict(shift=rng.choice([0.0, 0.5, 2.0], size=n).tolist())
    if form == "ani":
        spec |= dict(angle=rng.uniform(0.2, 2.9, n).tolist(), zeta=rng.choice([1.0, 4.0, 6.5, 14.1], size=n).tolist())
    else:
        spec |= {
            "lambda": rng.choice([-1.0, 1.0], size=n).tolist(),
            "zeta": rng.choice([1.0, 2.0, 5.0], size=n).tolist(),
        }
    return Example(spec, [], str(rng.choice(["o3", "so3"])))


def edge_weights(rng, parity, l_max):
    """Scalars of edges, a group of channels for each l."""
    return [(0, natural(0, parity), l_max + 1, channels(rng))]


def edge_tensors(rng):
    parity, l_max = str(rng.choice(["o3", "so3"])), int(rng.integers(0, 6))
    return Example(dict(gate="edge_tensors", l_max=l_max), [edge_weights(rng, parity, l_max)], parity)


def environment(rng):
    parity, l_max = str(rng.choice(["o3", "so3"])), int(rng.integers(0, 6))
    return Example(dict(gate="environment", l_max=l_max, scale=0.3), [edge_weights(rng, parity, l_max)], parity)


def edge_embedding(rng):
    return Example(dict(gate="edge_embedding", channels=channels(rng), radial=radial(rng)), [],
                   str(rng.choice(["o3", "so3"])))  # fmt: skip


def edge_product(rng):
    parity, n = str(rng.choice(["o3", "so3"])), channels(rng)
    states = []
    for _ in range(2):
        kinds = {(int(l), natural(int(l), parity) * (1 if rng.random() < 0.7 else -1)) for l in rng.integers(0, 4, 3)}
        states.append([(l, p, n) for l, p in sorted(kinds)])
    spec = dict(gate="edge_product", l_max=int(rng.integers(3, 5)), coupling=str(rng.choice(["channels", "paths"])))
    return Example(spec, states, parity)


EXAMPLES = dict(
    activation=activation,
    cluster_basis=cluster_basis,
    density=density,
    edge_network=edge_network,
    edge_embedding=edge_embedding,
    edge_product=edge_product,
    edge_tensors=edge_tensors,
    embedding=embedding,
    environment=environment,
    finnis_sinclair=finnis_sinclair,
    first_order_relative=first_order_relative,
    gated=gated,
    group_norm=group_norm,
    invariants=invariants,
    mix=mix,
    affine=affine,
    norm=norm,
    norm_activation=norm_activation,
    normalise=normalise,
    self_product=self_product,
    tensor_product=tensor_product,
    triplet=triplet,
    zeroth_order=zeroth_order,
    zeroth_order_dots=zeroth_order_dots,
)


def graph(rng, cutoff=CUTOFF):
    """Nodes and edges: forty children of node 0, nobody knows node 1, duplicate pairs, images of a node itself."""
    species = np.sort(rng.integers(0, N_SPECIES, 7)) if rng.random() < 0.7 else np.array([0, 0, 2, 2, 2, 2, 2])
    known = np.array([0, 2, 3, 4, 5, 6])
    parent = [0] * 40 + [2, 2, 2, 3, 6] + rng.choice(known, 12).tolist()
    child = rng.choice(known, 40).tolist() + [3, 3, 2, 3, 6] + rng.choice(known, 12).tolist()
    direction = rng.standard_normal((len(parent), 3))
    direction[:6] = np.vstack([np.eye(3), -np.eye(3)])  # exactly on the axes: the poles of polar coordinates
    length = rng.uniform(0.25 * cutoff, 0.97 * cutoff, len(parent))
    r = length[:, None] * direction / np.linalg.norm(direction, axis=1)[:, None]
    return species, parent, child, r


def size(parts, n_nodes):
    return sum(n_nodes * (2 * part[0] + 1) * int(np.prod(part[2:4])) for part in parts)


def split(state, parts, n_nodes):
    """A flat state as a list of arrays [node][2l+1][channel]."""
    arrays, at = [], 0
    for part in parts:
        shape = (n_nodes, 2 * part[0] + 1, int(np.prod(part[2:4])))
        arrays.append(state[at : at + int(np.prod(shape))].reshape(shape))
        at += int(np.prod(shape))
    assert at == len(state)
    return arrays


def flat(arrays):
    return np.concatenate([a.ravel() for a in arrays])
