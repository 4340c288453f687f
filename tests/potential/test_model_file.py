"""The model file: what is written is read, and whatever is damaged or hostile is refused."""

import hashlib
import json
import math
import os
import pickle
import re
import resource
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from nbcore._core import read_model_file, write_model_file
from nbcore.errors import InputError, ModelFileError

DESCRIPTION = json.dumps({"species": ["C", "H"], "cutoff": 5.0, "about": {"author": "Zoë"}})
TENSORS = {
    "parameters": np.random.default_rng(0).normal(size=40),
    "golden.0.positions": np.arange(6.0).reshape(2, 3) / 7,
    "one": np.float64(-0.0),
    "none": np.zeros((0, 3)),
    "extremes": np.array([5e-324, 1.7976931348623157e308, -1e-300]),
}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "a.nbcore"
    write_model_file(path, DESCRIPTION, TENSORS)
    return path


def seal(header, data=b"", length=None, pad=True):
    """A file with a valid digest around any header (text or bytes): what an attacker can make too."""
    header = header.encode() if isinstance(header, str) else header
    if pad:
        header += b" " * (-len(header) % 8)
    blob = struct.pack("<Q", len(header) if length is None else length) + header + data
    return blob.replace(b"0" * 64, hashlib.sha256(blob).hexdigest().encode())


def header_text(tensors="", description=DESCRIPTION, version="1", needs="0.1.0"):
    return (
        f'{{"__metadata__":{{"format":"nbcore","version":"{version}","needs":"{needs}","sha256":"{"0" * 64}",'
        f'"description":{json.dumps(description)}}}{tensors}}}'
    )


def entry(shape, begin, end, dtype="F64", name="w"):
    return f',"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}'


def test_round_trip(model, tmp_path):
    description, tensors = read_model_file(model)
    assert description == DESCRIPTION
    assert list(tensors) == list(TENSORS)
    for name, array in tensors.items():
        assert array.dtype == np.float64 and array.shape == TENSORS[name].shape
        assert array.tobytes() == TENSORS[name].tobytes()
        assert array.flags.writeable or array.flags.owndata
    again = tmp_path / "b.nbcore"
    write_model_file(again, description, tensors)
    assert again.read_bytes() == model.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nbcore", "b.nbcore"]


def test_layout_is_safetensors(model):
    """Read by ten lines of Python that know the safetensors layout and nothing else."""
    blob = model.read_bytes()
    (length,) = struct.unpack("<Q", blob[:8])
    header, data = json.loads(blob[8 : 8 + length]), blob[8 + length :]
    metadata = header.pop("__metadata__")
    assert length % 8 == 0 and all(isinstance(v, str) for v in metadata.values())
    assert (metadata["format"], metadata["version"], metadata["description"]) == ("nbcore", "1", DESCRIPTION)
    end = 0
    for name, info in header.items():
        assert info["dtype"] == "F64" and info["data_offsets"][0] == end
        end = info["data_offsets"][1]
        array = np.frombuffer(data[slice(*info["data_offsets"])], "<f8").reshape(info["shape"])
        assert array.tobytes() == TENSORS[name].tobytes()
    assert end == len(data)


def test_digest_is_sha256(model):
    blob = model.read_bytes()
    digest = json.loads(blob[8 : 8 + struct.unpack("<Q", blob[:8])[0]])["__metadata__"]["sha256"]
    assert hashlib.sha256(blob.replace(digest.encode(), b"0" * 64)).hexdigest() == digest


@pytest.mark.parametrize("n", [*range(9), 13, 100, 1000, 4096])
def test_digest_of_any_length(tmp_path, n):
    """All remainders of the length modulo SHA-256's blocks of 64 bytes."""
    for k in range(8):
        path = tmp_path / f"{k}.nbcore"
        write_model_file(path, json.dumps({"text": "x" * (7 * k + n)}), {"w": np.arange(float(n))})
        test_digest_is_sha256(path)


def test_every_bit_flip_and_truncation(tmp_path):
    path = tmp_path / "small.nbcore"
    write_model_file(path, '{"species":["C"]}', {"w": np.array([1.0, -2.5, 3.25])})
    blob = path.read_bytes()
    accepted = []

    def must_fail(*what):
        try:
            read_model_file(path)
        except ModelFileError:
            return
        accepted.append(what)

    with open(path, "r+b", buffering=0) as file:  # changed in place: thousands of new files take their time
        for position, byte in enumerate(blob):
            for bit in range(8):
                os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), position)
                must_fail("flipped", position, bit)
            os.pwrite(file.fileno(), bytes([byte]), position)
        for n in range(1, 65):
            for filling in (b"\0", b" "):
                os.pwrite(file.fileno(), n * filling, len(blob))
                must_fail("appended", n, filling)
        for length in reversed(range(len(blob))):
            os.ftruncate(file.fileno(), length)
            must_fail("truncated", length)
    assert accepted == []
    path.write_bytes(blob)
    read_model_file(path)


