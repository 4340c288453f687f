"""How long a gradient may be: never longer than a number, nor than a multiple of what is usual.

A few structures, compressed ones above all, can have gradients a thousand times as long as all others. What remains of
such a one would rule the momentum, and with it the direction of some twenty steps.
"""

SHARE = 0.02  # of a step in what is usual: a mean over some fifty steps
MOST = 2.0  # times what is usual: longer gradients count as that in the mean


class Clipping:
    """Largest norms of gradients, step by step; `usual` is its state, 0 before the first step.

    largest: bound of every norm. spikes: bound as a multiple of the usual norm, u <- u + 0.02 (min(|g|, 2 u) - u). Of
    both 0 stands for none.

    >>> clipping = Clipping(largest=10.0, spikes=2.0)
    >>> [clipping.bound(norm) for norm in (3.0, 100.0)]
    [6.0, 6.0]
    >>> round(clipping.usual, 2)
    3.06
    """

    def __init__(self, largest: float, spikes: float):
        self.largest, self.spikes, self.usual = largest or float("inf"), spikes, 0.0

    def bound(self, norm: float) -> float:
        """The bound for a gradient of this norm, which then counts in what is usual."""
        usual = self.usual or norm
        self.usual = usual + SHARE * (min(norm, MOST * usual) - usual)
        return min(self.largest, self.spikes * usual) if self.spikes else self.largest

    def restart(self) -> None:
        """Another loss begins: what was usual counts no longer."""
        self.usual = 0.0
