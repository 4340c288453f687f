"""The end of a training: errors on all sets, remarks, plots, report, the finished model, what to do next."""

import numpy as np

from nbcore.data.shard_set import Shards
from nbcore.data.whole_sets import evenly, sample
from nbcore.errors import InputError
from nbcore.results import Prediction, compare, report, tables
from nbcore.train.display import duration, hanging
from nbcore.train.heads import Heads, head_file, heads_of, of_head, potentials_of, title, training_set
from nbcore.train.trainer import PORTION
from nbcore.train.uncertainty import add_uncertainty

EVALUATED = 10_000  # structures of a set of shards, over which errors are taken in the end


def finish(trainer, data, job, display, run, reason, elapsed) -> dict:
    """Evaluates the best parameters (already in the potential) once on every set; returns {set name: Errors}.

    With a RunFolder the model file gets its final header, and plots and report are made.
    """
    potential = trainer.potential
    structures = own_sets(data) | {name: sample_of(part) for name, part in data.tests.items()}
    predictions = {name: predict(*place, job) for name, place in places(trainer, data).items()}
    predictions |= {name: predict(training_set(potential, s), slice(None), job) for name, s in data.tests.items()}
    if isinstance(potential, Heads):
        structures, predictions = _by_head(potential, structures, predictions)
    distances = data.shortest_distances or None
    errors = {name: compare(name, structures[name], p, distances, potential.outputs) for name, p in predictions.items()}
    rows, remarks = list(errors.values()), []
    display.print(f"\n{_best(trainer, job, reason)}", lambda width: tables.table(rows, width, short=True), "")
    for head, one in potentials_of(potential).items():
        own = {name: errors[title(head, name)] for name in ("train", "valid") if title(head, name) in errors}
        others = {name: e for name, e in errors.items() if name.startswith(f"{head} ") or not head}
        # an offset that train has too is an unfinished training, not another code
        tests = [e for name, e in others.items() if name in data.tests and not own["train"].offset]
        found = [_overfitting(own), learn_uncertainty(one, data, job, head)]
        remarks += [*tables.remarks(tests), *(title(f"{head}:" * bool(head), text) for text in found if text)]
        one.annotate(errors={name.removeprefix(f"{head} "): e.as_dict() for name, e in others.items()})
    remarks += data.tuned.remarks(errors) if data.tuned else []
    remarks += _of_shards(trainer, structures, elapsed)
    for remark in remarks:
        display.remark(remark)
    if run is None or not job.ranks.first:
        return errors

    from nbcore.results import plots  # matplotlib takes a second, and a run that is interrupted does not need it

    potential.save(str(run.model), overwrite=True)
    folder = run.folder / "plots"
    folder.mkdir(exist_ok=True)
    for plot in ("learning_curve", "parity", "errors"):
        (folder / f"{plot}.png").unlink(missing_ok=True)  # of an earlier end of this run, or given up by --force
    sets = [(name, structures[name], p) for name, p in predictions.items()]
    stage_two = trainer.stage_epoch if trainer.stage == 2 and trainer.stage_epoch else None
    if trainer.history:  # max_time may be shorter than an epoch
        plots.learning_curve(
            folder / "learning_curve.png", trainer.history, trainer.best_epoch, stage_two, potential.outputs
        )
    plots.parity(folder / "parity.png", sets, potential.E0s, potential.outputs)
    plots.error_distributions(folder / "errors.png", sets, potential.E0s, potential.outputs)
    summary = [f"{trainer.epoch} epochs in {duration(elapsed)}; {_best(trainer, job, reason)}"]
    report.write(run.folder / "report.html", potential, rows, data.text, remarks, summary, run.folder, overwrite=True)
    display.print(*_files(run, potential))
    return errors


def _by_head(heads, structures, predictions):
    """The same with each set cut into those of the heads: "pbe train", "ccsd train", ...; tests have one head each."""
    cut, said = {}, {}
    for head in heads:
        for name, part in structures.items():
            here = [k for k, s in enumerate(part) if s.head == head]
            if here:
                whole = name if name.startswith(f"{head} ") else title(head, name)
                cut[whole], said[whole] = part[here], [predictions[name][k] for k in here]
    return cut, said


def own_sets(data) -> dict:
    """{"train", "valid", "replay"}: the structures of each set that there is; replay: old ones of a fine-tuning."""
    sets = {"train": data.train, "valid": data.valid} | ({"replay": data.tuned.replay.judged} if data.old else {})
    return {name: sample_of(structures) for name, structures in sets.items() if len(structures)}


def sample_of(structures):
    """The structures that errors are taken over: all that are in memory, evenly spaced ones of shards."""
    return sample(structures, EVALUATED) if isinstance(structures, Shards) else structures


def places(trainer, data) -> dict:
    """{set: (TrainingSet, slice)}: where the trainer has the structures of each set; the old stand behind the new."""
    found = {"train": (trainer.train_set, slice(0, len(data.train)))}
    if len(data.valid):
        found["valid"] = trainer.valid_set, slice(0, len(data.valid))
    if data.old:
        held = len(data.old["valid"]) > 0
        found["replay"] = (trainer.valid_set, slice(len(data.valid), None)) if held else (
            trainer.train_set, slice(len(data.train), None)
        )  # fmt: skip
    return found


