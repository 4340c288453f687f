"""Bounds that hold for every model file: memory, time, kinds of entries; nothing of it acts on a terminal."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nbcore
from nbcore._core import read_model_file, write_model_file
from nbcore.cli import main
from nbcore.errors import InputError, ModelFileError
from nbcore.model_file import check_golden, read_description
from nbcore.presets import nbody
from nbcore.printable import printable

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import hostile_models  # noqa: E402

pytestmark = pytest.mark.own_memory


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "good.nbcore"
    potential = nbody(
        species=["H", "C"], cutoff=3.0, channels=2, levels=1, outputs={"dipole": {"rank": 1, "unit": "D"}}
    )
    potential.save(path)
    return path


def parts(path):
    return hostile_models.split(path.read_bytes())


def changed(good, path, **entries):
    metadata, description, arrays = parts(good)
    path.write_bytes(hostile_models.join(metadata, {**description, **entries}, arrays))
    return path


# ---- memory and time ----

MEASURE = """
import re, sys, time
import nbcore
from nbcore.errors import ModelFileError
def highest():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
def now():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
open("/proc/self/clear_refs", "w").write("5")
before, start = now(), time.process_time()
try:
    nbcore.Potential.load(sys.argv[1])
    what = "loaded"
except ModelFileError as e:
    what = str(e)[:500]
print(highest() - before, time.process_time() - start, what)
"""


def load(path):
    """(bytes at the highest, seconds of the processor, what came of it), in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", MEASURE, path], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    grown, seconds, what = run.stdout.split(" ", 2)
    return int(grown), float(seconds), what


ABOUT = {  # what a text of a few megabytes can be made of; `n` times
    "keys": (100_000, lambda n: {f"k{i}": "" for i in range(n)}),
    "too many keys": (500_000, lambda n: {f"{i}": 0 for i in range(n)}),
    "numbers": (1_000_000, lambda n: [0] * n),
    "objects": (1_000_000, lambda n: [{}] * n),
    "lists": (130_000, lambda n: [[]] * n),
    "texts": (130_000, lambda n: [""] * n),
    "pairs": (60_000, lambda n: [{"a": 0}] * n),
    "a long text": (3_900_000, lambda n: "x" * n),
    "a wide text": (3_900_000, lambda n: "x" * n + "\U0001f600"),
    "a longer text": (50_000_000, lambda n: "x" * n),
    "a long key": (3_900_000, lambda n: {"x" * n: 1}),
}


@pytest.mark.parametrize("name", ABOUT)
def test_memory_and_time_of_texts(good, tmp_path, name):
    n, make = ABOUT[name]
    path = changed(good, tmp_path / "x.nbcore", more=make(n))
    size = path.stat().st_size
    grown, seconds, what = load(path)
    assert grown <= 4 * size + 50e6, what
    assert seconds < 5, what  # of the processor; what takes quadratic time takes a minute


def test_memory_and_time_of_arrays(good, tmp_path):
    path = tmp_path / "x.nbcore"
    metadata, description, arrays = parts(good)
    arrays.append(("more", {"dtype": "F64", "shape": [5_000_000]}, bytes(40_000_000)))
    path.write_bytes(hostile_models.join(metadata, description, arrays))
    grown, seconds, what = load(path)
    assert what.strip() == "loaded" and grown <= 2 * path.stat().st_size and seconds < 5
    arrays[-1:] = [(f"more{k}", {"dtype": "F64", "shape": [0]}, b"") for k in range(12_000)]
    path.write_bytes(hostile_models.join(metadata, description, arrays))
    grown, seconds, what = load(path)
    assert what.strip() == "loaded" and grown < 50e6 and seconds < 5


def test_a_file_with_holes_and_one_that_is_no_model_are_not_read(tmp_path):
    """Terabytes that are claimed by the file system: the first bytes are looked at first."""
    path = tmp_path / "x.nbcore"
    with open(path, "wb") as f:
        f.truncate(1 << 40)
    grown, _, what = load(path)
    assert grown < 20e6 and "not an nbcore model" in what


def test_the_digest_is_compared_before_the_texts_are_looked_at(good, tmp_path):
    metadata, description, arrays = parts(good)
    blob = hostile_models.join(metadata, {**description, "more": {f"k{i}": 0 for i in range(200_000)}}, arrays)
    path = tmp_path / "x.nbcore"
    path.write_bytes(blob[:-1] + b"\x01")
    with pytest.raises(ModelFileError, match="SHA-256"):
        read_model_file(path)


