"""A worker's side of a pool: it works on the chunks that the root sends. See `dispatch`."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from mpi4py import MPI

from ..mpi.waiting import wait_for
from .tasks import (
    CANCEL,
    CLOSE,
    FAILED,
    FUNCTION,
    KEEP,
    OBJECTS,
    RESULTS,
    ROWS,
    VALUES,
    Failure,
    kind_of,
    read_rows,
)

if TYPE_CHECKING:
    from .._types import AnyArray, Comm, Tick


class Worker:
    """A worker's side: works on the chunks that the root sends, until it is let go.

    Parameters
    ----------
    comm : MPI communicator
    run : callable
        ``run(function, tasks, stale)`` returns the results of a chunk, an array (n,), a list, or a
        Failure; ``stale()`` tells whether the root does not want them any more.
    tick : callable, optional
        Called while waiting.
    load : callable, optional
        Makes a function of the pickle that the root sends; without it functions are None.

    """

    def __init__(
        self,
        comm: Comm,
        run: Callable[[Any, Any, Callable[[], bool]], Any],
        tick: Tick | None = None,
        load: Callable[[bytes], Any] | None = None,
    ) -> None:
        self.comm, self._run, self._tick, self._load = comm, run, tick, load
        self._functions: dict[int, Any] = {0: None}  # numbered as they come
        self._newest = 0
        self._status = MPI.Status()
        self._sent: list[tuple[Any, Any]] = []
        self._cancelled: set[int] = set()  # batches

    def serve(self) -> None:
        """Work until the root closes."""
        while True:
            wait_for(lambda: self.comm.Iprobe(0, MPI.ANY_TAG, self._status), self._tick)
            tag, data = self._receive()
            if tag == CLOSE:
                wait_for(lambda: all(r.Test() for r, _ in self._sent), self._tick)
                return
            if tag == FUNCTION:
                assert self._load is not None
                self._newest += 1
                self._functions[self._newest] = self._load(data.tobytes())
            elif tag == KEEP:
                self._functions = {k: self._functions[k] for k in data.view(np.int64).tolist()}
            elif tag == ROWS:
                self._work(*read_rows(data))
            elif tag == OBJECTS:
                self._work(*pickle.loads(data.data))

    def _receive(self) -> tuple[int, AnyArray]:
        tag = self._status.Get_tag()
        data = np.empty(self._status.Get_count(MPI.BYTE), dtype=np.uint8)
        self.comm.Recv(data, 0, tag)
        if tag == CANCEL:
            self._cancelled.add(int(data.view(np.int64)[0]))
        return tag, data

    def _work(self, batch: int, function: int, tasks: Any) -> None:
        next_look = time.monotonic() + 0.02

        def stale() -> bool:
            nonlocal next_look
            if time.monotonic() > next_look:
                next_look = time.monotonic() + 0.02
                while self.comm.Iprobe(0, CANCEL, self._status):
                    self._receive()
                if self.comm.Iprobe(0, CLOSE):
                    self._cancelled.add(batch)  # the root is leaving: nobody waits for the rest
            return batch in self._cancelled

        began = time.perf_counter()
        results = self._run(self._functions[function], tasks, stale)
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
                text = np.float64(seconds).tobytes() + pickle.dumps(results, protocol=5)
                tag = RESULTS
            except Exception as exc:
                what = f"the result cannot be sent to rank 0 ({type(exc).__name__}: {exc})"
                tag, text = FAILED, pickle.dumps(Failure(0, what))
            data = np.frombuffer(text, dtype=np.uint8)
        self._sent.append((self.comm.Isend(data.view(np.uint8), 0, tag), data))
