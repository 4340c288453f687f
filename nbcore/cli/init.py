"""`nbcore init DATA...`: reads data and writes a commented train.toml that fits it."""

import functools
import os
import re
import sys

from nbcore.cli import console, init_heads
from nbcore.cli.data import add_reader_options, reader_options

ROLES = (("test", r"test"), ("valid", r"val(id(ation)?)?"), ("isolated", r"iso(lated)?|atoms|E0s?"))
STEPS = 27000  # gradient steps that a default training has
PER_EPOCH = 100  # steps in an epoch, about


def add_parser(subparsers):
    """`nbcore init DATA... [--output train.toml]`."""
    parser = subparsers.add_parser(
        "init",
        help="read data, write a commented train.toml that fits it",
        description="Reads data of every format ASE reads, says what is wrong with it, and writes a commented "
        "train.toml that fits it. Files called test... and valid... become those sets; isolated atoms are found.",
        epilog="nbcore init my_data/*.xyz 'runs/*/OUTCAR'",
    )
    parser.add_argument("files", nargs="*", metavar="DATA", help="files or quoted globs")
    parser.add_argument("--output", metavar="FILE", default="train.toml", help="file to write (default train.toml)")
    parser.add_argument("--name", help="of the potential and its folder (default: from the data)")
    parser.add_argument("--preset", help="architecture (default nbody)")
    parser.add_argument(
        "--head",
        metavar="NAME=DATA",
        action="append",
        help="in the place of DATA, once or more for each of several methods that one network learns",
    )
    parser.add_argument(
        "--from", dest="start", metavar="MODEL", help="fine-tune this model; it says what the network is"
    )
    parser.add_argument(
        "--replay",
        metavar="FILE",
        action="append",
        help="with --from: data that the model was trained on, to be seen again",
    )
    parser.add_argument("--list-presets", action="store_true", help="list the architectures and their sizes, and stop")
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")
    add_reader_options(parser)


def run(args) -> int:
    """Exit code of the command."""
    from nbcore.cli import UsageError
    from nbcore.errors import InputError
    from nbcore.files import check_name, check_output

    if args.list_presets:
        return _list_presets()
    heads = init_heads.heads_of(args)
    if not args.files and not heads:
        raise UsageError("init: no DATA given.\nSee  nbcore init --help")
    if args.start and args.preset:
        raise UsageError("init: --from and --preset: the network is that of the model. Leave out one of them.")
    if args.replay and not args.start:
        raise UsageError("init: --replay goes with --from: the data are those of that model.")
    check_output(args.output, force=True)  # no folder, no device
    if args.name is not None:
        try:
            check_name(args.name, "--name")
        except InputError as e:
            raise UsageError(str(e)) from None
    if os.path.exists(args.output) and not args.force:
        raise FileExistsError(
            f"{args.output} exists already; --force overwrites it, or choose another output with --output."
        )
    from nbcore import config as configuration
    from nbcore import data
    from nbcore.model_file import read_description

    options = reader_options(args)
    sorted_files = {head: _sort(data.expand(files), options) for head, files in (heads or {"": args.files}).items()}
    found = _outputs([file for sets in sorted_files.values() for file in sets["train"]])
    if found and "outputs" not in options:
        options["outputs"] = {name: {} for name in found}
    start = read_description(args.start) if args.start else None
    parts, remarks, new = {}, [], []
    for head, sets in sorted_files.items():
        train, said = _read_train(sets, options)
        new = [x for x in train.species if start and x not in start["species"]]
        known = start and not new and "E0s" in start
        E0 = data.ReferenceEnergies(start["E0s"], "model") if known else None
        parts[head] = sets, train, data.audit(train, cutoff=None, E0=E0)
        remarks += said
    fit = functools.partial(_fit, options=options)
    values, assumed = init_heads.tables_of(args, parts, fit) if heads else fit(args, *parts[""])
    if start:
        _from_model(args, start, new, values, assumed)
    config = configuration.from_dict(values, args.output, os.path.dirname(args.output))
    for _, train, result in parts.values():
        result.cutoff = start["cutoff"] if start else config.model.cutoff
        result.neighbours = data.neighbours_per_atom(train, result.cutoff)
        remarks += result.remarks
    configuration.write_config(config, args.output, args.force)
    if not args.quiet:
        for head, (*_, result) in parts.items():
            if head:
                console.out(head)
            console.out(data.audit_text(result, console.width()))
            console.out()
        console.out("Assumed")
        for text in assumed:
            console.out(console.block(text, "  ", "    "))
        for text in dict.fromkeys(remarks):
            console.remark(text)
        console.out(f"\nwrote {args.output}.  Next:  nbcore train {args.output}", file=sys.stderr)
    return 0


