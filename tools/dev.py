"""One command for developers:  python tools/dev.py VERB [arguments]

build     compiles into build/dev and installs the libraries beside the Python sources, so that `import nbcore` works
          from the repository root; needs the build requirements of pyproject.toml in the environment
test      runs pytest (further arguments are passed on)
sets      builds all kernel sets into build/sets, as a wheel has them, and runs pytest once with each that this
          processor can run (further arguments are passed on; without any, some five minutes of tests that see every
          kernel)
warp      builds the kernel set whose lanes are threads, as on a GPU, emulated, into build/warp/site, beside a copy of
          the package that is there (tests/interfaces/test_warp.py does)
sanitize  builds with the address and undefined-behaviour sanitizers of GCC into build/sanitize and runs what reaches
          into the C++ there: the C driver, the gate battery, the fuzzer of model files (arguments go to pytest)
clang     builds with clang and without OpenMP into build/clang and runs some of the tests there (arguments go to
          pytest)
aarch64   builds the library without Python for 64-bit ARM into build/aarch64, with GCC's cross compiler, and runs the
          programs in C and C++ of the tests in an emulator: their models are made here, with the kernels of this
          processor (packages of Debian: g++-aarch64-linux-gnu, qemu-user)
headers   compiles every header alone, that of the C ABI as C99 and as C++17, the one over it as C++17
fuzz      runs the fuzzers of model files and of data files, a minute each or as many as the argument says
lint      ruff, clang-format in checking mode
format    ruff format, clang-format
bench     benchmarks/speed.py

`build`, `sanitize`, `clang` and `aarch64` stop after building where the first argument is --only-build.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEES_KERNELS = ["tests/so3", "tests/contracts", "tests/ops", "tests/potential/test_potential.py"]
SEES_KERNELS += ["tests/interfaces/test_kernel_sets.py", "tests/interfaces/test_capi.py"]
# Whatever walks through memory in C++; not what starts dozens of Python processes
SANITIZED = ["tests/contracts", "tests/gates", "tests/ops", "tests/network", "tests/potential/test_hostile_models.py"]
SANITIZED += ["tests/interfaces/test_c_driver.py", "tests/interfaces/test_capi.py"]
SANITIZED += ["tests/interfaces/test_capi_schemes.py", "tests/interfaces/test_cython.py"]
SANITIZED += ["tests/train/test_loss_gradient.py", "tests/train/test_output_loss.py", "tests/train/test_optimizers.py"]
EMULATED = ["tests/interfaces/test_c_driver.py", "tests/interfaces/test_languages.py"]
CLANGED = ["tests/contracts", "tests/potential/test_potential.py", "tests/interfaces/test_c_driver.py"]


def run(*command, **kwargs):
    print("+", " ".join(map(str, command)), flush=True)
    subprocess.run([str(c) for c in command], cwd=ROOT, check=True, **kwargs)


def cpp_files():
    return sorted(p for folder in ("cpp",) for p in (ROOT / folder).rglob("*") if p.suffix in {".cpp", ".hpp", ".h"})


def compile(name, prefix, *arguments, environment=None):
    """Configures build/NAME, compiles and installs, under a lock: several people may share one tree."""
    folder = ROOT / "build" / name
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(
            "cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", f"-DPython_EXECUTABLE={sys.executable}",
            f"-DCMAKE_INSTALL_PREFIX={prefix}", *arguments,
            stdout=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        run("cmake", "--build", folder)
        run("cmake", "--install", folder, stdout=subprocess.DEVNULL)


def with_python():
    import pybind11

    return f"-Dpybind11_DIR={pybind11.get_cmake_dir()}"


def build(*arguments):
    compile("dev", ROOT / "nbcore", with_python(), "-DNBCORE_UNITY=OFF", *(a for a in arguments if a != "--only-build"))


def another_build(name, *arguments, environment=None):
    """A build beside the one of `build`, with the Python sources of this moment: the folder for PYTHONPATH."""
    site = ROOT / "build" / name / "site"
    compile(name, site / "nbcore", with_python(), *arguments, environment=environment)
    ours = shutil.ignore_patterns("*.so", "*.so.0", "lib", "include", "__pycache__")
    shutil.copytree(ROOT / "nbcore", site / "nbcore", ignore=ours, dirs_exist_ok=True)
    return site


def test_there(site, tests, environment):
    """pytest with the package in `site`; as a program, since `python -m` would find the sources first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run("pytest", *tests, env={**os.environ, "PATH": path, "PYTHONPATH": str(site), **environment})


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


def warp():
    """Only the library: the bindings, which do not know kernels, are those of the package that is there."""
    folder, ours = ROOT / "build" / "warp", ROOT / "nbcore"
    plain = ours if (ours / "lib").is_dir() else Path(find_spec("nbcore").origin).parent
    compile("warp", folder / "prefix", "-DNBCORE_PYTHON=OFF", "-DNBCORE_ISA_LIST=warp", "-DNBCORE_QUICK=ON")
    site = folder / "site" / "nbcore"
    shutil.copytree(plain, site, ignore=shutil.ignore_patterns("lib", "__pycache__"), dirs_exist_ok=True)
    shutil.copytree(folder / "prefix" / "lib", site / "lib", dirs_exist_ok=True)


