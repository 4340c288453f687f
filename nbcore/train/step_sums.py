"""The sums of a training step over partials and ranks: gradients, errors, and what ranks wish, in one exchange.

`nbcore.train.partials` says how a batch is cut and in which order sums are added.
"""

import numpy as np

from nbcore.train.partials import added, leaves, nodes, ranges, root

ERROR = -2  # the wish of a rank that has failed; others: 0 to go on, signals by number, -1 for the time


class StepSums:
    """Who computes what of a batch. parts: of each tree of the training set the groups of partials of this rank."""

    def __init__(self, train_set, batch, ranks):
        self.train_set, self.ranks = train_set, ranks
        self.trees = train_set.trees(batch)
        self.held = [  # of each tree, of each rank: nodes
            [nodes(first, last, len(tree)) for first, last in of_tree]
            for tree, of_tree in zip(self.trees, ranges(self.trees, ranks.size), strict=True)
        ]
        self.parts = [
            [[tree[k] for k in leaves(*node, len(tree))] for node in held[ranks.rank]]
            for tree, held in zip(self.trees, self.held, strict=True)
        ]

    def nothing(self, n_errors, precision):
        """(rows, errors) of a rank that has failed: zeros, so that others are not kept waiting."""
        widths = self.train_set.widths(precision)
        rows = [np.zeros((len(groups), n)) for groups, n in zip(self.parts, widths, strict=True)]
        return rows, [np.zeros((len(groups), n_errors)) for groups in self.parts]

    def added(self, rows, errors, wish):
        """(sum over each tree or None, sum of the errors, the wish of all): the same on all ranks.

        rows, errors: of each tree (groups, n) and (groups, k). A failure goes before signals, these before the time.
        The sums of one rank are its rows; those of several stand in memory that the next exchange uses again.
        """
        if self.ranks.size == 1:
            totals = [row[0] if len(row) else None for row in rows]
            return totals, sum((error[0] for error in errors if len(error)), np.zeros(errors[0].shape[1])), wish
        return self._exchanged(rows, errors, wish)

    def _exchanged(self, rows, errors, wish):
        """Each rank adds up a part of the vectors of all: it is sent that part of all rows, and all errors and wishes;
        then all are sent all parts."""
        ranks, n_errors = self.ranks, errors[0].shape[1]
        widths = [row.shape[1] for row in rows]
        parts = [max(1, -(-width // ranks.size)) for width in widths]
        counts = [
            1 + sum(len(held[rank]) * (part + n_errors) for held, part in zip(self.held, parts, strict=True))
            for rank in range(ranks.size)
        ]
        to_each = ranks.kept("to each", ranks.size * counts[ranks.rank]).reshape(ranks.size, -1)
        column = 0
        for tree, part in zip(rows, parts, strict=True):
            for row in tree:
                _cut_into(to_each[:, column : column + part], row)
                column += part
        to_each[:, column:-1] = np.concatenate(errors).ravel()
        to_each[:, -1] = wish
        received = ranks.sent(to_each, counts)

        found, found_errors, wishes, place = [{} for _ in rows], [{} for _ in rows], [], 0

        def next_of(width):
            nonlocal place
            place += width
            return received[place - width : place]

        for rank in range(ranks.size):
            for sums, width in ((found, parts), (found_errors, [n_errors] * len(rows))):
                for of_tree, held, n in zip(sums, self.held, width, strict=True):
                    of_tree.update((node, next_of(n)) for node in held[rank])
            wishes.append(int(next_of(1)[0]))

        whole = ranks.kept("whole", ranks.size * sum(parts)).reshape(ranks.size, -1)
        ends, total_errors = np.cumsum([0, *parts]), np.zeros(n_errors)
        columns = [slice(*ends[k : k + 2]) for k in range(len(rows))]
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is told where the gradient is looked at
            for tree, sums, of_tree, where in zip(self.trees, found, found_errors, columns, strict=True):
                if n := len(tree):
                    added(sums, root(n), n, out=whole[ranks.rank, where])
                    total_errors += added(of_tree, root(n), n)
        ranks.completed(whole)
        totals = [
            whole[:, where].reshape(-1)[:width] if tree else None
            for tree, where, width in zip(self.trees, columns, widths, strict=True)
        ]
        return totals, total_errors, _all_wish(wishes)


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
