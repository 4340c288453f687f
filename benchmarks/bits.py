"""Whether a change keeps all bits: digests of energies, forces, virials, outputs and loss gradients of every preset.

    python benchmarks/bits.py --record before.json     # on one commit
    python benchmarks/bits.py --check before.json      # on the next: names what differs, and ends with 1

The structures are made here, by one generator of fixed seeds: molecules, sheared crystals, several blocks, and (nbody)
a system so large that its blocks are coloured. Each result is recorded as SHA-256 of its bytes, for one machine, kernel
set and compiler: another one has bits of its own, and `--check` refuses to compare.
"""

import argparse
import hashlib
import json
import sys

import numpy as np

import nbcore
from nbcore import _core
from nbcore.data.structure import Structure
from nbcore.train.training_set import Loss, TrainingSet

SYMBOLS = ["H", "C", "O"]
SHEARED = np.array([[4.1, 0, 0], [1.3, 3.7, 0], [-0.8, 0.9, 4.4]])

#: name -> preset and options
NETWORKS = {
    "nbody": ("nbody", dict(channels=6)),
    "nbody-wide": ("nbody", dict(channels=17, l_states=2, levels=2)),
    "nbody-levels": ("nbody", dict(channels=4, levels=3, l_harmonics=2)),
    "nbody-so3": ("nbody", dict(channels=4, parity="so3", l_harmonics=2)),
    "nbody-radial": ("nbody", dict(channels=4, l_harmonics=2, radial_layers=[9, 5])),
    "nbody-outputs": ("nbody", dict(channels=4, outputs=["dipole", "polarizability"])),
    "nbody-charges": ("nbody", dict(channels=4, outputs={"dipole": {"rank": 1, "charges": True}})),
    "nbody-dipole-alone": ("nbody", dict(channels=4, outputs=["dipole"], energy=False)),
    "kondor": ("kondor", dict(channels=3)),
    "kondor-o3": ("kondor", dict(channels=3, parity="o3", l_states=1)),
    "kondor-complex": ("kondor", dict(channels=2, l_states=1, algebra="complex")),
    "kondor-labels": ("kondor", dict(channels=2, l_states=1, labels="molecule")),
    "cormorant": ("cormorant", dict(channels=3, levels=3, n_radial=5)),
    "cormorant-radial": ("cormorant", dict(channels=2, levels=2, l_harmonics=2, l_states=2, radial_layers=[7])),
    "tree": ("tree", dict(channels=4, tree_levels=3, part_size=3.0)),
    "tree-labels": ("tree", dict(channels=4, tree_levels=3, labels="molecule")),
}
CUTOFF = 3.2


def program_of_everything():
    """Gates that no preset has: shared weights, leaf states, norms, several cutoffs, gains, classes of nodes."""
    near = {"basis": "chebyshev", "n": 5, "cutoff": 2.5, "decay": 2.5, "envelope": "cosine"}
    far = {"basis": "gaussian", "n": 4, "cutoff": CUTOFF, "layers": [6, 3]}
    gates = [
        dict(gate="leaf", name="charge", channels=2),
        dict(gate="density", name="sum", l_max=2, by_species=False, scale=0.4, radial=near),
        dict(gate="mix", name="first", inputs=["sum"], channels=5, share="species", gain=[1.5, 0.5, 0.75]),
        dict(gate="zeroth_order", name="heard", inputs=["first"], l_max=2, l_out=2, radial=far, scale=0.3),
        dict(gate="zeroth_order", name="again", inputs=["first"], l_max=2, l_out=2, radial=far, scale=0.3,
             weights="heard"),
        dict(gate="zeroth_order", name="charges", inputs=["charge"], l_max=1, l_out=1, radial=near),
        dict(gate="tensor_product", name="product", inputs=["first", "charges"], l_max=1),
        dict(gate="norm", name="lengths", inputs=["product"]),
        dict(gate="mix", name="second", inputs=["heard", "again", "lengths"], channels=5, l_max=1),
        dict(gate="self_product", name="powers", inputs=["second"], l_max=0, kernel="table"),
        dict(gate="mix", name="energy", inputs=["powers", "charge"], channels=1, l_max=0),
    ]  # fmt: skip
    return {"parity": "o3", "gates": gates, "readout": ["energy"]}


def points(rng, n, cell=None, density=0.12, shortest=0.9):
    """n places in a cell, or in a box, none closer to another (or its images) than `shortest`."""
    box = np.eye(3) * (n / density) ** (1 / 3) if cell is None else cell
    shifts = (np.array(list(np.ndindex(3, 3, 3))) - 1) @ box if cell is not None else np.zeros((1, 3))
    chosen = np.zeros((0, 3))
    while len(chosen) < n:
        r = rng.random(3) @ box
        if not len(chosen) or np.linalg.norm(chosen[None] + shifts[:, None] - r, axis=2).min() > shortest:
            chosen = np.vstack([chosen, r])
    return chosen


