"""Whole networks: symmetry, conservation, the virial, threads and blocks, files and copies.

Periodicity, the cutoff and refused structures are in test_periodicity.py.
"""

import copy
import itertools
import pickle
import threading

import numpy as np
import pytest
from differences import derivative
from random_structures import NETWORKS, SYMBOLS, TRICLINIC, crystal, molecule, network

import nbcore
from nbcore.data import Structure
from nbcore.errors import InputError
from nbcore.so3 import random_rotations
from nbcore.train import TrainingSet


@pytest.fixture(scope="module", params=list(NETWORKS))
def potential(request):
    return network(request.param)


def structures(seed=0):
    rng = np.random.default_rng(seed)
    yield *molecule(rng, 9), None, False
    yield crystal(rng, 6)
    x, species, cell, _ = crystal(rng, 5)
    yield x, species, cell, (True, False, True)


def rotations():
    special = [np.diag([1.0, -1, -1]), np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.roll(np.eye(3), 1, axis=0)]
    return special + list(random_rotations(2, np.random.default_rng(5)))


def size(r):
    return max(1.0, abs(r.energy), np.abs(r.forces).max())


def test_rotation_translation_permutation(potential):
    """Energies stay, forces turn like vectors, virials like tensors."""
    rng = np.random.default_rng(1)
    for x, species, cell, pbc in structures():
        r = potential.compute(x, species, cell, pbc)
        for R in rotations():
            turned = potential.compute(x @ R.T, species, None if cell is None else cell @ R.T, pbc)
            assert abs(turned.energy - r.energy) < 1e-11 * size(r)
            assert np.abs(turned.forces - r.forces @ R.T).max() < 1e-11 * size(r)
            assert np.abs(turned.virial - R @ r.virial @ R.T).max() < 1e-11 * max(size(r), np.abs(r.virial).max())
        moved = potential.compute(x + [1e3, -2e3, 5e2], species, cell, pbc)
        assert np.abs(moved.forces - r.forces).max() < 1e-10 * size(r)
        order = rng.permutation(len(x))
        permuted = potential.compute(x[order], [species[k] for k in order], cell, pbc)
        assert abs(permuted.energy - r.energy) < 1e-11 * size(r)
        assert np.abs(permuted.forces - r.forces[order]).max() < 1e-11 * size(r)
        assert np.abs(permuted.energies - r.energies[order]).max() < 1e-11 * size(r)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_mirror_images(name):
    """Equal energies with parity "o3" to rounding; with "so3" chiral molecules differ from their mirror images."""
    potential = network(name)
    x, species = molecule(np.random.default_rng(2), 9)
    r, mirrored = potential.compute(x, species), potential.compute(-x, species)
    difference = abs(r.energy - mirrored.energy)
    if potential.description["options"]["parity"] == "o3":
        assert difference < 1e-11 * size(r)
        assert np.abs(r.forces + mirrored.forces).max() < 1e-11 * size(r)
    else:
        assert difference > 1e-5


def test_sums(potential):
    """Atoms add up; no net force; two copies far apart are independent; a list is its members, bit by bit."""
    for x, species, cell, pbc in structures():
        r = potential.compute(x, species, cell, pbc)
        assert abs(r.energies.sum() - r.energy) < 1e-12 * size(r)
        assert np.abs(r.forces.sum(axis=0)).max() < 1e-12 * size(r) * len(x)
    x, species = molecule(np.random.default_rng(3), 7)
    one = potential.compute(x, species)
    two = potential.compute(np.vstack([x, x + 60]), species * 2)
    assert abs(two.energy - 2 * one.energy) < 1e-12 * size(one)
    assert np.abs(two.forces - np.tile(one.forces, (2, 1))).max() < 1e-12 * size(one)
    many = list(structures())
    for a, b in zip(potential.compute_many(many), many, strict=True):
        assert a.energy == potential.compute(*b).energy and np.array_equal(a.forces, potential.compute(*b).forces)


def assert_conservative(potential, x, species, cell=None, pbc=False, h=0.02, tolerance=1e-9, directions=None):
    """Along random directions of all atoms, F v = -dE/dt of x + t v."""
    rng = np.random.default_rng(6)
    r = potential.compute(x, species, cell, pbc)
    assert np.all(np.isfinite(r.forces))
    for v in rng.standard_normal((3, *x.shape)) if directions is None else directions:
        value, error = derivative(lambda t, v=v: potential.compute(x + t * v, species, cell, pbc).energy, h)
        assert error < 1e-7 * size(r), "differences too coarse"
        assert abs(value + np.sum(r.forces * v)) <= max(tolerance * size(r), 5 * error)


