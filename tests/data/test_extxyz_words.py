"""Extended XYZ as many programs write it: keywords in other letters, other columns, weights: read right, or refused."""

import ase.db
import numpy as np
import pytest
from ase import Atoms

from nbcore.data import read
from nbcore.errors import InputError

CELL = "4 0 0 1 5 0 0 0 6"
GOOD = (
    f'2\nLattice="{CELL}" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.5 '
    'virial="1 2 3 2 5 6 3 6 9" pbc="T T F"\n'
    "O 0 0 0 0.1 0.2 0.3\nH 0 0 1 -0.1 -0.2 -0.3\n"
)
NO_PBC = GOOD.replace(' pbc="T T F"', "")


def written(tmp_path, text):
    path = tmp_path / "a.xyz"
    path.write_bytes(text.encode())
    return path


SAME = [
    GOOD.replace("Lattice=", "lattice="),
    GOOD.replace("Lattice=", "LATTICE = "),
    GOOD.replace("Lattice=", "Cell="),
    GOOD.replace("Lattice=", "cell= "),
    GOOD.replace("pbc", "PBC"),
    GOOD.replace("pbc", "Pbc"),
    GOOD.replace('pbc="T T F"', 'pbc="1 1 0"'),
    GOOD.replace('pbc="T T F"', "PBC=[True, True, False]"),
    GOOD.replace("Properties=", "properties="),
    GOOD.replace("Properties=", "PROPERTIES = ").replace("forces", "force"),
    GOOD.replace("species:S:1:pos", "Element:S:1:POS"),
    GOOD.replace("pos:R:3", "positions:R:3").replace("species", "symbols"),
    GOOD.replace("species:S:1", "Z:I:1").replace("O 0", "8 0").replace("H 0", "1 0"),
    GOOD.replace("species:S:1", "numbers:I:1").replace("O 0", "8 0").replace("H 0", "1 0"),
    GOOD.replace("forces:R:3", "forces:R:3:Z:I:1").replace("0.3\nH", "0.3 8\nH").replace("-0.3\n", "-0.3 1\n"),
    GOOD.replace("energy=-1.5", "energy=-1.5D+00").replace("H 0 0 1", "H 0.D0 0 1.0d+00").replace("4 0 0", "4.0D0 0 0"),
    GOOD.replace("energy=-1.5", "energy = -1.5").replace("virial=", "Virial = "),
    GOOD.replace("energy", "Energy"),
    GOOD.replace("\n", "\r\n"),
    "\ufeff" + GOOD,
    GOOD.replace("O 0 0 0 0.1", "O\t0\t0  0\t0.1"),
    GOOD.replace('"4 0', '"  4 0').replace('6"', '6  "'),
    GOOD + "\n \n",
]


