"""How far a command is: a bar on a terminal, else one plain line per tenth or per minute, whichever is rarer."""

import sys
import time

from nbcore.cli import console


def clock(seconds):
    """A length of time for people: "0:09", "12:34", "1:02:03".

    >>> clock(754)
    '12:34'
    """
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


class Progress:
    """Shows on stderr how much of `total` is done, beginning at `done`; appears only after two seconds.

    label(done) is the text in front, such as "3.2 of 10 ps". Use it as a context and call it with what is done.

    >>> with Progress(100, lambda done: f"{done} structures") as progress:
    ...     progress(50)
    """

    def __init__(self, total, label, done=0, quiet=False):
        self.total, self.label, self.first, self.quiet = total, label, done, quiet
        self.begin = self.shown = time.monotonic()
        self.tenth = 10 * done // max(total, 1)
        self.terminal = sys.stderr.isatty()
        self.bar = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bar:
            self.bar.stop()

    def __call__(self, done):
        now = time.monotonic()
        if self.quiet or now - self.shown < (0.1 if self.bar else 2.0):
            return
        left = (now - self.begin) / (done - self.first) * (self.total - done) if done > self.first else 0
        if self.terminal:
            self._draw(done, left)
            self.shown = now
        elif 10 * done // self.total > self.tenth and now - self.shown > 60 and done < self.total:
            self.tenth = 10 * done // self.total
            self.shown = now
            print(
                f"  {self.label(done)}  {100 * done // self.total} %  {clock(left)} left", file=sys.stderr, flush=True
            )

    def _draw(self, done, left):
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Bar

        if self.bar is None:
            columns = (
                TextColumn("  {task.description}"),
                BarColumn(None),
                TaskProgressColumn(),
                TextColumn("{task.fields[left]}"),
            )
            self.bar = Bar(*columns, console=console.terminal(sys.stderr), transient=True, expand=True)
            self.task = self.bar.add_task("", total=self.total, left="")
            self.bar.start()
        self.bar.update(self.task, completed=done, description=self.label(done), left=f"{clock(left)} left")
