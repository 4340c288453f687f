"""The repulsion of cores against sums over pairs in NumPy, on every way to an energy; its derivatives; its place in
files, committees and training."""

import itertools
import json
import pickle

import numpy as np
import pytest
from random_structures import TRICLINIC, crystal, molecule, network

import nbcore
from nbcore import train
from nbcore._core import read_model_file, write_model_file
from nbcore.certificate import certify
from nbcore.data import Structure
from nbcore.errors import InputError, ModelFileError
from nbcore.species import NUMBERS

RADII = {"H-O": 1.9, "O-O": 2.4, "C-H": 1.7, "C-O": 2.2}  # H-H and C-C have none


def zbl(Z, other, r, R):
    """eV; the constants as the book has them."""
    a = 0.8854 * 0.529177210903 / (Z**0.23 + other**0.23)
    c, d = np.array([0.18175, 0.50986, 0.28022, 0.02817]), np.array([3.1998, 0.94229, 0.4029, 0.20162])
    x = r / R
    return (1 - 28 * x**6 + 48 * x**7 - 21 * x**8) * 14.399645478 * Z * other / r * (c * np.exp(-d * r / a)).sum()


def brute(x, species, cell=None, radii=RADII):
    """Energies of atoms by a sum over all pairs and images."""
    energies = np.zeros(len(x))
    shifts = np.zeros((1, 3)) if cell is None else np.array(list(itertools.product(range(-2, 3), repeat=3))) @ cell
    for i, j, shift in itertools.product(range(len(x)), range(len(x)), shifts):
        r, (a, b) = np.linalg.norm(x[j] + shift - x[i]), (species[i], species[j])
        R = radii.get(f"{a}-{b}") or radii.get(f"{b}-{a}") or 0
        if 0 < r < R:
            energies[i] += zbl(NUMBERS[a], NUMBERS[b], r, R) / 2
    return energies


@pytest.fixture(scope="module")
def pots():
    """A potential without and with a repulsion."""
    pot = network("nbody-scalars")
    other = pickle.loads(pickle.dumps(pot))
    other.repulsion = RADII
    return pot, other


def test_known_values():
    """O and Si at 0.5 A, as `pair_style zbl 5.0 6.0` of LAMMPS says; nothing from the radius on."""
    pot = nbcore.presets.nbody(["O", "Si"], cutoff=6.0, channels=4)
    pot.parameters[:] = 0
    pot.repulsion = {"Si-O": 6.0}

    def at(r):
        return pot.compute([[0, 0, 0], [r, 0, 0]], ["O", "Si"]).energy

    assert np.isclose(at(0.5), zbl(8, 14, 0.5, 6.0), rtol=1e-12) and np.isclose(at(0.5), 299.7658, rtol=3e-4)
    assert at(6.0) == at(6.5) == 0 < at(5.9)


@pytest.mark.parametrize("n", [7, 40])
def test_every_way_to_compute_has_it(pots, n):
    pot, other = pots
    rng = np.random.default_rng(n)
    x, species = molecule(rng, n)
    periodic = crystal(rng, n, cell=TRICLINIC * (n / 7) ** (1 / 3))
    for structure in ((x, species), periodic):
        more = brute(*structure[:3]) if n == 7 or len(structure) == 2 else None
        before, after = pot.compute(*structure), other.compute(*structure)
        if more is not None:
            assert more.max() > 0.1 and np.allclose(after.energies - before.energies, more, rtol=0, atol=1e-10)
        again = other.compute_many([other.prepare(*structure)])[0]
        assert again.energy == after.energy and np.array_equal(again.forces, after.forces)
        assert np.array_equal(other.compute(*structure, threads=3).forces, after.forces)


def test_in_parts():
    rng = np.random.default_rng(3)
    pot = network("nbody-pairs", cutoff=2.5)
    pot.repulsion = RADII
    structure = crystal(rng, 300, cell=np.diag([60.0, 6.5, 6.5]))
    whole, parts = pot.compute(*structure), pot.compute(*structure, max_bytes=4e5)
    assert not np.array_equal(whole.forces, parts.forces)  # in parts indeed
    for a, b in zip(whole[:5], parts[:5], strict=True):
        assert np.allclose(a, b, rtol=0, atol=1e-9 * np.abs(a).max())


