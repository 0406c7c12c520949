"""Whether burn-in is over and the draws are enough: what rank 0 decides at a check.

Checks read what was committed, and return a decision. They call nobody: whoever asked carries the
decision out.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..diagnostics.agreement import separation
from ..diagnostics.burnin import BurninCheck, check_burnin, massless_walkers, settled_half
from ..diagnostics.criteria import Shortfall
from ..diagnostics.statistics import ChainStatistics
from ..diagnostics.stopping import (
    CHECKS,
    FIRST,
    StopRules,
    WorstFigures,
    next_check,
    room,
    rooms,
    worst_figures,
)
from ..diagnostics.walkers import divisions
from ..sampler.state import ProductionStart
from ..storage.header import Header
from ..storage.reader import RunReader
from .rescue import redraw

if TYPE_CHECKING:
    from .._types import Tick

_GIVEN_UP = 100  # autocorrelation times for which walkers stayed apart: they will not mix
_SUSPECT = 15  # times: an ensemble whose walkers are trapped looks shorter than that
Counts = npt.NDArray[Any]  # of steps or rows, one for each ensemble


class Action(enum.Enum):
    """What is to be done after a check."""

    CONTINUE = enum.auto()  # sample on, to the next check
    SETTLE = enum.auto()  # burn-in ended with ``burnin`` steps
    FINISH = enum.auto()  # the stop rule is met: the draws end here
    FALL_SHORT = enum.auto()  # the draws end here, and the stop rule is not met


@dataclass(frozen=True)
class Decision:
    """What a check found, and what is to be done.

    Attributes
    ----------
    action : Action
    burnin : int
        Steps of burn-in that the file must have room for; with SETTLE, those that it took.
    steps : tuple of int
        Kept steps of each ensemble that the file must have room for.
    shortfall : str
        What the draws lack, or burn-in does; "" where nothing.
    goal : int or None
        The check, as a kept step of each ensemble, at which the draws may be enough.
    starts : tuple of ProductionStart
        With SETTLE, where ensembles go on whose walkers are redrawn.

    """

    action: Action
    burnin: int
    steps: tuple[int, ...]
    shortfall: str = ""
    goal: int | None = None
    starts: tuple[ProductionStart, ...] = ()


class ConvergenceChecks:
    """The checks of one run: when the next is due, and what it decides.

    Parameters
    ----------
    rules : StopRules
        The run's stop rules.
    settled : bool
        Whether burn-in needs no check.
    most : tuple of int
        Kept steps of each ensemble, at most.
    burnin : int or None
        The length of burn-in that was asked for; None: it ends by itself. Default: None.
    rescue : bool
        Whether walkers that are trapped after burn-in are redrawn. Default: False.
    open_ended : bool
        Whether the run may end before it has the most steps because it will never have enough
        draws: walkers have stayed apart for 100 tau. Default: False.

    """

    def __init__(
        self,
        rules: StopRules,
        settled: bool,
        most: tuple[int, ...],
        burnin: int | None = None,
        rescue: bool = False,
        open_ended: bool = False,
    ) -> None:
        self._rules, self.settled, self._most = rules, settled, most
        self._burnin, self._rescue, self._open_ended = burnin, rescue, open_ended

    @property
    def needed(self) -> bool:
        """Whether the run has anything to be checked, from now on."""
        return self._rules.given or not self.settled

    @property
    def rules_given(self) -> bool:
        """Whether the run has a stop rule."""
        return self._rules.given

    def next_limit(self, header: Header, steps: Counts, rows: Counts) -> int | None:
        """Return the next check's step.

        Parameters
        ----------
        header : Header
            Of the run's file.
        steps, rows : ndarray (ensemble,)
            Committed steps, burn-in included, and kept rows. Where they are all at a check, that
            one has been decided.

        Returns
        -------
        int or None
            A step of every ensemble, burn-in and steps between kept ones included; None if there
            is no check to come.

        """
        if not self.settled:
            return self._burnin or next_check(_undecided(steps))
        if not self._rules.given:
            return None
        kept = next_check(_undecided(rows))
        return header.burnin + kept * header.thin_by if kept <= min(self._most) else None

    def due_at_once(self, steps: Counts) -> bool:
        """Tell whether the end of burn-in is to be decided from what a resumed file holds."""
        most = int(np.max(steps))
        at_check = most == self._burnin if self._burnin else most in CHECKS
        return not self.settled and at_check and bool(np.min(steps) == most)

    def check(self, reader: RunReader, tick: Tick) -> Decision:
        """Decide on what was committed: all ensembles are at the same step.

        Parameters
        ----------
        reader : RunReader
            Of the run's file.
        tick : callable
            Called between figures; may raise to leave the check.

        Returns
        -------
        Decision
            SETTLE or CONTINUE in burn-in that ends by itself, else FINISH or CONTINUE.

        """
        if not self.settled:
            return self._check_burnin(reader, tick)
        return self._check_draws(reader, Action.CONTINUE, tick)

    def final(self, reader: RunReader) -> Decision:
        """Decide how a run ends that has taken all its steps.

        Parameters
        ----------
        reader : RunReader
            Of the run's file.

        Returns
        -------
        Decision
            FINISH or FALL_SHORT.

        """
        if not self._rules.given:
            return Decision(Action.FINISH, reader.header.burnin, reader.header.steps)
        return self._check_draws(reader, Action.FALL_SHORT, lambda: None)

    def _check_draws(self, reader: RunReader, otherwise: Action, tick: Tick) -> Decision:
        header, statistics = reader.header, ChainStatistics(reader)
        lack = self._rules.lacks(statistics, tick)
        if lack is None:
            return Decision(Action.FINISH, header.burnin, header.steps)
        if self._open_ended and _never_enough(statistics, lack):
            return Decision(Action.FALL_SHORT, header.burnin, header.steps, lack.text)
        goal = None
        if lack.share > 0:
            goal = next_check(math.ceil(float(reader.rows.min()) / lack.share))
        steps = rooms(int(reader.rows.min()), header.steps, self._most)
        return Decision(otherwise, header.burnin, steps, lack.text, goal)

    def _check_burnin(self, reader: RunReader, tick: Tick) -> Decision:
        header, steps = reader.header, int(reader.steps.min())
        if self._burnin:
            half = settled_half(reader, steps)
            divided = divisions(half, range(half.nensembles))
            found = BurninCheck(True, massless=massless_walkers(half, divided))
        else:
            found = check_burnin(reader, steps, self._rescue, tick)
        lacking = f"burn-in: {found.lacking}" if found.lacking else ""
        if not found.over:
            return Decision(Action.CONTINUE, room(steps, header.burnin), header.steps, lacking)
        starts = tuple(redraw(reader, e, walkers) for e, walkers in found.massless.items())
        self.settled = True
        return Decision(Action.SETTLE, steps, header.steps, lacking, starts=starts)


def _never_enough(statistics: ChainStatistics, lack: Shortfall) -> bool:
    """Tell whether walkers are trapped for so long, or a mode missed, that no step will help."""
    if lack.criterion == "modes":  # the last to be looked at: all else is as it should be
        return True
    if lack.criterion in ("ess_bulk", "ess_tail", "r_hat"):  # each ensemble is long enough
        found = separation(statistics)
        return found is not None and found.length >= _GIVEN_UP
    suspect = lack.criterion in ("mixing", "rare") or (
        lack.criterion == "length" and not lack.value > _SUSPECT
    )
    divided = divisions(statistics, range(statistics.nensembles)) if suspect else ()
    return bool(divided) and min(division.length for division in divided) >= _GIVEN_UP


def figures(reader: RunReader, tick: Tick) -> WorstFigures | None:
    """Return the worst figures of the draws so far.

    Parameters
    ----------
    reader : RunReader
        Of the run's file.
    tick : callable
        Called between figures.

    Returns
    -------
    WorstFigures or None
        None below 100 kept rows in an ensemble.

    """
    return worst_figures(ChainStatistics(reader), tick) if reader.rows.min() >= FIRST else None


def _undecided(counts: Counts) -> int:
    """Return the first step at which a check may be open."""
    most = int(np.max(counts))
    return most + (int(np.min(counts)) == most)
