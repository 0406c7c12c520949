"""Chunks of tasks to ranks and results back: the messages under every pool.

Rows of float64 and float results travel as buffers, everything else as pickles; a function goes
out once. Nobody blocks inside MPI. What to send where is `schedule`'s to choose.
"""

from __future__ import annotations

import pickle
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from .comm import wait_for

Array = npt.NDArray[Any]
Tick = Callable[[], None]

_FUNCTION, _ROWS, _OBJECTS, _CLOSE, _CANCEL = range(1, 6)  # from the root
_VALUES, _RESULTS, _FAILED = range(11, 14)  # to the root
_SWITCH = 2e-4  # seconds
_ARRAY, _FLOATS, _NUMPY_FLOATS = range(3)  # what a buffer of values stands for


@dataclass
class Failure:
    """What a function raised on a rank, in a form that always travels.

    ``task`` is the task's number in its batch, ``text`` the traceback there, ``place`` the rank
    and host, ``exception`` the exception itself, pickled, where it can be.
    """

    task: int
    summary: str
    text: str = ""
    place: str = ""
    exception: bytes | None = None
    original: BaseException | None = None  # on the rank itself

    @classmethod
    def of(cls, exc: BaseException, task: int, place: str) -> Failure:
        """Describe ``exc``, raised by task number ``task``."""
        try:
            data = pickle.dumps(exc)
            pickle.loads(data)
        except Exception:
            data = None
        text = "".join(traceback.format_exception(exc)).rstrip()
        return cls(task, f"{type(exc).__name__}: {exc}", text, place, data, exc)


@dataclass
class Batch:
    """Tasks of one map, an array of rows (n, ndim) or a list, and what came back of them."""

    number: int
    tasks: Any
    results: list[tuple[int, int, Any]] = field(default_factory=list)  # (start, stop, results)
    seconds: list[tuple[int, float]] = field(default_factory=list)  # (tasks, seconds) of chunks
    failure: Failure | None = None
    missing: int = field(init=False)

    def __post_init__(self) -> None:
        """Count the tasks."""
        self.missing = len(self.tasks)

    @property
    def done(self) -> bool:
        """Whether nothing more is awaited."""
        return self.missing <= 0 or self.failure is not None

    def ordered(self) -> list[Any]:
        """Return the chunks' results in the order of the tasks."""
        return [results for _, _, results in sorted(self.results, key=lambda part: part[0])]


@dataclass(frozen=True)
class Chunk:
    """Tasks [start, stop) of a batch."""

    batch: Batch
    start: int
    stop: int

    @property
    def tasks(self) -> Any:
        """The tasks themselves."""
        return self.batch.tasks[self.start : self.stop]


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
            self._send(np.frombuffer(data, dtype=np.uint8), worker, _FUNCTION)

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
        while self.size > 1 and self.comm.Iprobe(MPI.ANY_SOURCE, MPI.ANY_TAG, self._status):
            came = True
            worker, tag = self._status.Get_source(), self._status.Get_tag()
            data = np.empty(self._status.Get_count(MPI.BYTE), dtype=np.uint8)
            self.comm.Recv(data, worker, tag)
            chunk = self._out[worker].popleft()
            if tag == _VALUES:
                kind, seconds = data[:16].view(np.float64)
                values: Any = data[16:].view(np.float64)
                if kind != _ARRAY:
                    values = values.tolist() if kind == _FLOATS else list(values)
                self.give(chunk, values, float(seconds))
            elif tag == _RESULTS:
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
        """Add the results of a chunk to its batch."""
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
                self._send(np.array([batch.number], dtype=np.float64), worker, _CANCEL)

    def close(self) -> None:
        """Let the workers go, once all messages are away."""
        for worker in range(1, self.size):
            self._send(np.empty(0), worker, _CLOSE)

        def away() -> bool:
            self.receive()
            return not self._sent

        wait_for(away)

    def _assign(self, chunk: Chunk, worker: int) -> None:
        tasks = chunk.tasks
        self._out[worker].append(chunk)
        if isinstance(tasks, np.ndarray) and tasks.dtype == np.float64 and tasks.ndim == 2:
            data = np.empty(2 + tasks.size)
            data[:2] = chunk.batch.number, tasks.shape[1]
            data[2:] = tasks.ravel()
            self._send(data, worker, _ROWS)
        else:
            text = pickle.dumps((chunk.batch.number, tasks), protocol=5)
            self._send(np.frombuffer(text, dtype=np.uint8), worker, _OBJECTS)

    def _send(self, data: Array, worker: int, tag: int) -> None:
        self.bytes_sent += data.nbytes
        self._sent.append((self.comm.Isend(data.view(np.uint8), worker, tag), data))


