"""`fit`: from a potential and structures to a trained potential, with the display and the files of `nbcore train`."""

import contextlib
import hashlib
import json
import math
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nbcore import build_info
from nbcore.data import Structures, as_structures, reference_energies, shortest_distances
from nbcore.data import split as cut
from nbcore.data.head_sets import HeadSets, fill_energies, joined, keep_apart, with_head
from nbcore.data.reference_energies import isolated as isolated_energies
from nbcore.data.shard_set import Shards
from nbcore.data.whole_sets import counting, refuse_overlaps
from nbcore.errors import InputError
from nbcore.identity import digest, of_installation
from nbcore.ranks import Alone, Ranks
from nbcore.results import report
from nbcore.train.calibrate import calibrate
from nbcore.train.display import Display, about
from nbcore.train.finish import compared, finish
from nbcore.train.heads import Heads, head_file, heads_of, of_head, of_one, potentials_of, title, training_set
from nbcore.train.learnable import check_labels, check_loss, check_saves, lonely_atoms
from nbcore.train.loop import loop
from nbcore.train.plan import measure, model_lines, plan_line, ranks_lines
from nbcore.train.run_folder import open_run, run_of_ranks
from nbcore.train.settings import Settings
from nbcore.train.trainer import Trainer
from nbcore.train.tuned import Tuned

if TYPE_CHECKING:
    from nbcore.potential import Potential


@dataclass
class Fit:
    """What a training leaves: `potential` is the best on validation data, `history` a list of rows, one per epoch."""

    history: list[dict]
    potential: "Potential | Heads"
    best_epoch: int
    errors: dict = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Fit({len(self.history)} epochs, best {self.best_epoch})"


@dataclass
class Data:
    """The structures of a training and what the model file says of them."""

    train: Structures
    valid: Structures
    tests: dict[str, Structures] = field(default_factory=dict)
    files: list[dict] = field(default_factory=list)  # name, n, sha256
    shortest_distances: dict[str, float] = field(default_factory=dict)
    text: str = ""  # what the report says of them
    facts: dict = field(default_factory=dict)  # further entries of description["training"]
    tuned: Tuned | None = None  # of a fine-tuning
    of_heads: dict[str, dict] = field(default_factory=dict)  # {head: further entries of its own}

    @property
    def old(self) -> dict[str, Structures]:
        """{"train", "valid"}: the old structures behind the new ones in a fine-tuning, most often none."""
        replay = self.tuned and self.tuned.replay
        return {"train": replay.train, "valid": replay.valid} if replay else {}


@dataclass
class Job:
    """How a training is carried out: nothing here decides its bits."""

    name: str = "potential"
    threads: int | None = None
    max_seconds: float = math.inf
    checkpoint_seconds: float = 300.0
    size: str = ""
    origin: str = "this call"  # where the settings stand, for messages
    again: str = "The same call continues."
    tensorboard: bool = False  # an event file beside history.csv
    last_layer: bool = True  # the finished model is to know how large its errors are
    start_counts: bool = False  # the first parameters are the caller's own, no numbers drawn by the seed
    ranks: Alone = field(default_factory=Alone)  # that share the work


def fit(
    potential: "Potential | Heads",
    structures: Iterable | dict[str, Iterable],
    valid: float | Iterable | dict | None = 0.1,
    *,
    test: dict | None = None,
    folder: str | os.PathLike | None = None,
    threads: int | None = None,
    max_time: float | None = None,
    checkpoint_minutes: float = 5.0,
    tensorboard: bool = False,
    restart: bool = False,
    quiet: bool = False,
    comm: object = None,
    **settings: object,
) -> Fit:
    """Trains `potential` in place on labelled structures, or ase.Atoms, and returns Fit(history, potential).

    valid: a fraction of the structures (random, by seed; 0 for none) or Structures of their own; it chooses the best
    epoch. test: {name: Structures}, evaluated once at the end. folder: a run folder as `nbcore train` makes it, with
    checkpoints, history.csv, plots and report; the same call continues a run that was interrupted, restart begins
    again. tensorboard: an event file beside history.csv. max_time in seconds; further keywords as under [training]
    (Settings): max_epochs, batch_size, lr, loss=Loss(...), stage_two=StageTwo(...), ...
    Units eV and Angstrom. A new potential gets its scales, and E0s if it has none, from the training data.
    comm: an mpi4py communicator, whose ranks all make this call with the same arguments; they share each step and have
    the same Fit in the end, with the bits of one process. The first writes folder and screen.
    Of `Heads`, structures, valid and test are tables {head: as above}; valid may also be one fraction for all.

    Ctrl-C finishes the step under way, leaves the best parameters in the potential and raises KeyboardInterrupt.
    Raises InputError, CheckpointError, NumericsError (loss not finite).

    >>> data = nbcore.train.read("train.xyz")
    >>> potential = nbcore.presets.nbody(species=data.species, cutoff=4.0, channels=4)
    >>> nbcore.train.fit(potential, data[:20], valid=0.1, max_epochs=2).history[-1]["forces_valid"]
    """
    ranks = Alone() if comm is None else Ranks(comm)

    def begin():
        numbers = Settings(**settings)
        check_tensorboard(tensorboard, folder)
        return numbers, *data_of(potential, structures, valid, test or {}, numbers.seed)

    with ranks.guard():
        ranks.same(of_installation())
        numbers, data, remarks = ranks.together(begin)
        threads = ranks.threads(threads)
    name = Path(folder).resolve().name if folder else "potential"
    job = Job(name, threads, max_time or math.inf, 60 * checkpoint_minutes, tensorboard=tensorboard, start_counts=True)
    job.ranks, config = ranks, numbers.flat()
    if isinstance(potential, Heads):
        config |= {f"heads.{head}.weight": weight for head, weight in potential.weights.items()}
    result = run_through(potential, data, numbers, job, folder, restart, quiet, config, remarks)
    ranks.free()
    return result


