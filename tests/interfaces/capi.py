"""The C ABI for tests in Python: its structs and functions over ctypes, and calls that take NumPy arrays."""

import ctypes
import os

import numpy as np

from nbcore import paths

pointer = ctypes.c_void_p
lib = ctypes.CDLL(paths.get_library())
lib.nbcore_message.restype = ctypes.c_char_p
lib.nbcore_levels_row_bytes.argtypes = [pointer, ctypes.c_int, pointer]
for _name in ("forward", "adjoint"):
    getattr(lib, f"nbcore_levels_{_name}").argtypes = [pointer, ctypes.c_int]
for _name in ("read_states", "write_states", "take_adjoints", "add_adjoints"):
    getattr(lib, f"nbcore_levels_{_name}").argtypes = [pointer, ctypes.c_int, ctypes.c_int64, pointer, pointer]


def struct(name, fields):
    """A struct with a leading size, whose fields are 0 or NULL unless they are given."""

    def start(self, **values):
        ctypes.Structure.__init__(self, size=ctypes.sizeof(type(self)))
        self.kept = []  # arrays that it points to
        for key, value in values.items():
            if isinstance(value, np.ndarray):
                self.kept.append(value)
                value = value.ctypes.data
            setattr(self, key, value)

    return type(name, (ctypes.Structure,), {"_fields_": [("size", ctypes.c_size_t), *fields], "__init__": start})


INT, INT64, DOUBLE = ctypes.c_int, ctypes.c_int64, ctypes.c_double
Options = struct(
    "Options",
    [("threads", INT), ("precision", INT), ("interrupt", pointer), ("interrupt_data", pointer), ("skin", DOUBLE),
     ("max_bytes", INT64)],
)  # fmt: skip
System = struct(
    "System",
    [("n", INT64), ("n_ghosts", INT64), ("positions", pointer), ("numbers", pointer), ("cell", pointer),
     ("pbc", pointer), ("scheme", pointer), ("leaves", pointer), ("n_rows", INT64), ("first", pointer),
     ("neighbours", pointer), ("shifts", pointer), ("half", INT), ("owners", pointer)],
)  # fmt: skip
RESULTS = ["energy", "forces", "virial", "energies", "virials", "outputs", "energy_uncertainty", "forces_uncertainty",
           "grades"]  # fmt: skip
Result = struct("Result", [(name, pointer) for name in RESULTS])
Info = struct(
    "Info",
    [("cutoff", DOUBLE), ("ghost_range", DOUBLE), ("r_min", DOUBLE)]
    + [(name, INT) for name in ("levels", "species", "outputs", "leaves", "members", "scheme")]
    + [(name, ctypes.c_char_p) for name in ("energy_unit", "length_unit", "kernel_set")],
)
ARRAYS = {
    "positions": float, "numbers": np.intc, "cell": float, "pbc": np.intc, "first": np.int64, "neighbours": np.intc,
    "shifts": np.intc, "owners": np.intc,
}  # fmt: skip


def check(status):
    """RuntimeError with the status and the message of a call that did not succeed."""
    if status:
        raise RuntimeError(f"{status}: {lib.nbcore_message().decode()}")


def options(threads=1, precision=0, skin=-1.0, max_bytes=-1, **more):
    return Options(threads=threads, precision=precision, skin=skin, max_bytes=max_bytes, **more)


def system(positions, numbers, n_ghosts=0, **more):
    """A System of arrays in any form; more: its other fields."""
    values = {"positions": positions, "numbers": numbers, **more}
    for name, kind in ARRAYS.items():
        if values.get(name) is not None:
            values[name] = np.ascontiguousarray(values[name], kind)
    if "first" in values and "n_rows" not in values:
        values["n_rows"] = len(values["first"]) - 1
    return System(n=len(positions) - n_ghosts, n_ghosts=n_ghosts, **{k: v for k, v in values.items() if v is not None})


def result(s):
    """(Result with room for everything of a system, the arrays by name), which are NaN."""
    n, n_all = s.n, s.n + s.n_ghosts
    shapes = {"energy": (1,), "forces": (n_all, 3), "virial": (3, 3), "energies": (n,), "virials": (n_all, 3, 3)}
    arrays = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
    return Result(**arrays), arrays


class Model:
    """A model by its handle."""

    def __init__(self, path):
        self.handle = pointer()
        check(lib.nbcore_load(os.fsencode(path), ctypes.byref(self.handle)))

    def compute(self, s, how=None):
        room, arrays = result(s)
        check(lib.nbcore_compute(self.handle, ctypes.byref(s), ctypes.byref(how or options()), ctypes.byref(room)))
        return arrays

    def info(self):
        info = Info()
        check(lib.nbcore_get_info(self.handle, ctypes.byref(info)))
        return info


class Levels:
    """nbcore_levels of one domain."""

    def __init__(self, model, how=None):
        self.handle = pointer()
        check(lib.nbcore_levels_new(model.handle, ctypes.byref(how or options()), ctypes.byref(self.handle)))

    def begin(self, s):
        self.room, self.arrays = result(s)
        check(lib.nbcore_levels_begin(self.handle, ctypes.byref(s), ctypes.byref(self.room)))

    def row_bytes(self, level):
        size = ctypes.c_size_t()
        check(lib.nbcore_levels_row_bytes(self.handle, level, ctypes.byref(size)))
        return size.value

    def forward(self, level):
        check(lib.nbcore_levels_forward(self.handle, level))

    def adjoint(self, level):
        check(lib.nbcore_levels_adjoint(self.handle, level))

    def rows(self, call, level, atoms, rows=None):
        atoms = np.ascontiguousarray(atoms, np.intc)
        if rows is None:
            rows = np.full((len(atoms), self.row_bytes(level)), 255, np.uint8)
        function = getattr(lib, f"nbcore_levels_{call}")
        check(function(self.handle, level, len(atoms), atoms.ctypes.data, rows.ctypes.data))
        return rows

    def finish(self):
        check(lib.nbcore_levels_finish(self.handle))
        return self.arrays
