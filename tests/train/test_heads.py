"""Heads: one body, readouts of their own; the bits of one head, gradients, resuming, refusals, and the benefit."""

import copy
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from interruption import interrupt_training
from pair_model import PairModel, molecules

import nbcore
from nbcore import train
from nbcore.data import Structure, Structures
from nbcore.data.head_sets import with_head
from nbcore.errors import CheckpointError, InputError
from nbcore.results import plots
from nbcore.train.fit import fingerprint

MANY, FEW = molecules(20, seed=3), molecules(10, seed=4, hidden=PairModel(seed=98))
SHORT = dict(max_epochs=4, batch_size=3, threads=1, quiet=True)
EXAMPLE = Path(__file__).parents[2] / "examples" / "molecule"


@pytest.fixture
def no_plots(monkeypatch):
    monkeypatch.setattr(plots, "_save", lambda figure, path: None)


def network(species=("H", "C"), seed=7, **options):
    options = dict(cutoff=4.0, channels=9, l_harmonics=1, l_states=1, correlation=2, seed=seed) | options
    return nbcore.presets.nbody(species=list(species), **options)


def two(weights=("pbe", "ccsd"), **options):
    return train.Heads(network(E0s={"H": -1.0, "C": -2.0}, **options), weights)


def both():
    return with_head(MANY[:4], "pbe") + with_head(FEW[:3], "ccsd")


def force_rmse(potential, structures):
    found = potential.compute_many(structures)
    return np.sqrt(np.mean(np.concatenate([r.forces - s.forces for r, s in zip(found, structures, strict=True)]) ** 2))


def test_one_head_has_the_bits_of_a_potential(tmp_path, no_plots):
    """E0s, scales, every epoch and the file: what is added to a training costs it no bit."""
    potential, heads = network(), train.Heads(network(), ["pbe"])
    one = train.fit(potential, MANY, folder=tmp_path / "one", **SHORT)
    many = train.fit(heads, {"pbe": MANY}, folder=tmp_path / "many", **SHORT)
    assert np.array_equal(potential.parameters, heads.parameters)
    for row, other in zip(one.history, many.history, strict=True):
        assert row.items() <= other.items()
    loaded = nbcore.Potential.load(tmp_path / "many" / "many_pbe.nbcore")
    assert np.array_equal(loaded.parameters, potential.parameters)
    assert (loaded.scale, loaded.E0s) == (potential.scale, potential.E0s)
    assert loaded.description["program"] == potential.description["program"]
    assert loaded.uncertainty == potential.uncertainty


def test_all_but_the_readouts_is_shared():
    heads = two()
    heads.parameters += 0.01 * np.random.default_rng(1).normal(size=len(heads.parameters))
    one, other = (copy.deepcopy(heads[name]) for name in heads)
    differ = {
        name
        for name, (where, _) in one.parameter_slices.items()
        if not np.array_equal(one.parameters[where], other.parameters[where])
    }
    assert differ == {"energy1.W0e", "hidden.W0e", "energy2.W0e"}
    groups = nbcore.parameter_groups.kinds(heads)
    assert {name for name, kind in groups.items() if kind == "readout"} == {
        f"{head}:{group}" for head in heads for group in ("energy1.W0e", "energy2.W0e")
    }
    assert groups["ccsd:hidden.W0e"] == groups["A1.W0e"] == "mix"
    covered = np.concatenate([np.arange(where.start, where.stop) for where, _ in heads.parameter_slices.values()])
    assert sorted(covered) == list(range(len(heads.parameters)))


