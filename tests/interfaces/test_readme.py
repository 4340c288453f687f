"""Every block of the README runs as its reader runs it: in a clone without compiled libraries, by plain python."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from shell import Shell, blocks

ROOT = Path(__file__).resolve().parents[2]
#: Left to .ci/run, which installs by these lines and runs these tests
INSTALLS = ("pip ",)
#: Trainings that take longer than the tests may: with fewer epochs
SHORTER = {
    "nbcore train train.toml": "--set training.max_epochs=2",
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The files of the repository as git has them (as they lie here, committed or not), and data of one's own."""
    clone = tmp_path_factory.mktemp("clone")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")):
        path = Path(name.decode())
        if (ROOT / path).is_file() and not path.is_relative_to("tests"):
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, clone / path)
    (clone / "my_data").mkdir()
    frames = (clone / "examples" / "molecule" / "train.xyz").read_text().splitlines(keepends=True)
    (clone / "my_data" / "frames.xyz").write_text("".join(frames[: 40 * 10]))
    return clone


def as_tested(language, text):
    """A block as it stands, without installations, with short trainings."""
    lines = []
    for line in text.splitlines():
        if language == "sh" and line.startswith(INSTALLS):
            continue
        for command, options in SHORTER.items():
            if line.startswith(command):
                line = line.replace(command, f"{command} {options}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def table(text):
    """name of a set -> its numbers, from the last table of errors in a text."""
    rows = re.findall(r"^ +(train|valid|test_300K|test_800K|scan) +([\d. ]+)$", text, re.MULTILINE)
    return {name: [float(x) for x in numbers.split()] for name, numbers in rows[-5:]}


@pytest.mark.slow
def test_every_block_runs(clone, tmp_path):
    """One after the other, each by a shell or a Python of its own; what one leaves, later ones use."""
    shell = Shell(tmp_path / "bin")
    ran = []
    for language, text in blocks(clone / "README.md"):
        if language:
            assert language in ("sh", "python"), f"who runs a block in {language}?"
            shell.run(clone, language, as_tested(language, text))
            if "nbcore train examples/molecule/train.toml" in text:
                trained = table((clone / "molecule" / "train.log").read_text())
            ran.append(text)
        elif "test_300K" in text:
            shown = table(text)
    assert len(ran) >= 7
    for name in ("molecule/molecule.nbcore", "molecule/report.html", "small.nbcore", "energy", "train.toml"):
        assert (clone / name).exists(), name
    assert shown.keys() == trained.keys() and len(shown) == 5
    for name, numbers in shown.items():  # within a tenth, as the README says, and one of the last digit
        assert trained[name] == pytest.approx(numbers, rel=0.1, abs=0.1), name


def test_python_blocks_run(clone, tmp_path):
    """The same of the Python blocks alone, and what they leave."""
    shell = Shell(tmp_path / "bin")
    python = [text for language, text in blocks(clone / "README.md") if language == "python"]
    for text in python:
        shell.run(clone, "python", text)
    shapes = "assert atoms.get_forces().shape == (len(atoms), 3) and gradient.shape == pot.parameters.shape"
    shell.run(clone, "python", f"{python[0]}\n{shapes}\n")
    assert (clone / "small.nbcore").exists()
