"""What a team root tells rank 0 of its team: how far it is, and which rank is slowest."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..mpi.control import ControlChannel
from .messages import Progress
from .state import RunState
from .team import TeamEvaluator
from .team_ensembles import TeamEnsembles

_PROGRESS_SECONDS = 0.5


class TeamProgress:
    """Tells rank 0 of one team now and then, and when it has reached a limit.

    Parameters
    ----------
    control : ControlChannel
    state : RunState
        Of this rank: nothing is told once all is over.
    ensembles : TeamEnsembles
    evaluator : TeamEvaluator
    ranks : sequence of int
        Of the team.
    teams : int
        Of the run: where there are many, each tells less often.

    """

    def __init__(
        self,
        control: ControlChannel,
        state: RunState,
        ensembles: TeamEnsembles,
        evaluator: TeamEvaluator,
        ranks: Sequence[int],
        teams: int,
    ) -> None:
        self._control, self._state, self._ensembles = control, state, ensembles
        self._evaluator, self._ranks = evaluator, ranks
        self._gap = _PROGRESS_SECONDS * max(1, teams // 64)
        self._limit: int | None = None  # that this rank said it has reached
        self._last = 0.0
        self._last_told = ""

    def tell_now_and_then(self, left: bool) -> None:
        """Tell of the team if it is time, or it has just reached a limit; as ``tell``."""
        now, ensembles = time.monotonic(), self._ensembles
        if (ensembles.at_limit and ensembles.limit != self._limit) or now - self._last > self._gap:
            self._last = now
            self.tell(left)

    def tell(self, left: bool) -> None:
        """Tell of the team.

        Parameters
        ----------
        left : bool
            Whether it takes no more steps.

        """
        if self._state.over:
            return
        ensembles = self._ensembles
        accepted = [e.accepted for e in ensembles.all]
        complete = all(e.done for e in ensembles.all)
        if ensembles.at_limit:
            self._limit = ensembles.limit
        behind, slow, usual = self._evaluator.slowest()
        progress = Progress(
            done=complete or left,
            complete=complete,
            reached=ensembles.reached,
            steps=sum(e.steps for e in ensembles.all),
            accepted=sum(a for a, _ in accepted),
            counted=sum(n for _, n in accepted),
            slowest=self._ranks[behind],
            slow=slow,
            usual=usual,
        )
        if left and repr(progress) == self._last_told:
            return  # a rank 0 that is lost takes nothing in, and MPI's room for messages is small
        self._last_told = repr(progress)
        self._control.send(progress)