def test_what_could_not_be_read_is_not_written(tmp_path):
    for text, more, arrays in (
        ("larger", {"a": "x" * 5_000_000}, {}),
        ("JSON values", {"a": [0] * 200_000}, {}),
        ("JSON values", {}, {f"a{k}": np.ones(0) for k in range(30_000)}),
        ("nested", {"a": json.loads("[" * 100 + "]" * 100)}, {}),
    ):
        with pytest.raises(InputError, match=text if text != "larger" else "at most"):
            write_model_file(tmp_path / "x.nbcore", json.dumps(more), arrays)
    assert list(tmp_path.iterdir()) == []


def test_arrays_in_another_order_and_empty_ones(tmp_path):
    path = tmp_path / "x.nbcore"
    tensors = {
        "b": np.ones(2),
        "none": np.zeros((0, 3)),
        "a": np.arange(3.0),
        "empty": np.zeros(0),
        "one": np.float64(7),
    }
    write_model_file(path, "{}", tensors)
    description, found = read_model_file(path)
    assert list(found) == list(tensors) and all(np.array_equal(found[k], a) for k, a in tensors.items())
    del description
    array = found["a"]
    del found
    array += 1  # the memory of the file lives as long as its arrays
    assert array.tolist() == [1, 2, 3]


# ---- entries of another kind ----

WRONG = [
    ({"about": "me"}, "about"), ({"about": {"author": 3}}, "about.author"), ({"training": []}, "training"),
    ({"training": {"files": [{"name": "a", "n": 1}]}}, "sha256"), ({"training": {"n_train": "many"}}, "n_train"),
    ({"errors": {"test": 1}}, "errors.test"), ({"errors": {"test": {}}}, "n_structures"),
    ({"errors": {"test": {"n_structures": 1, "forces_rmse": "low"}}}, "forces_rmse"),
    ({"errors": {"test": {"n_structures": 1, "dipole_rmse_per_atom": []}}}, "dipole_rmse"),
    ({"shortest_distances": {"H-C": "near"}}, "shortest_distances.H-C"), ({"preset": ["nbody"]}, "preset"),
    ({"options": 7}, "options"), ({"versions": {"nbcore": 1}}, "versions"), ({"seeds": []}, "seeds"),
    ({"scheme": "tree"}, "scheme"), ({"scheme": {"builder": "tree", "size": 1.0}}, "levels"),
    ({"spreads": {"dipole": True}}, "dipole"),
]  # fmt: skip


@pytest.mark.parametrize("entries, text", WRONG)
def test_entries_of_another_kind_are_named(good, tmp_path, entries, text, capsys):
    path = changed(good, tmp_path / "x.nbcore", **entries)
    for read in (nbcore.Potential.load, read_description):
        with pytest.raises(ModelFileError, match=re.escape(text)) as error:
            read(path)
        assert str(error.value).startswith(f"{path}: description")
    assert main(["inspect", str(path)]) == 4 and "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("options", [{"rank": "two"}, {"rank": 1, "evil": 1}, {"rank": 99}, {"rank": 1, "unit": 3}, {}])
def test_outputs_of_another_kind(good, tmp_path, options):
    metadata, description, arrays = parts(good)
    description["program"]["outputs"]["dipole"] = {
        "slot": description["program"]["outputs"]["dipole"]["slot"],
        **options,
    }
    path = tmp_path / "x.nbcore"
    path.write_bytes(hostile_models.join(metadata, description, arrays))
    with pytest.raises(ModelFileError, match="dipole"):
        nbcore.Potential.load(path)


def test_golden_cases_of_another_kind(good, tmp_path):
    description, tensors = read_model_file(good)
    path = tmp_path / "x.nbcore"
    cases = check_golden(good)
    assert len(cases) == 2 and cases[0].outputs < 1e-12
    for key, array, text in (
        ("positions", np.zeros(3), "shape"), ("positions", np.zeros((0, 3)), "shape"),
        ("numbers", np.full(5, 7.0), "H C"),
        ("numbers", np.full(5, 1.5), "H C"), ("numbers", np.full(5, 1e300), "H C"), ("cell", np.zeros((3, 2)), "shape"),
        ("pbc", np.ones(2), "shape"), ("energy", np.ones(1), "shape"), ("forces", np.zeros((5, 1)), "shape"),
        ("virial", np.ones((3, 3)), "differs"), ("positions", np.full((5, 3), 1e300), "within"),
        ("positions", np.zeros((5, 3)), "atoms 0 and 1"), ("dipole", np.ones(3), "dipole differs"),
        ("dipole", np.ones((3, 3)), "shape"),
    ):  # fmt: skip
        write_model_file(path, description, {**tensors, f"golden.0.{key}": array})
        with pytest.raises(ModelFileError, match=f"x.nbcore: golden case 0: .*{text}"):
            check_golden(path)
    many = {"positions": np.zeros((5000, 3)), "numbers": np.ones(5000), "forces": np.zeros((5000, 3))}
    write_model_file(path, description, tensors | {f"golden.0.{key}": a for key, a in many.items()})
    with pytest.raises(ModelFileError, match="atoms, got 5000"):
        check_golden(path)


