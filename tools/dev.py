"""One command for developers:  python tools/dev.py build | test | sets | lint | format | bench

build   compiles into build/dev and installs the libraries beside the Python sources, so that `import nbcore` works
        from the repository root; needs the build requirements of pyproject.toml in the environment
test    runs pytest (further arguments are passed on)
sets    builds all kernel sets into build/sets, as a wheel has them, and runs pytest once with each that this processor
        can run (further arguments are passed on; without any, some five minutes of tests that see every kernel)
lint    ruff, clang-format in checking mode
format  ruff format, clang-format
"""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEES_KERNELS = ["tests/so3", "tests/contracts", "tests/ops", "tests/potential/test_potential.py"]
SEES_KERNELS += ["tests/interfaces/test_kernel_sets.py", "tests/interfaces/test_capi.py"]


def run(*command, **kwargs):
    print("+", " ".join(map(str, command)), flush=True)
    subprocess.run([str(c) for c in command], cwd=ROOT, check=True, **kwargs)


def cpp_files():
    return sorted(p for folder in ("cpp",) for p in (ROOT / folder).rglob("*") if p.suffix in {".cpp", ".hpp", ".h"})


def build(*arguments):
    """Configures and compiles under a lock: several people may share one tree."""
    import pybind11

    folder = ROOT / "build" / "dev"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(
            "cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}", f"-DCMAKE_INSTALL_PREFIX={ROOT / 'nbcore'}",
            "-DNBCORE_UNITY=OFF", *arguments,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        run("cmake", "--build", folder)
        run("cmake", "--install", folder, stdout=subprocess.DEVNULL)


def test(*arguments):
    run(sys.executable, "-m", "pytest", *arguments, env={**os.environ, "PYTHONPATH": str(ROOT)})


def sets(*arguments):
    """The package that users get, in a folder of its own: pytest there does not see the sources."""
    folder = ROOT / "build" / "sets"
    run(
        sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--upgrade",
        "--target", folder,
        "-C", f"build-dir={ROOT / 'build' / 'sets-cmake'}",
        "-C", "cmake.define.NBCORE_ISA_LIST=generic;x86-64-v3;x86-64-v4", ROOT,
    )  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(folder), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    ask = "from nbcore import _kernels, _kernel_set as k; print(*_kernels.processor().usable(k.installed))"
    usable = subprocess.run([sys.executable, "-c", ask], cwd=folder, env=environment, check=True, capture_output=True)
    for name in usable.stdout.decode().split():
        print(f"NBCORE_ISA={name}", flush=True)
        run("pytest", *(arguments or SEES_KERNELS), env={**environment, "NBCORE_ISA": name})


def lint():
    run("ruff", "check", ".")
    run("ruff", "format", "--check", ".")
    run("clang-format", "--dry-run", "--Werror", *cpp_files())


def format():
    run("ruff", "check", "--fix", ".")
    run("ruff", "format", ".")
    run("clang-format", "-i", *cpp_files())


def bench(*arguments):
    run(sys.executable, ROOT / "benchmarks" / "speed.py", *arguments)


if __name__ == "__main__":
    verbs = dict(build=build, test=test, sets=sets, lint=lint, format=format, bench=bench)
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    try:
        verbs[sys.argv[1]](*sys.argv[2:])
    except subprocess.CalledProcessError as e:
        sys.exit(e.returncode)
