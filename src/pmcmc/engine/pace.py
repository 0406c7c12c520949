"""How far a run is, and how long it may take: from what its teams tell and its checks find."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..storage.progress_record import goal_text
from ..text import duration_text

if TYPE_CHECKING:
    from ..prepare.setup import Setup
    from .messages import Progress


class Pace:
    """The steps of all ensembles, taken and to take.

    Attributes
    ----------
    parts : dict of int to Progress
        By the rank of a team's root, its newest message.
    total : int or None
        Steps of all ensembles; None while nobody knows.
    before : int
        Those of them that the file had.
    burnin : int or None
        Steps of burn-in of each ensemble; None: it has not settled.
    goal : int or None
        The kept step of each ensemble at which the draws may be enough.
    open_ended : bool
        Whether production goes on until they are.
    began : float
        When the work did, by ``time.monotonic``.

    """

    def __init__(self) -> None:
        self.parts: dict[int, Progress] = {}
        self.total: int | None = None
        self.before = 0
        self.burnin: int | None = None
        self.goal: int | None = None
        self.open_ended = False
        self.began = time.monotonic()
        self._ensembles = self._thin_by = 1
        self._most = 0  # production steps of all ensembles

    def intend(self, setup: Setup) -> None:
        """Take in what the run will do, which begins now.

        Parameters
        ----------
        setup : Setup
            What rank 0 decided.

        """
        plan, header = setup.plan, setup.header
        self._most, self.open_ended = plan.nsteps * plan.thin_by, plan.open_ended
        self._ensembles, self._thin_by = plan.nensembles, plan.thin_by
        self.before = setup.steps
        self.settle(None if plan.burnin is None and not setup.settled else header.burnin)
        self.began = time.monotonic()

    def settle(self, burnin: int | None) -> None:
        """Take in how long burn-in is; None: it has not settled."""
        self.burnin = burnin
        self._set_total()

    def aim(self, goal: int | None) -> None:
        """Take in the kept step at which the draws may be enough, as a check found."""
        self.goal = goal
        if self.open_ended:
            self._set_total()

    def _set_total(self) -> None:
        """Work out the steps of all ensembles, as far as they are known."""
        self.total, most = None, self._most
        if self.open_ended and self.goal is not None:
            most = min(most, self.goal * self._thin_by * self._ensembles)
        if self.burnin is not None and (self.goal is not None or not self.open_ended):
            self.total = self.burnin * self._ensembles + most

    def done(self) -> tuple[int, float, float | None]:
        """Return the steps of all ensembles, those of a second, and the share accepted."""
        done = sum(p.steps for p in self.parts.values())
        counted = sum(p.counted for p in self.parts.values())
        rate = max(done - self.before, 1) / (time.monotonic() - self.began)
        accepted = sum(p.accepted for p in self.parts.values())
        return done, rate, accepted / counted if counted else None

    def step(self, done: int) -> tuple[int, bool]:
        """Return the step of each ensemble, a kept one after burn-in, and whether it is in that.

        Parameters
        ----------
        done : int
            Steps of all ensembles.

        """
        step = done // self._ensembles
        if self.burnin is None or step < self.burnin:
            return step, True
        return (step - self.burnin) // self._thin_by, False

    def so_far(self, done: int) -> str:
        """Say how far it is."""
        if self.total is not None and not self.open_ended:
            return f"{done}/{self.total} steps ({100 * done / self.total:.0f}%)"
        step, in_burnin = self.step(done)
        return f"{'burn-in, ' if in_burnin else ''}step {step} of each ensemble"

    def seconds_left(self, done: int, rate: float) -> float | None:
        """Return how long it may take; None while nobody knows.

        Parameters
        ----------
        done : int
            Steps of all ensembles.
        rate : float
            Those of a second.

        """
        if self.goal is not None and self.burnin is not None:
            at = self._steps_to_goal(self.goal, self.burnin)
            if self.open_ended or (self.total is not None and done < at < self.total):
                return max(0.0, at - done) / rate
        return None if self.total is None else (self.total - done) / rate

    def left(self, done: int, rate: float) -> str:
        """Say how long it may take; parameters as for ``seconds_left``."""
        seconds = self.seconds_left(done, rate)
        if seconds is None:
            return ""
        takes = duration_text(seconds)
        if self.goal is not None and self.burnin is not None:
            if self.open_ended:
                return goal_text(self.goal, seconds)
            at = self._steps_to_goal(self.goal, self.burnin)
            if self.total is not None and done < at < self.total:
                return f"about {takes} to the target"
        return f"{takes} left"

    def _steps_to_goal(self, goal: int, burnin: int) -> int:
        return (burnin + goal * self._thin_by) * self._ensembles
