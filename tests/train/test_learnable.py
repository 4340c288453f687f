"""What a training refuses before it begins: nothing to learn from, labels that are no numbers, a lost network."""

import dataclasses
import inspect
import itertools
import re

import numpy as np
import pytest
from pair_model import molecules

import nbcore
from nbcore import presets, train
from nbcore.data import Structure, Structures
from nbcore.errors import Error, InputError
from nbcore.train import Loss, Settings, StageTwo
from nbcore.train.learnable import check_loss, check_saves

DATA = molecules(8, seed=3)
SHORT = dict(max_epochs=2, threads=1, quiet=True)


def make(**options):
    options = dict(cutoff=4.0, channels=2, levels=1, l_harmonics=1, correlation=2) | options
    return nbcore.presets.nbody(species=["H", "C"], **options)


def without(*labels, of=DATA):
    return Structures([dataclasses.replace(s, **dict.fromkeys(labels)) for s in of])


@pytest.mark.parametrize(
    "loss, stage_two, data, message",
    [
        (Loss(energy_weight=0, forces_weight=0, stress_weight=0), StageTwo(start=1.0), DATA,
         r"training data have energy \(weight 0\), forces \(weight 0\).*energy_weight = 1.0  under \[loss\]"),
        (Loss(energy_weight=0, forces_weight=0), StageTwo(start=1.0), DATA, "asks for stress .weight 1., which no"),
        (Loss(energy_weight=0), StageTwo(start=1.0), without("forces"),
         "asks for forces .weight 100., stress .weight 1., which no"),
        (Loss(energy_weight=0, forces_weight=1), StageTwo(start=1.0), without("forces"), "the loss is zero"),
        (Loss(energy_weight=1, forces_weight=0), StageTwo(start=0.5, energy_weight=0), DATA,
         "in stage two is zero.*stage_two"),
        (Loss(), StageTwo(), without("forces", "energy"), "no structure of the training data has what this network"),
    ],
)  # fmt: skip
def test_a_loss_that_is_zero_is_refused(loss, stage_two, data, message):
    with pytest.raises(InputError, match=message):
        train.fit(make(), data, loss=loss, stage_two=stage_two, **SHORT)


def test_what_only_one_stage_or_one_label_uses_is_fine():
    for loss, stage_two in (
        (Loss(energy_weight=0), StageTwo(energy_weight=1000)),
        (Loss(forces_weight=0), StageTwo(start=1.0)),
        (Loss(energy_weight=0, forces_weight=0), StageTwo(start=0.0)),  # stage one has no epoch
    ):
        settings = Settings(max_epochs=5, loss=loss, stage_two=stage_two)
        check_loss(make(), DATA, DATA[:1], settings)


def test_validation_data_that_the_loss_cannot_tell_apart():
    with pytest.raises(InputError, match="the validation data have energy .weight 0."):
        loss = Loss(energy_weight=0.0)
        train.fit(make(), DATA[:6], valid=without("forces", of=DATA[6:]), loss=loss, stage_two=StageTwo(1.0), **SHORT)
    weightless = Structures([dataclasses.replace(s, weight=0.0) for s in DATA])
    for sets in ((weightless, DATA), (DATA, weightless)):
        with pytest.raises(InputError, match="every structure of the (training|validation) data has the weight 0"):
            train.fit(make(), sets[0], valid=sets[1], **SHORT)


def test_labels_of_outputs_with_weight_zero():
    data = Structures([Structure(s.positions, s.numbers, outputs={"dipole": np.ones(3)}) for s in DATA])
    potential = make(outputs=["dipole"], energy=False)
    with pytest.raises(InputError, match=r"dipole \(weight 0\).*weight = 1.0  under \[outputs.dipole\]"):
        train.fit(potential, data, loss=Loss(output_weights={"dipole": 0.0}), **SHORT)


