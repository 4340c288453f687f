"""No command replaces what it read, nor files that are not of its own kind, without --force; names are names."""

import os
import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk

import nbcore
from nbcore.cli import main
from nbcore.data import Structure, write_extxyz
from nbcore.errors import InputError
from nbcore.files import check_name, check_output, claim, kind_of
from nbcore.presets import nbody

MD = "--time 1fs --timestep 0.5fs --nve --quiet".split()


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A weak random model, a crystal, labelled data, a configuration, and a file of the user's own."""
    folder = tmp_path_factory.mktemp("originals")
    potential = nbody(species=["C"], cutoff=3.5, channels=4, l_harmonics=1, n_radial=4, levels=1)
    crystal = bulk("C", "diamond", a=3.6, cubic=True)
    crystal.rattle(0.02, seed=1)
    forces = potential.compute(crystal.positions, crystal.numbers, crystal.cell.array, True).forces
    potential.scale = 0.05 / np.sqrt(np.mean(forces**2))
    potential.save(folder / "m.nbcore")
    ase.io.write(folder / "start.xyz", crystal)
    data = []
    for k in range(12):
        atoms = crystal.copy()
        atoms.rattle(0.03, seed=k)
        r = potential.compute(atoms.positions, atoms.numbers, atoms.cell.array, True)
        data.append(Structure(atoms.positions, atoms.numbers, atoms.cell.array, atoms.pbc, r.energy, r.forces))
    write_extxyz(data, folder / "data.xyz")
    (folder / "train.toml").write_text(
        'name = "run"\n[data]\ntrain = "data.xyz"\nE0s = { C = 0.0 }\n[model]\ncutoff = 3.5\nchannels = 2\n'
        "l_harmonics = 1\nlevels = 1\n[training]\nmax_epochs = 1\n"
    )
    (folder / "mine.xyz").write_text("years of work\n")
    return folder


@pytest.fixture
def here(originals, tmp_path, monkeypatch):
    shutil.copytree(originals, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder="."):
    return {str(p): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file() and p.name != ".lock"}


# ---- one file: evaluate, relax, data, init ----

