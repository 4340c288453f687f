"""How many threads to use where nobody says."""

import os


def _cgroup_cores() -> float:
    """Cores that the control group of this process grants; infinity where there is no limit."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as f:
            quota, period = f.read().split()
        return float("inf") if quota == "max" else float(quota) / float(period)
    except (OSError, ValueError):
        return float("inf")


def threads(n: int | None = None) -> int:
    """The number of threads: `n`, else NBCORE_NUM_THREADS, else OMP_NUM_THREADS, else the cores this process may use.

    Affinity and the control group's quota count; never more cores than there are.

    >>> threads(3)
    3
    """
    from nbcore.errors import InputError

    if n is not None and n != "auto":
        if isinstance(n, bool) or int(n) != n or n < 1:
            raise InputError(f"threads must be a whole number of at least 1, got {n!r}")
        return int(n)
    for name in ("NBCORE_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "").split(",")[0].strip()
        if value:
            if not value.isdigit() or int(value) < 1:
                raise InputError(f"{name} must be a whole number of at least 1, got {value!r}")
            return int(value)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(cores, _cgroup_cores())))
