"""What a training shows: fits 60 columns, is plain where there is no terminal, and stands in the log."""

import io
import re

import pytest
from rich.console import Console

from nbcore.train import display as d
from nbcore.train.loop import Clock, worth_a_row

ROW = dict(epoch=99999, lr=1.0e-10, loss_valid=1.234e-100, loss_train=1.0)
ROW |= {f"{kind}_{name}": 0.09999 for kind in ("energy", "forces") for name in ("train", "valid")}
ROW |= {f"stress_{name}": 0.01 for name in ("train", "valid")}


@pytest.mark.parametrize("width", [60, 75, 100])
@pytest.mark.parametrize("with_stress", [True, False])
def test_table_fits_and_columns_stand_below_their_heads(width, with_stress):
    row = dict(ROW, epoch=100, lr=1e-2, loss_valid=0.912)
    heads, names = d._head(width, with_stress).strip("\n").splitlines()
    numbers = d._row(row, 3723, width, with_stress)
    assert max(map(len, (heads, names, numbers))) <= width
    ends = [{m.end() for m in re.finditer(r"\S+", line)} for line in (heads, names, numbers)]
    assert ends[1] <= ends[2] and max(ends[0]) == max(ends[2])  # heads are flush with the numbers below
    assert ("GPa" in heads) == with_stress and numbers.split()[0] == "100"


def test_numbers():
    assert [d.scientific(x, 2) for x in (0.912, 1e10, 0.0603, 1.0)] == ["9.12e-1", "1.00e10", "6.03e-2", "1.00e0"]
    assert [d.duration(x) for x in (3.9, 2320, 3753)] == ["0:03", "38:40", "1:02:33"]
    assert [d.about(x) for x in (0.25, 2.9, 40.4, 2340, 11520)] == ["0.25 s", "2.9 s", "40 s", "39 min", "3.2 h"]
    assert [d._error(x, 1e3) for x in (None, 0.0041, 0.0284, 0.4123)] == ["-", "4.10", "28.4", "412.3"]


def shown(monkeypatch, tmp_path, use, columns=60, terminal=False):
    """(stdout, stderr, log) of a Display in which `use(display)` was called."""
    monkeypatch.setenv("COLUMNS", str(columns))
    log = tmp_path / "train.log"
    with d.Display(log=log) as display:
        out, err = io.StringIO(), io.StringIO()
        plain = dict(highlight=False, emoji=False, markup=False)
        display.console = Console(file=out, width=columns, force_terminal=terminal, **plain)
        display.errors = Console(file=err, width=columns, force_terminal=terminal, **plain)
        use(display)
    return out.getvalue(), err.getvalue(), log.read_text()


def everything(display):
    display.header("nbcore 0.1.0   2 threads   x86-64-v4   float64", "seed 1   -> acac/")
    display.section(
        "Model", "nbody, medium: 2 levels, 64 channels, harmonics l<=3, states l<=1, correlation 3", "74 312 parameters"
    )
    display.remark("test_MD_600K reaches beyond the training data: expect larger errors there; add such structures.")
    display.epochs_begin()
    display.epoch(dict(ROW, epoch=1), 3)


def test_at_60_columns(monkeypatch, tmp_path):
    out, err, _ = shown(monkeypatch, tmp_path, everything)
    assert max(map(len, (out + err).splitlines())) <= 60
    assert "-> acac/" in out and err.startswith("! test_MD_600K")
    assert all(line == line.rstrip() for line in (out + err).splitlines())
    assert all(line.startswith("  ") for line in err.splitlines()[1:])


def test_log_holds_all_of_it_and_is_plain(monkeypatch, tmp_path):
    out, err, log = shown(monkeypatch, tmp_path, everything, columns=d.LOG_WIDTH, terminal=True)
    assert "\x1b" not in log
    for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out + err).splitlines():
        assert line in log.splitlines()


def test_without_a_terminal_progress_is_a_line_per_tenth_or_minute(monkeypatch, tmp_path):
    now = 0.0
    monkeypatch.setattr(d.time, "monotonic", lambda: now)

    def use(display):
        nonlocal now
        for step in range(1001):  # 1000 epochs in 25 minutes: a tenth is 150 s
            now = 1.5 * step
            display.progress(step, 1000, "valid F 21.4", 1500 - now)

    out, err, log = shown(monkeypatch, tmp_path, use)
    lines = err.splitlines()
    assert not out and len(lines) == 9 and lines[1].startswith("200/1000  20%  valid F 21.4  20 min left")
    assert log == err

    now = 2000.0

    def fast(display):
        nonlocal now
        for step in range(1001):  # 1000 epochs in 150 s: a tenth is 15 s, so one a minute
            now = 2000 + 0.15 * step
            display.progress(step, 1000, "valid F 21.4", 10)

    assert len(shown(monkeypatch, tmp_path, fast)[1].splitlines()) == 2


def test_on_a_terminal_progress_stays_in_one_line(monkeypatch, tmp_path):
    def use(display):
        display.progress(213, 800, "valid F 21.4 (best 20.9, epoch 208)", 28 * 60)

    for columns in (60, 100):
        out, err, log = shown(monkeypatch, tmp_path, use, columns, terminal=True)
        assert "213/800" in out and "(best 20.9, epoch 208)" in out and "28 min left" in out
        assert ("27%" in out) == (columns == 100) and not err and not log


def test_time_left_is_measured_from_the_last_epochs(monkeypatch):
    now = 0.0
    monkeypatch.setattr("nbcore.train.loop.time.monotonic", lambda: now)
    clock = Clock(elapsed=100.0)
    clock.epoch_ended(0)
    assert clock.left(0.5, 10) is None
    for epoch in range(1, 41):
        now += 2.0 if epoch > 20 else 10.0
        clock.epoch_ended(epoch)
    assert clock.elapsed == 100 + 240 and clock.left(40, 50) == pytest.approx(10 * 2.0)


def test_which_epochs_get_a_row():
    rows = [e for e in range(1, 801) if worth_a_row(e, 800)]
    assert {1, 2, 5, 10, 20, 50, 100, 640, 800} <= set(rows) and len(rows) < 32
