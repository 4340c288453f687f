"""Words for parameters: kinds, gates, names, patterns; tables of numbers by them."""

import numpy as np
import pytest

import nbcore
from nbcore import presets
from nbcore.errors import InputError
from nbcore.parameter_groups import kinds, select, spread

SMALL = dict(species=["H", "O"], cutoff=4.0, channels=4)


@pytest.fixture(scope="module")
def potential():
    return presets.nbody(**SMALL, radial_layers=[4], outputs=["dipole"])


def test_kinds_say_what_parameters_do(potential):
    found = kinds(potential)
    assert list(found) == list(potential.parameter_slices)
    expected = {"A1.W0e": "mix", "B1.w": "product", "psi2.W0e": "mix", "hidden.W0e": "mix", "sum2.R": "radial",
                "sum2.radial1": "radial", "energy1.W0e": "readout", "energy2.W0e": "readout",
                "dipole.W1o": "readout"}  # fmt: skip
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("make", [presets.nbody, presets.cormorant, presets.kondor, presets.tree])
def test_every_group_of_every_preset_has_a_kind_that_is_a_word(make):
    small = {} if make is presets.kondor else {"channels": 4}
    made = make(species=["H", "O"], cutoff=4.0, **small)
    assert set(kinds(made).values()) <= {"mix", "product", "radial", "readout"}
    selected = [name for kind in set(kinds(made).values()) for name in select(made, kind)]
    assert sorted(selected) == sorted(made.parameter_slices)  # each once


def test_words_select(potential):
    names = list(potential.parameter_slices)
    assert select(potential, "sum2") == [n for n in names if n.startswith("sum2.")]
    assert select(potential, "B2.w") == ["B2.w"]
    assert select(potential, "*") == names
    assert select(potential, "energy?.*") == ["energy1.W0e", "energy2.W0e"]


def test_a_word_that_selects_nothing_is_refused_with_what_was_meant(potential):
    with pytest.raises(InputError, match=r"^freeze: no parameters are called radials. Did you mean radial\? Kinds: "):
        select(potential, "radials", "freeze: ")
    with pytest.raises(InputError, match="called w.*gates: .*B1, psi1"):
        select(potential, "w")


def test_one_number_or_a_table(potential):
    n, slices = len(potential.parameters), potential.parameter_slices
    assert np.array_equal(spread(potential, 0.5, rest=7), np.full(n, 0.5))
    assert np.array_equal(spread(potential, {}, rest=7), np.full(n, 7.0))
    table = {"psi1": 0.3, "psi1.W0e": 0.4, "mix": 0.2}
    for words in (table, dict(reversed(table.items()))):  # the narrower word counts, whatever the order
        numbers = spread(potential, words, rest=1)
        for name, value in {"psi1.W0e": 0.4, "psi1.W1o": 0.3, "A1.W0e": 0.2, "sum2.R": 1, "energy1.W0e": 1}.items():
            assert set(numbers[slices[name][0]]) == {value}


def test_words_that_contradict_each_other_are_refused(potential):
    with pytest.raises(InputError, match=r"weight_decay: psi1 and psi1.\* select the same parameters"):
        spread(potential, {"psi1": 0.1, "psi1.*": 0.2}, 0, "weight_decay: ")
    spread(potential, {"psi1": 0.1, "psi1.*": 0.1}, 0)  # no contradiction
    spread(potential, {"energy1": 0.1, "energy2": 0.2}, 0)  # equally many, but others


def test_inspect_names_the_kinds(potential, tmp_path, capsys):
    from nbcore.cli import main

    potential.save(tmp_path / "a.nbcore")
    assert main(["inspect", str(tmp_path / "a.nbcore"), "--parameters"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for name, kind in kinds(nbcore.Potential.load(tmp_path / "a.nbcore")).items():
        assert [line[1] for line in lines if line and line[0] == name] == [kind]
