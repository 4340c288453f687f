"""The loop around the trainer: epochs on the screen, checkpoints, signals, the clock."""

import contextlib
import math
import signal
import threading
import time
from collections import deque

from nbcore.errors import NumericsError
from nbcore.ranks import of_all_ranks
from nbcore.train.display import hanging, scientific

TIME = -1  # a wish of a rank, see `nbcore.train.step_sums`
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name)]


class Signals:
    """A block in which SIGINT, SIGTERM, SIGHUP and SIGUSR1 are noted, not obeyed: the step under way is finished first.

    After the first signal the old handlers are back: a second one is obeyed at once.
    """

    def __enter__(self):
        self.caught, self._old = None, {}
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup keeps its promise
                    self._old[number] = signal.signal(number, self._note)
        return self

    def _note(self, number, _frame):
        self.caught = number
        self.__exit__()

    def __exit__(self, *_):
        while self._old:
            signal.signal(*self._old.popitem())


class Clock:
    """Seconds of the whole run over all continuations, and an honest guess of what is left."""

    def __init__(self, elapsed=0.0):
        self._before, self._start = elapsed, time.monotonic()
        self._epochs = deque(maxlen=20)  # (time, progress) at the ends of the last epochs

    @property
    def here(self) -> float:
        """Seconds in this process."""
        return time.monotonic() - self._start

    @property
    def elapsed(self) -> float:
        """Seconds of the run."""
        return self._before + self.here

    def epoch_ended(self, progress) -> None:
        """Takes note; validation is part of an epoch."""
        self._epochs.append((self.here, progress))

    def left(self, progress, total):
        """Seconds until `total` epochs are done, from the last epochs; None before the first has ended."""
        if len(self._epochs) < 2:
            return None
        (t0, p0), (t1, p1) = self._epochs[0], self._epochs[-1]
        return (total - progress) * (t1 - t0) / (p1 - p0)


def loop(trainer, display, folder=None, identities=None, elapsed=0.0, max_seconds=math.inf, checkpoint_seconds=300.0):
    """Trains to the end and returns (reason, seconds): reason is "finished", "time" (max_seconds) or a signal's number.

    What one of several ranks is told by a signal or a clock, all know after their next common step, and end after it.
    folder: a RunFolder for checkpoints, model and history, or None. Raises NumericsError with the last good checkpoint.
    """
    clock, saved = Clock(elapsed), time.monotonic()
    clock.epoch_ended(trainer.progress)
    reason = "finished"

    def save():
        nonlocal saved
        if folder is not None:
            folder.save(trainer, identities, clock.elapsed)
            saved = time.monotonic()

    def wish():
        """What this rank wants: 0 to go on, TIME or the number of a signal to end."""
        return signals.caught or (TIME if clock.here >= max_seconds else 0)

    def stopped(error):
        """A disk that is full, or a reader of the output that went away: says what is saved."""
        display.end_progress()
        if isinstance(error, BrokenPipeError):
            save()
        elif folder is not None and error.strerror:
            error.strerror += f". Saved is epoch {folder.saved_epoch:.4g}; the same command continues from there"

    with Signals() as signals, _telling(stopped):
        while not trainer.finished:
            stage = trainer.stage
            try:
                row = trainer.step(wish())
            except NumericsError as e:
                display.end_progress()
                raise of_all_ranks(NumericsError(f"{_sentence(e)} {_last_good(folder)}{_remedy(trainer)}")) from e
            if row is not None:
                clock.epoch_ended(trainer.progress)
                if folder is not None:
                    folder.append_history(trainer.history)
                if worth_a_row(row["epoch"], trainer.settings.max_epochs) or trainer.stage != stage or trainer.finished:
                    display.epoch(row, clock.elapsed)
                if trainer.stage != stage:
                    display.print(_stage_two(trainer))
            display.progress(trainer.progress, trainer.settings.max_epochs, _best(trainer), _left(clock, trainer))
            stop = trainer.stop if trainer.ranks.size > 1 else wish()
            if stop > 0:
                reason = stop
                break
            if stop == TIME and not trainer.finished:
                reason = "time"
                break
            if time.monotonic() - saved >= checkpoint_seconds:
                save()
        display.end_progress()
        save()
    return reason, clock.elapsed


@contextlib.contextmanager
def _telling(what):
    """A block whose OSError passes through `what` on its way."""
    try:
        yield
    except OSError as e:
        what(e)
        raise


def worth_a_row(epoch, max_epochs) -> bool:
    """1, 2, 5, 10, 20, 50, ... and every twentieth part of the run; all of them are in history.csv."""
    leading = epoch / 10 ** int(math.log10(epoch))
    return leading in (1, 2, 5) or epoch % math.ceil(max_epochs / 20) == 0 or epoch == max_epochs


def _left(clock, trainer):
    return clock.left(trainer.progress, trainer.settings.max_epochs)


def _best(trainer):
    """valid F 21.4 (best 20.9, epoch 208), in meV/Å; energies where there are no forces."""
    if not trainer.history:
        return "first epoch"
    row = trainer.history[-1]
    if not trainer.potential.has_energy:
        kind = next(iter(trainer.potential.outputs))
        name = "train" if row[f"{kind}_valid"] is None else "valid"
        words = f"{name} {kind} {row[f'{kind}_{name}']:.3g}"
        if trainer.best_epoch:
            best = trainer.history[trainer.best_epoch - 1][f"{kind}_{name}"]
            words += f" (best {best:.3g}, epoch {trainer.best_epoch})"
        return words
    for kind, sign in (("forces", "F"), ("energy", "E")):
        for name in ("valid", "train"):
            if row[f"{kind}_{name}"] is not None:
                break
        else:
            continue
        words = f"{name} {sign} {1e3 * row[f'{kind}_{name}']:.1f}"
        if trainer.best_epoch:
            best = trainer.history[trainer.best_epoch - 1][f"{kind}_{name}"]
            words += f" (best {1e3 * best:.1f}, epoch {trainer.best_epoch})"
        return words
    return ""


def _stage_two(trainer):
    one, two = trainer.settings.last_loss_of(1).energy_weight, trainer.settings.stage_two
    words = f"stage two: energy weight {one:g} -> {two.energy_weight:g}, lr {scientific(trainer.settings.lr_of(2), 1)}"
    if trainer.epoch < trainer.settings.stage_two_epoch:
        words += f" (no better for {trainer.settings.waits} epochs)"
    return hanging(f"{trainer.epoch:>7}    ", words)


def _sentence(error):
    text = str(error)
    return text if text.endswith(".") else text + "."


def _remedy(trainer):
    single = trainer.settings.precision == "float32"  # whose largest number is 3e38
    return 'Try a smaller lr, or precision = "float64".' if single else "Try a smaller lr."


def _last_good(folder):
    if folder is None or folder.saved_epoch is None:
        return ""
    return f"Last good checkpoint: epoch {folder.saved_epoch:.4g}. "
