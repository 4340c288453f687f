"""`nbcore inspect MODEL`: what a model is, where it comes from, what it costs, how to cite it."""

import json
import os
import time

from nbcore.cli import console

PAPER = (
    "R. Kondor, N-body Networks: a Covariant Hierarchical Neural Network Architecture for Learning Atomic Potentials, "
    "arXiv:1803.01588 (2018)"
)
LONG = 1.0  # seconds for a few atoms: enough is known
NEIGHBOURS = 28  # of the crystal on which the cost is measured
OPTIONS = {  # of the presets, in words; those not here are shown as they are
    "levels": "{} levels",
    "channels": "{} channels",
    "l_harmonics": "harmonics l<={}",
    "l_states": "states l<={}",
    "correlation": "correlation {}",
    "n_radial": "{} radial functions",
    "radial_layers": "radial layers {}",
    "parity": "parity {}",
}

UNCERTAINTY = {
    "last_layer": "known, from the features of the last layer",
    "committee": "known, from the spread of the members",
    None: "not known: `nbcore uncertainty` adds it",
}


def add_parser(subparsers):
    """The options of `nbcore inspect`."""
    p = subparsers.add_parser(
        "inspect",
        help="what a model is",
        description="What a model is, where it comes from, what it costs, how to cite it.",
    )
    p.add_argument("model", metavar="MODEL", help="model file (.nbcore)")
    p.add_argument("--parameters", action="store_true", help="every group of parameters: name, shape, number, size")
    p.add_argument("--json", action="store_true", help="everything as one JSON object")


def one_line(path, potential):
    """A model in a line: "acac: nbody medium, C H O, cutoff 5.0 Å, trained on 450 structures (PBE-D3)"."""
    from nbcore.results.tables import stem

    d = potential.description
    words = [" ".join(filter(None, (d.get("preset"), (d.get("options") or {}).get("size"))))]
    words += [" ".join(potential.species), f"cutoff {potential.cutoff:.1f} Å"]
    training, about = d.get("training") or {}, d.get("about") or {}
    if training.get("n_train"):
        words.append(f"trained on {training['n_train']} structures")
    reference = f" ({about['reference']})" if about.get("reference") else ""
    return f"{stem(path).removesuffix('.nbcore')}: {', '.join(filter(None, words))}{reference}"


def run(args):
    """Prints what is in the model file, and how fast it is here."""
    from nbcore import load

    potential = load(args.model)
    facts = gather(args.model, potential)
    if args.json:
        console.out(json.dumps(facts, indent=2))
        return 0
    print_facts(args.model, potential, facts)
    if args.parameters:
        console.out()
        console.out(console.block("parameters: name, kind, shape, number, root mean square", "", "  "))
        for g in facts["parameter_groups"]:
            shape = " x ".join(map(str, g["shape"])) or "1"
            console.out(f"  {g['name']:<26} {g['kind']:<9} {shape:>16} {g['number']:>9} {g['rms']:>11.3e}")
    return 0


def gather(path, potential):
    """Everything that is printed, as one JSON-able dict."""
    import numpy as np

    from nbcore import files
    from nbcore.parameter_groups import kinds

    theta, first = potential.parameters, getattr(potential, "members", [potential])[0]
    groups, of_kind = [], kinds(first)
    for name, (where, shape) in first.parameter_slices.items():
        part = first.parameters[where]
        rms = float(np.sqrt(np.mean(part**2))) if len(part) else 0.0
        groups.append({"name": name, "kind": of_kind[name], "shape": list(shape), "number": len(part), "rms": rms})
    return {
        "file": str(path),
        "bytes": os.path.getsize(path),
        "sha256": files.sha256(path),
        "n_parameters": len(theta),
        "receptive_field": potential.levels * potential.cutoff,
        "cost": measure(potential),
        "parameter_groups": groups,
        **potential.description,
    }


