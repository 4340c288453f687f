"""Hostile model files, each made by its seed from real ones: changed in structure, sealed again with the right digest.

`fuzz_models.py` gives them to the loader. `seeds(folder)` are the real files, `mutant(seed, blobs)` a hostile one.
"""

import copy
import hashlib
import json
import random
import re
import struct
from pathlib import Path

NUMBERS = [
    0,
    1,
    -1,
    2,
    3,
    7,
    50,
    51,
    64,
    255,
    4096,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32,
    2**53,
    2**62,
    2**63,
    -(2**31),
]
NUMBERS += [0.5, -0.0, 1e-300, 1e300, 1.7976931348623157e308, 10**30]
TEXTS = [
    "",
    "a",
    "H",
    "C",
    "Xx",
    "mix",
    "leaf",
    "zeroth_order",
    "tensor_product",
    "atoms",
    "\x1b[31mred\x1b[0m",
    "\x9b31m",
]
TEXTS += [
    "\u202eevil",
    "[red]x[/red]",
    "[link=x]y",
    "x" * 5000,
    "\x00",
    "\r",
    "é",
    "\U0001f600",
    "../../x",
    "%s%n",
    "64x0e",
]


# ---- files ----


def split(blob):
    """(header, description, [(name, entry, bytes)]) of a model file."""
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    metadata, data = header.pop("__metadata__"), blob[8 + length :]
    arrays = [(name, entry, data[slice(*entry["data_offsets"])]) for name, entry in header.items()]
    return metadata, json.loads(metadata["description"]), arrays


def join(metadata, description, arrays, keep_offsets=False):
    """A sealed file; offsets are made anew, unless they are what was changed."""
    text = description if isinstance(description, str) else json.dumps(description)
    header, offset = {"__metadata__": {**metadata, "sha256": "0" * 64, "description": text}}, 0
    for name, entry, content in arrays:
        offsets = entry.get("data_offsets") if keep_offsets else [offset, offset + len(content)]
        header[name] = {**entry, "data_offsets": offsets}
        offset += len(content)
    return seal(json.dumps(header, separators=(",", ":")), b"".join(content for *_, content in arrays))


def seal(text, data):
    """Length, padded header, data, with the digest in its place."""
    header = text.encode("utf-8", "surrogatepass")
    header += b" " * (-len(header) % 8)
    blob = struct.pack("<Q", len(header)) + header + data
    return blob.replace(b"0" * 64, hashlib.sha256(blob).hexdigest().encode(), 1)


def seeds(folder):
    """Real model files of every preset and of many options, small ones."""
    import numpy as np

    import nbcore
    from nbcore import presets

    made = {
        "nbody": presets.nbody(["H", "C"], 3.0, channels=2, levels=2, l_harmonics=1, n_radial=3),
        "spline": presets.nbody(["H"], 3.0, channels=2, levels=1, l_harmonics=1, n_radial=3, radial_layers=[4, 3]),
        "kondor": presets.kondor(["H", "C"], 3.0),
        "cormorant": presets.cormorant(["H", "C"], 3.0, channels=2, levels=1),
        "tree": presets.tree(["H", "C"], 3.0, channels=2),
        "outputs": presets.nbody(["H", "C"], 3.0, channels=2, levels=1, outputs={"dipole": {"rank": 1}}),
    }
    blobs = []
    for name, potential in made.items():
        description = potential.description
        try:
            description["about"] = {"description": "fuzz", "reference": "none", "author": "nobody"}
            description["shortest_distances"] = {"H-C": 1.0}
            description["errors"] = {"test": {"n_structures": 3, "energy_rmse_per_atom": 0.1, "forces_rmse": 0.2}}
            files = [{"name": "a.xyz", "n": 3, "role": "train", "sha256": "0"}]
            description["training"] = {"name": name, "n_train": 3, "n_valid": 0, "files": files}
        except TypeError:  # a read-only view
            pass
        path = Path(folder) / f"{name}.nbcore"
        potential.save(path)
        blobs.append(path.read_bytes())
    unit = {"energy": 1.0, "forces": {"H": 1.0, "C": 1.0}}
    knowing, path = made["nbody"], Path(folder) / "uncertainty.nbcore"
    n = knowing._core.n_features
    whitening = np.broadcast_to(np.eye(n), (2, n, n))
    knowing._core.set_uncertainty(json.dumps({"kind": "last_layer", "largest": unit["forces"], **unit}), whitening)
    committee = nbcore.Committee([made["nbody"], made["nbody"]])
    committee._core.set_scales(json.dumps({"kind": "committee", **unit}))
    for model in (knowing, committee):
        model.save(path, overwrite=True)
        blobs.append(path.read_bytes())
    assert nbcore.load(path)
    return blobs


