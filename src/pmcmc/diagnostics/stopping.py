"""When to check a run, and when it has enough draws. Pure; for burn-in see `burnin`.

Check i is at step ceil(100 * 1.2**i) of every ensemble, kept or of burn-in, and sees just these
steps: the answer cannot depend on where the ranks went, or on stops between.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .criteria import Shortfall, numbers, shortfalls
from .limits import Limits, looked_at
from .statistics import ChainStatistics

if TYPE_CHECKING:
    from .._types import Tick
    from ..options import RunOptions

FIRST, _UP, _DOWN = 100, 6, 5  # checks: at FIRST, then 6/5 times as many


def checks() -> Iterator[int]:
    """Give the steps at which a run is checked, without end.

    Yields
    ------
    int
        100, 120, 144, 173, ...

    """
    up, down = FIRST, 1
    while True:
        yield -(-up // down)
        up, down = up * _UP, down * _DOWN


CHECKS = frozenset(itertools.islice(checks(), 150))  # to 7e13 steps


def next_check(steps: int) -> int:
    """Return the first check at ``steps`` or later.

    Parameters
    ----------
    steps : int
        Of each ensemble, of burn-in or kept ones.

    Returns
    -------
    int
        The step of that check.

    """
    return next(c for c in checks() if c >= steps)


def room(steps: int, has: int) -> int:
    """Return how many rows a file has to have room for, so that it can take the next check's.

    Parameters
    ----------
    steps : int
        Rows that are taken.
    has : int
        Rows that it has room for.

    Returns
    -------
    int
        As before where that does; else about twice the rows that are taken.

    """
    return has if next_check(steps + 1) <= has else next_check(2 * max(steps, FIRST))


def rooms(steps: int, has: tuple[int, ...], most: tuple[int, ...]) -> tuple[int, ...]:
    """Return `room` for kept rows of each ensemble, which has ``most`` of them in the end.

    Parameters
    ----------
    steps : int
        Kept rows that are taken.
    has, most : tuple of int
        Rows that the file has room for, and the most there will be.

    Returns
    -------
    tuple of int
        Never less than it has.

    """
    wanted = room(steps, min(has))
    return tuple(max(n, min(wanted, end)) for n, end in zip(has, most, strict=True))


@dataclass
class StopRules:
    """The stop rules of a run: --until-ess, --until-rhat and --nsteps auto.

    Every parameter has to reach both, and the draws whatever else `criteria` asks of them.

    Parameters
    ----------
    until_ess, until_rhat : float, optional
        The least ESS and the greatest R-hat; None: no such rule.
    until_enough : bool
        Whether the run goes on until the verdict is "enough": with neither of these, an ESS of 400
        and an R-hat of 1.01. Default: False.
    until_of : str, optional
        What they look at, see `limits.looked_at`. Default: all parameters.

    """

    until_ess: float | None = None
    until_rhat: float | None = None
    until_enough: bool = False
    until_of: str | None = None
    _worst: int = field(default=0, repr=False)

    @classmethod
    def of(cls, options: RunOptions) -> StopRules:
        """Return the stop rules that the options of a run give.

        Parameters
        ----------
        options : RunOptions
            Of them, ``until_ess``, ``until_rhat``, ``until_of`` and ``nsteps``.

        """
        enough = options.nsteps == "auto"
        return cls(options.until_ess, options.until_rhat, enough, options.until_of)

    @property
    def given(self) -> bool:
        """Whether there is a rule."""
        rules = self.until_ess, self.until_rhat
        return self.until_enough or any(rule is not None for rule in rules)

    def lacks(self, statistics: ChainStatistics, tick: Tick = lambda: None) -> Shortfall | None:
        """Return the first thing that the draws lack.

        It ends at the first figure that is short, the cheapest of the parameter that was last
        short coming first: most checks of a run cost one autocorrelation time.

        Parameters
        ----------
        statistics : ChainStatistics
            Of the draws.
        tick : callable
            Called between figures.

        Returns
        -------
        Shortfall or None
            None where the draws are enough.

        """
        derived = statistics.quantities[statistics.ndim + 1 :]
        names = looked_at(self.until_of, statistics.names, derived)
        limits = Limits.of(self.until_ess, self.until_rhat, names)
        order = numbers(statistics, limits)
        order.sort(key=lambda i: i != self._worst)
        short = next(shortfalls(statistics, limits, order, tick), None)
        if short is not None and short.parameter:
            self._worst = statistics.quantities.index(short.parameter)
        return short


@dataclass(frozen=True)
class WorstFigures:
    """The worst figures of all parameters.

    Attributes
    ----------
    ess : float
        Bulk ESS.
    r_hat : float or None
        None with one ensemble.
    tau : float
        In steps.

    """

    ess: float
    r_hat: float | None
    tau: float

    def __str__(self) -> str:
        """Return them in words."""
        agree = "" if self.r_hat is None else f", R-hat {self.r_hat:.3f}"
        return f"ESS {self.ess:.0f}{agree}, tau {self.tau:.3g}"


def worst_figures(statistics: ChainStatistics, tick: Tick = lambda: None) -> WorstFigures | None:
    """Return the worst figures of all parameters.

    Parameters
    ----------
    statistics : ChainStatistics
        Of the draws.
    tick : callable
        Called between figures.

    Returns
    -------
    WorstFigures or None
        None where they can be told for no parameter.

    """
    least, longest, apart = math.inf, 0.0, 0.0
    for i in range(statistics.ndim):
        least = min(least, statistics.ess_bulk(i))
        longest = max(longest, statistics.tau(i))
        tick()
        apart = max(apart, statistics.r_hat(i))
        tick()
    if not (math.isfinite(least) and longest > 0):
        return None
    return WorstFigures(least, apart if apart > 0 else None, longest)
