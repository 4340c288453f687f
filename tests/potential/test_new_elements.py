"""Elements added to a potential: what it knows keeps its bits, what is new begins as what it is like."""

import numpy as np
import pytest

import nbcore
from nbcore.errors import InputError
from nbcore.new_elements import add_elements, nearest_element
from nbcore.presets import PRESETS

E0S = {"C": -1.0, "O": -2.0, "S": -4.0}
OPTIONS = {
    "nbody": [{}, {"parity": "so3"}, {"outputs": ["dipole"]}, {"radial_layers": [6, 4]}, {"levels": 3}],
    "kondor": [{}, {"parity": "o3"}, {"labels": "molecule"}],
    "cormorant": [{}],
    "nequip": [{}, {"parities": "all", "readout_layers": [5]}, {"self_connection": "all", "parity": "so3"}],
    "hipnn": [{"atom_layers": 1, "n_radial": 3, "levels": 1}],
    "hipnn_ts": [{"atom_layers": 1, "n_radial": 3}],
    "tree": [{}, {"radial_layers": [6, 4]}],
}  # fmt: skip
CASES = [(preset, options) for preset, every in OPTIONS.items() for options in every]


def make(preset="nbody", species="COS", **options):
    E0s = {x: E0S.get(x, -3.0) for x in species}
    return PRESETS[preset].make(species=list(species), cutoff=4.0, channels=6, E0s=E0s, seed=5, **options)


def structure(n, elements, seed=0):
    rng, edge = np.random.default_rng(seed), 1.7 * n ** (1 / 3) + 1
    return rng.uniform(0, edge, (n, 3)), rng.choice(list(elements), n), edge


