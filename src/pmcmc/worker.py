"""A worker's side of a pool: it works on the chunks that the root sends. See `dispatch`."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from mpi4py import MPI

from .comm import wait_for
from .tasks import (
    CANCEL,
    CLOSE,
    FAILED,
    FUNCTION,
    OBJECTS,
    RESULTS,
    ROWS,
    VALUES,
    Array,
    Failure,
    kind_of,
)

Tick = Callable[[], None]


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
            if tag == CLOSE:
                wait_for(lambda: all(r.Test() for r, _ in self._sent), self._tick)
                return
            if tag == FUNCTION:
                assert self._on_function is not None
                self._on_function(data.tobytes())
            elif tag == ROWS:
                numbers = data.view(np.float64)
                self._work(numbers[0], numbers[2:].reshape(-1, int(numbers[1])))
            elif tag == OBJECTS:
                self._work(*pickle.loads(data.data))

    def _receive(self) -> tuple[int, Array]:
        tag = self._status.Get_tag()
        data = np.empty(self._status.Get_count(MPI.BYTE), dtype=np.uint8)
        self.comm.Recv(data, 0, tag)
        if tag == CANCEL:
            self._cancelled = float(data.view(np.float64)[0])
        return tag, data

    def _work(self, number: float, tasks: Any) -> None:
        next_look = time.monotonic() + 0.02

        def stale() -> bool:
            nonlocal next_look
            if time.monotonic() > next_look:
                next_look = time.monotonic() + 0.02
                while self.comm.Iprobe(0, CANCEL, self._status):
                    self._receive()
                if self.comm.Iprobe(0, CLOSE):
                    self._cancelled = number  # the root is leaving: nobody waits for the rest
            return number <= self._cancelled

        began = time.perf_counter()
        results = self._run(tasks, stale)
        seconds = time.perf_counter() - began
        self._sent = [pair for pair in self._sent if not pair[0].Test()]
        self._reply(results, seconds)

    def _reply(self, results: Any, seconds: float) -> None:
        tag, kind = VALUES, kind_of(results)
        if kind is not None:
            data = np.empty(2 + len(results))
            data[:2] = kind, seconds
            data[2:] = results
        elif isinstance(results, Failure):
            results.original = None
            tag, data = FAILED, np.frombuffer(pickle.dumps(results), dtype=np.uint8)
        else:
            try:
                text = pickle.dumps((results, seconds), protocol=5)
                tag = RESULTS
            except Exception as exc:
                what = f"the result cannot be sent to rank 0 ({type(exc).__name__}: {exc})"
                tag, text = FAILED, pickle.dumps(Failure(0, what))
            data = np.frombuffer(text, dtype=np.uint8)
        self._sent.append((self.comm.Isend(data.view(np.uint8), 0, tag), data))
