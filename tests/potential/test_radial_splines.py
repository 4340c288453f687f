"""Splines in the place of radial networks: within their bound, conservative, never older than the parameters."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from ase import Atoms
from random_structures import crystal, molecule

import nbcore
from nbcore.ase import NBCoreCalculator
from nbcore.data import Structure
from nbcore.train import TrainingSet

OPTIONS = dict(species=["H", "C", "O"], cutoff=4.0, channels=8, l_harmonics=2, radial_layers=[24, 16, 8])


def potential(seed=1, **options):
    return nbcore.presets.nbody(**(OPTIONS | options), seed=seed)


def both(pot, *structure, threads=1):
    """(by spline, by the network itself)"""
    results = []
    for pot.radial_splines in (True, False):
        results.append(pot.compute(*structure, threads=threads))
    pot.radial_splines = True
    return results


def assert_close(pot, *structure):
    spline, network = both(pot, *structure)
    scale, size = np.abs(network.forces).max(), np.abs(network.energies).max()
    assert np.abs(spline.energies - network.energies).max() < 1e-10 * size
    assert np.abs(spline.forces - network.forces).max() < 1e-8 * scale
    assert np.abs(spline.virial - network.virial).max() < 1e-8 * scale * len(network.forces)
    return spline, network


@pytest.mark.parametrize("seed", range(4))
def test_energies_and_forces_within_the_bound(seed):
    rng, pot = np.random.default_rng(seed), potential(seed)
    spline, network = assert_close(pot, *molecule(rng, 12))
    assert not np.array_equal(spline.forces, network.forces)  # it is another function
    assert_close(pot, *crystal(rng, 6))
    x, species = molecule(rng, 90)  # several blocks
    assert_close(pot, x, species)
    for threads in (1, 3):
        assert np.array_equal(pot.compute(x, species, threads=threads).forces, both(pot, x, species)[0].forces)


@pytest.mark.parametrize("distance", [0.1001, 0.11, 0.2, 0.5, 3.9999, 3.99999999])
def test_very_short_and_very_long_distances(distance):
    """0.1 Angstrom is the shortest that potentials allow."""
    pot, x = potential(), np.array([[0, 0, 0], [0, 0, distance], [1.2, 0.4, 0.1]])
    assert_close(pot, x, ["H", "C", "O"])


def test_below_the_table_the_network_is_taken():
    pot, species = potential(cutoff=6.0), ["H", "C", "O"]
    (begin,) = {network.spline.begin for network in pot.radial_networks.values()}
    assert 0.1 < begin <= 0.6
    x = np.array([[0, 0, 0], [0, 0, 0.999 * begin], [1.2, 0.4, 0.1]])
    assert_close(pot, x, species)
    a, b = both(pot, x[:2], species[:2])
    assert np.abs(a.forces - b.forces).max() < 1e-12 * np.abs(b.forces).max()
    # the energy does not jump where one gives way to the other
    sides = [pot.compute(np.array([[0, 0, 0], [0, 0, r]]), species[:2]) for r in begin * (1 + np.array([-1e-9, 1e-9]))]
    assert abs(sides[1].energy - sides[0].energy) < 1e-7 * np.abs(sides[0].forces).max()


SETS = [{"basis": name} for name in ("bessel", "chebyshev", "gaussian", "inverse_gaussian", "inverse_power")]
# second derivatives that jump inside, and at the cutoff
SETS += [{"basis": "bessel", "frequencies": [0.9, 1.8, 2.9, 4.1, 5.0, 6.2]} | envelope
         for envelope in ({"envelope": "xplor", "on": 3.1}, {"envelope": "cosine"})]  # fmt: skip


@pytest.mark.parametrize("basis", SETS, ids=lambda radial: " ".join(map(str, radial.values())))
def test_bounds_hold_for_every_basis(basis):
    """Errors as they are reported, and beside them the functions themselves on a grid of the reader's own."""
    radial = {**basis, "n": 6, "cutoff": 4.0, "layers": [20, 9]}
    gates = [
        dict(gate="density", name="A", l_max=1, radial=radial),
        dict(gate="mix", name="energy", inputs=["A"], channels=1, l_max=0),
    ]
    program = {"parity": "o3", "gates": gates, "readout": ["energy"]}
    pot = nbcore.Potential({"species": ["Ar"], "program": program}, 3)
    (network,) = pot.radial_networks.values()
    assert network.n_basis == 6 and network.layers == [20, 9]
    spline = network.spline
    assert 0 < spline.error <= 1e-11 and 0 < spline.slope_error <= 1e-9 and spline.intervals <= 4096
    assert spline.begin <= 1.0 and spline.end == 4.0
    results = []
    for r in np.linspace(0.4, 4.0, 997):
        a, b = both(pot, np.array([[0, 0, 0], [0, 0, r]]), ["Ar", "Ar"])
        results.append((a.energy, b.energy, a.forces[0, 2], b.forces[0, 2]))
    energy, exact, force, exact_force = np.array(results).T
    for value, true, bound in ((energy, exact, 1e-10), (force, exact_force, 1e-8)):
        largest = np.maximum.accumulate(np.abs(true)[::-1])[::-1]  # at this or a larger distance
        assert np.all(np.abs(value - true) <= bound * np.maximum(largest, np.abs(true[500:]).max()))