def structures():
    """Small and large, free and periodic, with labels to learn from."""
    rng = np.random.default_rng(5)
    found = []
    for n, cell in ((9, None), (8, SHEARED), (40, None), (150, 3 * SHEARED)):
        numbers = np.array([1, 6, 8])[rng.integers(0, 3, n)]
        r = points(rng, n, cell)
        s = Structure(r, numbers, cell, np.array([cell is not None] * 3), energy=float(rng.normal()))
        s.forces, s.leaves = rng.normal(size=(n, 3)), {"charge": rng.normal(size=(n, 2))}
        s.labels = {"molecule": np.arange(n) // 3}
        s.outputs = {"dipole": rng.normal(size=3), "polarizability": np.eye(3) * rng.normal()}
        if cell is not None:
            s.stress = 0.01 * (np.eye(3) + rng.normal() * np.ones((3, 3)))
        found.append(s)
    return found


def digest(*arrays) -> str:
    """SHA-256 of the bytes of arrays, None and dictionaries of arrays."""
    h = hashlib.sha256()
    for a in arrays:
        if isinstance(a, dict):
            a = np.concatenate([np.ravel(a[k]) for k in sorted(a)] or [np.zeros(0)])
        h.update(b"none" if a is None else np.ascontiguousarray(a, dtype=float).tobytes())
    return h.hexdigest()[:32]


def potentials():
    """(name, potential) of every kind of network."""
    for name, (preset, options) in NETWORKS.items():
        yield name, getattr(nbcore.presets, preset)(species=SYMBOLS, cutoff=CUTOFF, seed=3, **options)
    description = {"species": SYMBOLS, "cutoff": CUTOFF, "program": program_of_everything(), "r_min": 0.1}
    yield "everything", nbcore.Potential(description, 3)


def digests():
    """(name, digest) of every result, one after another."""
    for name, potential in potentials():
        found = structures()
        if any(o.charges for o in potential.outputs.values()):  # charges times positions: of free structures alone
            for s in found:
                s.outputs = {} if s.cell is not None else s.outputs
        potential.scale = 0.5
        for precision in ("float64", "float32"):
            potential.precision = precision
            for splines in (True, False) if "radial" in name else (True,):
                potential.radial_splines = splines
                for k, r in enumerate(potential.compute_many(found, threads=2)):
                    how = f"{name} {precision}{'' if splines else ' networks'} structure {k}"
                    yield how, digest(r.energy, r.forces, r.virial, r.energies, r.outputs)
        potential.precision, potential.radial_splines = "float64", True
        training = TrainingSet(potential, found)
        for loss in (Loss(), Loss(kind="huber")):
            e = training.loss_and_gradient(loss=loss, threads=2)
            yield f"{name} gradient {loss.kind}", digest(e.loss, e.gradient)
        e = training.loss_and_gradient(threads=2, precision="float32")
        yield f"{name} gradient float32", digest(e.loss, e.gradient)
        yield f"{name} states", digest(*(part for slot in training._core.states(0) for part in slot))
    yield from large_system()


def large_system():
    """Blocks that are coloured, above 20 000 atoms; the same system in parts, within a bound on memory."""
    a = 2.4 * np.stack(np.meshgrid(*[np.arange(28.0)] * 3), -1).reshape(-1, 3)
    rng = np.random.default_rng(1)
    potential = nbcore.presets.nbody(species=SYMBOLS, cutoff=2.9, channels=2, l_harmonics=1, l_states=0, seed=3)
    numbers = np.array([1, 6, 8])[rng.integers(0, 3, len(a))]
    r = a + 0.1 * rng.normal(size=a.shape)
    for bound in (None, 1e7):
        of = potential.compute(r, numbers, 28 * 2.4 * np.eye(3), True, threads=2, max_bytes=bound)
        yield f"nbody {'in parts' if bound else 'coloured blocks'}", digest(of.energy, of.forces, of.virial)


def main():
    """Records or checks; 1 where something differs."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--record", metavar="FILE")
    p.add_argument("--check", metavar="FILE")
    args = p.parse_args()
    if (args.record is None) == (args.check is None):
        p.error("say --record FILE or --check FILE")
    where = {key: str(value) for key, value in _core.build_info().items()}
    if args.record:
        record = {"where": where, "digests": dict(digests())}
        with open(args.record, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
        return 0
    with open(args.check, encoding="utf-8") as file:
        before = json.load(file)
    if before["where"] != where:
        sys.exit(f"{args.check} was recorded by another build: {before['where']}, this is {where}")
    after = dict(digests())
    different = [name for name in before["digests"] if before["digests"][name] != after.get(name)]
    for name in different:
        print(f"differs: {name}")
    print(f"{len(before['digests'])} results, {len(different)} with other bits")
    return 1 if different or len(after) != len(before["digests"]) else 0


if __name__ == "__main__":
    sys.exit(main())
