"""Bad files: an InputError that names file, line or frame, and the value; never another exception."""

import numpy as np
import pytest

from nbcore.data import read
from nbcore.errors import InputError

GOOD = "2\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-1.5\nO 0 0 0 0.1 0.2 0.3\nH 0 0 1 -0.1 -0.2 -0.3\n"
CELL = GOOD.replace("energy", 'Lattice="4 0 0 0 4 0 0 0 4" energy')

TABLE = [
    (
        "count too small",
        GOOD.replace("2\n", "1\n", 1),
        r"a.xyz:4: expected the number of atoms of frame 1, got \"H 0 0 1",
    ),
    (
        "count too large",
        GOOD.replace("2\n", "3\n", 1) + GOOD,
        r"a.xyz:5: frame 0, atom 2: expected 7 columns .* got \"2\"",
    ),
    (
        "count is a word",
        GOOD.replace("2\n", "two\n", 1),
        r"a.xyz:1: expected the number of atoms of frame 0, got \"two\"",
    ),
    ("no atoms", GOOD + "0\nenergy=0\n", r"a.xyz:5: frame 1 has 0 atoms"),
    ("missing column", GOOD.replace(" -0.3\n", "\n"), r"a.xyz:4: frame 0, atom 1: expected 7 columns .* got 6"),
    ("extra column", GOOD.replace(" -0.3\n", " -0.3 9\n"), r"a.xyz:4: .* expected 7 columns .* got 8"),
    (
        "bad number",
        GOOD.replace("0.2 0.3", "0.2x 0.3"),
        r"a.xyz:3: frame 0, atom 0: forces: expected a number, got \"0.2x\"",
    ),
    (
        "bad position",
        GOOD.replace("H 0 0 1", "H 0 0 1.F0"),
        r"a.xyz:4: frame 0, atom 1: pos: expected a number, got \"1.F0\"",
    ),
    ("no such element", GOOD.replace("H 0", "Hx 0"), r"a.xyz:4: frame 0, atom 1: no such element: \"Hx\""),
    ("duplicate key", GOOD.replace("-1.5", "-1.5 energy=-1.6"), r"a.xyz:2: frame 0: the key energy stands 2 times"),
    (
        "forces (N, 2)",
        GOOD.replace("forces:R:3", "forces:R:2:x:R:1"),
        r"forces must be numbers of shape \(2, 3\), got .*2, 2",
    ),
    ("forces of words", GOOD.replace("forces:R:3", "forces:S:3").replace("0.2", "x"), r"a.xyz:2: frame 0: .*x"),
    (
        "forces not finite",
        GOOD.replace("-0.2", "nan"),
        r"frame 0 \(line 1\): forces of atom 1, component y, is not finite: nan",
    ),
    (
        "energy not finite",
        GOOD.replace("-1.5", "inf"),
        r"frame 0 \(line 1\): energy is .*inf.* expected one finite number",
    ),
    ("energy is a word", GOOD.replace("-1.5", "low"), r"energy is 'low'; expected one finite number"),
    ("energy is a list", GOOD.replace("-1.5", '"1 2"'), r"expected one finite number"),
    (
        "position not finite",
        GOOD.replace("H 0 0 1", "H 0 0 inf"),
        r"frame 0 \(line 1\): the position of atom 1 is not finite",
    ),
    ("cell not finite", CELL.replace("4 0 0 0 4", "nan 0 0 0 4"), r"the cell is not finite"),
    ("Lattice of eight", CELL.replace('0 0 0 4"', '0 0 4"'), r"a.xyz:2: frame 0: .*Lattice"),
    ("singular cell", CELL.replace("4 0 0 0 4 0 0 0 4", "4 0 0 4 0 0 0 0 4"), r"the cell has no volume there"),
    (
        "periodic without cell",
        GOOD.replace("energy", 'pbc="T T T" energy'),
        r'pbc is "T T T", but the cell has no volume',
    ),
    ("pbc of words", CELL.replace("energy", 'pbc="yes no" energy'), r"a.xyz:2: frame 0: "),
    (
        "stress asymmetric",
        CELL.replace("energy", 'stress="1 2 3 9 5 6 7 8 9" energy'),
        r"stress is not symmetric: 1 9 7 2",
    ),
    ("stress of five", CELL.replace("energy", 'stress="1 2 3 4 5" energy'), r"a.xyz:2: frame 0: .*stress"),
    ("stress of words", CELL.replace("energy", 'REF_stress="a b c d e f" energy'), r"REF_stress must be"),
    ("stress not finite", CELL.replace("energy", 'stress="1 2 3 4 nan 6" energy'), r"stress is not finite: nan"),
    (
        "last lines cut",
        GOOD + GOOD[: GOOD.index("H 0")],
        r"a.xyz:7: the file ends within frame 1 \(line 5\): 2 atoms announced, 1 there",
    ),
    ("last line cut", GOOD + GOOD[:-10], r"a.xyz:8: frame 1, atom 1: expected 7 columns .* got 5"),
    ("empty line between", GOOD + "\n" + GOOD, r"a.xyz:5: expected the number of atoms of frame 1, got an empty line"),
    ("Properties broken", GOOD.replace("pos:R:3", "pos:Q:3"), r"a.xyz:2: frame 0: Properties=.*pos has the type 'Q'"),
    ("json broken", GOOD.replace("energy", "a='_JSON {1' energy"), r"a.xyz:2: frame 0: "),
    ("empty file", "", r"a.xyz: the file is empty"),
    ("not text", "\0\1\2" * 30, r"a.xyz: not a text file"),
]