class Worker:
    """A worker's side: works on the chunks that the root sends, until it is let go.

    Parameters
    ----------
    comm : MPI communicator
    run : callable
        ``run(tasks, stale)`` returns the results of a chunk, an array (n,), a list, or a Failure;
        ``stale()`` tells whether the root does not want them any more.
    tick : callable, optional
        Called while waiting.
    on_function : callable, optional
        Takes a pickled function that the root sends.

    """

    def __init__(
        self,
        comm: Any,
        run: Callable[[Any, Callable[[], bool]], Any],
        tick: Tick | None = None,
        on_function: Callable[[bytes], None] | None = None,
    ) -> None:
        self.comm, self._run, self._tick = comm, run, tick
        self._on_function = on_function
        self._status = MPI.Status()
        self._sent: list[tuple[Any, Any]] = []
        self._cancelled = -1.0

    def serve(self) -> None:
        """Work until the root closes."""
        while True:
            wait_for(lambda: self.comm.Iprobe(0, MPI.ANY_TAG, self._status), self._tick)
            tag, data = self._receive()
            if tag == _CLOSE:
                wait_for(lambda: all(r.Test() for r, _ in self._sent), self._tick)
                return
            if tag == _FUNCTION:
                assert self._on_function is not None
                self._on_function(data.tobytes())
            elif tag == _ROWS:
                numbers = data.view(np.float64)
                self._work(numbers[0], numbers[2:].reshape(-1, int(numbers[1])))
            elif tag == _OBJECTS:
                self._work(*pickle.loads(data.data))

    def _receive(self) -> tuple[int, Array]:
        tag = self._status.Get_tag()
        data = np.empty(self._status.Get_count(MPI.BYTE), dtype=np.uint8)
        self.comm.Recv(data, 0, tag)
        if tag == _CANCEL:
            self._cancelled = float(data.view(np.float64)[0])
        return tag, data

    def _work(self, number: float, tasks: Any) -> None:
        next_look = time.monotonic() + 0.02

        def stale() -> bool:
            nonlocal next_look
            if time.monotonic() > next_look:
                next_look = time.monotonic() + 0.02
                while self.comm.Iprobe(0, _CANCEL, self._status):
                    self._receive()
                if self.comm.Iprobe(0, _CLOSE):
                    self._cancelled = number  # the root is leaving: nobody waits for the rest
            return number <= self._cancelled

        began = time.perf_counter()
        results = self._run(tasks, stale)
        seconds = time.perf_counter() - began
        self._sent = [pair for pair in self._sent if not pair[0].Test()]
        self._reply(results, seconds)

    def _reply(self, results: Any, seconds: float) -> None:
        tag, kind = _VALUES, _kind(results)
        if kind is not None:
            data = np.empty(2 + len(results))
            data[:2] = kind, seconds
            data[2:] = results
        elif isinstance(results, Failure):
            results.original = None
            tag, data = _FAILED, np.frombuffer(pickle.dumps(results), dtype=np.uint8)
        else:
            try:
                text = pickle.dumps((results, seconds), protocol=5)
                tag = _RESULTS
            except Exception as exc:
                what = f"the result cannot be sent to rank 0 ({type(exc).__name__}: {exc})"
                tag, text = _FAILED, pickle.dumps(Failure(0, what))
            data = np.frombuffer(text, dtype=np.uint8)
        self._sent.append((self.comm.Isend(data.view(np.uint8), 0, tag), data))


def run_tasks(
    function: Callable[[Any], Any], tasks: Any, stale: Callable[[], bool], place: str
) -> list[Any] | Failure:
    """Return ``function`` of each task, the first failure, or what there is once ``stale()``."""
    results: list[Any] = []
    for task in tasks:
        if stale():
            break
        try:
            results.append(function(task))
        except KeyboardInterrupt:
            raise
        except BaseException as exc:
            return Failure.of(exc, len(results), place)
    return results


class Helper(threading.Thread):
    """Calls ``step`` in a thread of its own, politely, until it says False or ``stop``.

    ``step`` returns True where it found something to do, None where not. What it raises comes up
    in ``stop``, which ends the thread; ``pause`` is the longest sleep, in seconds. Meanwhile a
    pure Python function in the main thread gives way sooner than Python's usual 5 ms.
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

    def stop(self) -> None:
        """End the thread, and raise what it raised."""
        self._stopping = True
        self.join()
        sys.setswitchinterval(self._usual)
        if self.failure is not None:
            raise self.failure


def _kind(results: Any) -> int | None:
    """Return how float results travel as a buffer, None where they cannot."""
    if isinstance(results, np.ndarray):
        return _ARRAY if results.dtype == np.float64 and results.ndim == 1 else None
    if not isinstance(results, list) or not results:
        return None
    kinds = {type(r) for r in results}
    return (
        {float: _FLOATS, np.float64: _NUMPY_FLOATS}.get(kinds.pop()) if len(kinds) == 1 else None
    )


def as_rows(tasks: Iterable[Any]) -> Any:
    """Return tasks as one float64 array (n, ndim) where each is a row of one, else a list."""
    if isinstance(tasks, np.ndarray) and tasks.ndim == 2 and tasks.dtype == np.float64:
        return np.ascontiguousarray(tasks)
    tasks = list(tasks)
    first = tasks[0] if tasks else None
    if isinstance(first, np.ndarray) and first.dtype == np.float64 and first.ndim == 1:
        shape = first.shape
        if all(
            type(t) is np.ndarray and t.dtype == np.float64 and t.shape == shape for t in tasks
        ):
            return np.stack(tasks)
    return tasks
