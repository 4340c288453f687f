"""The arrays of a composition scheme, from the lists, labels and positions that its builders are given."""

import numpy as np

from nbcore.errors import InputError


def ragged(nodes, images):
    """(first, child, image) from lists of children, from (first, child), or from the node of every child."""
    if isinstance(nodes, tuple):
        first, child = (np.asarray(a, dtype=np.int64) for a in nodes)
    elif isinstance(nodes, np.ndarray) and nodes.ndim == 1 and nodes.dtype.kind in "iu":
        kept = np.flatnonzero(nodes >= 0)
        order = kept[np.argsort(nodes[kept], kind="stable")]
        first = np.searchsorted(nodes[order], np.arange(nodes.max(initial=-1) + 2))
        images = None if images is None else np.asarray(images)[order]
        child = order
    else:
        lists = [np.asarray(c, dtype=np.int64).reshape(-1) for c in nodes]
        first = np.concatenate([[0], np.cumsum([len(c) for c in lists], dtype=np.int64)]).astype(np.int64)
        child = np.concatenate([*lists, np.zeros(0, dtype=np.int64)])
        if images is not None:
            images = np.concatenate([np.asarray(k).reshape(-1, 3) for k in images])
    images = np.zeros((len(child), 3), dtype=np.int64) if images is None else np.asarray(images).reshape(-1, 3)
    if len(images) != len(child):
        raise InputError(f"images: one per child is needed, {len(child)}, got {len(images)}")
    return first, child, images


def coefficients(name, positions, first, atom, image):
    """Per atom of every node its coefficient in the node's position."""
    n, counts = len(first) - 1, np.diff(first)
    if isinstance(positions, str):
        if positions != "centroid":
            raise InputError(f'set "{name}": positions must be "centroid", atoms or coefficients, got {positions!r}')
        return np.repeat(1.0 / np.maximum(counts, 1), counts)
    if len(positions) != n:
        raise InputError(f'set "{name}": positions for {n} nodes are needed, got {len(positions)}')
    if all(isinstance(p, (int, np.integer)) for p in positions):
        centre = np.repeat(np.asarray(positions), counts)
        c = np.zeros(len(atom))
        is_centre = np.flatnonzero(atom == centre)
        is_centre = is_centre[np.argsort(np.abs(image[is_centre]).sum(axis=1), kind="stable")]  # in the cell, if it can
        owner, chosen = np.unique(np.repeat(np.arange(n), counts)[is_centre], return_index=True)
        missing = np.setdiff1d(np.arange(n), owner)
        if len(missing):
            k = missing[0]
            raise InputError(f'set "{name}", node {k}: it stands on atom {positions[k]}, which it has not')
        c[is_centre[chosen]] = 1.0
        return c
    for k, c in enumerate(positions):
        if len(c) != counts[k]:
            raise InputError(f'set "{name}", node {k}: it has {counts[k]} atoms, got {len(c)} coefficients')
    return np.concatenate([np.asarray(c, dtype=float) for c in positions])


def nearest_to_first(node, positions, cell, pbc):
    """Per atom the cell vectors that bring it next to the first atom of its part."""
    if positions is None or cell is None:
        raise InputError("parts in a periodic cell need positions and cell")
    positions, cell = np.asarray(positions, dtype=float), np.asarray(cell, dtype=float)
    first = np.unique(node, return_index=True)[1][node]
    fraction = (positions - positions[first]) @ np.linalg.inv(cell)
    return -np.round(fraction * np.broadcast_to(pbc, 3)).astype(int)


def images_by_atom(parts, n):
    images = np.zeros((n, 3), dtype=int)
    images[parts["child"]] = parts["child_image"]
    return images


MOST_CUBES = 2**18  # in a direction: their numbers fit into 64 bits


def cubes(places, cell, pbc, size):
    """(cube of every place (n, 3), cubes per direction (3,), images that bring places into the cell)."""
    if not (np.isfinite(size) and size > 0):
        raise InputError(f"size must be a positive length in Angstrom, got {size!r}")
    extent = max(np.abs(places).max(initial=0.0), 0.0 if cell is None else np.abs(cell).max(initial=0.0))
    if not extent < MOST_CUBES * size:
        raise InputError(f"positions and cell must reach no farther than {MOST_CUBES} cubes of {size:g} Angstrom")
    axes = np.eye(3) if cell is None or not np.any(cell) else np.asarray(cell, dtype=float)
    if abs(np.linalg.det(axes)) < 1e-12:
        axes = np.eye(3)
        if np.any(pbc):
            raise InputError("a periodic tree needs a cell with three vectors")
    fraction = places @ np.linalg.inv(axes)
    images = -np.floor(fraction).astype(int) * pbc
    fraction = fraction + images
    length = np.linalg.norm(axes, axis=1)
    low = np.where(pbc, 0.0, fraction.min(axis=0, initial=0.0))
    span = np.where(pbc, 1.0, np.maximum(fraction.max(axis=0, initial=0.0) - low, 0.0)) * length
    # whole cubes in periodic directions; elsewhere one more, so that the last place lies inside
    shape = np.where(pbc, np.maximum(np.round(span / size), 1), np.floor(span / size) + 1).astype(int)
    edge = np.where(pbc, span / shape, size)
    grid = np.clip(np.floor((fraction - low) * length / edge).astype(int), 0, shape - 1)
    return grid, shape, images
