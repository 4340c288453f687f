"""What a run will cost: measured before the first epoch, on the data itself."""

import resource
import sys
import time
from typing import NamedTuple

import numpy as np

from nbcore._core import move_average
from nbcore.data.whole_sets import sizes
from nbcore.train.display import about
from nbcore.train.heads import heads_of
from nbcore.train.optimizers import optimizer_for
from nbcore.train.partials import shares
from nbcore.train.step_sums import StepSums


class Cost(NamedTuple):
    """Seconds of an epoch (validation included), seconds per atom of energy and forces, bytes of memory; of ranks
    also what is gained by sharing steps."""

    epoch: float
    per_atom: float
    memory: int
    sharing: "Sharing | None" = None


class Sharing(NamedTuple):
    """How well ranks share the steps of an epoch: parts of one, seconds, a number of ranks."""

    efficiency: float  # time of one rank, by the number of ranks and their time
    balance: float  # mean work of a rank, by the most
    exchange: float  # seconds of a step
    everywhere: float  # seconds of a step for what each rank does alike: the optimizer, the average
    step: float  # seconds of a step of one rank, but for these
    useful: int  # as many ranks have an efficiency of USEFUL at least


USEFUL = 0.7
LOOKED_AT = 50  # batches


def measure(trainer) -> Cost:
    """Times a training step and an evaluation; nothing of the trainer changes."""
    structures = trainer.train_set.structures
    n = min(trainer.settings.batch_size, len(structures))
    batch = np.arange(n)
    how = {"threads": trainer.threads, "precision": trainer.settings.precision}
    step = _seconds(lambda: trainer.train_set.loss_and_gradient(batch, trainer.loss, **how))
    evaluation = _seconds(lambda: trainer.train_set.predict(batch, **how))
    atoms = sum(len(structures[i].numbers) for i in batch)
    n_atoms = int(sizes(trainer.valid_set.structures).sum()) if trainer.valid_set else 0
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    epoch = trainer.steps_per_epoch * step + n_atoms * evaluation / atoms
    sharing = None
    if trainer.ranks.size > 1:
        sharing = shared_steps(trainer, step)
        epoch /= trainer.ranks.size * sharing.efficiency
    if how["precision"] != "float64":  # in which the model will be evaluated
        evaluation = _seconds(lambda: trainer.train_set.predict(batch, threads=trainer.threads))
    return Cost(epoch, evaluation / atoms, memory, sharing)


def shared_steps(trainer, step) -> Sharing:
    """The efficiency that is to be expected: from the shares of the ranks in some batches, and a measured exchange."""
    ranks, size = trainer.ranks, trainer.settings.batch_size
    starts = range(0, min(len(trainer.order), LOOKED_AT * size), size)
    trees = [trainer.train_set.trees(trainer.order[k : k + size]) for k in starts]
    step, exchange = max(ranks.gathered(step)), _exchange_seconds(trainer)
    everywhere = max(ranks.gathered(_seconds_everywhere(trainer)))

    def balance(n):
        work = [shares(of_batch, n) for of_batch in trees]
        return sum(map(np.mean, work)) / sum(map(np.max, work))

    def of(n):
        return efficiency(n, step, balance(n), everywhere, exchange)

    most = max(sum(map(len, of_batch)) for of_batch in trees)
    useful = max((n for n in range(2, most + 1) if of(n) >= USEFUL), default=1)
    return Sharing(of(ranks.size), balance(ranks.size), exchange, everywhere, step, useful)


def efficiency(ranks, step, balance, everywhere, exchange) -> float:
    """Time of one rank, by the number of ranks and their time. step: seconds of what is shared; balance: mean share by
    the largest; everywhere: seconds of what each does alike; exchange: seconds of the sums.

    >>> efficiency(4, step=1.0, balance=1.0, everywhere=0.0, exchange=0.25)
    0.5
    """
    return (step + everywhere) / (ranks * (step / (ranks * balance) + everywhere + exchange))


