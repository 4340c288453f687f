"""What a training shows: sections, epoch table, progress line, remarks; on the screen and, plain, in train.log."""

import contextlib
import math
import os
import re
import sys
import textwrap
import time

from rich.console import Console as RichConsole
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nbcore.printable import printable
from nbcore.results.comparison import GPA
from nbcore.train.measures import of_head

LOG_WIDTH = 100


class Console(RichConsole):
    """rich's, which would end the program at a reader that goes away; here the run is saved first (see `loop`)."""

    def on_broken_pipe(self):
        """Called where the error was caught: passes it on."""
        raise BrokenPipeError


class Display:
    """Writes to stdout, the progress line to the terminal or, plain and seldom, to stderr; a copy goes to `log`.

    log: path of a file that is appended to, or None. quiet: nothing on the screen, all in the log.

    >>> with Display() as display:
    ...     display.section("Model", "nbody, medium: 2 levels, 64 channels")
    """

    def __init__(self, quiet=False, log=None):
        self.quiet = quiet
        columns = None if sys.stdout.isatty() or "COLUMNS" in os.environ else LOG_WIDTH
        plain = dict(highlight=False, emoji=False, markup=False, force_jupyter=False)
        self.console = Console(width=columns, quiet=quiet, **plain)
        self.errors = Console(width=columns, quiet=quiet, stderr=True, **plain)
        self._log_file = open(log, "a", encoding="utf-8", buffering=1) if log else None
        self.log = log and Console(file=self._log_file, width=LOG_WIDTH, color_system=None, **plain)
        self._live = None
        self._last_refresh, self._last_line, self._last_tenth = -math.inf, time.monotonic(), 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end_progress()
        if self._log_file:
            with contextlib.suppress(OSError):  # a full disk was reported where it was met
                self._log_file.close()

    @property
    def width(self) -> int:
        """Characters of a line on the screen."""
        return self.console.width

    # ---- blocks ----

    def print(self, *renderables) -> None:
        """Prints on the screen and in the log. A callable is asked for what fits a width: renderable(width)."""
        for renderable in renderables:
            self._write(renderable, self.console)

    def _write(self, renderable, screen):
        """On one of the screens and in the log."""
        for console in (screen, self.log):
            if console is None or console.quiet:
                continue
            try:
                shown = renderable(console.width) if callable(renderable) else renderable
                console.print(printable(shown) if isinstance(shown, str) else shown)
            except OSError as e:  # a full disk: say which file
                if console is self.log and e.filename is None:
                    e.filename = self._log_file.name
                raise

    def header(self, left, right) -> None:
        """The first line: machine on the left, seed and folder on the right; two lines where it is narrow."""

        def line(width):
            gap = width - len(left) - len(right)
            return f"{left}{' ' * min(gap, 40)}{right}" if gap >= 3 else f"{left}\n{right}"

        self.print(line)

    def section(self, title, *paragraphs) -> None:
        """A word in the margin, paragraphs beside it, wrapped."""
        for k, paragraph in enumerate(paragraphs):
            self.print(hanging(f"{title if k == 0 else '':<11}", paragraph))

    def remark(self, text) -> None:
        """A line that begins with `!` and names what to do, on stderr."""
        one_screen = self.console.is_terminal and self.errors.is_terminal
        self._write(hanging("! ", text), self.console if one_screen else self.errors)

    # ---- the epoch table ----

    def epochs_begin(self, with_stress=False, outputs=None, with_energy=True, heads=(), judged="valid") -> None:
        """The head of the table; outputs: {name: unit} of what else is trained.

        heads: names of several, whose errors on the set `judged` stand in the place of train and valid.
        """
        self._shown = (with_stress, dict(outputs or {}), with_energy, heads if len(heads) > 1 else (), judged)
        self.print(lambda width: _head(width, *self._shown))

    def epoch(self, row, elapsed) -> None:
        """One row of it: loss, errors in meV, meV/Å and GPa, rate, time since the beginning of the run."""
        self.print(lambda width: _row(row, elapsed, width, *self._shown))

    # ---- the progress line ----

    def progress(self, done, total, text, seconds_left) -> None:
        """Epochs done of total, a few words, and the time left; refreshed in place on a terminal.

        Elsewhere one plain line per tenth of the run or per minute, whichever is rarer.
        """
        if self.quiet:
            return
        now, left = time.monotonic(), time_left(seconds_left)
        if not self.console.is_terminal:
            tenth = int(10 * done / total)
            if tenth > self._last_tenth and now - self._last_line >= 60 and done < total:
                self._last_tenth, self._last_line = tenth, now
                self._write(f"{int(done)}/{total}  {100 * done / total:.0f}%  {text}  {left}", self.errors)
            return
        if now - self._last_refresh < 0.2:
            return
        self._last_refresh = now
        if self._live is None:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(_progress_line(done, total, printable(text), left, self.width), refresh=True)

    def end_progress(self) -> None:
        """Takes the progress line away."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def hanging(first, text):
    """A function of the width: `text` wrapped, `first` before its first line and as much space before the others."""

    def wrapped(width):
        space = " " * len(first)
        options = dict(width=width, subsequent_indent=space, break_long_words=False, break_on_hyphens=False)
        lines = text.splitlines() or [""]
        return "\n".join(
            textwrap.fill(line, initial_indent=space if k else first, replace_whitespace=False, **options)
            for k, line in enumerate(lines)
        )

    return wrapped


def _progress_line(done, total, text, left, width):
    count, percent = f"{int(done):>5}/{total}", f"{100 * done / total:3.0f}%"
    words = f"{percent}   {text}   {left}"
    room = width - len(count) - len(words) - 5
    if room < 8:
        return Text(f"{count.strip()} {text}, {left}".rstrip(", "), no_wrap=True, overflow="ellipsis")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(count, ProgressBar(total=total, completed=done, width=min(room, 40)), words)
    return grid


def _columns(width, with_stress, outputs=None, with_energy=True, heads=(), judged="valid"):
    """[(head, [(name below it, characters, cell of a row)])]: what fits the width."""

    def pair(head, kind, factor, characters):
        if heads:
            shown = {name: f"{of_head(kind, name)}_{judged}" for name in heads}
            characters = max(characters, max(map(len, heads)) + 2)
        else:
            shown = {name: f"{kind}_{name}" for name in ("train", "valid")}
        return head, [
            (name, characters, lambda row, _, key=key: _error(row[key], factor)) for name, key in shown.items()
        ]

    def loss(row, _):
        return scientific(row["loss_train"] if row["loss_valid"] is None else row["loss_valid"], 2)

    rate = ("lr", [("", 8, lambda row, _: scientific(row["lr"], 1))])
    long, short = ("energy, meV/atom", "forces, meV/Å"), ("E, meV/atom", "F, meV/Å")
    if heads:
        long = tuple(f"{judged} {words}" for words in short)
    for n, (energy, forces) in ((9, long), (7, short)):
        epoch = ("epoch", [("", n - 2, lambda row, _: str(row["epoch"]))])
        errors = [pair(energy, "energy", 1e3, n), pair(forces, "forces", 1e3, n)] if with_energy else []
        errors += [pair("stress, GPa", "stress", GPA, n)] if with_stress else []
        for name, unit in (outputs or {}).items():
            head = f"{name}, {unit}" if unit else name
            errors.append(pair(head if len(head) < 2 * n + 4 else name, name, 1.0, max(n, (len(name) + 3) // 2) + 2))
        clock = ("elapsed", [("", n + 1, lambda _, elapsed: duration(elapsed))])
        columns = [epoch, ("loss", [("valid", n + 1, loss)]), *errors, rate, clock]
        if sum(characters for _, cells in columns for _, characters, _ in cells) <= width:
            return columns
    if heads:  # so many that only the errors of all together have room
        return _columns(width, with_stress, outputs, with_energy)
    return [epoch, *errors, clock]


def _head(width, *shown):
    groups = _columns(width, *shown)
    first = "".join(f"{head:>{sum(characters for _, characters, _ in cells)}}" for head, cells in groups)
    second = "".join(f"{name:>{characters}}" for _, cells in groups for name, characters, _ in cells)
    return f"\n{first}\n{second.rstrip()}"


def _row(row, elapsed, width, *shown):
    groups = _columns(width, *shown)
    return "".join(f"{cell(row, elapsed):>{characters}}" for _, cells in groups for _, characters, cell in cells)


def _error(value, factor):
    """Three figures or one decimal, `-` for what is not labelled."""
    if value is None:
        return "-"
    x = factor * value
    if factor == 1:  # in the unit of the data, whatever that is
        return f"{x:#.3g}" if 1e-4 <= x < 1e4 else scientific(x, 1)
    return f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 1e4 else scientific(x, 1)


def scientific(x, decimals) -> str:
    """9.12e-1: an exponent without padding.

    >>> scientific(0.01, 1)
    '1.0e-2'
    """
    return re.sub(r"e([+-])0*(?=\d)", lambda m: "e" + m[1].strip("+"), f"{x:.{decimals}e}")


def duration(seconds) -> str:
    """A clock: 0:03, 38:40, 1:02:33."""
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


def about(seconds) -> str:
    """A time in the unit that suits it: 40 s, 39 min, 3.2 h."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def time_left(seconds) -> str:
    """28 min left; nothing while it is not known."""
    return "" if seconds is None else f"{about(max(seconds, 1.0) if seconds < 10 else seconds)} left"
