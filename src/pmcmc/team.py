"""A team's ranks evaluate log_prob for the ensembles of their root: together, and interleaved.

Where tasks are quick and alike, the root steps one ensemble after another and shares each batch
out in equal blocks. Where they are not, it advances all ensembles at once: each lives in a
greenlet that is suspended while its batch is evaluated, and whoever is free takes the next task
of any of them. emcee's steps and the messages then run in a helper thread, so that log_prob keeps
the main one. The draws cannot tell: an ensemble sees its own results only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import greenlet
import numpy as np
import numpy.typing as npt

from .clock import Clock
from .comm import Patience, any_thread, wait_for
from .control import Announced, Control, PeerFailed
from .dispatch import Dispatcher, Helper
from .errors import ControlFlow
from .problem import Problem
from .returns import Evaluated
from .schedule import Choice, Scheduler
from .tasks import Batch
from .worker import Worker

Array = npt.NDArray[Any]
_QUICK = 0.02  # seconds: a batch that takes less is not interrupted to look for messages


class _GivenUp(ControlFlow):
    """The root does not want the rows in hand any more."""


class Stepper(Protocol):
    """What a team advances: an Ensemble."""

    @property
    def done(self) -> bool:
        """Whether there is nothing more to do."""

    def advance(self) -> None:
        """Start, or take a step."""


class Team:
    """The ranks of one team.

    Parameters
    ----------
    comm : MPI communicator
        Of the team; its first rank, the team root, works too.
    problem : Problem
        Every rank has it: only coordinates and results travel. Probed.
    control : Control
        Takes a failure on any rank to all.
    clock : Clock
        Takes in the time in log_prob.
    schedule : {"auto", "static", "demand"}
        How rows are shared; see `schedule`.
    seconds : float
        One evaluation, as the probe took.
    several : bool
        Whether the team has several ensembles.
    rows : int
        Of a batch, as a rule: half an ensemble.

    """

    def __init__(
        self,
        comm: Any,
        problem: Problem,
        control: Control,
        clock: Clock,
        schedule: str = "auto",
        seconds: float = 0.0,
        several: bool = False,
        rows: int = 16,
    ) -> None:
        self.comm, self.problem, self.control = comm, problem, control
        self.clock = clock
        self.size = comm.Get_size()
        self.dispatcher = Dispatcher(comm)
        if problem.vectorized:
            schedule = "static"  # one block of rows per rank and half-step
        self.scheduler = Scheduler(self.size, schedule, several)
        self.scheduler.observe([(1, seconds)])
        self._rows = rows
        self._threads = any_thread()
        self._quick = False
        self._hub: Any = None
        self._waiting: list[tuple[Callable[[], bool], Any]] = []  # until when, and the greenlet
        self._tick: Callable[[], None] = lambda: None

    # ---- the root

    def advance(
        self,
        ensembles: Sequence[Stepper],
        tick: Callable[[], None],
        held: Callable[[Any], bool] = lambda _: False,
    ) -> None:
        """Advance ensembles until all are done; ``tick`` is called often, between evaluations.

        One that is ``held`` takes no step; there is always another then.

        Raises
        ------
        EvaluationError
            If log_prob fails here. A failure elsewhere comes through ``tick``.

        """
        self._tick = tick
        while not all(e.done for e in ensembles):
            if self.size > 1 and self._choice().demand:
                self._interleave([e for e in ensembles if not e.done], held)
                continue
            for ensemble in ensembles:
                if not (ensemble.done or held(ensemble)):
                    ensemble.advance()
                    tick()

    def evaluate(self, coords: Array) -> Evaluated:
        """Return log_prob and blobs of rows (n, ndim)."""
        if self.size == 1:
            return self._here(coords, self._tick)
        batch = self.dispatcher.batch(np.ascontiguousarray(coords, dtype=np.float64))
        if self._hub is not None:
            self.dispatcher.queue(batch, self._choice().chunk)
            self.suspend(lambda: batch.done)
        else:
            own = self.dispatcher.share(batch)
            self.dispatcher.receive()
            if own is not None:
                self.dispatcher.do(own, lambda rows: self._here(rows, self._tick))

            def complete() -> bool:
                self.dispatcher.receive()
                return batch.done

            wait_for(complete, self._tick)
        self.scheduler.observe(batch.seconds)
        return _assemble(batch)

    def close(self, tick: Callable[[], None] = lambda: None) -> None:
        """Let the workers go; what they still work on is given up after the row in hand."""
        self.dispatcher.close(tick)

    def _choice(self) -> Choice:
        return self.scheduler.choose(self._rows)

    def suspend(self, over: Callable[[], bool]) -> None:
        """Leave the greenlet of an ensemble for the others, until it is ``over``."""
        self._waiting.append((over, greenlet.getcurrent()))
        self._hub.switch()

    def _interleave(self, ensembles: Sequence[Stepper], held: Callable[[Any], bool]) -> None:
        """Advance ensembles at once, until they are done or equal blocks are the better way."""
        driver = _Driver(self, ensembles, held)
        try:
            if not self._threads:  # only dispatch here: MPI must stay in this thread
                wait_for(lambda: driver.step() is False)
                return
            helper = Helper(driver.step, self.scheduler.pause)
            helper.start()
            try:
                self._work_beside(helper)
            finally:
                helper.end()
                if isinstance(helper.failure, Announced | PeerFailed):
                    raise helper.failure  # who failed first is heard; a mere stop hides nothing
            if helper.failure is not None:
                raise helper.failure
        finally:
            self._hub, self._waiting = None, []

    def _work_beside(self, helper: Helper) -> None:
        patience = Patience()
        while helper.is_alive():
            chunk = self.dispatcher.take()
            if chunk is None:
                patience.pause()
                continue
            patience.end()
            self.dispatcher.do(chunk, lambda rows: self._here(rows, None))
            patience = Patience()

    # ---- any rank

    def serve(self, tick: Callable[[], None], stopping: Callable[[], bool]) -> None:
        """Work until the root closes; on the other ranks.

        ``tick`` is called often. Once ``stopping()``, what is asked for is given up after the row
        in hand, the root being about to do so too.
        """

        def run(rows: Array, stale: Callable[[], bool]) -> Any:
            def between() -> None:
                tick()
                if stopping() or stale():
                    raise _GivenUp

            if stopping():
                return []
            try:
                log_prob, blobs = self._here(rows, between)
            except _GivenUp:
                return []
            return log_prob if blobs is None else (log_prob, blobs)

        Worker(self.comm, run, tick).serve()

    def _here(self, rows: Array, tick: Callable[[], None] | None) -> Evaluated:
        """Evaluate on this rank, and look for messages between slow evaluations."""
        began = time.perf_counter()
        evaluated = self.problem.evaluate(rows, None if self._quick else tick, self.control.where)
        spent = time.perf_counter() - began
        self._quick = spent < _QUICK
        self.clock.log_prob += spent
        self.clock.evaluations += len(rows)
        return evaluated


class _Driver:
    """Steps ensembles in greenlets, and sends and receives for them; all in one thread."""

    def __init__(
        self, team: Team, ensembles: Sequence[Stepper], held: Callable[[Any], bool]
    ) -> None:
        self.team, self.ensembles, self.held = team, ensembles, held
        self.running = 0
        self.draining = False
        self.begun = False

    def step(self) -> bool | None:
        """Do what there is to do; False when all is done."""
        team = self.team
        if not self.begun:
            self.begun = True
            team._hub = greenlet.getcurrent()
            for ensemble in self.ensembles:
                self.running += 1
                greenlet.greenlet(self._live).switch(ensemble)
        found = team.dispatcher.receive()
        ready: list[tuple[Callable[[], bool], Any]] = []
        waiting: list[tuple[Callable[[], bool], Any]] = []
        for over, suspended in team._waiting:  # asked once: the root ends others meanwhile
            (ready if over() else waiting).append((over, suspended))
        if ready:
            team._waiting = waiting
            for _, suspended in ready:
                suspended.switch()
            self.draining = self.draining or not team._choice().demand
        found = team.dispatcher.refill(team._choice().depth) or found
        team._tick()
        return (found or bool(ready) or None) if self.running else False

    def _live(self, ensemble: Stepper) -> None:
        """Advance one ensemble to its end, or to the end of a step when the way changes."""
        while not (ensemble.done or self.draining):
            if self.held(ensemble):
                self.team.suspend(lambda: self.draining or not self.held(ensemble))
            else:
                ensemble.advance()
        self.running -= 1


def _assemble(batch: Batch) -> Evaluated:
    """Return the parts of a batch, in order, as one."""
    parts = [p if isinstance(p, tuple) else (p, None) for p in batch.ordered()]
    log_prob = np.concatenate([p[0] for p in parts])
    if parts[0][1] is None:
        return Evaluated(log_prob, None)
    return Evaluated(log_prob, np.concatenate([p[1] for p in parts]))
