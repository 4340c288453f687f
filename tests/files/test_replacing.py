"""Files are replaced whole or not at all, by whichever of the two writers (Python, C++), whoever died before."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from nbcore._core import read_model_file, write_model_file
from nbcore.files import replacing


def by_python(path, text):
    with replacing(path, "w", overwrite=True) as f:
        f.write(text)


def by_core(path, text):
    write_model_file(path, f'{{"text": "{text}"}}', {})


WRITERS = {"python": by_python, "core": by_core}
FOREVER = {  # writes that never end, each in a program of its own
    "python": """
import sys
from nbcore.files import replacing
with replacing(sys.argv[1], "w", overwrite=True) as f:
    f.write("half")
    f.flush()
    print("writing", flush=True)
    sys.stdin.read()
""",
    "core": """
import sys, numpy as np
from nbcore._core import write_model_file
a = np.ones(2_000_000)
print("writing", flush=True)
while True:
    write_model_file(sys.argv[1], "{}", {"a": a})
""",
}


def start(name, path):
    process = subprocess.Popen(
        [sys.executable, "-c", FOREVER[name], str(path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert process.stdout.readline() == b"writing\n"
    return process


def leftovers(folder):
    return [p.name for p in folder.iterdir() if p.name.endswith(".tmp") and "notes" not in p.name]


def kill_while_writing(name, path):
    """Kills a writer at an instant at which its temporary file is there."""
    process = start(name, path)
    try:
        for _ in range(100000):
            if leftovers(path.parent):
                break
            time.sleep(0.0002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        process.stdin.close()


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("dead", FOREVER)
def test_what_the_dead_leave_is_removed_and_in_nobodys_way(tmp_path, writer, dead):
    path = tmp_path / "x.nbcore"
    (tmp_path / ".x.nbcore.notes.tmp").write_text("the user's own")
    met = 0
    for n in range(8):
        kill_while_writing(dead, path)
        met += len(leftovers(tmp_path))
        WRITERS[writer](path, str(n))
        assert leftovers(tmp_path) == [] and str(n).encode() in path.read_bytes()
    assert met >= (8 if dead == "python" else 1)
    assert (tmp_path / ".x.nbcore.notes.tmp").read_text() == "the user's own"


def test_many_dead_at_once(tmp_path):
    path = tmp_path / "x.nbcore"
    for n in range(20):
        (tmp_path / f".x.nbcore.{n:016x}.tmp").write_text("half")
    by_python(path, "whole")
    assert [p.name for p in tmp_path.iterdir()] == ["x.nbcore"]


@pytest.mark.parametrize("writer", WRITERS)
def test_the_living_are_left_alone(tmp_path, writer):
    path = tmp_path / "x.nbcore"
    process = start("python", path)
    (living,) = leftovers(tmp_path)
    for n in range(3):
        WRITERS[writer](path, str(n))
        assert leftovers(tmp_path) == [living]
    process.communicate()
    assert process.returncode == 0 and path.read_text() == "half" and leftovers(tmp_path) == []


def test_writers_at_the_same_time_all_come_to_an_end(tmp_path):
    """Six processes, twenty files each under one name: nobody fails, the last one stands whole."""
    program = """
import sys, numpy as np
from nbcore._core import write_model_file
from nbcore.files import replacing
for n in range(20):
    if int(sys.argv[2]) % 2:
        write_model_file(sys.argv[1], "{}", {"a": np.full(1000, float(n))})
    else:
        with replacing(sys.argv[1], overwrite=True) as f:
            f.write(open(sys.argv[3], "rb").read())
"""
    path, other = tmp_path / "x.nbcore", tmp_path / "other.nbcore"
    write_model_file(other, "{}", {"a": np.ones(7)})
    processes = [subprocess.Popen([sys.executable, "-c", program, path, str(k), other]) for k in range(6)]
    assert [p.wait() for p in processes] == [0] * 6
    read_model_file(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.nbcore", "x.nbcore"]


@pytest.mark.parametrize("writer", WRITERS)
def test_no_room(tmp_path, writer):
    path = tmp_path / "x.nbcore"
    WRITERS[writer](path, "old")
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError) as error:
            WRITERS[writer](path, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    assert error.value.errno == errno.EFBIG and error.value.filename == str(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["x.nbcore"]


@pytest.mark.parametrize("writer", WRITERS)
def test_folders_that_refuse(tmp_path, writer):
    with pytest.raises(FileNotFoundError) as error:
        WRITERS[writer](tmp_path / "absent" / "x.nbcore", "x")
    assert error.value.filename == str(tmp_path / "absent" / "x.nbcore")
    folder = tmp_path / "closed"
    folder.mkdir()
    for place in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        place.chmod(0o755)
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(PermissionError) as error:
            WRITERS[writer](folder / "x.nbcore", "x")
    finally:
        if root:
            os.seteuid(0)
    assert error.value.filename == str(folder / "x.nbcore") and list(folder.iterdir()) == []


@pytest.mark.parametrize("writer", WRITERS)
def test_devices_pipes_and_folders_are_not_replaced(tmp_path, writer):
    """As root, a rename would put a file in the place of /dev/null."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "null", "folder"):
        with pytest.raises(OSError, match=name):
            WRITERS[writer](tmp_path / name, "x")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode) and stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert leftovers(tmp_path) == []


def test_an_exception_leaves_the_old_file(tmp_path):
    by_python(tmp_path / "x", "old")
    with pytest.raises(ZeroDivisionError):
        with replacing(tmp_path / "x", "w", overwrite=True) as f:
            f.write("new")
            raise ZeroDivisionError
    assert (tmp_path / "x").read_text() == "old" and leftovers(tmp_path) == []
