"""Checkpoints: whole or recognised as damaged, whatever happens while they are written."""

import errno
import json
import os
import signal

import numpy as np
import pytest

from nbcore.errors import CheckpointError
from nbcore.train import checkpoint
from nbcore.train.run_folder import open_run

ARRAYS = {"parameters": np.linspace(0, 1, 5), "order": np.arange(7)[::-1]}
PLAIN = {"epoch": 3, "best_loss": float("inf"), "random": {"state": 2**127 + 1}, "x": 0.1 + 0.2}


def write(folder, epoch):
    checkpoint.write(folder, ARRAYS, {**PLAIN, "epoch": epoch})


def epoch_in(folder):
    return checkpoint.read(folder)[1]["epoch"]


def test_round_trip_is_exact():
    arrays, plain = checkpoint.decode(checkpoint.encode(ARRAYS, PLAIN), "memory")
    assert plain == PLAIN and arrays.keys() == ARRAYS.keys()
    assert all(np.array_equal(arrays[k], v) and arrays[k].dtype == v.dtype for k, v in ARRAYS.items())


def test_data_only_no_pickle():
    with pytest.raises(ValueError, match="pickle"):
        checkpoint.decode(checkpoint.encode({"evil": np.array([object()])}, {}), "memory")["evil"]


def test_any_changed_byte_and_any_length_is_recognised():
    content = checkpoint.encode(ARRAYS, PLAIN)
    for k in range(0, len(content), 7):
        broken = bytearray(content)
        broken[k] ^= 1 << (k % 8)
        with pytest.raises(CheckpointError):
            checkpoint.decode(bytes(broken), "memory")
    for length in [*range(0, len(content), 13), len(content) - 1]:
        with pytest.raises(CheckpointError):
            checkpoint.decode(content[:length], "memory")
    with pytest.raises(CheckpointError):
        checkpoint.decode(content + b"x", "memory")


def test_the_one_before_is_kept_and_used_with_a_remark(tmp_path):
    assert checkpoint.read(tmp_path) is None
    for epoch in (1, 2, 3):
        write(tmp_path, epoch)
    assert sorted(os.listdir(tmp_path)) == ["last.ckpt", "previous.ckpt"]
    assert epoch_in(tmp_path) == 3 and checkpoint.read(tmp_path)[2] is None
    (tmp_path / "last.ckpt").write_bytes((tmp_path / "last.ckpt").read_bytes()[:-3])
    assert epoch_in(tmp_path) == 2
    remark = checkpoint.read(tmp_path)[2]
    assert "last.ckpt is damaged" in remark and "previous.ckpt is used" in remark
    (tmp_path / "previous.ckpt").write_text("nothing")
    with pytest.raises(CheckpointError, match="last.ckpt is damaged.*previous.ckpt is not.*\n--restart"):
        checkpoint.read(tmp_path)


def killed_at(folder, n, epoch):
    """Writes a checkpoint in a child that is killed before its n-th call to the disk; True if it came to an end."""
    child = os.fork()
    if child == 0:
        calls = 0

        def deadly(function):
            def call(*args, **kwargs):
                nonlocal calls
                calls += 1
                if calls == n:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **kwargs)

            return call

        for name in ("open", "fsync", "replace", "unlink"):
            setattr(os, name, deadly(getattr(os, name)))
        write(folder, epoch)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def test_killed_at_any_call_to_the_disk_a_whole_checkpoint_remains(tmp_path):
    write(tmp_path, 0)
    for n in range(1, 20):
        before = epoch_in(tmp_path)
        ended = killed_at(tmp_path, n, n)
        assert epoch_in(tmp_path) in (before, n)
        if ended:
            break
    assert n >= 5 and epoch_in(tmp_path) == n
    with open_run(tmp_path, "run") as run:
        assert run.begun
    assert not list(tmp_path.glob("*.tmp-*"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_previous_one(tmp_path, monkeypatch, number, call):
    write(tmp_path, 1)
    before = (tmp_path / "last.ckpt").read_bytes()

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError) as caught:
        write(tmp_path, 2)
    assert caught.value.errno == number
    monkeypatch.undo()
    assert (tmp_path / "last.ckpt").read_bytes() == before and os.listdir(tmp_path) == ["last.ckpt"]


def test_first_difference_names_the_key_and_lets_a_run_grow():
    old = {
        "seed": 1,
        "model.channels": 64,
        "training.max_epochs": 10,
        "training.patience": 5,
        "training.max_time": "1h",
    }
    assert checkpoint.first_difference(old, dict(old)) is None
    assert checkpoint.first_difference(old, {**old, "model.channels": 128}) == ("model.channels", 64, 128)
    grown = {**old, "training.max_epochs": 20, "training.patience": 6, "training.max_time": "", "about.author": "x"}
    assert checkpoint.first_difference(old, grown) is None
    assert checkpoint.first_difference(old, {**old, "training.max_epochs": 9})[0] == "training.max_epochs"
    assert checkpoint.first_difference(old, {**old, "training.patience": None}) is None  # no limit
    assert checkpoint.first_difference({**old, "training.patience": None}, old) == ("training.patience", None, 5)
    assert checkpoint.first_difference(old, {**old, "training.lr": 0.1}) == ("training.lr", None, 0.1)
    files = {**old, "data.valid": "judge.xyz"}  # names may change, a fraction may not
    assert checkpoint.first_difference(files, {**old, "data.valid": ["../judge.xyz"]}) is None
    assert checkpoint.first_difference(files, {**old, "data.valid": 0.1}) == ("data.valid", "judge.xyz", 0.1)
    assert json.loads(json.dumps(old)) == old


def test_a_folder_in_use_is_refused(tmp_path):
    folder = tmp_path / "acac"
    with open_run(folder, "acac"):
        with pytest.raises(
            CheckpointError, match=rf"acac/ is in use by process {os.getpid()} on .* \(since \d\d:\d\d\)"
        ) as e:
            with open_run(folder, "acac"):
                pass
        assert e.value.exit_code == 6
        with pytest.raises(CheckpointError, match="in use"):
            with open_run(folder, "acac", restart=True):
                pass
    with open_run(folder, "acac") as run:
        assert not run.begun


def test_restart_keeps_the_old_run(tmp_path):
    folder = tmp_path / "acac"
    with open_run(folder, "acac"):
        write(folder, 5)
    with open_run(folder, "acac", restart=True) as run:
        assert not run.begun
    assert epoch_in(tmp_path / "acac.1") == 5