# ---- mutations ----


def places(value, path=()):
    """All places of a JSON value, as (container, key)."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places(inner, (*path, key))


def anything(rng):
    """A JSON value that nobody expects."""
    kind = rng.randrange(9)
    if kind < 3:
        return rng.choice(NUMBERS)
    if kind < 5:
        return rng.choice(TEXTS)
    if kind == 5:
        return [rng.choice(NUMBERS) for _ in range(rng.choice([0, 1, 2, 3, 17, 1000]))]
    return rng.choice([None, True, False, {}, [], {"a": 1}, [[]], {"": {}}, [{}], ["a"] * 50])


def change_value(rng, tree):
    """One place of the tree: removed, replaced, doubled, renamed, scaled, moved."""
    found = list(places(tree))
    if not found:
        return
    container, key = rng.choice(found)
    how = rng.randrange(8)
    if how == 0:
        del container[key]
    elif how == 1 and isinstance(container, dict):
        container[rng.choice(TEXTS)] = container.pop(key)
    elif how == 2 and isinstance(container, list):
        container.extend([copy.deepcopy(container[key])] * rng.choice([1, 2, 10, 300]))
    elif how == 3 and isinstance(container[key], (int, float)) and not isinstance(container[key], bool):
        container[key] = rng.choice([container[key] + 1, container[key] - 1, -container[key], container[key] * 1000])
    elif how == 4:
        other, place = rng.choice(found)
        container[key] = copy.deepcopy(other[place]) if place in range(len(other)) or isinstance(other, dict) else None
    elif how == 5 and isinstance(container, list):
        rng.shuffle(container)
    else:
        container[key] = anything(rng)


def change_program(rng, metadata, description, arrays):
    """Gates and their options, with arrays of the shapes that follow only by luck."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        change_value(
            rng, description.get("program") if isinstance(description.get("program"), (dict, list)) else description
        )
    return join(metadata, description, arrays)


def chain_of_gates(rng, metadata, description, arrays):
    """Gates that multiply what was multiplied, or widen it: sizes that overflow and memory that is not there."""
    gates = description["program"]["gates"]
    kinds = rng.choice([["tensor_product"], ["mix"], ["self_product"], ["tensor_product", "mix"], ["zeroth_order"]])
    for k in range(rng.choice([1, 2, 3, 5, 30, 1000])):
        last = gates[-1 if rng.random() < 0.8 else rng.randrange(len(gates))]["name"]
        kind = rng.choice(kinds)
        gate = {"name": f"more{k}", "gate": kind, "inputs": [last] * (2 if kind == "tensor_product" else 1)}
        if kind == "mix":
            gate["channels"] = rng.choice([1, 64, 4096, 100000, 2**31 - 1])
        if rng.random() < 0.3:
            gate[rng.choice(["l_out", "l_max", "channels", "correlation", "nodes", "weights"])] = anything(rng)
        if kind == "zeroth_order":
            gate |= {"l_max": rng.choice([1, 3, 10]), "radial": {"cutoff": 3.0, "n": rng.choice([1, 8, 10000])}}
        gates.append(gate)
    return join(metadata, description, arrays)


def change_description(rng, metadata, description, arrays):
    for _ in range(rng.choice([1, 1, 2, 5])):
        change_value(rng, description)
    return join(metadata, description, arrays)


