"""Rank 0 of a pool: shares a batch out, evaluates too, and takes in what the workers return."""

from __future__ import annotations

from collections.abc import Callable

from ..mpi.waiting import wait_for
from .dispatch import Dispatcher
from .functions import SentFunction
from .polling import PollingThread
from .tasks import Batch, Chunk, run_tasks


class Root:
    """Sees batches through, one within another where a task calls ``map``.

    Parameters
    ----------
    dispatcher : Dispatcher
        Of the pool.
    works : bool
        Whether this rank evaluates too.
    threads : bool
        Whether MPI may be called in a thread beside that.
    place : str
        This rank and host.

    Attributes
    ----------
    under_way : dict of int to SentFunction
        By batch: those that are not done, the outer first.

    """

    def __init__(self, dispatcher: Dispatcher, works: bool, threads: bool, place: str) -> None:
        self._dispatcher, self._works = dispatcher, works
        self._threads, self._place = threads, place
        self._helper: PollingThread | None = None
        self.under_way: dict[int, SentFunction] = {}

    def see_through(self, batch: Batch, sent: SentFunction, tell: Callable[[], None]) -> None:
        """Have a batch evaluated: from this thread, or with a helper that sends and receives.

        Parameters
        ----------
        batch : Batch
            Among those under way.
        sent : SentFunction
            The function that it is for.
        tell : callable
            Called whenever results may have come.

        """
        dispatcher, scheduler = self._dispatcher, sent.scheduler
        choice = scheduler.choose(len(batch.tasks))
        if self._helper is not None:  # of the outer map
            dispatcher.queue(batch, choice.chunk)
            self._work_beside(self._helper, batch, tell)
            return

        def gather_and_decide() -> bool | None:
            came = dispatcher.receive()
            return dispatcher.refill(choice.depth) or came or None

        if not choice.demand or dispatcher.size == 1:
            own = dispatcher.scatter(batch, self._works)
            dispatcher.receive()
            if own is not None:
                self._evaluate(own)
            self._wait(batch, gather_and_decide, tell)
            return
        dispatcher.queue(batch, choice.chunk)
        dispatcher.prepare()
        gather_and_decide()
        if not (self._works and self._threads):
            self._wait(batch, gather_and_decide, tell)
            return
        self._helper = PollingThread(gather_and_decide, scheduler.pause)
        self._helper.start()
        try:
            self._work_beside(self._helper, batch, tell)
        finally:
            self._helper.end()
            self._helper = None

    def _work_beside(self, helper: PollingThread, batch: Batch, tell: Callable[[], None]) -> None:
        """Evaluate while the helper sends and receives."""
        dispatcher = self._dispatcher

        def wanted() -> bool:
            return (
                dispatcher.offers(batch)
                or dispatcher.must_prepare()
                or batch.done
                or helper.failure is not None
            )

        while not batch.done and helper.failure is None:
            dispatcher.prepare()
            own = dispatcher.pop(batch)
            if own is not None:
                self._evaluate(own)
            else:
                wait_for(wanted, tell)
            tell()
        if helper.failure is not None:
            raise helper.failure

    def _wait(
        self, batch: Batch, gather_and_decide: Callable[[], bool | None], tell: Callable[[], None]
    ) -> None:
        while not batch.done:
            wait_for(lambda: bool(gather_and_decide()) or batch.done)
            self._dispatcher.prepare()
            tell()

    def _evaluate(self, chunk: Chunk) -> None:
        function = self.under_way[chunk.batch.number].function
        self._dispatcher.run_here(
            chunk,
            lambda tasks: run_tasks(
                function, tasks, lambda: chunk.batch.failure is not None, self._place
            ),
        )

    def cancel(self, batch: Batch) -> None:
        """Give up a batch that failed, and let the workers go on with what is wanted."""
        self._dispatcher.cancel(batch)
        if self._helper is None:
            self._dispatcher.refill(0)
