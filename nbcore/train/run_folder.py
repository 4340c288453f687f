"""The folder of a run: lock, checkpoints, history.csv, the model; what is needed to go on after any interruption."""

import contextlib
import math
import shutil
from pathlib import Path

import numpy as np

from nbcore import files, sealed
from nbcore.errors import CheckpointError
from nbcore.identity import digest
from nbcore.train import checkpoint, tensorboard
from nbcore.train.heads import head_file, potentials_of

OWNER = "nbcore train"
ROOM = 20 * 2**20  # bytes for model, plots, report and log


@contextlib.contextmanager
def open_run(folder, name, restart=False, inputs=(), force=False, heads=()):
    """Locks `folder` (made where it is missing) for the length of the block and gives the RunFolder.

    restart: an older run is kept as FOLDER.1 (.2, ...) and a new one begins. inputs: files that the training reads.
    force: replace files in the folder that are not of a training. heads: their names, of a training that has some.
    Raises CheckpointError (exit code 6) when another process is using the folder; FileExistsError when files in it
    would be replaced that are inputs, or not of a training.
    """
    folder = Path(folder)
    files.check_name(name)
    own = is_run(folder)
    if restart and own:
        with files.lock(folder, OWNER):
            files.set_aside(folder)
    # a run is continued from its own copy of the configuration too, which then stands
    files.claim(
        folder, OWNER, [n for n in written(name, heads) if not (own and n == "config.toml")], own, inputs, force
    )
    with files.lock(folder, OWNER):
        yield RunFolder(folder, name)


@contextlib.contextmanager
def run_of_ranks(ranks, opening):
    """The RunFolder that `opening`, of `open_run`, gives on the first rank; others have one that writes nothing."""
    with contextlib.ExitStack() as stack:
        own = ranks.together(lambda: stack.enter_context(opening) if ranks.first else None)
        told = ranks.of_first(lambda: (own.folder, own.name, own.found))
        yield own if ranks.first else ReadRun(*told)


def is_run(folder) -> bool:
    """True for the folder of a training, also of one that was copied without its lock."""
    checkpoints = (Path(folder) / name for name in (checkpoint.LAST, checkpoint.PREVIOUS))
    return files.owned(folder, OWNER) or any(sealed.is_of(checkpoint.KIND, path) for path in checkpoints)


def written(name, heads=()) -> list[str]:
    """What a training of this name writes into its folder."""
    plots = [f"plots/{plot}.png" for plot in ("learning_curve", "parity", "errors")]
    others = ["config.toml", "train.log", "history.csv", tensorboard.NAME, "report.html", *plots]
    models = [head_file(f"{name}.nbcore", head).name for head in heads or ("",)]
    return [*models, *others, checkpoint.LAST, checkpoint.PREVIOUS]