def test_loss_and_gradient_are_those_of_the_heads_alone():
    """The loss by the formula, from ordinary potentials; the gradient by differences, along every kind of parameter."""
    heads, structures = two({"pbe": 1.0, "ccsd": 3.0}), both()
    heads["ccsd"].E0s = {"H": -1.5, "C": 2.0}
    heads.parameters += 0.01 * np.random.default_rng(1).normal(size=len(heads.parameters))
    data, loss = train.HeadsTrainingSet(heads, structures), train.Loss(energy_weight=20.0)
    batch = [5, 0, 2, 6]
    result = data.loss_and_gradient(batch, loss, 1)
    alone = {name: copy.deepcopy(heads[name]) for name in heads}
    expected = []
    for k, i in enumerate(batch):
        s, weight = structures[i], {"pbe": 1.0, "ccsd": 3.0}[structures[i].head]
        expected.append(weight * train.loss_and_gradient(alone[s.head], [s], loss, 1)[0])
        computed = alone[s.head].compute_many([s])[0]
        assert result.energies[k] == pytest.approx(computed.energy, rel=1e-12)
        assert np.allclose(result.forces[k], computed.forces, rtol=0, atol=1e-12)
    assert result.loss == pytest.approx(np.mean(expected), rel=1e-12)
    assert data.predict(batch, 1, loss).loss == result.loss
    single = data.loss_and_gradient(batch, loss, 1, "float32")
    assert 0 < np.abs(single.gradient - result.gradient).max() < 1e-4 * np.abs(result.gradient).max()
    rng, theta = np.random.default_rng(2), heads.parameters.copy()
    for name, (where, _) in heads.parameter_slices.items():
        way = np.zeros(len(theta))
        way[where] = rng.normal(size=where.stop - where.start)
        values = []
        for step in (-1e-4, 1e-4):
            heads.parameters[:] = theta + step * way
            values.append(data.predict(batch, 1, loss).loss)
        heads.parameters[:] = theta
        assert result.gradient @ way == pytest.approx((values[1] - values[0]) / 2e-4, rel=2e-5, abs=1e-8), name
    value, gradient = train.loss_and_gradient(heads, structures, loss, 1)
    again = train.objective(heads, structures, loss, 1)(heads.parameters.copy())
    assert (value, gradient.tobytes()) == (again[0], again[1].tobytes()) and value == data.predict(loss=loss).loss
    only = data.loss_and_gradient([4, 6], loss, 1).gradient  # readouts of a head that a batch lacks feel nothing
    assert not only[heads.parameter_slices["pbe:energy2.W0e"][0]].any()
    assert only[heads.parameter_slices["ccsd:energy2.W0e"][0]].any()


def test_scales_of_a_new_network():
    """Gains are those of one network; units and first readouts belong to the data of each head."""
    heads, strong = two(), Structures([replace(s, forces=5 * s.forces, energy=5 * s.energy) for s in MANY])
    train.calibrate(heads, with_head(MANY, "pbe") + with_head(strong, "ccsd"))
    pbe, ccsd = heads["pbe"], heads["ccsd"]
    assert pbe.description["program"] == ccsd.description["program"] != network().description["program"]
    assert ccsd.scale == pytest.approx(5 * pbe.scale, rel=1e-12)
    errors = [r.energy - s.energy for r, s in zip(ccsd.compute_many(strong), strong, strict=True)]
    unbound = sum(ccsd.E0s[x] for x in strong[0].symbols)
    assert abs(np.mean(errors)) < 0.1 * abs(np.mean([s.energy - unbound for s in strong]))
    assert fingerprint(with_head(MANY, "pbe"), {}) != fingerprint(with_head(MANY, "ccsd"), {})


