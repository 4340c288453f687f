"""Systems of the C ABI: lists of the caller's, domains with ghosts in all ways, against the whole in Python."""

import ctypes
import functools
import itertools
import re

import capi
import numpy as np
import pytest
from random_structures import TRICLINIC, network, positions

import nbcore

CELL = 2.2 * TRICLINIC
N = 60
RNG = np.random.default_rng(5)
X, NUMBERS = positions(RNG, N, cell=CELL), RNG.choice([1, 6, 8], N)
NAMES = ["nbody-1", "nbody", "nbody-3", "committee"]


def potential_of(name):
    if name != "committee":
        return network(name)
    return nbcore.Committee([network("nbody"), network("nbody-1")])  # of two and of one level


@pytest.fixture(scope="module", params=NAMES)
def both(request, tmp_path_factory):
    """(what Python computes of the whole, the model, its levels)"""
    potential = potential_of(request.param)
    path = tmp_path_factory.mktemp("model") / "model.nbcore"
    potential.save(path)
    model = capi.Model(path)
    return potential.compute(X, NUMBERS, CELL, True), model, model.info()


def pairs_within(reach):
    """All (i, j, shift) nearer than this, by brute force."""
    for i in range(N):
        for shift in itertools.product(range(-2, 3), repeat=3):
            d = np.linalg.norm(X + np.array(shift) @ CELL - X[i], axis=1)
            yield from ((i, j, shift) for j in np.flatnonzero(d < reach) if j != i or any(shift))


def rows(pairs, n):
    """The rows of a list, from its pairs (i, j, ...)."""
    pairs = sorted(pairs)
    first = np.searchsorted([p[0] for p in pairs], np.arange(n + 1))
    return first, np.array([p[1] for p in pairs]), np.array([p[2] for p in pairs if len(p) > 2]).reshape(-1, 3)


@functools.cache
def domain(which, reach):
    """(positions, numbers, atom of each place): the owned atoms of a domain, and all images within reach of them."""
    owned = DOMAINS[which] if which < len(DOMAINS) else np.arange(N)
    atoms, r = [owned], [X[owned]]
    for shift in itertools.product(range(-2, 3), repeat=3):
        image = X + np.array(shift) @ CELL
        near = np.linalg.norm(image[:, None] - X[owned], axis=2).min(1, initial=np.inf) < reach
        if not any(shift):
            near[owned] = False
        atoms.append(np.flatnonzero(near)), r.append(image[near])
    atoms = np.concatenate(atoms)
    return np.concatenate(r), NUMBERS[atoms], atoms


WHOLE = 3  # the domain of all atoms


def list_of(r, reach, n_rows):
    near = np.linalg.norm(r[:n_rows, None] - r, axis=2) < reach
    near[np.arange(n_rows), np.arange(n_rows)] = False
    return rows([(int(i), int(j)) for i, j in zip(*np.nonzero(near), strict=True)], n_rows)[:2]


HALVES = np.where((X @ np.linalg.inv(CELL)[:, 0]) % 1 < 0.4, 0, 1)
DOMAINS = [np.flatnonzero(HALVES == 0), np.flatnonzero(HALVES == 1), np.array([], int)]  # one without atoms


def folded(parts):
    """Results of domains [(arrays, atoms)], summed up as hosts do."""
    whole = {"energy": 0.0, "forces": np.zeros((N, 3)), "virial": np.zeros((3, 3)), "energies": np.zeros(N)}
    whole["virials"] = np.zeros((N, 3, 3))
    for arrays, atoms in parts:
        whole["energy"] += arrays["energy"][0]
        whole["virial"] += arrays["virial"]
        whole["energies"][atoms[: len(arrays["energies"])]] += arrays["energies"]
        for name in ("forces", "virials"):
            np.add.at(whole[name], atoms, arrays[name])
    return whole


def assert_same(got, expected, tolerance=1e-12):
    scale = np.abs(expected.forces).max()
    assert abs(got["energy"] - expected.energy) < tolerance * max(1, np.abs(expected.energies).sum())
    assert np.abs(got["energies"] - expected.energies).max() < tolerance * max(1, np.abs(expected.energies).max())
    assert np.abs(got["forces"] - expected.forces).max() < tolerance * scale
    size = max(scale, np.abs(got["virials"]).max())
    assert np.abs(got["virial"] - expected.virial).max() < 10 * tolerance * size
    assert np.abs(got["virials"].sum(0) - expected.virial).max() < 10 * tolerance * size


@pytest.mark.parametrize("threads", [1, 3])
def test_whole_structure(both, threads):
    """The bits of Python, with virials per atom for any number of threads."""
    expected, model, _ = both
    s = capi.system(X, NUMBERS, cell=CELL, pbc=[1, 1, 1])
    got = model.compute(s, capi.options(threads))
    assert got["energy"] == expected.energy and np.array_equal(got["forces"], expected.forces)
    assert np.array_equal(got["virial"], expected.virial) and np.array_equal(got["energies"], expected.energies)
    assert_same(got, expected)
    assert np.array_equal(got["virials"], model.compute(s)["virials"])