def test_labels_that_are_no_numbers_name_the_structure():
    def with_label(**labels):
        return Structures([*DATA[:3], dataclasses.replace(DATA[3], **labels), *DATA[4:]])

    forces = DATA[3].forces.copy()
    forces[2, 1] = np.nan
    for labels, message in (
        (dict(forces=forces), "made.xyz, frame 3: forces of atom 2 is not a finite number"),
        (dict(energy=np.inf), "made.xyz, frame 3: energy is not a finite number"),
        (dict(forces=np.zeros((4, 3))), r"made.xyz, frame 3: forces must have the shape \(5, 3\), got \(4, 3\)"),
        (dict(stress=np.zeros(6)), r"made.xyz, frame 3: stress must have the shape \(3, 3\), got \(6,\)"),
        (dict(weight=-1.0), "made.xyz, frame 3: its weight must be a number of at least 0, got -1"),
    ):
        with pytest.raises(InputError, match=message):
            train.fit(make(), with_label(**labels), valid=0, **SHORT)
    dipoles = Structures([dataclasses.replace(s, outputs={"dipole": np.full(3, np.nan)}) for s in DATA])
    with pytest.raises(InputError, match="frame 0: dipole is not a finite number"):
        train.fit(make(outputs=["dipole"], energy=False), dipoles, valid=0, **SHORT)


def test_atoms_without_neighbours_are_remarked_on(capsys):
    apart = Structures([Structure(np.array([[0, 0, 0], [0, 0, d]]), np.array([1, 6]), energy=-1.0) for d in (8.0, 9.0)])
    train.fit(make(), apart, valid=0, max_epochs=1)
    said = " ".join(capsys.readouterr().err.split())
    assert "No atom of the training data has a neighbour within the cutoff of 4 Å" in said


# ---- trained and lost ----

