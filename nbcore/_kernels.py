"""Kernel sets: the core library exists once per set, and one of them is loaded before anything needs it.

lib/kernel_sets names those installed, the least demanding first. That one lies in lib/, the others in
lib/glibc-hwcaps/NAME/, where programs without Python find them by themselves. All have one name for the loader
(libnbcore.so.0): whoever needs the library gets the one that was loaded first.

CMake runs this file too, to know what `native` means.
"""

import ctypes
import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

#: What a processor must have for a set, in the words of /proc/cpuinfo; the least demanding first
SETS = {"generic": frozenset()}
SETS["x86-64-v3"] = frozenset("avx avx2 bmi1 bmi2 f16c fma abm movbe".split())
SETS["x86-64-v4"] = SETS["x86-64-v3"] | frozenset("avx512f avx512bw avx512cd avx512dq avx512vl".split())

#: Sets for tests, which nobody gets who does not build them: `warp` is the text of GPUs, emulated (tools/dev.py warp)
EMULATED = {"warp": frozenset()}

ALL = "pip install . -C cmake.define.NBCORE_ISA_LIST=" + "\\;".join(SETS)


class Processor(NamedTuple):
    """A name for people, and what it can do."""

    name: str
    flags: frozenset

    def usable(self, sets) -> list[str]:
        """Those of `sets` that it can run, the best last."""
        return [name for name, needs in (EMULATED | SETS).items() if name in sets and needs <= self.flags]


class Choice(NamedTuple):
    """The set that runs, why, the sets that are installed, and the library."""

    name: str
    reason: str
    installed: list[str]
    library: Path


def processor() -> Processor:
    """The processor of this machine; without flags where the system does not list them."""
    entries = {}
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:  # of the first core: a large machine takes its time to list all
                key, _, value = line.partition(":")
                if not line.strip():
                    break
                entries[key.strip()] = value.strip()
    except OSError:
        pass
    return Processor(entries.get("model name", platform.machine()), frozenset(entries.get("flags", "").split()))


def choose(asked: str, installed: list[str], cpu: Processor) -> tuple[str, str]:
    """(name, reason) of the set to run. asked: the value of NBCORE_ISA, "" or "native" for the best one.

    ImportError names what is there, and what the processor lacks.
    """
    there = f"Installed: {', '.join(installed)}"
    if asked not in ("", "native"):
        if asked not in installed:
            raise ImportError(f"NBCORE_ISA={asked}: no such kernel set here. {there}; native is the best of them.")
        if not cpu.usable([asked]):
            raise ImportError(f"NBCORE_ISA={asked}: {_lacks(cpu, asked)}. {there}.")
        return asked, "NBCORE_ISA"
    usable = cpu.usable(installed)
    if not usable:
        raise ImportError(
            f"nbcore was built with kernels for {installed[0]}; {_lacks(cpu, installed[0])}. "
            f"Install it on this machine, or build it with kernels for all:  {ALL}"
        )
    return usable[-1], "the only one installed" if len(installed) == 1 else "the best for this processor"


def load() -> Choice:
    """Loads the library of the chosen set; from then on it is libnbcore.so.0 for everyone in this process."""
    folder = Path(find_spec("nbcore._core").origin).resolve().parent / "lib"  # editable installs: apart from this file
    installed = (folder / "kernel_sets").read_text().strip().split(";")
    name, reason = choose(os.environ.get("NBCORE_ISA", ""), installed, processor())
    place = folder if name == installed[0] else folder / "glibc-hwcaps" / name
    library = place / "libnbcore.so.0"
    ctypes.CDLL(str(library))
    return Choice(name, reason, installed, library)


def _lacks(cpu, name):
    return f"this processor ({cpu.name}) has no {' '.join(sorted(SETS[name] - cpu.flags))}"


def sets_to_build(wanted: list[str]) -> list[str]:
    """What CMake's NBCORE_ISA_LIST stands for, the least demanding first; ValueError for a name that does not exist.

    >>> sets_to_build(["x86-64-v3", "generic"])
    ['generic', 'x86-64-v3']
    """
    wanted = {processor().usable(SETS)[-1] if name == "native" else name for name in wanted}
    if not wanted or wanted - SETS.keys() - EMULATED.keys():
        raise ValueError(f"NBCORE_ISA_LIST: expected some of native, {', '.join(SETS)}; got {sorted(wanted)}")
    return [name for name in EMULATED | SETS if name in wanted]


if __name__ == "__main__":
    try:
        print(";".join(sets_to_build(sys.argv[1].split(";"))))
    except ValueError as error:
        sys.exit(f"{error}")