def _list_presets():
    from nbcore import presets

    width = max(map(len, presets.PRESETS)) + 2
    for name, preset in presets.PRESETS.items():
        console.out(console.block(preset.text, f"  {name:<{width}}", " " * (width + 2)))
    for name, preset in presets.PRESETS.items():
        if preset.sizes:
            console.out(f"\nsizes of {name}")
        for size, options in preset.sizes.items():
            texts = "   ".join(f"{key} {value}" for key, value in options.items())
            console.out(console.block(texts, f"  {size:<10}", " " * 12))
    return 0


def _sort(files, options):
    """Files by their role: what their names say, and isolated atoms by what is in them."""
    sets = {"train": [], "valid": [], "test": [], "isolated": []}
    for file in files:
        words = re.split(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])", os.path.basename(file).partition(".")[0])
        role = next((r for r, p in ROLES if any(re.fullmatch(p, w, re.IGNORECASE) for w in words)), "train")
        if role == "isolated" and not _only_isolated(file, options):
            role = "train"
        sets[role].append(file)
    if not sets["train"]:
        sets["train"], sets["test"] = sets["test"], []
    return sets


def _only_isolated(file, options):
    from nbcore import data

    read = data.read(file, require=(), missing="mask", **options)
    return not len(read) and bool(read.isolated)


def _outputs(files):
    """The covariant labels under their usual names in every frame, where there are neither energies nor forces."""
    from nbcore.data.files import Bar
    from nbcore.data.labels import CANDIDATES, candidates_of
    from nbcore.data.read import read_frames
    from nbcore.data.reading import Reading
    from nbcore.outputs import KNOWN

    frames = []
    with Bar("reading", 1) as bar:
        for file in files:
            frames += read_frames(file, bar, Reading(None))[0]
    has = [set(frame.values) for frame in frames]
    if not has or any(keys & {*CANDIDATES["energy"], *CANDIDATES["forces"]} for keys in has):
        return []
    return [name for name in KNOWN if all(keys & set(candidates_of(name)) for keys in has)]


def _read_train(sets, options):
    """The training data and remarks; labels that only some frames have are accepted here, and said."""
    from nbcore import data
    from nbcore.errors import InputError

    files = sets["train"]
    train = data.read(files, isolated_atoms=sets["isolated"], missing="mask", **options) if files else []
    if not len(train):
        raise InputError(f"{[*files, *sets['isolated']][0]}: only isolated atoms in it, nothing to train on.")
    return train, train.reading.remarks


