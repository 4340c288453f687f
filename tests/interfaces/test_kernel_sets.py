"""Kernel sets: which one runs, what is said where none can, and that all give the same numbers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nbcore
from nbcore import _core, _kernels
from nbcore._kernels import SETS, Processor, choose

V4 = Processor("Xeon of these days", SETS["x86-64-v4"] | {"avx512_bf16"})
V3 = Processor("Xeon of yesterday", SETS["x86-64-v3"])
ARM = Processor("aarch64", frozenset())

PROGRAM = """
import json
import numpy as np
import nbcore
from random_structures import NETWORKS, crystal, network
from nbcore.data import Structure
from nbcore.train import Loss, TrainingSet

results = {"kernel_set": nbcore.build_info()["kernel_set"]}
for name in NETWORKS:
    random = np.random.default_rng(5)
    potential = network(name)
    positions, species, cell, pbc = crystal(random, 6)
    r = potential.compute(positions, species, cell, pbc)
    numbers = [nbcore.species.NUMBERS[s] for s in species]
    labels = random.standard_normal(), random.standard_normal((len(species), 3))
    data = [Structure(positions, numbers, cell, [pbc] * 3, *labels)]
    gradient = TrainingSet(potential, data).loss_and_gradient(None, Loss()).gradient
    results[name] = [[r.energy], r.forces.ravel().tolist(), r.virial.ravel().tolist(), gradient.tolist()]
print(json.dumps(results))
"""


def here(program, **environment):
    """What a program prints when it is run with other environment variables."""
    return subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("asked", "cpu", "name", "reason"),
    [
        ("", V4, "x86-64-v4", "the best for this processor"),
        ("", V3, "x86-64-v3", "the best for this processor"),
        ("native", ARM, "generic", "the best for this processor"),
        ("generic", V4, "generic", "NBCORE_ISA"),
        ("x86-64-v3", V4, "x86-64-v3", "NBCORE_ISA"),
    ],
)
def test_choice(asked, cpu, name, reason):
    """The best that the processor can run, unless NBCORE_ISA names one."""
    assert choose(asked, list(SETS), cpu) == (name, reason)


def test_only_one_installed():
    """A source install has one."""
    assert choose("", ["x86-64-v3"], V4) == ("x86-64-v3", "the only one installed")


@pytest.mark.parametrize(
    ("asked", "installed", "cpu", "words"),
    [
        ("avx2", ["generic", "x86-64-v3"], V3, ["NBCORE_ISA=avx2", "no such", "generic, x86-64-v3", "native"]),
        ("x86-64-v4", list(SETS), V3, ["NBCORE_ISA=x86-64-v4", V3.name, "avx512bw", "generic, x86-64-v3"]),
        ("", ["x86-64-v4"], V3, ["built with kernels for x86-64-v4", V3.name, "avx512f", "NBCORE_ISA_LIST"]),
    ],
)
def test_refusal(asked, installed, cpu, words):
    """An error in place of an illegal instruction: what was asked, what the processor lacks, what is there."""
    with pytest.raises(ImportError) as error:
        choose(asked, installed, cpu)
    for word in words:
        assert word in str(error.value)


def test_refusal_at_import():
    """The same from outside."""
    run = here("import nbcore", NBCORE_ISA="sse9")
    assert run.returncode == 1
    assert "ImportError: NBCORE_ISA=sse9: no such kernel set here. Installed: " in run.stderr.splitlines()[-1]


def test_sets_to_build():
    """In one order, whatever the list's; native is one of them."""
    assert _kernels.sets_to_build(["x86-64-v4", "generic", "x86-64-v3"]) == list(SETS)
    assert _kernels.sets_to_build(["native"])[0] in SETS
    with pytest.raises(ValueError, match="x86-64-v5"):
        _kernels.sets_to_build(["x86-64-v5"])


def test_build_info():
    """Which sets there are, which one runs, why."""
    info = nbcore.build_info()
    assert info["kernel_set"] in info["kernel_sets"]
    asked = os.environ.get("NBCORE_ISA", "")
    assert (info["kernel_set"], info["chosen_by"]) == choose(asked, info["kernel_sets"], _kernels.processor())


def test_loader_agrees():
    """A program without Python gets the set that Python chooses, from the loader (glibc 2.33 or newer)."""
    listing = subprocess.run(["ldd", _core.__file__], capture_output=True, text=True, check=True).stdout
    found = next(line.split()[2] for line in listing.splitlines() if "libnbcore.so.0" in line)
    run = here("from nbcore import paths; print(paths.get_library())", NBCORE_ISA="native")
    assert Path(found).resolve() == Path(run.stdout.strip())


def test_sets_agree():
    """Every installed set that this processor runs: energy, forces, virial and loss gradient to 1e-12."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    results = {}
    for name in _kernels.processor().usable(nbcore.build_info()["kernel_sets"]):
        run = here(PROGRAM, NBCORE_ISA=name, PYTHONPATH=path)
        assert run.returncode == 0, run.stderr
        results[name] = json.loads(run.stdout)
        assert results[name].pop("kernel_set") == name
    reference = results[nbcore.build_info()["kernel_set"]]
    for name, result in results.items():
        for network, arrays in result.items():
            for a, b in zip(arrays, reference[network], strict=True):
                difference = np.abs(np.subtract(a, b)).max() / np.abs(b).max()
                print(name, network, len(a), difference)
                assert difference < 1e-12
