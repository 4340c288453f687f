"""Ranks that are threads of one process, with as much of a communicator as nbcore asks of mpi4py."""

import threading

import numpy as np

from nbcore.ranks import Ranks


class Communicator:
    def __init__(self, rank, size, board, barrier):
        self.rank, self.size, self.board, self.barrier = rank, size, board, barrier
        self.copies = 0

    def Dup(self):
        self.copies += 1
        return self

    def Free(self):
        self.copies -= 1

    def Abort(self, code):
        self.barrier.abort()

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return self.size

    def allgather(self, value):
        self.board[self.rank] = value
        self.barrier.wait()
        found = [self.board[rank] for rank in range(self.size)]
        self.barrier.wait()
        return found

    def bcast(self, value):
        return self.allgather(value)[0]

    def Allgather(self, send, receive):
        assert send is None  # in place
        receive[...] = np.array(self.allgather(receive[self.rank].copy()))

    def Allgatherv(self, send, receive):
        values, counts = receive
        own = np.split(values, np.cumsum(counts)[:-1])[self.rank] if send is None else send
        parts = self.allgather(own.copy())
        assert [len(part) for part in parts] == counts
        values[:] = np.concatenate(parts)

    def Alltoallv(self, send, receive):
        values, (counts, starts) = send
        flat = values.ravel()
        of_all = self.allgather([flat[start : start + n].copy() for n, start in zip(counts, starts, strict=True)])
        mine = [parts[self.rank] for parts in of_all]
        assert [part.size for part in mine] == receive[1]
        receive[0].ravel()[:] = np.concatenate(mine)


def each_rank(size, work):
    """[work(ranks)] of so many threads; an error of one of them is raised here."""
    board, barrier, results = {}, threading.Barrier(size), [None] * size

    def run(rank):
        try:
            results[rank] = work(Ranks(Communicator(rank, size, board, barrier)))
        except BaseException as e:
            results[rank] = e
            if not getattr(e, "of_all_ranks", False):
                barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
