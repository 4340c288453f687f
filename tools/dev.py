"""One command for developers:  python tools/dev.py build | test | lint | format | bench | layers

build   compiles into build/dev and installs the libraries beside the Python sources, so that `import nbcore` works
        from the repository root; needs the build requirements of pyproject.toml in the environment
test    runs pytest (further arguments are passed on)
lint    ruff, clang-format in checking mode
format  ruff format, clang-format
"""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


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
    verbs = dict(build=build, test=test, lint=lint, format=format, bench=bench)
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    try:
        verbs[sys.argv[1]](*sys.argv[2:])
    except subprocess.CalledProcessError as e:
        sys.exit(e.returncode)
