"""What an evaluation with a trained model costs on the row's own structures."""

import statistics
import time

import numpy as np

from nbcore import data
from nbcore.evaluator import Evaluator


def us_per_atom(model, files, structures=10, repetitions=5, least=0.5) -> float:
    """CPU microseconds per atom on one core: energy and forces, structure by structure, each with a new list.

    Of up to `structures` of the files, evenly over them; the median of the repetitions.
    """
    read = data.read(files, require=(), missing="mask")
    read = [read[int(k)] for k in np.unique(np.linspace(0, len(read) - 1, structures).round())]
    evaluator, calls = Evaluator(model, skin=0.0), []
    for s in read:
        cell = None if s.cell is None else np.ascontiguousarray(s.cell, float)
        positions = np.ascontiguousarray(s.positions, float)
        calls.append(
            (positions, np.asarray(s.numbers, np.intc), cell, np.asarray(s.pbc).tolist(), np.empty_like(positions))
        )

    def once():
        for call in calls:
            evaluator.evaluate(*call, threads=1)

    once()
    times = []
    for _ in range(repetitions):
        begin, passes = time.process_time(), 0
        while passes == 0 or time.process_time() - begin < least:
            once()
            passes += 1
        times.append((time.process_time() - begin) / passes)
    return 1e6 * statistics.median(times) / sum(len(s.numbers) for s in read)