@pytest.mark.parametrize("text", SAME, ids=range(len(SAME)))
def test_the_same_frame_in_other_words(tmp_path, text):
    structure = read(written(tmp_path, text))[0]
    cell = np.array(CELL.split(), dtype=float).reshape(3, 3)
    np.testing.assert_array_equal(structure.cell, cell)
    assert structure.pbc.tolist() == [True, True, False]
    assert structure.energy == -1.5 and structure.numbers.tolist() == [8, 1]
    np.testing.assert_array_equal(structure.positions, [[0, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(structure.forces, [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
    np.testing.assert_allclose(structure.stress, -np.array([[1, 2, 3], [2, 5, 6], [3, 6, 9]]) / 120, rtol=1e-12)


@pytest.mark.parametrize("key", ["Lattice", "lattice", "LATTICE", "cell", "Cell", "unit_cell", "box"])
def test_a_cell_alone_means_three_periods(tmp_path, key):
    structure = read(written(tmp_path, NO_PBC.replace("Lattice", key)))[0]
    assert structure.pbc.all() and structure.cell[1].tolist() == [1, 5, 0]
    cell = read(written(tmp_path, NO_PBC.replace("Lattice", "cell").replace(CELL, "4 5 6")))[0].cell
    assert np.array_equal(cell, np.diag([4, 5, 6]))


REFUSED = [
    (NO_PBC.replace("Lattice", "cell").replace(CELL, "4 5 6 90 90 90"), 'cell="4 5 6 90 90 90" is no cell'),
    (NO_PBC.replace("Lattice", "cell").replace(CELL, "cubic"), 'cell="cubic" is no cell'),
    (GOOD.replace("energy", f'cell="{CELL.replace("5", "7")}" energy'), "cell and Lattice give different cells"),
    (GOOD.replace("energy", f'lattice="{CELL}" energy'), "the key Lattice stands 2 times"),
    (GOOD.replace("energy", 'PBC="T T T" energy'), "the key pbc stands 2 times"),
    (GOOD.replace("pbc", 'pbc="2 1 1" x'), "pbc: expected three of T and F"),
    (GOOD.replace("pos:R:3", "x:R:3"), r"has no positions \(pos:R:3\)"),
    (GOOD.replace("species:S:1", "name:S:1"), "has no elements"),
    (GOOD.replace("species", "specie s"), 'Properties="specie" is not a list of name:type:count'),
    (GOOD.replace("pos:R:3", "pos:R"), "is not a list of name:type:count"),
    (GOOD.replace("pos:R:3", "pos:Q:3"), "pos has the type 'Q'"),
    (GOOD.replace("pos:R:3", "pos:R:0"), "pos has '0' columns"),
    (GOOD.replace("pos:R:3", "pos:R:x"), "pos has 'x' columns"),
    (GOOD.replace("pos:R:3", "pos:R:2:a:R:1"), "pos must be pos:R:3, got pos:R:2"),
    (GOOD.replace("pos:R:3", "pos:S:3"), "pos must be pos:R:3, got pos:S:3"),
    (GOOD.replace("species:S:1", "species:I:1"), "species must be species:S:1"),
    (GOOD.replace("forces:R:3", "pos:R:3"), "pos is announced twice"),
    (GOOD.replace("forces:R:3", "positions:R:3"), "pos is announced twice"),
    (GOOD.replace("forces:R:3", ":R:3"), "a column has no name"),
    (GOOD.replace("H 0 0 1", "H 0 0 1_0"), 'pos: expected a number, got "1_0"'),
    ("2_0\n" + GOOD[2:], "expected the number of atoms"),
    (
        GOOD.replace("species:S:1", "Z:I:1").replace("O 0", "8 0").replace("H 0", "119 0"),
        r"atom 1 is of no element \(atomic number 119\)",
    ),
    (
        GOOD.replace("forces:R:3", "forces:R:3:Z:I:1").replace("0.3\nH", "0.3 8\nH").replace("-0.3\n", "-0.3 7\n"),
        "frame 0, atom 1: species is H, but Z is 7, which is N",
    ),
    (GOOD.replace("energy", "weight=-1 energy"), "weight is -1"),
]


@pytest.mark.parametrize("text, message", REFUSED, ids=range(len(REFUSED)))
def test_refused_by_name(tmp_path, text, message):
    path = written(tmp_path, GOOD + text)
    with pytest.raises(InputError, match=message.replace("frame 0", "frame 1")) as error:
        read(path)
    assert str(error.value).startswith(str(path)) and "frame 1" in str(error.value)


def test_columns_without_properties_are_said(tmp_path):
    data = read(written(tmp_path, "1\nenergy=-1\nH 0 0 0 1 2 3\n"), require=())
    assert "frame 0 has 7 columns, but no Properties=" in data.reading.remarks[0]


def test_weights_of_frames(tmp_path):
    data = read(
        written(tmp_path, GOOD.replace("energy", "weight=0.25 energy") + GOOD), config_type_weights={"Default": 2}
    )
    assert [s.weight for s in data] == [0.5, 2.0]
    assert "1 structures give a weight of their own, 0.25 to 0.25" in " ".join(data.reading.remarks)


@pytest.mark.parametrize("key, label", [
    ("energy_weight", "energy"), ("config_energy_weight", "energy"), ("config_forces_weight", "forces"),
    ("stress_weight", "stress"), ("config_virials_weight", "stress"),
])  # fmt: skip
def test_weights_of_labels(tmp_path, key, label):
    """As MACE and others write them; zero is a weight."""
    data = read(
        written(tmp_path, GOOD.replace("energy", f"{key}=0.0 energy") + GOOD), config_type_weights={"Default": 2}
    )
    assert [s.weight_of(label) for s in data] == [0.0, 2.0] and [s.weight for s in data] == [2.0, 2.0]
    assert data[0].label_weights == {label: 0.0} and not data[1].label_weights
    said = f"1 structures give a {label} weight of their own, 0 to 0; it counts in the loss."
    assert said in " ".join(data.reading.remarks)


@pytest.mark.parametrize("words, message", [
    ("energy_weight=1 config_energy_weight=2", "energy_weight=1 and config_energy_weight=2 contradict each other"),
    ("weight=1 config_weight=3", "weight=1 and config_weight=3 contradict each other"),
    ("forces_weight=-1", "forces_weight is -1; a weight is at least 0"),
    ('forces_weight="1 2"', "forces_weight is .*expected one finite number"),
])  # fmt: skip
def test_weights_that_are_none(tmp_path, words, message):
    with pytest.raises(InputError, match=f"frame 0.*{message}"):
        read(written(tmp_path, GOOD.replace("energy", f"{words} energy", 1)))


@pytest.mark.parametrize("name", ["a.db", "a.json"])
def test_labels_of_a_database_under_any_name(tmp_path, name):
    with ase.db.connect(tmp_path / name) as rows:
        for k in range(3):
            atoms = Atoms("HO", [[0, 0, 0], [0, 0, 1 + 0.01 * k]])
            rows.write(atoms, dft_energy=-3.0 - k, data={"grad": np.ones((2, 3)), "energy": np.array([-1.0 - k])})
    path = tmp_path / name
    data = read(path, energy_key="dft_energy", forces_key="grad")
    assert [s.energy for s in data] == [-3, -4, -5] and data[0].forces.tolist() == np.ones((2, 3)).tolist()
    assert [s.energy for s in read(path, forces_key="none")] == [-1, -2, -3]
    with pytest.raises(InputError, match="The frames hold: .*dft_energy"):
        read(path, energy_key="absent")


def test_a_crystal_of_one_atom_is_no_isolated_atom(tmp_path):
    def one(length, comment=""):
        cell = f"0 {length / 2} {length / 2} {length / 2} 0 {length / 2} {length / 2} {length / 2} 0"
        return f'1\nLattice="{cell}" energy=-1.0 {comment}\nCu 0 0 0\n'

    text = one(3.6) + one(10.0) + one(20.0) + one(12.0, "config_type=IsolatedAtom")
    data = read(written(tmp_path, text), require=())
    assert len(data) == 2 and [s.frame for s in data.isolated] == [2, 3]
    with pytest.raises(InputError, match="frame 0 .*its own image is 2.55 Å away: a crystal"):
        read(written(tmp_path, one(3.6, "config_type=IsolatedAtom")), require=())
