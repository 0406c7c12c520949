"""``MPIPool``: a schwimmbad pool over MPI, for emcee, dynesty, zeus or anything that maps."""

from __future__ import annotations

import atexit
import pickle
import sys
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
from schwimmbad.pool import BasePool

from .comm import ROOT_ONLY_DISPATCHES, Patience, abort, any_thread, where, world
from .dispatch import Dispatcher, Helper
from .errors import RankError
from .schedule import Choice, Scheduler
from .tasks import Batch, Chunk, Failure, as_rows, run_tasks
from .worker import Worker

_SAMPLE = 256  # elements of a large array that are looked at to see whether it has changed


class RemoteTraceback(Exception):
    """The traceback on the rank where a task failed: the cause of the exception on rank 0."""

    def __str__(self) -> str:
        """Return the text of the traceback."""
        return f"\n{self.args[0]}"


class MPIPool(BasePool):  # type: ignore[misc]
    """A pool of MPI ranks, in place of ``schwimmbad.MPIPool``.

    Made on every rank. On rank 0 the constructor returns; the other ranks work in it until rank 0
    closes the pool, and their process then ends there. The function goes out once, not with every
    task; rank 0 works too; an exception in a task is raised from ``map`` on rank 0.

    Parameters
    ----------
    comm : MPI communicator, optional
        The ranks (default: all); duplicated, so that its messages meet no others.
    use_dill : bool
        Send functions by dill: lambdas, closures, what is defined in a notebook.
    root_works : bool
        Whether rank 0 evaluates too.
    schedule : {"auto", "static", "demand"}
        Equal blocks, one task after another on demand, or whichever suits what tasks take.

    Attributes
    ----------
    size : int
        Ranks that evaluate.

    """

    def __init__(
        self,
        comm: Any = None,
        use_dill: bool = False,
        *,
        root_works: bool = True,
        schedule: str = "auto",
    ) -> None:
        self.comm = (world() if comm is None else comm).Dup()
        self.master = 0
        self.rank = self.comm.Get_rank()
        ranks = self.comm.Get_size()
        self.workers = set(range(1, ranks))
        self.use_dill = use_dill
        self._place = where(self.comm).strip()
        if self.rank > 0:
            self._hold()
        self._root_works = root_works or ranks == 1
        self._threads = any_thread()
        if ranks > 1 and self._root_works and schedule != "static" and not self._threads:
            warnings.warn(ROOT_ONLY_DISPATCHES, RuntimeWarning, stacklevel=2)
        self.size = ranks if self._root_works else ranks - 1
        self._schedule = schedule
        self._dispatcher = Dispatcher(self.comm)
        self._scheduler = Scheduler(self.size, schedule)
        self._function: Any = None
        self._mark: Any = None
        self._closed = False
        atexit.register(self.close)

    @staticmethod
    def enabled() -> bool:
        """Tell whether there is more than one rank."""
        return bool(world().Get_size() > 1)

    # ---- workers

    def _hold(self) -> NoReturn:
        """Keep a worker until the pool is closed, then end its process: schwimmbad's own way."""
        try:
            self.wait()
        except BaseException:
            abort(f"a worker of the pool failed {self._place}\n{traceback.format_exc()}")
        sys.exit(0)

    def wait(self, callback: Callable[[], Any] | None = None) -> None:
        """Work until rank 0 closes the pool, then call ``callback``; on rank 0 do nothing."""
        if self.is_master():
            return
        function: Any = None
        broken: Failure | None = None

        def load(data: bytes) -> None:
            nonlocal function, broken
            broken = None
            try:
                function = self._pickler().loads(data)
            except Exception as exc:
                broken = Failure.of(exc, 0, self._place)

        def run(tasks: Any, stale: Callable[[], bool]) -> Any:
            return broken or run_tasks(function, tasks, stale, self._place)

        Worker(self.comm, run, on_function=load).serve()
        if callback is not None:
            callback()

    # ---- rank 0

    def map(
        self,
        worker: Callable[[Any], Any],
        tasks: Iterable[Any],
        callback: Callable[[Any], Any] | None = None,
    ) -> list[Any]:
        """Return ``worker`` of each task, in the order of the tasks.

        Parameters
        ----------
        worker : callable
            Takes one task. It is sent out when it is another one than before, or has changed.
        tasks : iterable
            Rows of one float64 array travel as buffers, anything else as a pickle.
        callback : callable, optional
            Called on rank 0 with each result, as they come.

        Raises
        ------
        Exception
            What a task raised; where it was not on rank 0, with the remote traceback as cause and
            a note that names the task and the rank. RankError if it cannot be pickled.

        """
        if self._closed:
            raise RankError("the pool is closed: map was called after close()")
        given = as_rows(tasks)
        if not len(given):
            return []
        self._prepare(worker)
        batch = self._dispatcher.batch(given)
        told = 0

        def tell() -> None:
            nonlocal told
            while callback is not None and told < len(batch.results):
                told += 1
                for result in batch.results[told - 1][2]:
                    callback(result)

        try:
            self._work(batch, worker, self._scheduler.choose(len(given)), tell)
            if batch.failure is not None:
                _raise(batch.failure)
            tell()
        except BaseException:
            self._dispatcher.cancel(batch)
            raise
        self._scheduler.observe(batch.seconds)
        return [result for part in batch.ordered() for result in part]

    def close(self) -> None:
        """Let the workers go; a second time, and on a worker, do nothing."""
        if self.is_worker() or self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._dispatcher.close()

    def _work(
        self,
        batch: Batch,
        function: Callable[[Any], Any],
        choice: Choice,
        tell: Callable[[], None],
    ) -> None:
        """See a batch through: in this thread, or with a helper that sends and receives."""
        dispatcher = self._dispatcher

        def exchange() -> bool | None:
            came = dispatcher.receive()
            return dispatcher.refill(choice.depth) or came or None

        if not choice.demand or dispatcher.size == 1:
            own = dispatcher.share(batch, self._root_works)
            dispatcher.receive()
            if own is not None:
                self._evaluate(own, function)
            self._wait(batch, exchange, tell)
            return
        dispatcher.queue(batch, choice.chunk)
        exchange()
        if not (self._root_works and self._threads):
            self._wait(batch, exchange, tell)
            return
        helper = Helper(exchange, self._scheduler.pause)
        helper.start()
        try:
            patience = Patience()
            while not batch.done and helper.failure is None:
                own = dispatcher.take()
                if own is not None:
                    patience.end()
                    self._evaluate(own, function)
                    patience = Patience()
                else:
                    patience.pause()
                tell()
        finally:
            helper.end()
        if helper.failure is not None:
            raise helper.failure

    def _wait(
        self, batch: Batch, exchange: Callable[[], bool | None], tell: Callable[[], None]
    ) -> None:
        patience = Patience()
        while not batch.done:
            if exchange():
                patience.end()
                tell()
            else:
                patience.pause()

    def _evaluate(self, chunk: Chunk, function: Callable[[Any], Any]) -> None:
        self._dispatcher.do(
            chunk,
            lambda tasks: run_tasks(
                function, tasks, lambda: chunk.batch.failure is not None, self._place
            ),
        )

    def _prepare(self, function: Any) -> None:
        """Send the function out if it is not the one that the workers have."""
        if self._dispatcher.size == 1:
            return
        mark, data = self._look_at(function)
        if mark == self._mark:
            return
        self._dispatcher.send_function(data or self._pickler().dumps(function))
        if function is not self._function:
            self._scheduler = Scheduler(self.size, self._schedule)
        self._mark, self._function = mark, function

    def _look_at(self, function: Any) -> tuple[Any, bytes | None]:
        """Return a mark that changes when the function does, and its pickle if that was made.

        Large arrays are not copied for it: their place, their size and a sample of their elements
        stand for them.
        """
        if self.use_dill:
            data = self._pickler().dumps(function)
            return data, data
        buffers: list[Any] = []
        head = pickle.dumps(function, protocol=5, buffer_callback=buffers.append)
        return (head, tuple(_sample(b) for b in buffers)), None

    def _pickler(self) -> ModuleType:
        if not self.use_dill:
            return pickle
        import dill

        return dill  # type: ignore[no-any-return]


def _sample(buffer: pickle.PickleBuffer) -> tuple[int, int, int]:
    view = np.frombuffer(buffer.raw(), dtype=np.uint8)
    words = view[: len(view) // 8 * 8].view(np.uint64)
    if len(words) < 4 * _SAMPLE:
        return view.ctypes.data, len(view), zlib.crc32(view.data)
    step = len(words) // _SAMPLE
    return view.ctypes.data, len(view), zlib.crc32(words[::step].copy().data)


def _raise(failure: Failure) -> NoReturn:
    """Raise on rank 0 what a task raised elsewhere.

    Only an Exception: a worker's SystemExit must not end rank 0 quietly.
    """
    note = f"task {failure.task} of the map, {failure.place}"
    if failure.original is not None:
        failure.original.add_note(note)
        raise failure.original
    exc = None if failure.exception is None else pickle.loads(failure.exception)
    if not isinstance(exc, Exception):
        raise RankError(f"{failure.summary} ({note})\n{failure.text}")
    exc.add_note(note)
    raise exc from RemoteTraceback(failure.text)
