"""The ensembles of one team as its root has them: how far they may go, what no commit has taken.

Each team has a share of the memory for draws that are not committed yet, and no block goes past
the step of the next check.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..diagnostics.stopping import CHECKS, StopRules
from ..model.problem import Problem
from ..prepare.setup import Setup
from ..sampler.ensemble import Ensemble
from ..sampler.moves import Moves
from ..sampler.optima import Pool
from ..sampler.state import Block, ProductionStart
from .messages import Restart
from .team import TeamEvaluator

_MB = 2**20


class TeamEnsembles:
    """The ensembles that this rank advances; none where it is not the root of a team.

    Parameters
    ----------
    setup : Setup
    numbers : sequence of int
        Of the ensembles.

    Attributes
    ----------
    all : list of Ensemble
        Empty before ``make``.
    limit : int or None
        The step of an ensemble that no block goes past: the next check's.

    """

    def __init__(self, setup: Setup, numbers: Sequence[int]) -> None:
        self._setup, self._numbers = setup, numbers
        self.all: list[Ensemble] = []
        self.limit: int | None = None
        # draws not yet written, over all ensembles, that call for a commit: where many ranks make
        # many, commits should not come too often, nor rank 0's memory depend on how late they come
        block = min(64 * _MB, max(8 * _MB, 2 * _MB * len(setup.plan.teams)))
        self._share = block * len(numbers) // setup.plan.nensembles

    def make(
        self, problem: Problem, evaluator: TeamEvaluator, moves: Moves, restart: Restart
    ) -> None:
        """Make the ensembles, as they begin or go on.

        Parameters
        ----------
        problem : Problem
            Probed.
        evaluator : TeamEvaluator
            Of the team.
        moves : list of (emcee move, weight)
            As chosen for the run.
        restart : Restart
            What rank 0 says of their states.

        """
        setup, header = self._setup, self._setup.header
        settled = restart.burnin is not None
        checks: frozenset[int] = frozenset()
        if StopRules.of(setup.options).given or not settled:
            checks = CHECKS
        if not settled and setup.plan.burnin is not None:
            checks |= {setup.plan.burnin}
        self.all = [
            Ensemble(
                e,
                problem,
                evaluator.evaluate,
                seed=header.seed,
                nwalkers=header.nwalkers,
                burnin=restart.burnin or 0,
                nsteps=setup.plan.steps[e],
                thin_by=header.thin_by,
                moves=moves,
                settled=settled,
                checks=checks,
                saved=saved,
                earlier=setup.earlier,
                in_main=evaluator.in_main,
            )
            for e, saved in zip(self._numbers, restart.states, strict=True)
        ]

    def settle(self, burnin: int, starts: Sequence[ProductionStart]) -> None:
        """End burn-in in all of them.

        Parameters
        ----------
        burnin : int
            The step that was its last.
        starts : sequence of ProductionStart
            Where production begins, of ensembles whose walkers were redrawn.

        """
        moved = {start.ensemble: start for start in starts}
        for ensemble in self.all:
            ensemble.settle(burnin, moved.get(ensemble.index))

    def begin(self, pool: Pool | None) -> None:
        """Let those that wait for the optima of all begin; None: let them search on."""
        for ensemble in self.all:
            if ensemble.awaits_pool:
                ensemble.begin(pool)

    @property
    def started(self) -> bool:
        """Whether all have found their start."""
        return all(e.started for e in self.all)

    @property
    def reached(self) -> int:
        """The step that all have taken."""
        return min((e.steps for e in self.all), default=0)

    @property
    def at_limit(self) -> bool:
        """Whether all have reached the limit, if there is one."""
        return self.limit is not None and self.reached >= self.limit

    def take_blocks(self) -> list[Block]:
        """Return the rows of each since its last block, as far as a commit may take them."""
        return [e.take_block(self.limit) for e in self.all if e.started]

    # ---- memory

    @property
    def stored(self) -> int:
        """The bytes of the draws that no commit has taken."""
        return sum(e.rows for e in self.all) * self._setup.header.row_bytes

    @property
    def full(self) -> bool:
        """Whether they fill the team's share of memory."""
        return self.stored >= self._share

    @property
    def overfull(self) -> bool:
        """Whether they fill twice the share."""
        return self.stored >= 2 * self._share

    @property
    def want_commit(self) -> bool:
        """Whether what a commit could take fills the share."""
        if not self.full:
            return False
        takes = sum(e.rows_to(self.limit) for e in self.all)
        return takes * self._setup.header.row_bytes >= self._share

    @property
    def may_go_on(self) -> bool:
        """Whether there is room, or a check is to come for which all are wanted."""
        behind = self.limit is not None and self.reached < self.limit
        return behind or not self.full

    def holds(self, ensemble: Ensemble) -> bool:
        """Tell whether an ensemble is to wait for another one here, which is behind a check."""
        limit = self.limit
        if limit is None or ensemble.steps < limit:
            return False
        return self.full and any(e.steps < limit and not e.done for e in self.all)