def data_of(potential, structures, valid, test, seed):
    """(Data, remarks) of `fit`; a new potential, or a new head, without E0s gets them."""
    given = dict(structures=structures, valid=valid, test=test)
    sets, energies, isolated = {}, {}, {}
    for head, one in potentials_of(potential).items():
        of = {what: of_one(potential, what, value, head) for what, value in given.items()}
        own = with_head(as_structures(of["structures"]), head)
        train, held = split(own, of["valid"], seed)
        held = with_head(held, head)
        for part in (train, held):
            check_labels(part, one.outputs)  # before E0s are fitted to them
        for part in (train, held):
            refuse_overlaps(part)
        if not trained(one) and not any(one.E0s.values()):
            energies[head] = reference_energies(own)
            isolated[head] = isolated_energies(own) if head and energies[head].source != "none" else {}
        tests = {title(head, name): with_head(as_structures(part), head) for name, part in of["test"].items()}
        sets[head] = HeadSets(train, held, isinstance(of["valid"], (int, float)), tests)
    keep_apart(sets)
    fill_energies(energies, isolated)
    for head, own in energies.items():
        potentials_of(potential)[head].E0s = own.energies
    train, valid = joined(one.train for one in sets.values()), joined(one.valid for one in sets.values())
    remarks = [text for own in (*energies.values(), *sets.values()) for text in own.remarks]
    tests = {name: part for one in sets.values() for name, part in one.test.items()}
    return Data(train, valid, tests, shortest_distances=shortest_distances(train)), remarks


def check_tensorboard(tensorboard, folder) -> None:
    """InputError for an event file without a run folder to write it into."""
    if tensorboard and folder is None:
        raise InputError("tensorboard=True writes an event file into a run folder: give folder=, too")


def run_through(potential, data, settings, job, folder, restart, quiet, config, remarks) -> Fit:
    """`carry_out` from Python: in a run folder or without one; a signal that ended it comes after all is in order."""
    with job.ranks.guard(), contextlib.ExitStack() as stack:
        names, run = heads_of(potential), None
        if folder:
            run = stack.enter_context(run_of_ranks(job.ranks, open_run(folder, job.name, restart, heads=names)))
        display = stack.enter_context(display_of(job.ranks, quiet, run))
        for remark in remarks:
            display.remark(remark)
        result, reason = carry_out(potential, data, settings, job, display, run, config)
    if isinstance(reason, int):
        signal.raise_signal(reason)
    return result


def display_of(ranks, quiet=False, run=None) -> Display:
    """The Display of the first rank, with the log of a run folder; others have nothing to say."""
    if not ranks.first:
        return Display(quiet=True)
    return Display(quiet, run.folder / "train.log" if run else None)


def trained(potential) -> bool:
    """True for a potential that carries the marks of a training: it keeps its scales and E0s."""
    return bool(potential.description.get("training"))


def split(structures, valid, seed):
    """(train, valid): Structures as given, or a random fraction cut off by seed, the rest in its order."""
    structures = as_structures(structures)
    if not isinstance(valid, (int, float)):
        return structures, as_structures(valid)
    if valid == 0:
        return structures, structures[:0]
    if not 0 < valid < 1:
        raise InputError(f"valid must be a fraction in [0, 1) or structures, got {valid!r}")
    return tuple(cut(structures, [1 - valid, valid], seed))


