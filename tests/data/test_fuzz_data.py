"""The fuzzer of data files: some hundred damaged files of every format, and that it sees what it is there to see."""

import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def fuzz(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import fuzz_data

    return fuzz_data


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_or_refused_by_name(fuzz, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzz_data.py", "--count", "400", "--seed", "1"])
    assert fuzz.main() == 0, capsys.readouterr().out


def test_it_sees_other_errors_lost_lines_and_lost_cells(fuzz, monkeypatch, tmp_path):
    path, content = tmp_path / "a.xyz", b'1\nLATTICE="4 0 0 0 4 0 0 0 4" energy=-1\nH 0 0 0\n'
    path.write_bytes(content)
    assert fuzz.wrong(path, content) is None
    right = fuzz.read(path, require=())
    assert "2 of them" not in str(fuzz.wrong(path, content)) and "lines" in fuzz.wrong(path, content + content)
    right[0].cell = None
    monkeypatch.setattr(fuzz, "read", lambda *_, **__: right)
    assert "a cell was lost" in fuzz.wrong(path, content)

    def fails(*_, **__):
        raise ZeroDivisionError("one over nothing")

    monkeypatch.setattr(fuzz, "read", fails)
    found = [fuzz.case(seed, tmp_path)[2] for seed in range(3)]
    assert all("ZeroDivisionError: one over nothing" in text for text in found)
