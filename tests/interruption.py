"""A training that is interrupted in a step that the test chooses."""

import signal

from nbcore.train.trainer import Trainer


def interrupt_training(monkeypatch, at, number=signal.SIGINT):
    """The signal arrives before step `at` (from 1, counted over all trainings of the test); that step is finished.

    Returns the list of the steps taken, which grows.
    """
    step, steps = Trainer.step, []

    def interrupted(self, *wish):
        steps.append(len(steps) + 1)
        if len(steps) == at:
            signal.raise_signal(number)
        return step(self, *wish)

    monkeypatch.setattr(Trainer, "step", interrupted)
    return steps