class RunFolder:
    """A run folder that is locked by this process."""

    def __init__(self, folder, name):
        self.folder, self.name = Path(folder), name
        self.saved_epoch = None  # epochs (with fractions) in the checkpoint on disk
        self.found = checkpoint.read(self.folder)
        self.events = None  # the event file, where there is one
        self.extended = ""  # what to say of a run that goes on beyond its planned end

    @property
    def model(self) -> Path:
        """The model file; those of heads stand in its place, see `head_file`."""
        return self.folder / f"{self.name}.nbcore"

    @property
    def begun(self) -> bool:
        """True if there is a run to continue."""
        return self.found is not None

    def remarks(self, kernels) -> list[str]:
        """What to say of the checkpoint that is continued: damaged, of other vector kernels or of a shorter run."""
        _, plain, damaged = self.found
        remarks = [*filter(None, [damaged, self.extended])]
        if plain["kernels"] != kernels:
            remarks.append(
                f"Begun with {plain['kernels']}, continued with {kernels}: the same to rounding, not bit for bit."
            )
        return remarks

    def check(self, kind, identity, where) -> None:
        """CheckpointError if the run in the folder was made with other settings or data; `where` names the new ones.

        kind: "config" ({key: value}) or "data" ({name: digest}).
        """
        if not self.begun:
            return
        difference = checkpoint.first_difference(self.found[1][kind], identity)
        if difference:
            key, old, new = difference
            what = f"made with {_said(key, old)}; {where} says {_said('', new)}."
            if kind == "data":
                what = f"made with other data, E0s or another release: {key} has changed."
            raise CheckpointError(
                f"{self.folder / checkpoint.LAST} was {what}\n"
                f"--restart begins again (the old run is kept as {self.folder}.1/); undo the change to continue."
            )

    def check_start(self, start) -> str:
        """CheckpointError if the run began from other parameters; returns the digest of those from which it did.

        A potential that holds what the run has reached, after an interruption in the same program, is the same one.
        """
        arrays, plain, _ = self.found
        reached = {digest(arrays[name]) for name in ("parameters", "best", "average") if name in arrays}
        if start not in {"", plain["start"], *reached}:
            raise CheckpointError(
                f"{self.folder / checkpoint.LAST} was made from a potential with other parameters.\n"
                f"--restart, from Python restart=True, begins again (the old run is kept as {self.folder}.1/)."
            )
        return plain["start"]

    def resume(self, trainer) -> float:
        """Puts the trainer where the checkpoint was made; returns the seconds that the run has taken so far."""
        arrays, plain, _ = self.found
        try:
            _check_state(trainer, arrays, plain["trainer"])
            trainer.load_state(arrays, plain["trainer"])
        except (KeyError, ValueError, TypeError, AttributeError) as e:
            raise CheckpointError(
                f"{self.folder / checkpoint.LAST} does not fit this training ({type(e).__name__}: {e}).\n"
                f"--restart begins again (the old run is kept as {self.folder}.1/)."
            ) from e
        self.saved_epoch = trainer.progress
        planned = plain["config"]["training.max_epochs"]
        if planned < trainer.settings.max_epochs:
            self.extended = _extended(trainer, planned, trainer.stage_epoch, trainer.extend())
        return plain["elapsed"]

    def begin(self, trainer, identities) -> None:
        """Before the first step: writes what will be written again and again, so that a full disk is met now."""
        self.save(trainer, identities, elapsed=0.0)
        size = (self.folder / checkpoint.LAST).stat().st_size + 3 * trainer.parameters.nbytes  # moments come
        needed, free = 2 * size + ROOM, shutil.disk_usage(self.folder).free
        if free < needed:
            raise OSError(28, f"needs {needed // 2**20} MB of free disk, has {free // 2**20} MB", str(self.folder))

    def save(self, trainer, identities, elapsed) -> None:
        """The model as it is best so far, and a checkpoint; after an OSError the previous checkpoint stands."""
        try:
            if trainer.best_epoch:
                potential = trainer.potential
                now = {"epochs": trainer.epoch, "best_epoch": trainer.best_epoch}
                for one in potentials_of(potential).values():
                    one.annotate(training={**one.description.get("training", {}), **now})
                with trainer.using(trainer.best):
                    trainer.potential.save(str(self.model), overwrite=True)
            arrays, plain = trainer.state()
            checkpoint.write(self.folder, arrays, {"trainer": plain, "elapsed": elapsed, **identities})
        except OSError as e:
            e.filename = e.filename or str(self.folder / checkpoint.LAST)
            raise
        self.saved_epoch = trainer.progress

    # ---- history.csv: a row per epoch, the same file for a run that was interrupted; and an event file like it ----

    def rewrite_history(self, history, events=False) -> None:
        """The whole file anew: rows after the checkpoint that is continued are dropped. events: an event file, too."""
        names = list(dict.fromkeys(name for row in history for name in row))
        lines = [names, *([row.get(name) for name in names] for row in history)] if history else []
        with files.replacing(self.folder / "history.csv", "w", overwrite=True) as f:
            f.write("".join(map(_csv_line, lines)))
        self.events = self.folder / tensorboard.NAME if events else None
        if self.events:
            with files.replacing(self.events, overwrite=True) as f:
                f.write(b"".join([tensorboard.first_record(), *map(tensorboard.record, history)]))

    def append_history(self, history) -> None:
        """The newest row."""
        head = _csv_line(history[0]) if len(history) == 1 else ""
        self._append(self.folder / "history.csv", (head + _csv_line(history[-1].values())).encode())
        if self.events:
            self._append(self.events, tensorboard.record(history[-1]))

    def _append(self, path, content):
        try:
            with open(path, "ab") as f:
                f.write(content)
        except OSError as e:
            e.filename = e.filename or str(path)
            raise


class ReadRun(RunFolder):
    """The run folder of another rank, which writes it."""

    def __init__(self, folder, name, found):
        self.folder, self.name, self.found = folder, name, found
        self.saved_epoch, self.events, self.extended = None, None, ""

    def begin(self, trainer, identities) -> None:
        """Nothing."""

    def save(self, trainer, identities, elapsed) -> None:
        """Nothing."""

    def rewrite_history(self, history, events=False) -> None:
        """Nothing."""

    def append_history(self, history) -> None:
        """Nothing."""


def _extended(trainer, planned, begun, undone):
    """What it means for a run that max_epochs was raised."""
    s = trainer.settings
    words = f"max_epochs was {planned} and is {s.max_epochs}: the schedule, {s.schedule}, is that of the new length"
    if s.loss.moves:
        words += ", and so are the weights that move"
    if undone:
        words += (
            f"; stage two, begun after epoch {begun}, is undone and begins after epoch {s.stage_two_epoch}; until then "
            "the losses are those of stage one, and the best is chosen anew"
        )
    return f"{words}."


def _check_state(trainer, arrays, plain):
    """ValueError where a state, though sealed, cannot be one of this trainer: NumPy would stretch arrays silently."""
    for name in ("parameters", "average", "best"):
        a = arrays[name]
        if a.dtype != float or a.shape != trainer.parameters.shape or not np.isfinite(a).all():
            raise ValueError(f"{name} are not {trainer.parameters.size} finite numbers")
    order, n = np.unique(arrays["order"]), len(trainer.train_set.structures)
    new = trainer.n_new  # these are in every epoch
    if not (len(order) == arrays["order"].size == trainer.n_train and np.array_equal(order[:new], np.arange(new))):
        raise ValueError(f"the order does not name {trainer.n_train} structures once each")
    if order[-1] >= n:
        raise ValueError(f"the order names a structure beyond the last of {n}")
    for name in ("epoch", "steps", "position", "stage", "stage_epoch", "stage_steps", "best_epoch", "waiting"):
        if type(plain[name]) is not int or plain[name] < 0:
            raise ValueError(f"{name} is {plain[name]!r}")


def _csv_line(values):
    return ",".join("" if v is None else str(v) for v in values) + "\n"


def _said(key, value):
    """`model.channels = 64`, as it would stand in train.toml."""
    text = "nothing" if value is None else f'"{value}"' if isinstance(value, str) else str(value)
    if isinstance(value, dict):
        text = "{ " + ", ".join(f"{name} = {_said('', one)}" for name, one in value.items()) + " }"
    if isinstance(value, float) and math.isfinite(value):
        text = f"{value:g}"
    return f"{key} = {text}" if key else text
