"""The audit: figures against plain loops, duplicates against moved copies, units against converted ones."""

import cProfile

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.neighborlist import neighbor_list

from nbcore.data import Structure, Structures, audit, audit_text, neighbours_per_atom, shortest_distances
from nbcore.data.distances import duplicates, fingerprint, pairs, shortest
from nbcore.data.units_check import all_electron_unit, energy_to_forces, nearest_factor


def structure(atoms, **more):
    return Structure(
        atoms.positions.copy(),
        atoms.numbers.copy(),
        np.array(atoms.cell) if atoms.pbc.any() else None,
        atoms.pbc,
        **more,
    )


def rattled(atoms, n, seed=0, size=0.1):
    generator = np.random.default_rng(seed)
    for _ in range(n):
        copy = atoms.copy()
        copy.positions += size * generator.normal(size=copy.positions.shape)
        yield copy


def metals(n=12):
    """Labelled with ASE's effective-medium potential: Al, Cu and their alloy, rattled and strained."""
    images = []
    for k, cell in enumerate(rattled(bulk("Cu", cubic=True) * (2, 1, 1), n, size=0.12)):
        cell.set_cell(cell.cell * (1 + 0.02 * np.sin(k)), scale_atoms=True)
        cell.calc = EMT()
        labels = dict(energy=cell.get_potential_energy(), forces=cell.get_forces())
        images.append(structure(cell, **labels, file="cu.xyz", frame=k))
    return Structures(images)


@pytest.mark.parametrize("pbc", [False, True, (True, False, True)])
def test_pairs_against_ase(pbc):
    for atoms in rattled(bulk("NaCl", "rocksalt", a=5.6) * (1, 1, 2), 3):
        atoms.pbc = pbc
        i, j, vectors = pairs(structure(atoms), 5.0)
        ai, aj, ad = neighbor_list("ijd", atoms, 5.0)
        np.testing.assert_allclose(np.sort(np.linalg.norm(vectors, axis=1)), np.sort(ad), atol=1e-10)
        assert sorted(zip(i, j, strict=True)) == sorted(zip(ai, aj, strict=True))


def test_shortest_distances():
    atoms = molecule("CH3CH2OH")
    d = atoms.get_all_distances()
    expected = {}
    for a in range(len(atoms)):
        for b in range(a):
            name = "-".join(sorted((atoms.symbols[a], atoms.symbols[b])))
            expected[name] = min(d[a, b], expected.get(name, 99))
    assert shortest(structure(atoms)) == pytest.approx(expected)
    stretched = atoms.copy()
    stretched.positions *= 1.1
    both = shortest_distances(Structures([structure(stretched), structure(atoms)]))
    assert both == pytest.approx(expected) and list(both.values()) == sorted(both.values())


def test_neighbours_per_atom():
    cells = Structures([structure(bulk("Cu", a=3.6)), structure(bulk("Cu", a=3.6) * 2)])
    assert neighbours_per_atom(cells, 3.0) == 12 and neighbours_per_atom(cells, 4.0) == 18


def moved(s, seed):
    """The same structure elsewhere, turned, mirrored and in another order; periodic ones also in another cell."""
    generator = np.random.default_rng(seed)
    q, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    order = generator.permutation(len(s))
    positions = (s.positions[order] + generator.normal(size=3)) @ q
    cell = None
    if s.cell is not None:
        cell = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ s.cell @ q
        positions += generator.integers(-2, 3, size=(len(s), 3)) @ cell
    return Structure(np.round(positions, 8), s.numbers[order], cell, s.pbc)


def test_duplicates_are_found_and_nothing_else():
    originals = [structure(a) for a in rattled(molecule("CH3CH2OH"), 40)]
    originals += [structure(a) for a in rattled(bulk("NaCl", "rocksalt", a=5.6) * (2, 2, 1), 40, seed=1)]
    copies = [moved(originals[k], k) for k in (3, 17, 44, 70)]
    everything = originals + copies
    found = duplicates(everything, [fingerprint(s) for s in everything])
    assert found == [(3, 80), (17, 81), (44, 82), (70, 83)]