def test_cutoffs_of_their_own():
    """Edges beyond the cutoff of one of two networks: zero there, as the network is."""
    description = copy.deepcopy(potential().description)
    gates = description["program"]["gates"]
    next(gate for gate in gates if gate["name"] == "sum1")["radial"]["cutoff"] = 2.5
    pot = nbcore.Potential(description, seed=1)
    positions, species, cell, pbc = crystal(np.random.default_rng(3), 8)
    spline, _ = assert_close(pot, positions, species, cell, pbc)
    same = potential().compute(positions, species, cell, pbc)
    assert np.abs(spline.forces - same.forces).max() > 1e-3 * np.abs(same.forces).max()


def test_forces_are_those_of_the_spline():
    """Differences of splined energies: the error of the spline is no error of its forces."""
    rng, pot = np.random.default_rng(5), potential()
    x, species = molecule(rng, 8)
    spline = pot.compute(x, species)
    v = rng.standard_normal(x.shape)
    h = 2e-3
    E = [pot.compute(x + k * h * v, species).energy - spline.energy for k in (1, -1, 2, -2, 3, -3)]
    slope = (45 * (E[0] - E[1]) - 9 * (E[2] - E[3]) + (E[4] - E[5])) / (60 * h)
    assert abs(slope + np.sum(spline.forces * v)) < 1e-9 * np.abs(spline.forces).max() * np.abs(v).sum()


def test_refreshed_when_parameters_change():
    pot = potential()
    x, species = molecule(np.random.default_rng(6), 8)
    first, where = pot.compute(x, species), pot.parameter_slices["sum2.radial2"][0]
    errors = pot.radial_networks["sum2"].spline.error
    pot.parameters[where] *= 1.3  # through a view that ends at once
    second, _ = assert_close(pot, x, species)
    assert np.abs(second.forces - first.forces).max() > 1e-3 * np.abs(first.forces).max()
    assert pot.radial_networks["sum2"].spline.error != errors
    view = pot.parameters  # and one that stays
    for factor in (0.9, 1.2):
        view[where] *= factor
        assert_close(pot, x, species)
    del view
    pot.initialize(8)
    before, theta = assert_close(pot, x, species)[0], pot.parameters.copy()
    pot._core.set_parameters(0.5 * theta)  # all at once, and back through a view
    assert np.abs(assert_close(pot, x, species)[0].forces - before.forces).max() > 0
    pot.parameters[:] = theta
    assert np.array_equal(pot.compute(x, species).forces, before.forces)


def test_training_runs_the_network():
    """Its energies and forces are those of the network, to rounding, not those of the spline."""
    pot = potential()
    x, species = molecule(np.random.default_rng(7), 9)
    spline, network = both(pot, x, species)
    numbers = np.array([nbcore.species.NUMBERS[s] for s in species])
    data = [Structure(x, numbers, None, np.zeros(3, bool), 0.0, np.zeros(x.shape), None)]
    result = TrainingSet(pot, data).loss_and_gradient(threads=1)
    scale = np.abs(network.forces).max()
    assert np.abs(result.forces[0] - network.forces).max() < 1e-12 * scale
    assert np.abs(result.forces[0] - spline.forces).max() > 1e-12 * scale


def test_single_precision():
    pot = potential()
    x, species = molecule(np.random.default_rng(8), 20)
    exact = pot.compute(x, species)
    pot.precision = "float32"
    for single in both(pot, x, species):
        assert 0 < np.abs(single.forces - exact.forces).max() < 1e-5 * np.abs(exact.forces).max()


def test_the_same_on_every_surface(tmp_path, capsys):
    """Python, the file, ASE (which goes through C and Cython), the command line."""
    from nbcore.cli import main

    pot, path = potential(), tmp_path / "pot.nbcore"
    x, species = molecule(np.random.default_rng(9), 10)
    forces = pot.compute(x, species).forces
    pot.save(path)
    loaded = nbcore.Potential.load(path)
    assert loaded.radial_splines and np.array_equal(loaded.compute(x, species).forces, forces)
    assert loaded.radial_networks == pot.radial_networks
    atoms = Atoms(species, x)
    for source in (path, pot):
        atoms.calc = NBCoreCalculator(source)
        assert np.abs(atoms.get_forces() - forces).max() < 1e-13 * np.abs(forces).max()
    assert main(["inspect", str(path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "radial layers [24, 16, 8]" in out and "8 - 24 - 16 - 8, by spline from 0.08 Å" in out


def test_copies_evaluate_as_their_original():
    """Pickles and deep copies: splines or networks, in either precision, the same bits."""
    pot = potential()
    x, species = molecule(np.random.default_rng(9), 10)
    results = []
    for pot.radial_splines in (True, False):
        for pot.precision in ("float64", "float32"):
            results.append(pot.compute(x, species).forces)
            for clone in (pickle.loads(pickle.dumps(pot)), copy.deepcopy(pot)):
                assert np.array_equal(clone.compute(x, species).forces, results[-1])
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(results, 2))


def test_no_numbers_no_table():
    """Weights that are out of hand are found by the evaluation, not by the table."""
    pot = potential()
    pot.parameters[:] = np.nan
    assert pot.radial_networks["sum1"].spline is None
    with pytest.raises(ArithmeticError, match="not finite"):
        pot.compute([[0, 0, 0], [0, 0, 1.0]], ["H", "H"])
    pot.parameters[:] = 0.0
    assert pot.compute([[0, 0, 0], [0, 0, 1.0]], ["H", "H"]).energy == 0
