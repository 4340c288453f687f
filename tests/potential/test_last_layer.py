"""What a potential knows of its errors, against finite differences in its weights and linear algebra in NumPy."""

import copy
import json
import pickle

import numpy as np
import pytest

import nbcore
from nbcore._core import read_model_file, write_model_file
from nbcore.errors import InputError, ModelFileError

SPECIES = ["H", "C", "O"]
WATER = np.array([[0, 0, 0], [0, 0, 0.96], [0.93, 0, -0.24], [1.5, 2.0, 1.0]]), ["O", "H", "H", "C"]


def by_species(potential):
    """The same with readouts of their own for every element, and two of them that share weights."""
    description = copy.deepcopy(potential.description)
    gates = description["program"]["gates"]
    for gate in gates:
        if gate["name"] == "energy1":
            gate["share"] = "species"
    gates.append(dict(gate="mix", name="again", inputs=["psi2"], channels=1, l_max=0, share="species",
                      weights="energy1"))  # fmt: skip
    description["program"]["readout"].append("again")
    other = nbcore.Potential(description, seed=4)
    other.set_gain("again", 0, 0.7)
    return other


POTENTIALS = {
    "nbody": lambda: nbcore.presets.nbody(SPECIES, 4.0, channels=6, l_harmonics=2, seed=1),
    "by species": lambda: by_species(nbcore.presets.nbody(SPECIES, 4.0, channels=6, l_harmonics=2)),
    "cormorant": lambda: nbcore.presets.cormorant(SPECIES, 4.0, channels=3, levels=2, l_harmonics=2, l_states=1),
    "kondor": lambda: nbcore.presets.kondor(SPECIES, 4.0, channels=3, algebra="complex"),
    "tree": lambda: nbcore.presets.tree(SPECIES, 4.0, channels=3, l_harmonics=2, tree_levels=2, part_size=2.0),
}


def rod(*n, seed=0):
    """n[0] n[1] n[2] atoms of the three elements in a periodic cell."""
    rng = np.random.default_rng(seed)
    grid = 2.1 * np.stack(np.meshgrid(*map(np.arange, n), indexing="ij"), -1).reshape(-1, 3)
    return grid + rng.uniform(-0.2, 0.2, grid.shape), rng.choice(SPECIES, len(grid)), 2.1 * np.diag(n), True


def know(potential, whitening, energy=0.5, forces=(2.0, 3.0, 4.0), largest=(5.0, 6.0, 7.0)):
    """Gives a potential its uncertainty by hand."""
    named = {"forces": dict(zip(potential.species, forces, strict=True))}
    named |= {"largest": dict(zip(potential.species, largest, strict=True))}
    potential._core.set_uncertainty(json.dumps({"kind": "last_layer", "energy": energy, **named}), whitening)


def random_whitening(potential):
    n = potential._core.n_features
    return np.random.default_rng(3).standard_normal((3, n, n))


@pytest.mark.parametrize("name", POTENTIALS)
def test_features_are_derivatives_by_the_weights_of_the_readouts(name):
    potential = POTENTIALS[name]()
    potential.scale = 1.7
    scheme = potential.scheme(*WATER[:1]) if potential.has_parts else None
    readouts = potential.description["program"]["readout"]
    columns = np.concatenate(
        [np.arange(s.start, s.stop) for n, (s, _) in potential.parameter_slices.items() if n.split(".")[0] in readouts]
    )
    features = potential.features(*WATER, scheme=scheme)
    assert features.shape == (4, len(columns))
    for k, column in enumerate(columns):
        energies = []
        for sign in (1, -1):  # the energy is linear in it: any step is exact
            potential.parameters[column] += sign
            energies.append(potential.compute(*WATER, scheme=scheme).energies)
            potential.parameters[column] -= sign
        assert np.allclose(features[:, k], (energies[0] - energies[1]) / 2, rtol=0, atol=1e-10), potential
    assert np.abs(features).max() > 1e-3


def test_features_of_many_blocks_in_parts_and_in_single_precision():
    """One block, many blocks, coloured parts within a bound of memory, float32, threads: the same features."""
    potential = POTENTIALS["nbody"]()
    know(potential, random_whitening(potential))
    system = rod(3, 3, 80)
    whole = potential.compute(*system, uncertainty=True, threads=1).uncertainty
    few = potential.features(*system)
    assert np.array_equal(potential.features(*system, threads=3), few)
    energies = [potential.parameters[s] for n, (s, _) in potential.parameter_slices.items() if n.startswith("energy")]
    assert np.allclose(few @ np.concatenate(energies), potential.compute(*system).energies, rtol=0, atol=1e-10)
    parts = potential.compute(*system, uncertainty=True, max_bytes=2e6)
    assert np.allclose(parts.uncertainty.forces, whole.forces, rtol=1e-9)
    assert potential.bytes_per_atom(*system) * len(few) > 2e6  # the bound was felt
    potential.precision = "float32"
    assert np.allclose(potential.features(*system), few, rtol=0, atol=3e-5 * np.abs(few).max())