@pytest.mark.parametrize("content", [
    b"", b"\0", b"nbcore", b"PK\x03\x04" + bytes(100), pickle.dumps({"a": [1, 2]}), b"\x93NUMPY" + bytes(64),
    b"\x89HDF\r\n\x1a\n" + bytes(64), b"{}", struct.pack("<Q", 2) + b"{}", bytes(4096), b"\xff" * 4096,
])  # fmt: skip
def test_other_formats_are_refused(tmp_path, content):
    path = tmp_path / "x.nbcore"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not an nbcore model"):
        read_model_file(path)


def test_pickle_is_never_run(tmp_path):
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self):
            return (open, (str(canary), "w"))

    path = tmp_path / "x.nbcore"
    path.write_bytes(pickle.dumps(Evil()))
    link = tmp_path / "link.nbcore"
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(ModelFileError, match="not an nbcore model"):
            read_model_file(name)
    assert not canary.exists()


W = np.arange(2.0).tobytes()
EVIL = {
    "length 0": (seal(header_text(), length=0), "header"),
    "length 2^31": (seal(header_text(), length=2**31), "truncated"),
    "length 2^63 - 1": (seal(header_text(), length=2**63 - 1), "truncated"),
    "length -1": (seal(header_text(), length=2**64 - 1), "truncated"),
    "length cut": (seal(header_text(), length=len(header_text()) // 8 * 8 - 8), "JSON"),
    "length odd": (seal(header_text() + (7 - len(header_text()) % 8) * " ", pad=False), "multiple of 8"),
    "offsets inverted": (seal(header_text(entry([2], 16, 0)), W), "data_offsets"),
    "offsets overlap": (seal(header_text(entry([2], 0, 16) + entry([1], 8, 16, name="v")), W), "data_offsets"),
    "offsets outside": (seal(header_text(entry([4], 0, 32)), W), "truncated"),
    "offsets with a gap": (seal(header_text(entry([1], 8, 16)), W), "data_offsets"),
    "offsets negative": (seal(header_text(entry([2], -16, 0)), W), "non-negative"),
    "offsets fractional": (seal(header_text(entry([2], 0.0, 16.0)), W), "integers"),
    "offsets three": (seal(header_text(entry([2], 0, "16, 16")), W), "data_offsets"),
    "shape huge": (seal(header_text(entry([2**40, 2**40], 0, 16)), W), "too large"),
    "shape wraps to 16 bytes": (seal(header_text(entry([2**61 + 2], 0, 16)), W), "too large"),
    "shape claims 2^59": (seal(header_text(entry([2**56], 0, 2**59)), W), "truncated"),
    "shape of 64 dimensions": (seal(header_text(entry([1] * 63 + [2], 0, 16)), W), "too large"),
    "shape beyond 64 bits": (seal(header_text(entry([2**70], 0, 16)), W), "integers"),
    "shape negative": (seal(header_text(entry([-2, -1], 0, 16)), W), "non-negative"),
    "shape text": (seal(header_text(entry('"2"', 0, 16)), W), "list of integers"),
    "shape does not fit": (seal(header_text(entry([3], 0, 16)), W), "24 bytes"),
    "data left over": (seal(header_text(entry([1], 0, 8)), W), "arrays take 8 bytes, the file has 16"),
    "dtype unknown": (seal(header_text(entry([2], 0, 16, dtype="F65")), W), "F65"),
    "dtype another": (seal(header_text(entry([4], 0, 16, dtype="F32")), W), "must be F64"),
    "entry a number": (seal(header_text(',"w":3'), W), "expected dtype"),
    "key missing": (seal(header_text(',"w":{"dtype":"F64","shape":[2]}'), W), "expected dtype"),
    "key twice": (seal(header_text(entry([1], 0, 8) + entry([1], 8, 16)), W), "twice"),
    "key twice inside": (seal(header_text(entry([2], 0, '16],"data_offsets":[0,16')), W), "twice"),
    "description key twice": (seal(header_text(description='{"a":{"b":1,"b":2}}')), "twice"),
    "nesting 10^5": (seal(header_text(',"w":' + "[" * 10**5 + "]" * 10**5)), "nested"),
    "nesting 10^5, open": (seal(header_text(',"w":' + '{"a":' * 10**5)), "nested"),
    "description nested 10^5": (seal(header_text(description='{"a":' + "[" * 10**5 + "]" * 10**5 + "}")), "nested"),
    "description no JSON": (seal(header_text(description="{")), "description"),
    "description a list": (seal(header_text(description="[]")), "not an object"),
    "description empty": (seal(header_text(description="")), "description"),
    "description no text": (seal(header_text().replace(json.dumps(DESCRIPTION), "3")), "no description"),
    "not UTF-8": (seal(header_text(entry([2], 0, 16, name="w?")).encode().replace(b"?", b"\xff"), W), "UTF-8"),
    "surrogate": (seal(header_text(entry([2], 0, 16, name="\\ud800")), W), "JSON"),
    "number too large": (seal(header_text(',"w":1e999'), W), "JSON|expected"),
    "NaN weight": (seal(header_text(entry([2], 0, 16)), np.array([1, np.nan]).tobytes()), "element 1 of w is nan"),
    "Inf weight": (seal(header_text(entry([2], 0, 16)), np.array([-np.inf, 1]).tobytes()), "element 0 of w is -inf"),
    "version newer": (seal(header_text(version="2", needs="0.9.0")), "needs nbcore 0.9.0"),
    "version 0": (seal(header_text(version="0")), "version"),
    "version text": (seal(header_text(version="1a")), "version"),
    "version 10^30": (seal(header_text(version="1" + "0" * 30)), "version"),
    "trailing comma": (seal(header_text(",")), "JSON"),
    "digest short": (seal(header_text().replace("0" * 64, "0" * 63)), "digest"),
    "digest wrong": (seal(header_text().replace("0" * 64, "f" * 64)), "SHA-256"),
}  # fmt: skip


@pytest.mark.parametrize("name", EVIL)
def test_hostile_files(tmp_path, name):
    content, text = EVIL[name]
    path = tmp_path / "evil.nbcore"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=text) as error:
        read_model_file(path)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value)) < 2000