def test_forces_are_the_gradient(potential):
    for s in structures(4):
        assert_conservative(potential, *s)


@pytest.mark.parametrize("name", ["nbody", "kondor"])
def test_forces_component_by_component(name):
    """Every atom and component, for a molecule and a crystal."""
    potential = network(name)
    for x, species, cell, pbc in itertools.islice(structures(7), 2 if name == "nbody" else 1):
        directions = np.eye(x.size).reshape(-1, *x.shape)
        assert_conservative(potential, x, species, cell, pbc, h=0.05, directions=directions)


@pytest.mark.parametrize("l_harmonics", range(11))
def test_forces_for_every_l(l_harmonics):
    """Kernels are instantiated by size; each l is another one."""
    l_states = min(l_harmonics, 4)
    potential = nbcore.presets.nbody(
        species=SYMBOLS, cutoff=3.2, channels=3, l_harmonics=l_harmonics, l_states=l_states, correlation=2, n_radial=3
    )
    x, species = molecule(np.random.default_rng(l_harmonics), 6)
    potential.scale = 1 / np.abs(potential.compute(x, species).forces).max()
    assert_conservative(potential, x, species)


DEGENERATE = {
    "dimer on x": np.array([[0, 0, 0], [1.1, 0, 0]]),
    "dimer on z": np.array([[0, 0, 0], [0, 0, -1.3]]),
    "chain on y": np.array([[0, k, 0] for k in (0, 1.2, 2.3, 3.6)]),
    "square": np.array([[0, 0, 0], [1.5, 0, 0], [0, 1.5, 0], [1.5, 1.5, 0]]),
    "octahedron": 1.5 * np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]),
    "atom at the cutoff": np.array([[0, 0, 0], [1.0, 0.3, 0], [3.2, 0, 0]]),
    "almost on the axis": np.array([[0, 0, 0], [1e-9, -1e-12, 1.2], [1.1, 1e-160, 1e-300]]),
}


@pytest.mark.parametrize("geometry", list(DEGENERATE))
def test_degenerate_geometries(potential, geometry):
    """Bonds exactly on the axes, chains, planes, full symmetry, an atom exactly at the cutoff."""
    x = DEGENERATE[geometry]
    species = [SYMBOLS[k % 2] for k in range(len(x))]
    # envelopes are only C2 at the cutoff: differences converge slowly there
    tolerance = 1e-6 if geometry == "atom at the cutoff" else 1e-9
    if tolerance == 1e-9:
        assert_conservative(potential, x, species)
        assert_conservative(potential, x, species, 4.9 * np.eye(3), True)
    else:
        r = potential.compute(x, species)
        v = np.zeros_like(x)
        v[2, 0] = 1
        e = [potential.compute(x + t * v, species).energy for t in (-1e-4, 1e-4)]
        assert abs((e[1] - e[0]) / 2e-4 + r.forces[2, 0]) < tolerance * size(r)


@pytest.mark.parametrize("name", ["nbody", "kondor"])
def test_perfect_crystal_has_no_forces(name):
    """Fcc and diamond by symmetry."""
    potential = network(name)
    fcc = 1.9 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]])
    for basis in ([[0, 0, 0]], [[0, 0, 0], [0.95, 0.95, 0.95]]):
        r = potential.compute(basis, ["C"] * len(basis), fcc, True)
        assert np.abs(r.forces).max() < 1e-11 * size(r)
        off = r.virial - np.trace(r.virial) / 3 * np.eye(3)
        assert np.abs(off).max() < 1e-10 * max(size(r), np.abs(r.virial).max())


def test_virial(potential):
    """-dE/d(strain), nine components, positions and cell strained together; symmetric; stress as in ASE."""
    for x, species, cell, pbc in structures(8):
        r = potential.compute(x, species, cell, pbc)
        scale = max(size(r), np.abs(r.virial).max())
        assert np.abs(r.virial - r.virial.T).max() < 1e-11 * scale
        if cell is None:
            assert r.stress is None
            assert np.abs(r.virial - x.T @ r.forces).max() < 1e-11 * scale
        else:
            assert np.array_equal(r.stress, -r.virial / np.linalg.det(TRICLINIC)), pbc
        rng = np.random.default_rng(1)
        for strain in rng.standard_normal((2, 3, 3)):

            def energy(t, strain=strain, x=x, species=species, cell=cell, pbc=pbc):
                F = (np.eye(3) + t * strain).T
                return potential.compute(x @ F, species, None if cell is None else cell @ F, pbc).energy

            value, error = derivative(energy, 0.01)
            assert error < 1e-6 * scale
            assert abs(value + np.sum(r.virial * strain)) <= max(1e-9 * scale, 5 * error)


