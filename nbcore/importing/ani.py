"""ANI networks, from the folders that they are published in: .params, sae_*.dat, networks/*.nnf of NeuroChem."""

import bz2
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nbcore.errors import InputError
from nbcore.importing.origin import LICENCE
from nbcore.printable import printable
from nbcore.species import atomic_numbers

if TYPE_CHECKING:
    from nbcore.committee import Committee
    from nbcore.potential import Potential
    from nbcore.presets.ani import Functions

HARTREE = 27.211386245988  #: eV
CELU, LINEAR = 9, 6  #: activations, as the files number them
FACTOR = 1.408  #: of the function celu of the gate `activation`
LARGEST = 64 << 20  #: bytes of a text, unpacked, or of an array


#: of each element its layers, (weights (out, in), biases (out,))
Networks = dict[str, list[tuple[np.ndarray, np.ndarray]]]


def is_ani(path) -> bool:
    """Is it a folder of ANI networks, or the file .params in it?"""
    path = Path(path)
    return path.suffix == ".params" or (path.is_dir() and bool(list(path.glob("*.params"))))


def read_ani(path) -> "Potential | Committee":
    """The potential of a folder of ANI networks; of folders train0, train1, ... in it a committee.

    Raises InputError for what is missing or not known, by file; OSError.
    """
    from nbcore.committee import Committee

    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    species, functions = _functions(_only(folder, "*.params"))
    energies = _atomic_energies(_only(folder, "sae*.dat"), species)
    members = sorted(folder.glob("train*/networks"), key=lambda p: [int(n) for n in re.findall(r"\d+", p.parent.name)])
    made = [
        from_ani(species, functions, {s: _network(member / f"ANN-{s}.nnf") for s in species}, energies)
        for member in members or [folder / "networks"]
    ]
    name = printable(folder.resolve().name)
    for member in made:
        member.annotate(about={"description": f"imported from {name} (ANI)", "licence": LICENCE})
    return made[0] if len(made) == 1 else Committee(made)


def from_ani(
    species: list[str], functions: "Functions", networks: Networks, energies: dict[str, float], unit: float = HARTREE
) -> "Potential":
    """The potential of these functions and networks, whose energies are in `unit` eV, as are the E0s, `energies`.

    species: in the order of the networks' inputs. Elements may differ in widths, not in depth: narrower layers are
    filled up with zeros. Raises InputError for arrays that do not fit.
    """
    from nbcore.potential import Potential
    from nbcore.presets.ani import ani_gates

    depths = {len(layers) for layers in networks.values()}
    if len(depths) != 1:
        raise InputError(f"networks of different depths, {sorted(depths)}, make no potential.")
    hidden = [max(len(layers[k][1]) for layers in networks.values()) for k in range(depths.pop() - 1)]
    ordered = sorted(species, key=lambda s: atomic_numbers([s])[0])
    potential = Potential({
        "preset": "ani", "species": ordered, "cutoff": float(functions.cutoff),
        "options": {"cutoff": functions.cutoff, "angular_cutoff": functions.angular_cutoff, "layers": hidden},
        "program": ani_gates(functions, hidden, "cosine"), "E0s": {s: unit * energies[s] for s in ordered},
    })  # fmt: skip
    inputs = _positions(functions, [ordered.index(s) for s in species])
    for k in range(len(hidden) + 1):
        last = k == len(hidden)
        (where, shape), (bias_where, bias_shape) = (
            potential.parameter_slices[f"{'energy' if last else f'hidden{k + 1}'}.{name}"] for name in ("W0e", "bias")
        )
        W, bias = np.zeros(shape), np.zeros(bias_shape)
        for z, symbol in enumerate(ordered):
            weights, biases = (np.asarray(a, dtype=float) for a in networks[symbol][k])
            n = shape[1] if k == 0 else len(networks[symbol][k - 1][1])
            if weights.shape != (len(biases), n):
                raise InputError(
                    f"{symbol}, layer {k + 1}: expected weights ({len(biases)}, {n}), got {weights.shape}."
                )
            W[z, inputs if k == 0 else slice(n), : len(biases)] = weights.T
            bias[z, : len(biases)] = biases
        scale = unit if last else 1.0
        potential.parameters[where] = scale * math.sqrt(shape[1]) / (1 if k == 0 else FACTOR) * W.ravel()
        potential.parameters[bias_where] = scale * bias.ravel()
    return potential


def _positions(functions, place):
    """For each input of the networks its channel among ours; place: of each of their elements, among ours."""
    n = len(place)
    pairs = [(a, b) for a in range(n) for b in range(a, n)]
    number = {pair: k for k, pair in enumerate(pairs)}
    n_radial, n_angular = len(functions.shifts), len(functions.angles) * len(functions.angular_shifts)
    radial = [place[z] * n_radial + k for z in range(n) for k in range(n_radial)]
    moved = [number[tuple(sorted((place[a], place[b])))] for a, b in pairs]
    return np.array(radial + [n * n_radial + pair * n_angular + k for pair in moved for k in range(n_angular)])


