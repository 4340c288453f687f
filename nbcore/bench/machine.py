"""The machine: its name, one core of it to work on, its peak and its bandwidth, and how long something takes."""

import contextlib
import os
import statistics
import time
from pathlib import Path

from nbcore import _core

L2_BYTES = 1 << 20  # where the system does not say


class Machine:
    """One core, pinned, and the samples of its peak that were taken beside everything that was timed.

    quick: a few milliseconds for everything, for tests; figures mean nothing then.

    >>> machine = Machine(quick=True)
    >>> seconds, fraction = machine.time(lambda times: _core.multiply_adds(times), work=2.0)
    """

    def __init__(self, quick: bool = False):
        self.quick = quick
        self.repetitions, self.least = (1, 1e-3) if quick else (9, 0.02)
        self.core, self.cores = None, set()
        self.peaks = {"float64": [], "float32": []}

    def pin(self) -> None:
        """Keeps this process on one of the cores it may use, the last: the first has most of the system's work."""
        if hasattr(os, "sched_setaffinity"):
            self.cores = os.sched_getaffinity(0)
            self.core = max(self.cores)
            os.sched_setaffinity(0, {self.core})

    @contextlib.contextmanager
    def all_cores(self):
        """Unpinned, for what runs in several threads; gives the number of cores."""
        if self.core is not None:
            os.sched_setaffinity(0, self.cores)
        try:
            yield len(self.cores) or 1
        finally:
            if self.core is not None:
                os.sched_setaffinity(0, {self.core})

    def peak(self, dtype: str = "float64") -> float:
        """GFLOP/s of nothing but multiply-adds, measured now; a multiply-add is two operations."""
        run = _core.multiply_adds if dtype == "float64" else _core.multiply_adds_float
        rounds = 1_000 if self.quick else 200_000
        start = time.process_time_ns()
        flops = 2 * run(rounds)
        self.peaks[dtype].append(flops / max(1, time.process_time_ns() - start))
        return self.peaks[dtype][-1]

    def bandwidth(self, n_bytes: int) -> float:
        """GB/s, bytes read and written, of copies between two arrays of `n_bytes` together."""
        copy = _core.Copy(n_bytes // 16)
        return 1e-9 * n_bytes / statistics.median(self._samples(copy.run))

    def time(self, run, work: float = 0.0, dtype: str = "float64"):
        """(sorted seconds per repetition, fraction of the peak) of run(times); work: operations of one repetition.

        Each sample stands beside one of the peak: the fraction is the median over the pairs.
        """
        pairs = [(seconds, self.peak(dtype)) for seconds in self._samples(run)]
        fractions = [1e-9 * work / seconds / peak for seconds, peak in pairs]
        return sorted(seconds for seconds, _ in pairs), statistics.median(fractions)

    def _samples(self, run):
        """Seconds per repetition, one sample after the other."""
        times, elapsed = 1, 0.0
        run(1)
        while elapsed < self.least / 4:
            elapsed = _cpu_seconds(run, times)
            times *= 4 if elapsed < self.least / 16 else 2
        times = max(1, round(times / 2 * self.least / elapsed))
        for _ in range(self.repetitions):
            yield _cpu_seconds(run, times) / times

    def describe(self) -> dict:
        """Name, cores, the one in use, L2, and the figures of the machine in this run."""
        from nbcore._kernels import processor

        l2 = l2_bytes()
        return {
            "processor": processor().name,
            "cores": os.cpu_count(),
            "pinned_core": self.core,
            "l2_bytes": l2,
            "peak_float64_gflops": statistics.median(self.peaks["float64"] or [self.peak()]),
            "peak_float32_gflops": statistics.median(self.peaks["float32"] or [self.peak("float32")]),
            "copy_l2_gb_per_s": self.bandwidth(l2 // 2),
            "copy_memory_gb_per_s": self.bandwidth(l2 if self.quick else 1 << 28),
        }


def _cpu_seconds(run, times):
    start = time.process_time_ns()
    run(times)
    return 1e-9 * max(1, time.process_time_ns() - start)


def l2_bytes() -> int:
    """Size of a core's second-level cache."""
    try:
        text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()
        return int(text[:-1]) * {"K": 1 << 10, "M": 1 << 20}[text[-1]]
    except (OSError, ValueError, KeyError):
        return L2_BYTES
