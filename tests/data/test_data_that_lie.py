"""Data that are not what they seem: kinds of energy, E0s, stresses, copies, outliers: each is said, or read right."""

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT

from nbcore.data import Structure, Structures, audit, read, read_sets, split, write_extxyz
from nbcore.data.distances import copies, duplicates
from nbcore.data.rough_potential import energy_to_forces, stress_to_energies
from nbcore.data.units_check import stress_remarks
from nbcore.errors import InputError


def crystals(n=12, elements=("Cu",), seed=0, pbc=True):
    """Strained and displaced fcc cells of eight atoms with energies, forces and stresses of EMT."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(n):
        atoms = bulk("Cu", "fcc", a=3.6, cubic=True) * (2, 1, 1)
        atoms.symbols = rng.permutation(np.resize(elements, 8))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * rng.standard_normal((3, 3))), scale_atoms=True)
        atoms.positions += 0.1 * rng.standard_normal((8, 3))
        atoms.calc = EMT()
        atoms.get_stress()
        s = Structure.from_ase(atoms)
        s.file, s.frame = "a.xyz", k
        found.append(s)
    return Structures(found)


def remarks(structures, **options):
    return " ".join(audit(structures, **options).remarks)


# ---- stresses ----


@pytest.mark.parametrize(
    "factor, said",
    [
        (1.0, ()),
        (1 / units.GPa, ('stress_unit = "GPa"',)),
        (-10 / units.GPa, ('stress_unit = "kbar"', 'stress_sign = "pressure"')),
        (-1.0, ('stress_sign = "pressure"',)),
        (1e4 / units.GPa, ('stress_unit = "bar"',)),
    ],
)
@pytest.mark.parametrize("elements", [("Cu",), ("Cu", "Au", "Pt")])
def test_stresses_of_another_unit_or_sign(factor, said, elements):
    data = crystals(16, elements)
    for s in data:
        s.stress = factor * s.stress
    text = " ".join(stress_remarks(data))
    assert bool(text) == bool(said)
    for words in said:
        assert words in text
    assert ("stress_sign" in text) == (factor < 0)
    assert audit(data).units_plausible != bool(said)


def test_the_configuration_that_is_named_mends_it(tmp_path):
    data = crystals()
    for s in data:
        s.stress = -10 / units.GPa * s.stress
    write_extxyz(data, tmp_path / "a.xyz")
    assert stress_remarks(read(tmp_path / "a.xyz"))
    assert not stress_remarks(read(tmp_path / "a.xyz", stress_unit="kbar", stress_sign="pressure"))


def test_stresses_that_are_all_zero():
    data = crystals()
    for s in data:
        s.stress = 0 * s.stress
    assert "exactly zero" in remarks(data) and 'stress_key = "none"' in remarks(data)


def test_degenerate_data_have_no_agreement():
    """No pairs within reach, no differences: nothing to compare, no error of linear algebra."""
    far = [
        Structure(np.array([[0, 0, 0], [0, 0, 7.0 + k]]), np.array([18, 18]), energy=-1.0 * k, forces=np.zeros((2, 3)))
        for k in range(9)
    ]
    assert energy_to_forces(far) == (0, 0) and stress_to_energies(far) == (0, 0)
    audit(Structures(far))
    same = crystals(1)[0]
    assert energy_to_forces([same] * 9).correlation == 0
    audit(Structures([same] * 9))


# ---- energies ----


def frame(comment, z=0.0):
    return f"2\nProperties=species:S:1:pos:R:3:forces:R:3 {comment}\nO 0 0 0 0 0 {0.3 + z}\nH 0 0 {1 + z} 0 0 -0.3\n"


def test_two_kinds_of_energy_in_two_files(tmp_path):
    for name, comment in (
        ("free", "energy=-1 free_energy=-1.4"),
        ("only", "free_energy=-1.4"),
        ("plain", "energy=-1"),
        ("same", "energy=-1 free_energy=-1"),
    ):
        (tmp_path / f"{name}.xyz").write_text(frame(comment))

    def said(*names, **keys):
        data = read([tmp_path / f"{name}.xyz" for name in names], **keys)
        return [text for text in data.reading.remarks if "Two kinds of energy" in text]

    for first in ("free", "only"):
        (text,) = said(first, "plain")
        assert f"{first}.xyz" in text and "plain.xyz" in text and 'energy_kind = "zero"' in text
    assert not said("free", "only") and not said("plain", "same") and not said("free", "same")
    assert not said("free", "plain", energy_kind="zero") and not said("free", "plain", energy_key="energy")


def test_isolated_atoms_of_another_method():
    data = crystals()
    atom = Structure(np.zeros((1, 3)), np.array([29]), energy=3.5)
    good = Structures(data, [atom])
    assert audit(good).E0.source == "isolated" and "bound by" not in remarks(good)
    for shift in (-45.0, +1640.0):
        bad = Structures(data, [Structure(np.zeros((1, 3)), np.array([29]), energy=3.5 + shift)])
        assert 'E0s = "fit"' in remarks(bad) and not audit(bad).units_plausible


# ---- copies ----


def exchanged(seed):
    """Two alloys on one lattice in which two neighbours of different elements change places."""
    atoms = bulk("Cu", "fcc", a=3.8, cubic=True) * (2, 2, 2)
    rng = np.random.default_rng(seed)
    atoms.symbols = rng.permutation(np.resize(["Cu", "Au"], len(atoms)))
    other = atoms.copy()
    i = int(np.flatnonzero(atoms.symbols == "Cu")[0])
    gold = np.flatnonzero(atoms.symbols == "Au")
    j = int(gold[np.argmin(atoms.get_distances(i, gold, mic=True))])
    other.numbers[[i, j]] = other.numbers[[j, i]]
    return atoms, other


@pytest.mark.parametrize("seed", range(8))
def test_elements_that_change_places_are_no_duplicate(seed):
    """EMT is the truth: other energies or forces, other structures. A copy in another frame is a duplicate."""
    one, two = exchanged(seed)
    for atoms in (one, two):
        atoms.calc = EMT()
    differ = abs(one.get_potential_energy() - two.get_potential_energy())
    forces = [np.sort(np.linalg.norm(a.get_forces(), axis=1)) for a in (one, two)]
    assert differ > 1e-6 or np.abs(forces[0] - forces[1]).max() > 1e-6
    bare = [Structure(a.positions, a.numbers, a.cell.array, np.ones(3, bool)) for a in (one, two)]
    assert duplicates(bare) == []
    order = np.random.default_rng(seed).permutation(len(one))
    copy = one[order]
    copy.rotate(37, (1, 2, 3), rotate_cell=True)
    copy.positions += [0.3, 1.7, -0.2]
    bare.append(Structure(copy.positions, copy.numbers, copy.cell.array, np.ones(3, bool)))
    assert duplicates(bare) == [(0, 2)]


def test_forces_are_a_veto():
    a, b = (crystals(1)[0] for _ in range(2))
    b.forces = b.forces[::-1]
    assert duplicates([a, b]) == [(0, 1)]  # the same lengths
    b.forces = 2 * b.forces
    assert duplicates([a, b]) == []


@pytest.mark.parametrize("seed", range(6))
def test_a_random_split_keeps_copies_together(seed):
    data = crystals(30)
    data = Structures([*data, *data[:20], *data[5:12]])
    first = copies(data)
    assert len(set(first)) == 30
    parts = split(data, [0.7, 0.2, 0.1], seed)
    places = {id(s): k for k, s in enumerate(data)}
    names = [{int(first[places[id(s)]]) for s in part} for part in parts]
    # the same object may stand at two places: groups are what counts
    assert not names[0] & names[1] and not names[0] & names[2] and not names[1] & names[2]
    assert sum(map(len, parts)) == len(data) and all(len(part) for part in parts)
    assert abs(len(parts[1]) - 11.4) < 4
    again = split(data, [0.7, 0.2, 0.1], seed)
    assert [[id(s) for s in part] for part in parts] == [[id(s) for s in part] for part in again]


def test_a_split_without_copies_is_a_permutation_that_is_cut():
    data = crystals(20)
    order = np.random.default_rng(3).permutation(20)
    train, valid = split(data, [0.75, 0.25], 3)
    assert [s.frame for s in train] == sorted(order[:15]) and [s.frame for s in valid] == sorted(order[15:])


def test_copies_alone_are_cut_all_the_same():
    assert [len(part) for part in split(Structures([crystals(1)[0]] * 4), [0.5, 0.5])] == [2, 2]


# ---- outliers and overlaps ----


def test_unphysical_frames_are_named():
    data = crystals(8)
    data[3].energy += 4000.0
    data[5].forces[2, 1] = 1e5
    text = remarks(data)
    assert "a.xyz, frame 3" in text and "a.xyz, frame 5" in text and "100000.0" in text
    few = crystals(3)
    few[1].energy -= 2000.0
    few[2].forces[0] = 2e4
    assert "a.xyz, frame 1" in remarks(few) and "a.xyz, frame 2" in remarks(few)


@pytest.mark.parametrize("where", ["molecule", "crystal", "image"])
def test_atoms_on_top_of_each_other_are_named(tmp_path, where):
    from nbcore import config

    data = crystals(6)
    s = data[4]
    if where == "molecule":
        s.cell, s.pbc = None, np.zeros(3, bool)
    s.positions = s.positions.copy()
    s.positions[6] = s.positions[1] + (s.cell[0] if where == "image" else 0)
    write_extxyz(data, tmp_path / "t.xyz")
    text = remarks(read(tmp_path / "t.xyz", missing="mask"))
    assert "1 structure has atoms on top of each other" in text and "t.xyz, frame 4" in text
    table = {"name": "x", "data": {"train": "t.xyz", "valid": 0.3, "missing": "mask"}, "model": {"cutoff": 4.0}}
    with pytest.raises(InputError, match=r"t.xyz, frame 4 .*: atoms 1 \(Cu\) and 6 \(Cu\) are"):
        read_sets(config.from_dict(table, "c", str(tmp_path)))


def test_forces_of_zeros_are_said_where_no_symmetry_asks_for_them():
    from ase.build import bulk, molecule

    def structures(atoms, shake, forces=0.0):
        random = np.random.default_rng(3)
        many = []
        for k in range(4):
            here = atoms.copy()
            here.set_cell(here.cell * (1 + 0.01 * k), scale_atoms=True)
            here.positions += random.normal(0.0, shake, here.positions.shape) if shake else 0.0
            cell = here.cell.array if here.cell.any() else None
            labels = {"energy": -3.0 + 0.1 * k, "forces": np.full(here.positions.shape, forces)}
            many.append(Structure(here.positions, here.numbers, cell, here.pbc, file="a.xyz", frame=k, **labels))
        return many

    def said(many):
        return [remark for remark in audit(Structures(many)).remarks if "exactly zero" in remark]

    moved = structures(bulk("Cu", "fcc", a=3.6, cubic=True), 0.05)
    assert 'forces_key = "none"' in said(moved)[0] and "a.xyz, frame 0" in said(moved)[0]
    assert said(structures(molecule("H2O"), 0.05))
    for at_rest in (bulk("Cu", "fcc", a=3.6), bulk("NaCl", "rocksalt", a=5.6) * (2, 2, 2), bulk("Si") * (2, 1, 1)):
        assert not said(structures(at_rest, 0.0))
    assert not said(structures(bulk("Cu", "fcc", a=3.6, cubic=True), 0.05, 1e-9))
    (one,) = said([*structures(bulk("Cu", "fcc", a=3.6, cubic=True), 0.05, 0.1), moved[2]])
    assert "1 structure has" in one and "forces_key" not in one
