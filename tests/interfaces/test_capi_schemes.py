"""Composition schemes over the C ABI: the numbers of Python, and errors instead of crashes."""

import ctypes
import os

import numpy as np
import pytest

import nbcore
from nbcore import CompositionScheme, paths

OK, EARG, ESHAPE = 0, 1, 2
lib = ctypes.CDLL(paths.get_library())
lib.nbcore_message.restype = ctypes.c_char_p
pointer = ctypes.c_void_p
lib.nbcore_scheme_new.argtypes = [ctypes.c_int64, pointer]
lib.nbcore_scheme_add.argtypes = [pointer, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64] + [pointer] * 8
lib.nbcore_scheme_free.argtypes = [pointer]
lib.nbcore_scheme_reference.argtypes = [pointer, pointer]
lib.nbcore_load.argtypes = [ctypes.c_char_p, pointer]
lib.nbcore_evaluate_scheme.argtypes = (
    [pointer, pointer, ctypes.c_int64] + [pointer] * 4 + [ctypes.c_int] + [pointer] * 4
)

RNG = np.random.default_rng(0)
POSITIONS = np.stack(np.meshgrid(*[[0, 1.3, 2.6]] * 3, indexing="ij"), -1).reshape(-1, 3) + RNG.uniform(
    -0.2, 0.2, (27, 3)
)
NUMBERS = RNG.choice([1, 8], 27).astype(np.intc)
CELL = 4.2 * np.eye(3)


def message():
    return lib.nbcore_message().decode()


@pytest.fixture(scope="module")
def potential():
    return nbcore.presets.tree(["H", "O"], 3.0, channels=4, l_harmonics=2, tree_levels=3, part_size=2.0)


@pytest.fixture(scope="module")
def model(potential, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tree.nbcore"
    potential.save(path)
    handle = pointer()
    assert lib.nbcore_load(os.fsencode(path), ctypes.byref(handle)) == OK
    return handle


def new(n=27):
    handle = pointer()
    assert lib.nbcore_scheme_new(n, ctypes.byref(handle)) == OK
    return handle


def add(handle, s):
    kinds = dict(classes=np.intc, atom_first=np.int64, atom=np.intc, coefficient=float, image=np.intc,
                 child_first=np.int64, child=np.intc, child_image=np.intc)  # fmt: skip
    arrays = [np.ascontiguousarray(s[key], kind) for key, kind in kinds.items()]
    return lib.nbcore_scheme_add(handle, s["name"].encode(), s["children"].encode(), len(s["classes"]),
                                 *(a.ctypes.data for a in arrays))  # fmt: skip


def evaluate(model, handle):
    energy, forces, virial, energies = np.zeros(1), np.zeros((27, 3)), np.zeros((3, 3)), np.zeros(27)
    pbc = np.ones(3, np.intc)
    status = lib.nbcore_evaluate_scheme(
        model, handle, 27, POSITIONS.ctypes.data, NUMBERS.ctypes.data, CELL.ctypes.data, pbc.ctypes.data, 1,
        energy.ctypes.data, forces.ctypes.data, virial.ctypes.data, energies.ctypes.data,
    )  # fmt: skip
    return status, energy[0], forces, virial, energies


def test_numbers_of_python(model, potential):
    scheme = potential.scheme(POSITIONS, CELL, True)
    handle = new()
    for s in scheme.sets:
        assert add(handle, s) == OK
    places = np.ascontiguousarray(scheme.reference)
    assert lib.nbcore_scheme_reference(handle, places.ctypes.data) == OK
    status, energy, forces, virial, energies = evaluate(model, handle)
    assert status == OK, message()
    r = potential.compute(POSITIONS, NUMBERS, CELL, True, scheme=scheme, threads=1)
    assert energy == r.energy and np.array_equal(forces, r.forces)
    assert np.array_equal(virial, r.virial) and np.array_equal(energies, r.energies)
    assert add(handle, scheme.sets[0]) == EARG and "used already" in message()
    assert lib.nbcore_scheme_free(handle) == OK and lib.nbcore_scheme_free(handle) == EARG
    assert evaluate(model, handle)[0] == EARG and "was it freed?" in message()


def test_what_does_not_fit(model, potential):
    good = potential.scheme(POSITIONS, CELL, True).sets
    handle = new()
    assert evaluate(model, handle)[0] == EARG and 'with the set "part1"' in message() or "no root" in message()
    for change, text in (({"coefficient": 2 * good[0]["coefficient"]}, "must have the sum 1"),
                         ({"child": good[0]["child"] + 27}, "does not exist"),
                         ({"atom_first": good[0]["atom_first"][::-1]}, "")):  # fmt: skip
        handle = new()
        status = add(handle, good[0] | change)
        assert (status == OK and evaluate(model, handle)[0] == EARG) or status in (EARG, ESHAPE)
        assert text in message()
    assert lib.nbcore_scheme_new(-1, ctypes.byref(pointer())) == ESHAPE
    assert lib.nbcore_scheme_add(new(), None, b"atoms", 0, *[None] * 8) == EARG
    assert lib.nbcore_scheme_add(new(), b"part1", b"atoms", -1, *[np.zeros(1, np.int64).ctypes.data] * 8) == ESHAPE
    assert lib.nbcore_scheme_free(None) == OK
    assert evaluate(model, None)[0] == EARG and message() == "scheme is NULL"
    few = CompositionScheme.tree(POSITIONS[:5], size=2.0, levels=3)
    handle = new(5)
    for s in few.sets:
        add(handle, s)
    assert evaluate(model, handle)[0] == EARG and "scheme is one of 5 atoms, the structure has 27" in message()