def measure(potential):
    """CPU seconds per atom for energy and forces, one thread, on a crystal of its elements with 28 neighbours; bytes
    per atom of a large one like it."""
    import numpy as np

    from nbcore import golden

    spacing = potential.cutoff * (4 * np.pi / 3 / NEIGHBOURS) ** (1 / 3)
    for n, times in ((2, 1), (6, 3)):
        grid = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), -1).reshape(-1, 3)
        positions = spacing * (grid + np.random.default_rng(0).uniform(-0.1, 0.1, grid.shape))
        species = [potential.species[k % len(potential.species)] for k in grid.sum(axis=1)]
        cell, best = spacing * n * np.eye(3), np.inf
        scheme = potential.scheme(positions, cell, True, golden.labels(potential, species))
        for _ in range(times):
            begin = time.thread_time()
            potential.compute(positions, species, cell=cell, pbc=True, threads=1, scheme=scheme)
            best = min(best, time.thread_time() - begin)
        if best > LONG:
            break
    one = getattr(potential, "members", [potential])[0]  # members are evaluated one after the other
    return {
        "seconds_per_atom": best / len(positions),
        "bytes_per_atom": one.bytes_per_atom(positions, species, cell, True, scheme),
        "bytes_per_atom_repeated": one.bytes_per_atom(positions, species, cell, True, scheme, repeated=True),
        "neighbours": NEIGHBOURS,
        "threads": 1,
        "n_atoms": len(positions),
    }


def print_facts(path, potential, facts):
    """One entry after the other, wrapped to the terminal."""

    from nbcore.outputs import describe

    def say(head, text):
        if text:
            console.out(console.block(str(text), f"  {head:<13} ", 16 * " "))

    d = facts
    about, training = d.get("about") or {}, d.get("training") or {}
    console.out(f"{os.path.basename(path)}   {facts['bytes'] / 1000:.0f} kB, {facts['n_parameters']} parameters")
    say("preset", d.get("preset"))
    if "members" in d:
        say("committee", f"{d['members']} members; what follows is said of the first, cost and errors of all")
    say("elements", " ".join(potential.species))
    levels = potential.levels
    field = f"{facts['receptive_field']:g} Å"
    if potential.has_parts:
        field += " in the local levels; the parts see the whole structure"
    say("cutoff", f"{potential.cutoff:g} Å, {levels} level{'s' * (levels > 1)}: receptive field {field}")
    options = d.get("options") or {}
    words = [
        OPTIONS.get(name, f"{name} {{}}").format(value)
        for name, value in sorted(options.items(), key=lambda item: [*OPTIONS, item[0]].index(item[0]))
        if value not in (None, "", [], {}) and name not in ("species", "cutoff", "E0s", "outputs", "energy")
    ]
    say("network", ", ".join(words))
    for name, network in getattr(potential, "members", [potential])[0].radial_networks.items():
        say(f"radial, {name}", radial_words(network))
    for name, output in potential.outputs.items():
        say(name, describe(output))
    if potential.has_energy:
        say("E0", "   ".join(f"{s} {e:.4f}" for s, e in potential.E0s.items()) + " eV")
    if radii := (d.get("repulsion") or {}).get("radii"):
        say("repulsion", "of cores (ZBL) below " + "   ".join(f"{p} {r:.3f}" for p, r in radii.items()) + " Å")
    if shortest := sorted((d.get("shortest_distances") or {}).items(), key=lambda item: item[1]):
        say("shortest", "   ".join(f"{p} {r:.3f}" for p, r in shortest) + " Å in train")
    for head in ("description", "origin", "reference", "author", "licence"):
        say(head, about.get(head))
    listed = [f"{f['name']} ({f['n']})" if f["n"] else f["name"] for f in training.get("files") or []]
    counts = f"{training['n_train']} train + {training.get('n_valid', 0)} valid" if training.get("n_train") else ""
    single = (training.get("settings") or {}).get("training.precision") == "float32"
    steps = "steps in float32, parameters and sums in float64" if single else ""
    say("trained on", "; ".join(filter(None, (", ".join(listed), counts, steps))))
    if head := training.get("head"):
        others, n = training["heads"], sum(one["n_train"] for one in training["heads"].values())
        beside = ", ".join(name for name in others if name != head)
        beside = f", beside {beside}: {training['n_train']} of {n} structures" if beside else ""
        say("head", f"{head}{beside}")
    if start := training.get("start"):
        of = f", trained on {start['n_train']} structures" if start.get("n_train") else ""
        say("started from", f"{start.get('file', 'another model')}{of}")
    for name, e in (d.get("errors") or {}).items():
        say(f"errors, {name}", error_words(e, potential.outputs))
    say("uncertainty", UNCERTAINTY[(d.get("uncertainty") or {}).get("kind")] if potential.has_energy else "")
    say("certificate", certificate_words(potential))
    cost = facts["cost"]
    micro = 1e6 * cost["seconds_per_atom"]
    say(
        "cost",
        f"{micro:.0f} µs/atom for {'energy and forces' if potential.has_energy else 'the outputs'}, one thread, "
        f"{cost['neighbours']} neighbours (measured now)",
    )
    once, again = cost["bytes_per_atom"] / 1e3, cost["bytes_per_atom_repeated"] / 1e3
    say(
        "memory",
        f"{once:.2g} kB per atom of such a crystal, {once:.2g} GB for 1,000,000 atoms; {again:.2g} GB in a trajectory",
    )
    say("units", "eV, Å; stress = (1/V) dE/d(strain), tension positive")
    say("versions", ", ".join(f"{k} {v}" for k, v in (d.get("versions") or {}).items()))
    say("SHA-256", facts["sha256"])
    say("cite", about.get("cite"))
    say("" if about.get("cite") else "cite", PAPER)


