"""The command as a whole: help, exit codes, form of errors, signals, extras that are missing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nbcore import cli, errors
from nbcore.cli import console

ROOT = Path(cli.__file__).parents[2]
XYZ = "2\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-1.5\nO 0 0 0 0.1 0.2 0.3\nH 0 0 1 -0.1 -0.2 -0.3\n"


def command(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("environment", {})}
    return subprocess.run(
        [sys.executable, "-m", "nbcore", *arguments], capture_output=True, text=True, env=environment, **options
    )


def test_help_fits_one_screen(capsys):
    for arguments in ([], ["--help"], ["-h"]):
        assert cli.main(arguments) == 0
        lines = capsys.readouterr().out.rstrip().splitlines()
        assert len(lines) <= 24 and max(map(len, lines)) <= 80
        assert all(line.startswith("  nbcore ") for line in lines[-3:])
    for verb in cli.verbs():
        assert any(line.split()[:1] == [verb] for line in lines)


@pytest.mark.parametrize("verb", cli.verbs())
def test_every_verb_has_help(capsys, verb):
    assert cli.main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: nbcore {verb}") and "--traceback" in text and "--quiet" in text


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("nbcore ")


@pytest.mark.parametrize("arguments, message", [
    (["dta", "x"], "error: dta: no such verb. Did you mean data?"),
    (["frobnicate"], "error: frobnicate: no such verb. There are: init, data"),
    (["--fast"], "error: --fast: no such option"),
    (["data"], "error: the following arguments are required: FILES"),
    (["data", "x.xyz", "--colour"], "error: unrecognized arguments: --colour"),
    (["data", "x.xyz", "--cutoff", "far"], "error: argument --cutoff: invalid float value: 'far'"),
])  # fmt: skip
def test_usage(capsys, arguments, message):
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(message) and not captured.out


@pytest.mark.parametrize("error, code, text", [
    (errors.InputError("a.xyz: bad"), 3, "error: a.xyz: bad"),
    (errors.SpeciesError("N is not an element of this model (C H O)."), 3, "error: N is not"),
    (errors.ModelFileError("m"), 4, "error: m"),
    (errors.CheckpointError("c"), 4, "error: c"),
    (errors.NumericsError("n"), 5, "error: n"),
    (FileNotFoundError(2, "No such file or directory", "a.xyz"), 6, "error: a.xyz: no such file or directory"),
    (PermissionError(13, "Permission denied", "a.xyz"), 6, "error: a.xyz: permission denied"),
    (OSError(28, "No space left on device"), 6, "No space left on device"),
    (KeyboardInterrupt(), 130, "error: interrupted."),
])  # fmt: skip
def test_exit_codes(capsys, monkeypatch, error, code, text):
    def fail(args):
        raise error

    monkeypatch.setattr("nbcore.cli.data.run", fail)
    assert cli.main(["data", "a.xyz"]) == code
    captured = capsys.readouterr()
    assert text in captured.err and "Traceback" not in captured.err


def test_an_error_may_name_its_exit_code(capsys, monkeypatch):
    def fail(args):
        error = errors.CheckpointError("run/ is in use")
        error.exit_code = 6
        raise error

    monkeypatch.setattr("nbcore.cli.data.run", fail)
    assert cli.main(["data", "a.xyz"]) == 6


def test_traceback_for_developers(tmp_path):
    with pytest.raises(FileNotFoundError):
        cli.main(["data", str(tmp_path / "a.xyz"), "--traceback"])


def test_form_of_an_error_in_sixty_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    console.error("one two three " * 10 + '\nWrite  forces_key = "dft_forces"  under [data].')
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("error: one") and all(line.startswith("       ") for line in lines[1:])
    assert max(map(len, lines)) <= 60 and lines[-1] == '       Write  forces_key = "dft_forces"  under [data].'


def test_missing_extras_are_named(tmp_path):
    """An environment without ASE and rich: one line that says what to install, exit code 2."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules.update(ase=None, rich=None)  # as if they were not installed\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    result = command("data", "a.xyz", environment={"PYTHONPATH": path})
    assert result.returncode == 2, result.stderr
    assert "`nbcore data` needs ase and rich, which a plain install leaves" in " ".join(result.stderr.split())
    assert "pip install 'nbcore[train]'" in " ".join(result.stderr.split()) and "Traceback" not in result.stderr
    assert command("--help", environment={"PYTHONPATH": path}).returncode == 0


def test_a_reader_that_has_seen_enough(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text(XYZ * 30)
    arguments = [sys.executable, "-m", "nbcore", "data", str(path)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    process.stdout.close()
    assert process.wait(60) == 141 and "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_interrupt(tmp_path):
    os.mkfifo(tmp_path / "a.xyz")
    process = subprocess.Popen([sys.executable, "-m", "nbcore", "data", str(tmp_path / "a.xyz")],
                               stderr=subprocess.PIPE, text=True, cwd=ROOT)  # fmt: skip
    with open(tmp_path / "a.xyz", "w"):  # begins when the command has opened its end, and waits for data
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in text and text.startswith("error: interrupted")
