"""A rank that takes part in the evaluations of another: it calls log_prob when that one does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..model.problem import Problem
from ..mpi.control import ControlChannel
from ..mpi.timing import RankTimer
from ..mpi.waiting import wait_for
from ..pool.together import EvaluationGroup
from .standby import Abandoned, Standby

if TYPE_CHECKING:
    from .._types import Comm, FloatArray, Tick


class Member:
    """One of the ranks that evaluate log_prob together, but not the first.

    Parameters
    ----------
    group : EvaluationGroup
        These ranks.
    problem : Problem
        Every rank has it.
    control : ControlChannel
        Takes a failure on any rank to all.
    clock : RankTimer
        Takes in the time in log_prob.
    standby : Standby
        Stands in for this rank meanwhile.

    Attributes
    ----------
    usual : float
        Seconds of a call here, the last time.
    helped : bool
        False: nobody attends to messages while log_prob is at work.

    """

    helped = False

    def __init__(
        self,
        group: EvaluationGroup,
        problem: Problem,
        control: ControlChannel,
        clock: RankTimer,
        standby: Standby,
    ) -> None:
        self._group, self._problem, self._control = group, problem, control
        self._clock, self._standby = clock, standby
        self.usual = 0.0

    def serve(self, tick: Tick, over: Callable[[], bool]) -> None:
        """Take part until the run is over.

        Parameters
        ----------
        tick : callable
            Called often.
        over : callable
            Tells whether it is.

        """

        def wait_no_more() -> None:
            tick()
            if over():
                raise Abandoned  # the first rank has left the evaluation

        def found() -> bool:
            return over() or self._group.attend(self._take_part)

        self._group.tick = wait_no_more
        while not over():
            try:
                wait_for(found, tick)
            except Abandoned:
                pass  # the run stops

    def _take_part(self, theta: FloatArray, comm: Comm) -> None:
        began = time.perf_counter()
        with self._clock.at("log_prob"):
            self._standby.call(lambda: self._problem.take_part(theta, comm, self._control.where))
        self.usual = time.perf_counter() - began
