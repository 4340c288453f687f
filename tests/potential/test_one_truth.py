"""The core keeps the description; Python shows it read-only; setters go through the core; what is saved is what is."""

import copy
import json
import pickle

import numpy as np
import pytest

from nbcore import InputError, Potential
from nbcore.model_file import check_golden
from nbcore.presets import kondor, nbody

X = np.array([[0, 0, 0], [0, 0, 0.96], [0.93, 0, -0.24], [2.0, 1.1, 0.3]])
SPECIES = ["O", "H", "H", "C"]
NAN, INF = float("nan"), float("inf")


def make():
    outputs = {"dipole": {"charges": True}, "polarizability": {"rank": 2}, "spin": {"rank": 1, "per": "atom"}}
    return nbody(["H", "C", "O"], 3.2, channels=4, n_radial=4, outputs=outputs, radial_layers=[4], seed=2)


def bits(potential):
    r = potential.compute(X, SPECIES)
    return b"".join(np.asarray(x).tobytes() for x in (r.energy, r.forces, r.virial, r.energies, *r.outputs.values()))


SETTERS = {
    "scale": lambda p: setattr(p, "scale", 2.5),
    "E0s": lambda p: setattr(p, "E0s", {"H": -13.6, "C": -1027, "O": np.float32(-2041.5)}),
    "offsets": lambda p: setattr(p, "offsets", {"dipole": {"H": 0.3, "C": 0, "O": -0.6}}),
    "gain": lambda p: p.set_gain("psi1", 0, 1.7),
    "gain twice": lambda p: [p.set_gain("psi1", 0, 0.1), p.set_gain("psi1", 0, 0.7)],
    "gain of a readout": lambda p: p.set_gain("dipole", 1, -0.3),
    "parameters": lambda p: p.parameters.__setitem__(slice(None), 1.1 * p.parameters),
    "one parameter, kept view": lambda p: VIEWS.append(p.parameters) or VIEWS[-1].__setitem__(3, 0.2),
    "initialize": lambda p: p.initialize(7),
}
VIEWS = []
QUIET = {  # what does not change what is computed
    "spreads": lambda p: setattr(p, "spreads", {"polarizability": 0.25}),
    "about": lambda p: p.annotate(
        about={"author": 'é ∑ \u0000 "quoted"', "cite": ""}, mine={"n": 1, "x": [1.5, None, True]}
    ),
    "training": lambda p: p.annotate(training={"name": "t", "settings": {"lr": 0.1}}, mine={"n": [1, {"x": None}]}),
}


@pytest.mark.parametrize("name", [*SETTERS, *QUIET])
def test_what_is_saved_is_what_is(name, tmp_path):
    potential = make()
    before = bits(potential)
    (SETTERS | QUIET)[name](potential)
    assert (bits(potential) != before) == (name in SETTERS)
    potential.save(tmp_path / "m.nbcore")
    same = make()
    same_way = [Potential.load(tmp_path / "m.nbcore"), copy.deepcopy(potential), pickle.loads(pickle.dumps(potential))]
    remade = Potential(copy.deepcopy(potential.description))
    remade.parameters[:] = potential.parameters
    for other in [*same_way, remade]:
        assert bits(other) == bits(potential), name
        for attribute in ("description", "E0s", "scale", "offsets", "spreads"):
            expected = copy.deepcopy(getattr(potential, attribute))
            if other is remade and attribute == "description":
                expected["seeds"]["parameters"] = 0
            assert getattr(other, attribute) == expected, attribute
    assert bits(same) == before


def test_precision_and_splines_are_no_part_of_the_file(tmp_path):
    potential = make()
    potential.save(tmp_path / "double.nbcore")
    potential.precision, potential.radial_splines = "float32", False
    potential.save(tmp_path / "single.nbcore")
    assert (tmp_path / "double.nbcore").read_bytes() == (tmp_path / "single.nbcore").read_bytes()
    assert (potential.precision, potential.radial_splines) == ("float32", False)
    check_golden(tmp_path / "single.nbcore")


