"""A process forked after threads were at work computes, with the same bits: OpenMP alone would wait for ever there.

Each case runs in a process of its own, so that what hangs is killed and threads of other tests do not matter.
"""

import subprocess
import sys

import pytest

from nbcore.presets import nbody

PARENT = """
import multiprocessing, os, sys
import numpy as np
import nbcore
from ase import Atoms
from nbcore import train
from nbcore.ase import NBCoreCalculator
from nbcore.data import Structure, Structures
from nbcore.evaluator import Evaluator

potential = nbcore.Potential.load("m.nbcore")
x = 2.6 * np.stack(np.meshgrid(*[np.arange(6.0)] * 3), -1).reshape(-1, 3)
x += 0.1 * np.random.default_rng(0).standard_normal(x.shape)
numbers = np.full(len(x), 29, dtype=np.intc)
evaluator, calculator = Evaluator("m.nbcore"), NBCoreCalculator("m.nbcore", threads=2)
structures = [Structure(x[k::4], numbers[k::4], energy=-1.0, forces=np.zeros_like(x[k::4])) for k in range(4)]
trainable = train.TrainingSet(potential, structures, block=8)

def core(k=0):
    return potential.compute(x + 0.01 * k, numbers, threads=2).forces

def c_interface(k=0):
    forces = np.empty_like(x)
    evaluator.evaluate(x * (1 + 0.001 * k), numbers, forces=forces, threads=2)
    return forces

def ase(k=0):
    atoms = Atoms(numbers, x * (1 + 0.001 * k))
    atoms.calc = calculator
    return atoms.get_forces()

def gradient(k=0):
    return trainable.loss_and_gradient(threads=2).gradient

def fit(k=0):
    learner = nbcore.Potential.load("m.nbcore")
    train.fit(learner, Structures(structures), valid=0, threads=2, max_epochs=2, batch_size=4, quiet=True)
    return learner.parameters

def hessian(k=0):
    return potential.hvp(x[:20], numbers[:20], np.ones((2, 20, 3)), threads=2).product

def new(k=0):
    return nbcore.Potential.load("m.nbcore").compute(x[:20], numbers[:20], threads=2).forces

def harmonics(k=0):
    return nbcore.so3.spherical_harmonics(3, np.tile(x, (200, 1)), threads=2)[-1]

def by_os_fork(f):
    end, own = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with os.fdopen(own, "wb") as pipe:
                pipe.write(f().tobytes())
        finally:
            os._exit(0)
    os.close(own)
    with os.fdopen(end, "rb") as pipe:
        return pipe.read()

f = globals()[sys.argv[1]]
expected = [f(k).tobytes() for k in range(4)]
"""
OS_FORK = "assert by_os_fork(f) == expected[0]\nassert f().tobytes() == expected[0]  # the parent goes on\n"
POOL = """
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert [y.tobytes() for y in pool.map(f, range(4))] == expected
"""
GRANDCHILD = "assert by_os_fork(lambda: np.frombuffer(by_os_fork(f))) == expected[0]\n"
AT_WORK = """
import signal, threading
done = threading.Event()
def work():
    while not done.is_set():
        f()
        potential.parameters[0] = potential.parameters[0]  # weights and splines are made anew
        potential.radial_splines = not potential.radial_splines
workers = [threading.Thread(target=work) for _ in range(2)]
for worker in workers:
    worker.start()
wrong = 0
for _ in range(30):
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends what hangs
        try:
            f()
            by_os_fork(f)  # and once more
            os._exit(0)
        finally:
            os._exit(1)
    wrong += os.waitpid(child, 0)[1] != 0
    if wrong:
        break
done.set()
for worker in workers:
    worker.join()
assert not wrong
"""
SEEN = """
import threading
def most_threads():
    most, done = 0, threading.Event()
    def work():
        while not done.is_set():
            core()
    worker = threading.Thread(target=work)
    worker.start()
    for _ in range(100_000):  # until two threads of the call are seen beside this one
        most = max(most, len(os.listdir("/proc/self/task")))
        if most >= 3:
            break
    done.set()
    worker.join()
    return np.array([most])
assert np.frombuffer(by_os_fork(most_threads), dtype=int)[0] == 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fork")
    nbody(species=["Cu"], cutoff=4.0, channels=4, radial_layers=[4], seed=1).save(folder / "m.nbcore")
    return folder


def run(folder, code, *arguments):
    program = [sys.executable, "-W", "error::RuntimeWarning", "-c", PARENT + code, *arguments]
    return subprocess.run(program, cwd=folder, timeout=120, capture_output=True, text=True)


@pytest.mark.parametrize("way", [OS_FORK, POOL], ids=["fork", "pool"])
@pytest.mark.parametrize("f", ["core", "c_interface", "ase", "gradient", "fit", "harmonics"])
def test_child_of_a_threaded_process(folder, f, way):
    done = run(folder, way, f)
    assert done.returncode == 0, done.stderr


def test_child_of_a_child(folder):
    done = run(folder, GRANDCHILD, "core")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("f", ["core", "c_interface", "gradient", "hessian", "new", "harmonics"])
def test_fork_while_threads_are_at_work(folder, f):
    """None of their locks is left closed in the child, nothing half done."""
    done = run(folder, AT_WORK, f)
    assert done.returncode == 0, done.stderr


def test_threads_are_at_work_in_the_child(folder):
    done = run(folder, SEEN, "core")
    assert done.returncode == 0, done.stderr