def compute(potential, positions, species, edge):
    if potential.has_parts:
        labels = {"molecule": np.arange(len(positions)) // 4}
        return potential.compute(positions, species, scheme=potential.scheme(positions, labels=labels))
    return potential.compute(positions, species, **({} if potential.outputs else dict(cell=edge * np.eye(3), pbc=True)))


@pytest.mark.parametrize("preset, options", CASES)
@pytest.mark.parametrize("new", ["N", "HNSi", "U"])
@pytest.mark.parametrize("like", ["nearest", "mean"])
def test_known_structures_keep_their_bits(preset, options, new, like):
    potential = make(preset, **options)
    symbols = ["H", "N", "Si"] if new == "HNSi" else [new]
    more = add_elements(potential, dict.fromkeys(symbols, -7.0), like)
    assert set(more.species) == {"C", "O", "S", *symbols} and more.E0s[symbols[0]] == -7.0
    for n in (4, 24):
        case = structure(n, "COS")
        one, two = compute(potential, *case), compute(more, *case)
        assert one.energy == two.energy and np.array_equal(one.forces, two.forces)
        assert np.array_equal(one.virial, two.virial) and one.outputs.keys() == two.outputs.keys()
        assert all(np.array_equal(one.outputs[name], two.outputs[name]) for name in one.outputs)


@pytest.mark.parametrize("preset, options", CASES)
def test_the_nearest_element_is_what_a_new_one_begins_as(preset, options):
    """Energies are those of the same atoms as the element that lends its weights, but for the E0s."""
    potential = make(preset, **options)
    more = add_elements(potential, {"N": -7.0, "P": -8.0})  # like C and O: N stands between, P nearest to S
    lent = {"N": "C", "P": "S"}
    positions, species, edge = structure(20, ["C", "O", "S", "N", "P"])
    got = compute(more, positions, species, edge)
    known = [lent.get(x, x) for x in species]
    expected = compute(potential, positions, known, edge)
    moved = sum(more.E0s[x] - potential.E0s[k] for x, k in zip(species, known, strict=True))
    assert got.energy == pytest.approx(expected.energy + moved, rel=1e-12)
    assert np.abs(got.forces - expected.forces).max() < 1e-11 * np.abs(expected.forces).max()


def test_the_mean_over_known_elements():
    """Of a network that is linear in the weights of its neighbours: the mean of the energies with each of them."""
    radial = {"basis": "bessel", "n": 4, "cutoff": 4.0}
    gates = [
        dict(gate="density", name="sum", l_max=0, radial=radial),
        dict(gate="mix", name="e", inputs=["sum"], channels=1),
    ]
    program = {"gates": gates, "readout": ["e"], "parity": "o3"}
    potential = nbcore.Potential({"species": ["C", "O", "S"], "program": program, "cutoff": 4.0}, seed=3)
    more = add_elements(potential, {"N": 0.0}, "mean")
    positions, species, edge = structure(8, "COS")

    def energy(p, element):
        return p.compute(positions, [element, *species[1:]], cell=edge * np.eye(3), pbc=True).energies[1:]

    mean = np.mean([energy(potential, x) for x in "COS"], axis=0)
    assert np.allclose(energy(more, "N"), mean, rtol=0, atol=1e-12 * np.abs(mean).max())


def test_elements_one_after_the_other_and_the_file(tmp_path):
    potential = make()
    potential.set_gain("A1", 1, 0.7)
    potential.annotate(about={"author": "me"}, training={"n_train": 3})
    both = add_elements(potential, {"N": -7.0, "H": -0.5})
    after = add_elements(add_elements(potential, {"N": -7.0}), {"H": -0.5})
    case = structure(12, "CNHOS")
    assert compute(both, *case).energy == compute(after, *case).energy
    after.save(tmp_path / "m.nbcore")
    again = nbcore.Potential.load(tmp_path / "m.nbcore")
    assert compute(again, *case).energy == compute(after, *case).energy
    assert nbcore.evaluator.Evaluator(str(tmp_path / "m.nbcore"))
    for name in ("about", "training", "seeds", "preset", "options"):
        assert again.description[name] == potential.description[name]


def test_what_is_refused():
    potential = make()
    with pytest.raises(InputError, match="S: known to the potential already"):
        add_elements(potential, {"N": 0.0, "S": 0.0})
    with pytest.raises(InputError, match="like must be one of nearest, mean, got 'random'"):
        add_elements(potential, {"N": 0.0}, "random")
    with pytest.raises(InputError, match="Xx"):
        add_elements(potential, {"Xx": 0.0})
    with pytest.raises(InputError, match="E0s.*N"):
        add_elements(potential, {"N": float("nan")})
    with pytest.raises(InputError, match="its gate product1 .tensor_product. reads channels of single elements"):
        add_elements(make("kondor", algebra="complex"), {"N": 0.0})
    with pytest.raises(InputError, match="its gate angular .triplet. counts pairs of them"):
        add_elements(PRESETS["ani"].make(species=["C", "O"], cutoff=4.0, layers=[3]), {"N": 0.0})


@pytest.mark.parametrize(
    "element, known, expected",
    [
        ("N", "CO", "C"), ("F", "CO", "O"), ("S", "HCO", "O"), ("Si", "HCO", "C"), ("Li", ["H", "O"], "H"),
        ("Cl", ["F", "S"], "F"), ("Ge", ["Ga", "Si"], "Si"), ("Cu", ["Ag", "Ga"], "Ag"), ("He", ["H", "Ne"], "Ne"),
        ("Ce", ["Y", "Hf"], "Y"), ("U", ["La", "W"], "La"), ("Og", ["Rn", "H"], "Rn"), ("D", ["H"], None),
    ],
)  # fmt: skip
def test_nearest_in_the_periodic_table(element, known, expected):
    if expected is None:
        with pytest.raises(InputError):
            nearest_element(element, known)
    else:
        assert nearest_element(element, list(known)) == expected


def test_places_in_the_periodic_table():
    """Against the columns of the elements as everybody knows them."""
    from nbcore.new_elements import _place

    columns = {1: "H Li Na K Rb Cs Fr", 2: "Be Mg Ca Sr Ba Ra", 4: "Ti Zr Hf Rf", 11: "Cu Ag Au", 12: "Zn Cd Hg",
               13: "B Al Ga In Tl", 17: "F Cl Br I At", 18: "He Ne Ar Kr Xe Rn", 3: "Sc Y La Ce Lu Ac U"}  # fmt: skip
    for column, elements in columns.items():
        for element in elements.split():
            assert _place(element)[1] == column, element
