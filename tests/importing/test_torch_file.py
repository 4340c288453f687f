"""Files of torch.save are read without torch; what is damaged or hostile is refused, and nothing of it executed."""

import pickle
import warnings
import zipfile

import numpy as np
import pytest
from hostile_torch_files import GOOD, KINDS, example, hostile, with_pickle
from torch_writer import name, text, torch_file, torch_pickle, zipped

from nbcore.errors import InputError
from nbcore.importing.pickles import Inert, Name
from nbcore.importing.torch_file import TorchFile, all_tensors, attributes, children


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_module_is_read_as_it_was_written(tmp_path, compression):
    path = tmp_path / "a.model"
    path.write_bytes(torch_file(example(), compression=compression))
    module = TorchFile(path).load()
    assert isinstance(module, Inert) and module.path == "mace.modules.models.MACE"
    assert attributes(module) == {"heads": ["Default"]} and list(children(module)) == ["inner"]
    found = all_tensors(module)
    assert set(found) == {"numbers", "r_max", "inner.weight"}
    np.testing.assert_array_equal(found["inner.weight"], np.arange(6.0).reshape(2, 3))
    assert found["r_max"].dtype == np.float32 and found["r_max"].shape == () and found["r_max"] == 4.5
    assert not found["numbers"].flags.writeable


def test_views_of_one_storage_and_other_kinds_of_numbers():
    def number(n):
        return b"K" + bytes([n])

    def tensor(kind, count, first, size, stride):
        storage = (
            b"(" + text("storage") + name(f"torch.{kind}Storage") + text("0") + text("cpu") + number(count) + b"tQ"
        )
        sizes = b"".join(b"(" + b"".join(map(number, numbers)) + b"t" for numbers in (size, stride))
        return name("torch._utils._rebuild_tensor_v2") + b"(" + storage + number(first) + sizes + b"\x89NtR"

    words = tensor("Short", 6, 1, (2, 2), (1, 2)) + tensor("BFloat16", 6, 0, (6,), (1,)) + b"\x86"
    numbers = np.array([0x3F80, 0x4000, 0x4040, 0, 0xBF80, 0x3F00], "<u2")
    file = zipped([("data.pkl", b"\x80\x02" + words + b"."), ("data/0", numbers.tobytes())])
    strided, brain = TorchFile(file).load()
    np.testing.assert_array_equal(strided, numbers.view("i2")[[[1, 3], [2, 4]]])
    assert brain.dtype == np.float32 and list(brain) == [1, 2, 3, 0, -1, 0.5]


