"""Ranks: processes that an MPI launcher has started side by side, and what they do together.

A program without a launcher is `Alone`, and needs no MPI. What ranks decide they decide from what all of them have
said, so that none leaves a loop in which others wait for it.
"""

import contextlib
import os
import socket
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, TypeVar

import numpy as np

from nbcore import errors
from nbcore._threads import available_cores
from nbcore._threads import threads as number_of_threads

Result = TypeVar("Result")

#: what launchers write into the environment of each process: how many there are
LAUNCHERS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "PALS_NRANKS")


class LaunchError(errors.Error, RuntimeError):
    """Processes that were started side by side, and do not see each other."""

    exit_code = 2


class Alone:
    """One process, the first of one."""

    rank, size = 0, 1

    def __init__(self):
        self._memory: dict[str, np.ndarray] = {}

    @property
    def first(self) -> bool:
        """True for the one that writes files and the screen."""
        return self.rank == 0

    def together(self, work: Callable[[], Result]) -> Result:
        """work() on every rank, and what it returns here; where it fails on some, all raise the error of the first."""
        return work()

    def of_first(self, work: Callable[[], Result]) -> Result:
        """work() on the first rank alone, and what it returns there for all; its error is the error of all."""
        return work()

    def same(self, what: Mapping[str, object]) -> None:
        """InputError on all ranks, with both values, where they differ in one of {name: value}."""

    def gathered(self, value: Any) -> list:
        """The values of all ranks, in their order."""
        return [value]

    def gathered_lists(self, work: Callable[[Any], list], items: Any, cost: Sequence[float] | None = None) -> list:
        """work(items), a list with an entry for each: every rank has worked on some of them, and has the whole.

        cost: of each item, by which they are shared.
        """
        return work(items)

    def guard(self) -> contextlib.AbstractContextManager:
        """A block in which an error that not all ranks raise together ends them all, with rank and host."""
        return contextlib.nullcontext()

    def threads(self, n: int | None = None) -> int:
        """Threads of this process where nobody says, see `nbcore.threads`."""
        return number_of_threads(n)

    def where(self, rank: int) -> str:
        """How a rank is called in messages."""
        return ""

    def free(self) -> None:
        """Gives back what a library of MPI has few of, after the last message; all ranks do."""

    def kept(self, name: str, n: int) -> np.ndarray:
        """n numbers of memory of that name, the same at each call, with whatever was left in it: no fresh page in the
        steady state."""
        if name not in self._memory or len(self._memory[name]) < n:
            self._memory[name] = np.zeros(n)
        return self._memory[name][:n]


