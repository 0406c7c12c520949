"""The root's side of a pool: chunks of tasks out to the workers, their results in.

Rows of float64 and float results travel as buffers, everything else as pickles; a function goes
out once. Nobody blocks inside MPI. What to send where is `schedule`'s to choose. A pickle may run
code of the user's classes: all are made and opened in the thread that has the tasks.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from mpi4py import MPI

from ..mpi.waiting import probe_twice, wait_for
from .tasks import (
    ARRAY,
    CANCEL,
    CLOSE,
    FLOATS,
    FUNCTION,
    KEEP,
    OBJECTS,
    RESULTS,
    ROWS,
    VALUES,
    Batch,
    Chunk,
    Failure,
)

if TYPE_CHECKING:
    from .._types import AnyArray, Comm, Tick

_NEWEST = 0.1  # weight of the newest in what a task takes of late
_AHEAD = 64 * 2**20  # bytes of pickled tasks that wait to be sent


class Dispatcher:
    """The root's side: chunks out, results in.

    One thread sends and receives, in ``scatter``, ``refill``, ``receive`` and ``close``; another
    may use the rest beside it.

    Parameters
    ----------
    comm : MPI communicator
        Its rank 0 is the root. Used for nothing else.

    Attributes
    ----------
    pace : ndarray (rank,)
        Seconds of a task on each rank, of late; NaN where it has done none.

    """

    def __init__(self, comm: Comm) -> None:
        self.comm = comm
        self.size = comm.Get_size()
        self.pace = np.full(self.size, np.nan)
        self.pending: deque[Chunk] = deque()
        self._later: deque[Chunk] = deque()  # to be pickled first
        self._ahead = 0  # bytes of pickles that are pending
        self.bytes_sent = 0
        self._out: list[deque[Chunk]] = [deque() for _ in range(self.size)]
        self._notices: deque[tuple[AnyArray, int]] = deque()  # for all workers, and their tags
        self._functions = 0
        self._sent: list[tuple[Any, Any]] = []  # requests, and the buffers they need
        self._status = MPI.Status()
        self._lock = threading.Lock()
        self._batches = 0
        self._last = 0

    def batch(self, tasks: Any, function: int = 0, urgent: bool = False) -> Batch:
        """Return a new batch of ``tasks``; see `Batch`."""
        self._batches += 1
        return Batch(self._batches, tasks, function, urgent)

    def add_function(self, data: bytes) -> int:
        """Send a pickled function to all workers, before the next tasks; return its number."""
        self._notices.append((np.frombuffer(data, dtype=np.uint8), FUNCTION))
        self._functions += 1
        return self._functions

    def keep_functions(self, numbers: Iterable[int]) -> None:
        """Let the workers forget all other functions."""
        self._notices.append((np.array(sorted(numbers), dtype=np.int64), KEEP))

    def scatter(self, batch: Batch, root_works: bool = True) -> Chunk | None:
        """Give each rank one contiguous block of a batch.

        Blocks differ by at most one, and the root, which has more to do, has a small one.

        Parameters
        ----------
        batch : Batch
            Made by ``batch``.
        root_works : bool
            Whether the root has a block too. Default: True.

        Returns
        -------
        Chunk or None
            The root's own block, if it has one.

        """
        self._notify()
        n = len(batch.tasks)
        base, extra = divmod(n, self.size if root_works else self.size - 1)
        start = 0
        for worker in range(1, self.size):
            stop = start + base + (worker <= extra)
            if stop > start:
                self._assign(Chunk(batch, start, stop), worker)
            start = stop
        return Chunk(batch, start, n) if start < n else None

    def queue(self, batch: Batch, size: int = 1) -> None:
        """Queue a batch for whoever is free.

        Parameters
        ----------
        batch : Batch
            Tasks that are not rows are pickled first, by ``prepare``.
        size : int
            Tasks of a chunk. Default: 1.

        """
        n = len(batch.tasks)
        queue = self.pending if batch.is_rows else self._later
        chunks = (Chunk(batch, start, min(start + size, n)) for start in range(0, n, size))
        (queue.extendleft if batch.urgent else queue.extend)(chunks)

    def prepare(self) -> None:
        """Pickle queued tasks, in the thread that has them; so far ahead that none has to wait."""
        while self.must_prepare():
            chunk = self._later.popleft()
            if chunk.batch.failure is None:
                size = len(chunk.write())
                with self._lock:
                    self._ahead += size
                (self.pending.appendleft if chunk.batch.urgent else self.pending.append)(chunk)

    def must_prepare(self) -> bool:
        """Tell whether there are tasks to be pickled now."""
        if not self._later:
            return False
        return self._ahead < _AHEAD or not self.offers(self._later[0].batch)

    def offers(self, batch: Batch) -> bool:
        """Tell whether a chunk is queued that ``pop(batch)`` would take."""
        try:
            return self.pending[0].batch is batch if batch.urgent else bool(self.pending)
        except IndexError:  # the other thread took the last
            return False

    def refill(self, depth: int) -> bool:
        """Send queued chunks to workers that have few.

        Parameters
        ----------
        depth : int
            Chunks that a worker may have, the one in hand included.

        Returns
        -------
        bool
            Whether any was sent.

        """
        sent = bool(self._notices)
        self._notify()
        for level in range(depth):  # everybody's first before anybody's second
            for k in range(self.size - 1):
                worker = 1 + (self._last + k) % (self.size - 1)
                if len(self._out[worker]) > level:
                    continue
                chunk = self.pop()
                if chunk is None:
                    return sent
                self._assign(chunk, worker)
                self._last, sent = worker, True
        return sent

    def pop(self, batch: Batch | None = None) -> Chunk | None:
        """Take the next queued chunk, or None.

        Parameters
        ----------
        batch : Batch, optional
            That is waited for: where it is urgent, no chunk of another is taken. Default: None.

        Returns
        -------
        Chunk or None

        """
        with self._lock:
            while self.pending and (batch is None or self.offers(batch)):
                chunk = self.pending.popleft()
                if chunk.message is not None:
                    self._ahead -= len(chunk.message)
                if chunk.batch.failure is None:
                    return chunk
        return None

    def receive(self) -> bool:
        """Take in the results that have come; tell if there were any."""
        came = False

        def probe() -> bool:
            return bool(self.comm.Iprobe(MPI.ANY_SOURCE, MPI.ANY_TAG, self._status))

        while self.size > 1 and probe_twice(probe):
            came = True
            worker, tag = self._status.Get_source(), self._status.Get_tag()
            data = np.empty(self._status.Get_count(MPI.BYTE), dtype=np.uint8)
            self.comm.Recv(data, worker, tag)
            chunk = self._out[worker].popleft()
            if tag == VALUES:
                kind, seconds = data[:16].view(np.float64)
                values: Any = data[16:].view(np.float64)
                if kind != ARRAY:
                    values = values.tolist() if kind == FLOATS else list(values)
                self.add_result(chunk, values, float(seconds), worker)
            elif tag == RESULTS:
                seconds = data[:8].view(np.float64)[0]
                self.add_result(chunk, data[8:].data, float(seconds), worker)
            else:
                failure = pickle.loads(data.data)
                failure.task += chunk.start
                self.fail(chunk, failure)
        if self._sent:
            self._sent = [pair for pair in self._sent if not pair[0].Test()]
        return came

    def add_result(self, chunk: Chunk, results: Any, seconds: float, rank: int = 0) -> None:
        """Add the results of a chunk to its batch.

        Parameters
        ----------
        chunk : Chunk
            What was worked on.
        results : ndarray, list, tuple or memoryview
            A memoryview is a pickle; an empty list is a chunk that was given up, and is dropped.
        seconds : float
            That it took.
        rank : int
            That worked on it. Default: 0, the root.

        """
        if isinstance(results, list) and not results:
            return
        batch, each = chunk.batch, seconds / (chunk.stop - chunk.start)
        before = self.pace[rank]
        self.pace[rank] = each if np.isnan(before) else before + _NEWEST * (each - before)
        with self._lock:
            batch.results.append((chunk.start, chunk.stop, results))
            batch.seconds.append((chunk.stop - chunk.start, seconds))
            batch.missing -= chunk.stop - chunk.start

    def run_here(self, chunk: Chunk, run: Callable[[Any], Any]) -> None:
        """Work on a chunk on the root itself.

        Parameters
        ----------
        chunk : Chunk
            As ``scatter`` or ``pop`` returned it.
        run : callable
            Takes the tasks, and returns their results or a Failure.

        """
        began = time.perf_counter()
        results = run(chunk.tasks)
        if isinstance(results, Failure):
            results.task += chunk.start
            self.fail(chunk, results)
        else:
            self.add_result(chunk, results, time.perf_counter() - began)

    def fail(self, chunk: Chunk, failure: Failure) -> None:
        """Set the failure of a chunk's batch, if it is the first."""
        with self._lock:
            if chunk.batch.failure is None:
                chunk.batch.failure = failure

    def cancel(self, batch: Batch) -> None:
        """Stop work on a batch: what still comes of it is dropped."""
        if batch.failure is None:
            batch.failure = Failure(0, "cancelled")
        self._notices.append((np.array([batch.number], dtype=np.int64), CANCEL))

    def close(self, tick: Tick | None = None) -> None:
        """Let the workers go: give up what is not done, and take in what still comes of it."""
        self.pending.clear()
        self._later.clear()
        self._notify()
        for worker in range(1, self.size):
            self._send(np.empty(0), worker, CLOSE)

        def away() -> bool:
            self.receive()
            return not self._sent and not any(self._out)

        wait_for(away, tick)

    def _notify(self) -> None:
        while self._notices:
            data, tag = self._notices.popleft()
            for worker in range(1, self.size):
                self._send(data, worker, tag)

    def _assign(self, chunk: Chunk, worker: int) -> None:
        self._notify()  # the other thread may have queued a new function, and then this chunk
        self._out[worker].append(chunk)
        self._send(chunk.write(), worker, ROWS if chunk.batch.is_rows else OBJECTS)

    def _send(self, data: AnyArray, worker: int, tag: int) -> None:
        self.bytes_sent += data.nbytes
        self._sent.append((self.comm.Isend(data.view(np.uint8), worker, tag), data))
