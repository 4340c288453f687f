"""Lengths of gradients and steps in the history, and the history as an event file, read by a parser of its own."""

import csv
import dataclasses
import re
import struct

import numpy as np
import pytest
from test_run_identity import fit
from test_trainer import FAST, finish, trainer

from nbcore import _core
from nbcore.errors import InputError
from nbcore.train import StageTwo, tensorboard
from nbcore.train.norms import SAMPLES, Norms

# ---- lengths ----


def test_lengths_are_those_of_gradients_and_steps_by_kind():
    """Of the second epoch, all of whose steps are measured, from what the optimizer was given and did."""
    t = trainer(dataclasses.replace(FAST, clip_grad=1e-3, max_epochs=2, stage_two=StageTwo(1.0)))
    assert t.norms.every == 1
    seen, real = [], t.train_set.gradient

    def watched(*args):
        gradient = real(*args)
        seen.append((gradient.copy(), t.parameters.copy()))
        return gradient

    t.train_set.gradient = watched
    row = [t.step() for _ in range(2 * t.steps_per_epoch)][-1]
    seen = seen[t.steps_per_epoch :]
    path = np.array([p for _, p in seen] + [t.parameters])
    gradients, steps = np.array([g for g, _ in seen]), np.diff(path, axis=0)
    assert np.linalg.norm(gradients, axis=1).min() > 1e-3  # clipped, and what is shown is not
    for kind, group in (("mix", "near.W"), ("radial", "far.R")):
        s = t.potential.parameter_slices[group][0]
        expected = np.mean(np.linalg.norm(gradients[:, s], axis=1)), np.mean(np.linalg.norm(steps[:, s], axis=1))
        np.testing.assert_allclose((row[f"gradient_{kind}"], row[f"update_{kind}"]), expected, rtol=1e-12)


def test_clipping_is_as_without_them():
    t = trainer(dataclasses.replace(FAST, optimizer="sgd", clip_grad=0.01, weight_decay=0.0, warmup_epochs=0))
    before = t.parameters.copy()
    t.step()
    assert np.linalg.norm(t.parameters - before) == pytest.approx(0.01 * FAST.lr, rel=1e-12)


@pytest.mark.parametrize("steps, measured", [(1, 1), (8, 8), (9, 5), (90, 8), (1000, 8)])
def test_few_steps_of_an_epoch_are_measured(steps, measured):
    norms = Norms(trainer().potential, steps)
    assert sum(map(norms.due, range(steps))) == measured <= SAMPLES and norms.due(0)


def test_sums_of_squares():
    """Of slices of any length, at any place, against NumPy; the last goes to the end."""
    x = np.random.default_rng(3).normal(size=1000)
    for first in ([0], [0, 1, 1, 33, 64, 65, 500], [7, 1000], []):
        ends = [*first[1:], 1000]
        expected = [np.sum(x[a:b] ** 2) for a, b in zip(first, ends, strict=False)]
        np.testing.assert_allclose(_core.square_sums(x, first), expected, rtol=1e-14)
    for first in ([2, 1], [-1], [1001]):
        with pytest.raises(InputError):
            _core.square_sums(x, first)
    average, target = np.zeros(1000), x.copy()
    _core.move_average(average, target, 0.25)
    np.testing.assert_allclose(average, 0.25 * x, rtol=1e-15)
    with pytest.raises(ValueError):
        _core.move_average(average, target[:-1], 0.25)


def test_lengths_that_overflow_are_infinite():
    norms = Norms(trainer().potential, 1)
    norms.add("gradient", norms.squares(np.full(6, 1e200)))
    assert norms.means()["gradient_mix"] == np.inf


# ---- event files ----