class Ranks(Alone):
    """The ranks of an mpi4py communicator, of which this process is one: Ranks(MPI.COMM_WORLD)."""

    def __init__(self, comm: Any):
        super().__init__()
        self.comm = comm.Dup()  # messages of the program that gave it stay its own
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self.hosts = self.comm.allgather(socket.gethostname())

    def where(self, rank: int) -> str:
        """Rank and host."""
        return f"rank {rank} on {self.hosts[rank]}"

    def together(self, work):
        """See Alone."""
        try:
            result, error = work(), None
        except Exception as e:
            result, error = None, e
        self.raise_first(error)
        return result

    def of_first(self, work):
        """See Alone."""
        result = self.together(lambda: work() if self.first else None)
        return self.comm.bcast(result)

    def raise_first(self, error: Exception | None) -> None:
        """Where some ranks have an error, all raise that of the first of them, which is named unless all have one."""
        found = self.comm.allgather(None if error is None else _packed(error))
        failed = [rank for rank, one in enumerate(found) if one is not None]
        if not failed:
            return
        if len(failed) == self.size and len(set(found)) == 1:
            raise of_all_ranks(error)
        kind, text, code = found[failed[0]]
        told = getattr(errors, kind, errors.Error)(f"{self.where(failed[0])}: {text}")
        if code is not None:
            told.exit_code = code
        raise of_all_ranks(told) from error

    def same(self, what):
        """See Alone."""
        found = self.comm.allgather(dict(what))
        for name in dict.fromkeys(name for one in found for name in one):
            values = [one.get(name) for one in found]
            odd = next((rank for rank, value in enumerate(values) if value != values[0]), None)
            if odd is not None:
                raise of_all_ranks(
                    errors.InputError(
                        f"ranks differ in {name}: {self.where(0)} has {values[0]!r}, {self.where(odd)} has "
                        f"{values[odd]!r}. All ranks need the same files, installation and options"
                    )
                )

    def gathered(self, value):
        """See Alone."""
        return self.comm.allgather(value)

    def gathered_lists(self, work, items, cost=None):
        """See Alone."""
        first, last = shared([1.0] * len(items) if cost is None else cost, self.size)[self.rank]
        own = self.together(lambda: work(items[first:last]))
        return [one for part in self.comm.allgather(own) for one in part]

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """See Alone."""
        try:
            yield
        except BaseException as e:
            if getattr(e, "of_all_ranks", False):
                raise
            self._abort(e)

    def _abort(self, error):
        _, text, code = _packed(error)
        print(f"error: {self.where(self.rank)}: {text}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        self.comm.Abort(code or 1)

    def threads(self, n=None):
        """The cores that this process may use, shared with the ranks beside it that may use them too; see Alone."""
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
        from mpi4py import MPI

        beside = self.comm.Split_type(MPI.COMM_TYPE_SHARED)
        users = [core for one in beside.allgather(cores) for core in one]
        beside.Free()
        if n is not None or os.environ.get("NBCORE_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS"):
            return number_of_threads(n)
        share = sum(1 / users.count(core) for core in cores)
        return max(1, int(min(share, available_cores()) + 1e-9))

    def free(self):
        """See Alone."""
        self.comm.Free()

    # ---- numbers, without an object in the steady state ----

    def sent(self, to_each: np.ndarray, counts: Sequence[int]) -> list[np.ndarray]:
        """What each rank sends to this one, in memory that is kept until the next call; what is its own stays in place.

        to_each: (ranks, n), a row for each; counts: how many numbers each rank sends.
        """
        sending, receiving = [to_each.shape[1]] * self.size, list(counts)
        sending[self.rank] = receiving[self.rank] = 0
        received = self.kept("received", sum(receiving))
        starts = [n * to_each.shape[1] for n in range(self.size)]
        self.comm.Alltoallv([to_each, (sending, starts)], [received, receiving])
        parts = [received[first:last] for first, last in pairwise([0, *accumulate(receiving)])]
        parts[self.rank] = to_each[self.rank]
        return parts

    def told(self, own: np.ndarray, counts: Sequence[int]) -> np.ndarray:
        """The numbers of all ranks, one after another; counts: how many each has."""
        told = np.empty(sum(counts))
        self.comm.Allgatherv(own, [told, counts])
        return told

    def completed(self, rows: np.ndarray) -> None:
        """(ranks, n) of which each rank has its row, in place: all rows."""
        self.comm.Allgather(None, rows)

    def exchanged(self, vector: np.ndarray, ranges: Sequence[Sequence[tuple[int, int]]]) -> None:
        """Parts of a vector, in place: of each rank the ranges (first, count) that all take from it."""
        counts = [sum(count for _, count in own) for own in ranges]
        whole = self.kept("exchanged", sum(counts))

        def each(ranks):
            for rank in ranks:
                place = sum(counts[:rank])
                for first, count in ranges[rank]:
                    yield slice(first, first + count), slice(place, place + count)
                    place += count

        for own, place in each([self.rank]):
            whole[place] = vector[own]
        self.comm.Allgatherv(None, [whole, counts])
        for other, place in each(rank for rank in range(self.size) if rank != self.rank):
            vector[other] = whole[place]


def _packed(error):
    """What other ranks are told of an error: its class, text and exit code."""
    code = getattr(error, "exit_code", None)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename is not None else ""
        return "OSError", f"{place}{error.strerror or error}", code or 6
    if isinstance(error, (errors.Error, MemoryError, KeyboardInterrupt, ImportError)):
        code = code or (130 if isinstance(error, KeyboardInterrupt) else None)
        return type(error).__name__, str(error) or type(error).__name__, code
    return type(error).__name__, "".join(traceback.format_exception(error)).rstrip(), code


def of_all_ranks(error: Exception) -> Exception:
    """The error, marked as one that every rank raises."""
    error.of_all_ranks = True
    return error


@contextlib.contextmanager
def ranks_of(comm: Any) -> Iterator[Alone]:
    """A block for the ranks of an mpi4py communicator, in which an error that not all of them raise together ends them
    all; for one process alone, if there is none."""
    ranks = Alone() if comm is None else Ranks(comm)
    try:
        with ranks.guard():
            yield ranks
    except Exception as e:
        if getattr(e, "of_all_ranks", False):
            ranks.free()
        raise
    ranks.free()


def shared(cost: Sequence[float], ranks: int) -> list[tuple[int, int]]:
    """(first, last) of the items of each rank: such that follow each other, of about the same cost together.

    >>> shared([1.0] * 8, 3)
    [(0, 3), (3, 5), (5, 8)]
    """
    cost = np.asarray(cost, dtype=float)
    total = cost.sum()
    middles = (np.cumsum(cost) - cost / 2) / (total if total > 0 else 1.0)
    ends = np.searchsorted(middles, np.arange(1, ranks) / ranks, side="left").tolist()
    return list(zip([0, *ends], [*ends, len(cost)], strict=True))


def launched() -> int:
    """How many processes a launcher says that it has started; 1 without one.

    >>> launched()
    1
    """
    for name in LAUNCHERS:
        value = os.environ.get(name, "")
        if value.isascii() and value.isdigit() and int(value) > 0:
            return int(value)
    return 1


def world() -> Alone:
    """The ranks that the launcher has started, or one process alone.

    Raises LaunchError where the launcher says more than MPI sees: else each of them would do all of the work, and write
    into the same files.
    """
    expected = launched()
    if expected == 1:
        return Alone()
    try:
        with warnings.catch_warnings():  # mpi4py warns of a launcher that is not its own: the error below says more
            warnings.simplefilter("ignore", RuntimeWarning)
            from mpi4py import MPI
    except (ImportError, RuntimeError) as e:  # no mpi4py; no library of MPI that it finds
        remedy = "pip install 'nbcore[mpi]'" if isinstance(e, ImportError) else "load the module of the machine's MPI"
        raise LaunchError(
            f"the launcher has started {expected} processes, and mpi4py, through which they would work together, "
            f"cannot be loaded ({str(e).splitlines()[0]}): {remedy}, or pip install 'nbcore[mpi-local]'"
        ) from None
    size = MPI.COMM_WORLD.Get_size()
    if size != expected:
        library = MPI.Get_library_version().strip("\0 \n").splitlines()[0]
        raise LaunchError(
            f"the launcher has started {expected} processes, and MPI sees {size}: they would not work together. mpi4py "
            f"has loaded {library}; start with the mpiexec, or the options of srun (--mpi=), that belong to it"
        )
    return Ranks(MPI.COMM_WORLD)