def test_near_copies_are_not_duplicates():
    """Finite displacements, as phonon data has them: from the perfect crystal, and from each other."""
    perfect = structure(bulk("Si", cubic=True))
    displaced = [Structure(perfect.positions.copy(), perfect.numbers, perfect.cell, perfect.pbc) for _ in range(2)]
    displaced[0].positions[0] += [0.010, 0, 0]
    displaced[1].positions[0] += [0.011, 0, 0]
    everything = [perfect, *displaced]
    assert not duplicates(everything, [fingerprint(s) for s in everything])
    water = structure(molecule("H2O"))
    other = Structure(water.positions + [[0, 0, 1e-4], [0, 0, 0], [0, 0, 0]], water.numbers)
    assert not duplicates([water, other], [fingerprint(water), fingerprint(other)])


def test_dimers_far_apart_are_not_duplicates():
    dimers = [Structure(np.array([[0, 0, 0], [0, 0, d]]), np.array([18, 18])) for d in (6.0, 7.0, 9.0)]
    assert not duplicates(dimers, [fingerprint(s) for s in dimers])


def test_figures():
    data = metals()
    result = audit(data, cutoff=4.0)
    forces = np.concatenate([s.forces for s in data])
    assert result.forces_rms == pytest.approx(np.sqrt(np.mean(forces**2)))
    assert result.forces_max[0] == np.abs(forces).max()
    assert result.net_force[0] < 1e-6 and result.n == 12 and result.periodic == 12 and result.atoms == (8, 8)
    assert result.spread_per_structure == pytest.approx(np.std([s.energy for s in data]))
    nearest = min((neighbor_list("d", s.to_ase(), 4.0).min(), s.frame) for s in data)
    assert result.shortest["Cu-Cu"][0] == pytest.approx(nearest[0])
    assert result.shortest["Cu-Cu"][1] == f"cu.xyz, frame {nearest[1]}"
    assert not result.duplicates and not result.outliers and not result.remarks
    text = audit_text(result)
    assert "Cu8, 8 atoms, periodic" in text and "no duplicates, no outliers, units plausible" in text


def test_duplicates_between_the_sets():
    data = metals(8)
    result = audit({"train": data[:6], "valid": data[6:]}, {"hot": data[2:4], "cold": Structures(list(metals(9))[8:])})
    assert result.shared == {("train", "hot"): 2} and len(result.duplicates) == 2
    assert any(r.startswith("2 structures of hot also in train") for r in result.remarks)
    twice = Structures([*data, data[0]])
    assert any("1 structure is there twice" in r for r in audit(twice).remarks)
    other = Structure(
        data[0].positions, data[0].numbers, data[0].cell, data[0].pbc, data[0].energy + 0.05, data[0].forces
    )
    conflict = audit(Structures([*data, other]))
    assert any("The same structure with different energies, by up to 50 meV" in r for r in conflict.remarks)


def relabelled(data, energy=1.0, forces=1.0, length=1.0):
    return Structures(
        Structure(
            s.positions * length,
            s.numbers,
            s.cell * length,
            s.pbc,
            s.energy * energy,
            s.forces * forces,
            file=s.file,
            frame=s.frame,
        )
        for s in data
    )


def test_energies_against_forces():
    data = metals()
    factor, correlation = energy_to_forces(data)
    assert 0.6 < factor < 1.6 and correlation > 0.9
    again, _ = energy_to_forces(relabelled(data, energy=1 / 27.2114))
    assert again == pytest.approx(factor / 27.2114, rel=1e-9)


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"energy": 1 / 27.2114}, r"energy_unit Hartree?  (factor 27.2114)"),
        ({"forces": 1 / 27.2114}, r"forces_unit Hartree/Angstrom?  (factor 27.2114)"),
        ({"energy": 23.0605}, r"(factor 0.0433641)"),
        ({"forces": -1.0}, r"the forces look like gradients"),
        ({"length": 1.889726}, r"1/0.529177: is length_unit Bohr?"),
        ({"length": 0.529177}, r"0.529177: were they converted twice?"),
    ],
)
def test_units_that_do_not_belong_together(change, expected):
    result = audit(relabelled(metals(), **change))
    assert any(expected in r for r in result.remarks), result.remarks
    assert "units doubtful" in audit_text(result)


