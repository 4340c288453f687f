"""Programs without measure: refused by name before anything of their size is made, in linear time."""

import json
import subprocess
import sys
import time

import pytest

import nbcore
from nbcore._core import write_model_file
from nbcore.errors import InputError, ModelFileError

DENSITY = dict(gate="density", name="A", l_max=0, radial={"n": 4, "cutoff": 4.0})


def mix(name, *inputs, channels=4096, **more):
    return dict(gate="mix", name=name, inputs=list(inputs), channels=channels, **more)


def product(name, *inputs, **more):
    return dict(gate="tensor_product", name=name, inputs=list(inputs), **more)


def many_sets(n):
    return [{"name": f"s{k}"} for k in range(n)]


WIDE = [dict(DENSITY, l_max=10), mix("a", "A", channels=64)]
NATURAL = [dict(DENSITY, l_max=10), mix("a", "A", channels=2)]

#: gates, further entries of the program, what the message says
PROGRAMS = {
    "product of products": ([DENSITY, mix("a", "A"), product("b", "a", l_max=0), product("c", "b", l_max=0)], {},
                            "gate b .*more than 1048576 channels"),
    "product of two": ([DENSITY, mix("a", "A"), mix("b", "A"), product("c", "a", "b")], {}, "gate c .*channels"),
    "groups of paths": ([*WIDE, *[dict(gate="zeroth_order", name=f"z{k}", inputs=[f"z{k - 1}" if k else "a"], l_max=10,
                                       radial={"n": 64, "cutoff": 4.0}, radial_mode="all") for k in range(4)]], {},
                        "gate z.*numbers per node"),
    "numbers of a node": ([DENSITY, mix("a", "A", channels=1024), *[product(f"p{k}", "a") for k in range(40)],
                           mix("b", *[f"p{k}" for k in range(40)], channels=1), product("c", "p1", "p2")], {},
                          "gate c"),
    "parts": ([*WIDE, *[product(f"p{k}", f"p{k - 1}" if k else "a", pairs="same", l_max=10) for k in range(3)]], {},
              "gate p1 .*more than 4096 parts"),
    "products of three": ([*NATURAL, dict(gate="self_product", name="s", inputs=["a"], l_max=10)], {},
                          "gate s .*too many products of three"),
    "products of three, often": ([dict(DENSITY, l_max=6), mix("a", "A", channels=2),
                                  *[dict(gate="self_product", name=f"s{k}", inputs=["a"], l_max=6) for k in range(99)]],
                                 {}, "paths or products in all"),
    "gates": ([DENSITY, *[mix(f"m{k}", "A", channels=1) for k in range(20_000)]], {}, "at most 10000 gates"),
    "inputs": ([DENSITY, mix("m", *["A"] * 100_000)], {}, "gate m .*more than 65536"),
    "paths in all": ([*NATURAL, *[dict(gate="zeroth_order", name=f"z{k}", inputs=["a"], l_max=10, l_out=10,
                                    radial={"n": 64, "cutoff": 4.0}, radial_mode="all") for k in range(400)]], {},
                     "paths or products in all"),
    "sets": ([DENSITY], dict(sets=many_sets(5000)), "at most 1000 sets"),
    "parameters": ([DENSITY, mix("a", "A"), *[mix(f"b{k}", *["a"] * 100) for k in range(2)], mix("c", "b0", "b1")], {},
                   "at most 2147483648 are supported"),
    "names of the terminal": ([dict(DENSITY, name="\x1b[31mA")], {}, "control character"),
    "entries": ([DENSITY], dict(colour=1), 'no entry "colour"'),
    "options of a leaf": ([dict(gate="leaf", name="q", colour=1), DENSITY], {}, 'leaf q: no option "colour"'),
    "options of a set": ([DENSITY], dict(sets=[{"name": "s", "colour": 1}]), 'set s: no option "colour"'),
}  # fmt: skip


def description(gates, more):
    return {"species": ["H"], "cutoff": 4.0, "program": {"gates": gates, "readout": ["E"], **more}}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_without_measure(name):
    gates, more, text = PROGRAMS[name]
    start = time.process_time()
    with pytest.raises(InputError, match=text):
        nbcore.Potential(description(gates, more))
    assert time.process_time() - start < 30  # linear: a fraction of a second, some with sanitizers


def test_largest_program_is_read():
    """Ten thousand gates, each with a name to be found."""
    gates = [DENSITY] + [mix(f"m{k}", f"m{k - 1}" if k else "A", channels=1) for k in range(9998)]
    potential = nbcore.Potential(description([*gates, mix("E", "m9997", channels=1)], {}))
    assert len(potential.parameters) == 4 + 9998


MEASURE = """
import resource, sys
import nbcore
potential = nbcore.presets.nbody(species=["H"], cutoff=4.0, channels=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    nbcore.Potential.load(sys.argv[1])
except nbcore.ModelFileError as e:
    print(e)
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


@pytest.mark.parametrize("times", [1, 100])
def test_a_file_takes_no_more_memory_than_it_holds(tmp_path, times):
    """Millions of parameters that a small file lacks: compared before they are made."""
    gates = [DENSITY, mix("a", "A"), mix("b", *["a"] * times), mix("E", "b", channels=1)]
    path = tmp_path / "bad.nbcore"
    write_model_file(path, json.dumps(description(gates, {})), {})
    with pytest.raises(ModelFileError, match="the array parameters.a.W0e is missing"):
        nbcore.Potential.load(path)
    run = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True)
    message, taken = run.stdout.splitlines()
    assert "missing" in message and int(taken) < 4 * path.stat().st_size + 50e6


def test_a_large_model_takes_little_more_memory_than_its_file(tmp_path):
    """Engines are made when somebody computes, in the precision asked for."""
    path = tmp_path / "large.nbcore"
    nbcore.presets.nbody(species=["H", "C"], cutoff=4.0, channels=384).save(path)
    run = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True)
    assert path.stat().st_size > 5e6 and int(run.stdout) < 4 * path.stat().st_size + 50e6