def fingerprint(structures, E0s) -> str:
    """A digest of everything in the structures, and of the E0s, that a training sees."""
    digest = hashlib.sha256(repr(sorted(E0s.items())).encode())
    if isinstance(structures, Shards):
        digest.update(structures.identity.encode())
        return digest.hexdigest()
    for s in structures:
        for part in (s.numbers, s.positions, s.cell, s.pbc, s.energy, s.forces, s.stress, s.weight):
            content = b"none" if part is None else np.ascontiguousarray(part, dtype=float).tobytes()
            digest.update(len(content).to_bytes(8, "little") + content)
        if s.label_weights:
            digest.update(f"weights {sorted(s.label_weights.items())}".encode())
        if s.head:
            digest.update(f"head {s.head}".encode())
        for leaf in sorted(s.leaves):
            digest.update(leaf.encode() + np.ascontiguousarray(s.leaves[leaf], dtype=float).tobytes())
        for label in sorted(s.labels):
            digest.update(f"{label} {s.labels[label].tolist()}".encode())
        for nodes in s.scheme.sets if s.scheme else []:
            digest.update(repr([(key, np.asarray(value).tolist()) for key, value in sorted(nodes.items())]).encode())
        for name, tensor in sorted(s.outputs.items()):
            digest.update(name.encode() + np.ascontiguousarray(tensor, dtype=float).tobytes())
    return digest.hexdigest()


def network_print(potential) -> str:
    """A digest of the program and its scales: another release may build another network from the same options."""
    parts = [
        potential.description.get(name) for name in ("program", "offsets", "spreads", "scheme", "r_min", "repulsion")
    ]
    program = json.dumps([*parts, potential.scale, len(potential.parameters)], sort_keys=True)
    return hashlib.sha256(program.encode()).hexdigest()


def prepare(potential, data, settings, job) -> Trainer:
    """The Trainer of a run at its beginning; a potential that was never trained gets its scales from the data."""
    if not len(data.train):
        raise InputError("no structure to train on")
    for structures in (data.train, data.valid, *data.tests.values(), *data.old.values()):
        check_labels(structures, potential.outputs)
    for s in (s for part in data.tests.values() for s in part):
        training_set(potential, [s])  # what it cannot evaluate is said now, not after the training
    check_heads(potential, data, settings)
    if not trained(potential) and not data.tuned:
        calibrate(potential, data.train)
    train, valid, more = data.train, data.valid, {}
    if data.tuned:
        more["frozen"] = data.tuned.frozen
    if data.old:
        if any(isinstance(part, Shards) for part in (train, valid)):
            raise InputError("fine-tuning with replay joins old data and new in memory: nbcore.data.read reads shards")
        train, valid = train + data.old["train"], valid + data.old["valid"]
        more["replay"] = len(data.old["train"]), data.tuned.replay.per_epoch, len(data.old["valid"])
    valid_set = training_set(potential, valid) if len(valid) else None
    trainer = Trainer(training_set(potential, train), valid_set, settings, job.threads, ranks=job.ranks, **more)
    if data.tuned:
        data.tuned.before = compared(trainer, data, job, ["valid" if len(data.valid) else "train", "replay"])
    describe(potential, data, settings, job)
    check_saves(next(iter(potentials_of(potential).values())))
    return trainer


def check_heads(potential, data, settings) -> None:
    """InputError for a head without structures, or whose loss is zero whatever the network says."""
    for head, one in potentials_of(potential).items():
        train, valid = of_head(data.train, head), of_head(data.valid, head)
        if not len(train):
            raise InputError(f"the head {head} has no structure to train on")
        try:
            check_loss(one, train, valid, settings)
        except InputError as e:
            raise InputError(f"{head}: {e}" if head else str(e)) from None
        wanted = [{"energy", "forces"}] * one.has_energy + [{name} for name in one.outputs]
        for labels in wanted if head else ():
            if not counting(train, labels):
                what = "energy or forces" if len(labels) > 1 else next(iter(labels))
                raise InputError(
                    f"{head}: no structure has {what} with a weight above 0: what this head says of it would not be "
                    "trained. Leave the head out, or give it such labels"
                )


def unjudged(potential, valid) -> list[str]:
    """A remark where some heads have validation data and others not."""
    without = [head for head in heads_of(potential) if not len(of_head(valid, head))]
    if not without or not len(valid):
        return []
    return [f"{', '.join(without)}: no validation data, so the best epoch is chosen by those of the other heads."]