WRONG = {
    "scale": [NAN, INF, None, "2", True, [1.0], np.array([1.0]), 1j],
    "E0s": [
        {"H": 1, "C": 2}, {"H": 1, "C": 2, "O": NAN}, {"H": 1, "C": 2, "O": INF}, {"H": 1, "C": 2, "O": "3"},
        {"H": 1, "C": 2, "O": None}, {"H": 1, "C": 2, "O": True}, {"H": 1, "C": 2, "O": 3, "N": 4},
        {1: 1, 6: 2, 8: 3}, [1, 2, 3], None, {"H": [1], "C": 2, "O": 3},
    ],
    "offsets": [
        {"dipole": {"H": 1, "C": 2}}, {"dipole": {"H": NAN, "C": 2, "O": 1}}, {"charge": {"H": 1, "C": 1, "O": 1}},
        {"polarizability": {"H": 1, "C": 2, "O": 3}, "dipole": {"H": 1, "C": 2, "O": INF}},
        {"dipole": {"H": 1, "C": 2, "O": 3}, "spin": {"H": 1, "C": 2, "O": 3}},  # it has no l = 0
        {"dipole": 3}, None, {"dipole": {"H": 1, "C": 2, "O": 3, "Cu": 1}},
    ],
    "spreads": [{"dipole": 0}, {"dipole": -1}, {"dipole": NAN}, {"dipole": INF}, {"dipole": "1"}, {"x": 1}, None,
                {"polarizability": 2.0, "dipole": NAN}],
    "precision": ["double", 64, None],
}  # fmt: skip
REFUSED = [(name, value) for name, values in WRONG.items() for value in values]


@pytest.mark.parametrize("name, value", REFUSED, ids=[f"{n}-{k}" for k, (n, _) in enumerate(REFUSED)])
def test_a_setter_that_fails_changes_nothing(name, value, tmp_path):
    potential = make()
    potential.scale, potential.E0s = 1.5, {"H": 1, "C": 2, "O": 3}
    potential.offsets, potential.spreads = {"dipole": {"H": 0.1, "C": 0.2, "O": 0.3}}, {"dipole": 0.5}
    before, description, version = bits(potential), copy.deepcopy(potential.description), potential.version
    with pytest.raises(InputError):
        setattr(potential, name, value)
    assert bits(potential) == before and potential.description == description and potential.version == version


@pytest.mark.parametrize(
    "gate, part, factor",
    [("nothing", 0, 2.0), ("psi1", 9, 2.0), ("psi1", -1, 2.0), ("psi1", 0.5, 2.0), ("psi1", True, 2.0),
     ("psi1", 0, NAN), ("psi1", 0, INF), ("psi1", 0, "2"), ("psi1", 0, None), ("sum1", 0, 2.0), (3, 0, 2.0),
     ("psi1", 10**30, 2.0)],
)  # fmt: skip
def test_a_gain_that_does_not_fit_changes_nothing(gate, part, factor):
    potential = make()
    before, description, version = bits(potential), copy.deepcopy(potential.description), potential.version
    with pytest.raises(InputError):
        potential.set_gain(gate, part, factor)
    assert bits(potential) == before and potential.description == description and potential.version == version


def test_a_gain_that_overflows_changes_nothing():
    potential = make()
    potential.set_gain("psi1", 0, 1e300)
    with pytest.raises(InputError, match="finite"):
        potential.set_gain("psi1", 0, 1e300)
    gate = next(g for g in potential.description["program"]["gates"] if g["name"] == "psi1")
    assert gate["gain"][0] == 1e300


OWN = ["species", "cutoff", "program", "E0s", "scale", "offsets", "spreads", "scheme", "preset", "options", "r_min"]


@pytest.mark.parametrize("note", OWN)
def test_what_belongs_to_the_potential_is_no_note(note):
    potential = make()
    description = copy.deepcopy(potential.description)
    with pytest.raises(InputError, match=f"{note} is no note"):
        potential.annotate(about={"a": "1"}, **{note: description.get(note)})
    assert potential.description == description


@pytest.mark.parametrize(
    "value", [NAN, {"x": [INF]}, np.arange(3), {1: 2}, object(), {"a": {"b": b"bytes"}}, np.int64(3), {"x": "\ud800"}]
)
def test_notes_are_json(value, tmp_path):
    potential = make()
    description = copy.deepcopy(potential.description)
    with pytest.raises(InputError, match="about"):
        potential.annotate(training={}, about=value)
    assert potential.description == description
    potential.save(tmp_path / "m.nbcore")


