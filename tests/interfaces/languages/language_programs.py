"""Programs in C, C++, Fortran and Cython that compute structures with a model file: built once, run on all structures.

A structure is (positions, numbers, cell, pbc). Every language gives [(energy, forces, virial), ...] and, before them,
what the golden cases of the file say there: (their number, the largest difference).
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import ase
import numpy as np

import nbcore
from nbcore import _core, paths
from nbcore.ase import NBCoreCalculator
from nbcore.model_file import check_golden

HERE = Path(__file__).parent
STRICT = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-O0"]
STRUCTURE, RESULT = ("positions", "numbers", "cell", "pbc"), ("energy", "forces", "virial")
COMPILERS = {"c": ("CC", "cc"), "c++": ("CXX", "c++"), "fortran": ("FC", "gfortran"), "cython": ("CC", "cc")}
# A library for another machine, and what runs its programs here: tools/dev.py aarch64
OTHER_PREFIX, EMULATOR = os.environ.get("NBCORE_OTHER_PREFIX"), os.environ.get("NBCORE_EMULATOR", "").split()


def compiler(language):
    """Words of the command, or None where there is none on this machine."""
    variable, default = COMPILERS[language]
    command = os.environ.get(variable, default).split()
    return None if shutil.which(command[0]) is None else command


def compile_flags():
    return paths.cflags() if OTHER_PREFIX is None else [f"-I{OTHER_PREFIX}/include"]


def link_flags():
    if OTHER_PREFIX is None:
        return paths.libs()
    return [f"-L{OTHER_PREFIX}/lib", "-l:libnbcore.so.0", f"-Wl,-rpath,{OTHER_PREFIX}/lib"]


def environment():
    """With the library that this process has: the same kernels."""
    if OTHER_PREFIX is not None:
        return dict(os.environ)
    return {**os.environ, "LD_PRELOAD": " ".join([os.environ.get("LD_PRELOAD", ""), paths.get_library()]).strip()}


def build(language, folder):
    """The program, or the module, of a language in a folder; built if it is not there."""
    command = compiler(language)
    if language == "cython":
        return _build_module(command, folder)
    source = {"c": "driver.c", "c++": "driver.cpp", "fortran": "driver.f90"}[language]
    standard = {"c": ["-std=c99"], "c++": ["-std=c++17"], "fortran": ["-std=f2003", f"-J{folder}"]}[language]
    program = folder / language
    if not program.exists():
        words = [*command, *standard, *STRICT, *compile_flags(), HERE / source, *link_flags(), "-o", program]
        subprocess.run(words, check=True)
    return program


def _build_module(command, folder):
    target = folder / ("driver" + sysconfig.get_config_var("EXT_SUFFIX"))
    if not target.exists():
        shutil.copy(HERE / "driver.pyx", folder)
        package = Path(nbcore.__file__).parent.parent
        subprocess.run([sys.executable, "-m", "cython", "-3", "-I", package, "driver.pyx"], cwd=folder, check=True)
        include = sysconfig.get_paths()["include"]
        subprocess.run([*command, "-shared", "-fPIC", "-O0", *compile_flags(), f"-I{include}", folder / "driver.c",
                        *link_flags(), "-o", target], check=True)  # fmt: skip
    sys.path.insert(0, str(folder))
    try:
        import driver
    finally:
        sys.path.remove(str(folder))
    return driver


def run(language, folder, model, structures, threads):
    """((golden cases, largest difference), [(energy, forces, virial) of each structure])."""
    made = build(language, folder)
    if language == "cython":
        return made.compute(os.fsencode(model), structures, threads)
    shown, read = (_bits, _of_bits) if language == "fortran" else (float.hex, float.fromhex)
    lines = [str(threads)]
    for x, z, cell, pbc in structures:
        lines += [f"{len(x)} {' '.join(str(int(p)) for p in pbc)}", *(shown(float(c)) for c in np.ravel(cell))]
        for number, r in zip(z, x, strict=True):
            lines += [str(int(number)), *(shown(float(c)) for c in r)]
    words = [*EMULATOR, made, model]
    done = subprocess.run(words, input="\n".join(lines) + "\n", capture_output=True, text=True, env=environment())
    if done.returncode != 0:
        raise RuntimeError(f"{language}: exit {done.returncode}: {done.stdout[-500:]} {done.stderr[-500:]}")
    words = done.stdout.split()
    numbers, results = np.array([read(word) for word in words[1:]]), []
    at = 1
    for x, *_ in structures:
        n = 3 * len(x)
        results.append((numbers[at], numbers[at + 1 : at + 1 + n].reshape(-1, 3), numbers[at + 1 + n : at + 10 + n]))
        at += 10 + n
    assert at == len(numbers)
    return (int(words[0]), numbers[0]), [(e, f, w.reshape(3, 3)) for e, f, w in results]


def run_python(model, structures, threads):
    """The same by nbcore.Potential."""
    potential = nbcore.load(model)
    found = check_golden(model) if not hasattr(potential, "members") else []
    results = [potential.compute(*s, threads=threads) for s in structures]
    worst = max((max(g.energy, g.forces, g.virial) for g in found), default=0.0)
    return (len(found), worst), [(r.energy, r.forces, r.virial) for r in results]


def run_ase(model, structures, threads):
    """The same by the calculator of ASE, the golden cases among its structures; virials from stresses."""
    calculator = NBCoreCalculator(model, threads=threads)
    kept, results = golden_cases(model), []
    for x, z, cell, pbc in [s for s, _ in kept] + structures:
        atoms = ase.Atoms(z, x, cell=cell, pbc=pbc)
        atoms.calc = calculator
        virial = -atoms.get_volume() * atoms.get_stress(voigt=False) if atoms.cell.rank == 3 else None
        results.append((atoms.get_potential_energy(), atoms.get_forces(), virial))
    n = len(kept)
    worst = max(difference(results[:n], [result for _, result in kept], 1.0).values())
    return (n, worst), results[n:]


def golden_cases(model):
    """[(structure, (energy, forces, virial)), ...] as the file keeps them."""
    arrays, cases = _core.read_model_file(model)[1], []
    while f"golden.{len(cases)}.energy" in arrays:
        case = {key: arrays[f"golden.{len(cases)}.{key}"] for key in (*STRUCTURE, *RESULT)}
        cases.append((tuple(case[key] for key in STRUCTURE), tuple(case[key] for key in RESULT)))
    return [((x, z.astype(int), cell, pbc.astype(bool)), result) for (x, z, cell, pbc), result in cases]


def _bits(x):
    return f"{np.float64(x).view(np.uint64):016X}"


def _of_bits(word):
    return np.uint64(int(word, 16)).view(np.float64)


def difference(found, expected, least=1e-2):
    """Largest difference of two lists of results, relative to the largest number of the structure's kind, at least
    `least`: those of a perfect crystal are zero."""
    worst = dict.fromkeys(("energy", "forces", "virial"), 0.0)
    for got, wanted in zip(found, expected, strict=True):
        for name, a, b in zip(worst, got, wanted, strict=True):
            if a is not None:
                scale = max(np.abs(b).max(initial=0), least)
                worst[name] = max(worst[name], float(np.abs(np.asarray(a) - b).max(initial=0)) / scale)
    return worst