def compared(trainer, data, job, names) -> dict:
    """{set: Errors} of the parameters as they are, of those of the sets that there are."""
    sets, of = own_sets(data), trainer.potential.outputs
    where = places(trainer, data)
    return {n: compare(n, sets[n], predict(*where[n], job), None, of) for n in names if n in where}


def learn_uncertainty(potential, data, job, head=""):
    """The potential learns how large its errors are, where that is wanted and can be; else a remark says why not."""
    if not job.last_layer or not potential.has_energy:
        return None
    train, valid = (sample(of_head(part, head), EVALUATED) for part in (data.train, data.valid))
    train = train + data.old["train"] if data.old else train
    try:
        add_uncertainty(potential, train, valid if len(valid) else None, job.threads)
    except InputError as e:
        return f"The model does not know how large its errors are. {e}."
    if len(valid):
        return None
    return "The uncertainty is scaled on the errors of the training itself, smaller than others: set valid."


def predict(training_set, part, job):
    """One Prediction per structure of a part of a TrainingSet, a slice of it; of a sample where it is one of shards."""
    chosen, portion = np.arange(len(training_set))[part], len(training_set)
    if isinstance(training_set.structures, Shards):
        chosen, portion = chosen[evenly(len(chosen), EVALUATED)], PORTION
    found = []
    for first in range(0, len(chosen), max(1, portion)):
        found += job.ranks.gathered_lists(
            lambda own: _predicted(training_set, own, job), chosen[first : first + portion]
        )
    return found


def _predicted(training_set, chosen, job):
    result = training_set.predict(chosen, threads=job.threads)
    return [Prediction(*p) for p in zip(result.energies, result.forces, result.stress, result.outputs, strict=True)]


def _of_shards(trainer, structures, elapsed):
    """What is different with sets in shards: over how many structures errors were taken, what reading has cost."""
    remarks, seconds = [], 0.0
    for name, one in (("train", trainer.train_set), ("valid", trainer.valid_set)):
        if one is None or not isinstance(one.structures, Shards):
            continue
        seconds += one.input_seconds
        n, whole = len(structures[name]), len(one.structures)
        if n < whole:
            remarks.append(f"Errors of {name} are those of {n} of its {whole} structures, evenly spaced.")
    if seconds and elapsed:
        remarks.append(f"Reading shards and making their graphs took {100 * seconds / elapsed:.1f} % of the time.")
    return remarks


def _outputs_overfitting(errors):
    """The same for the covariant outputs of a model without energies."""
    words, ratios = [], []
    for name, output in errors["valid"].kinds.items():
        train, valid = (errors[s].of_output(name)["rmse"] for s in ("train", "valid"))
        if train and valid:
            words.append(f"{name}, train {train:.3g} against valid {valid:.3g}{' ' * bool(output.unit)}{output.unit}")
            ratios.append(valid / train)
    return f"{'; '.join(words)}: {_advice(max(ratios))}" if ratios else None


def _advice(ratio):
    """What the ratio of the errors on valid and train says."""
    if ratio < 1.2:
        return "no overfitting; more epochs or a larger model may still help."
    if ratio < 2:
        return "little overfitting; more data would help more than a larger model."
    return "overfitting; more data would help, a larger model would not."


def _gives(potential):
    """energy, forces, stress; eV, Å - or what else the potential is for."""
    energies = ["energy, forces, stress; eV, Å"] if potential.has_energy else []
    return "; ".join(energies + [f"{n} ({o.unit})" if o.unit else n for n, o in potential.outputs.items()])


def _best(trainer, job, reason):
    words = f"Best: epoch {trainer.best_epoch}."
    if reason == "time":
        return f"{words} Stopped by max_time at epoch {trainer.epoch} of {trainer.settings.max_epochs}. {job.again}"
    if trainer.epoch < trainer.settings.max_epochs:
        return f"{words} Stopped at epoch {trainer.epoch}: no better for {trainer.settings.waits} epochs (patience)."
    return words


def _overfitting(errors):
    """What the distance between train and valid says about the next step."""
    if "valid" not in errors:
        return None
    figure, sign, unit = "forces_rmse", "F", "meV/Å"
    if errors["valid"].forces_rmse is None:
        figure, sign, unit = "energy_rmse_per_atom", "E", "meV/atom"
    train, valid = (getattr(errors[name], figure) for name in ("train", "valid"))
    if not train or not valid:
        return _outputs_overfitting(errors)
    return f"train {sign} {1e3 * train:.1f} against valid {1e3 * valid:.1f} {unit}: {_advice(valid / train)}"


def _files(run, potential):
    """What lies where, and what to type next."""
    models, listed = [head_file(run.model, head) for head in heads_of(potential) or [""]], {}
    for model, head in zip(models, heads_of(potential) or [""], strict=True):
        size = f"{model.stat().st_size / 1000:.0f} kB"
        listed[str(model)] = f"the potential{f' {head}' * bool(head)} ({size}; {_gives(potential)})"
    listed[str(run.folder / "report.html")] = "errors, plots, settings: read this first"
    left = max(map(len, listed)) + 3
    lines = ["", *(hanging(f"{path:<{left}}", what) for path, what in listed.items())]
    commands = [f"nbcore md {models[-1]} start.xyz --temperature 300 --time 10ps"] if potential.has_energy else []
    commands += [f"nbcore verify {models[-1]}", f"nbcore inspect {models[-1]}"]
    return lines + [hanging(f"{'Next:' if k == 0 else '':<7}", command) for k, command in enumerate(commands)]
