"""How trainings would scale to many ranks of MPI: a model, with what can be measured on one core measured.

    python benchmarks/ranks_scaling.py [NAME=DATA.xyz ...] [--per-rank 64] [--batch 256] [--plot docs/figures/ranks.png]

Measured here, in seconds of the processor: steps of single structures of the data, with all that an estimate of their
cost leaves out; what each rank does alike in a step, the optimizer; sharing out a batch for so many ranks, and all of
the exchange but its messages, on the busiest of them. Simulated: batches drawn from these structures, cut and shared as
a training does it; a step takes as long as its slowest rank. Modelled: messages, (ranks - 1) latencies and the numbers
that a rank sends and receives by the bandwidth for the first half, log2(ranks) latencies for the second. Left out:
other work on the network, ranks of one node that share its memory, validation and files.

Weak: --per-rank structures on each rank. Strong: batches of --batch structures, whatever the ranks. Without data the
examples. Exit code 1 where weak scaling at 64 ranks is below nine tenths.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

import nbcore
from nbcore.ranks import Alone
from nbcore.train import Loss, Settings, TrainingSet
from nbcore.train.partials import costs, cut, nodes, ranges
from nbcore.train.plan import efficiency
from nbcore.train.step_sums import StepSums
from nbcore.train.trainer import Trainer

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
DATA = [f"{name}={EXAMPLES / name / 'train.xyz'}" for name in ("molecule", "crystal")]
COUNTS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
ENOUGH = 0.9  # of weak scaling at 64 ranks


class OneOf(Alone):
    """The first of so many ranks, whose messages take no time: what it is sent are zeros."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def sent(self, to_each, counts):
        return np.split(self.kept("received", sum(counts)), np.cumsum(counts)[:-1])

    def told(self, own, counts):
        return np.zeros(sum(counts))

    def completed(self, rows):
        pass


class Measured(NamedTuple):
    """Structures of a data set: atoms, estimated cost, seconds of a step of each; a training of them."""

    atoms: np.ndarray
    cost: np.ndarray
    seconds: np.ndarray
    everywhere: float  # seconds of a step
    trainer: Trainer


def processor_seconds(call, times=3):
    """The shortest of some calls, of this thread on its core: others may have work there, too."""
    seconds = []
    for _ in range(times):
        start = time.thread_time()
        call()
        seconds.append(time.thread_time() - start)
    return min(seconds)


def measured(structures, args):
    """What one rank can tell."""
    chosen = np.random.default_rng(1).choice(len(structures), min(args.sample, len(structures)), replace=False)
    some = structures[np.sort(chosen)]
    potential = nbcore.presets.nbody(some.species, args.cutoff, channels=args.channels, l_states=1)
    training_set, loss = TrainingSet(potential, some), Loss()
    trainer = Trainer(training_set, None, Settings(batch_size=16, max_epochs=10, lr=1e-6), 1)

    def step(k):
        (tree,) = training_set.trees(np.array([k]))
        training_set.sums(np.array([k]), loss, 1, "float64", [[[tree[0]]]])

    def nothing():  # the part of a call that does not depend on structures
        training_set.sums(np.arange(0), loss, 1, "float64", [[]])

    step(0)
    once = processor_seconds(nothing, 10)
    seconds = np.array([processor_seconds(lambda k=k: step(k)) - once for k in range(len(some))])
    gradient = np.full(len(potential.parameters), 1e-3)

    def rest():
        trainer.norms.squares(gradient)
        trainer.optimizer.step(trainer.parameters, gradient)
        trainer.average += 0.01 * (trainer.parameters - trainer.average)

    atoms = np.array([len(s.numbers) for s in some])
    return Measured(atoms, costs(some, args.cutoff), seconds, once + processor_seconds(rest, 10), trainer)


def sharing(found, batch, ranks):
    """(balance, seconds of the busiest rank beside its messages, numbers that it sends and receives) of a batch of
    structures of the sample."""
    (tree,) = trees = [cut(found.atoms[batch], found.cost[batch])]
    (of_tree,) = ranges(trees, ranks)
    of_partials = [found.seconds[batch[tree[k].places]].sum() for k in range(len(tree))]
    work = np.array([sum(of_partials[first:last]) for first, last in of_tree])
    if ranks == 1:
        return 1.0, 0.0, 0
    width = found.trainer.train_set.widths("float64")[0]
    held = [len(nodes(first, last, len(tree))) for first, last in of_tree]
    part = width / ranks
    numbers = part * (max(held) * (ranks - 1) + sum(held)) + 2 * width  # to each its part and back, then all parts
    return work.mean() / work.max(), local_seconds(found, batch, ranks, max(held)), numbers


