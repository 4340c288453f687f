"""Checks of the machine: threads, kernel sets, single precision and the C interface compute the same."""

import copy
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from nbcore import _kernel_set, _kernels, model_file
from nbcore.certificate.samples import difference
from nbcore.errors import NumericsError
from nbcore.evaluator import Evaluator

THREADS = (2, 3, 4)
PROGRAM = """
import json, sys
import numpy as np, nbcore
from nbcore import _kernels
model = nbcore.load(sys.argv[1])
results = []
for positions, numbers, cell, pbc in json.load(open(sys.argv[2])):
    r = model.compute(positions, numbers, np.array(cell), pbc, threads=1)
    found = {} if r.energy is None else {"energies": r.energies, "forces": r.forces, "virial": r.virial}
    results.append({name: np.asarray(x).tolist() for name, x in (found | r.outputs).items()})
print(json.dumps([nbcore.build_info()["kernel_set"], results]))
"""


def threads(model, sample) -> int:
    """How many numbers have other bits with more threads."""
    one = sample.compute(model)
    return sum(int(np.sum(x != one[name])) for n in THREADS for name, x in sample.compute(model, n).items())


def single_precision(model, samples) -> float:
    """Of float32 against float64."""
    single = copy.deepcopy(model)
    single.precision = "float32"
    return max(difference(s.compute(single), s.compute(model)) for s in samples)


def c_interface(model, path, samples) -> float:
    """Over the C interface, as MD codes do, against Python."""
    evaluator, found = Evaluator(path), []
    for s in samples:
        e, f, w = np.empty(len(s.numbers)), np.empty(s.positions.shape), np.empty((3, 3))
        evaluator.evaluate(s.positions, s.numbers.astype(np.intc), s.cell, list(s.pbc), f, w, e, 1)
        expected = {name: x for name, x in s.compute(model).items() if name in ("energies", "forces", "virial")}
        found.append(difference({"energies": e, "forces": f, "virial": w}, expected))
    return max(found)


def here() -> str:
    """The kernel set that runs."""
    return _kernel_set.name


def versions() -> dict[str, str]:
    """What the figures were measured with."""
    import nbcore

    return {"nbcore": nbcore.__version__, "numpy": np.__version__, "kernel_set": here()}


def other_sets() -> list[str]:
    """Installed kernel sets that this processor runs, beside the one that runs."""
    usable = _kernels.processor().usable(_kernel_set.installed)
    return [name for name in usable if name != _kernel_set.name]


def kernel_sets(model, path, samples, names) -> float:
    """Of other kernel sets, each in a process of its own, against the one that runs."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        structures = os.path.join(folder, "structures.json")
        with open(structures, "w") as f:
            json.dump([[x.tolist(), z.tolist(), c.tolist(), p] for x, z, c, p in (s.structure for s in samples)], f)
        for name in names:
            run = subprocess.run(
                [sys.executable, "-c", PROGRAM, os.path.abspath(path), structures], capture_output=True, text=True,
                check=False, env={**os.environ, "NBCORE_ISA": name, "PYTHONPATH": os.pathsep.join(sys.path)},
            )  # fmt: skip
            if run.returncode:
                raise NumericsError(f"the kernel set {name} does not run: {run.stderr.strip().splitlines()[-1:]}")
            ran, results = json.loads(run.stdout)
            found.append(1.0 if ran != name else 0.0)
            for s, got in zip(samples, results, strict=True):
                found.append(difference({k: np.asarray(x) for k, x in got.items()}, s.compute(model)))
    return max(found)


def golden_cases(path) -> float | None:
    """Results that the file keeps of the machine that wrote it, against those of this one; None: it keeps none."""
    cases = model_file.check_golden(path, tolerance=np.inf)
    return max((max(case.energy, case.forces, case.virial, case.outputs) for case in cases), default=None)