@pytest.mark.parametrize("notes", [{"about": {"cite": 3}}, {"training": []}, {"shortest_distances": {"H-H": "1"}}])
def test_notes_that_no_loader_takes_are_refused(notes, tmp_path):
    potential = make()
    description = copy.deepcopy(potential.description)
    with pytest.raises(InputError, match=next(iter(notes))):
        potential.annotate(**notes)
    assert potential.description == description
    with pytest.raises(InputError, match=next(iter(notes))):
        Potential({**description, **notes})


def test_notes_are_removed_by_none():
    potential = make()
    potential.annotate(about={"a": "1"})
    potential.annotate(about=None, never=None)
    assert "about" not in potential.description and "never" not in potential.description


def test_the_description_is_read_only():
    d = make().description
    changes = [
        lambda: d.__setitem__("scale", 2), lambda: d.update(scale=2), lambda: d.setdefault("x", 1),
        lambda: d.clear(), lambda: d.popitem(), lambda: d.pop("E0s"), lambda: d.__delitem__("E0s"),
        lambda: d.__ior__({"scale": 1}),
        lambda: d["E0s"].update(H=1), lambda: d["program"]["gates"].append({}), lambda: d["program"]["gates"].sort(),
        lambda: d["program"]["gates"][0].update(gain=[2]), lambda: d["species"].__setitem__(0, "He"),
        lambda: d["species"].extend(["He"]), lambda: d["species"].__iadd__(["He"]), lambda: d["species"].pop(),
        lambda: d["species"].insert(0, "He"), lambda: d["species"].remove("H"), lambda: d["species"].reverse(),
        lambda: d["species"].clear(), lambda: d["species"].__delitem__(0), lambda: d["species"].__imul__(2),
    ]  # fmt: skip
    before = json.dumps(d)
    for change in changes:
        with pytest.raises(TypeError, match="annotate"):
            change()
    assert json.dumps(d) == before
    with pytest.raises(AttributeError):
        make().description = {}


def test_copies_of_the_description_are_ordinary():
    potential = make()
    for mine in (copy.deepcopy(potential.description), pickle.loads(pickle.dumps(potential.description))):
        assert type(mine) is dict and type(mine["program"]["gates"]) is list and mine == potential.description
        mine["program"]["gates"][0]["name"] = "other"
        mine["species"].append("He")
    assert potential.description["species"] == ["H", "C", "O"]
    assert type(potential.description.copy()) is dict and type(copy.copy(potential.description["species"])) is list
    assert potential.description | {"x": 1} == {**potential.description, "x": 1}


def test_the_description_that_is_given_is_copied():
    given = copy.deepcopy(make().description)
    potential = Potential(given)
    given["program"]["gates"].clear()
    given["E0s"]["H"] = 3
    assert potential.E0s["H"] == 0 and len(potential.description["program"]["gates"]) > 3


def test_numbers_go_through_json_with_all_their_bits(tmp_path):
    rng, potential = np.random.default_rng(0), kondor(["H", "O"], 3.0, channels=4)
    for value in [*rng.standard_normal(50) * 10.0 ** rng.integers(-300, 300, 50), 5e-324, 1.7976931348623157e308, -0.0]:
        potential.scale = value
        assert Potential(copy.deepcopy(potential.description)).scale == value
        assert json.loads(json.dumps(potential.description))["scale"] == value


def test_versions():
    potential, other = make(), make()
    seen = {potential.version, other.version}
    assert len(seen) == 2 and potential.version in seen  # nothing changed
    more = {
        "precision": lambda p: setattr(p, "precision", "float32"),
        "splines": lambda p: setattr(p, "radial_splines", False),
    }
    for change in (SETTERS | more).values():
        change(potential)
        assert potential.version not in seen
        seen.add(potential.version)
    for same in (lambda p: setattr(p, "precision", "float32"), *(QUIET[n] for n in ("about", "training"))):
        same(potential)
        assert potential.version in seen
    bits(potential), potential.parameters  # noqa: B018 (looking is no change)
    assert potential.version in seen


def test_numbers_beyond_a_double_are_refused():
    potential = nbody(["H"], 3.0, channels=4)
    for change in (lambda x: setattr(potential, "scale", x), lambda x: setattr(potential, "E0s", {"H": x})):
        with pytest.raises(InputError, match="finite"):
            change(10**400)
