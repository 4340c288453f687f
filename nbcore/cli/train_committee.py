"""`nbcore train` with [uncertainty] committee: members one after the other, each a run in a folder of its own, then
the committee of them all: its model, its errors, its plots and report."""

import dataclasses

import msgspec

import nbcore
from nbcore.data.whole_sets import sample
from nbcore.errors import InputError
from nbcore.results import Prediction, compare, tables
from nbcore.train import add_uncertainty
from nbcore.train.finish import EVALUATED
from nbcore.train.fit import carry_out
from nbcore.train.run_folder import open_run, run_of_ranks


def train_committee(config, sets, data, job, display, run_folder) -> int:
    """Exit code. Member k has the seed plus k - 1: other weights, another order; the same structures for validation.

    In a fine-tuning the members of a committee are tuned each, or one potential so many times.
    An interruption ends it; the same command goes on where it was: members that are finished are not trained again.
    """
    from nbcore.cli.train import flat, make_settings
    from nbcore.cli.train_data import begin, make_potential, starts_of

    n = config.uncertainty.committee
    of_members = dataclasses.replace(data, tests={})  # the committee meets the tests, once
    job = dataclasses.replace(job, last_layer=False, max_seconds=job.max_seconds / n)
    members, starts = [], starts_of(config) if config.fine_tune else []
    if starts and starts[0] is starts[-1]:
        display.remark(
            "All members begin as the same potential and differ by the order of the structures alone: their spread "
            "says less than that of a committee which is tuned."
        )
    for k in range(n):
        own = msgspec.structs.replace(config, seed=config.seed + k)
        folder = run_folder.folder / f"member_{k + 1}"
        display.print(f"\nMember {k + 1} of {n}, seed {own.seed} -> {folder}/")
        if starts:
            potential, more = begin(config, starts[k], sets)
            facts = {**data.facts, **more["facts"]}
            of_members = dataclasses.replace(of_members, tuned=more["tuned"], facts=facts)
            for remark in sets.E0.remarks if k else ():  # those of the first stand among the remarks on the data
                display.remark(remark)
        else:
            shortest = data.shortest_distances
            potential = make_potential(own, sets.train.species, sets.E0.energies, sets.train, shortest)
        with run_of_ranks(job.ranks, open_run(folder, config.name)) as run:
            _, reason = carry_out(potential, of_members, make_settings(own), job, display, run, flat(own))
        if isinstance(reason, int):
            return 128 + reason
        members.append(potential)
    display.print("\nCommittee")
    finish(nbcore.Committee(members), data, job, display, run_folder)
    return 0


def finish(committee, data, job, display, run_folder) -> None:
    """Scales the committee's spread on the validation data, and evaluates it once on every set."""
    from nbcore.results import calibration, plots, report

    remarks = []
    try:
        train, valid = sample(data.train, EVALUATED), sample(data.valid, EVALUATED)
        add_uncertainty(committee, train, valid if len(valid) else None, job.threads)
        if not len(data.valid):
            remarks.append("The uncertainty is scaled on the errors of the training itself: set valid.")
    except InputError as e:
        remarks.append(f"The committee does not know how large its errors are. {e}.")
    sets = []
    for name, structures in {"train": data.train, "valid": data.valid, **data.tests}.items():
        structures = sample(structures, EVALUATED)
        if len(structures):
            results = job.ranks.gathered_lists(
                lambda own: committee.compute_many(own, job.threads, uncertainty=bool(committee.uncertainty)),
                structures,
            )
            sets.append((name, structures, results))
    rows = []
    for name, structures, results in sets:
        predictions = [Prediction(r.energy, r.forces, r.stress, r.outputs) for r in results]
        rows.append(compare(name, structures, predictions, data.shortest_distances or None, committee.outputs))
    committee.annotate(errors={e.name: e.as_dict() for e in rows})
    if not job.ranks.first:
        return
    committee.save(str(run_folder.model), overwrite=True)
    display.print("", lambda width: tables.table(rows, width, short=True), "")
    remarks = [*tables.remarks([e for e in rows if e.name in data.tests]), *remarks]
    for remark in remarks:
        display.remark(remark)
    folder = run_folder.folder / "plots"
    folder.mkdir(exist_ok=True)
    plots.parity(folder / "parity.png", sets, committee.E0s, committee.outputs)
    plots.error_distributions(folder / "errors.png", sets, committee.E0s, committee.outputs)
    if committee.uncertainty:
        calibration.plot(folder / "uncertainty.png", sets[1:] or sets)
    summary = [f"A committee of {len(committee)}, whose results are means; the settings are those of its first member."]
    report.write(run_folder.folder / "report.html", committee, rows, data.text, remarks, summary, run_folder.folder,
                 overwrite=True)  # fmt: skip
    display.print(
        "",
        f"{run_folder.model}   the committee of {len(committee)}, one potential for every program",
        f"{run_folder.folder / 'report.html'}   errors, plots, settings: read this first",
    )
