"""The sums of a training step over partials and ranks: gradients, errors, and what ranks wish, in one exchange.

`nbcore.train.partials` says how a batch is cut and in which order sums are added.
"""

from itertools import accumulate, pairwise

import numpy as np

from nbcore.train.partials import added, leaves, nodes, ranges, root

ERROR = -2  # the wish of a rank that has failed; others: 0 to go on, signals by number, -1 for the time


class StepSums:
    """Who computes what of a batch. parts: of each tree of the training set the groups of partials of this rank.

    rows: of each tree (groups, n), where the sums of the groups are written; memory that the next batch uses again.
    """

    def __init__(self, train_set, batch, ranks, precision):
        self.ranks, self.trees = ranks, train_set.trees(batch)
        self.held = [  # of each tree, of each rank: nodes
            [nodes(first, last, len(tree)) for first, last in of_tree]
            for tree, of_tree in zip(self.trees, ranges(self.trees, ranks.size), strict=True)
        ]
        self.parts = [
            [[tree[k] for k in leaves(*node, len(tree))] for node in held[ranks.rank]]
            for tree, held in zip(self.trees, self.held, strict=True)
        ]
        self._widths = train_set.widths(precision)
        self._shares = [-(-width // ranks.size) for width in self._widths]  # of a vector, that a rank adds up
        shapes = [(len(groups), n) for groups, n in zip(self.parts, self._widths, strict=True)]
        ends = [0, *accumulate(groups * n for groups, n in shapes)]
        memory = ranks.kept("rows", max(ends[-1], ranks.size * sum(self._shares)))
        self.rows = [memory[ends[k] : ends[k + 1]].reshape(shape) for k, shape in enumerate(shapes)]
        one = len(shapes) == 1 and shapes[0][0] == 1  # it lies as it is sent, with something behind its end
        self._to_each = memory[: ranks.size * self._shares[0]].reshape(ranks.size, -1) if one else None

    def nothing(self, n_errors):
        """Zeros in all rows, and for the errors: of a rank that has failed, so that others are not kept waiting."""
        for rows in self.rows:
            rows[:] = 0
        return [np.zeros((len(groups), n_errors)) for groups in self.parts]

    def added(self, errors, wish):
        """(sum of the rows over each tree or None, sum of the errors, the wish of all): the same on all ranks.

        errors: of each tree (groups, k). A failure goes before signals, these before the time. The sums stand in memory
        that the next batch uses again.
        """
        n_errors = errors[0].shape[1]
        if self.ranks.size == 1:
            totals = [row[0] if len(row) else None for row in self.rows]
            return totals, sum((error[0] for error in errors if len(error)), np.zeros(n_errors)), wish
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is told where the gradient is looked at
            total_errors, wishes = self._told(errors, wish, n_errors)
            return self._exchanged(), total_errors, _all_wish(wishes)

    def _told(self, errors, wish, n_errors):
        """The sum of the errors of all ranks, and their wishes."""
        counts = [1 + n_errors * sum(len(held[rank]) for held in self.held) for rank in range(self.ranks.size)]
        told = self.ranks.told(np.concatenate([*(error.ravel() for error in errors), [wish]]), counts)
        found, wishes, place = [{} for _ in self.trees], [], 0
        for rank in range(self.ranks.size):
            for of_tree, held in zip(found, self.held, strict=True):
                for node in held[rank]:
                    of_tree[node] = told[place : place + n_errors]
                    place += n_errors
            wishes.append(int(told[place]))
            place += 1
        total = np.zeros(n_errors)
        for tree, sums in zip(self.trees, found, strict=True):
            if n := len(tree):
                total += added(sums, root(n), n)
        return total, wishes

    def _exchanged(self):
        """Each rank adds up a share of the vectors of all: it is sent that share of all rows; then all are sent all
        shares."""
        ranks, shares = self.ranks, self._shares
        counts = [
            sum(len(held[rank]) * share for held, share in zip(self.held, shares, strict=True))
            for rank in range(ranks.size)
        ]
        to_each = self._to_each if self._to_each is not None else self._cut(counts[ranks.rank])
        found = [{} for _ in self.trees]
        for rank, sent in enumerate(ranks.sent(to_each, counts)):
            place = 0
            for of_tree, held, share in zip(found, self.held, shares, strict=True):
                for node in held[rank]:
                    of_tree[node] = sent[place : place + share]
                    place += share
        whole = ranks.kept("whole", ranks.size * sum(shares)).reshape(ranks.size, -1)
        columns = [slice(*ends) for ends in pairwise([0, *accumulate(shares)])]
        for tree, sums, where in zip(self.trees, found, columns, strict=True):
            if n := len(tree):
                added(sums, root(n), n, out=whole[ranks.rank, where])
        ranks.completed(whole)
        return [
            whole[:, where].reshape(-1)[:width] if tree else None
            for tree, where, width in zip(self.trees, columns, self._widths, strict=True)
        ]

    def _cut(self, count):
        """(ranks, count) the shares of all rows of this rank, one row for each rank."""
        to_each = self.ranks.kept("to each", self.ranks.size * count).reshape(self.ranks.size, -1)
        column = 0
        for tree, share in zip(self.rows, self._shares, strict=True):
            for row in tree:
                _cut_into(to_each[:, column : column + share], row)
                column += share
        return to_each


def _cut_into(parts, vector):
    """Writes a vector into the rows of `parts`, one after another; zeros where it has ended."""
    n, width = parts.shape
    full, left = divmod(len(vector), width)
    parts[:full] = vector[: full * width].reshape(full, width)
    if full < n:
        parts[full, :left] = vector[full * width :]
        parts[full, left:] = 0
        parts[full + 1 :] = 0


def _all_wish(wishes):
    wishes = set(wishes)
    return ERROR if ERROR in wishes else max(wishes) if max(wishes) > 0 else min(wishes)
