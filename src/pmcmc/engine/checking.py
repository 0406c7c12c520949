"""Rank 0 looks at the draws so far: checks and what follows from them, figures for the user."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..diagnostics.stopping import FIRST, StopRules
from ..errors import ControlFlow
from ..prepare.setup import Setup
from ..storage.writer import RunWriter
from .convergence import Action, ConvergenceChecks, Decision, figures
from .messages import Limit, Settle
from .progress import ProgressReporter
from .state import RunState

_FIRST_FIGURES = 20.0  # seconds; and they come again when they have cost 1% of the time since
_SPARE = 100


class _Postponed(ControlFlow):
    """The run stops: leave the check in hand."""


class DrawsChecker:
    """Has the draws checked from the file, and carries out what is decided.

    Parameters
    ----------
    setup : Setup
    store : RunWriter
    state : RunState
        Rank 0's: a check is left when the run stops.
    reporter : ProgressReporter
    tell_roots : callable
        Sends a message to all team roots.

    Attributes
    ----------
    rules : ConvergenceChecks
    limit : int or None
        The step of each ensemble at which the next check is due.
    shortfall : str
        What the draws lack, as the last check found; "" where nothing.
    listen : callable
        Takes in messages, within a long check.

    """

    def __init__(
        self,
        setup: Setup,
        store: RunWriter,
        state: RunState,
        reporter: ProgressReporter,
        tell_roots: Callable[[Any], None],
    ) -> None:
        self._store, self._state, self._reporter = store, state, reporter
        self._tell_roots = tell_roots
        self.rules = ConvergenceChecks(
            StopRules.of(setup.options),
            setup.settled,
            setup.plan.steps,
            setup.plan.burnin,
            setup.options.rescues,
            setup.plan.open_ended,
        )
        self.limit: int | None = None
        self.shortfall = ""
        self.listen: Callable[[], None] = lambda: None
        self._begun = False
        self._next_figures = time.monotonic() + _FIRST_FIGURES

    def begin(self) -> None:
        """Tell the team roots, which know by now where they go on, of the next check."""
        self._begun = True
        self._set_limit()

    def check(self) -> str | None:
        """Have the draws checked, and carry out what is decided.

        Returns
        -------
        {"finished", "short"} or None
            Where the run is to end with the rows it has.

        """
        try:
            decision = self.rules.check(self._store.read(), self._tick)
        except _Postponed:
            return None
        self._take_in(decision)
        if decision.action in (Action.FINISH, Action.FALL_SHORT):
            return "finished" if decision.action is Action.FINISH else "short"
        header = replace(self._store.header, burnin=decision.burnin, steps=decision.steps)
        if header != self._store.header or decision.starts:
            self._store.resize(header, starts=decision.starts)
        if decision.action is Action.SETTLE:
            self._reporter.settle(decision)
            if self._begun:
                self._tell_roots(Settle(decision.burnin, decision.starts))
        if self._begun:
            self._set_limit()
        return None

    def final_status(self) -> str:
        """Return what a run is that has all its steps: "finished" or "short"."""
        decision = self.rules.final(self._store.read())
        self._take_in(decision)
        return "finished" if decision.action is Action.FINISH else "short"

    def _set_limit(self) -> None:
        """Tell the team roots of the next check, if the run has any."""
        store, none = self._store, np.zeros(1, dtype=int)
        steps, rows = (store.steps, store.rows) if store.created else (none, none)
        limit = self.rules.next_limit(store.header, steps, rows)
        if limit != self.limit:
            self.limit = limit
            self._tell_roots(Limit(limit))

    def _take_in(self, decision: Decision) -> None:
        self.shortfall = "" if decision.action is Action.SETTLE else decision.shortfall
        self._reporter.lacking(self.shortfall, decision.goal)

    def show_figures(self) -> None:
        """Work out the figures of the draws so far, if progress is shown and it is time."""
        began = time.monotonic()
        if (
            not self._reporter.needs_figures
            or began < self._next_figures
            or self._store.rows.min() < FIRST
        ):
            return
        try:
            self._reporter.figures = figures(self._store.read(), self._tick)
        except _Postponed:
            return
        now = time.monotonic()
        self._next_figures = now + _SPARE * (now - began)

    def _tick(self) -> None:
        """Take in messages within a long look at the draws.

        Raises
        ------
        _Postponed
            If the run stops.

        """
        self.listen()
        if self._state.stopping:
            raise _Postponed