@pytest.mark.parametrize("half", [0, 1])
def test_list_with_images(both, half):
    """A list with a skin, in any order, from both sides of each pair or from one."""
    expected, model, info = both
    pairs = list(pairs_within(info.cutoff + 0.4))
    if half:
        pairs = [p for p in pairs if (p[0], p[2]) < (p[1], tuple(-s for s in p[2]))]
    pairs = [(i, j, s) for i, j, s in RNG.permutation(np.array(pairs, object))]
    first, neighbours, shifts = rows(pairs, N)
    got = model.compute(
        capi.system(X, NUMBERS, cell=CELL, first=first, neighbours=neighbours, shifts=shifts, half=half)
    )
    assert_same(got, expected)


@pytest.mark.parametrize("form", ["full", "half", "searched"])
def test_ghosts_that_are_images(both, form):
    """One domain whose ghosts have owners: one cutoff of them is enough for any number of levels."""
    expected, model, info = both
    r, z, atoms = domain(WHOLE, info.cutoff)
    more = {"owners": atoms[N:]}
    if form != "searched":
        first, neighbours = list_of(r, info.cutoff + 0.4, N)
        if form == "half":  # of pairs of atoms one direction
            pairs = [(i, j) for i in range(N) for j in neighbours[first[i] : first[i + 1]] if j >= N or i < j]
            first, neighbours, _ = rows(pairs, N)
        more |= {"first": first, "neighbours": neighbours, "half": int(form == "half")}
    got = model.compute(capi.system(r, z, len(r) - N, **more))
    assert not got["forces"][N:].any() and not got["virials"][N:].any()
    assert_same(folded([(got, atoms)]), expected)


@pytest.mark.parametrize("searched", [False, True])
def test_ghosts_that_are_computed(both, searched):
    """Domains whose ghosts reach as far as energies depend on atoms."""
    expected, model, info = both
    parts = []
    for d, owned in enumerate(DOMAINS):
        r, z, atoms = domain(d, info.ghost_range)
        first, neighbours = list_of(r, info.cutoff + 0.4, len(r))
        more = {} if searched else {"first": first, "neighbours": neighbours}
        s = capi.system(r, z, len(r) - len(owned), **more)
        parts.append((model.compute(s, capi.options(2)), atoms))
        assert np.array_equal(parts[-1][0]["forces"], model.compute(s)["forces"])
    assert_same(folded(parts), expected)


def exchange(hosts, parts, where, level, states):
    """States from owners to ghosts, or adjoints from ghosts to owners; where[atom]: (domain, place) of its owner."""
    for host, (n, atoms) in zip(hosts, parts, strict=True):
        owners = where[atoms[n:]]
        for d, owner in enumerate(hosts):
            ghosts, places = n + np.flatnonzero(owners[:, 0] == d), owners[owners[:, 0] == d, 1]
            if states:
                host.rows("write_states", level, ghosts, owner.rows("read_states", level, places))
            else:
                owner.rows("add_adjoints", level, places, host.rows("take_adjoints", level, ghosts))


@pytest.mark.parametrize("precision", [64, 32])
def test_ghosts_that_are_exchanged(both, precision):
    """Level by level, two steps with one handle, ghosts within one cutoff; a domain without atoms takes part."""
    expected, model, info = both
    hosts = [capi.Levels(model, capi.options(2, precision)) for _ in DOMAINS]
    for _ in range(2):
        parts, where = [], np.zeros((N, 2), int)
        for d, owned in enumerate(DOMAINS):
            r, z, atoms = domain(d, info.cutoff)
            first, neighbours = list_of(r, info.cutoff + 0.4, len(owned))
            hosts[d].begin(capi.system(r, z, len(r) - len(owned), first=first, neighbours=neighbours))
            parts.append((len(owned), atoms))
            where[owned, 0], where[owned, 1] = d, np.arange(len(owned))

        for level in range(1, info.levels):
            assert hosts[0].row_bytes(level) % 8 == 0 < hosts[0].row_bytes(level)
            for host in hosts:
                host.forward(level)
            exchange(hosts, parts, where, level, states=True)
        for level in range(info.levels, 0, -1):
            for host in hosts:
                host.adjoint(level)
            if level > 1:
                exchange(hosts, parts, where, level - 1, states=False)
        results = [(host.finish(), atoms) for host, (_, atoms) in zip(hosts, parts, strict=True)]
        assert_same(folded(results), expected, 1e-12 if precision == 64 else 1e-4)
    assert hosts[0].row_bytes(info.levels) == 0


