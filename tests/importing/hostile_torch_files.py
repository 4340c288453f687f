"""Files of torch.save made wrong in one way or another, by number; the same number makes the same file."""

import random
import struct
import zipfile

import numpy as np
from torch_writer import name, text, torch_file, torch_pickle, zipped

from nbcore.importing.pickles import Inert


def example():
    """A small module as torch would save it."""
    module = Inert("mace.modules.models.MACE")
    inner = Inert("torch.nn.Linear")
    inner.state = {"_parameters": {"weight": np.arange(6.0).reshape(2, 3)}, "_buffers": {}, "_modules": {}}
    numbers = {"numbers": np.array([1, 6, 8]), "r_max": np.array(4.5, np.float32)}
    module.state = {"_parameters": {}, "_buffers": numbers, "_modules": {"inner": inner}, "heads": ["Default"]}
    return module


PICKLE, ARRAYS = torch_pickle(example())
GOOD = torch_file(example())
#: one-byte operations of all protocols
OPERATIONS = b"(.0123FIJKLMNPQRSTUVX]abcdeghijlopqrst}u" + bytes(range(0x80, 0x97))
CALLS = ["os.system", "builtins.exec", "builtins.eval", "subprocess.Popen", "builtins.getattr", "torch.load"]


def with_pickle(pickle):
    records = [("data.pkl", pickle), ("byteorder", b"little")]
    return zipped(records + [(f"data/{k}", a.tobytes()) for k, a in enumerate(ARRAYS)])


def changed_bytes(r, content):
    content = bytearray(content)
    for _ in range(r.choice([1, 1, 2, 5, 20])):
        content[r.randrange(len(content))] = r.choice([0, 0xFF, r.randrange(256), r.choice(OPERATIONS)])
    return bytes(content)


def spliced(r, content):
    a, b, c = sorted(r.randrange(len(content)) for _ in range(3))
    return r.choice([content[:a] + content[b:], content[:b] + content[a:], content[:c] + content[a:b] + content[c:]])


def random_program(r):
    """Operations drawn at random, with arguments that fit more often than not."""
    words = []
    for _ in range(r.randrange(1, 60)):
        number, count = bytes([r.randrange(256)]), struct.pack("<i", r.choice([3, 1 << 30]))
        words.append(r.choice([
            bytes([r.choice(OPERATIONS)]), b"K" + number, text("ab" * r.randrange(3)), name(r.choice(CALLS)),
            b"q" + bytes([r.randrange(4)]), b"h" + bytes([r.randrange(4)]), name("torch._utils._rebuild_tensor_v2"),
            name("collections.OrderedDict"), name("torch.DoubleStorage"), b"J" + struct.pack("<i", r.randrange(-9, 9)),
            b"X" + struct.pack("<I", r.choice([5, 1 << 31])), b"\x8b" + count,
            *(bytes([op]) for op in b")]}(tRb\x81Q\x85\x86\x87suae"),
        ]))  # fmt: skip
    return b"\x80\x02" + b"".join(words) + b"."


def tensor_that_lies(r):
    """A tensor with sizes, strides or numbers that do not fit."""
    size, stride, first = (r.choice([0, 1, 3, 1 << 20, 1 << 45, -1]) for _ in range(3))
    words = b"(" + text("storage") + name("torch.DoubleStorage") + text(r.choice(["0", "1", "9", "../x"])) + text("cpu")
    words += b"\x8a\x08" + struct.pack("<q", r.choice([6, 3, 1 << 40])) + b"tQ"
    number = [b"\x8a\x08" + struct.pack("<q", n) for n in (first, size, stride)]
    body = number[0] + number[1] + b"\x85" + number[2] + b"\x85\x89N"
    return b"\x80\x02" + name("torch._utils._rebuild_tensor_v2") + b"(" + words + body + b"tR."


def bomb(r):
    """Much out of little."""
    n = r.choice([1000, 50_000, 1_000_000])
    kind = r.randrange(5)
    if kind == 0:
        return zipped([("data.pkl", b"\x80\x02N."), ("data/0", bytes(n * 20))], compression=zipfile.ZIP_DEFLATED)
    words = [b"(" * n, b"]" * n, b"}" * n + b"t" * 3, b"\x80\x02]" + b"\x85" * n + b".", b"2" * n][kind]
    return with_pickle(b"\x80\x02N" + words + b".")


def unknown_call(r):
    return with_pickle(
        b"\x80\x02" + name(r.choice(CALLS)) + text("touch hostile") + b"\x85" + r.choice([b"R", b"\x81"]) + b"."
    )


def doubled(r):
    records = (
        [("data.pkl", PICKLE), ("data.pkl", PICKLE)]
        if r.random() < 0.5
        else [("data.pkl", PICKLE), ("b/data.pkl", PICKLE)]
    )
    return zipped(records)


KINDS = {
    "bytes": lambda r: changed_bytes(r, GOOD),
    "cut": lambda r: GOOD[: r.randrange(len(GOOD))],
    "spliced": lambda r: spliced(r, GOOD),
    "directory": lambda r: GOOD[: (k := GOOD.rfind(b"PK\x01\x02"))] + changed_bytes(r, GOOD[k:]),
    "pickle bytes": lambda r: with_pickle(changed_bytes(r, PICKLE)),
    "pickle cut": lambda r: with_pickle(PICKLE[: r.randrange(len(PICKLE))]),
    "pickle spliced": lambda r: with_pickle(spliced(r, PICKLE)),
    "program": lambda r: with_pickle(random_program(r)),
    "tensor": lambda r: with_pickle(tensor_that_lies(r)),
    "bomb": bomb,
    "call": unknown_call,
    "doubled": doubled,
}


def hostile(seed):
    """(kind, bytes) of file number `seed`."""
    r = random.Random(seed)
    kind = list(KINDS)[seed % len(KINDS)]
    if kind == "bomb" and seed % 24 >= 12:  # they take longest
        kind = "program"
    with np.errstate(all="ignore"):
        return kind, KINDS[kind](r)
