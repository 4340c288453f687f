"""Ctrl-C ends long calls of C++ soon, from Python and through the C ABI, and what comes after is as before."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from nbcore import Potential, paths
from nbcore.evaluator import Evaluator
from nbcore.presets import nbody

START = """
import os, signal, sys, threading
import numpy as np
import nbcore
from nbcore.data import Structure
from nbcore.evaluator import Evaluator
from nbcore.train import TrainingSet

signal.signal(signal.SIGINT, signal.default_int_handler)
potential = nbcore.Potential.load("m.nbcore")
def system(n):
    x = 2.6 * np.stack(np.meshgrid(*[np.arange(float(n))] * 3), -1).reshape(-1, 3)
    return x + 0.1 * np.random.default_rng(0).standard_normal(x.shape), np.full(n**3, 29, dtype=np.intc)
small, large = system(4), system(70)  # the large one takes minutes

def compute(s): return potential.compute(*s, threads=THREADS).energy
def parts(s): return potential.compute(*s, threads=THREADS, max_bytes=3e8).energy
def evaluator(s): return Evaluator("m.nbcore").evaluate(*s, threads=THREADS)
def neighbours(s): return len(nbcore._core.neighbours(s[0], None, False, 12.0)[0])
def training(s):
    return loss(TrainingSet(potential, [Structure(*s, energy=0.0, forces=np.zeros_like(s[0]))]))
def loss(t): return t.loss_and_gradient(threads=THREADS).loss

call = globals()[sys.argv[1]]
before = call(small)
try:
    print("begun", flush=True)
    call(large)
except KeyboardInterrupt:
    print("interrupted", flush=True)
assert call(small) == before
print("as before", flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupts")
    nbody(species=["Cu"], cutoff=4.5, channels=32, seed=1).save(folder / "m.nbcore")
    return folder


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("call", ["compute", "parts", "evaluator", "training", "neighbours"])
def test_control_c(folder, call, threads):
    code = START.replace("THREADS", str(threads))
    process = subprocess.Popen(
        [sys.executable, "-c", code, call], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "begun\n", process.stderr.read()
        time.sleep(0.5)  # into the C++ call; sooner would be right too, and see less
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (out, process.returncode) == ("interrupted\nas before\n", 0), err


def test_a_handler_that_raises_nothing_is_called_and_the_call_goes_on(folder):
    potential = Potential.load(folder / "m.nbcore")
    x = 2.6 * np.stack(np.meshgrid(*[np.arange(9.0)] * 3), -1).reshape(-1, 3)
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
    try:
        expected = potential.compute(x, ["Cu"] * len(x)).energy
        os.kill(os.getpid(), signal.SIGUSR1)
        assert potential.compute(x, ["Cu"] * len(x)).energy == expected
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard


# ---- options of the C ABI ----


class Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t), ("threads", ctypes.c_int), ("precision", ctypes.c_int),
        ("interrupt", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)), ("data", ctypes.c_void_p),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def c(folder):
    library = ctypes.CDLL(paths.get_library())
    library.nbcore_message.restype = ctypes.c_char_p
    model = ctypes.c_void_p()
    assert library.nbcore_load(os.fsencode(folder / "m.nbcore"), ctypes.byref(model)) == 0
    library.nbcore_set_skin(model, ctypes.c_double(0.0))

    def evaluate(x, options):
        energy, forces = ctypes.c_double(np.nan), np.full(x.shape, np.nan)
        numbers = np.full(len(x), 29, dtype=np.intc)
        status = library.nbcore_evaluate_with(
            model, None, ctypes.c_int64(len(x)), x.ctypes.data_as(ctypes.c_void_p),
            numbers.ctypes.data_as(ctypes.c_void_p), None, None, options, ctypes.byref(energy),
            forces.ctypes.data_as(ctypes.c_void_p), None, None,
        )  # fmt: skip
        return status, energy.value, forces, library.nbcore_message().decode()

    yield evaluate, library, model
    library.nbcore_free(model)


def options(**changes):
    found = Options(size=ctypes.sizeof(Options))
    for name, value in changes.items():
        setattr(found, name, value)
    return ctypes.byref(found)


def cube(n):
    return 2.6 * np.stack(np.meshgrid(*[np.arange(float(n))] * 3), -1).reshape(-1, 3) + 0.0


def test_interrupt_of_the_c_abi(c):
    evaluate, _, _ = c
    asked = []

    def stop(data):
        asked.append(threading.get_ident())
        return len(asked) > 1

    status, energy, forces, message = evaluate(cube(50), options(interrupt=Options._fields_[3][1](stop)))
    assert (status, message, len(asked)) == (12, "interrupted", 2) and set(asked) == {threading.get_ident()}
    assert np.isnan(energy) and np.isnan(forces).all()
    assert evaluate(cube(3), options())[0] == 0


def test_precision_of_a_call(c, folder):
    evaluate, library, model = c
    x, numbers, right = cube(3), ["Cu"] * 27, {}
    potential = Potential.load(folder / "m.nbcore")
    for bits in (64, 32):
        potential.precision = f"float{bits}"
        right[bits] = potential.compute(x, numbers).energy
    assert right[64] != right[32]
    for default in (64, 32, 64):
        assert library.nbcore_set_precision(model, default) == 0
        for bits in (64, 32, 0):
            assert evaluate(x, options(precision=bits))[:2] == (0, right[bits or default])
        assert evaluate(x, None)[1] == right[default]


@pytest.mark.parametrize(
    "wrong, words",
    [(dict(size=0), "size"), (dict(size=8), "size"), (dict(size=1000), "size"), (dict(precision=16), "precision"),
     (dict(precision=-1), "precision"), (dict(threads=-1), "threads"), (dict(threads=10**9), "threads")],
)  # fmt: skip
def test_options_that_do_not_fit(c, wrong, words):
    status, energy, _, message = c[0](cube(2), options(**wrong))
    assert status == 1 and words in message and np.isnan(energy)


def test_options_of_an_older_caller(c):
    assert c[0](cube(2), options(size=Options.interrupt.offset, threads=2))[0] == 0


# ---- options by value: threads and precision ----


def test_six_threads_while_another_changes_the_precision(folder):
    potential, evaluator = Potential.load(folder / "m.nbcore"), Evaluator(folder / "m.nbcore")
    x, numbers = cube(4), np.full(64, 29, dtype=np.intc)
    right = set()
    for precision in ("float32", "float64"):
        potential.precision = precision
        right.add(potential.compute(x, numbers, threads=1).forces.tobytes())
    double = potential.compute(x, numbers, threads=1).forces.tobytes()
    done, found, errors = threading.Event(), [], []

    def work(threads):
        try:
            for _ in range(20):
                found.append(potential.compute(x, numbers, threads=threads).forces.tobytes())
                forces = np.empty((64, 3))
                evaluator.evaluate(x, numbers, forces=forces, threads=threads)
                assert forces.tobytes() == double
        except BaseException as e:
            errors.append(e)

    def change():
        while not done.is_set():
            for precision in ("float32", "float64"):
                potential.precision = precision
                potential.radial_splines = precision == "float32"

    changer = threading.Thread(target=change)
    workers = [threading.Thread(target=work, args=(1 + k % 2,)) for k in range(6)]
    for t in (changer, *workers):
        t.start()
    for t in workers:
        t.join()
    done.set()
    changer.join()
    assert not errors and len(right) == 2 and set(found) == right