def certificate_words(potential):
    """What the certificate in the file says, if it is this model's."""
    from nbcore.certificate import of_model

    kept = potential.description.get("certificate")
    if not kept:
        return "none: `nbcore verify` makes one"
    if kept["of"] != of_model(potential):
        return "of other parameters or energies: `nbcore verify` makes one anew"
    verdicts = [check.get("passed") for check in kept["checks"]]
    failed = [check["name"] for check in kept["checks"] if check.get("passed") is False]
    made = ", ".join(f"{name} {version}" for name, version in (kept.get("versions") or {}).items())
    passed = f"failed: {', '.join(failed)}" if failed else f"{verdicts.count(True)} checks passed"
    return f"{passed} ({made})"


def radial_words(network):
    """A radial network and the spline in its place, in a line."""
    widths = " - ".join(map(str, [network.n_basis, *network.layers]))
    if network.spline is None:
        return f"{widths}, the network itself"
    spline = network.spline
    return (
        f"{widths}, by {'table of weights' if spline.tabulated else 'spline'} from {spline.begin:.3g} Å: "
        f"{spline.intervals} intervals, largest error "
        f"{spline.error:.0e} of the functions, {spline.slope_error:.0e} of their slopes"
    )


def error_words(e, outputs=None):
    """The errors of one set in a line."""
    words = [f"{e['n_structures']} structures"]
    for key, factor, text in (
        ("energy_rmse_per_atom", 1e3, "energy {:.2f} meV/atom"),
        ("forces_rmse", 1e3, "forces {:.1f} meV/Å"),
        ("stress_rmse", 160.21766208, "stress {:.3f} GPa"),
    ):
        if e.get(key) is not None:
            words.append(text.format(factor * e[key]))
    for name, output in (outputs or {}).items():
        figure = "rmse" if output.per_atom else "rmse_per_atom"
        if e.get(f"{name}_{figure}") is not None:
            words.append(f"{name} {e[f'{name}_{figure}']:.3g} {output.unit}{'' if output.per_atom else '/atom'}")
    return ", ".join(words) + " (RMSE)"
