"""E0s of a fine-tuning: kept where data are of the model's method, shifted where of another, found for new elements.

The labels are made by the model itself, so that every constant is known.
"""

import numpy as np
import pytest

import nbcore
from nbcore.data import Structure, Structures
from nbcore.errors import InputError
from nbcore.train import start_from

E0S = {"H": -13.6, "C": -1028.0, "O": -2040.0}


@pytest.fixture(scope="module")
def potential():
    options = dict(cutoff=3.5, channels=4, levels=1, l_harmonics=1, correlation=2)
    return nbcore.presets.nbody(species=list(E0S), E0s=E0S, seed=3, **options)


def structures(potential, n=12, elements="HCO", seed=0, shift=None, noise=0.0, isolated=()):
    """Clusters labelled by the model, elements that it lacks as if they were carbon; shift: {element: eV} on top."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        symbols = rng.choice(list(elements), 6)
        positions = 1.3 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1.0]])
        positions += rng.normal(0, 0.1, (6, 3))
        known = [x if x in E0S else "C" for x in symbols]
        result = potential.compute(positions, known)
        energy = result.energy + sum((shift or {}).get(x, 0.0) for x in symbols) + noise * rng.normal()
        found.append(Structure(positions, nbcore.species.atomic_numbers(symbols), energy=energy, forces=result.forces))
    atoms = [
        Structure(np.zeros((1, 3)), np.array(nbcore.species.atomic_numbers([x])), energy=e)
        for x, e in dict(isolated).items()
    ]
    return Structures(found, atoms)


def test_the_same_method_keeps_every_bit(potential):
    data = structures(potential, noise=0.1)
    start = start_from(potential, data)
    assert start.potential is not potential and start.potential.E0s == E0S and not start.shift(potential)
    assert start.E0.source == "model" and not start.E0.remarks
    one, two = (p.compute(data[0].positions, data[0].symbols) for p in (potential, start.potential))
    assert one.energy == two.energy and np.array_equal(one.forces, two.forces)


def test_another_method_shifts_the_E0s_and_says_so(potential):
    shift = {"H": 0.4, "C": -1.5, "O": 2.5}
    start = start_from(potential, structures(potential, shift=shift, noise=1e-5))
    for x, e in shift.items():
        assert start.potential.E0s[x] == pytest.approx(E0S[x] + e, abs=5e-3)
        assert start.shift(potential)[x] == pytest.approx(e, abs=5e-3)
    (remark,) = start.E0.remarks
    assert start.E0.source == "shifted" and "energies are of another method than the model's" in remark
    assert "H +0.400" in remark and "C -1.500" in remark and "O +2.500" in remark


def test_small_constants_shift_nothing(potential):
    """A model that is not at home in the data errs in one direction, too."""
    small = structures(potential, shift=dict.fromkeys(E0S, 0.03))
    assert start_from(potential, small).potential.E0s == E0S
    assert start_from(potential, small, "fit").potential.E0s["H"] == pytest.approx(E0S["H"] + 0.03, abs=1e-9)


def test_errors_that_no_constant_explains_shift_nothing(potential):
    data = structures(potential, noise=1.0)
    assert start_from(potential, data).potential.E0s == E0S
    assert start_from(potential, data, "fit").potential.E0s != E0S  # because it was asked for


def test_what_the_data_cannot_tell_is_said(potential):
    one = structures(potential, n=6, elements="H", shift={"H": 1.0})
    start = start_from(potential, one)
    assert start.potential.E0s == {**E0S, "H": pytest.approx(-12.6, abs=1e-9)}
    assert "C O: not in the data, the E0 stays that of the model" in start.E0.remarks[-1]
    water = Structures([s for s in structures(potential, 40, "HO", shift={"H": 1.0}) if s.symbols.count("H") == 3])
    start = start_from(potential, water)
    assert any("Only 1 of these 2 numbers is determined (rank 1)" in text for text in start.E0.remarks)
    assert sum(start.shift(potential).values()) == pytest.approx(1.0, abs=1e-9)  # 3 H and 3 O: half each


def test_given_and_isolated(potential):
    data = structures(potential, shift={"H": 1.0}, isolated={"H": -12.6, "C": -1028.1, "O": -2040.2})
    start = start_from(potential, data, {"H": -12.0})
    assert start.potential.E0s == {**E0S, "H": -12.0} and start.E0.source == "given"
    assert start_from(potential, data, {}).potential.E0s == E0S
    assert start_from(potential, data, "isolated").potential.E0s == {"H": -12.6, "C": -1028.1, "O": -2040.2}
    with pytest.raises(InputError, match="no isolated atom of H C O in the data"):
        start_from(potential, structures(potential), "isolated")
    with pytest.raises(InputError, match='E0s: expected "auto"'):
        start_from(potential, data, "guess")


def test_a_new_element_by_its_isolated_atom_or_by_a_fit(potential):
    """N begins as C, and the labels are those of C: a fit must find exactly what its E0 differs by."""
    shift = {"N": -456.0}
    data = structures(potential, 20, "HCON", shift=shift)
    fitted = start_from(potential, data)
    assert fitted.potential.species == ["H", "C", "N", "O"] and not fitted.shift(potential)
    assert fitted.potential.E0s["N"] == pytest.approx(E0S["C"] - 456.0, abs=1e-8)
    assert {x: fitted.potential.E0s[x] for x in E0S} == E0S
    (remark,) = fitted.E0.remarks
    assert "N is new to the model: its weights begin as those of C; its E0 is -1484.0000 eV (fitted)" in remark
    atom = start_from(potential, structures(potential, 20, "HCON", shift=shift, isolated={"N": -1480.0}))
    assert atom.potential.E0s["N"] == -1480.0 and "(isolated atom)" in atom.E0.remarks[0]
    given = start_from(potential, data, {"N": -1.0})
    assert given.potential.E0s == {**E0S, "N": -1.0} and "(given)" in given.E0.remarks[0]
    no_energy = structures(potential, 20, "HCON")
    for s in no_energy:
        s.energy = None
    assert "new to the model" in start_from(potential, no_energy).E0.remarks[0]


def test_a_new_element_and_another_method(potential):
    """The shift of known elements is found where the new one is not."""
    shift = {"H": 0.4, "C": -1.5, "O": 2.5, "N": -456.0}
    both = structures(potential, 20, "HCO", shift=shift) + structures(potential, 10, "HCN", seed=1, shift=shift)
    start = start_from(potential, both)
    for x, e in shift.items():
        assert start.potential.E0s[x] == pytest.approx(E0S.get(x, E0S["C"]) + e, abs=1e-6)
