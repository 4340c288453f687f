"""How many threads to use where nobody says."""

import math
import operator
import os
from pathlib import Path, PurePosixPath

MOST = 1024  # more is a mistake; the C interface refuses it too


def _groups(root: Path):
    """The folders of this process's control groups that limit processor time, version 2 or 1, up to the root.

    In a container the path of the group may be one outside, that does not exist here: its root is looked at anyway.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = ["0::/", "1:cpu:/"]
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            mounts = [root / "sys/fs/cgroup"]
        elif "cpu" in controllers.split(","):
            mounts = [root / "sys/fs/cgroup" / name for name in dict.fromkeys((controllers, "cpu"))]
        else:
            continue
        inner = PurePosixPath(path.lstrip("/"))
        for mount in mounts:
            yield from (mount / p for p in (inner, *inner.parents))


def _number(text: str) -> float:
    return math.inf if text in ("max", "-1") else float(text)


def cgroup_cores(root: Path = Path("/")) -> float:
    """Cores that the control groups of this process grant; infinity where there is no limit.

    root: where /proc and /sys are.
    """
    cores = math.inf
    for group in _groups(root):
        try:
            if (group / "cpu.max").exists():
                quota, period = (group / "cpu.max").read_text().split()
            else:
                quota = (group / "cpu.cfs_quota_us").read_text().strip()
                period = (group / "cpu.cfs_period_us").read_text().strip()
            granted = _number(quota) / float(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue
        if granted > 0:
            cores = min(cores, granted)
    return cores


def available_cores(root: Path = Path("/")) -> int:
    """Cores that this process may use: by affinity, and by the quota of its control groups, rounded down; at least 1.

    >>> available_cores() <= os.cpu_count()
    True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(cores, cgroup_cores(root))))


def threads(n: int | None = None) -> int:
    """The number of threads: `n`, else NBCORE_NUM_THREADS, else OMP_NUM_THREADS, else the cores this process may use.

    Affinity and the control group's quota count; never more cores than there are. Raises InputError for less than 1 or
    more than 1024, and names the variable of the environment that holds something else.

    >>> threads(3)
    3
    """
    from nbcore.errors import InputError

    if n is not None and not (isinstance(n, str) and n == "auto"):
        try:
            count = 0 if isinstance(n, (bool, str)) else operator.index(n)
        except TypeError:
            count = int(n) if isinstance(n, float) and n.is_integer() else 0
        if not 1 <= count <= MOST:
            raise InputError(f"threads must be a whole number from 1 to {MOST}, got {n!r}")
        return count
    for name in ("NBCORE_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "").split(",")[0].strip()
        if value:
            if not (value.isascii() and value.isdigit()) or not 1 <= int(value[:9]) <= MOST or len(value) > 9:
                raise InputError(f"{name} must be a whole number from 1 to {MOST}, got {value!r}")
            return int(value)
    return available_cores()
