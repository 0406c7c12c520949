"""The root's side of a pool: chunks of tasks out to the workers, their results in.

Rows of float64 and float results travel as buffers, everything else as pickles; a function goes
out once. Nobody blocks inside MPI. What to send where is `schedule`'s to choose.
"""

from __future__ import annotations

import pickle
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from mpi4py import MPI

from .comm import look, wait_for
from .tasks import (
    ARRAY,
    CANCEL,
    CLOSE,
    FLOATS,
    FUNCTION,
    OBJECTS,
    RESULTS,
    ROWS,
    VALUES,
    Array,
    Batch,
    Chunk,
    Failure,
)

_SWITCH = 2e-4  # seconds


class Dispatcher:
    """The root's side: chunks out, results in.

    One thread sends and receives; another may ``take`` and ``give`` beside it.

    Parameters
    ----------
    comm : MPI communicator
        Its rank 0 is the root. Used for nothing else.

    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.size = comm.Get_size()
        self.pending: deque[Chunk] = deque()
        self.bytes_sent = 0
        self._out: list[deque[Chunk]] = [deque() for _ in range(self.size)]
        self._sent: list[tuple[Any, Any]] = []  # requests, and the buffers they need
        self._status = MPI.Status()
        self._lock = threading.Lock()
        self._batches = 0
        self._last = 0

    def batch(self, tasks: Any) -> Batch:
        """Return a new batch of ``tasks``."""
        self._batches += 1
        return Batch(self._batches, tasks)

    def send_function(self, data: bytes) -> None:
        """Send a pickled function to all workers: tasks after it are for that function."""
        for worker in range(1, self.size):
            self._send(np.frombuffer(data, dtype=np.uint8), worker, FUNCTION)

    def share(self, batch: Batch, root_works: bool = True) -> Chunk | None:
        """Give each rank one contiguous block of a batch; return the root's own.

        Blocks differ by at most one, and the root, which has more to do, has a small one.
        """
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
        """Queue a batch, in chunks of ``size`` tasks, for whoever is free."""
        n = len(batch.tasks)
        self.pending.extend(
            Chunk(batch, start, min(start + size, n)) for start in range(0, n, size)
        )

    def refill(self, depth: int) -> bool:
        """Send queued chunks to workers that have fewer than ``depth``; tell if any was sent."""
        sent = False
        for level in range(depth):  # everybody's first before anybody's second
            for k in range(self.size - 1):
                worker = 1 + (self._last + k) % (self.size - 1)
                if len(self._out[worker]) > level:
                    continue
                chunk = self.take()
                if chunk is None:
                    return sent
                self._assign(chunk, worker)
                self._last, sent = worker, True
        return sent

    def take(self) -> Chunk | None:
        """Take the next queued chunk, or None."""
        while self.pending:
            try:
                chunk = self.pending.popleft()
            except IndexError:  # the other thread took the last
                break
            if chunk.batch.failure is None:
                return chunk
        return None

    def receive(self) -> bool:
        """Take in the results that have come; tell if there were any."""
        came = False

        def probe() -> bool:
            return bool(self.comm.Iprobe(MPI.ANY_SOURCE, MPI.ANY_TAG, self._status))

        while self.size > 1 and look(probe):
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
                self.give(chunk, values, float(seconds))
            elif tag == RESULTS:
                results, seconds = pickle.loads(data.data)
                self.give(chunk, results, seconds)
            else:
                failure = pickle.loads(data.data)
                failure.task += chunk.start
                self.fail(chunk, failure)
        if self._sent:
            self._sent = [pair for pair in self._sent if not pair[0].Test()]
        return came

    def give(self, chunk: Chunk, results: Any, seconds: float) -> None:
        """Add the results of a chunk to its batch; an empty list is a chunk that was given up."""
        if isinstance(results, list) and not results:
            return
        batch = chunk.batch
        with self._lock:
            batch.results.append((chunk.start, chunk.stop, results))
            batch.seconds.append((chunk.stop - chunk.start, seconds))
            batch.missing -= chunk.stop - chunk.start

    def do(self, chunk: Chunk, run: Callable[[Any], Any]) -> None:
        """Work on a chunk on the root itself; ``run`` returns its results, or a Failure."""
        began = time.perf_counter()
        results = run(chunk.tasks)
        if isinstance(results, Failure):
            results.task += chunk.start
            self.fail(chunk, results)
        else:
            self.give(chunk, results, time.perf_counter() - began)

    def fail(self, chunk: Chunk, failure: Failure) -> None:
        """Set the failure of a chunk's batch, if it is the first."""
        with self._lock:
            if chunk.batch.failure is None:
                chunk.batch.failure = failure

    def cancel(self, batch: Batch) -> None:
        """Stop work on a batch: what still comes of it is dropped."""
        if batch.failure is None:
            batch.failure = Failure(0, "cancelled")
        for worker in range(1, self.size):
            if any(chunk.batch is batch for chunk in self._out[worker]):
                self._send(np.array([batch.number], dtype=np.float64), worker, CANCEL)

    def close(self, tick: Callable[[], None] | None = None) -> None:
        """Let the workers go: give up what is not done, and take in what still comes of it."""
        self.pending.clear()
        for worker in range(1, self.size):
            self._send(np.empty(0), worker, CLOSE)

        def away() -> bool:
            self.receive()
            return not self._sent and not any(self._out)

        wait_for(away, tick)

    def _assign(self, chunk: Chunk, worker: int) -> None:
        tasks = chunk.tasks
        self._out[worker].append(chunk)
        if isinstance(tasks, np.ndarray) and tasks.dtype == np.float64 and tasks.ndim == 2:
            data = np.empty(2 + tasks.size)
            data[:2] = chunk.batch.number, tasks.shape[1]
            data[2:] = tasks.ravel()
            self._send(data, worker, ROWS)
        else:
            text = pickle.dumps((chunk.batch.number, tasks), protocol=5)
            self._send(np.frombuffer(text, dtype=np.uint8), worker, OBJECTS)

    def _send(self, data: Array, worker: int, tag: int) -> None:
        self.bytes_sent += data.nbytes
        self._sent.append((self.comm.Isend(data.view(np.uint8), worker, tag), data))


class Helper(threading.Thread):
    """Calls ``step`` in a thread of its own, politely, until it says False or ``end``.

    ``step`` returns True where it found something to do, None where not. What it raises is
    ``failure``, and ends the thread; ``pause`` is the longest sleep, in seconds. Meanwhile a pure
    Python function in the main thread gives way sooner than Python's usual 5 ms.
    """

    def __init__(self, step: Callable[[], bool | None], pause: float) -> None:
        super().__init__(daemon=True)
        self._step, self._pause = step, pause
        self._stopping = False
        self._usual = sys.getswitchinterval()
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Start the thread."""
        sys.setswitchinterval(min(self._usual, _SWITCH))
        super().start()

    def run(self) -> None:
        """Work until told to stop."""
        idle = 0
        try:
            while not self._stopping:
                found = self._step()
                if found is False:
                    return
                idle = 0 if found else idle + 1
                if idle > 2:
                    time.sleep(min(self._pause, 2e-5 * idle))
        except BaseException as exc:
            self.failure = exc

    def end(self) -> None:
        """End the thread."""
        self._stopping = True
        self.join()
        sys.setswitchinterval(self._usual)
