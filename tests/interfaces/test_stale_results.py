"""Every cache sees every change: the calculator of ASE, training sets, packed weights and splines, schemes."""

import copy
import os
import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from nbcore import Committee, CompositionScheme, InputError, ModelFileError, Potential
from nbcore.ase import NBCoreCalculator
from nbcore.data import Structure
from nbcore.evaluator import Evaluator
from nbcore.presets import nbody, tree
from nbcore.train import TrainingSet

X = np.array([[0, 0, 0], [0, 0, 0.96], [0.93, 0, -0.24]])
SPECIES = ["O", "H", "H"]


def make():
    return nbody(["H", "O"], 3.2, channels=4, n_radial=4, radial_layers=[4], outputs={"dipole": {}}, seed=2)


def negate(p):
    p.parameters[:] *= -1


SETTERS = {
    "scale": lambda p: setattr(p, "scale", 2.5),
    "E0s": lambda p: setattr(p, "E0s", {"H": -13.6, "O": -2041.5}),
    "gain": lambda p: p.set_gain("psi1", 0, 1.7),
    "parameters": negate,
    "one parameter": lambda p: p.parameters.__setitem__(0, 0.3),
    "initialize": lambda p: p.initialize(5),
    "precision": lambda p: setattr(p, "precision", "float32"),
    "splines": lambda p: setattr(p, "radial_splines", False),
}


def calculator(p):
    atoms = Atoms(SPECIES, X, calculator=NBCoreCalculator(p))

    def read():
        return atoms.get_potential_energy(), atoms.get_forces()

    return read


def training_set(p):
    s = TrainingSet(p, [Structure(X, np.array([8, 1, 1]), energy=-3.0, forces=np.zeros((3, 3)))])

    def read():
        e = s.loss_and_gradient()
        return e.energies[0], e.forces[0], e.loss, e.gradient

    return read


def results(p):
    return lambda: tuple(p.compute(X, SPECIES)[:3])


def kept_view(p):
    view = p.parameters  # a view that stays: every evaluation compares
    return lambda: (p.compute(X, SPECIES).energy, view.copy())


CACHES = {f.__name__: f for f in (calculator, training_set, results, kept_view)}


def bits(values):
    return b"".join(np.asarray(v, dtype=float).tobytes() for v in values)


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("setter", SETTERS)
def test_every_setter_and_every_cache(setter, cache):
    potential = make()
    read = CACHES[cache](potential)
    before = bits(read())
    SETTERS[setter](potential)
    after, fresh = make(), make()
    SETTERS[setter](after)
    expected = bits(CACHES[cache](after)())
    assert bits(read()) == expected, "the change was not seen"
    if not (cache == "training_set" and setter in ("precision", "splines")):  # training is double, without splines
        assert expected != before, "the change changes nothing: no test"
    assert bits(CACHES[cache](fresh)()) == before


def test_another_potential_in_a_calculator():
    one, two = make(), make()
    two.initialize(9)
    atoms = Atoms(SPECIES, X, calculator=NBCoreCalculator(one))
    before = atoms.get_potential_energy()
    atoms.calc.potential = two
    assert atoms.get_potential_energy() == two.compute(X, SPECIES).energy != before


def test_an_unchanged_potential_is_not_computed_again(monkeypatch):
    potential, calls = make(), []
    atoms = Atoms(SPECIES, X, calculator=NBCoreCalculator(potential))
    atoms.get_forces()
    monkeypatch.setattr(NBCoreCalculator, "_evaluate", lambda *a: calls.append(1))
    potential.annotate(about={"author": "nobody"})
    atoms.get_potential_energy(), atoms.get_forces()
    assert not calls


R = {"basis": "bessel", "n": 4, "cutoff": 3.2}
LEAVES = {"parity": "o3", "readout": ["e"], "gates": [
    dict(gate="leaf", name="initial_charges", l=0, channels=1), dict(gate="leaf", name="field", l=1),
    dict(gate="mix", name="own", inputs=["initial_charges", "field"], channels=4),
    dict(gate="density", name="sum", l_max=2, radial=R), dict(gate="mix", name="A", inputs=["sum"], channels=4),
    dict(gate="zeroth_order", name="z", inputs=["own"], l_max=2, l_out=2, radial=R),
    dict(gate="mix", name="C", inputs=["z", "own", "A"], channels=4),
    dict(gate="self_product", name="B", inputs=["C"], l_max=0, correlation=3),
    dict(gate="mix", name="e", inputs=["B"], channels=1)]}  # fmt: skip


def test_leaf_states_count_as_changes():
    potential = Potential({"species": ["H", "O"], "program": LEAVES}, 4)
    atoms = molecule("H2O")
    atoms.set_initial_charges([-0.8, 0.4, 0.4])
    atoms.new_array("field", np.tile([0, 0, 0.1], (3, 1)))
    atoms.calc = NBCoreCalculator(potential)
    seen = set()
    changes = [
        lambda: None, lambda: atoms.set_initial_charges([0.8, -0.4, -0.4]), lambda: atoms.arrays["field"].fill(2.0),
        lambda: atoms.set_array("field", np.ones((3, 3))), lambda: atoms.arrays["initial_charges"].__setitem__(0, 3.0),
    ]  # fmt: skip
    for change in changes:
        change()
        energy = atoms.get_potential_energy()
        assert energy == potential.compute(atoms.positions, atoms.numbers, leaves=atoms.arrays).energy
        assert energy not in seen
        seen.add(energy)
    del atoms.arrays["field"]
    with pytest.raises(InputError, match="field"):
        atoms.get_potential_energy()