def test_virial_of_an_atom(tmp_path):
    """One level, no periods: -W_i is the sum of (r_i - r_p) dE_p/dr_i, from differences of the energies of others."""
    network("nbody-1").save(tmp_path / "model.nbcore")
    model = capi.Model(tmp_path / "model.nbcore")
    x, z, h = X[:12] * 0.6, NUMBERS[:12], 1e-5
    got = model.compute(capi.system(x, z))["virials"]
    for i, b in itertools.product((0, 7), range(3)):
        moved = [x.copy(), x.copy()]
        moved[0][i, b] += h
        moved[1][i, b] -= h
        slope = np.subtract(*(model.compute(capi.system(m, z))["energies"] for m in moved)) / (2 * h)
        slope[i] = 0
        expected = -(x[i] - x).T @ slope
        np.testing.assert_allclose(got[i][:, b], expected, rtol=0, atol=1e-8 * np.abs(got).max())


def test_what_is_refused(tmp_path):
    """Lists and domains that cannot be meant, by name; nothing is written, and the next call is as good as ever."""
    network("nbody").save(tmp_path / "model.nbcore")
    model = capi.Model(tmp_path / "model.nbcore")
    info = model.info()
    owned = DOMAINS[0]
    r, z, _ = domain(0, info.ghost_range)
    first, neighbours = list_of(r, info.cutoff, len(r))
    n, n_all, n_rows = len(owned), len(r), len(first) - 1
    good = {"first": first, "neighbours": neighbours}
    short = {"first": first[: n + 1], "neighbours": neighbours}
    itself = neighbours.copy()
    itself[0] = 0
    beyond = neighbours.copy()
    beyond[3] = n_all
    down = first.copy()
    down[1] = down[2] + 1
    cases = {
        "no neighbours: the list must have the rows of ghosts": short,
        "each pair once does not say who the neighbours of ghosts": good | {"half": 1},
        rf"row for each of the {n} owned atoms, or of all {n_all}, got {n_rows - 1} rows": {
            **good,
            "first": first[:-1],
        },
        rf"neighbours\[3\] must be an atom, from 0 to {n_all} - 1": {**good, "neighbours": beyond},
        "first must not descend": {**good, "first": down},
        r"first\[0\] must be 0, got 1": {**good, "first": first + 1},
        "atoms 0 and 0 are 0 Angstrom apart; a neighbour list holds no atom": {**good, "neighbours": itself},
        r"owners\[0\] must be an owned atom": {**good, "owners": np.full(n_all - n, n)},
        "half must be 0 or 1, got 2": {**good, "half": 2},
        "shifts are given, but cell is NULL": {**good, "shifts": np.zeros((len(neighbours), 3))},
        "first is NULL": {"n_rows": n},
    }
    for text, more in cases.items():
        s = capi.system(r, z, n_all - n, **more)
        room, arrays = capi.result(s)
        status = capi.lib.nbcore_compute(model.handle, ctypes.byref(s), None, ctypes.byref(room))
        said = capi.lib.nbcore_message().decode()
        assert status in (1, 2, 5) and re.search(text, said), (text, status, said)
        assert all(np.isnan(a).all() for a in arrays.values()), text
    with pytest.raises(RuntimeError, match="1: max_bytes: bounds of memory are for whole structures"):
        model.compute(capi.system(r, z, n_all - n, **good), capi.options(max_bytes=10**9))
    for change, text in (({"n": -1}, "2: n must be between"), ({"n_ghosts": 2**31}, "2: n_ghosts must be between"),
                         ({"size": 8}, "1: system: size must be sizeof")):  # fmt: skip
        s = capi.system(r, z, n_all - n, **good)
        for name, value in change.items():
            setattr(s, name, value)
        room, _ = capi.result(capi.system(r, z))
        with pytest.raises(RuntimeError, match=text):
            capi.check(capi.lib.nbcore_compute(model.handle, ctypes.byref(s), None, ctypes.byref(room)))
    model.compute(capi.system(r, z, n_all - n, **good))

    levels = capi.Levels(model)
    with pytest.raises(RuntimeError, match="nothing has begun"):
        levels.forward(1)
    levels.begin(capi.system(r, z, n_all - n, **short))
    with pytest.raises(RuntimeError, match="forward went 0 of 1"):
        levels.adjoint(2)
    with pytest.raises(RuntimeError, match="5: positions: atoms 0 and 0"):
        levels.begin(capi.system(r, z, n_all - n, first=first, neighbours=itself))
    with pytest.raises(RuntimeError, match="nothing has begun"):
        levels.forward(1)
    levels.begin(capi.system(r, z, n_all - n, **short))
    levels.forward(1)
    with pytest.raises(RuntimeError, match=f"no atom {n_all} among"):
        levels.rows("read_states", 1, [n_all])
    with pytest.raises(RuntimeError, match="levels are 1 to 2, got 3"):
        levels.row_bytes(3)