def _only(folder, pattern):
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise InputError(
            f"{folder}: expected one file {pattern}, found {len(found)}. A folder of ANI networks holds it."
        )
    return found[0]


def _text(path):
    data = path.read_bytes()
    if len(data) > LARGEST:
        raise InputError(f"{path}: {len(data)} bytes are too many for a file of ANI.")
    return data.decode("latin-1")


def _functions(path):
    """Elements and functions of a .params file."""
    from nbcore.presets.ani import Functions

    lists = {}
    for line in _text(path).splitlines():
        key, found, value = line.partition("=")
        if found:
            lists[key.strip()] = [word.strip() for word in value.strip().strip("[]").split(",")]

    def numbers(key, count=None):
        try:
            values = [float(word) for word in lists[key]]
        except (KeyError, ValueError):
            raise InputError(f"{path}: there are no numbers {key}.") from None
        if (count is not None and len(values) != count) or not all(map(math.isfinite, values)):
            raise InputError(f"{path}: {key} has {len(values)} numbers; nbcore knows functions with {count}.")
        return values

    if "TM" in lists and numbers("TM", 1) != [1.0]:
        raise InputError(f"{path}: TM = {lists['TM'][0]}; nbcore knows the functions of TM = 1.")
    species = lists.get("Atyp", [])
    if not species or not all(re.fullmatch("[A-Z][a-z]?", s) for s in species):
        raise InputError(f"{path}: there are no elements Atyp.")
    (cutoff,), (angular_cutoff,), (eta,), (angular_eta,), (zeta,) = (
        numbers(key, 1) for key in ("Rcr", "Rca", "EtaR", "EtaA", "Zeta")
    )
    return species, Functions(cutoff, angular_cutoff, eta, numbers("ShfR"), angular_eta, zeta, numbers("ShfZ"),
                              numbers("ShfA"))  # fmt: skip


def _atomic_energies(path, species):
    found = dict(re.findall(r"^\s*([A-Z][a-z]?)\s*,\s*\d+\s*=\s*(\S+)\s*$", _text(path), re.MULTILINE))
    try:
        return {s: float(found[s]) for s in species}
    except (KeyError, ValueError):
        raise InputError(f"{path}: expected an energy for each of {' '.join(species)}.") from None


def _network(path):
    """The layers of a .nnf file: a packed text that names the files of its arrays, single precision."""
    data = path.read_bytes()
    start = data.find(b"=BZh")
    start = data.find(b"\nBZh") if start < 0 else start
    try:
        unpacker = bz2.BZ2Decompressor()
        text = unpacker.decompress(data[start + 1 :], max_length=1 << 20).decode("latin-1") if start >= 0 else None
        text = text if unpacker.eof else None
    except (OSError, EOFError):
        text = None
    if text is None:
        raise InputError(f"{path}: this is no network of ANI, or it is damaged.")
    layers = []
    width = _value(text, "inputsize", path)
    for block in re.findall(r"layer\s*\[(.*?)\n\]", text, re.DOTALL):
        nodes, activation = _value(block, "nodes", path), _value(block, "activation", path)
        last = nodes == 1
        if activation != (LINEAR if last else CELU) or _value(block, "btchnorm", path, 0):
            raise InputError(
                f"{path}: a layer with activation {activation}; nbcore knows celu (9), and linear (6) at the end."
            )
        weights, biases = (_array(path, block, key, n) for key, n in (("weights", nodes * width), ("biases", nodes)))
        layers.append((weights.reshape(nodes, width), biases))
        width = nodes
    if not layers or width != 1:
        raise InputError(f"{path}: expected layers that end in one number, an energy.")
    return layers


def _value(text, key, path, default=None):
    found = re.search(rf"^\s*{key}=(\d+);", text, re.MULTILINE)
    if not found and default is None:
        raise InputError(f"{path}: there is no {key}.")
    return int(found[1]) if found else default


def _array(path, block, key, n):
    found = re.search(rf"^\s*{key}=FILE:([\w.-]+)\[(\d+)\];", block, re.MULTILINE)
    if not found or int(found[2]) != n or 4 * n > LARGEST:
        raise InputError(f"{path}: expected {n} numbers for the {key} of a layer.")
    data = (path.parent / found[1]).read_bytes() if (path.parent / found[1]).stat().st_size == 4 * n else b""
    values = np.frombuffer(data, dtype="<f4").astype(float)
    if len(values) != n or not np.isfinite(values).all():
        raise InputError(f"{path.parent / found[1]}: expected {n} finite numbers of single precision.")
    return values
