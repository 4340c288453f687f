"""Reading: keys, units, kinds of energy, formats, compression, globs, the same labels by hand and by `read`."""

import bz2
import gzip
import lzma
import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress

from nbcore import config
from nbcore.data import read
from nbcore.data import units as data_units
from nbcore.errors import InputError

FIXTURES = Path(__file__).parent / "fixtures"
STRESS = np.array([[0.01, 0.002, -0.003], [0.002, 0.02, 0.004], [-0.003, 0.004, -0.03]])


def frame(comment="energy=-1.5", columns="species:S:1:pos:R:3:forces:R:3", rows=None):
    rows = rows or ["O 0 0 0 0.1 0.2 0.3", "H 0 0 1 -0.1 -0.2 -0.3"]
    return f"{len(rows)}\nProperties={columns} {comment}\n" + "\n".join(rows) + "\n"


def box(comment, length=4.0):
    return frame(f'Lattice="{length} 0 0 0 {length} 0 0 0 {length}" energy=-1.5 {comment}')


def written(tmp_path, text, name="a.xyz"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_labels_and_their_place(tmp_path):
    data = read(written(tmp_path, frame("energy=-1.5 config_type=liquid") + frame("energy=-1.25")))
    assert [s.energy for s in data] == [-1.5, -1.25]
    assert data[0].config_type == "liquid" and data[1].config_type == "Default"
    np.testing.assert_array_equal(data[0].forces, [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
    assert data.species == ["H", "O"] and data[0].cell is None and not data[0].pbc.any()
    assert (data[1].frame, data[1].line) == (1, 5) and data[1].where.endswith("a.xyz, frame 1 (line 5)")
    assert data.reading.files[0].keys == {"energy": "energy", "forces": "forces"}


def test_every_ase_route_gives_the_same(tmp_path):
    """ASE writes, we read: extended XYZ, trajectory, database and json hold the same labels."""
    generator = np.random.default_rng(0)
    images = []
    for _ in range(3):
        atoms = Atoms(
            "OH2", generator.normal(size=(3, 3)), cell=np.eye(3) * 5 + generator.normal(size=(3, 3)), pbc=True
        )
        labels = dict(energy=generator.normal(), forces=generator.normal(size=(3, 3)))
        atoms.calc = SinglePointCalculator(atoms, stress=full_3x3_to_voigt_6_stress(STRESS), **labels)
        images.append(atoms)
    for name, tolerance in (("a.xyz", 1e-8), ("a.traj", 0), ("a.db", 0), ("a.json", 0)):
        ase.io.write(tmp_path / name, images)
        for s, atoms in zip(read(tmp_path / name), images, strict=True):
            np.testing.assert_allclose(s.positions, atoms.positions, rtol=0, atol=tolerance)
            np.testing.assert_allclose(s.forces, atoms.calc.results["forces"], rtol=0, atol=tolerance)
            np.testing.assert_allclose(s.stress, STRESS, rtol=1e-14)
            assert s.energy == pytest.approx(atoms.calc.results["energy"], rel=1e-14)
            back = s.to_ase()
            np.testing.assert_allclose(back.get_stress(), atoms.get_stress(), rtol=1e-14)
            np.testing.assert_array_equal(back.get_forces(), s.forces)


@pytest.mark.parametrize("pack, tail", [(gzip.compress, ".gz"), (lzma.compress, ".xz"), (bz2.compress, ".bz2")])
def test_compressed(tmp_path, pack, tail):
    packed, outcar = tmp_path / f"a.xyz{tail}", tmp_path / f"OUTCAR{tail}"
    packed.write_bytes(pack(frame().encode()))
    outcar.write_bytes(pack((FIXTURES / "vasp/strain_1/OUTCAR").read_bytes()))
    data = read([packed, outcar])
    assert [s.energy for s in data[:1]] == [-1.5] and len(data) == 3
    packed.write_bytes(pack(frame().encode())[:-6])
    with pytest.raises(InputError, match="damaged or cut short"):
        read(packed)


def test_globs_in_natural_order_and_each_file_once(tmp_path):
    for k in (1, 2, 10):
        written(tmp_path, frame(f"energy={k}"), f"run{k}.xyz")
    data = read([str(tmp_path / "run*.xyz"), tmp_path / "run2.xyz"])
    assert [s.energy for s in data] == [1, 2, 10]
    with pytest.raises(FileNotFoundError, match="no file has such a name"):
        read(tmp_path / "*.extxyz")
    with pytest.raises(FileNotFoundError, match="absent.xyz: no such file"):
        read(tmp_path / "absent.xyz")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read(tmp_path)


def test_names_with_spaces_and_brackets(tmp_path):
    assert read(written(tmp_path, frame(), "Wasser [300 K], größer.xyz"))[0].energy == -1.5


@pytest.mark.parametrize("ends", [("\n", "\r\n"), ("\n", "\r")])
def test_line_ends_and_byte_order_mark(tmp_path, ends):
    path = tmp_path / "a.xyz"
    path.write_bytes(b"\xef\xbb\xbf" + (frame() + frame() + "\n \n").replace(*ends).encode())
    assert len(read(path)) == 2


def test_comment_with_quotes_json_and_flags(tmp_path):
    text = frame("""energy=-2.5 note="it says \\"a = b\\"" tags='_JSON {"a": [1, 2]}' converged pbc="T F T" """)
    data = read(written(tmp_path, text.replace("Properties", 'Lattice="4 0 0 0 9 0 0 0 4" Properties')))
    assert data[0].energy == -2.5 and data[0].pbc.tolist() == [True, False, True]


def test_prefixed_and_plain_keys(tmp_path):
    rows = ["O 0 0 0 0.1 0.2 0.3", "H 0 0 1 -0.1 -0.2 -0.3"]
    text = frame("REF_energy=-3.5", "species:S:1:pos:R:3:REF_forces:R:3", rows)
    data = read(written(tmp_path, text))
    assert data[0].energy == -3.5 and data[0].forces[1, 2] == -0.3
    assert data.reading.files[0].keys == {"energy": "REF_energy", "forces": "REF_forces"}


def test_two_candidates_are_listed(tmp_path):
    path = written(tmp_path, frame("REF_energy=-3.5 energy=-1.0"))
    with pytest.raises(
        InputError, match=r"two candidates for the energy: REF_energy \(1 frames\), energy \(1 frames\)"
    ):
        read(path)
    assert read(path, energy_key="energy")[0].energy == -1.0


def test_an_absent_key_lists_what_is_there(tmp_path):
    path = written(tmp_path, frame("energy=-1 config_type=a", "species:S:1:pos:R:3:dft_forces:R:3"))
    with pytest.raises(InputError) as error:
        read(path)
    message = str(error.value)
    assert "no frame has forces" in message and "Looked for REF_forces, forces, force." in message
    assert "dft_forces (per atom, 3 columns)" in message and "config_type" in message
    assert 'forces_key = "dft_forces"' in message
    assert read(path, forces_key="dft_forces")[0].forces.shape == (2, 3)
    with pytest.raises(InputError, match="Looked for TotEnergy. The frames hold: config_type, "):
        read(path, energy_key="TotEnergy", forces_key="dft_forces")
    assert read(path, forces_key="none")[0].forces is None


@pytest.mark.parametrize(
    "energy, factor",
    [
        ("Hartree", units.Hartree),
        ("Ry", units.Rydberg),
        ("eV", 1.0),
        ("kcal/mol", units.kcal / units.mol),
        ("kJ/mol", units.kJ / units.mol),
    ],
)
@pytest.mark.parametrize("length, scale", [("Angstrom", 1.0), ("Bohr", units.Bohr)])
def test_units(tmp_path, energy, factor, length, scale):
    path = written(tmp_path, frame("energy=-1.5"))
    s = read(path, energy_unit=energy, length_unit=length)[0]
    assert s.energy == pytest.approx(-1.5 * factor, rel=1e-12)
    np.testing.assert_allclose(s.positions[1], [0, 0, scale], rtol=1e-12)
    np.testing.assert_allclose(s.forces[0], np.array([0.1, 0.2, 0.3]) * factor / scale, rtol=1e-12)
    mixed = read(path, energy_unit=energy, length_unit=length, forces_unit="Hartree/Bohr")[0]
    np.testing.assert_allclose(mixed.forces[0], np.array([0.1, 0.2, 0.3]) * units.Hartree / units.Bohr, rtol=1e-12)


def test_codata_by_hand():
    """Against the constants of CODATA 2014, which ase.units uses, typed in."""
    assert data_units.ENERGY["Hartree"] == pytest.approx(27.21138602, rel=1e-9)
    assert data_units.ENERGY["kcal/mol"] == pytest.approx(0.0433641, rel=1e-6)
    assert data_units.LENGTH["Bohr"] == pytest.approx(0.52917721067, rel=1e-9)
    assert data_units.PRESSURE["GPa"] == pytest.approx(1 / 160.21766208, rel=1e-9)


def test_configuration_and_reader_take_the_same_units():
    for key, table in (
        ("energy_unit", data_units.ENERGY),
        ("length_unit", data_units.LENGTH),
        ("stress_unit", data_units.PRESSURE),
    ):
        for unit in table:
            content = {"name": "a", "data": {"train": "a", key: unit}, "model": {"cutoff": 5}}
            assert getattr(config.from_dict(content).data, key) == unit


NINE = " ".join(map(str, STRESS.ravel()))
SIX = " ".join(str(STRESS[i]) for i in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)))


@pytest.mark.parametrize(
    "comment",
    [
        f'stress="{NINE}"',
        f'stress="{SIX}"',
        f'REF_stress="{NINE}"',
        f'REF_stress="{SIX}"',
        'virial="{}"'.format(" ".join(map(str, (-64 * STRESS).ravel()))),
    ],
)
def test_stress_in_every_form(tmp_path, comment):
    np.testing.assert_allclose(read(written(tmp_path, box(comment)))[0].stress, STRESS, rtol=1e-12)


@pytest.mark.parametrize(
    "unit, factor",
    [
        ("GPa", units.GPa),
        ("kbar", 0.1 * units.GPa),
        ("bar", 1e-4 * units.GPa),
        ("Hartree/Bohr^3", units.Hartree / units.Bohr**3),
    ],
)
def test_stress_units_and_sign(tmp_path, unit, factor):
    path = written(tmp_path, box(f'stress="{NINE}"'))
    np.testing.assert_allclose(read(path, stress_unit=unit)[0].stress, STRESS * factor, rtol=1e-12)
    pressure = read(path, stress_unit=unit, stress_sign="pressure")[0].stress
    np.testing.assert_allclose(pressure, -STRESS * factor, rtol=1e-12)


def test_virial_with_units(tmp_path):
    """stress = -virial / volume: virial in energy_unit, volume from a cell in length_unit."""
    path = written(tmp_path, box(f'virial="{NINE}"'))
    stress = read(path, energy_unit="Hartree", length_unit="Bohr")[0].stress
    np.testing.assert_allclose(stress, -STRESS * units.Hartree / (4 * units.Bohr) ** 3, rtol=1e-12)


def test_stress_and_virial_together(tmp_path):
    virial = " ".join(map(str, (-64 * STRESS).ravel()))
    np.testing.assert_allclose(
        read(written(tmp_path, box(f'stress="{NINE}" virial="{virial}"')))[0].stress, STRESS, rtol=1e-12
    )
    wrong = " ".join(map(str, (-64 * STRESS * (1 + 1e-5)).ravel()))
    with pytest.raises(InputError, match="stress and virial disagree"):
        read(written(tmp_path, box(f'stress="{NINE}" virial="{wrong}"')))
    flipped = " ".join(map(str, (64 * STRESS).ravel()))
    with pytest.raises(InputError, match='They agree with stress_sign = "pressure"'):
        read(written(tmp_path, box(f'stress="{NINE}" virial="{flipped}"')))


@pytest.mark.parametrize("pbc", ["T T T", "T T F", "F F F"])
def test_stress_wherever_the_cell_has_a_volume(tmp_path, pbc):
    data = read(written(tmp_path, box(f'stress="{NINE}" pbc="{pbc}"')))
    np.testing.assert_allclose(data[0].stress, STRESS, rtol=1e-12)
    assert not data.reading.remarks


def test_a_stress_without_a_volume_is_said_to_be_unused(tmp_path):
    flat = box(f'stress="{NINE}" pbc="T T F"').replace('0 0 4.0"', '0 0 0"')
    data = read(written(tmp_path, flat))
    assert data[0].stress is None and "have no cell with a volume" in data.reading.remarks[0]


def test_free_energy_where_the_kinds_differ(tmp_path):
    path = written(tmp_path, frame("energy=-1.5 free_energy=-1.6") + frame("energy=-1.5 free_energy=-1.52"))
    data = read(path)
    assert [s.energy for s in data] == [-1.6, -1.52]
    assert "differ by up to 50 meV/atom; the free energy is used" in data.reading.remarks[0]
    assert [s.energy for s in read(path, energy_kind="zero")] == [-1.5, -1.5]
    assert [s.energy for s in read(path, energy_key="energy")] == [-1.5, -1.5]
    same = read(written(tmp_path, frame("energy=-1.5 free_energy=-1.5"), "b.xyz"))
    assert same[0].energy == -1.5 and not same.reading.remarks
    assert read(written(tmp_path, frame("free_energy=-1.7"), "c.xyz"))[0].energy == -1.7
    with pytest.raises(InputError, match="no frame has a free energy"):
        read(written(tmp_path, frame(), "d.xyz"), energy_kind="free")


def test_missing_labels(tmp_path):
    bare = frame("energy=-1", "species:S:1:pos:R:3", ["O 0 0 0", "H 0 0 1"])
    path = written(tmp_path, frame() + bare + frame() + bare)
    with pytest.raises(InputError) as error:
        read(path)
    assert "a.xyz, frame 1 (line 5): no forces, although 2 other frames have them. So it is with 1 more." in str(
        error.value
    )
    assert 'missing = "mask"  to use its energy alone' in str(error.value)
    data = read(path, missing="mask")
    assert [s.forces is None for s in data] == [False, True, False, True] and data.reading.missing == {"forces": 2}
    with pytest.raises(InputError, match="no energy, although 1 other frames have one"):
        read(written(tmp_path, frame() + frame("x=1")))
    with pytest.raises(InputError, match="no stress, although 1 other frames have one"):
        read(written(tmp_path, box(f'stress="{NINE}"') + box("")))


def test_what_need_not_be_there(tmp_path):
    """Stress without three periods, forces on one atom in a small periodic cell."""
    cell = '1\nLattice="2 2 0 2 0 2 0 2 2" Properties=species:S:1:pos:R:3 energy=-4.0 pbc="T T T"\nCu 0 0 0\n'
    data = read(written(tmp_path, frame() + cell + box("").replace("pbc", "p")))
    assert len(data) == 3 and not data.isolated and not data.reading.remarks


def test_weights(tmp_path):
    path = written(tmp_path, frame("energy=-1 config_type=a") + frame("energy=-1"))
    assert [s.weight for s in read(path, config_type_weights={"Default": 0.5, "a": 2.0})] == [2.0, 0.5]
    with pytest.raises(InputError, match="no structure is of type b. There are: a, Default"):
        read(path, config_type_weights={"b": 2.0})


def by_hand(path, pattern):
    """Numbers of all lines that match, typed out of the file by a regular expression, not by a reader."""
    return [[float(x) for x in m.groups()] for m in re.finditer(pattern, path.read_text(), re.MULTILINE)]


NUMBER, PLACE, FORCE = r"\s+(-?\d+\.\d+)", r" +(-?\d+\.\d{5})", r" +(-?\d+\.\d{6})"


def test_vasp_cp2k_and_orca_by_hand():
    """Energies and forces to 1e-9 of the printed values, converted with typed-in constants."""
    hartree, bohr = 27.211386024367243, 0.5291772105638411
    paths = [str(FIXTURES / "vasp/*/OUTCAR"), FIXTURES / "cp2k/water-frc-1.xyz", FIXTURES / "cp2k/water-pos-1.xyz"]
    data = read([*paths, FIXTURES / "orca/water_opt.out"])
    assert [s.formula for s in data] == ["Al4"] * 4 + ["H2O"] * 5

    outcars = [FIXTURES / f"vasp/strain_{k}/OUTCAR" for k in (1, 2, 10)]
    free = [x[0] for p in outcars for x in by_hand(p, r"free  energy   TOTEN  =" + NUMBER)]
    forces = [x for p in outcars for x in by_hand(p, rf"^{PLACE * 3}{FORCE * 3} *$")]
    np.testing.assert_allclose([s.energy for s in data[:4]], free, rtol=0, atol=1e-9)
    np.testing.assert_allclose(np.concatenate([s.forces for s in data[:4]]), np.array(forces)[:, 3:], rtol=0, atol=1e-9)
    pressure = [x for p in outcars for x in by_hand(p, r"^  in kB" + NUMBER * 6)]  # xx yy zz xy yz zx
    stress = [[s.stress[i] for i in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))] for s in data[:4]]
    np.testing.assert_allclose(stress, -np.array(pressure) / 1602.1766208, rtol=1e-9)
    assert any("free energy is used" in r for r in data.reading.remarks)

    pos, frc = FIXTURES / "cp2k/water-pos-1.xyz", FIXTURES / "cp2k/water-frc-1.xyz"
    energies = [x[0] for x in by_hand(pos, r"E =" + NUMBER)]
    rows = r"^\s+(?:O|H)" + NUMBER * 3
    np.testing.assert_allclose([s.energy for s in data[4:7]], np.array(energies) * hartree, rtol=1e-14)
    np.testing.assert_allclose(
        np.concatenate([s.forces for s in data[4:7]]), np.array(by_hand(frc, rows)) * hartree / bohr, rtol=0, atol=1e-9
    )
    np.testing.assert_array_equal(np.concatenate([s.positions for s in data[4:7]]), by_hand(pos, rows))

    orca = FIXTURES / "orca/water_opt.out"
    energies = [x[0] for x in by_hand(orca, r"FINAL SINGLE POINT ENERGY" + NUMBER)]
    gradient = by_hand(orca, r"^\s+\d+\s+[OH]\s+:" + NUMBER * 3)
    np.testing.assert_allclose([s.energy for s in data[7:]], np.array(energies[:2]) * hartree, rtol=1e-14)
    np.testing.assert_allclose(
        np.concatenate([s.forces for s in data[7:]]), -np.array(gradient) * hartree / bohr, rtol=0, atol=1e-9
    )
    assert any("has no gradient; frame left out" in r for r in data.reading.remarks)


