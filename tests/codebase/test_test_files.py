"""Test files have names of their own: pytest imports them by their names alone, and refuses a second one of a name."""

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def test_names_of_test_files_differ():
    names = Counter(path.name for path in TESTS.rglob("test_*.py"))
    assert len(names) > 100
    assert not [name for name, count in names.items() if count > 1]