def test_errors_are_said_per_head_and_the_files_are_ordinary_models(tmp_path):
    heads, far = two(), molecules(3, seed=9)
    data = {"pbe": MANY, "ccsd": FEW}
    fit = train.fit(heads, data, {"pbe": 0.2, "ccsd": 0.3}, test={"pbe": {"far": far}}, folder=tmp_path / "m", **SHORT)
    assert list(fit.errors) == ["pbe train", "pbe valid", "pbe far", "ccsd train", "ccsd valid"]
    best, split = fit.history[fit.best_epoch - 1], nbcore.data.split
    for name, structures, part in (("pbe", MANY, 0.2), ("ccsd", FEW, 0.3)):
        model = nbcore.Potential.load(tmp_path / "m" / f"m_{name}.nbcore")
        valid = split(structures, [1 - part, part], 1)[1]
        error = force_rmse(model, valid)
        assert fit.errors[f"{name} valid"].forces_rmse == pytest.approx(error, rel=1e-9)
        assert best[f"forces_{name}_valid"] == pytest.approx(error, rel=1e-6)
        training, errors = model.description["training"], model.description["errors"]
        assert (training["head"], training["n_valid"]) == (name, len(valid))
        assert training["heads"]["ccsd"] == {"n_train": 7, "n_valid": 3, "weight": 1.0}
        assert list(errors) == ["far", "train", "valid"][name == "ccsd" :]
        assert model.scale == heads[name].scale and np.array_equal(model.parameters, heads[name].parameters)
    both = np.hypot(best["forces_pbe_valid"] * 4**0.5, best["forces_ccsd_valid"] * 3**0.5) / 7**0.5
    assert best["forces_valid"] == pytest.approx(both, rel=1e-9)
    head = (tmp_path / "m" / "history.csv").read_text().splitlines()[0].split(",")
    assert {"forces_pbe_train", "forces_ccsd_train", "energy_ccsd_valid"} <= set(head)
    assert not (tmp_path / "m" / "m.nbcore").exists()
    report = (tmp_path / "m" / "report.html").read_text()
    assert "ccsd valid" in report and "E0 ccsd" in report


def test_what_was_interrupted_goes_on_with_the_same_bits(tmp_path, monkeypatch, no_plots):
    options = dict(valid=0.2, **SHORT)
    data = {"pbe": MANY, "ccsd": FEW}
    whole = two()
    train.fit(whole, data, folder=tmp_path / "a" / "m", **options)
    interrupt_training(monkeypatch, at=12)
    broken = two()
    with pytest.raises(KeyboardInterrupt):
        train.fit(broken, data, folder=tmp_path / "b" / "m", **options)
    with pytest.raises(CheckpointError, match=r"heads.ccsd.weight = 1; this call says 2"):
        train.fit(two({"pbe": 1, "ccsd": 2}), data, folder=tmp_path / "b" / "m", **options)
    with pytest.raises(CheckpointError, match=r"made with other data, E0s or another release: train has changed"):
        train.fit(two(), {"pbe": MANY, "ccsd": MANY[:10]}, folder=tmp_path / "b" / "m", **options)
    again = two()
    train.fit(again, data, folder=tmp_path / "b" / "m", **options)
    assert np.array_equal(again.parameters, whole.parameters)
    for name in ("m_pbe.nbcore", "m_ccsd.nbcore", "history.csv"):
        assert (tmp_path / "a" / "m" / name).read_bytes() == (tmp_path / "b" / "m" / name).read_bytes()


def test_the_same_structure_is_not_learned_by_one_head_and_judged_by_another(capsys):
    """Validation data of one method are validation data of all; what was given as files is said."""
    turned = [replace(s, positions=s.positions[:, [1, 2, 0]], forces=s.forces[:, [1, 2, 0]] + 1.0) for s in MANY[8:]]
    heads, seen = two(), []
    report = lambda self, text: seen.append(text)  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nbcore.train.display.Display.remark", report)
        fit = train.fit(heads, {"pbe": MANY, "ccsd": turned}, {"pbe": 0.3, "ccsd": 0.2}, **SHORT)
        counts = [fit.errors[f"{h} {s}"].n_structures for h in heads for s in ("train", "valid")]
        moved = {
            m[2]: int(m[1])
            for text in seen
            if (m := re.match(r"(\d+) structures? (?:is|are) moved from train of (\w+)", text))
        }
        assert counts[0] == 14 - moved.get("pbe", 0) and counts[2] == 10 - moved.get("ccsd", 0) and moved
        places = [{tuple(np.sort(np.abs(c.structure.positions).sum(axis=1)).round(9)) for c in fit.errors[n].cases}
                  for n in ("pbe train", "ccsd valid", "ccsd train", "pbe valid")]  # fmt: skip
        assert not places[0] & places[1] and not places[2] & places[3]
        train.fit(two(), {"pbe": MANY, "ccsd": FEW}, {"pbe": 0, "ccsd": Structures(turned[:2])}, **SHORT)
    assert "pbe: no validation data, so the best epoch is chosen by those of the other heads." in seen
    assert any("2 structures are in train of pbe and in valid of ccsd, up to symmetry" in text for text in seen)


