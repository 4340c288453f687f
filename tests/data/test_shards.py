"""Sets of shards: what goes in comes out, in blocks, whole or not at all."""

import dataclasses
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from nbcore.data import Shards, ShardWriter, Structure, Structures, distances, likeness, open_shards, read, shards
from nbcore.data.open_shards import tally_of
from nbcore.data.reading import Tally
from nbcore.errors import InputError
from nbcore.scheme import CompositionScheme

OUTPUTS = {"dipole": {}, "charges": {"rank": 0, "per": "atom"}}


def structures(n, seed=0, most=9):
    """Structures in which everything that a Structure can hold is there or not, at random."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(n):
        atoms = int(rng.integers(2, most))
        periodic = rng.random() < 0.5

        def some(value, p=0.7):
            return value if rng.random() < p else None

        found.append(
            Structure(
                3 * rng.normal(size=(atoms, 3)),
                rng.choice([1, 6, 8], atoms),
                cell=20 * np.eye(3) + rng.random((3, 3)) if periodic else None,
                pbc=np.array([periodic, periodic, periodic and rng.random() < 0.5]),
                energy=some(float(rng.normal())),
                forces=some(rng.normal(size=(atoms, 3))),
                stress=some(rng.normal(size=(3, 3))) if periodic else None,
                outputs={} if rng.random() < 0.5 else {"dipole": rng.normal(size=3), "charges": rng.normal(size=atoms)},
                config_type=["a", "b b", "Default"][k % 3],
                weight=some(float(rng.random())) or 1.0,
                file=f"{k % 2}.xyz",
                frame=k,
                line=some(7 * k),
                labels={}
                if rng.random() < 0.5
                else {"molecule": np.array(["one", "three"])[rng.integers(0, 2, atoms)]},
                leaves={"spin": rng.normal(size=(atoms, 3))} if rng.random() < 0.5 else {},
                fixed=some(rng.random((atoms, 3)) < 0.5, 0.3),
                label_weights={"energy": float(rng.random())} if rng.random() < 0.5 else {},
            )
        )
    return found


def write(path, data, isolated=(), **facts):
    with ShardWriter(path) as writer:
        writer.add(data)
        writer.set_apart(isolated)
        writer.describe(**facts)
    return path


def same(a, b):
    """Every field of two structures, bit for bit."""
    for f in dataclasses.fields(Structure):
        one, two = getattr(a, f.name), getattr(b, f.name)
        if isinstance(one, dict):
            assert one.keys() == two.keys(), f.name
            pairs = [(one[k], two[k]) for k in one]
        else:
            pairs = [(one, two)]
        for x, y in pairs:
            assert (x is None) == (y is None), (f.name, x, y)
            if isinstance(x, np.ndarray):
                assert x.shape == y.shape and x.dtype.kind == y.dtype.kind, (f.name, x, y)
                np.testing.assert_array_equal(x, y)
            else:
                assert x == y and type(x) is type(y), (f.name, x, y)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(shards, "BLOCK_ATOMS", 40)


@pytest.mark.parametrize("seed", range(4))
def test_every_field_comes_back(tmp_path, small_blocks, seed):
    data = structures(60, seed)
    atoms = [Structure(np.zeros((1, 3)), np.array([z]), energy=-1.0 * z) for z in (1, 6)]
    found = open_shards(write(tmp_path / "a.shards", data, atoms), missing="mask", outputs=OUTPUTS)
    assert len(found) == 60 and len(found.blocks.places) > 5
    for a, b in zip(data, found, strict=True):
        same(a, b)
    for a, b in zip(atoms, found.isolated, strict=True):
        same(a, b)
    same(found[-1], data[59])
    with pytest.raises(IndexError):
        found[60]
    part = found[[5, 2, 59]][1:]
    assert isinstance(part, Shards) and len(part) == 2 and not part.whole
    same(part[0], data[2]), same(part[1], data[59])
    assert found.species == Structures(data).species and part.species == Structures([data[2], data[59]]).species
    assert found.labels == Structures(data).labels
    assert found.weight_of().tolist() == [s.weight for s in data]
    assert found.weight_of("energy").tolist() == [s.weight_of("energy") for s in data]
    assert found.weight_of("forces").tolist() == [s.weight for s in data]
    with pytest.raises(ValueError, match="read-only"):
        found[0].positions[0, 0] = 1.0
    for a, b in zip(data, found.in_memory(), strict=True):
        same(a, b)
        b.positions[0, 0] = 1.0  # arrays of their own
        assert b.positions.base is None


def test_molecules_all_at_once_are_those_one_by_one(tmp_path, small_blocks):
    rng = np.random.default_rng(0)
    numbers, positions, forces = np.array([6, 1, 1, 8]), 2 * rng.normal(size=(50, 4, 3)), rng.normal(size=(50, 4, 3))
    energies = rng.normal(size=50)
    with ShardWriter(tmp_path / "b.shards") as writer:
        writer.add_molecules(numbers, positions, energies, forces, file="made")
    data = [
        Structure(x, numbers, energy=float(e), forces=f, file="made", frame=k)
        for k, (x, e, f) in enumerate(zip(positions, energies, forces, strict=True))
    ]
    found, other = open_shards(tmp_path / "b.shards"), open_shards(write(tmp_path / "a.shards", data))
    for a, b in zip(data, found, strict=True):
        same(a, b)
    for name in ("kind", "keys", "nearest"):
        np.testing.assert_allclose(found.column(name), other.column(name), rtol=1e-13)
    assert found.files[0].summary == other.files[0].summary


def test_the_summary_is_what_all_structures_say(tmp_path, small_blocks):
    data = structures(80, 3)
    s = open_shards(write(tmp_path / "a.shards", data), missing="mask").files[0].summary
    assert (s.n, s.n_atoms) == (80, sum(map(len, data)))
    assert (s.smallest, s.largest) == (min(map(len, data)), max(map(len, data)))
    assert s.periodic == sum(x.periodic for x in data)
    assert s.types == {t: sum(x.config_type == t for x in data) for t in ("a", "b b", "Default")}
    forces = np.concatenate([x.forces.ravel() for x in data if x.forces is not None])
    assert s.forces_rms == pytest.approx(np.sqrt(np.mean(forces**2)), rel=1e-12)
    k = int(np.argmax([0 if x.forces is None else np.abs(x.forces).max() for x in data]))
    assert s.forces_max == (np.abs(forces).max(), data[k].where)
    shortest = distances.shortest_distances(data)
    assert {pair: d for pair, (d, _) in s.shortest.items()} == pytest.approx(shortest, rel=1e-12)


def test_only_the_blocks_in_use_stay_mapped(tmp_path, monkeypatch, small_blocks):
    monkeypatch.setattr(shards, "KEPT_ATOMS", 100)
    data = structures(200, 1)
    found = open_shards(write(tmp_path / "a.shards", data), missing="mask", outputs=OUTPUTS)
    for k in np.random.default_rng(0).permutation(200):
        same(found[int(k)], data[k])
        assert sum(b.n_atoms for b in found.blocks._kept.values()) <= 140


REFUSED = {
    "a scheme": (dict(scheme=CompositionScheme(2)), "shards hold no composition schemes"),
    "an infinite position": (dict(positions=np.array([[0, 0, 0], [0, 0, np.inf]])), "positions is not finite"),
    "an energy that is none": (dict(energy=np.nan), "energy is not finite"),
    "forces of other atoms": (dict(forces=np.zeros((3, 3))), r"forces must have the shape \(2, 3\), got \(3, 3\)"),
    "forces that are none": (dict(forces=np.full((2, 3), np.nan)), "forces is not finite"),
    "a negative weight": (dict(weight=-1.0), "its weight must be a number of at least 0"),
    "no element": (dict(numbers=np.array([1, 300])), "300 is the number of no element"),
    "objects": (dict(labels={"molecule": np.array([None, {}])}), "shards hold numbers and texts"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_shards_cannot_hold_is_refused_and_leaves_nothing(tmp_path, what, small_blocks):
    fields, words = REFUSED[what]
    good = Structure(np.eye(3)[:2], np.array([1, 1]), file="b.xyz", energy=1.0)
    bad = dataclasses.replace(good, **{"frame": 3, **fields})
    with pytest.raises(InputError, match=rf"b.xyz, frame 3: (labels.molecule: )?{words}"):
        write(tmp_path / "a.shards", [good] * 30 + [bad])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="no structures to write"):
        write(tmp_path / "a.shards", [])
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind_is_not_replaced(tmp_path):
    (tmp_path / "a.shards").write_text("mine")
    with pytest.raises(FileExistsError):
        write(tmp_path / "a.shards", structures(2))
    assert (tmp_path / "a.shards").read_text() == "mine"


def test_damage_is_found_wherever_it_is(tmp_path, small_blocks):
    path = write(tmp_path / "a.shards", structures(30))
    content, whole = path.read_bytes(), len(open_shards(path, missing="mask"))
    assert whole == 30
    rng = np.random.default_rng(0)
    layout = open_shards(path, missing="mask").files[0].entries
    within = np.zeros(len(content), bool)  # the bytes of blocks, without those that only fill up
    for entry in layout:
        within[entry["at"] : entry["at"] + entry["bytes"]] = True
    for place in [*rng.choice(np.flatnonzero(within), 40), *rng.choice(np.flatnonzero(~within)[64:], 40)]:
        broken = bytearray(content)
        broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(broken))
        with pytest.raises(InputError, match=f"{path}: .*(damaged|not whole)"):
            list(open_shards(path, missing="mask"))
    for cut in rng.integers(len(shards.FORMAT), len(content), 40):
        path.write_bytes(content[:cut])
        with pytest.raises(InputError, match="not whole"):
            open_shards(path)
    path.write_bytes(content + b"more")
    with pytest.raises(InputError, match="not whole"):
        open_shards(path)
    for key in ("blocks", "types", "summary"):  # sealed by somebody else
        index = json.loads(content[content.rfind(b'{"blocks"') : content.rfind(shards.FORMAT)])
        del index[key]
        text = json.dumps(index).encode()
        path.write_bytes(content[: content.rfind(b'{"blocks"')] + text + shards._last_line(text))
        with pytest.raises(InputError, match="no set of shards that can be read"):
            open_shards(path, missing="mask")
    path.write_bytes(content.replace(b"shards 1", b"shards 9"))
    with pytest.raises(InputError, match="no set of shards of this release"):
        open_shards(path)


def test_a_killed_writer_leaves_nothing_that_looks_whole(tmp_path):
    program = (
        "import sys, numpy as np\nfrom nbcore.data import ShardWriter, Structure\n"
        "with ShardWriter(sys.argv[1]) as w:\n"
        "    while True:\n        w.add([Structure(np.eye(3) + 1, np.array([1, 1, 8]), energy=1.0)] * 1000)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, tmp_path / "a.shards"])
    while not any(f.stat().st_size > 2**20 for f in tmp_path.iterdir()):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".") and left.name.endswith(".tmp")
    with pytest.raises(InputError, match="not whole"):
        open_shards(left)
    write(tmp_path / "a.shards", structures(2))
    assert [f.name for f in tmp_path.iterdir()] == ["a.shards"]


def test_the_digest_is_that_of_the_contents(tmp_path, small_blocks):
    data = structures(40)
    one, two = write(tmp_path / "a.shards", data), write(tmp_path / "b.shards", data)
    assert one.read_bytes() == two.read_bytes()
    moved = [dataclasses.replace(data[0], positions=np.nextafter(data[0].positions, 9)), *data[1:]]
    three = open_shards(write(tmp_path / "c.shards", moved), missing="mask")
    one = open_shards(one, missing="mask")
    assert one.files[0].digest != three.files[0].digest
    identities = [one.identity, three.identity, one[:39].identity, one[[1, 0]].identity]
    identities.append(open_shards(one.files[0].path, missing="mask", forces_key="none").identity)
    identities.append(open_shards(one.files[0].path, missing="mask", config_type_weights={"a": 2.0}).identity)
    assert len(set(identities)) == 6
    assert one.identity == open_shards(two, missing="mask").identity


def test_what_is_missing_is_counted_as_the_reader_counts(tmp_path, small_blocks):
    data = structures(60)
    found = open_shards(write(tmp_path / "a.shards", data), missing="mask", outputs=OUTPUTS)
    tally, expected = tally_of(found), Tally(OUTPUTS, data)
    assert (tally.n, tally.types, tally.own) == (expected.n, expected.types, expected.own)
    for label, count in expected.counts.items():
        other = tally.counts[label]
        assert (other.having, other.expected, other.lacking) == (count.having, count.expected, count.lacking)
        same(other.first, count.first)
    in_memory = read(tmp_path / "a.shards", missing="mask", outputs=OUTPUTS)
    assert in_memory.reading.missing == found.reading.missing and in_memory.reading.remarks == found.reading.remarks
    assert in_memory.reading.files == found.reading.files
    for a, b in zip(in_memory, data, strict=True):
        same(a, b)


def test_labels_and_weights_as_the_reader_takes_them(tmp_path, small_blocks):
    data = structures(60)
    path = write(tmp_path / "a.shards", data)
    weights = {"a": 2.0, "Default": 0.5}
    found = open_shards(path, missing="mask", config_type_weights=weights, forces_key="none")
    expected = [s.weight * weights.get(s.config_type, 0.5) for s in data]
    assert found.weight_of().tolist() == [s.weight for s in found] == expected
    assert all(s.forces is None for s in found) and found.labels["forces"] == 0 and found[0].outputs == {}
    with pytest.raises(InputError, match="no structure is of type c. There are: a, b b, Default"):
        open_shards(path, missing="mask", config_type_weights={"c": 1.0})
    first = next(s for s in data if s.energy is None)
    with pytest.raises(InputError, match=f"{first.where}: no energy, although "):
        open_shards(path)
    with pytest.raises(InputError, match="no frame has a polarizability"):
        open_shards(path, missing="mask", outputs=["polarizability"], require=["polarizability"])


def test_copies_are_found_by_their_keys(tmp_path, small_blocks):
    """Rotated, mirrored, in another order, after the rounding of a text file: among many that are not alike."""
    rng = np.random.default_rng(0)
    data = structures(300, 5)
    copied = [0, 7, 111, 299]
    for k in copied:
        q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        s, order = data[k], rng.permutation(len(data[k]))
        data.append(
            dataclasses.replace(
                s, positions=np.round((s.positions @ q)[order], 10), numbers=s.numbers[order], outputs={}, labels={},
                forces=None if s.forces is None else (s.forces @ q)[order], leaves={}, fixed=None,
                cell=None if s.cell is None else s.cell @ q,
            )
        )  # fmt: skip
    found = open_shards(write(tmp_path / "a.shards", data), missing="mask")
    alike = likeness.alike(found.column("kind"), found.column("keys"), found.atoms)
    assert set(copied) | {300, 301, 302, 303} <= set(alike.tolist()) and len(alike) < 60
    expected = distances.copies(Structures(data))  # pairs out of reach are all alike, too
    assert expected[300:].tolist() == copied
    np.testing.assert_array_equal(found.copies(), expected)
    part = found[np.sort(rng.choice(304, 200, replace=False))]
    np.testing.assert_array_equal(part.copies(), distances.copies(list(part)))


def test_too_many_copies_are_refused(tmp_path, small_blocks, monkeypatch):
    monkeypatch.setattr(likeness, "MOST", 10)
    found = open_shards(write(tmp_path / "a.shards", structures(1) * 20), missing="mask")
    with pytest.raises(InputError, match="20 structures look like copies of others"):
        found.copies()