def bitwise(content):
    """CRC-32C bit by bit, from its polynomial; turned by 15 bits and shifted."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 & -(crc & 1))
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32


def fields(message):
    """(number, type, value) of the fields of a message of protocol buffers."""

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                return value

    at, found = 0, []
    while at < len(message):
        key = varint()
        if key & 7 == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or varint()
            value, at = message[at : at + size], at + size
        found.append((key >> 3, key & 7, value))
    assert at == len(message)
    return found


def events(content):
    """[(step, {tag: value})] of an event file, whose checksums and version are right."""
    found, at = [], 0
    while at < len(content):
        (size,) = struct.unpack_from("<Q", content, at)
        body = content[at + 12 : at + 12 + size]
        assert struct.unpack_from("<I", content, at + 8)[0] == bitwise(content[at : at + 8])
        assert struct.unpack_from("<I", content, at + 12 + size)[0] == bitwise(body)
        found.append(fields(body))
        at += size + 16
    assert (3, 2, b"brain.Event:2") in found[0]
    rows = []
    for event in found[1:]:
        by_number = {number: value for number, _, value in event}
        assert struct.unpack("<d", by_number[1])[0] > 1.6e9
        values = {}
        for number, kind, value in fields(by_number[5]):
            assert (number, kind) == (1, 2)
            (tag, simple) = (dict((n, v) for n, _, v in fields(value))[k] for k in (1, 2))
            values[tag.decode()] = struct.unpack("<f", simple)[0]
        rows.append((by_number[2], values))
    return rows


def test_a_row_is_a_record():
    row = {"epoch": 300, "lr": 1e-3, "loss_train": 2.5, "my_dipole_valid": -1e-7, "stress_valid": None,
           "gradient_tensor_product": 3.0, "update_mix": 0.0}  # fmt: skip
    ((step, values),) = events(tensorboard.first_record() + tensorboard.record(row))
    assert step == 300
    expected = {
        "lr": 1e-3,
        "loss/train": 2.5,
        "my_dipole/valid": -1e-7,
        "gradient/tensor_product": 3.0,
        "update/mix": 0,
    }
    assert values == {tag: pytest.approx(value, rel=1e-6) for tag, value in expected.items()}
    ((_, values),) = events(tensorboard.first_record() + tensorboard.record({"epoch": 1, "a": 1e300, "b": -np.inf}))
    assert values == {"a": np.inf, "b": -np.inf}
    long = {"epoch": 2**40, **{f"{'x' * 300}{k}_train": float(k) for k in range(50)}}  # lengths of several bytes
    ((step, values),) = events(tensorboard.first_record() + tensorboard.record(long))
    assert step == 2**40 and len(values) == 50


@pytest.mark.parametrize("content, crc", [(b"", 0), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43),
                                          (bytes(range(32)), 0x46DD794E)])  # fmt: skip
def test_checksums_of_the_standard(content, crc):
    """RFC 3720, B.4."""
    assert tensorboard.crc32c(content) == crc


def test_the_event_file_of_a_run_holds_what_history_holds(tmp_path):
    """One event for each epoch, of a run that was interrupted and extended, too."""
    run, two = tmp_path / "run", dict(stage_two=StageTwo(1.0), threads=1)
    fit(run, max_epochs=2, tensorboard=True, **two)
    fit(run, max_epochs=5, tensorboard=True, **two)
    rows = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    found = events((run / tensorboard.NAME).read_bytes())
    assert [step for step, _ in found] == [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5]
    for row, (_, values) in zip(rows, found, strict=True):
        for tag, name in {"forces/valid": "forces_valid", "lr": "lr", "gradient/readout": "gradient_readout"}.items():
            assert values[tag] == pytest.approx(float(row[name]), rel=1e-6)
        assert "stress/train" not in values and row["stress_train"] == ""
    columns = [name for name in rows[0] if re.match("gradient_|update_", name)]
    assert columns == [f"{what}_{kind}" for what in ("gradient", "update") for kind in ("mix", "product", "readout")]


def test_off_by_default_and_wants_a_folder(tmp_path):
    fit(tmp_path / "run")
    assert not (tmp_path / "run" / tensorboard.NAME).exists()
    with pytest.raises(InputError, match="give folder="):
        fit(None, tensorboard=True)


def test_a_history_of_another_release_keeps_its_columns_apart(tmp_path):
    """Rows without the new columns stay under their own heads."""
    from nbcore.train.run_folder import open_run

    with open_run(tmp_path / "run", "run") as run:
        run.rewrite_history([{"epoch": 1, "lr": 0.1}, {"epoch": 2, "lr": 0.2, "update_mix": 0.3}])
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert rows == [{"epoch": "1", "lr": "0.1", "update_mix": ""}, {"epoch": "2", "lr": "0.2", "update_mix": "0.3"}]


def test_finished_runs_have_lengths_in_every_row():
    assert all(row["update_mix"] > 0 for row in finish(trainer()).history)