def test_virial_component_by_component():
    potential = network("nbody")
    x, species, cell, pbc = crystal(np.random.default_rng(11), 5)
    virial = potential.compute(x, species, cell, pbc).virial
    for a, b in itertools.product(range(3), repeat=2):

        def energy(t, a=a, b=b):
            F = np.eye(3)
            F[b, a] += t  # r_a += t r_b
            return potential.compute(x @ F, species, cell @ F, pbc).energy

        value, error = derivative(energy, 0.02)
        assert abs(value + virial[a, b]) < max(1e-9 * np.abs(virial).max(), 5 * error)


def test_second_derivatives_are_symmetric():
    """The Jacobian of the forces by differences has no antisymmetric part."""
    potential = network("nbody")
    x, species = molecule(np.random.default_rng(12), 5)

    def forces(t, v):
        return potential.compute(x + t * v.reshape(x.shape), species).forces.ravel()

    J = np.array([derivative(lambda t, v=v: forces(t, v), 0.02)[0] for v in np.eye(x.size)])
    assert np.linalg.norm(J - J.T) < 1e-8 * np.linalg.norm(J)


def big(n=150, seed=13):
    return molecule(np.random.default_rng(seed), n)


@pytest.mark.parametrize("name", ["nbody", "nbody-1", "nbody-3", "kondor", "cormorant"])
@pytest.mark.parametrize("n", [9, 64, 65, 200])
def test_any_number_of_threads_gives_the_same_bits(name, n):
    """One block (up to 64 atoms) and several."""
    potential = network(name)
    x, species = big(n)
    one = potential.compute(x, species, threads=1)
    for threads in (2, 3, 7):
        r = potential.compute(x, species, threads=threads)
        assert r.energy == one.energy and np.array_equal(r.energies, one.energies)
        assert np.array_equal(r.forces, one.forces) and np.array_equal(r.virial, one.virial)


@pytest.mark.parametrize("name", ["nbody", "nbody-1", "nbody-3", "kondor", "cormorant"])
@pytest.mark.parametrize("periodic", [False, True])
def test_one_block_against_several(name, periodic):
    """A large structure in blocks, by `compute` and in training, and in one block: equal to rounding."""
    potential = network(name)
    cell = np.diag([11.0, 10.0, 10.5]) + 0.7 * np.eye(3, k=-1) if periodic else None
    x, species = (
        molecule(np.random.default_rng(14), 130)
        if cell is None
        else crystal(np.random.default_rng(15), 130, cell=cell)[:2]
    )
    r = potential.compute(x, species, cell, periodic)
    numbers = [nbcore.species.NUMBERS[s] for s in species]
    s = Structure(x, np.array(numbers), cell, np.full(3, periodic))
    for block in (len(x), 20):
        p = TrainingSet(potential, [s], block).predict()
        assert abs(p.energies[0] - r.energy) < 1e-12 * len(x) * size(r)
        assert np.abs(p.forces[0] - r.forces).max() < 1e-12 * size(r) * 10
    assert np.abs(p.virials[0] - r.virial).max() < 1e-11 * max(size(r), np.abs(r.virial).max())
    if cell is not None:
        assert np.abs(p.stress[0] - r.stress).max() < 1e-12 * size(r)
    else:
        assert p.stress[0] is None


def test_many_callers_at_once():
    """Threads of the caller share one potential; each gets the bits it would have got alone."""
    potential = network("nbody")
    inputs = [big(n, seed=n) for n in (3, 17, 40, 80)]
    expected = [potential.compute(*s, threads=1) for s in inputs]
    wrong = []

    def work(k):
        for turn in range(6):
            s, e = inputs[(k + turn) % 4], expected[(k + turn) % 4]
            r = potential.compute(*s, threads=1 + turn % 2)
            if r.energy != e.energy or not np.array_equal(r.forces, e.forces):
                wrong.append((k, turn))

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not wrong


# ---- parameters, files, copies ----