def change_arrays(rng, metadata, description, arrays):
    """Bytes, shapes, types, names, number and order of the arrays; golden cases among them."""
    k = rng.randrange(len(arrays))
    name, entry, content = arrays[k]
    how = rng.randrange(9)
    values = bytearray(content)
    if how == 0:
        del arrays[k]
    elif how == 1:
        arrays[k] = (rng.choice(TEXTS), entry, content)
    elif how == 2:
        arrays[k] = (name, {**entry, "dtype": rng.choice(["F32", "I64", "BOOL", "F64 ", "", "C128"])}, content)
    elif how == 3 and len(values) >= 8:
        at = rng.randrange(len(values) // 8) * 8
        new = rng.choice([float("nan"), float("inf"), 1e308, -1e308, 5e-324, 0.0, 1e9, 0.5, -1.0])
        values[at : at + 8] = struct.pack("<d", new)
        arrays[k] = (name, entry, bytes(values))
    elif how == 4:
        shape = [rng.choice([0, 1, 2, 3, 5, 2**31, 2**61, 2**62]) for _ in range(rng.choice([0, 1, 2, 3, 16, 17, 60]))]
        arrays[k] = (name, {**entry, "shape": shape}, content)
    elif how == 5:
        n = rng.choice([0, 1, 2, 3, 100])
        arrays[k] = (name, {**entry, "shape": [n]}, rng.randbytes(8 * n) if rng.random() < 0.3 else bytes(8 * n))
    elif how == 6:
        for j in range(rng.choice([1, 2, 1000, 20000])):
            arrays.append((f"golden.{j}.positions" if rng.random() < 0.5 else f"more{j}", {**entry, "shape": [0]}, b""))
    elif how == 7:
        rng.shuffle(arrays)
    else:
        entry = copy.deepcopy(entry)
        change_value(rng, entry)
        arrays[k] = (name, entry, content)
        return join(metadata, description, arrays, keep_offsets=True)
    return join(metadata, description, arrays)


def change_text(rng, metadata, description, arrays):
    """The JSON texts themselves: depth, size, repetition, escapes, numbers without end, what is no JSON."""
    n = rng.choice([10, 100, 1000, 30000, 200000])
    many = [json.dumps(item) for item in ({}, [], 0, "", {"a": [0]})]
    odd = rng.choice([
        "[" * n + "]" * n, "[" * n, '{"a":' * n, "1" * n, "1." + "0" * n + "1", "-", "1e999", "NaN", "Infinity", "-0",
        '"' + "\\u202e" * n + '"', '"' + "x" * n + '"', '"\\ud800"', '"\\x"', '"\x01"', "//", "true,", "",
        "{" + ",".join(f'"k{j}":{j}' for j in range(n)) + "}", "{" + ",".join(['"a":1'] * n) + "}",
        "[" + ",".join([rng.choice(many)] * n) + "]",
    ])  # fmt: skip
    text = json.dumps(description)
    at = rng.choice([m.end() for m in re.finditer(r": ", text)] or [0])
    text = (
        text[:at]
        + odd
        + (", " + text[at:] if rng.random() < 0.3 else re.sub(r'^("[^"]*"|[^,}\]]*)', "", text[at:], count=1))
    )
    blob = join(metadata, text, arrays)
    if rng.random() < 0.2:  # the same in the header
        (length,) = struct.unpack("<Q", blob[:8])
        header = blob[8 : 8 + length].decode().rstrip()
        digest = json.loads(header)["__metadata__"]["sha256"]
        blob = seal(header[:-1].replace(digest, "0" * 64) + f',"more":{odd}}}', blob[8 + length :])
    return blob


def change_bytes(rng, blob):
    """Flipped, cut, inserted, doubled bytes; sealed again or not."""
    values = bytearray(blob)
    for _ in range(rng.choice([1, 1, 3, 20])):
        at = rng.randrange(len(values))
        how = rng.randrange(5)
        if how == 0:
            values[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            values[at] = rng.randrange(256)
        elif how == 2:
            del values[at : at + rng.choice([1, 8, 100])]
        elif how == 3:
            values[at:at] = rng.randbytes(rng.choice([1, 8, 64]))
        else:
            values[at : at + 8] = struct.pack("<Q", rng.choice([0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1]))
    if len(values) > 8 and rng.random() < 0.7:
        digest = re.search(rb'"sha256":"([0-9a-f]{64})"', values[:400])
        if digest:
            values[digest.start(1) : digest.end(1)] = b"0" * 64
            values[digest.start(1) : digest.end(1)] = hashlib.sha256(values).hexdigest().encode()
    return bytes(values)


KINDS = [change_program, chain_of_gates, change_description, change_arrays, change_text]


def mutant(seed, blobs):
    """(kind, bytes): the hostile file of this seed."""
    rng = random.Random(seed)
    blob = rng.choice(blobs)
    if rng.random() < 0.15:
        return "change_bytes", change_bytes(rng, blob)
    kind = rng.choice(KINDS)
    try:
        blob = kind(rng, *split(blob))
        if rng.random() < 0.1:
            blob = kind(rng, *split(blob))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError):
        pass  # changed so much that it cannot be changed again
    return kind.__name__, blob