def test_big_endian_files():
    file = torch_file({"x": np.arange(3.0)})
    assert TorchFile(file).load()["x"].tolist() == [0, 1, 2]
    content, arrays = torch_pickle({"x": np.arange(3.0)})
    big = zipped([("data.pkl", content), ("byteorder", b"big"), ("data/0", arrays[0].astype(">f8").tobytes())])
    assert TorchFile(big).load()["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_pickles_of_all_protocols(protocol):
    thing = {"a": [1, -(2**70), 2.5, None, True], "b": ("text é", (1, (2, 3))), 4: {}, "long": "x" * 70_000}
    content = pickle.dumps(thing, protocol=protocol)
    assert TorchFile(zipped([("data.pkl", content)])).load() == thing


def test_numbers_of_numpy():
    content = pickle.dumps([np.float64(2.5), np.int64(-3), np.float32(0.5)], protocol=2)
    content = content.replace(b"numpy._core", b"numpy.core")
    assert TorchFile(zipped([("data.pkl", content)])).load() == [2.5, -3, 0.5]


def test_bytes_inside_are_an_archive_of_their_own():
    outer = TorchFile(torch_file({"code": torch_file([1.5])})).load()
    assert TorchFile(outer["code"], "code of the file").load() == [1.5]


def test_a_shared_module_is_found_once():
    inner = Inert("a.B")
    inner.state = {"_parameters": {"w": np.zeros(1)}, "_modules": {}}
    module = Inert("a.C")
    module.state = {"_modules": {"x": inner, "y": inner, "self": module}}
    assert list(all_tensors(module)) == ["x.w"]


def test_nothing_that_a_file_names_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Hostile:
        def __reduce__(self):
            import os

            return os.system, ("touch hostile",)

    for protocol in (2, 4):
        content = pickle.dumps(Hostile(), protocol=protocol)
        thing = TorchFile(zipped([("data.pkl", content)])).load()
        assert isinstance(thing, Inert) and thing.path in ("posix.system", "os.system")
        assert thing.args == ("touch hostile",)
    assert not list(tmp_path.iterdir())


REFUSED = {
    "empty": (b"", "it is empty"),
    "text": (b"hello, this is a letter and no model", "no zip archive"),
    "torch before 1.6": (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "torch before 1.6"),
    "cut": (GOOD[:-30], "cut off"),
    "no pickle": (zipped([("x", b"1")]), "0 records data.pkl"),
    "bomb": (zipped([("data.pkl", bytes(60_000_000))], compression=zipfile.ZIP_DEFLATED), "too many for a file"),
    "many marks": (with_pickle(b"\x80\x02" + b"(" * 500_000 + b"."), "more objects"),
    "protocol 0": (with_pickle(b"I1\n."), "operation INT"),
    "unknown operation": (with_pickle(b"\x80\x02\xfe."), "after byte 0"),
    "extension": (with_pickle(b"\x80\x02\x82\x01."), "operation EXT1"),
    "nothing on the stack": (with_pickle(b"\x80\x02."), "not there"),
    "no end": (with_pickle(b"\x80\x02N"), "pickle"),
    "unknown memo": (with_pickle(b"\x80\x02h\x07."), "object 7"),
    "unhashable key": (with_pickle(b"\x80\x02}]Ns."), "a list as a key"),
    "deep key": (with_pickle(b"\x80\x02}N" + b"\x85" * 20_000 + b"Ns."), "nested too deeply"),
    "call of an object": (with_pickle(b"\x80\x02N)R."), "it calls"),
    "persistent": (with_pickle(b"\x80\x02NQ."), "reference"),
    "kind of numbers": (
        with_pickle(torch_pickle(np.ones(2))[0].replace(b"DoubleStorage", b"QUInt8Storage")),
        "QUInt8Storage",
    ),
    "outside": (with_pickle(torch_pickle(np.ones(7))[0]), "bytes for 7 numbers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_why(tmp_path, case):
    content, why = REFUSED[case]
    path = tmp_path / "x.model"
    path.write_bytes(content)
    with pytest.raises(InputError, match=why) as e:
        TorchFile(path).load()
    assert str(e.value).startswith(str(path)) and "Expected a file that torch.save wrote" in str(e.value)


def test_a_damaged_record_and_doubled_names():
    at = GOOD.find(np.arange(6.0).tobytes())
    damaged = GOOD[: at + 9] + b"\x55" + GOOD[at + 10 :]
    with pytest.raises(InputError, match="check sum"):
        TorchFile(damaged).load()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twice = zipped([("data.pkl", b"\x80\x02N."), ("data.pkl", b"\x80\x02N.")])
    with pytest.raises(InputError, match="there twice"):
        TorchFile(twice)


def test_a_name_of_a_terminal_is_written_out(tmp_path):
    content = with_pickle(b"\x80\x02" + name("a\x1b[2J.b") + b"N\x86" + b"}" + text("k\x1b[31m") + b"Rs.")
    with pytest.raises(InputError) as e:
        TorchFile(content).load()
    assert "\x1b" not in str(e.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_files(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed in range(list(KINDS).index(kind), 30 * len(KINDS), len(KINDS)):
        if kind == "bomb" and seed > 80:
            break
        _, content = hostile(seed)
        try:
            all_tensors(TorchFile(content).load())
        except InputError as e:
            assert len(str(e)) < 1500, seed
    assert not list(tmp_path.iterdir())


def test_names_are_inert():
    assert isinstance(TorchFile(with_pickle(b"\x80\x02" + name("os.system") + b".")).load(), Name)