def local_seconds(found, batch, ranks, most):
    """Sharing out a batch, and an exchange without its messages, of a rank with the sums of as many nodes as any."""
    one = OneOf(ranks)
    real = found.trainer.train_set

    class Batch:  # a training set as far as sums of a step ask it
        widths = staticmethod(real.widths)

        @staticmethod
        def trees(_):
            return [cut(found.atoms[batch], found.cost[batch])]

    def shared():
        return StepSums(Batch, batch, one, "float64")

    step = shared()
    one.rank = max(range(ranks), key=lambda rank: len(step.held[0][rank]))
    errors = (step := shared()).nothing(len(found.trainer.sums.vector))
    return processor_seconds(shared) + processor_seconds(lambda: step.added(errors, 0))


def line(found, args, structures_of):
    """Efficiency on each number of ranks, with structures_of(ranks) in a batch; the time of one rank is that of a
    batch of the same size on one."""
    random, efficiencies = np.random.default_rng(2), []
    for ranks in COUNTS:
        n = structures_of(ranks)
        batches = [random.integers(0, len(found.atoms), n) for _ in range(max(2, args.draws // ranks))]
        shares = [sharing(found, batch, ranks) for batch in batches[:8]]
        step = np.mean([found.seconds[batch].sum() for batch in batches[:8]])
        balance, local, numbers = (np.mean(column) for column in zip(*shares, strict=True))
        messages = (ranks - 1 + np.ceil(np.log2(ranks))) * args.latency + 8 * numbers / args.bandwidth
        efficiencies.append(efficiency(ranks, step, balance, found.everywhere, local + messages))
        said = f"{ranks:>6}{n:>8}{1e3 * step / ranks:>10.2f}{balance:>9.1%}{1e3 * local:>9.2f}{1e3 * messages:>11.2f}"
        print(f"{said}{efficiencies[-1]:>12.1%}", flush=True)
    return efficiencies


HEAD = " ranks   batch   ms/rank  balance   local   messages  efficiency"


def main(args):
    weak, strong = {}, {}
    for named in args.data:
        name, _, path = named.rpartition("=")
        structures, name = nbcore.train.read(path), name or path
        found = measured(structures, args)
        of_atom = found.seconds.sum() / found.atoms.sum()
        print(f"{name}: {len(found.atoms)} structures measured, {1e6 * of_atom:.0f} µs an atom, ", end="")
        print(f"{len(found.trainer.parameters)} parameters; {1e3 * found.everywhere:.2f} ms of a step on every rank")
        print(f"weak scaling\n{HEAD}")
        weak[name] = line(found, args, lambda ranks: args.per_rank * ranks)
        print(f"strong scaling\n{HEAD}")
        strong[name] = line(found, args, lambda ranks: args.batch)
    if args.plot:
        plot(args, weak, strong)
    worst = min(of[COUNTS.index(64)] for of in weak.values())
    print(f"weak scaling at 64 ranks: {worst:.1%} at least, must {ENOUGH:.0%}")
    return int(worst < ENOUGH)


def plot(args, weak, strong):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True, layout="constrained")
    titles = (f"{args.per_rank} structures on each rank", f"batches of {args.batch} structures")
    for side, lines, title in zip(axes, (weak, strong), titles, strict=True):
        for (name, of), mark in zip(lines.items(), "os^vD<>p", strict=False):
            side.semilogx(COUNTS, [100 * e for e in of], marker=mark, markersize=4, base=2, label=name)
        side.set(xlabel="ranks", ylim=(0, 105), xticks=COUNTS[::2], title=title)
        side.set_xticklabels([str(n) for n in COUNTS[::2]])
    axes[0].set_ylabel("efficiency, %")
    axes[0].legend()
    figure.savefig(args.plot, dpi=150)


def parsed(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=DATA, metavar="NAME=DATA.xyz", help="NAME is for the plot")
    parser.add_argument("--per-rank", type=int, default=64, help="structures on each rank, weak scaling")
    parser.add_argument("--batch", type=int, default=256, help="structures of a batch, strong scaling")
    parser.add_argument("--cutoff", type=float, default=5.0)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--sample", type=int, default=100, help="structures that are measured")
    parser.add_argument("--draws", type=int, default=64, help="batches that are simulated, by ranks")
    parser.add_argument("--latency", type=float, default=2e-6, help="seconds of a message")
    parser.add_argument("--bandwidth", type=float, default=10e9, help="bytes per second of a rank")
    parser.add_argument("--plot", metavar="PNG")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(parsed()))