def test_parameters_are_a_view():
    """What is written counts from the next call on, and the slices cover the vector once."""
    potential = network("nbody")
    x, species = molecule(np.random.default_rng(16), 6)
    before = potential.compute(x, species)
    covered = np.zeros(len(potential.parameters), dtype=int)
    for s, shape in potential.parameter_slices.values():
        covered[s] += 1
        assert s.stop - s.start == np.prod(shape)
    assert np.all(covered == 1)
    s, _ = potential.parameter_slices["B1.w"]
    view = potential.parameters
    view[s] *= 2
    after = potential.compute(x, species)
    assert after.energy != before.energy
    structure = Structure(x, np.array([nbcore.species.NUMBERS[s] for s in species]))
    assert TrainingSet(potential, [structure]).predict().energies[0] == pytest.approx(after.energy, rel=1e-13)
    view[s] /= 2
    assert potential.compute(x, species).energy == before.energy
    with pytest.raises(AttributeError):
        potential.parameters = view


def test_energy_scale_and_references():
    potential = network("nbody")
    x, species = molecule(np.random.default_rng(17), 5)
    r = potential.compute(x, species)
    potential.E0s = {"H": -1.0, "C": -2.0, "O": -4.0}
    with_E0 = potential.compute(x, species)
    assert abs(with_E0.energy - r.energy - sum(potential.E0s[s] for s in species)) < 1e-13 * 20
    assert np.array_equal(with_E0.forces, r.forces)
    potential.scale *= 2
    assert np.allclose(potential.compute(x, species).forces, 2 * r.forces, rtol=1e-14)
    with pytest.raises(InputError, match="no energy for O"):
        potential.E0s = {"H": 1.0, "C": 1.0}


def test_same_seed_same_parameters():
    a, b, c = (nbcore.presets.nbody(species=["H"], cutoff=3.0, channels=4, seed=s) for s in (1, 1, 2))
    assert np.array_equal(a.parameters, b.parameters) and not np.array_equal(a.parameters, c.parameters)


def test_file_and_copies_keep_every_bit(potential, tmp_path):
    """Save and load, pickle, deepcopy: the same parameters, energies and forces, and independent of the original."""
    potential.E0s = {"H": -0.1, "C": -1 / 3, "O": np.pi}
    x, species, cell, pbc = next(itertools.islice(structures(18), 1, 2))
    r = potential.compute(x, species, cell, pbc)
    potential.save(tmp_path / "model.nbcore")
    potential.save(tmp_path / "again.nbcore")
    assert (tmp_path / "model.nbcore").read_bytes() == (tmp_path / "again.nbcore").read_bytes()
    others = [
        nbcore.Potential.load(tmp_path / "model.nbcore"),
        pickle.loads(pickle.dumps(potential)),
        copy.deepcopy(potential),
    ]
    for other in others:
        assert np.array_equal(other.parameters, potential.parameters)
        assert other.E0s == potential.E0s and other.scale == potential.scale and other.species == SYMBOLS
        assert other.description["program"] == potential.description["program"]
        q = other.compute(x, species, cell, pbc)
        assert q.energy == r.energy and np.array_equal(q.forces, r.forces) and np.array_equal(q.virial, r.virial)
        other.parameters[:] = 0
        assert potential.compute(x, species, cell, pbc).energy == r.energy
    loaded = nbcore.Potential.load(tmp_path / "model.nbcore")
    loaded.save(tmp_path / "third.nbcore")
    assert np.array_equal(nbcore.Potential.load(tmp_path / "third.nbcore").parameters, potential.parameters)


def test_gains_survive_the_file(tmp_path):
    """Calibration changes constants of the program, not parameters."""
    potential = network("nbody")
    x, species = molecule(np.random.default_rng(19), 6)
    before = potential.compute(x, species).energy
    potential.set_gain("A1", 1, 1.7)
    r = potential.compute(x, species)
    assert r.energy != before
    potential.save(tmp_path / "model.nbcore")
    for other in (nbcore.Potential.load(tmp_path / "model.nbcore"), pickle.loads(pickle.dumps(potential))):
        assert abs(other.compute(x, species).energy - r.energy) < 1e-13 * size(r)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_no_numbers(value, tmp_path):
    """Never written to a file, never a silent energy."""
    potential = network("nbody")
    potential.parameters[3] = value
    with pytest.raises(InputError, match="finite"):
        potential.save(tmp_path / "model.nbcore")
    assert list(tmp_path.iterdir()) == []