def tree_atoms():
    rng = np.random.default_rng(1)
    atoms = Atoms("OH2" * 2, rng.normal(size=(6, 3)) + 2.5 * np.arange(6)[:, None])
    atoms.new_array("residue", np.array([0, 0, 0, 1, 1, 1]))
    return atoms


def test_labels_and_numbers_of_a_scheme_count_as_changes():
    potential = tree(["H", "O"], 3.2, channels=4, labels="residue", seed=3)
    atoms = tree_atoms()
    atoms.calc = NBCoreCalculator(potential)

    def right():
        scheme = potential.scheme(atoms.positions, atoms.cell[:], atoms.pbc, atoms.arrays)
        return potential.compute(atoms.positions, atoms.numbers, scheme=scheme).energy

    first = atoms.get_potential_energy()
    assert first == right()
    atoms.arrays["residue"][:] = [0, 0, 1, 1, 0, 0]
    second = atoms.get_potential_energy()
    assert second == right() != first
    atoms.numbers[:] = [1, 8, 1, 1, 8, 1]
    assert atoms.get_potential_energy() == right() != second
    scheme = atoms.calc.scheme
    atoms.positions += 0.01 * np.random.default_rng(0).normal(size=(6, 3))
    atoms.get_potential_energy()
    assert atoms.calc.scheme is scheme  # held while atoms move
    atoms.calc.scheme = CompositionScheme.tree(atoms.positions, levels=len(scheme.sets))
    given = atoms.calc.scheme
    assert atoms.get_potential_energy() == potential.compute(atoms.positions, atoms.numbers, scheme=given).energy
    del atoms[0]
    with pytest.raises(InputError, match="scheme"):
        atoms.get_potential_energy()


def test_a_scheme_in_use_is_read_only():
    scheme = CompositionScheme.from_labels([0, 0, 1, 1])
    scheme["parts"]["coefficient"][:2] = 0.25, 0.75
    scheme.check()
    for array in ("coefficient", "atom", "image", "classes", "child"):
        with pytest.raises(ValueError, match="read-only"):
            scheme["parts"][array][:] = 0
    scheme.add("top", [[0]], children="system")  # another set may still come
    scheme.check()


# ---- what a path means later ----


@pytest.fixture
def two_folders(tmp_path, monkeypatch):
    for k, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        potential = nbody(["H", "O"], 3.2, channels=4, seed=k)
        potential.save(tmp_path / name / "m.nbcore")
    monkeypatch.chdir(tmp_path / "one")
    return tmp_path


def energy_of(calc):
    return Atoms(SPECIES, X, calculator=calc).get_potential_energy()


def direct(evaluator):
    return evaluator.evaluate(X, np.array([8, 1, 1], dtype=np.intc))


WAYS = {
    "itself": lambda x: x,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["calculator", "evaluator", "potential"])
def test_a_path_is_resolved_when_it_is_given(two_folders, kind, way):
    make, energy = {
        "calculator": (NBCoreCalculator, energy_of),
        "evaluator": (Evaluator, direct),
        "potential": (Potential.load, lambda p: p.compute(X, SPECIES).energy),
    }[kind]
    made = make("m.nbcore")
    before = energy(made)
    os.chdir(two_folders / "two")
    assert energy(WAYS[way](made)) == before != energy(make("m.nbcore"))


def test_pickles_of_a_model_that_was_replaced(two_folders):
    evaluator, calc = Evaluator("m.nbcore"), NBCoreCalculator("m.nbcore")
    before = energy_of(calc)
    pickles = [pickle.dumps(evaluator), pickle.dumps(calc)]
    (two_folders / "one" / "m.nbcore").write_bytes((two_folders / "two" / "m.nbcore").read_bytes())
    for p in pickles:
        with pytest.raises(ModelFileError, match="another model stands there now"):
            pickle.loads(p)
    assert direct(copy.deepcopy(evaluator)) == energy_of(copy.deepcopy(calc)) == before  # they need no file
    (two_folders / "one" / "m.nbcore").unlink()
    for p in pickles:
        with pytest.raises(FileNotFoundError):
            pickle.loads(p)


def test_pickles_keep_valid_results_only(tmp_path):
    potential = make()
    atoms = Atoms(SPECIES, X, calculator=NBCoreCalculator(potential))
    before = atoms.get_potential_energy()
    again = pickle.loads(pickle.dumps(atoms.calc))
    assert again.results["energy"] == before and not again.calculation_required(atoms, ["energy"])
    potential.scale = 3.0
    again = pickle.loads(pickle.dumps(atoms.calc))
    assert again.calculation_required(atoms, ["energy"])
    assert again.get_potential_energy(atoms) == atoms.get_potential_energy() != before


def test_digest(two_folders):
    """That of what is computed: notes do not change it, one bit of a parameter does."""
    evaluator = Evaluator("m.nbcore")
    assert len(evaluator.digest) == 64 and evaluator.digest != Evaluator(two_folders / "two" / "m.nbcore").digest
    pickled, potential = pickle.dumps(evaluator), Potential.load("m.nbcore")
    potential.annotate(about={"author": "me"})
    potential.save("m.nbcore")
    assert Evaluator("m.nbcore").digest == evaluator.digest == pickle.loads(pickled).digest
    for change in (SETTERS[name] for name in ("scale", "E0s", "gain", "one parameter")):
        changed = copy.deepcopy(potential)
        change(changed)
        changed.save("changed.nbcore")
        assert Evaluator("changed.nbcore").digest != evaluator.digest
    Committee([potential, changed]).save("committee.nbcore")
    assert len({Evaluator("committee.nbcore").digest, Evaluator("changed.nbcore").digest, evaluator.digest}) == 3
    assert evaluator.path == str(two_folders / "one" / "m.nbcore")