def _fit(args, sets, train, result, options):
    """The tables of train.toml for this data, and what was assumed, in words."""
    from nbcore.config_values import path_from

    cutoff, why = _cutoff(train, result)
    batch = min(32, max(1, -(-len(train) * (1 if sets["valid"] else 9) // (10 * PER_EPOCH))))
    steps = max(1, round(0.9 * len(train) / batch))
    epochs = min(2000, max(50, _round(STEPS / steps)))
    fraction = 0.2 if len(train) < 50 else 0.1 if len(train) < 10000 else 0.05
    here = os.path.dirname(args.output) or "."
    name = args.name or _free(_name(sets["train"]), here)
    relative = {role: [path_from(f, here) for f in files] for role, files in sets.items()}
    table = {"train": _one(relative["train"]), "valid": _one(relative["valid"]) if relative["valid"] else fraction}
    table |= {"test": relative["test"], **options}
    if relative["isolated"]:
        table["isolated_atoms"] = _one(relative["isolated"])
    if train.reading.missing:
        table["missing"] = "mask"
    if len(train) < 2 and not relative["valid"]:
        table["valid"] = _one(relative["train"])
    condensed = bool(result.periodic) and not options.get("outputs")
    values = {
        "name": name,
        "about": {"description": _description(result)},
        "data": table,
        "model": {"preset": args.preset or "nbody", "cutoff": cutoff, "repulsion": "zbl" if condensed else "auto"},
        "training": {"max_epochs": epochs, "batch_size": batch},
    }
    assumed = [f'name "{name}"', f"cutoff {cutoff:g} Å: {why}"]
    assumed.append(
        f"valid: {relative['valid'] and ', '.join(relative['valid']) or f'{fraction:.0%} of train, at random'}"
    )
    if condensed:
        assumed.append('repulsion "zbl": periodic data; cores repel each other below the shortest distances in train')
    if relative["test"]:
        assumed.append(f"test: {', '.join(relative['test'])} (by name; used once, after training)")
    if outputs := options.get("outputs"):
        values["outputs"] = outputs
        values["data"].pop("outputs")
        assumed.append(
            f"outputs: {', '.join(outputs)}, found in the data; their unit is not stated there: write it down"
        )
    source = {"isolated": "from the isolated atoms", "fit": "fitted, no isolated atom of each element in the data"}
    if result.E0 and result.E0.source in source:
        assumed.append(f"E0s: {source[result.E0.source]}")
    assumed.append(f"batch_size {batch}, max_epochs {epochs}: about {round(steps * epochs, -3)} steps")
    if train.reading.missing:
        assumed.append('missing = "mask": some frames lack a label; they count for the others')
    return values, assumed


def _from_model(args, start, new, values, assumed):
    """Makes of the tables of a training those of a fine-tuning, and says so; new: elements that the model lacks."""
    from nbcore.config_values import path_from
    from nbcore.train.fine_tune import FINE_TUNING

    here, of_data = os.path.dirname(args.output) or ".", ("cutoff", "batch_size", "E0s")
    assumed[:] = [text for text in assumed if not text.startswith(of_data)]
    options = " ".join(f"{key} {value}" for key, value in start.get("options", {}).items())
    assumed.insert(1, f"network, scales and E0s of {args.start}: {start.get('preset', 'its own program')}, {options}")
    if new:
        assumed.append(f"{' '.join(new)}: not in the model, added to it")
    training = values["training"] = {**FINE_TUNING, "batch_size": values["training"]["batch_size"]}
    assumed.append(f"lr {training['lr']:g}, max_epochs {training['max_epochs']}: smaller steps than from the beginning")
    if members := start.get("members"):
        values["uncertainty"] = {"committee": members}
        assumed.append(f"committee {members}: each member of {args.start} is tuned")
    del values["model"]
    values["fine_tune"] = {
        "model": path_from(args.start, here),
        "replay": [path_from(f, here) for f in args.replay or ()],
    }
    if not args.replay:
        assumed.append("no old data: what is not seen again is forgotten; name it by --replay, or replay in the file")


def _round(number):
    """To one digit: 817 -> 800."""
    return int(float(f"{number:.1g}"))


def _cutoff(train, result):
    """A cutoff with enough neighbours: 5 Å; 4.5 to 6 Å in crystals and liquids, for 40 or more."""
    from nbcore import data

    if not result.periodic:
        return 5.0, "usual for molecules"
    for cutoff in (4.5, 5.0, 5.5, 6.0):
        count = data.neighbours_per_atom(train, cutoff)
        if count >= 40:
            break
    return cutoff, f"{count:.0f} neighbours per atom"


def _description(result):
    what = next(iter(result.formulas)) if len(result.formulas) == 1 else " ".join(result.species)
    return f"{what}, {result.n} structures"


def _one(files):
    return files[0] if len(files) == 1 else files


def _free(name, here):
    """The name, or another one where a folder that is no run has it: data should not lie among what is written."""
    taken = os.path.join(here, name)
    return f"{name}_potential" if os.path.exists(taken) and not os.path.exists(f"{taken}/config.toml") else name


def _name(files):
    """A name from the data: that of a single file without words like train, else the folder's."""
    stem = os.path.basename(files[0]).partition(".")[0]
    words = [w for w in re.split(r"[^A-Za-z0-9]+", stem) if w]
    told = [
        w for w in words if not re.fullmatch(r"(?i)train(ing)?|data(set)?|all|test|\d+K?|OUTCAR|pos|frc|vasprun", w)
    ]
    if told and len(files) == 1 and not re.match(r"(?i)train|data|all", stem):
        return "_".join(told)
    folder = os.path.basename(os.path.dirname(os.path.abspath(files[0])))
    return re.sub(r"[^\w.-]+", "_", folder).strip("._") or "potential"
