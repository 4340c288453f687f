"""Checks of derivatives: forces, virials and second derivatives against differences, and what happens at the cutoff."""

import copy
import itertools

import numpy as np

from nbcore.certificate.samples import FLOOR, Sample
from nbcore.species import atomic_numbers

FIRST = 4e-3  # Angstrom, and of strain: the first step of differences
MOST_COMPONENTS = 36  # of a structure that is looked at in every component
NEAR = (1e-3, 1e-4)  # of the cutoff: how near one comes to it
MOST_PAIRS = 55  # of ten elements; of more, so many pairs drawn by chance
PANELS, NODES, DEPTH = 10, 10, 8  # of a dimer's curve: Gauss' quadrature, panels halved so often at most


def differences(f) -> np.ndarray:
    """d f / dt at 0: seven points at steps from FIRST on, halved as long as two in a row come nearer to each other."""
    before, agreement, h = None, np.inf, FIRST
    while True:
        at = {k: f(k * h) for k in (-3, -2, -1, 1, 2, 3)}
        now = sum(c * (at[k] - at[-k]) for k, c in ((1, 45), (2, -9), (3, 1))) / (60 * h)
        step = np.inf if before is None else np.abs(now - before).max()
        if before is not None and not step < agreement:
            return before
        before, agreement, h = now, (step if before is not None else np.inf), h / 2


def forces(model, samples, rng) -> float:
    """Against differences of the energy: of small structures in every component."""
    found = []
    for s in samples:
        if s.positions.size <= MOST_COMPONENTS:
            along = np.eye(s.positions.size).reshape(-1, *s.positions.shape)
        else:
            along = rng.standard_normal((MOST_COMPONENTS // 2, *s.positions.shape))
        slopes = [differences(lambda t, v=v, s=s: s.moved(t * v).energy(model)) for v in along]
        found.append(_against(np.tensordot(along, s.compute(model)["forces"], 2), -np.array(slopes)))
    return max(found)


def virial(model, samples, rng) -> float:
    """Against differences of the energy along the nine strains."""
    found = []
    for s in samples:
        unit = np.eye(9).reshape(9, 3, 3)
        slopes = [differences(lambda t, S=S, s=s: s.strained(t * S).energy(model)) for S in unit]
        found.append(_against(s.compute(model)["virial"], -np.reshape(slopes, (3, 3)).T))  # W = r (x) f
    return max(found)


def hessian(model, samples, rng) -> float:
    """Products with the Hessian against differences of forces and virials, atoms and space moving at random; how far it
    is from symmetric. Radial networks run themselves here: splines agree with them in values and slopes alone."""
    found, model = [], copy.deepcopy(model)
    for member in getattr(model, "members", [model]):
        member.radial_splines = False
    for s in samples:
        more = {"threads": 1, "scheme": s.scheme, "leaves": s.leaves}
        v, S = rng.standard_normal(s.positions.shape), 0.1 * rng.standard_normal((3, 3))
        h = model.hvp(s.positions, s.numbers, v, s.cell, s.pbc, strain=S, **more)
        at = {}
        for name, exact in (("forces", -h.product), ("virial", h.virial)):

            def along(t, name=name, s=s, v=v, S=S, at=at):
                if t not in at:
                    at[t] = s.moved(t * v).strained(t * S).compute(model)
                return at[t][name]

            found.append(_against(exact, differences(along)))
        if s.positions.size <= MOST_COMPONENTS:
            H = model.hessian(*s.structure, **more).reshape(2 * [s.positions.size])
            found.append(_against(H, H.T))
    return max(found)


def _against(got, expected):
    return float(np.abs(got - expected).max() / max(np.abs(expected).max(), FLOOR))


# ---- two atoms ----


def pairs(model, rng) -> list[tuple[int, int]]:
    """Pairs of elements, all of them where they are few."""
    found = list(itertools.combinations_with_replacement(atomic_numbers(model.species), 2))
    if len(found) <= MOST_PAIRS:
        return found
    return [found[k] for k in sorted(rng.choice(len(found), MOST_PAIRS, replace=False))]


def dimer(pair, r, third=None) -> Sample:
    """Two atoms at a distance, and one that both see, where it is wanted."""
    positions, numbers = [[0, 0, 0], [r, 0, 0]], [*pair]
    if third is not None:
        positions, numbers = [*positions, third], [*numbers, pair[0]]
    return Sample(np.array(positions, dtype=float), np.array(numbers), np.zeros((3, 3)), (False,) * 3)


def curve(model, pair, begin: float) -> tuple[np.ndarray, np.ndarray, float]:
    """(distances, energies without those of atoms alone, how far forces and energies disagree along it) from `begin` to
    a tenth beyond the cutoff, the work of the forces by quadrature between them."""
    r = np.sort([*np.linspace(begin, 1.1 * model.cutoff, PANELS), model.cutoff])
    energies = np.array([dimer(pair, x).energy(model) for x in r])
    largest = max(FLOOR, np.abs(energies).max())
    nodes, weights = np.polynomial.legendre.leggauss(NODES)

    def integral(a, b):
        at = (a + b) / 2 + (b - a) / 2 * nodes
        return (b - a) / 2 * weights @ [dimer(pair, x).compute(model)["forces"][1, 0] for x in at]

    def work(a, b, whole, depth):
        halves = integral(a, (a + b) / 2), integral((a + b) / 2, b)
        if depth == 0 or abs(sum(halves) - whole) < 1e-10 * largest:
            return sum(halves)
        return work(a, (a + b) / 2, halves[0], depth - 1) + work((a + b) / 2, b, halves[1], depth - 1)

    done = np.array([work(a, b, integral(a, b), DEPTH) for a, b in itertools.pairwise(r)])
    return r, energies, float(np.abs(np.diff(energies) + done).max() / largest)


def continuous_derivatives(model, pairs_of, begin) -> int:
    """How many derivatives of the energy by a distance, three at most, are continuous where it reaches the cutoff: the
    least of all pairs, alone and beside a third atom."""
    return min(
        _continuous(model, pair, begin(pair), third)
        for pair in pairs_of
        for third in (None, [0.3 * model.cutoff, 0.45 * model.cutoff, 0.0])
    )


def _continuous(model, pair, begin, third):
    """From either side of the cutoff a continuous derivative comes to one value, in step with the distance; -1: the
    energy itself jumps."""
    rc = model.cutoff
    largest = np.abs([_derivatives(model, pair, x, third, 1e-3 * rc) for x in np.linspace(begin, 0.9 * rc, 6)]).max(0)
    jumps = []
    for d in NEAR:
        inside, outside = (_derivatives(model, pair, rc * (1 + s * d), third, 0.05 * d * rc) for s in (-1, 1))
        jumps.append(np.abs(inside - outside))
    noise = np.array([1e-13, 1e-13, 1e-12, 1e-8]) * np.maximum(largest, FLOOR)
    smooth = (jumps[1] < 0.3 * jumps[0]) | (jumps[1] < noise)
    return 3 if smooth.all() else int(np.argmin(smooth)) - 1


def _derivatives(model, pair, r, third, h):
    """Energy and its first three derivatives by the distance: force and Hessian exactly, the last by differences."""

    def second(x):
        s = dimer(pair, x, third)
        v = np.zeros_like(s.positions)
        v[1, 0] = 1
        return model.hvp(s.positions, s.numbers, v, threads=1).product[1, 0]

    s = dimer(pair, r, third)
    r_ = s.compute(model)
    return np.array([r_["energies"].sum(), -r_["forces"][1, 0], second(r), (second(r + h) - second(r - h)) / (2 * h)])
