"""The numerics of a training: steps, epochs, averages, stages, the best so far. No file, no screen, no clock.

Its state is all that decides the bits of the rest of the run, so a run that was saved and taken up again at any step
ends where an uninterrupted one does.
"""

import contextlib
import functools
import math
import os

import numpy as np

from nbcore._core import move_average
from nbcore.data.whole_sets import sizes
from nbcore.errors import InputError, NumericsError
from nbcore.ranks import Alone, of_all_ranks, shared
from nbcore.train.clipping import Clipping
from nbcore.train.heads import heads_of
from nbcore.train.measures import Sums
from nbcore.train.norms import Norms
from nbcore.train.optimizers import optimizer_for, weight_matrices
from nbcore.train.order import shuffled
from nbcore.train.partials import costs, sum_of
from nbcore.train.schedule import make_schedule
from nbcore.train.step_sums import ERROR, StepSums
from nbcore.train.training_set import part_of

PORTION = 1000  # structures that are validated at a time
LEAF = 10  # structures whose errors are added one after another; these sums are added pairwise
# steps of weight matrices are shared where that saves more than it takes to send them, measured in multiplications:
SENT, EXCHANGE = 30, 250_000  # of a parameter that is sent, and of an exchange


class Trainer:
    """Trains the potential of `train_set` in place, step by step; or heads, of a HeadsTrainingSet.

    train_set, valid_set: TrainingSet, the second may be None (then the loss in training chooses the best).
    While it runs, `potential.parameters` are the raw ones; `average` (EMA) is what is validated, `best` what is kept.
    frozen: (n_parameters,) booleans, parameters that keep their bits. replay: (n, k, v), the last n structures of
    train_set are old ones, of which each epoch takes k at random, and so are the last v of valid_set. ranks: Ranks that
    share each step; all of them have the same potential and sets, and the bits do not depend on their number.
    Raises NumericsError, naming epoch, step and structures, when the loss is not finite.

    >>> sets = [nbcore.train.TrainingSet(potential, part) for part in (data[:20], data[20:30])]
    >>> trainer = Trainer(*sets, nbcore.train.Settings(max_epochs=2))
    >>> while not trainer.finished:
    ...     row = trainer.step()
    """

    def __init__(self, train_set, valid_set, settings, threads=None, frozen=None, replay=(0, 0, 0), ranks=None):
        if valid_set is None and settings.loss.moves and settings.schedule == "plateau":
            raise InputError(
                "a weight of the loss moves, so losses of training are no measure for the schedule plateau: give "
                'validation data, or write  schedule = "cosine"  under [training]'
            )
        self.train_set, self.valid_set, self.settings, self.threads = train_set, valid_set, settings, threads
        self.ranks = ranks or Alone()
        self.potential = train_set.potential
        self.parameters = self.potential.parameters
        self.frozen, self.kept = frozen, None if frozen is None else self.parameters[frozen]
        self.replay, self.n_old_valid = replay, replay[2]
        self.n_new = len(train_set.structures) - replay[0]  # errors are those of new structures, the loss is of all
        self.n_train = self.n_new + replay[1]  # in an epoch
        self.steps_per_epoch = math.ceil(self.n_train / settings.batch_size)
        self.random = np.random.Generator(np.random.PCG64([settings.seed, 1]))  # by name: a default may change
        self._sizes = sizes(train_set.structures)
        self.order, self.position, self.sums = self._draw(), 0, self._sums()
        self.epoch, self.steps = 0, 0  # finished ones
        self.optimizer = optimizer_for(settings, self.potential, threads)
        self.clipping = Clipping(settings.clip_grad, settings.clip_spikes)
        self.matrices = self._share_matrices()  # of the optimizer, whose steps ranks share
        self.stop = 0  # what all ranks know after a step of `wish`
        self.average = self.parameters.copy()
        self.stage, self.stage_epoch, self.stage_steps = 1, 0, 0  # which, begun after which epoch, steps within
        self.schedule = make_schedule(settings, 1, self.steps_per_epoch)
        self.best, self.best_epoch, self.best_loss = self.parameters.copy(), 0, math.inf
        self.waiting = 0  # epochs since the best
        self.history = []
        self.norms = Norms(self.potential, self.steps_per_epoch)
        if settings.stage_two_epoch == 0:
            self._begin_stage_two()

    @property
    def loss(self):
        """The Loss of this epoch."""
        return self.settings.loss_of(self.stage, self.epoch)

    @property
    def loss_of_valid(self):
        """The Loss that validates: where weights move, with the last ones of the stage, so that epochs compare."""
        return self.settings.last_loss_of(self.stage)

    @property
    def out_of_patience(self) -> bool:
        """True after `patience` epochs without a better validation loss."""
        return self.waiting >= self.settings.waits

    @property
    def finished(self) -> bool:
        """True if no epoch is left."""
        return self.epoch >= self.settings.max_epochs or self.out_of_patience

    @property
    def progress(self) -> float:
        """Epochs done, with the fraction of the one under way."""
        return self.epoch + self.position / self.n_train

    def step(self, wish=0):
        """One batch; after the last of an epoch the row of the history (a dict), else None.

        wish: a number, 0 or a reason to end; after the step `stop` is that of the ranks, the same on all of them.
        """
        batch = self.order[self.position : self.position + self.settings.batch_size]
        gradient, squares = self._loss_and_gradient(batch, wish)
        norm = math.sqrt(sum(squares))
        measured = self.norms.due(self.position // self.settings.batch_size)
        if measured:
            self.norms.add("gradient", squares)
            before = self.parameters.copy()
        if norm > (clip := self.clipping.bound(norm)):
            gradient *= clip / norm
        self.optimizer.lr = self.schedule.rate(self.stage_steps)
        self.optimizer.step(self.parameters, gradient)
        if self.frozen is not None:  # whatever an optimizer does to parameters without a gradient: decay, momenta
            self.parameters[self.frozen] = self.kept
        if self.matrices:
            self.ranks.exchanged(self.parameters, self.matrices)
        if measured:
            self.norms.add("update", self.norms.squares(np.subtract(self.parameters, before, out=before)))
        self.steps, self.stage_steps = self.steps + 1, self.stage_steps + 1
        decay = min(self.settings.ema_decay, (1 + self.steps) / (10 + self.steps))
        move_average(self.average, self.parameters, 1 - decay)
        self.position += len(batch)
        return self._end_epoch() if self.position >= self.n_train else None

    def _draw(self):
        """The structures of an epoch, shuffled: all new ones, and as many of the old as it takes."""
        n_old, k, _ = self.replay
        if not n_old:
            return shuffled(self.random, self._sizes)
        old = self.n_new + self.random.choice(n_old, k, replace=False)
        return self.random.permutation(np.concatenate([np.arange(self.n_new), old]))

    def _share_matrices(self):
        """Where ranks share the steps of the weight matrices: of each rank [(first, count), ...], else []."""
        optimizer, n = getattr(self.optimizer, "optimizer", self.optimizer), len(self.parameters)
        if self.ranks.size == 1 or not hasattr(optimizer, "take_part"):
            return []
        matrices = weight_matrices(self.potential.parameter_slices)
        sizes = [(count * rows * columns, min(rows, columns)) for _, count, rows, columns in matrices]
        saved = sum(size * shorter for size, shorter in sizes) * (1 - 1 / self.ranks.size)
        if saved < EXCHANGE + SENT * sum(size for size, _ in sizes):
            return []
        optimizer.take_part(self.ranks.rank, self.ranks.size)
        return [optimizer.matrices_of(rank, n) for rank in range(self.ranks.size)]

    def _loss_and_gradient(self, batch, wish):
        """Gradient of a batch and its squares (`Norms.squares`), all finite; errors are added to `sums`."""
        precision, error = self.settings.precision, None
        how = StepSums(self.train_set, batch, self.ranks, precision)
        try:
            result, _ = self.train_set.sums(batch, self.loss, self.threads, precision, how.parts, how.rows)
            errors = self._errors_of_groups(batch, how.parts, result)
        except NumericsError as e:
            error = NumericsError(self._not_finite(batch))
            error.__cause__ = e
        except Exception as e:
            if self.ranks.size == 1:
                raise
            error = e
        if error is not None:
            if self.ranks.size == 1:
                raise error
            errors = how.nothing(len(self.sums.vector))
        totals, sums, self.stop = how.added(errors, wish if error is None else ERROR)
        if self.stop == ERROR:
            self.ranks.raise_first(error)
        gradient = self.train_set.gradient(totals, precision, self.ranks.kept("gradient", len(self.parameters)))
        if self.frozen is not None:
            gradient[self.frozen] = 0
        squares = self.norms.squares(gradient)
        if not (np.isfinite(sums).all() and math.isfinite(sum(squares))):
            raise of_all_ranks(NumericsError(self._not_finite(batch)))
        self.sums.add_vector(sums)
        return gradient, squares

    def _errors_of_groups(self, batch, parts, result):
        """Of each tree the errors of its groups of partials, (groups, k) as `Sums.vector`."""
        found, first = [], 0
        for groups in parts:
            vectors = np.empty((len(groups), len(self.sums.vector)))
            for k, group in enumerate(groups):
                of_partials = []
                for partial in group:
                    own, last = batch[partial.places], first + len(partial.places)
                    sums = self._sums()
                    sums.add(
                        [self.train_set.structures[i] for i in own], part_of(result, first, last), own < self.n_new
                    )
                    of_partials.append(sums.vector)
                    first = last
                vectors[k] = sum_of(of_partials)
            found.append(vectors)
        return found

    def _not_finite(self, batch):
        frames = {}
        for i, s in ((int(i), self.train_set.structures[i]) for i in batch):
            name, number = (os.path.normpath(s.file), s.frame) if s.file else ("the training data", i)
            frames.setdefault(name, []).append(number)
        where = "; ".join(f"{', '.join(map(str, sorted(f)))} of {name}" for name, f in frames.items())
        step = self.position // self.settings.batch_size + 1
        return f"loss is not finite at epoch {self.epoch + 1}, step {step} (structures {where})"

    def _end_epoch(self):
        """Validates, takes note of the best, moves on to the next epoch or stage; returns the row of the history."""
        self.epoch += 1
        try:
            train, valid = self.sums.means(), self.validate()
        except NumericsError as e:
            raise of_all_ranks(self._bad_valid()) from e
        row = {"epoch": self.epoch, "stage": self.stage, "lr": self.optimizer.lr}
        row |= {f"{name}_train": value for name, value in train.items()}
        row |= {f"{name}_valid": value for name, value in valid.items()}
        row |= self.norms.means()
        self.history.append(row)

        criterion = train["loss"] if valid["loss"] is None else valid["loss"]
        if not math.isfinite(criterion):
            raise of_all_ranks(self._bad_valid())
        self.waiting += 1
        incomparable = valid["loss"] is None and self.stage == 1 and self.settings.loss.moves
        if criterion < self.best_loss or incomparable:
            self.best, self.best_epoch, self.best_loss, self.waiting = self.average.copy(), self.epoch, criterion, 0
        self.schedule.observe(criterion)

        s = self.settings
        if self.stage == 1 and s.has_stage_two and (self.epoch >= s.stage_two_epoch or self.out_of_patience):
            self._begin_stage_two()
        self.order, self.position, self.sums = self._draw(), 0, self._sums()
        self.norms.restart()
        return row

    def _bad_valid(self):
        return NumericsError(f"loss is not finite on the validation data after epoch {self.epoch}")

    def _begin_stage_two(self):
        """Another loss and another rate: losses of stage one are no measure any more, so its best counts no longer."""
        self.stage, self.stage_epoch, self.stage_steps = 2, self.epoch, 0
        self.schedule = make_schedule(self.settings, 2, self.steps_per_epoch, self.epoch)
        self.best_loss, self.waiting = math.inf, 0
        self.clipping.restart()

    def validate(self) -> dict:
        """Loss and errors of the averaged parameters on the validation data, as Sums.means."""
        sums = self._sums()
        if self.valid_set is not None:
            with self.using(self.average):
                parts = self.ranks.gathered(self.ranks.together(self._errors_of_valid))
            sums.add_vector(sum_of([vector for part in parts for vector in part]))
        return sums.means()

    def _errors_of_valid(self):
        """The errors of the leaves of validation data that are this rank's, as `Sums.vector`."""
        structures, n = self.valid_set.structures, len(self.valid_set.structures)
        starts = np.arange(0, n, LEAF)
        first, last = shared(np.add.reduceat(self._valid_costs, starts), self.ranks.size)[self.ranks.rank]
        found, at_a_time = [], max(1, PORTION // LEAF)
        for portion in range(first, last, at_a_time):
            begin, end = starts[portion], min(n, LEAF * min(portion + at_a_time, last))
            part = np.arange(begin, end)
            result = self.valid_set.predict(part, self.threads, self.loss_of_valid, self.settings.precision)
            for leaf in range(begin, end, LEAF):
                own = np.arange(leaf, min(leaf + LEAF, end))
                sums, of_leaf = self._sums(), part_of(result, leaf - begin, own[-1] + 1 - begin)
                sums.add([structures[i] for i in own], of_leaf, own < n - self.n_old_valid)
                found.append(sums.vector)
        return found

    @functools.cached_property
    def _valid_costs(self):
        return costs(self.valid_set.structures, self.potential.cutoff)

    def _sums(self, values=None):
        return Sums(values, self.potential.outputs, heads_of(self.potential))

    @contextlib.contextmanager
    def using(self, parameters):
        """A block in which the potential has other parameters; afterwards it has its own again, bit for bit."""
        own = self.parameters.copy()
        self.parameters[:] = parameters
        try:
            yield
        finally:
            self.parameters[:] = own

    # ---- saving and going on ----

    PLAIN = ("epoch", "steps", "position", "stage", "stage_epoch", "stage_steps", "best_epoch", "best_loss", "waiting")

    def state(self):
        """(arrays, plain): NumPy arrays by name, and what JSON can hold."""
        arrays = dict(parameters=self.parameters.copy(), average=self.average, best=self.best, order=self.order)
        arrays |= {f"optimizer.{name}": value for name, value in self.optimizer.state().items()}
        plain = {name: getattr(self, name) for name in self.PLAIN}
        plain |= dict(
            history=list(self.history),
            random=self.random.bit_generator.state,
            schedule=self.schedule.state(),
            sums=self.sums.values,
            norms=self.norms.values,
            usual=self.clipping.usual,
        )
        return arrays, plain

    def load_state(self, arrays, plain) -> None:
        """Goes on from what `state()` gave, with the same bits."""
        self.parameters[:] = arrays["parameters"]
        self.average, self.best, self.order = arrays["average"].copy(), arrays["best"].copy(), arrays["order"]
        optimizer = {n.removeprefix("optimizer."): a for n, a in arrays.items() if n.startswith("optimizer.")}
        self.optimizer.load_state(optimizer)
        for name in self.PLAIN:
            setattr(self, name, plain[name])
        self.history = list(plain["history"])
        self.random.bit_generator.state = plain["random"]
        begun = self.stage_epoch if self.stage == 2 else None
        self.schedule = make_schedule(self.settings, self.stage, self.steps_per_epoch, begun)
        self.schedule.load_state(plain["schedule"])
        self.sums = self._sums(plain["sums"])
        self.norms.restart(plain["norms"])
        self.clipping.usual = plain["usual"]

    def extend(self) -> bool:
        """After `load_state` of a run with fewer max_epochs: True if its stage two is undone, as it would begin later.

        The schedule is that of the new length anyway, at the epoch that was reached. An undone stage two leaves its
        parameters; losses are those of stage one again, so the best is chosen anew.
        """
        if self.stage == 1 or self.epoch >= self.settings.stage_two_epoch:
            return False
        self.stage, self.stage_epoch, self.stage_steps = 1, 0, self.steps
        self.schedule = make_schedule(self.settings, 1, self.steps_per_epoch)
        self.best_loss, self.waiting = math.inf, 0
        self.clipping.restart()
        return True
