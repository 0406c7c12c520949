"""The sampling on one rank: as a worker, or as the root of a team with its ensembles."""

from __future__ import annotations

import time
from typing import Any

from mpi4py.MPI import UNDEFINED

from .clock import Clock
from .comm import at_once, wait_for
from .control import Control
from .ensemble import Ensemble
from .errors import ControlFlow
from .gather import Gather
from .lead import Lead
from .moves import Moves
from .problem import Problem
from .rules import CHECKS, Rules
from .setup import Setup
from .signals import Watch
from .team import Team

_MB = 2**20
_PROGRESS_SECONDS = 0.5


class _Stop(ControlFlow):
    """Leave the step in hand: the run stops."""


class Session:
    """The work itself, on one rank.

    Rank 0 calls for a commit (message "commit"); each team root then joins a gather round with
    the blocks of its ensembles, at its next look for messages, and samples on. When every team is
    done the last round is called for, and then "finished" goes to all ranks.

    Where a check is due at some step, a block ends there ("commit" tells the step), and the rows
    after it wait for the decision. "settle" tells that burn-in is over: what was taken as more of
    it is taken again as production.

    A signal on any rank, or the end of the time, goes to all as "stop". Whoever knows of it begins
    no evaluation any more; a team root leaves the step in hand, and counts as done.

    Parameters
    ----------
    problem, setup, moves, control
    watch : Watch
        Notes the signals to this process.
    lead : Lead
        On rank 0.

    """

    def __init__(
        self,
        problem: Problem,
        setup: Setup,
        moves: Moves,
        control: Control,
        watch: Watch,
        lead: Lead | None,
    ) -> None:
        self.problem, self.setup, self.moves = problem, setup, moves
        self.control, self.watch, self.lead = control, watch, lead
        rank, plan = control.rank, setup.plan
        self.clock = Clock()
        self.team = plan.team_of(rank)
        root = rank == self.team.root
        self.crew = Team(
            control.comm.Split(plan.teams.index(self.team), rank),
            problem,
            control,
            self.clock,
            setup.options["schedule"],
            setup.seconds,
            several=len(self.team.ensembles) > 1,
            rows=plan.nwalkers // 2,
        )
        roots = control.comm.Split(0 if root else UNDEFINED, rank)
        self.gather = Gather(roots) if root else None
        if self.gather is not None:
            control.leave = self.gather.leave
        self.ensembles: list[Ensemble] = []
        self._outcome: tuple[str, str] | None = None
        self._states: list[Any] | None = None
        self._burnin = setup.header.burnin if setup.settled else None
        self._limit: int | None = None  # the step that no block goes past
        self._told: int | None = None  # the limit that this rank said it has reached
        self._wanted = False  # a round was called for that this rank has not joined
        self._stopping = False
        self._over = False  # all steps are taken, or the last one was left
        self._full = False
        # draws not yet written, over all ensembles, that call for a commit: where many ranks make
        # many, commits should not come too often, nor rank 0's memory depend on how late they come
        block = min(64 * _MB, max(8 * _MB, 2 * _MB * len(plan.teams)))
        self._share = block * len(self.team.ensembles) // plan.nensembles
        self._last_progress = 0.0

    def work(self) -> tuple[str, str]:
        """Do this rank's part, to the end; return the outcome and the reason for it."""
        if at_once():  # within a long evaluation: the others need not begin another
            self.watch.on_signal = self._pass_on
        try:
            return self._work()
        finally:
            self.watch.on_signal = None

    def _work(self) -> tuple[str, str]:
        if self.gather is None:
            self.crew.serve(self._serve_tick, lambda: self._stopping or self._is_over())
            wait_for(self._is_over, self._listen)
        else:
            self._sample()
            self.gather.comm.Free()
        self.crew.comm.Free()
        assert self._outcome is not None
        return self._outcome

    def _is_over(self) -> bool:
        return self._outcome is not None

    # ---- every rank

    def _listen(self) -> None:
        """Take in messages, and pass on a signal to this process."""
        while (message := self.control.receive()) is not None:
            self._hear(*message)
        if self.watch.caught and not self._stopping:
            self._pass_on(self.watch.caught)

    def _pass_on(self, signal: str) -> None:
        """Tell all of a signal to this process; called from its handler, in the main thread."""
        if not self._stopping:
            self._stopping = True
            self.control.shout("stop", signal)
        if self.lead is not None:
            self.lead.hear(0, "stop", signal)

    def _hear(self, source: int, kind: str, value: Any) -> None:
        if kind == "stop":
            self._stopping = True
        if self.lead is not None:
            self.lead.hear(source, kind, value)
        elif kind == "commit":
            self._wanted, self._limit = True, value
            self.control.rounds += 1
        elif kind == "states":
            self._states, self._limit = value
        elif kind == "settle":
            self._settle(value)
        elif kind == "finished":
            self._outcome = value

    def _serve_tick(self) -> None:
        if self.control.due():
            self._listen()

    # ---- team roots

    def _sample(self) -> None:
        if self.lead is not None:
            self.lead.listen = self._listen
            self._states = self.lead.begin()
            self._wanted, self._limit = True, self.lead.limit
        wait_for(lambda: self._states is not None, self._listen)
        header = self.setup.header
        checked = Rules.of(self.setup.options).given or not self.setup.settled
        checks = CHECKS if checked else frozenset()
        self.ensembles = [
            Ensemble(
                e,
                self.problem,
                self.crew.evaluate,
                seed=header.seed,
                nwalkers=header.nwalkers,
                burnin=header.burnin,
                nsteps=header.steps[e],
                thin_by=header.thin_by,
                moves=self.moves,
                settled=self.setup.settled,
                checks=checks,
                saved=saved,
            )
            for e, saved in zip(self.team.ensembles, self._states or (), strict=True)
        ]
        try:
            self.crew.advance(self.ensembles, self._tick, self._held)
        except _Stop:
            pass  # what was done of the step is done again at a resume, if there is to be one
        self._over = True
        self.crew.close(self._look)
        self._report_progress()
        wait_for(self._is_over, self._look)

    def _tick(self) -> None:
        """Look for messages now and then.

        Raises
        ------
        _Stop
            If the run stops, or has enough draws.

        """
        if not self.control.due():
            return
        self._look()
        self._mind_memory()
        if self._stopping or self._is_over():
            raise _Stop

    def _look(self) -> None:
        """Look for messages, move the gather on; on rank 0 also write and call for commits."""
        self._listen()
        gather, lead = self.gather, self.lead
        assert gather is not None
        begun = all(e.started for e in self.ensembles)
        if self._wanted and not gather.busy and (begun or self._over):
            self._wanted = self._full = False
            limit = self._limit
            gather.join([e.take_block(limit) for e in self.ensembles] if begun else None)
        gathered = gather.poll()
        if lead is None:
            self._report_now_and_then()
            return
        if gathered is not None:
            began = time.monotonic()
            lead.commit(gathered)
            self.clock.wrote(time.monotonic() - began)
            self._limit = lead.limit
            if lead.burnin is not None:
                self._settle(lead.burnin)
        self._report_now_and_then()
        calls = self.control.rounds
        lead.look()
        self._wanted = self._wanted or self.control.rounds > calls
        if lead.stopping and not self._stopping:  # for lack of time
            self._stopping = True
            self.control.shout("stop", lead.stopping)
        self._outcome = lead.outcome

    def _mind_memory(self) -> None:
        """Ask for a commit when this team's share of memory is full; wait if it comes late.

        Rows after a check that is to come cannot be taken. They wait for it, which nobody may do
        who is wanted there.
        """
        row = self.setup.header.row_bytes
        if self._rows() * row < self._share:
            return
        takes = sum(e.rows_to(self._limit) for e in self.ensembles) * row
        if takes >= self._share and not self._full and not self._wanted:
            self._full = True
            if self.lead is not None:
                self.lead.hear(0, "full", None)
            else:
                self.control.send("full")
        behind = self._limit is not None and self._reached() < self._limit
        if self._rows() * row >= 2 * self._share and not behind:
            wait_for(self._room_or_end, self._look)

    def _held(self, ensemble: Ensemble) -> bool:
        """Tell whether an ensemble is to wait for another one here, which is behind a check."""
        limit = self._limit
        if limit is None or ensemble.steps < limit or self._stopping:
            return False
        full = self._rows() * self.setup.header.row_bytes >= self._share
        return full and any(e.steps < limit and not e.done for e in self.ensembles)

    def _room_or_end(self) -> bool:
        few = self._rows() * self.setup.header.row_bytes < self._share
        return few or self._stopping or self._is_over()

    def _settle(self, burnin: int) -> None:
        """End burn-in, once."""
        if self._burnin is None:
            self._burnin = burnin
            for e in self.ensembles:
                e.settle(burnin)

    def _rows(self) -> int:
        return sum(e.rows for e in self.ensembles)

    def _report_now_and_then(self) -> None:
        now, gap = time.monotonic(), _PROGRESS_SECONDS * max(1, len(self.setup.plan.teams) // 64)
        at_limit = self._limit not in (None, self._told) and self._reached() >= self._limit
        if at_limit or now - self._last_progress > gap:
            self._last_progress = now
            self._report_progress()

    def _reached(self) -> int:
        return min((e.steps for e in self.ensembles), default=0)

    def _report_progress(self) -> None:
        parts = [e.accepted for e in self.ensembles]
        complete = all(e.done for e in self.ensembles)
        reached = self._reached()
        if self._limit is not None and reached >= self._limit:
            self._told = self._limit
        progress = (
            sum(e.steps for e in self.ensembles),
            sum(p[0] for p in parts),
            sum(p[1] for p in parts),
        )
        value = (complete or self._over, complete, reached, progress)
        if self.lead is not None:
            self.lead.hear(0, "progress", value)
        elif self._outcome is None:
            self.control.send("progress", value)