# ---- the terminal ----

EVIL = "x\x1b[31m\x1b]0;title\x07\x9b2J\u202egnp\u2066\x00\x7f\r[red]y[/red][link=file:///]z[/link]"
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]")


def test_printable():
    assert not UNSAFE.search(printable(EVIL)) and "[red]y[/red]" in printable(EVIL)
    assert printable("Zoë Å µ é 水 \t\n 🜚") == "Zoë Å µ é 水 \t\n 🜚"
    assert printable("\ud800") == r"\ud800"


def test_names_of_strangers_do_not_reach_the_terminal(good, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metadata, description, arrays = parts(good)
    description |= {
        "preset": EVIL,
        "about": {key: EVIL for key in ("description", "reference", "author", "licence", "cite")},
        "options": {EVIL: EVIL},
        "versions": {EVIL: EVIL},
        "shortest_distances": {EVIL: 1.0, "C-H": 2.0},
        "errors": {EVIL: {"n_structures": 1}},
        "training": {"name": EVIL, "files": [{"name": EVIL, "n": 1, "sha256": EVIL}]},
    }
    gate = next(name.split(".")[1] for name, *_ in arrays if name.startswith("parameters."))
    turned = "x\u202egnp"  # shown from right to left; names with control characters are refused
    text = json.dumps(description).replace(json.dumps(gate), json.dumps(turned))
    arrays = [(name.replace(f"parameters.{gate}.", f"parameters.{turned}."), *rest) for name, *rest in arrays]
    Path("evil.nbcore").write_bytes(hostile_models.join(metadata, text, arrays))
    assert main(["inspect", "evil.nbcore", "--parameters"]) == 0  # it is not refused
    capsys.readouterr()
    line = EVIL.replace("\x00", "").replace("\r", "")
    Path("data.xyz").write_text(
        "".join(
            f'2\nProperties=species:S:1:pos:R:3 config_type="{line}" energy={k}\nH 0 0 0\nC 0 0 1.{k}\n' for k in "123"
        )
    )
    verbs = [
        ["inspect", "evil.nbcore", "--parameters"], ["inspect", "evil.nbcore", "--json"], ["data", "data.xyz"],
        ["evaluate", "evil.nbcore", "data.xyz", "--by", "config_type"],
        ["evaluate", "evil.nbcore", "data.xyz", "--json"],
        ["md", "evil.nbcore", "data.xyz", "--time", "1fs"], ["relax", "evil.nbcore", "data.xyz", "--steps", "1"],
        ["init", "data.xyz", "--output", "new.toml"],
    ]  # fmt: skip
    for verb in verbs:
        main(verb)
        out, err = capsys.readouterr()
        assert out + err and not UNSAFE.search(out + err), verb
    description["program"]["gates"][0]["gate"] = EVIL
    for wrong in (description, {**description, "species": [EVIL]}, {**description, "about": {EVIL: 1}}):
        Path("evil.nbcore").write_bytes(hostile_models.join(metadata, wrong, arrays))
        with pytest.raises(ModelFileError) as error:
            nbcore.Potential.load("evil.nbcore")
        assert not UNSAFE.search(str(error.value)) and len(str(error.value)) < 2000
        main(["inspect", "evil.nbcore"])
        assert not UNSAFE.search("".join(capsys.readouterr()))


# ---- the fuzzer ----


def test_the_fuzzer_finds_what_is_there():
    import fuzz_models

    assert fuzz_models.verdict("loaded", 0.1, 1e6, 10_000) is None
    for outcome in (("killed by signal 11", 0, 0), ("loaded", 3.0, 0), ("loaded", 0.0, 1e8), ("KeyError: 'a'", 0, 0)):
        assert fuzz_models.verdict(*outcome, 10_000)
    assert fuzz_models.run_driver(["true"], ["x"]) and not fuzz_models.run_driver(["false"], ["x"])


def test_mutants_are_made_by_their_seeds(good):
    blobs = [good.read_bytes()]
    made = [hostile_models.mutant(seed, blobs) for seed in range(60)]
    assert made == [hostile_models.mutant(seed, blobs) for seed in range(60)]
    assert len({kind for kind, _ in made}) == 6 and sum(blob != blobs[0] for _, blob in made) > 40


def test_a_hundred_hostile_files(tmp_path):
    program = Path(hostile_models.__file__).parent / "fuzz_models.py"
    command = [sys.executable, program, "--count", "100", "--seed", "7000", "--findings", tmp_path / "found"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0 and "100 files, seeds 7000 to 7099, 0 findings" in run.stdout, run.stdout + run.stderr
