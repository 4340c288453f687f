"""The three sets, their split, and writing: what goes out comes back."""

import numpy as np
import pytest

from nbcore import config
from nbcore.data import Structure, Structures, read, read_sets, split, write_extxyz
from nbcore.errors import InputError


def water(n, seed=0, **more):
    generator = np.random.default_rng(seed)
    eq = np.array([[0, 0, 0.12], [0, 0.76, -0.47], [0, -0.76, -0.47]])
    return [
        Structure(
            eq + 0.05 * generator.normal(size=(3, 3)),
            np.array([8, 1, 1]),
            energy=-2076.0 + 0.1 * generator.normal(),
            forces=generator.normal(size=(3, 3)),
            **more,
        )
        for _ in range(n)
    ]


def atoms():
    return [Structure(np.zeros((1, 3)), np.array([z]), energy=e, config_type="IsolatedAtom")
            for z, e in ((1, -13.6), (8, -2040.0))]  # fmt: skip


def sets(tmp_path, overrides=(), **data):
    content = {"name": "water", "data": {"train": "train.xyz", **data}, "model": {"cutoff": 5.0}}
    (tmp_path / "train.toml").write_text(config.config_text(config.from_dict(content)))
    return read_sets(config.load(tmp_path / "train.toml", overrides))


def test_split_is_random_disjoint_and_repeatable():
    data = Structures(water(100))
    parts = split(data, [0.8, 0.1, 0.1], seed=3)
    assert [len(p) for p in parts] == [80, 10, 10]
    assert sorted(id(s) for p in parts for s in p) == sorted(map(id, data))
    again = split(data, [0.8, 0.1, 0.1], seed=3)
    assert all(a is b for p, q in zip(parts, again, strict=True) for a, b in zip(p, q, strict=True))
    assert [id(s) for s in split(data, [0.8, 0.1, 0.1], seed=4)[1]] != [id(s) for s in parts[1]]
    assert [len(p) for p in split(data[:2], [0.99, 0.01])] == [1, 1]
    for wrong in ([0.5, 0.4], [1.2, -0.2], [1.0, 0.0]):
        with pytest.raises(InputError, match="split: expected fractions > 0 that add up to 1"):
            split(data, wrong)
    with pytest.raises(InputError, match="1 structures cannot be cut into 2 parts"):
        split(data[:1], [0.5, 0.5])


def test_sets_of_a_configuration(tmp_path):
    write_extxyz([*water(40), *atoms()], tmp_path / "train.xyz")
    write_extxyz(water(7, seed=1), tmp_path / "test_cold.xyz")
    write_extxyz(water(5, seed=2), tmp_path / "test_hot.xyz")
    result = sets(tmp_path, test=["test_*.xyz"])
    assert (len(result.train), len(result.valid)) == (36, 4)
    assert {name: len(s) for name, s in result.test.items()} == {"test_cold": 7, "test_hot": 5}
    assert result.E0.source == "isolated" and result.E0.energies == {"H": -13.6, "O": -2040.0}
    assert result.roles[str(tmp_path / "train.xyz")] == "36 train + 4 valid (random, seed 1)"
    other = sets(tmp_path, ["seed=2"])
    assert [s.frame for s in other.valid] != [s.frame for s in result.valid]
    assert [s.frame for s in sets(tmp_path).valid] == [s.frame for s in result.valid]
    given = sets(tmp_path, valid="test_hot.xyz", E0s={"H": -1.0, "O": -2.0})
    assert (len(given.train), len(given.valid)) == (40, 5) and given.E0.source == "given"


def test_sets_that_overlap_or_do_not_fit(tmp_path):
    write_extxyz(water(20), tmp_path / "train.xyz")
    with pytest.raises(InputError, match=r"train.xyz is in data.train and in data.test"):
        sets(tmp_path, test=["train.xyz"])
    ammonia = water(1)
    ammonia[0].numbers = np.array([7, 1, 1])
    write_extxyz(ammonia, tmp_path / "test.xyz")
    with pytest.raises(InputError, match=r"test.xyz, frame 0 \(line 1\): N is in test but not in train \(H O\)"):
        sets(tmp_path, test=["test.xyz"])
    write_extxyz(atoms(), tmp_path / "train.xyz")
    with pytest.raises(InputError, match="only isolated atoms in it, nothing to train on"):
        sets(tmp_path)


def test_what_is_written_comes_back(tmp_path):
    data = water(3, config_type='300 K "NVT"')
    data[1].cell, data[1].pbc = np.array([[5, 0, 0], [1, 6, 0], [0, 2, 7.123456789012345]]), np.array([True] * 3)
    data[1].stress = np.array([[0.1, 0.2, 0.3], [0.2, 0.5, 0.6], [0.3, 0.6, 1 / 3]])
    data[2].forces = None
    write_extxyz(data, tmp_path / "all.xyz")
    for a, b in zip(data, read(tmp_path / "all.xyz", missing="mask"), strict=True):
        np.testing.assert_allclose(b.positions, a.positions, rtol=0, atol=5.1e-11)
        assert b.energy == a.energy and b.config_type == a.config_type and b.pbc.tolist() == a.pbc.tolist()
        if a.forces is None:
            assert b.forces is None
        else:
            np.testing.assert_allclose(b.forces, a.forces, rtol=0, atol=5.1e-11)
        if a.cell is not None:
            np.testing.assert_array_equal(b.cell, a.cell)
            np.testing.assert_array_equal(b.stress, a.stress)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "all.xyz"
    write_extxyz(water(1), path)
    before = path.read_text()
    with pytest.raises(AttributeError):
        write_extxyz([*water(2), None], path)
    assert path.read_text() == before and [p.name for p in tmp_path.iterdir()] == ["all.xyz"]
