"""The order in which an epoch meets the structures: shuffled, and for a large set near neighbours in the file together.

Up to a million atoms every order is as likely as any other. Beyond, blocks of structures that follow each other are
shuffled, and structures within a window of some blocks: what is read at a time is bounded. It depends on the numbers of
atoms alone, so a set in memory and the same one in shards are met in the same order.
"""

import numpy as np

BLOCK_ATOMS = 2**15
WINDOW_BLOCKS = 32


def shuffled(random: np.random.Generator, atoms: np.ndarray) -> np.ndarray:
    """Indices 0 .. n-1 in a new order; atoms (n,): how many each structure has.

    >>> shuffled(np.random.Generator(np.random.PCG64(2)), np.array([3, 3, 3, 3])).tolist()
    [3, 2, 0, 1]
    """
    n, total = len(atoms), int(np.sum(atoms))
    if total <= BLOCK_ATOMS * WINDOW_BLOCKS:
        return random.permutation(n)
    of = (np.cumsum(atoms) - atoms) // BLOCK_ATOMS  # the block in which a structure begins
    cuts = np.flatnonzero(np.diff(of)) + 1
    blocks = np.split(np.arange(n), cuts)
    places = random.permutation(len(blocks))
    windows = [places[k : k + WINDOW_BLOCKS] for k in range(0, len(places), WINDOW_BLOCKS)]
    return np.concatenate([random.permutation(np.concatenate([blocks[b] for b in window])) for window in windows])
