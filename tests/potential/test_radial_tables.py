"""Tables of weights in the place of wide radial networks: within their bound, conservative, never too old."""

import copy

import numpy as np
import pytest
from random_structures import crystal, molecule

import nbcore

WIDE = dict(species=["H", "C", "O"], cutoff=4.0, l_harmonics=2, radial_layers=[12, 24])
POTENTIALS = {
    "two registers and one": lambda: nbcore.presets.mace(**WIDE, channels=20, seed=1),  # in double precision
    "one register": lambda: nbcore.presets.mace(**WIDE, channels=5, l_states=2, seed=2),
    "no parity": lambda: nbcore.presets.mace(**WIDE, channels=8, parity="so3", seed=3),
    "parts of several widths": lambda: nbcore.presets.nequip(**WIDE, channels=[17, 8, 3], levels=3, seed=4),
    "jump of a second derivative": lambda: with_radial(envelope="xplor", on=3.1),
    "cosine": lambda: with_radial(envelope="cosine"),
    "linear last layer": lambda: with_radial(last_layer="linear"),
}


def with_radial(**options):
    """The potential with other options of its radial functions."""
    description = copy.deepcopy(nbcore.presets.mace(**WIDE, channels=8).description)
    for gate in description["program"]["gates"]:
        if "radial" in gate:
            gate["radial"] = {k: v for k, v in gate["radial"].items() if k not in ("envelope", "power")} | options
    return nbcore.Potential(description, seed=5)


def both(pot, *structure, threads=1):
    """(by table, by the network itself)"""
    results = []
    for pot.radial_splines in (True, False):
        results.append(pot.compute(*structure, threads=threads))
    pot.radial_splines = True
    return results


def assert_close(pot, *structure, bound=1e-9):
    table, network = both(pot, *structure)
    assert not np.array_equal(table.forces, network.forces)
    assert np.abs(table.energies - network.energies).max() < bound * np.abs(network.energies).max()
    for name in ("forces", "virial"):
        value, true = getattr(table, name), getattr(network, name)
        assert np.abs(value - true).max() < 10 * bound * np.abs(true).max(), name
    return table


@pytest.mark.parametrize("kind", POTENTIALS)
def test_within_the_bound(kind):
    rng, pot = np.random.default_rng(1), POTENTIALS[kind]()
    for gate, network in pot.radial_networks.items():
        spline = network.spline
        assert spline.tabulated, gate
        assert 0 < spline.error <= 1e-11 and 0 < spline.slope_error <= 1e-9 and spline.begin <= 0.4
    assert_close(pot, *crystal(rng, 6))
    x, species = molecule(rng, 90)  # several blocks, atoms without neighbours
    x[-1] += 100
    one = assert_close(pot, x, species)
    assert np.array_equal(one.forces, both(pot, x, species, threads=3)[0].forces)


def test_blocks_with_an_edge_below_the_table_run_the_network():
    pot = POTENTIALS["one register"]()
    begin = pot.radial_networks["sum2"].spline.begin
    x = np.array([[0, 0, 0], [0, 0, 0.99 * begin], [1.2, 0.4, 0.1]])
    a, b = both(pot, x, ["H", "C", "O"])
    assert np.abs(a.forces - b.forces).max() <= 1e-12 * np.abs(b.forces).max()
    x = np.array([[0, 0, 0], [0, 0, 1.0], [1.2, 0.4, 0.1]])
    sides = []
    for r in begin * (1 + np.array([-1e-9, 1e-9])):  # the energy does not jump
        x[1, 2] = r
        sides.append(pot.compute(x, ["H", "C", "O"]))
    step = 2e-9 * begin * np.abs(sides[0].forces).max()
    assert abs(sides[1].energy - sides[0].energy) < 1e-9 * np.abs(sides[0].energies).max() + 2 * step


@pytest.mark.parametrize("kind", ["two registers and one", "jump of a second derivative"])
def test_forces_are_those_of_the_table(kind):
    rng, pot = np.random.default_rng(5), POTENTIALS[kind]()
    x, species = molecule(rng, 8)
    found, v, h = pot.compute(x, species), rng.standard_normal(x.shape), 1e-3
    E = [pot.compute(x + k * h * v, species).energy - found.energy for k in (1, -1, 2, -2, 3, -3)]
    slope = (45 * (E[0] - E[1]) - 9 * (E[2] - E[3]) + (E[4] - E[5])) / (60 * h)
    tolerance = 1e-9 if kind != "jump of a second derivative" else 1e-4  # differences see the kink
    assert abs(slope + np.sum(found.forces * v)) < tolerance * np.abs(found.forces).max() * np.abs(v).sum()


def test_made_anew_when_any_weight_changes():
    """The last layer's weights, which only the table knows, the network's, and both precisions."""
    pot = POTENTIALS["two registers and one"]()
    x, species = molecule(np.random.default_rng(6), 8)
    for name in ("sum2.R", "sum1.R", "sum2.radial1"):
        before = pot.compute(x, species).forces
        pot.parameters[pot.parameter_slices[name][0]] *= 1.3
        after = assert_close(pot, x, species).forces
        assert np.abs(after - before).max() > 1e-3 * np.abs(before).max()
        pot.precision = "float32"
        single = assert_close(pot, x, species, bound=1e-5).forces
        assert 0 < np.abs(single - after).max() < 1e-4 * np.abs(after).max()
        pot.precision = "float64"


def test_narrow_networks_keep_their_spline():
    pot = nbcore.presets.mace(**WIDE | {"radial_layers": [24, 8]}, channels=4)
    assert not any(network.spline.tabulated for network in pot.radial_networks.values())


@pytest.mark.parametrize("transform", ["agnesi", "soft"])
def test_functions_of_pairs_of_elements(transform):
    """A table for the pairs of elements that are there; others that come later."""
    pot = with_radial(transform=transform, radii=[0.31, 0.76, 0.66])
    rng = np.random.default_rng(8)
    x, species = molecule(rng, 12)
    few = ["H" if s == "C" else s for s in species]
    one = assert_close(pot, x, few)
    assert all(network.spline.tabulated for network in pot.radial_networks.values())
    assert_close(pot, x, species)
    assert_close(pot, *crystal(rng, 6))
    again = pot.compute(x, few)
    assert np.array_equal(again.forces, one.forces)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_the_bits_do_not_depend_on_the_elements_seen_before(precision):
    """Weights of elements are packed when atoms of theirs come."""
    symbols = list(nbcore.species.NUMBERS)[:40]
    x, species = molecule(np.random.default_rng(9), 12)
    heavy = [{"H": "Zr", "C": "Fe", "O": "O"}[s] for s in species]

    def fresh():
        pot = nbcore.presets.mace(symbols, 4.0, channels=8, l_harmonics=2, radial_layers=[16], first="species", seed=3)
        pot.precision = precision
        return pot

    expected = [fresh().compute(x, s) for s in (species, heavy)]
    pot = fresh()
    for _ in range(2):
        for s, known in zip((heavy, species, heavy), (expected[1], expected[0], expected[1]), strict=True):
            assert np.array_equal(pot.compute(x, s).forces, known.forces)
        pot.parameters[:] = 1.0 * pot.parameters  # through a view: they are compared
    pot.parameters[pot.parameter_slices["B1.w"][0]] *= 1.1
    changed = pot.compute(x, heavy).forces
    assert np.abs(changed - expected[1].forces).max() > 1e-3 * np.abs(changed).max()
    other = fresh()
    other.compute(x, species)
    other.parameters[:] = pot.parameters
    assert np.array_equal(other.compute(x, heavy).forces, changed)
