"""How far a command is, as a training shows it: a line on a terminal, else a plain line now and then."""

import contextlib
import time


@contextlib.contextmanager
def progress(total, text, first=0, quiet=False):
    """Gives a function to be called with what is done of `total`; the time left is measured from `first` on.

    text(done) are a few words beside the bar, such as "3.2 of 10 ps".

    >>> with progress(100, lambda done: "structures") as tick:
    ...     tick(50)
    """
    from nbcore.train.display import Display

    begin = time.monotonic()
    with Display(quiet) as display:

        def tick(done):
            left = (time.monotonic() - begin) / (done - first) * (total - done) if done > first else None
            display.progress(done, total, text(done), left)

        yield tick