SMALL = {
    "nbody": dict(channels=2, l_harmonics=1, correlation=2),
    "kondor": dict(channels=2, l_states=1),
    "allegro": dict(channels=2, scalars=3, products=1, l_harmonics=1, n_radial=3, hidden=2),
    "ace": dict(l_max=[0, 1], n_max=[2, 1]),
    "cormorant": dict(channels=2, levels=2, l_harmonics=1, l_states=1),
    "nequip": dict(channels=2, levels=2, l_harmonics=1, l_states=1, radial_layers=[3]),
    "mace": dict(channels=2, l_harmonics=1, l_states=1, correlation=2, radial_layers=[4, 3], hidden=2),
    "ani": dict(n_radial=2, n_shifts=1, n_angles=2, layers=[3]),
    "behler_parrinello": dict(n_radial=2, zetas=[1], etas=[0.01], layers=[3]),
    "schnet": dict(channels=2, levels=1, filters=3, n_radial=3, hidden=2),
    "hipnn": dict(channels=2, levels=2, atom_layers=1, n_radial=3),
    "hipnn_ts": dict(channels=2, levels=1, atom_layers=1, n_radial=3, l_tensors=1),
    "hiphop": dict(channels=2, levels=1, atom_layers=1, n_radial=3, l_tensors=2),
    "dtnn": dict(channels=2, levels=2, width=3, n_radial=3, hidden=2),
    "tfn": dict(channels=2, levels=2, l_harmonics=1, l_states=1, radial_layers=[3]),
    "tree": dict(channels=2, l_harmonics=1, correlation=2, tree_channels=2, tree_levels=2),
}
VALUES = dict(
    products=[1, 3], scalars=[1, 5], span=[0, 2], coupling=["channels", "paths"],
    l_max=[[0, 2], [1], [1, 1]], n_max=[[3, 1], [1], [2, 2]], decay=[0.0, 4.0],
    radial=["bessel", "windows", "chebyshev"],
    embedding=["linear", "finnis_sinclair", "shifted"], exponents=[[1.0], [1.0, 0.5]],
    channels=[1, 9], levels=[1, 3], l_harmonics=[0, 2, 4], l_states=[0, 3], correlation=[1, 3, 4], n_radial=[1, 4],
    radial_layers=[[], [4, 3]], parity=["o3", "so3"], algebra=["real", "complex"], labels=[None, "mol"],
    part_size=[0.1, 50.0], tree_levels=[1, 3], tree_channels=[1, 5], l_parts=[0, 3, 5],
    outputs=[None, ["dipole"], {"dipole": {"charges": True}}, {"q": {"rank": 2, "per": "atom"}}, {"o": {"rank": 6}}],
    energy=[True, False], smoothness=[0, 4], power=[2, 9], neighbours=[0.5, 40.0], parities=["natural", "all"],
    self_connection=["species", "all", "none"], readout_layers=[[], [3, 2]],
    first=["residual", "species"], hidden=[1, 7], angular_cutoff=[0.5, 3.0], n_shifts=[1, 3], n_angles=[1, 5],
    eta_radial=[0.1, 20.0], eta_angular=[0.1, 20.0], zeta=[1.0, 14.1], start=[0.0, 2.0], layers=[[], [4, 2]],
    filters=[1, 9], form=["narrow", "wide"], etas=[[0.0], [0.01, 0.1]], zetas=[[1], [2, 16]],
    envelope=["smooth", "cosine"], atom_layers=[0, 3], nearest=[0.1, 2.0], farthest=[0.0, 3.0], residual=[True, False],
    standardise=[True, False],
    l_tensors=[1, 3], epsilon=[1e-3, 5.0], factors=[1, 4], invariants=[[], ["", "i,i"], ["i"]],
    group_norm=[True, False], width=[1, 9], shared=[True, False],
    nonlinearity=["times", "unit"], interaction=["plain", "density", "nonlinear"],
)  # fmt: skip


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_every_option_of_every_preset_is_saved_or_refused(preset, tmp_path):
    """All options one by one, and all pairs of their ends: refused when made, in the words of the user, or kept."""
    make = getattr(presets, preset)
    keys = [key for key in inspect.signature(make).parameters if key not in ("species", "cutoff", "E0s", "seed")]
    assert set(keys) <= set(VALUES), "a new option of a preset wants values here"
    changes = [{key: value} for key in keys for value in VALUES[key]]
    for a, b in itertools.combinations(keys, 2):
        changes += [{a: x, b: y} for x, y in itertools.product(VALUES[a][::2], VALUES[b][::2])]
    x, labels = np.array([[0, 0, 0], [0, 0, 1.0], [1.0, 0, -0.3], [2.5, 0.2, 0.1]]), {"mol": np.array([0, 0, 0, 1])}
    kept = 0
    for change in changes:
        try:
            potential = make(species=["H", "O"], cutoff=3.0, seed=1, **{**SMALL[preset], **change})
        except Error as e:
            assert any(re.search(rf"\b{key}\b", str(e)) for key in change), (change, str(e))
            continue
        kept += 1
        check_saves(potential)
        potential.save(tmp_path / "p.nbcore")
        again = nbcore.Potential.load(tmp_path / "p.nbcore")
        one, two = (p.compute(x, [8, 1, 1, 8], scheme=p.scheme(x, labels=labels)) for p in (potential, again))
        assert one.energy == two.energy and (one.forces is None or np.array_equal(one.forces, two.forces)), change
    assert kept > 0.6 * len(changes)


def test_outputs_that_the_harmonics_do_not_reach():
    with pytest.raises(InputError, match="outputs: a tensor with l = 6 is no product of 2 harmonics up to l = 1"):
        make(outputs={"o": {"rank": 6}})


def test_a_network_that_cannot_be_saved_is_not_trained(monkeypatch):
    def fails(self, path):
        raise InputError("set part1 has no root")

    monkeypatch.setattr(nbcore.Potential, "save", fails)
    with pytest.raises(InputError, match=r"cannot be saved, so it is not trained: set part1.*\n.*nbody: .*cutoff = 4"):
        train.fit(make(), DATA, **SHORT)
