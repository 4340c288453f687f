"""Tab completion of the command line, and remedies in its own options."""

import shutil
import subprocess
import sys
from argparse import Namespace

import pytest

from nbcore.cli import main, verbs
from nbcore.cli.completion import SCRIPTS, candidates
from nbcore.cli.remedies import own_options


@pytest.mark.parametrize(
    "words, some, none",
    [
        ([""], ["init", "train", "md"], ["--help"]),
        (["tr"], ["train"], ["data"]),
        (["--"], ["--help", "--version", "--completion"], ["train"]),
        (["--completion", ""], ["bash", "zsh", "fish"], ["init"]),
        (["train", "--re"], ["--restart"], ["--output"]),
        (["train", "x.toml", "--set", "training.l"], ["training.lr="], ["loss.kind="]),
        (["train", "x.toml", "--set", "model.ch"], ["model.channels="], []),
        (["init", "a.xyz", "--preset", ""], ["nbody", "tree"], []),
        (["data", "--missing", ""], ["mask", "error"], []),
    ],
)
def test_candidates(words, some, none):
    found = candidates(words)
    assert set(some) <= set(found) and not set(none) & set(found)
    assert all(word.startswith(words[-1]) for word in found)


def test_files_are_left_to_the_shell():
    assert candidates(["train", ""]) == candidates(["data", "ex"]) == candidates(["nosuch", ""]) == []


def test_every_verb_completes_its_options():
    for verb in verbs():
        assert {"--help", "--quiet"} <= set(candidates([verb, "--"])), verb


def test_scripts_are_printed(capsys):
    for shell in SCRIPTS:
        assert main(["--completion", shell]) == 0 and "nbcore --complete" in capsys.readouterr().out
    for wrong in (["--completion"], ["--completion", "tcsh"]):
        assert main(wrong) == 2 and "expected one of bash, zsh, fish" in capsys.readouterr().err
    assert main(["--complete", "init", "--pre"]) == 0 and capsys.readouterr().out == "--preset\n"


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_bash_completes():
    script = f"""nbcore() {{ {sys.executable} -m nbcore "$@"; }}
eval "$(nbcore --completion bash)"
COMP_WORDS=(nbcore train --res); COMP_CWORD=2
_nbcore 2>/dev/null; echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["--restart"], done.stderr


# ---- remedies ----


@pytest.mark.parametrize(
    "text, expected",
    [
        ('Write  forces_key = "none"  under [data] to go on.', "Add  --forces-key none  to go on."),
        ('Write  energy_key = "a b"  under [data].', "Add  --energy-key 'a b'."),
        ('Write  energy_key = "a"  or  energy_key = "b"  under [data].', "Add  --energy-key a  or  --energy-key b."),
        ('Write  key = "mu"  under [outputs.dipole].', "Add  --output-key dipole=mu."),
        ('Remove it, or write  missing = "mask"  to use it.', "Remove it, or add  --missing mask  to use it."),
        ("Nothing to write here.", "Nothing to write here."),
    ],
)
def test_remedies_are_options_where_there_are_some(text, expected):
    args = Namespace(forces_key=None, energy_key=None, output_key=None, missing="error")
    assert own_options(text, args) == expected
    assert own_options(text, Namespace(config="train.toml")) == text == own_options(text, None)


def test_init_names_its_own_options(tmp_path, capsys):
    frames = "".join(f"2\nProperties=species:S:1:pos:R:3 my_energy={-k}\nH 0 0 0\nH 0 0 0.7\n" for k in range(3))
    (tmp_path / "a.xyz").write_text(frames)
    assert main(["init", str(tmp_path / "a.xyz"), "--output", str(tmp_path / "t.toml")]) == 3
    said = capsys.readouterr().err
    assert "Add  --energy-key my_energy" in said and "[data]" not in said


def test_init_writes_no_ladders_of_folders(tmp_path, monkeypatch):
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "here" / "x").mkdir(parents=True)
    for folder in (tmp_path / "far" / "away", tmp_path / "here"):
        lines = (
            f"2\nProperties=species:S:1:pos:R:3 energy={-0.1 * k}\nH 0 0 0\nH 0 0 {0.7 + 0.01 * k}\n" for k in range(9)
        )
        (folder / "a.xyz").write_text("".join(lines))
    monkeypatch.chdir(tmp_path / "here" / "x")
    for file, written in (("../../far/away/a.xyz", str(tmp_path / "far" / "away" / "a.xyz")), ("../a.xyz", "../a.xyz")):
        assert main(["init", file, "--forces-key", "none", "--force", "--quiet"]) == 0
        assert f'train = "{written}"' in (tmp_path / "here" / "x" / "train.toml").read_text()
