"""The sums of a training step over partials and ranks: gradients, errors, and what ranks wish, in one exchange.

`nbcore.train.partials` says how a batch is cut and in which order sums are added.
"""

import numpy as np

from nbcore.ranks import shared
from nbcore.train.partials import added, leaves, nodes, root

ERROR = -2  # the wish of a rank that has failed; others: 0 to go on, signals by number, -1 for the time


class StepSums:
    """Who computes what of a batch. parts: of each tree of the training set the groups of partials of this rank."""

    def __init__(self, train_set, batch, ranks):
        self.train_set, self.ranks = train_set, ranks
        self.trees = train_set.trees(batch)
        ranges = shared([partial.cost for tree in self.trees for partial in tree], ranks.size)
        self.held, before = [], 0  # of each tree, of each rank: nodes
        for n in map(len, self.trees):
            clipped = [(max(0, first - before), min(n, last - before)) for first, last in ranges]
            self.held.append([nodes(first, last, n) for first, last in clipped])
            before += n
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
        """
        totals, wishes, n_errors = [], [wish], errors[0].shape[1]
        sums = np.zeros(n_errors)
        for tree, held, row, error in zip(self.trees, self.held, rows, errors, strict=True):
            n = len(tree)
            if n == 0:
                totals.append(None)
                continue
            if self.ranks.size == 1:
                totals.append(row[0])
                sums += error[0]
                continue
            vector, wishes = self.ranks.added(
                held, np.hstack([row, error]), wish, lambda found, n=n: added(found, root(n), n)
            )
            totals.append(np.ascontiguousarray(vector[:-n_errors]))
            sums += vector[-n_errors:]
        return totals, sums, _all_wish(int(one) for one in wishes)


def _all_wish(wishes):
    wishes = set(wishes)
    return ERROR if ERROR in wishes else max(wishes) if max(wishes) > 0 else min(wishes)