def with_oxygen(structures):
    return Structures([replace(s, numbers=np.array([6, 8, 1, 1, 1])) for s in structures])


def test_an_element_that_one_head_lacks(capsys):
    """Its E0 is that of the isolated atom of the head, or else is borrowed, and that is said."""
    data = {"pbe": with_oxygen(MANY) + MANY[:5], "ccsd": FEW}
    heads = train.Heads(network("HCO"), list(data))
    train.fit(heads, data, 0, **SHORT | {"max_epochs": 1, "quiet": False})
    assert heads["ccsd"].E0s["O"] == heads["pbe"].E0s["O"] != 0
    assert heads["ccsd"].E0s["C"] != heads["pbe"].E0s["C"]
    said = " ".join(capsys.readouterr().err.split())
    assert f"ccsd has no structure with O: the E0 is borrowed, {heads['pbe'].E0s['O']:.4f} eV for O, from pbe" in said
    atom = Structure(np.zeros((1, 3)), np.array([8]), energy=-7.5, file="atoms.xyz")
    data["ccsd"] = Structures(FEW, isolated=[atom])
    heads = train.Heads(network("HCO"), list(data))
    train.fit(heads, data, 0, **SHORT | {"max_epochs": 1})
    assert heads["ccsd"].E0s["O"] == -7.5


def test_what_is_refused():
    data = {"pbe": MANY, "ccsd": FEW}
    silent = Structures([replace(s, energy=None, forces=None) for s in FEW])
    weightless = Structures([replace(s, weight=0.0) for s in FEW])
    refused = [
        (lambda: two([]), "expected at least one name"),
        (lambda: two(["a/b"]), r"'a/b' is no name of a head: letters, digits and \. _ \+ - \( \)"),
        (lambda: two(["pbe", "a b"]), "'a b' is no name of a head"),
        (lambda: two(["pbe", "pbe"]), "pbe and pbe would be the same file"),
        (lambda: two(["pbe", "PBE"]), "pbe and PBE would be the same file"),
        (lambda: two({"pbe": 0.0}), "the weight of pbe must be a number above 0, got 0.0"),
        (lambda: two({"pbe": float("nan")}), "the weight of pbe must be"),
        (lambda: two()["scan"], "no head is called 'scan'; the heads are pbe, ccsd"),
        (lambda: train.fit(two(), MANY, **SHORT), r"structures: of heads a table is expected, {'pbe': "),
        (lambda: train.fit(two(), {"pbe": MANY}, **SHORT), "the head ccsd has no structure to train on"),
        (lambda: train.fit(two(), {"pbe": MANY, "ccsd": []}, 0, **SHORT), "the head ccsd has no structure to train"),
        (lambda: train.fit(two(), data | {"scan": FEW}, **SHORT), "structures: no head is called 'scan'"),
        (lambda: train.fit(two(), data, {"scan": 0.1}, **SHORT), "valid: no head is called 'scan'"),
        (lambda: train.fit(two(), data, test={"far": FEW}, **SHORT), "test: no head is called 'far'"),
        (lambda: train.fit(two(), data | {"ccsd": with_head(FEW, "pbe")}, **SHORT),
         "made.xyz, frame 0: given for the head ccsd, it belongs to the head pbe"),
        (lambda: train.HeadsTrainingSet(two(), MANY), "made.xyz, frame 0: it belongs to no head; the heads are"),
        (lambda: train.HeadsTrainingSet(two(), with_head(MANY, "scan")), "frame 0: its head is 'scan'; the heads are"),
        (lambda: train.TrainingSet(two(), MANY), "expected a potential, got Heads; of Heads, nbcore.train"),
        (lambda: train.fine_tune(two(), MANY), 'goes on from one potential: start."pbe". is that of a head'),
        (lambda: train.fit(two(), data | {"ccsd": silent}, 0, **SHORT), "ccsd: no structure of the training data has"),
        (lambda: train.fit(two(), data | {"ccsd": weightless}, 0, **SHORT), "ccsd: every structure of the training"),
    ]  # fmt: skip
    for call, words in refused:
        with pytest.raises(InputError, match=words):
            call()