def sanitize(*arguments):
    """Python and NumPy are not instrumented: the runtimes are loaded first; leaks are what the C driver looks for."""
    compilers = {**os.environ, "CC": "gcc", "CXX": "g++"}
    folder = ROOT / "build" / "sanitize"
    site = another_build("sanitize", "-DNBCORE_SANITIZE=address,undefined", environment=compilers)
    flags = "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
    sources, lib = sorted((ROOT / "tests/interfaces/c_driver").glob("*.c")), site / "nbcore" / "lib"
    run(
        "gcc", "-std=c99", *flags.split(), f"-I{site / 'nbcore/include'}", *sources, f"-L{lib}", "-l:libnbcore.so.0",
        f"-Wl,-rpath,{lib}", "-pthread", "-lm", "-o", folder / "driver",
    )  # fmt: skip
    if arguments[:1] == ("--only-build",):
        return

    def runtime(name):
        found = subprocess.run(["gcc", f"-print-file-name=lib{name}.so"], capture_output=True, text=True, check=True)
        return found.stdout.strip()

    environment = {
        "LD_PRELOAD": f"{runtime('asan')} {runtime('ubsan')}",
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "NBCORE_SANITIZED": flags,
    }
    # a report ends the process: pytest must not have caught it
    options = ["-p", "no:cacheprovider", "--capture=sys", "-m", "not own_memory"]
    test_there(site, [*options, *(arguments or SANITIZED)], environment)
    if not arguments:
        fuzz_with("fuzz_models.py", 0.25, "--driver", folder / "driver", "files")


def clang(*arguments):
    compilers = {**os.environ, "CC": "clang", "CXX": "clang++"}
    site = another_build("clang", "-DNBCORE_OPENMP=OFF", "-DNBCORE_QUICK=ON", environment=compilers)
    if arguments[:1] != ("--only-build",):
        test_there(site, arguments or CLANGED, {"CC": "clang", "CXX": "clang++"})


def aarch64(*arguments):
    system = Path("/usr/aarch64-linux-gnu")
    emulator = ["qemu-aarch64", "-L", system]
    prefix = ROOT / "build" / "aarch64" / "prefix"
    compile(
        "aarch64", prefix, "-DNBCORE_PYTHON=OFF", "-DNBCORE_ISA_LIST=generic", "-DNBCORE_QUICK=ON",
        "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        f"-DCMAKE_CROSSCOMPILING_EMULATOR={';'.join(map(str, emulator))}",
        environment={**os.environ, "CC": f"{system.name}-gcc", "CXX": f"{system.name}-g++"},
    )  # fmt: skip
    if arguments[:1] == ("--only-build",):
        return
    environment = {
        "CC": f"{system.name}-gcc",
        "CXX": f"{system.name}-g++",
        "FC": f"{system.name}-gfortran",
        "NBCORE_EMULATOR": " ".join(map(str, emulator)),
        "NBCORE_OTHER_PREFIX": str(prefix),
        "NBCORE_CYCLES": "100",
        "PYTHONPATH": str(ROOT),
    }
    run(sys.executable, "-m", "pytest", *(arguments or EMULATED), env=os.environ | environment)


def headers():
    """A header names all that it needs; none relies on what its first reader happens to include before."""
    import pybind11

    sites = {Path(p) for p in sys.path if p.endswith("site-packages")}
    found = [p / "cmeel.prefix/include/eigen3" for p in sites] + [p / "nlohmann_json/include" for p in sites]
    python = subprocess.run(
        [sys.executable, "-c", "import sysconfig; print(sysconfig.get_paths()['include'])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    include = [ROOT / "cpp/src", ROOT / "cpp/include"]
    system = [*(p for p in found if p.is_dir()), "/usr/include/eigen3", python.stdout.strip(), pybind11.get_include()]
    flags = [f"-I{p}" for p in include] + [word for p in system for word in ("-isystem", str(p))]
    flags += ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-ignored-attributes", "-Wno-psabi", "-fopenmp"]
    cxx, cc = os.environ.get("CXX", "c++"), os.environ.get("CC", "cc")
    ours = [*cxx.split(), "-std=c++20", "-march=native", '-DNBCORE_KERNEL_SET="native"', "-x", "c++"]
    ours.append("-fvisibility=hidden")  # as the build has it for pybind11's types
    public = ROOT / "cpp/include/nbcore"  # of users, who need not have C++20
    jobs = [(path, ours) for path in cpp_files() if path.suffix == ".hpp" and path.parent != public]
    abi = public / "nbcore.h"
    jobs += [(abi, [*cc.split(), "-std=c99", "-pedantic", "-x", "c"])]
    jobs += [(p, [*cxx.split(), "-std=c++17", "-pedantic", "-x", "c++"]) for p in (abi, abi.with_suffix(".hpp"))]

    def complaint(job):
        path, command = job
        text = f'#include "{path}"\n'
        done = subprocess.run([*command, *flags, "-"], input=text, capture_output=True, text=True)
        return done.returncode and f"{path.relative_to(ROOT)} ({command[1]}):\n{done.stderr[:2000]}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [text for text in pool.map(complaint, jobs) if text]
    print(f"{len(jobs)} headers compiled alone, {len(wrong)} with errors")
    if wrong:
        sys.exit("\n".join(wrong))


def fuzz_with(tool, minutes, *arguments):
    """With the build beside the sources or, where there is none, the package that is installed."""
    path = {"PYTHONPATH": str(ROOT)} if (ROOT / "nbcore" / "lib").is_dir() else {}
    run(sys.executable, ROOT / "tools" / tool, "--minutes", minutes, *arguments, env=os.environ | path)


def fuzz(minutes="1"):
    for tool in sorted((ROOT / "tools").glob("fuzz_*.py")):
        fuzz_with(tool.name, minutes)


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


VERBS = dict(
    build=build, test=test, sets=sets, warp=warp, sanitize=sanitize, clang=clang, aarch64=aarch64, headers=headers
)
VERBS |= dict(fuzz=fuzz, lint=lint, format=format, bench=bench)

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in VERBS:
        sys.exit(__doc__)
    try:
        VERBS[sys.argv[1]](*sys.argv[2:])
    except subprocess.CalledProcessError as e:
        sys.exit(e.returncode)
