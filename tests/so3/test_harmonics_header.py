"""A7 for the C++ header: single precision, registers, and a user's own number type (values with tangents)."""

import os
import subprocess
from pathlib import Path

from so3_oracles import check

here = Path(__file__).resolve().parent


def test_number_types(tmp_path):
    program = tmp_path / "harmonics_header"
    compiler = os.environ.get("CXX", "c++")
    subprocess.run(
        [compiler, "-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", f"-I{here.parents[1] / 'cpp/src'}"]
        + [here / "harmonics_header.cpp", "-o", program],
        check=True,
    )
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    registers, floats, tangents, second = map(float, output.split())
    check("A7 registers against scalars", registers, 1e-14)
    check("A7 single precision, of 3e-7 (l+1)", floats, 1)
    check("A7 tangent = gradient along a direction", tangents, 1e-13)
    check("A7 tangent of the gradient, by differences", second, 1e-6)