@pytest.mark.parametrize("text, message", [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_bad_extxyz(tmp_path, text, message):
    path = tmp_path / "a.xyz"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read(path)
    assert str(error.value).startswith(str(path))


def test_the_table_begins_from_good_files(tmp_path):
    for k, text in enumerate((GOOD, CELL)):
        path = tmp_path / f"{k}.xyz"
        path.write_text(text)
        assert read(path)[0].energy == -1.5


@pytest.mark.parametrize("seed", range(60))
def test_damaged_files_raise_nothing_else(tmp_path, seed):
    """Random damage of the text: read, or InputError; the reader never fails in another way."""
    generator = np.random.default_rng(seed)
    text = list(CELL.replace("energy", 'stress="1 2 3 2 5 6 3 6 9" note="a b" energy') + GOOD)
    for _ in range(generator.integers(1, 5)):
        at = generator.integers(len(text))
        action = generator.integers(3)
        if action == 0:
            del text[at]
        else:
            text[at:at] = generator.choice(list(" \n=\":'{}[]0-x.T\\"))
    path = tmp_path / "a.xyz"
    path.write_text("".join(text))
    try:
        read(path, missing="mask")
    except InputError as error:
        assert "a.xyz" in str(error)


def test_other_files(tmp_path):
    (tmp_path / "notes.txt").write_text("Dear diary,\n")
    with pytest.raises(InputError, match="notes.txt: "):
        read(tmp_path / "notes.txt")
    (tmp_path / "OUTCAR").write_text(" vasp.6.3.2\n")
    with pytest.raises(InputError, match="OUTCAR: could not be read as vasp-out"):
        read(tmp_path / "OUTCAR")
    (tmp_path / "job.out").write_text("* O   R   C   A *\nORCA finished by error termination in SCF\n")
    with pytest.raises(InputError, match="job.out: could not be read as orca-output"):
        read(tmp_path / "job.out")
    (tmp_path / "w-pos-1.xyz").write_text(GOOD)
    with pytest.raises(InputError, match="expected a CP2K comment"):
        read(tmp_path / "w-pos-1.xyz")


@pytest.mark.parametrize(
    "option", ["energy_unit", "length_unit", "forces_unit", "stress_unit", "stress_sign", "missing", "energy_kind"]
)
def test_options_that_do_not_exist(tmp_path, option):
    path = tmp_path / "a.xyz"
    path.write_text(GOOD)
    with pytest.raises(InputError, match=f"{option}: expected .* got 'furlong'"):
        read(path, **{option: "furlong"})