def test_seal_makes_good_files(tmp_path):
    """What test_hostile_files changes is the only thing wrong with its files."""
    path = tmp_path / "good.nbcore"
    path.write_bytes(seal(header_text(entry([2], 0, 16)), W))
    description, tensors = read_model_file(path)
    assert description == DESCRIPTION and tensors["w"].tolist() == [0.0, 1.0]


@pytest.mark.own_memory
def test_memory_stays_small(tmp_path):
    """Under a limit of 64 MiB more than the interpreter holds, each hostile file is still refused by its own error."""
    for k, (content, _) in enumerate(EVIL.values()):
        (tmp_path / f"{k}.nbcore").write_bytes(content)
    program = """
        import pathlib, resource, sys
        from nbcore._core import read_model_file
        from nbcore.errors import ModelFileError
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + 64 * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
            try:
                read_model_file(path)
            except ModelFileError:
                continue
            sys.exit(f"{path} was read")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], check=True)


def test_paths(tmp_path, model):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "absent.nbcore"))):
        read_model_file(tmp_path / "absent.nbcore")
    with pytest.raises(IsADirectoryError):
        read_model_file(tmp_path)
    with pytest.raises(NotADirectoryError):
        read_model_file(model / "inside")
    with pytest.raises(OSError):
        read_model_file("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError):
        read_model_file(tmp_path / "pipe")  # and does not wait for a writer
    for path in (3.0, None):
        with pytest.raises(TypeError):
            read_model_file(path)
    with pytest.raises(ValueError, match="zero byte"):
        read_model_file("a\0b")
    strange = tmp_path / "Größe 1.nbcore"
    write_model_file(os.fsencode(strange), "{}", {})
    assert read_model_file(str(strange)) == ("{}", {})
    with pytest.raises(ModelFileError, match="not an nbcore model"):
        latin = os.fsencode(tmp_path) + b"/Gr\xf6sse"
        with open(latin, "wb"):
            read_model_file(latin)
    with pytest.raises(FileNotFoundError):
        write_model_file(tmp_path / "absent" / "x.nbcore", "{}", {})
    with pytest.raises(IsADirectoryError):
        write_model_file(tmp_path, "{}", {})
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_unreadable(tmp_path, model):
    model.chmod(0)
    tmp_path.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
            folder.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(PermissionError):
            read_model_file(model)
        if root:
            with pytest.raises(PermissionError):
                write_model_file(model, "{}", {})
    finally:
        if root:
            os.seteuid(0)


def test_failed_write_leaves_the_old_file(tmp_path, model):
    """A file system that takes only some bytes: the old file stays, nothing is left behind."""
    before = model.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=re.escape(str(model))):
            write_model_file(model, DESCRIPTION, {"w": np.ones(1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert model.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.nbcore"]


@pytest.mark.parametrize(
    "description, tensors, text",
    [
        ("{", {}, "JSON"),
        ("[1]", {}, "object"),
        ('{"a":1,"a":2}', {}, "twice"),
        ("{}", {"w": np.array([1, np.nan])}, "element 1 of w is nan"),
        ("{}", {"w": [[1.0], [math.inf]]}, "element 1 of w is inf"),
        ("{}", {"": np.ones(1)}, "name"),
        ("{}", {"__metadata__": np.ones(1)}, "name"),
        ("{}", {"w": np.ones([1] * 17)}, "shape"),
    ],
)
def test_writing_refuses(tmp_path, description, tensors, text):
    with pytest.raises(InputError, match=text):
        write_model_file(tmp_path / "x.nbcore", description, tensors)
    assert list(tmp_path.iterdir()) == []


def test_writing_refuses_other_types(tmp_path):
    for tensors in ({"w": ["a"]}, {"w": None}, {"w": np.ones(2, complex)}, {3: np.ones(1)}):
        with pytest.raises(TypeError):
            write_model_file(tmp_path / "x.nbcore", "{}", tensors)
