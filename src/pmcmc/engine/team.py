"""A team's ranks evaluate log_prob for the ensembles of their root: together, and interleaved.

Where tasks are quick and alike, the root steps one ensemble after another and shares each batch
out in equal blocks. Where they are not, it advances all ensembles at once: each lives in a
greenlet that is suspended while its batch is evaluated, and whoever is free takes the next task
of any of them. emcee's steps and the messages then run in a helper thread, so that log_prob, and
what else is the model's, keeps the main one. The draws cannot tell: an ensemble sees its own
results only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import ControlFlow
from ..model.outputs import Evaluation, join
from ..model.problem import Problem
from ..mpi.control import ControlChannel, MustLeave, PeerFailed
from ..mpi.timing import RankTimer
from ..mpi.waiting import wait_for
from ..pool.dispatch import Dispatcher
from ..pool.polling import PollingThread
from ..pool.schedule import Choice, Scheduler
from ..pool.worker import Worker
from .interleave import Driver, Stepper
from .standby import Abandoned, Standby

if TYPE_CHECKING:
    from .._types import AnyArray, Comm, Tick

T = TypeVar("T")
_QUICK = 0.02  # seconds: a batch that takes less is not interrupted to look for messages


class _GivenUp(ControlFlow):
    """The root does not want the rows in hand any more."""


class TeamEvaluator:
    """The ranks of one team.

    Parameters
    ----------
    comm : MPI communicator
        Of the team; its first rank, the team root, works too.
    problem : Problem
        Every rank has it: only coordinates and results travel. Probed.
    control : ControlChannel
        Takes a failure on any rank to all.
    clock : RankTimer
        Takes in the time in log_prob.
    standby : Standby
        Stands in for this rank meanwhile.
    scheduler : Scheduler
        Chooses how rows are shared.
    seconds : float
        One evaluation, as the probe took.
    rows : int
        Of a batch, as a rule: half an ensemble.
    threads : bool
        Whether MPI may be called in a thread beside log_prob.

    """

    def __init__(
        self,
        comm: Comm,
        problem: Problem,
        control: ControlChannel,
        clock: RankTimer,
        standby: Standby,
        scheduler: Scheduler,
        seconds: float = 0.0,
        rows: int = 16,
        threads: bool = True,
    ) -> None:
        self.comm, self.problem, self.control = comm, problem, control
        self.clock, self._standby = clock, standby
        self.usual = seconds  # of one call of log_prob here
        self.size = comm.Get_size()
        self.dispatcher = Dispatcher(comm)
        self.scheduler = scheduler
        scheduler.observe([(1, seconds)])
        self._rows = rows
        self._threads = threads
        self._quick = False
        self._driver: Driver | None = None
        self._helper: PollingThread | None = None
        self._tick: Tick = lambda: None

    @property
    def helped(self) -> bool:
        """Whether a helper thread attends to messages while log_prob is at work."""
        return self._helper is not None and self._helper.is_alive()

    # ---- the root

    def slowest(self) -> tuple[int, float, float]:
        """Return the rank on which an evaluation takes longest, of late, and how long.

        Returns
        -------
        rank : int
            Of the team.
        slow, usual : float
            Seconds there, and on the median rank; NaN before the first.

        """
        pace = self.dispatcher.pace.tolist() if self.size > 1 else [self.usual]
        known = sorted((seconds, rank) for rank, seconds in enumerate(pace) if seconds == seconds)
        if not known:
            return 0, math.nan, math.nan
        slow, rank = known[-1]
        return rank, slow, known[(len(known) - 1) // 2][0]

    def advance(
        self,
        ensembles: Sequence[Stepper],
        tick: Tick,
        held: Callable[[Any], bool] = lambda _: False,
    ) -> None:
        """Advance ensembles until all are done.

        Parameters
        ----------
        ensembles : sequence of Stepper
            Of this team.
        tick : callable
            Called often, between evaluations; what it raises ends the work.
        held : callable
            Tells of an ensemble whether it is to take no step now.

        Raises
        ------
        EvaluationError, ModelError
            If log_prob or a start fails here. A failure elsewhere comes through ``tick``.

        """
        self._tick = tick
        while not all(e.done for e in ensembles):
            if self.size > 1 and self._choice().demand:
                self._interleave([e for e in ensembles if not e.done], held)
                continue
            moved = False
            for ensemble in ensembles:
                if not (ensemble.done or held(ensemble)):
                    ensemble.advance()
                    moved = True
                    tick()
            if not moved:
                wait_for(lambda: any(not (e.done or held(e)) for e in ensembles), tick)

    def evaluate(self, coords: AnyArray) -> Evaluation:
        """Return log_prob and blobs of rows, evaluated by all ranks of the team.

        Parameters
        ----------
        coords : ndarray (n, ndim)
            Rows of coordinates.

        Returns
        -------
        Evaluation

        Raises
        ------
        EvaluationError
            If log_prob fails within this call.

        """
        if self.size == 1:
            return self._here(coords, self._tick)
        driver = self._driver
        if driver is not None and driver.is_errand():
            return driver.ask(coords)
        batch = self.dispatcher.batch(np.ascontiguousarray(coords, dtype=np.float64))
        if driver is not None:
            self.dispatcher.queue(batch, self._choice().chunk)
            driver.suspend(lambda: batch.done)
        else:
            own = self.dispatcher.scatter(batch)
            self.dispatcher.receive()
            if own is not None:
                self.dispatcher.run_here(own, lambda rows: self._here(rows, self._tick))

            def complete() -> bool:
                self.dispatcher.receive()
                return batch.done

            wait_for(complete, self._tick)
        self.scheduler.observe(batch.seconds)
        return join(batch.ordered())

    def in_main(self, run: Callable[[], T]) -> T:
        """Call the model's code, which must not run beside log_prob, in the main thread.

        Parameters
        ----------
        run : callable
            Takes no arguments, and may ``evaluate``.

        Returns
        -------
        object
            What ``run()`` returns; what it raises is raised here.

        """
        return run() if self._driver is None else self._driver.in_main(run)

    def close(self, tick: Tick = lambda: None) -> None:
        """Let the workers go; what they still work on is given up after the row in hand.

        Parameters
        ----------
        tick : callable
            Called while waiting for them.

        """
        self.dispatcher.close(tick)

    def _choice(self) -> Choice:
        return self.scheduler.choose(self._rows)

    def _interleave(self, ensembles: Sequence[Stepper], held: Callable[[Any], bool]) -> None:
        """Advance ensembles at once, until they are done or equal blocks are the better way."""
        self._driver = driver = Driver(
            self.dispatcher,
            self._choice,
            self.evaluate,
            self._tick,
            ensembles,
            held,
            beside=self._threads,
        )
        try:
            if self._threads:
                self._work_beside(driver)
            else:
                self._only_dispatch(driver)
        finally:
            driver.abandon()
            self._driver = None

    def _only_dispatch(self, driver: Driver) -> None:
        """Let the workers evaluate: MPI must stay in this thread."""
        found: bool | None = True

        def find() -> bool:
            nonlocal found
            found = driver.step()
            return found is not None

        try:
            while found is not False:
                wait_for(find)
        finally:
            driver.close()

    def _work_beside(self, driver: Driver) -> None:
        """Evaluate, and run the model's other code, while a helper thread drives."""
        helper = self._helper = PollingThread(driver.step, self.scheduler.pause, driver.close)

        def wanted() -> bool:
            return bool(driver.turns or self.dispatcher.pending) or not helper.is_alive()

        helper.start()
        try:
            while helper.is_alive():
                if driver.take_turn():
                    continue
                chunk = self.dispatcher.pop()
                if chunk is None:
                    wait_for(wanted)
                else:
                    self.dispatcher.run_here(chunk, lambda rows: self._here(rows, None))
        finally:
            helper.end()
            if isinstance(helper.failure, MustLeave | PeerFailed):
                raise helper.failure  # who failed first is heard; a mere stop hides nothing
        if helper.failure is not None:
            raise helper.failure

    # ---- any rank

    def raise_failure(self) -> None:
        """Raise what has failed elsewhere, while log_prob waits for other ranks of its group."""
        self._standby.raise_failure()
        if self._helper is not None and isinstance(self._helper.failure, MustLeave | PeerFailed):
            raise self._helper.failure

    def serve(self, tick: Tick, stopping: Callable[[], bool]) -> None:
        """Work until the root closes; on the other ranks.

        Parameters
        ----------
        tick : callable
            Called often.
        stopping : callable
            Tells whether the run stops: then what is asked for is given up after the row in hand,
            the root being about to do so too.

        """

        def run(_: None, rows: AnyArray, stale: Callable[[], bool]) -> Any:
            def between() -> None:
                tick()
                if stopping() or stale():
                    raise _GivenUp

            if stopping():
                return []
            try:
                log_prob, blobs, rejects = self._here(rows, between)
            except (_GivenUp, Abandoned):
                return []
            if rejects:
                return log_prob, blobs, rejects
            return log_prob if blobs is None else (log_prob, blobs)

        Worker(self.comm, run, tick).serve()

    def _here(self, rows: AnyArray, tick: Tick | None) -> Evaluation:
        """Evaluate on this rank, and look for messages between slow evaluations."""
        began = time.perf_counter()
        between: Tick | None = None
        if tick is not None and not self._quick:
            look = tick

            def between() -> None:
                self._standby.between(look)

        with self.clock.at("log_prob"):
            evaluated = self._standby.call(
                lambda: self.problem.evaluate(rows, between, self.control.where)
            )
        took = time.perf_counter() - began
        self._quick = took < _QUICK
        self.usual = took / (1 if self.problem.vectorized else len(rows))
        self.clock.count(len(rows), took)
        return evaluated