def test_derivatives_symmetries_and_interfaces(pots, tmp_path):
    """The certificate of a model with it: forces, virials, Hessians, threads, single precision, C."""
    pot = network("nbody-pairs", ["H", "O"])
    pot.repulsion = {"H-O": 3.0, "O-O": 3.1, "H-H": 2.0}
    pot.save(tmp_path / "model.nbcore")
    certificate = certify(tmp_path / "model.nbcore")
    assert certificate.passed, [c for c in certificate.checks if c.passed is False]
    assert all(d.repulsive for d in certificate.dimers)
    pot.repulsion = None
    assert not all(d.repulsive for d in certify(pot).dimers)


def test_training_sees_it(pots):
    """Predictions and losses of training have it; its gradient is that of differences."""
    pot, other = pots
    rng = np.random.default_rng(5)
    structures = []
    for n in (6, 9):
        x, species, cell, _ = crystal(rng, n)
        labels = 1.0, rng.normal(size=(n, 3)), rng.normal(size=(3, 3))
        structures.append(Structure(x, [NUMBERS[s] for s in species], cell, [True] * 3, *labels))
    loss, gradient = train.loss_and_gradient(other, structures)
    assert loss != train.loss_and_gradient(pot, structures)[0]
    predicted = [other.compute(s.positions, s.numbers, s.cell, s.pbc) for s in structures]
    result = train.TrainingSet(other, structures).loss_and_gradient(None, train.Loss())
    assert np.allclose(result.energies, [r.energy for r in predicted], rtol=1e-12)
    direction = rng.normal(size=len(gradient))
    theta, values = other.parameters.copy(), {}
    for k in (-2, -1, 1, 2):
        other.parameters[:] = theta + 1e-4 * k * direction
        values[k] = train.loss_and_gradient(other, structures)[0]
    other.parameters[:] = theta
    slope = (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / 12e-4
    assert np.isclose(gradient @ direction, slope, rtol=1e-6)


def test_where_it_is_kept(pots, tmp_path):
    pot, other = pots
    structure = molecule(np.random.default_rng(6), 6)
    assert pot.repulsion is None and other.repulsion == {k: RADII[k] for k in ("C-H", "C-O", "H-O", "O-O")}
    other.save(tmp_path / "with.nbcore")
    loaded = nbcore.Potential.load(tmp_path / "with.nbcore")
    assert loaded.repulsion == other.repulsion
    assert loaded.compute(*structure).energy == other.compute(*structure).energy
    version = loaded.version
    loaded.repulsion = {}
    assert loaded.version != version and loaded.compute(*structure).energy == pot.compute(*structure).energy
    assert "repulsion" not in loaded.description
    mean = nbcore.Committee([pot, other]).compute(*structure).energy
    assert np.isclose(mean, (pot.compute(*structure).energy + other.compute(*structure).energy) / 2, rtol=1e-12)
    with pytest.raises(InputError, match="assign to repulsion"):
        loaded.annotate(repulsion={"kind": "zbl", "radii": {}})
    more = train.add_elements(other, {"N": -1.0})
    assert more.repulsion == other.repulsion
    description, tensors = read_model_file(str(tmp_path / "with.nbcore"))
    for wrong in ({"kind": "lj", "radii": {}}, {"kind": "zbl", "radii": {"H-Xx": 1.0}}, {"kind": "zbl"},
                  {"kind": "zbl", "radii": {"H-O": 99.0}}, {"kind": "zbl", "radii": {"HO": 1.0}}):  # fmt: skip
        changed = json.dumps({**json.loads(description), "repulsion": wrong})
        write_model_file(str(tmp_path / "wrong.nbcore"), changed, tensors)
        with pytest.raises(ModelFileError, match="repulsion|radii"):
            nbcore.Potential.load(tmp_path / "wrong.nbcore")


def test_refusals(pots):
    _, pot = pots
    before = pot.repulsion
    for wrong, words in (
        ({"H-N": 1.0}, "H-N"), ({"HO": 1.0}, "HO"), ({"H-O": -1.0}, "0 to the cutoff"), ({"H-O": 9.0}, "3.2"),
        ({"H-O": np.nan}, "finite"), ({"H-O": 1.0, "O-H": 1.1}, "twice"), ("zbl", "dict"), ({"H-O": "1"}, "number"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            pot.repulsion = wrong
    assert pot.repulsion == before
    outputs = nbcore.presets.nbody(["H"], cutoff=3.0, channels=4, outputs=["dipole"], energy=False)
    with pytest.raises(InputError, match="no energy"):
        outputs.repulsion = {"H-H": 0.5}