@pytest.mark.parametrize("name, hartree", [("H2O", -76.27), ("CH3CH2OH", -154.85), ("SiH4", -291.3), ("CH3Cl", -499.8)])
def test_energies_of_all_electrons_tell_their_unit(name, hartree):
    """PBE total energies of molecules: right in eV, recognised in Hartree, kcal/mol and kJ/mol."""
    for unit, factor in (("Hartree", 1.0), ("kcal/mol", 627.5095), ("kJ/mol", 2625.4996)):
        data = Structures([structure(molecule(name), energy=hartree * factor)])
        assert all_electron_unit(data)[0] == unit
        assert any(f"is energy_unit {unit}?" in r for r in audit(data).remarks)
    assert all_electron_unit(Structures([structure(molecule(name), energy=hartree * 27.211386)])) is None


def test_no_false_alarm_about_units():
    assert not audit(relabelled(metals(), energy=1.0001)).remarks


def test_one_energy_in_another_unit():
    """Of twenty total energies near -400 eV one is in Hartree."""
    generator = np.random.default_rng(2)
    water = molecule("H2O")
    data = [
        structure(a, energy=-400 + 0.1 * generator.normal(), file="w.xyz", frame=k)
        for k, a in enumerate(rattled(water, 20))
    ]
    assert not audit(Structures(data)).outliers
    data[7].energy /= 27.211386
    result = audit(Structures(data))
    assert result.outliers == 1
    remark = next(r for r in result.remarks if "far from the others" in r)
    assert "w.xyz, frame 7" in remark and "Hartree?  (factor 27.2114)" in remark


def test_forces_out_of_range_and_atoms_too_close():
    data = list(metals())
    data[3].forces = data[3].forces.copy()
    data[3].forces[2, 1] = 400.0
    close = Structure(
        data[5].positions.copy(),
        data[5].numbers,
        data[5].cell,
        data[5].pbc,
        data[5].energy,
        data[5].forces,
        file="cu.xyz",
        frame=5,
    )
    close.positions[1] = close.positions[0] + [0.3, 0, 0]
    data[5] = close
    remarks = "\n".join(audit(Structures(data)).remarks)
    assert "1 structure with forces above" in remarks and "the largest 400.0 (cu.xyz, frame 3)" in remarks
    assert "Forces do not add up to zero" in remarks
    assert "cu.xyz, frame 5: Cu-Cu 0.300 Å apart" in remarks


def test_nearest_factor():
    assert nearest_factor(27.0) == ("Hartree", "27.2114") and nearest_factor(1 / 27.0) == ("Hartree", "27.2114")
    assert nearest_factor(0.0433) == ("kcal/mol", "0.0433641") and nearest_factor(6.0) is None


def test_text_keeps_to_the_width():
    data = metals()
    for width in (60, 80, 100):
        assert max(map(len, audit_text(audit(data, cutoff=4.0), width).splitlines())) <= width


def test_cost_grows_as_the_number_of_frames():
    """Counted in calls, not in seconds: fewer than a thousand for a frame of a molecule."""

    def calls(n):
        frames = [structure(a, energy=-1.0, forces=np.zeros((9, 3))) for a in rattled(molecule("CH3CH2OH"), n)]
        profile = cProfile.Profile()
        profile.runcall(audit, Structures(frames), cutoff=5.0)
        return sum(entry.callcount for entry in profile.getstats())

    few, many = calls(250), calls(1000)
    assert many < 4.4 * few and many < 1000 * 1000


def test_files_with_different_zeros():
    data = metals()
    for s in data[6:]:
        s.file, s.energy = "other.xyz", s.energy - 8 * 3.7
    assert any(
        "Cu8 has" in r and "eV/atom in other.xyz and" in r and "Energies of one training set must have one zero" in r
        for r in audit(data).remarks
    )
    for s in data[6:]:
        s.energy += 8 * 3.7
    assert not audit(data).remarks