def test_uncertainties_in_numpy():
    potential = POTENTIALS["nbody"]()
    W, x = random_whitening(potential), potential.features(*WATER)
    know(potential, W)
    u = potential.compute(*WATER, uncertainty=True).uncertainty
    index = [SPECIES.index(s) for s in WATER[1]]
    h = np.array([np.sum((W[k] @ f) ** 2) for k, f in zip(index, x, strict=True)])
    forces = np.array([2.0, 3.0, 4.0])[index] * np.sqrt(h)
    assert np.allclose(u.forces, forces, rtol=1e-12)
    assert np.allclose(u.grades, h / np.array([5.0, 6.0, 7.0])[index], rtol=1e-12)
    assert np.isclose(u.energy, 0.5 * np.sqrt(np.sum(forces**2)), rtol=1e-12)
    plain = potential.compute(*WATER)
    assert plain.uncertainty is None and plain.energy == potential.compute(*WATER, uncertainty=True).energy
    prepared = potential.compute_many([potential.prepare(*WATER)], uncertainty=True)[0].uncertainty
    assert prepared.energy == u.energy and np.array_equal(prepared.grades, u.grades)
    nothing = potential.compute(np.empty((0, 3)), [], uncertainty=True).uncertainty
    assert nothing.energy == 0 and nothing.forces.shape == nothing.grades.shape == (0,)


def test_it_is_kept_and_forgotten(tmp_path):
    potential = POTENTIALS["nbody"]()
    with pytest.raises(InputError, match="knows nothing of its errors"):
        potential.compute(*WATER, uncertainty=True)
    know(potential, random_whitening(potential))
    expected = potential.compute(*WATER, uncertainty=True).uncertainty
    potential.annotate(about={"author": "me"})
    potential.E0s = dict.fromkeys(SPECIES, 1.0)
    potential.save(tmp_path / "a.nbcore")
    for other in (nbcore.Potential.load(tmp_path / "a.nbcore"), pickle.loads(pickle.dumps(potential))):
        assert other.uncertainty == potential.uncertainty
        assert other.compute(*WATER, uncertainty=True).uncertainty.energy == expected.energy
    assert nbcore.Potential(copy.deepcopy(potential.description)).uncertainty is None  # other parameters

    for change in (
        lambda p: p.parameters.__setitem__(3, 0.25),
        lambda p: p.set_gain("A1", 0, 2.0),
        lambda p: p.initialize(5),
    ):
        other, version = nbcore.Potential.load(tmp_path / "a.nbcore"), None
        version = other.version
        change(other)
        assert other.uncertainty is None and other.version != version
        with pytest.raises(InputError, match="parameters were changed"):
            other.compute(*WATER, uncertainty=True)
    with pytest.raises(InputError, match="uncertainty is no note"):
        potential.annotate(uncertainty=None)


def change(**entries):
    return lambda d, t: d["uncertainty"].update(entries)


HOSTILE = [
    (lambda d, t: d.pop("uncertainty"), "go together"),
    (lambda d, t: t.pop("uncertainty.whitening"), "go together"),
    (lambda d, t: d.update(uncertainty=None), "uncertainty"),
    (lambda d, t: d.update(uncertainty=[1]), "uncertainty"),
    (change(kind="committee"), "last_layer"),
    (change(kind="magic"), "magic"),
    (change(energy=0.0), "energy must be positive"),
    (change(energy=-1.0), "energy must be positive"),
    (change(energy="1"), "energy"),
    (change(forces={"H": 1.0, "C": 1.0}), "O"),
    (change(forces={"H": 1.0, "C": 1.0, "O": 0.0}), "forces of O must be positive"),
    (change(forces={"H": 1.0, "C": 1.0, "O": 1.0, "N": 1.0}), "other elements"),
    (change(largest={"H": 1.0, "C": 1.0, "O": -2.0}), "largest of O"),
    (change(largest=3), "largest"),
    (lambda d, t: t.update({"uncertainty.whitening": np.zeros((3, 2, 2))}), "shape"),
    (lambda d, t: t.update({"uncertainty.whitening": t["uncertainty.whitening"].ravel()}), "shape"),
    (lambda d, t: t.update({"uncertainty.whitening": np.zeros((0, 0, 0))}), "shape"),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_files_whose_uncertainty_makes_no_sense(tmp_path, number):
    potential = POTENTIALS["nbody"]()
    know(potential, random_whitening(potential))
    potential.save(tmp_path / "good.nbcore")
    text, arrays = read_model_file(tmp_path / "good.nbcore")
    description = json.loads(text)
    spoil, words = HOSTILE[number]
    spoil(description, arrays)
    write_model_file(tmp_path / "bad.nbcore", json.dumps(description), arrays)
    for read in (nbcore.Potential.load, nbcore.load, nbcore.evaluator.Evaluator):
        with pytest.raises(ModelFileError, match=words):
            read(tmp_path / "bad.nbcore")


def test_energies_that_are_not_linear_in_the_last_layer():
    description = copy.deepcopy(POTENTIALS["nbody"]().description)
    description["program"]["gates"] += [dict(gate="activation", name="bent", inputs=["energy2"])]
    description["program"]["readout"] = ["bent"]
    potential = nbcore.Potential(description)
    with pytest.raises(InputError, match="not linear"):
        potential.features(*WATER)