def describe(potential, data, settings, job) -> None:
    """Writes into the model's description where it comes from; no times, so the same training gives the same file."""
    potential.annotate(
        shortest_distances=data.shortest_distances,
        seeds={**potential.description.get("seeds", {}), "training": settings.seed},
        versions=report.versions(),
    )
    sizes = {
        head: {"n_train": len(of_head(data.train, head)), "n_valid": len(of_head(data.valid, head))}
        for head in heads_of(potential)
    }
    for head, one in potentials_of(potential).items():
        training = {
            "name": job.name,
            "files": data.files,
            "n_train": len(of_head(data.train, head)),
            "n_valid": len(of_head(data.valid, head)),
            "settings": settings.flat(),
            **data.facts,
            **data.of_heads.get(head, {}),
        }
        if head:
            training |= {
                "head": head,
                "heads": {name: {**n, "weight": potential.weights[name]} for name, n in sizes.items()},
            }
        one.annotate(training=training)


def show_plan(trainer, data, job, display) -> None:
    """The sections Start, Model and Plan, with measured times."""
    if data.tuned:
        display.section("Start", *data.tuned.lines(trainer.potential))
        for remark in data.tuned.replay.remarks if data.tuned.replay else []:
            display.remark(remark)
    cost = measure(trainer)
    display.section("Model", *model_lines(trainer.potential, cost, job.size))
    display.section("Plan", plan_line(trainer, cost), *ranks_lines(trainer, cost))


def carry_out(potential, data, settings, job, display, run=None, config=None):
    """Trains to the end, or until a signal or the time limit; returns (Fit, reason) as `loop` gives it.

    run: an open RunFolder or None; what it holds is continued, after `config` {key: value} and the data were compared.
    A potential may be Heads, whose structures are joined in `data` and name their head.
    """
    ranks = job.ranks
    trainer, elapsed = ranks.together(lambda: prepare(potential, data, settings, job)), 0.0
    prints = {name: fingerprint(getattr(data, name), potential.E0s) for name in ("train", "valid")}
    prints |= {f"replay ({name})": fingerprint(old, potential.E0s) for name, old in data.old.items()}
    prints["the network"] = network_print(potential)
    start = digest(potential.parameters) if job.start_counts else ""
    identities = {"config": config, "data": prints, "kernels": build_info()["kernel_set"], "start": start}
    ranks.same(
        {f"the data, {name}" if name in ("train", "valid") else name: value for name, value in prints.items()}
        | {"the first parameters": digest(trainer.parameters), **checkpoint_keys(config)}
    )

    def go_on():
        run.check("config", config, job.origin)
        run.check("data", prints, "the data now")
        return run.check_start(start), run.resume(trainer)

    if run and run.begun:
        identities["start"], elapsed = ranks.together(go_on)
        display.print(f"Continuing {run.folder}/last.ckpt: {_where(trainer)}, {about(elapsed)} so far.")
        for remark in run.remarks(identities["kernels"]):
            display.remark(remark)
    else:
        show_plan(trainer, data, job, display)
        for remark in [*lonely_atoms(potential, trainer.train_set), *unjudged(potential, data.valid)]:
            display.remark(remark)
        if run:
            ranks.together(lambda: run.begin(trainer, identities))
    if run:
        run.rewrite_history(trainer.history, job.tensorboard)
    try:
        if not trainer.finished:
            units = {
                name: output.unit if output.per_atom else f"{output.unit}/atom" if output.unit else "per atom"
                for name, output in potential.outputs.items()
            }
            names = heads_of(potential), "valid" if len(data.valid) else "train"
            display.epochs_begin(bool(data.train.labels["stress"]), units, potential.has_energy, *names)
        reason, elapsed = loop(trainer, display, run, identities, elapsed, job.max_seconds, job.checkpoint_seconds)
    finally:
        trainer.parameters[:] = trainer.best
    if isinstance(reason, int):
        display.print(_stopped(trainer, run, job))
        return Fit(trainer.history, potential, trainer.best_epoch), reason
    errors = finish(trainer, data, job, display, run, reason, elapsed)
    return Fit(trainer.history, potential, trainer.best_epoch, errors), reason


def checkpoint_keys(config) -> dict:
    """The entries of a configuration that decide bits, by which ranks are compared."""
    return {key: value for key, value in (config or {}).items() if key != "training.threads"}


def _where(trainer):
    step = f", step {trainer.position // trainer.settings.batch_size}" if trainer.position else ""
    return f"epoch {trainer.epoch}{step} of {trainer.settings.max_epochs}"


def _stopped(trainer, run, job):
    where = f"\nStopped at epoch {trainer.epoch}."
    if run is None:
        return f"{where} The potential holds epoch {trainer.best_epoch}, the best so far."
    models = ", ".join(str(head_file(run.model, head)) for head in heads_of(trainer.potential) or [""])
    held = f"; {models} holds epoch {trainer.best_epoch}, the best so far" if trainer.best_epoch else ""
    return f"{where} Saved {run.folder}/last.ckpt{held}.\n{job.again}"
