"""``MPIPool``: a schwimmbad pool over MPI, for emcee, dynesty, zeus or anything that maps."""

from __future__ import annotations

import atexit
import pickle
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from schwimmbad.pool import BasePool

from .. import forks
from ..errors import RankError
from ..mpi.guard import ExitGuard
from ..mpi.held import give_back, hold, refuse_held
from ..mpi.startup import ROOT_ONLY_DISPATCHES, abort, any_thread, where, world
from ..tracebacks import warn
from .dispatch import Dispatcher
from .functions import FunctionTable, SentFunction
from .root import Root
from .schedule import Scheduler
from .tasks import Batch, Failure, as_rows, run_tasks
from .worker import Worker

if TYPE_CHECKING:
    from .._types import Comm


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
        Send functions by dill: lambdas, closures, what is defined in a notebook. Default: False.
    root_works : bool
        Whether rank 0 evaluates too; alone it does. Default: True.
    schedule : {"auto", "static", "demand"}
        Equal blocks ("static"), one task after another on demand, or whichever suits what tasks
        take. Default: "auto".

    Attributes
    ----------
    size : int
        Ranks that evaluate.
    rank : int
        This rank in ``comm``.

    Raises
    ------
    RankError
        If an earlier pool has or had some of the ranks as workers.

    """

    def __init__(
        self,
        comm: Comm | None = None,
        use_dill: bool = False,
        *,
        root_works: bool = True,
        schedule: str = "auto",
    ) -> None:
        comm = world() if comm is None else comm
        refuse_held(comm, "this pool")
        self.comm = comm.Dup()
        self.master = 0
        self.rank = self.comm.Get_rank()
        ranks = self.comm.Get_size()
        self.workers = set(range(1, ranks))
        self.use_dill = use_dill
        self._place = where(self.comm).strip()
        self._guard = ExitGuard(f" {self._place}")
        self._guard.__enter__()
        self._closed = False
        if self.rank > 0:
            self._hold()
            self._closed = True  # the process of an interpreter goes on
            return
        hold(self.comm)
        works = root_works or ranks == 1
        self._threads = any_thread()
        if ranks > 1 and works and schedule != "static" and not self._threads:
            warn(ROOT_ONLY_DISPATCHES)
        self.size = ranks if works else ranks - 1
        self._schedule = schedule
        self._dispatcher = Dispatcher(self.comm)
        self._functions = FunctionTable(
            self._dispatcher, self._pickler(), lambda: Scheduler(self.size, self._schedule)
        )
        self._root = Root(self._dispatcher, works, self._threads, self._place)
        self._one_thread = threading.RLock()
        atexit.register(self.close)

    @staticmethod
    def enabled() -> bool:
        """Tell whether there is more than one rank."""
        return bool(world().Get_size() > 1)

    # ---- workers

    def _hold(self) -> None:
        """Keep a worker until the pool is closed, then end its process: schwimmbad's own way.

        An interpreter, or an engine of a notebook, is not ended: it comes back from here.
        """
        try:
            self.wait()
        except BaseException:
            abort(f"a worker of the pool failed {self._place}\n{traceback.format_exc()}")
        finally:
            self._guard.__exit__(None, None, None)
        if not _is_interactive():
            sys.exit(0)

    def wait(self, callback: Callable[[], Any] | None = None) -> None:
        """Work until rank 0 closes the pool; on rank 0 do nothing. The constructor calls it.

        Parameters
        ----------
        callback : callable, optional
            Called without arguments once the pool is closed.

        """
        if self.is_master():
            return

        def load(data: bytes) -> Any:
            try:
                return self._pickler().loads(data)
            except BaseException as exc:
                return Failure.of(exc, 0, self._place)

        def run(function: Any, tasks: Any, stale: Callable[[], bool]) -> Any:
            if isinstance(function, Failure):
                return replace(function)
            return run_tasks(function, tasks, stale, self._place)

        Worker(self.comm, run, load=load).serve()
        self._guard.__exit__(None, None, None)
        if callback is not None:
            callback()

    # ---- rank 0

    def map(
        self,
        worker: Callable[[Any], Any],
        tasks: Iterable[Any],
        callback: Callable[[Any], Any] | None = None,
    ) -> list[Any]:
        """Return ``worker`` of each task.

        Parameters
        ----------
        worker : callable
            Takes one task. It is sent out when it is another one than before, or has changed.
        tasks : iterable
            Rows of one float64 array travel as buffers, anything else as a pickle.
        callback : callable, optional
            Called on rank 0 with each result, as they come.

        Returns
        -------
        list
            The results, in the order of the tasks.

        Raises
        ------
        Exception
            What a task raised; where it was not on rank 0, with the remote traceback as cause and
            a note that names the task and the rank.
        RankError
            If that exception, or a result, cannot be pickled; if the pool is closed; or if another
            thread than the main one calls it where MPI does not allow that.

        Notes
        -----
        A callback, or a task on rank 0, may call ``map``: workers do the inner map's tasks next.
        A map that another thread calls meanwhile waits until this one has ended.

        """
        if self.rank > 0:
            raise RankError(
                f"this is a worker of a pool that has ended ({self._place}): in an interpreter or "
                "a notebook's engine, write `if pool.is_master():` before what uses the pool"
            )
        if self._closed:
            raise RankError("the pool is closed: map was called after close()")
        if not self._threads and threading.current_thread() is not threading.main_thread():
            raise RankError(
                "map was called from another thread than the main one: MPI has to be initialised "
                "with MPI_THREAD_SERIALIZED or more for that (mpi4py does so where MPI "
                "can)"
            )
        given = as_rows(tasks)
        if not len(given):
            return []
        with self._one_thread:
            inner = bool(self._root.under_way)
            sent = self._functions.send(worker, self._root.under_way.values())
            batch = self._dispatcher.batch(given, sent.number, urgent=inner)
            self._root.under_way[batch.number] = sent
            try:
                began = time.perf_counter()
                self._map(batch, sent, callback)
                if callback is None and not inner:
                    took = time.perf_counter() - began
                    sent.compare(took, sum(s for _, s in batch.seconds), self.size)
            finally:
                del self._root.under_way[batch.number]
        return [result for part in batch.ordered() for result in part]

    def _map(
        self, batch: Batch, sent: SentFunction, callback: Callable[[Any], Any] | None
    ) -> None:
        told = 0

        def tell() -> None:
            nonlocal told
            while callback is not None and told < len(batch.results):
                told += 1
                for result in batch.part(told - 1):
                    callback(result)

        try:
            self._root.see_through(batch, sent, tell)
            if batch.failure is not None:
                _raise(batch.failure)
            tell()
        except BaseException:
            self._root.cancel(batch)
            raise
        sent.scheduler.observe(batch.seconds)

    def close(self) -> None:
        """Let the workers go; a second time, and on a worker, do nothing."""
        if self.is_worker() or self._closed or forks.in_child():
            return
        self._closed = True
        atexit.unregister(self.close)
        self._dispatcher.close()
        self._guard.__exit__(None, None, None)
        if _is_interactive():
            give_back(self.comm)

    def _pickler(self) -> ModuleType:
        if not self.use_dill:
            return pickle
        import dill

        return dill  # type: ignore[no-any-return]


def _raise(failure: Failure) -> NoReturn:
    """Raise on rank 0 what a task raised elsewhere.

    Only an Exception: SystemExit in a task must not end rank 0 quietly.
    """
    note = f"task {failure.task} of the map, {failure.place}"
    if isinstance(failure.original, Exception):
        failure.original.add_note(note)
        raise failure.original
    exc = None if failure.exception is None else pickle.loads(failure.exception)
    if not isinstance(exc, Exception):
        raise RankError(f"{failure.summary} ({note})\n{failure.text}")
    exc.add_note(note)
    raise exc from RemoteTraceback(failure.text)


def _is_interactive() -> bool:
    """Tell whether this process outlives the code that it runs: an interpreter, an engine."""
    ipython = sys.modules.get("IPython")
    return hasattr(sys, "ps1") or (ipython is not None and ipython.get_ipython() is not None)