VERBS = {
    "evaluate": ["evaluate", "m.nbcore", "data.xyz", "--quiet", "--output"],
    "relax": ["relax", "m.nbcore", "start.xyz", "--fmax", "10", "--quiet", "--output"],
    "data": ["data", "data.xyz", "--quiet", "--output"],
    "init": ["init", "data.xyz", "--quiet", "--output"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_files_of_others_are_kept_until_force(here, verb, capsys):
    before = contents()
    os.symlink("mine.xyz", "symbolic.xyz")
    os.link("mine.xyz", "hard.xyz")
    names = [
        "mine.xyz",
        "./mine.xyz",
        "../" + here.name + "/mine.xyz",
        str(here / "mine.xyz"),
        "symbolic.xyz",
        "hard.xyz",
    ]
    names += ["m.nbcore", "start.xyz"] if verb != "init" else ["train.toml"]
    for name in names:
        assert main([*VERBS[verb], name]) == 6, name
        said = " ".join(capsys.readouterr().err.split())
        assert Path(name).name in said and "choose another output" in said
    os.unlink("symbolic.xyz"), os.unlink("hard.xyz")
    assert contents() == before
    assert main([*VERBS[verb], "mine.xyz", "--force"]) == 0
    assert Path("mine.xyz").read_bytes() != before["mine.xyz"]
    assert {k: v for k, v in contents().items() if k != "mine.xyz"} == {
        k: v for k, v in before.items() if k != "mine.xyz"
    }


@pytest.mark.parametrize("verb, source", [("evaluate", "data.xyz"), ("relax", "start.xyz"), ("data", "data.xyz")])
def test_an_input_is_kept_under_every_name(here, verb, source, capsys):
    """Also where it is of the command's own kind, and also in a folder of outputs."""
    os.symlink(source, "symbolic.xyz")
    os.link(source, "hard.xyz")
    before = contents()
    for name in (source, f"../{here.name}/{source}", "symbolic.xyz", "hard.xyz"):
        assert main([*VERBS[verb], name]) == 6
        assert name.split("/")[-1] in capsys.readouterr().err
    if verb == "evaluate":
        assert main([*VERBS[verb], "."]) == 6 and "data.xyz" in capsys.readouterr().err
        assert main([*VERBS[verb][:-1], "--output", "predicted.xyz"]) == 0
        first = Path("predicted.xyz").read_bytes()
        assert main(["evaluate", "m.nbcore", "predicted.xyz", "--quiet", "--output", "predicted.xyz"]) == 6
        assert "is read by this command" in " ".join(capsys.readouterr().err.split())
        assert Path("predicted.xyz").read_bytes() == first
    assert {k: v for k, v in contents().items() if k != "predicted.xyz"} == before


@pytest.mark.parametrize("verb", ["evaluate", "relax"])
def test_own_output_is_made_again(here, verb):
    for output in ("out.xyz", "folder") if verb == "evaluate" else ("out.xyz",):
        assert main([*VERBS[verb], output]) == main([*VERBS[verb], output]) == 0
    Path("empty.xyz").touch()
    assert main([*VERBS[verb], "empty.xyz"]) == 0


def test_the_output_of_another_verb_is_kept(here):
    assert main([*VERBS["evaluate"], "out.xyz"]) == 0
    assert main([*VERBS["relax"], "out.xyz"]) == 6


def test_plots(here, capsys):
    Path("parity.png").write_bytes(b"a photograph")
    assert main(["evaluate", "m.nbcore", "data.xyz", "--quiet", "--plot"]) == 6
    assert "parity.png" in capsys.readouterr().err and Path("parity.png").read_bytes() == b"a photograph"
    assert main(["evaluate", "m.nbcore", "data.xyz", "--quiet", "--plot", "--force"]) == 0
    assert main(["evaluate", "m.nbcore", "data.xyz", "--quiet", "--plot"]) == 0  # of its own kind now


def test_files_of_one_name_in_two_folders(here):
    for name in ("a", "b", "a_b"):
        os.makedirs(name, exist_ok=True)
    shutil.copy("data.xyz", "a/b.xyz"), shutil.copy("data.xyz", "a_b.xyz"), shutil.copy("data.xyz", "b/b.xyz")
    code = main(["evaluate", "m.nbcore", "a/b.xyz", "b/b.xyz", "a_b.xyz", "--quiet", "--output", "out"])
    assert code == 0 and len(list(Path("out").iterdir())) == 3


# ---- folders: md, train, bench ----


def test_md_keeps_what_is_not_its_run(here, capsys):
    for name in ("trajectory.xyz", "md.log", "state.npz"):
        folder = Path("there")
        folder.mkdir()
        shutil.copy("start.xyz", folder / name)
        before = contents()
        assert main(["md", "m.nbcore", "start.xyz", "--output", "there", *MD]) == 6
        assert main(["md", "m.nbcore", "start.xyz", "--output", "there", "--restart", *MD]) == 6
        said = " ".join(capsys.readouterr().err.split())
        assert name in said and "--output" in said
        assert contents() == before and sorted(os.listdir("there")) == [name]
        assert main(["md", "m.nbcore", "start.xyz", "--output", "there", "--force", *MD]) == 0
        shutil.rmtree(folder)


def test_md_from_a_trajectory_in_its_own_place(here):
    os.mkdir("there")
    shutil.copy("start.xyz", "there/trajectory.xyz")
    before = contents()
    for more in ([], ["--force"]):
        assert main(["md", "m.nbcore", "there/trajectory.xyz", "--output", "there", *MD, *more]) == 6
        assert main(["md", "m.nbcore", "there/trajectory.xyz@0", "--output", "there", *MD, *more]) == 6
    assert contents() == before


def test_md_in_a_copied_folder_and_in_the_working_folder(here):
    assert main(["md", "m.nbcore", "start.xyz", "--output", "one", *MD]) == 0
    os.mkdir("two")
    for name in ("trajectory.xyz", "md.log", "state.npz"):
        shutil.copy(f"one/{name}", "two")
    assert main(["md", "m.nbcore", "start.xyz", "--output", "two", *MD, "--time", "2fs"]) == 0
    os.chdir("two")
    assert main(["md", "../m.nbcore", "../start.xyz", "--output", ".", "--restart", *MD]) == 6  # cannot be set aside


def test_md_of_python(here):
    from nbcore import md
    from nbcore.ase import NBCoreCalculator

    os.mkdir("there")
    shutil.copy("start.xyz", "there/trajectory.xyz")
    atoms = ase.io.read("start.xyz")
    atoms.calc = NBCoreCalculator("m.nbcore")
    with pytest.raises(FileExistsError, match="trajectory.xyz"):
        md.simulate(atoms, md.Settings("nve"), 1, "there")
    assert md.simulate(atoms, md.Settings("nve"), 1, "there", overwrite=True) == 1


def test_train_beside_its_own_configuration(here, capsys):
    os.mkdir("run")
    shutil.copy("train.toml", "run/config.toml"), shutil.copy("data.xyz", "run")
    before = contents("run")
    for arguments in (["run/config.toml"], ["run/config.toml", "--output", "run"], ["run/config.toml", "--force"]):
        assert main(["train", *arguments, "--quiet"]) == 6
        assert "config.toml is read by this command" in " ".join(capsys.readouterr().err.split())
    assert contents("run") == before


@pytest.mark.parametrize("name", ["config.toml", "report.html", "history.csv", "run.nbcore", "train.log", "last.ckpt"])
def test_train_keeps_what_is_not_its_run(here, name, capsys):
    os.mkdir("run")
    Path("run", name).write_text("years of work")
    for more in ([], ["--restart"]):
        assert main(["train", "train.toml", "--quiet", *more]) == 6
        assert name in capsys.readouterr().err
    assert os.listdir("run") == [name] and Path("run", name).read_text() == "years of work"
    assert not os.path.exists("run.1")


def test_train_continues_from_its_own_copy_and_after_an_error(here):
    broken = Path("train.toml").read_text()
    Path("data.xyz").rename("away.xyz")
    assert main(["train", "train.toml", "--quiet"]) != 0
    Path("away.xyz").rename("data.xyz")
    assert main(["train", "train.toml", "--quiet"]) == 0
    copy = Path("run/config.toml").read_bytes()
    assert main(["train", "run/config.toml", "--quiet", "--set", "training.max_epochs=2"]) == 0
    assert Path("run/config.toml").read_bytes() == copy and Path("train.toml").read_text() == broken


def test_restart_does_not_rename_a_folder_of_data(here):
    os.mkdir("run")
    Path("run", "notes.txt").write_text("years of work")
    assert main(["train", "train.toml", "--quiet", "--restart"]) == 0
    assert Path("run", "notes.txt").exists() and not os.path.exists("run.1")


def test_fit_of_python(here):
    from nbcore import train

    os.mkdir("run")
    Path("run", "run.nbcore").write_text("years of work")
    potential = nbody(species=["C"], cutoff=3.5, channels=2, l_harmonics=1, n_radial=4, levels=1)
    with pytest.raises(FileExistsError, match="run.nbcore"):
        train.fit(potential, train.read("data.xyz", require=()), folder="run", max_epochs=1, quiet=True)
    assert Path("run", "run.nbcore").read_text() == "years of work"


def test_bench(here):
    Path("bench.md").write_text("years of work")
    assert main(["bench", "--quick", "--quiet", "--only", "kernels", "--output", "."]) == 6
    assert Path("bench.md").read_text() == "years of work" and not os.path.exists("bench.json")


# ---- Python ----


def test_functions_that_write(here):
    potential = nbcore.Potential.load("m.nbcore")
    potential.save("m.nbcore")  # a model in the place of a model
    scheme = nbcore.CompositionScheme(3)
    scheme.add("all", [[0, 1, 2]])
    writers = {
        "save": lambda **k: potential.save("mine.xyz", **k),
        "scheme": lambda **k: scheme.save("mine.xyz", **k),
        "data": lambda **k: write_extxyz([], "mine.xyz", **k),
    }
    for name, write in writers.items():
        Path("mine.xyz").write_text("years of work")
        with pytest.raises(FileExistsError, match="mine.xyz"):
            write()
        assert Path("mine.xyz").read_text() == "years of work", name
        write(overwrite=True)
        write()


# ---- names ----

WRONG = ["", ".", "..", "a/b", "/a", "a\\b", "../a", ".hidden", "-rf", " a", "a ", "a.", "con", "NUL.x", "a\nb",
         "a\x1b[31m",
         "a\u202eb", "a:b", "a*", 'a"b', "x" * 101, "é" * 60, "a\0b", "\ud800"]  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_names_that_are_none(here, name, capsys):
    with pytest.raises(InputError) as error:
        check_name(name)
    assert error.value.args[0].isprintable()
    before = sorted(os.listdir(".."))
    assert main(["init", "data.xyz", "--quiet", "--output", "new.toml", f"--name={name}"]) == 2
    assert not os.path.exists("new.toml")
    said = capsys.readouterr().err
    assert "\x1b" not in said and "\u202e" not in said
    if "\ud800" not in name:
        escaped = "".join("\\U" + f"{ord(c):08X}" for c in name)
        text = Path("train.toml").read_text().replace('"run"', f'"{escaped}"')
        Path("odd.toml").write_text(text)
        assert main(["train", "odd.toml", "--quiet"]) == 2
        assert capsys.readouterr().err.startswith("error: odd.toml: name")
    assert sorted(os.listdir("..")) == before


@pytest.mark.parametrize("name", ["acac", "größe", "a b", "a.b", "a-b_c+1", "x" * 100, "水"])
def test_names(name):
    assert check_name(name) == name


def test_the_rule(here):
    kind = kind_of("nbcore evaluate")
    check_output("new.xyz", kind)
    check_output("mine.xyz", kind, ["mine.xyz"], force=True)
    for inputs in ([], ["absent.xyz"], ["mine.xyz"]):
        with pytest.raises(FileExistsError, match="mine.xyz"):
            check_output("mine.xyz", kind, inputs)
    with pytest.raises(FileExistsError, match="start.xyz is read"):
        claim(".", "nbcore md", ["start.xyz"], True, ["start.xyz"])
