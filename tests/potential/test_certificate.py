"""Certificates: models that keep what they promise pass, and every promise that is broken turns its check red."""

import copy

import numpy as np
import pytest
from random_structures import crystal, network

import nbcore
from nbcore.certificate import certify, derivatives, machines, of_model, samples, symmetry
from nbcore.errors import InputError, SpeciesError

TREE = dict(species=["H", "O"], cutoff=3.0, channels=4, labels="molecule", tree_levels=2, seed=1)
LEAVES = {
    "gates": [
        {"gate": "leaf", "name": "charge"},
        {"gate": "leaf", "name": "field", "l": 1},
        {"gate": "density", "name": "sum", "l_max": 1, "radial": {"basis": "bessel", "n": 4, "cutoff": 3.0}},
        {"gate": "mix", "name": "A", "inputs": ["sum", "charge", "field"], "channels": 4},
        {"gate": "self_product", "name": "B", "inputs": ["A"], "l_max": 0, "correlation": 2},
        {"gate": "mix", "name": "energy", "inputs": ["B"], "channels": 1, "l_max": 0},
    ],
    "readout": ["energy"],
}
MODELS = {
    "nbody": lambda: network("nbody-scalars", ["H", "O"]),
    "so3": lambda: network("nbody-so3", ["H", "O"]),
    "cormorant": lambda: network("cormorant-radial", ["H"]),
    "committee": lambda: nbcore.Committee([network("nbody-pairs", ["H", "O"], seed=k) for k in range(2)]),
    "tree": lambda: nbcore.presets.tree(**TREE),
    "leaves": lambda: nbcore.Potential({"species": ["H", "O"], "program": LEAVES}),
    "outputs": lambda: nbcore.presets.nbody(
        ["H", "O"], cutoff=3.0, channels=4, outputs=["dipole", "polarizability"], energy=False
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_pass(name, tmp_path):
    model = MODELS[name]()
    model.save(tmp_path / "model.nbcore")
    certificate = certify(tmp_path / "model.nbcore")
    made = {c.name: c for c in certificate.checks if c.figure is not None}
    assert certificate.passed, [c for c in certificate.checks if c.passed is False]
    assert certificate.of == of_model(model)
    assert {"rotation", "permutation", "translation", "threads", "float32"} <= set(made)
    assert ("forces" in made) == (name != "outputs") and ("periodicity" in made) == (name != "tree")
    assert ("dimers" in made) == (name not in ("tree", "leaves", "outputs"))
    assert all(c.note for c in certificate.checks if c.figure is None)
    if name == "so3":  # what is not promised is measured and not judged
        assert made["reflection"].limit is None and made["reflection"].figure > 1e-6
    if name == "nbody":
        assert made["cutoff"].figure >= 2 and len(certificate.dimers) == 3
        assert certify(model).as_dict()["checks"][0] == certificate.as_dict()["checks"][0]  # the same samples again


class Spoiled:
    """A potential one of whose promises is broken: `spoil` changes its results, given the arguments."""

    def __init__(self, potential, spoil):
        self.potential, self.spoil = potential, spoil

    def __getattr__(self, name):
        return getattr(self.__dict__["potential"], name)

    def __deepcopy__(self, memo):
        return Spoiled(copy.deepcopy(self.potential), self.spoil)

    def compute(self, positions, species, cell=None, pbc=False, threads=1, **more):
        r = self.potential.compute(positions, species, cell, pbc, threads, **more)
        return self.spoil(r, np.asarray(positions, dtype=float), threads, self)


def energies(r, more):
    return r._replace(energy=r.energy + np.sum(more), energies=r.energies + more)


def step_in_the_distance(r, x, threads, model):
    d = np.linalg.norm(x[:, None] - x, axis=-1)
    return energies(r, 1e-6 * ((d > 0) & (d < model.cutoff)).sum(axis=1))


SPOILT = {
    "forces": lambda r, x, t, m: r._replace(forces=r.forces * (1 + 1e-6)),
    "virial": lambda r, x, t, m: r._replace(virial=r.virial * (1 + 1e-6)),
    "rotation": lambda r, x, t, m: energies(r, 1e-8 * (x[:, 2] - x[:, 2].mean())),
    "reflection": lambda r, x, t, m: energies(r, 1e-8 * np.linalg.det(x[1:4] - x[0])),
    "translation": lambda r, x, t, m: energies(r, 1e-8 * x[:, 0]),
    "permutation": lambda r, x, t, m: energies(r, 1e-8 * np.arange(len(x))),
    "periodicity": lambda r, x, t, m: energies(r, 1e-8 * np.abs(x).max()),
    "size": lambda r, x, t, m: energies(r, 1e-8 * len(x)),
    "isolated_atoms": lambda r, x, t, m: energies(r, 1e-8),
    "hessian": lambda r, x, t, m: r._replace(forces=r.forces * (1 + 1e-6)),
}


@pytest.fixture(scope="module")
def pair():
    """A potential and the structures on which it is checked."""
    potential, rng = network("nbody-pairs", ["H", "O"]), np.random.default_rng(0)
    return potential, [samples.cluster(potential, rng), samples.crystal(potential, rng)]


@pytest.mark.parametrize("name", SPOILT)
def test_broken_promises_turn_red(name, pair):
    potential, on = pair
    check = getattr(symmetry, name, None) or getattr(derivatives, name)
    assert check(potential, on, np.random.default_rng(1)) < 1e-8
    limit = 1e-9 if hasattr(symmetry, name) else 1e-7
    assert check(Spoiled(potential, SPOILT[name]), on, np.random.default_rng(1)) > limit


def test_broken_curves_and_machines_turn_red(pair):
    potential, on = pair
    begin = lambda pair: 0.5  # noqa: E731
    assert derivatives.continuous_derivatives(Spoiled(potential, step_in_the_distance), [(1, 8)], begin) == -1
    bent = Spoiled(potential, lambda r, x, t, m: r._replace(forces=r.forces * (1 + 1e-6)))
    assert derivatives.curve(potential, (1, 8), 0.5)[2] < 1e-10 < 1e-8 < derivatives.curve(bent, (1, 8), 0.5)[2]
    racing = Spoiled(potential, lambda r, x, t, m: r._replace(forces=r.forces * (1 + 1e-16 * t)))
    other = Spoiled(potential, lambda r, x, t, m: r._replace(forces=np.nextafter(r.forces, t)))
    assert machines.threads(potential, on[1]) == 0 < machines.threads(other, on[1])
    assert machines.threads(racing, on[1]) >= 0
    rough = Spoiled(potential, lambda r, x, t, m: r._replace(forces=r.forces * (1 + (m.precision == "float32"))))
    assert machines.single_precision(potential, on) < 1e-5 < 0.1 < machines.single_precision(rough, on)


def test_the_class_of_a_network_at_its_cutoff():
    """Radial functions of each envelope have the derivatives that they are made for."""
    for power, least in ((3, 2), (5, 2)):
        program = copy.deepcopy(LEAVES)
        program["gates"] = [gate for gate in program["gates"] if gate["gate"] != "leaf"]
        program["gates"][0]["radial"] |= {"envelope": "polynomial", "power": power}
        program["gates"][1]["inputs"] = ["sum"]
        pot = nbcore.Potential({"species": ["H", "O"], "program": program})
        assert derivatives.continuous_derivatives(pot, [(1, 8)], lambda pair: 0.6) >= least
    program["gates"][0]["radial"] = {"basis": "bessel", "n": 4, "cutoff": 3.0, "envelope": "cosine"}
    pot = nbcore.Potential({"species": ["H", "O"], "program": program})
    assert derivatives.continuous_derivatives(pot, [(1, 8)], lambda pair: 0.6) < 3


def test_structures_of_a_user_and_refusals(pair):
    potential, _ = pair
    rng = np.random.default_rng(1)
    slab = 3 * rng.random((4, 3)) + 2 * np.eye(4, 3), ["H"] * 4, 9 * np.eye(3), [1, 1, 0]
    given = [crystal(rng, 5, ["H", "O"]), slab]
    sizes = set()
    looked_at = Spoiled(potential, lambda r, x, t, m: sizes.add(len(x)) or r)
    assert certify(looked_at, given).passed and {4, 5} <= sizes
    with pytest.raises(SpeciesError, match="C "):
        certify(potential, [crystal(rng, 5, ["C"])])
    tree = nbcore.presets.tree(**TREE)
    description = {k: v for k, v in tree.description.items() if k not in ("scheme", "options", "preset")}
    with pytest.raises(InputError, match="nobody else knows"):
        certify(nbcore.Potential(description))


def test_a_certificate_is_that_of_one_model():
    pot = network("nbody-pairs", ["H", "O"])
    before = of_model(pot)
    for change in (
        lambda p: setattr(p, "scale", 2.0),
        lambda p: p.E0s.update() or setattr(p, "E0s", {"H": 1.0, "O": 0.0}),
    ):
        other = copy.deepcopy(pot)
        change(other)
        assert of_model(other) != before
    other = copy.deepcopy(pot)
    other.parameters[0] += 1e-15
    assert of_model(other) != before
    other = copy.deepcopy(pot)
    other.annotate(about={"author": "me"}), setattr(other, "precision", "float32")
    assert of_model(other) == before
