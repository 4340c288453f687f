"""The modules of benchmarks/accuracy are imported by their names, as its commands do."""

from pathlib import Path

import pytest

ACCURACY = Path(__file__).resolve().parents[2] / "benchmarks" / "accuracy"


@pytest.fixture(autouse=True)
def modules(monkeypatch):
    monkeypatch.syspath_prepend(str(ACCURACY))
