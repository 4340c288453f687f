"""Files that are read one portion after another: the structures, remarks and messages of a file that is read whole."""

import bz2
import gzip
import lzma

import numpy as np
import pytest
from test_shards import same

from nbcore.data import open_shards, read, write_shards
from nbcore.data.labels import Options
from nbcore.data.read import Gathering
from nbcore.errors import InputError


def frame(k, key="energy", atoms=3, extra=""):
    rng = np.random.default_rng(k)
    rows = "".join(
        f"{s} {' '.join(f'{x:.8f}' for x in rng.normal(size=6))}\n" for s in rng.choice(["H", "C", "O"], atoms)
    )
    return f"{atoms}\nProperties=species:S:1:pos:R:3:forces:R:3 {key}={rng.normal():.6f} {extra}\n{rows}"


ATOM = '1\nProperties=species:S:1:pos:R:3 energy=-13.6 pbc="F F F"\nH 0 0 0\n'
TEXTS = {
    "plain": "".join(frame(k, atoms=1 + k % 4 + (k % 4 == 0)) for k in range(20)) + ATOM,
    "crlf": "".join(frame(k) for k in range(20)).replace("\n", "\r\n"),
    "mark and blank end": "\ufeff" + "".join(frame(k) for k in range(20)) + "\n \n\n",
    "vectors": "".join(frame(k) + ("VEC1 1 0 0\n" if k % 2 else "") for k in range(20)),
    "columns without a name": "".join("2\n\nH 0 0 0 1 2 3\nH 0 0 1 1 2 3\n" for k in range(20)),
    "latin": "".join(frame(k, extra='config_type="\xe9"') for k in range(7)),
}


def portions(path, most, **keys):
    gathering = Gathering([path], Options(missing="mask", **keys))
    found = list(gathering.portions(most))
    assert most is None or all(len(here) + len(alone) <= most for here, alone in found)
    return [s for here, _ in found for s in here], [s for _, alone in found for s in alone], gathering.finish(())


@pytest.mark.parametrize("most", [1, 3, 7, 20, 1000])
@pytest.mark.parametrize("name", TEXTS)
def test_the_same_frames_whatever_the_portions(tmp_path, name, most):
    path = tmp_path / "a.xyz"
    path.write_bytes(TEXTS[name].encode("latin-1" if name == "latin" else "utf-8"))
    whole, atoms, reading = portions(path, None)
    some, some_atoms, other = portions(path, most)
    assert len(some) == len(whole) > 0
    for a, b in zip([*some, *some_atoms], [*whole, *atoms], strict=True):
        same(a, b)
    assert other.files == reading.files and other.remarks == reading.remarks


@pytest.mark.parametrize("pack", [gzip, bz2, lzma])
def test_compressed_files_are_unpacked_as_they_are_read(tmp_path, pack):
    text = "".join(map(frame, range(20))).encode()
    path = tmp_path / f"a.xyz.{ {gzip: 'gz', bz2: 'bz2', lzma: 'xz'}[pack] }"
    path.write_bytes(pack.compress(text))
    whole, _, _ = portions(path, None)
    some, _, _ = portions(path, 3)
    for a, b in zip(some, whole, strict=True):
        same(a, b)
    path.write_bytes(pack.compress(text)[:-20])
    with pytest.raises(InputError, match="the compressed file is damaged or cut short"):
        portions(path, 3)


WRONG = {
    "a missing column": (lambda t: t.replace("\nO ", "\nO 1 ", 1), 1),
    "cut short": (lambda t: t[:-80], 1),
    "one atom too many": (lambda t: t + "H 0 0 0 0 0 0\n", 1),
    "blank lines between": (lambda t: t + "\n\n" + frame(3), 1),
    "no number of atoms": (lambda t: t + "three\n\n" + frame(3), 1),
    "zero atoms": (lambda t: t + "0\n\n" + frame(3), 1),
    "an energy that is none": (lambda t: t + frame(3).replace("energy=", "energy=nan"), 1),
    "empty": (lambda t: "", 1),
    "blank": (lambda t: "\n\n", 1),
}


@pytest.mark.parametrize("most", [1, 4, 19, 1000])
@pytest.mark.parametrize("what", WRONG)
def test_the_same_messages_whatever_the_portions(tmp_path, what, most):
    path = tmp_path / "a.xyz"
    path.write_text(WRONG[what][0]("".join(map(frame, range(20)))))
    with pytest.raises(InputError) as whole:
        portions(path, None)
    with pytest.raises(InputError) as some:
        portions(path, most)
    assert str(some.value) == str(whole.value)


def test_keys_that_change_within_a_file_are_refused(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("".join(frame(k, "energy" if k < 10 else "REF_energy") for k in range(20)))
    with pytest.raises(InputError, match="two candidates for the energy"):
        portions(path, None)
    with pytest.raises(InputError, match=r"a.xyz, frame 10 \(line 51\): the energy stands under REF_energy from about"):
        portions(path, 5)
    assert len(portions(path, 5, energy_key="energy")[0]) == 20


def test_files_become_shards_and_come_back(tmp_path):
    (tmp_path / "a.xyz").write_text(TEXTS["plain"])
    (tmp_path / "b.xyz").write_text(TEXTS["crlf"])
    files = [tmp_path / "a.xyz", tmp_path / "b.xyz"]
    reading = write_shards(files, tmp_path / "all.shards")
    expected = read(files)
    assert reading.files == expected.reading.files and reading.remarks == expected.reading.remarks
    found = open_shards(tmp_path / "all.shards")
    for a, b in zip([*found, *found.isolated], [*expected, *expected.isolated], strict=True):
        same(a, b)
    assert found.reading.remarks == expected.reading.remarks
    assert found.reading.files[0].keys == {"energy": "energy", "forces": "forces"}
    again = write_shards(tmp_path / "all.shards", tmp_path / "again.shards")
    assert again.files[0].count == len(expected)
    for a, b in zip(open_shards(tmp_path / "again.shards"), expected, strict=True):
        same(a, b)
    write_shards(expected, tmp_path / "memory.shards")
    for a, b in zip(open_shards(tmp_path / "memory.shards"), expected, strict=True):
        same(a, b)
    mixed = read([tmp_path / "all.shards", tmp_path / "b.xyz"])
    assert len(mixed) == len(expected) + 20 and len(mixed.isolated) == 1


def test_what_cannot_be_read_leaves_no_shards(tmp_path):
    (tmp_path / "a.xyz").write_text(frame(0) + "three\n")
    with pytest.raises(InputError):
        write_shards(tmp_path / "a.xyz", tmp_path / "a.shards")
    (tmp_path / "a.xyz").write_text(frame(0) + frame(1, key="other"))
    with pytest.raises(InputError, match="no energy, although"):
        write_shards(tmp_path / "a.xyz", tmp_path / "a.shards")
    assert [p.name for p in tmp_path.iterdir()] == ["a.xyz"]
