"""What `nbcore train` trains on: the data of train.toml, audited and shown, and the potential that they begin with."""

import os

from nbcore.config import model_options


def data_of(config, display, run_folder):
    """(Data, potential, sets): sets are those of [data], the only ones where there are no heads."""
    from nbcore.train.fit import Data

    if config.heads:
        return *_of_heads(config, display, run_folder), None
    import nbcore
    from nbcore import data as reference

    more = {}
    if config.fine_tune:
        starts = starts_of(config)
        sets = reference.read_sets(config, starts[0].species)
        potential, more = begin(config, starts[0], sets)
    else:
        sets = nbcore.data.read_sets(config)
        shortest = more["shortest_distances"] = reference.shortest_distances(sets.train)
        potential = make_potential(config, sets.train.species, sets.E0.energies, sets.train, shortest)
    audit = audited(sets, potential.cutoff, display, run_folder)
    return (
        Data(
            sets.train,
            sets.valid,
            sets.test,
            file_list(audit),
            more["shortest_distances"],
            reference.audit_text(audit),
            {**facts_of(config, audit), **more.get("facts", {})},
            more.get("tuned"),
        ),
        potential,
        sets,
    )


def facts_of(config, audit) -> dict:
    """What the model keeps of its data beside files and numbers."""
    return {"energy_kind": config.data.energy_kind, "forces_rms": audit.forces_rms}


def audited(sets, cutoff, display, run_folder, head="", remarks=()):
    """The audit of some sets, shown at the beginning of a run."""
    from nbcore import data as reference

    parts = {"train": sets.train, "valid": sets.valid} | ({"replay": sets.replay} if len(sets.replay) else {})
    audit = reference.audit(parts, sets.test, cutoff, sets.E0, sets.roles)
    if not (run_folder and run_folder.begun):
        display.print(f"\nData {head}".rstrip(), lambda width: reference.audit_text(audit, width), "")
        for remark in dict.fromkeys([*sets.remarks, *audit.remarks, *remarks]):
            display.remark(remark)
    return audit


def _of_heads(config, display, run_folder):
    """(Data, Heads): those of every head read as if it were alone, then kept apart and joined."""
    import nbcore
    from nbcore.data.head_sets import HeadSets, fill_energies, joined, keep_apart, with_head
    from nbcore.data.reference_energies import isolated
    from nbcore.data.structure import Structures
    from nbcore.species import atomic_numbers
    from nbcore.train import Heads
    from nbcore.train.fit import Data
    from nbcore.train.heads import title

    own = {head: config.of_head(head) for head in config.heads}
    read = {head: nbcore.data.read_sets(one) for head, one in own.items()}
    atoms = {
        head: one.data.E0s if isinstance(one.data.E0s, dict) else isolated(read[head].train)
        for head, one in own.items()
        if read[head].E0.source != "none"
    }
    fill_energies({head: sets.E0 for head, sets in read.items()}, atoms)
    apart = {
        head: HeadSets(
            with_head(sets.train, head), with_head(sets.valid, head), isinstance(own[head].data.valid, float),
            {title(head, name): with_head(part, head) for name, part in sets.test.items()},
        )
        for head, sets in read.items()
    }  # fmt: skip
    keep_apart(apart)
    for head, sets in read.items():
        sets.train, sets.valid = apart[head].train, apart[head].valid
    species = {x for sets in read.values() for x in sets.E0.energies}
    species = sorted(species, key=lambda x: int(atomic_numbers([x])[0]))
    train = joined(one.train for one in apart.values())
    shortest = nbcore.data.shortest_distances(Structures(train))
    base = make_potential(config, species, {}, train, shortest)
    potential = Heads(base, {h: one.weight for h, one in config.heads.items()})
    audits, of_heads = {}, {}
    for head, sets in read.items():
        member = potential[head]
        member.E0s = {x: sets.E0.energies[x] for x in species}
        if config.heads[head].reference:
            about = {**member.description.get("about", {}), "reference": config.heads[head].reference}
            member.annotate(about=about)
        audits[head] = audited(sets, member.cutoff, display, run_folder, head, apart[head].remarks)
        of_heads[head] = facts_of(own[head], audits[head])
    files = [{**file, "head": head} for head, audit in audits.items() for file in file_list(audit)]
    text = "\n".join(f"{head}\n{nbcore.data.audit_text(audit)}" for head, audit in audits.items())
    data = Data(
        train,
        joined(one.valid for one in apart.values()),
        {name: part for one in apart.values() for name, part in one.test.items()},
        files,
        shortest,
        text,
        of_heads=of_heads,
    )
    return data, potential


def make_potential(config, species, E0s, train, shortest_distances):
    """The network that [model] describes, with random parameters, and the repulsion of cores."""
    import msgspec

    from nbcore.data.repulsion import is_periodic, repulsion_radii
    from nbcore.presets import PRESETS

    make, options = PRESETS[config.model.preset].make, model_options(config.model)
    if config.outputs:
        options["outputs"] = train.reading.options.outputs
        options["energy"] = any(train.labels[label] for label in ("energy", "forces"))
    potential = make(species=species, E0s=E0s or None, seed=config.seed, **options)
    potential.annotate(about=msgspec.to_builtins(config.about))
    wanted, can = config.model.repulsion, potential.has_energy
    if wanted == "zbl" or (wanted == "auto" and can and is_periodic(train)):
        potential.repulsion = repulsion_radii(potential.species, shortest_distances, potential.cutoff)
    return potential


def starts_of(config) -> list:
    """The potential that a fine-tuning begins with, for each member of a committee."""
    import nbcore
    from nbcore.errors import InputError

    path, n = config.paths(config.fine_tune.model)[0], config.uncertainty.committee
    found = nbcore.load(path)
    if not isinstance(found, nbcore.Committee):
        return [found] * n
    if len(found) != n:
        raise InputError(
            f"[fine_tune] model: {path} is a committee of {len(found)}, each of which is tuned: write  committee = "
            f"{len(found)}  under [uncertainty]."
        )
    return list(found.members)


def begin(config, start, sets):
    """(potential, more): the beginning of a fine-tuning, and what `Data` is to hold of it; the sets get its E0s."""
    import msgspec

    from nbcore.train import FineTune, start_from
    from nbcore.train.fine_tune import extend_repulsion, facts_of, merged_distances, tuned

    table = msgspec.to_builtins(config.fine_tune)
    name, tuning = os.path.basename(table.pop("model")), FineTune(**{k: v for k, v in table.items() if k != "replay"})
    cut_off = isinstance(config.data.valid, float)
    begun = start_from(start, sets.train + sets.valid if cut_off else sets.train, config.data.E0s, tuning.new_elements)
    sets.E0 = begun.E0
    potential = begun.potential
    written = {key: text for key, text in msgspec.to_builtins(config.about).items() if text}
    potential.annotate(about={**start.description.get("about", {}), **written})
    shortest = merged_distances(start, sets.train)
    extend_repulsion(potential, start, shortest)
    more = {
        "tuned": tuned(tuning, begun, start, name, sets.train, sets.valid, sets.replay, config.seed),
        "facts": facts_of(start, name),
        "shortest_distances": shortest,
    }
    return potential, more


def file_list(audit) -> list[dict]:
    """Name, number of structures and SHA-256 of every data file that was read."""
    from nbcore.files import sha256

    found = []
    for name, n, isolated, role in audit.files:
        found.append({"name": os.path.basename(name), "n": n + isolated, "role": role, "sha256": sha256(name)})
    return found