def test_a_head_without_labels_of_an_output_is_refused():
    """Its readout would stay as it was drawn, and nobody would know."""
    rng = np.random.default_rng(1)
    with_dipole = Structures([replace(s, outputs={"dipole": rng.normal(size=3)}) for s in MANY])
    heads = two(outputs={"dipole": {"rank": 1}})
    with pytest.raises(InputError, match="ccsd: no structure has dipole with a weight above 0"):
        train.fit(heads, {"pbe": with_dipole, "ccsd": FEW}, 0, **SHORT)
    train.fit(heads, {"pbe": with_dipole, "ccsd": with_dipole[:5]}, 0, **SHORT | {"max_epochs": 1})
    assert heads["pbe"].spreads != heads["ccsd"].spreads


def of_another_method(s):
    """Softer and longer bonds, and another zero of energy: forces differ by 0.33 eV/Å."""
    r = s.positions[None] - s.positions[:, None]
    d = np.linalg.norm(r, axis=2) + 9 * np.eye(len(s))
    w = 0.3 * np.exp(-(((d - 1.2) / 0.6) ** 2))
    pull = w * 2 * (d - 1.2) / 0.36 / d
    return replace(
        s, energy=s.energy + 0.5 * w.sum() + 3.0 * len(s), forces=s.forces - (pull[:, :, None] * r).sum(axis=1)
    )


def test_few_structures_of_one_method_learn_from_many_of_another():
    """Twenty structures beside a hundred of another method, against as many steps with the twenty alone.

    Errors on test data are 0.18 and 0.31 eV/Å, with another seed 0.17 and 0.28.
    """
    data, test = (nbcore.data.read(EXAMPLE / name) for name in ("train.xyz", "test_300K.xyz"))
    few, test = (Structures(map(of_another_method, part)) for part in (data[:20], test[::5]))
    step = 1e-5
    moved = [replace(data[0], positions=data[0].positions + step * k * np.eye(8, 3)) for k in (-1, 1)]
    moved = [of_another_method(s).energy - s.energy for s in moved]  # what is added has forces that belong to it
    assert -(moved[1] - moved[0]) / (2 * step) == pytest.approx(
        np.trace(few[0].forces[:3] - data[0].forces[:3]), rel=1e-6
    )
    make = lambda: network(data.species, channels=12, l_harmonics=2)  # noqa: E731
    alone, heads = make(), train.Heads(make(), {"pbe": 1.0, "other": 2.0})
    options = dict(batch_size=5, threads=1, quiet=True)
    train.fit(alone, few, 0.2, max_epochs=132, **options)
    train.fit(heads, {"pbe": data[20:120], "other": few}, {"pbe": 0.1, "other": 0.2}, max_epochs=20, **options)
    assert force_rmse(heads["other"], test) < 0.75 * force_rmse(alone, test)