def _seconds_everywhere(trainer):
    """Of what a step does beside the sums, with copies of what it changes."""
    optimizer = optimizer_for(trainer.settings, trainer.potential, trainer.threads)
    parameters, gradient = trainer.parameters.copy(), np.full(len(trainer.parameters), 1e-3)
    average = trainer.average.copy()

    def work():
        trainer.norms.squares(gradient)
        optimizer.step(parameters, gradient)
        move_average(average, parameters, 0.01)

    return _seconds(work)


def _exchange_seconds(trainer):
    """What it takes to share out a batch and to add up its sums, on the slowest rank; the shortest of some."""
    batch, seconds = trainer.order[: trainer.settings.batch_size], []
    for _ in range(5):
        start = time.perf_counter()
        how = StepSums(trainer.train_set, batch, trainer.ranks, trainer.settings.precision)
        how.added(how.nothing(1), 0)
        seconds.append(max(trainer.ranks.gathered(time.perf_counter() - start)))
    return min(seconds)


def ranks_lines(trainer, cost) -> list[str]:
    """Of ranks that share the steps: how many, how well they do it, how many would be of use."""
    if cost.sharing is None:
        return []
    ranks, s = trainer.ranks, cost.sharing
    hosts, threads = len(set(ranks.hosts)), trainer.threads or 1
    useful = f"{s.useful} rank{'s are' if s.useful > 1 else ' is'} of use"
    return [
        f"{ranks.size} ranks on {hosts} host{'s' * (hosts > 1)}, {threads} thread{'s' * (threads > 1)} each: "
        f"efficiency about {s.efficiency:.0%} (balance {s.balance:.0%}; of {1e3 * s.step:.1f} ms, an exchange takes "
        f"{1e3 * s.exchange:.1f}, the optimizer {1e3 * s.everywhere:.1f}); with this batch {useful}"
    ]


def _seconds(call):
    """The shortest of some calls: the first warms up, and on a shared machine any of them may have had to wait."""
    seconds = []
    while len(seconds) < 2 or (sum(seconds) < 0.3 and len(seconds) < 10):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def model_lines(potential, cost, size="") -> list[str]:
    """The section Model: what the network is, what it costs here."""
    description = potential.description
    options = description.get("options", {})
    words = [f"{potential.levels} level{'s' if potential.levels > 1 else ''}"]
    for key, text in (
        ("channels", "{} channels"),
        ("l_harmonics", "harmonics l<={}"),
        ("l_states", "states l<={}"),
        ("correlation", "correlation {}"),
    ):
        if key in options:
            words.append(text.format(options[key]))
    name = ", ".join(filter(None, [description.get("preset", "network"), size]))
    heads = heads_of(potential)
    if heads:
        own = (potential.parameters.size - len(potential.places(heads[0]))) // max(1, len(heads) - 1)
        words.append(f"heads {', '.join(heads)}" + f" with {grouped(own)} parameters each" * (len(heads) > 1))
    radii = (description.get("repulsion") or {}).get("radii", {})
    repulsion = "   ".join(f"{pair} {r:.2f}" for pair, r in list(radii.items())[:6]) + "   ..." * (len(radii) > 6)
    return [
        f"{name}: {', '.join(words)}",
        *([f"repulsion of cores (ZBL) below {repulsion} Å"] if radii else []),
        f"{grouped(potential.parameters.size)} parameters   receptive field {potential.levels * potential.cutoff:.1f} Å"
        f"   about {1e6 * cost.per_atom:.0f} µs/atom here   {cost.memory / 2**20:.0f} MB",
    ]


def plan_line(trainer, cost) -> str:
    """The section Plan: epochs, steps, stages and the time they will take."""
    s = trainer.settings
    stage = f"; stage two from epoch {s.stage_two_epoch}" if s.has_stage_two else ""
    return (
        f"{s.max_epochs} epochs x {trainer.steps_per_epoch} steps, batch {s.batch_size}{stage}; "
        f"measured {about(cost.epoch)}/epoch: about {about(cost.epoch * s.max_epochs)}"
    )


def grouped(number) -> str:
    """74 312: thousands apart.

    >>> grouped(74312)
    '74 312'
    """
    return f"{number:,}".replace(",", " ")