def test_units_of_the_user_leave_program_outputs_alone(tmp_path):
    data = read(
        [written(tmp_path, frame("dft=-1.5")), FIXTURES / "vasp/strain_2/OUTCAR"],
        energy_unit="Hartree",
        energy_key="dft",
    )
    assert data[0].energy == pytest.approx(-1.5 * units.Hartree)
    assert data[1].energy == read(FIXTURES / "vasp/strain_2/OUTCAR")[0].energy


def test_cp2k_cell_and_partner(tmp_path):
    for kind in ("pos", "frc"):
        text = (FIXTURES / f"cp2k/water-{kind}-1.xyz").read_text()
        (tmp_path / f"water-{kind}-1.xyz.gz").write_bytes(gzip.compress(text.encode()))
    cells = "#   Step   Time [fs]       Ax [Angstrom] ...\n" + "".join(
        f"{5 * k} {2.5 * k} 9.{k} 0.0 0.0 0.0 9.0 0.0 0.0 0.0 9.0 700.0\n" for k in range(3)
    )
    (tmp_path / "water-1.cell").write_text(cells)
    data = read(tmp_path / "water-pos-1.xyz.gz")
    assert [s.cell[0, 0] for s in data] == [9.0, 9.1, 9.2] and data[0].periodic and data[2].forces is not None
    (tmp_path / "water-pos-1.xyz.gz").unlink()
    with pytest.raises(InputError, match="CP2K forces without their positions"):
        read(tmp_path / "water-frc-1.xyz.gz")


def test_slices_and_sums_are_structures(tmp_path):
    path = written(tmp_path, frame("energy=1") + frame("energy=2") + "1\nenergy=-13.6\nH 0 0 0\n")
    data = read(path)
    assert len(data) == 2 and len(data.isolated) == 1
    assert [s.energy for s in data[::-1]] == [2, 1] and data[:1].isolated == data.isolated
    both = data[:1] + data[1:]
    assert [s.energy for s in both] == [1, 2] and len(both.isolated) == 1 and both.species == ["H", "O"]
    assert [s.energy for s in data[np.array([1, 0, 1])]] == [2, 1, 2]
