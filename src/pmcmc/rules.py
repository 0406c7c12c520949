"""When to check a run, when it has enough draws, and when its burn-in is over. Pure.

Check i is at step ceil(100 * 1.2**i) of every ensemble, kept or of burn-in, and sees just these
steps: the answer cannot depend on where the ranks went, or on stops between.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .summary import straggling_shift
from .survey import Survey
from .verdict import LONG, SHIFT, limits

FIRST, _UP, _DOWN = 100, 6, 5  # checks: at FIRST, then 6/5 times as many
MOST_BURNIN = 34183  # check 32: burn-in that has not settled by then is ended
_SETTLED = 20  # autocorrelation times in the second half of burn-in; of a random walk of any
# length, which never settles, the estimate finds 8 to 13
_DRIFT = 4.0  # standard errors between its quarters


def checks() -> Iterator[int]:
    """Give the steps at which a run is checked."""
    up, down = FIRST, 1
    while True:
        yield -(-up // down)
        up, down = up * _UP, down * _DOWN


CHECKS = frozenset(itertools.islice(checks(), 150))  # to 7e13 steps


def next_check(steps: int) -> int:
    """Return the first check at ``steps`` or later."""
    return next(c for c in checks() if c >= steps)


@dataclass(frozen=True)
class Lack:
    """What draws lack, in words; ``share``: they are this part of what would do (NaN: unknown)."""

    text: str
    share: float = math.nan


@dataclass
class Rules:
    """The stop rules of a run: --until-ess and --until-rhat.

    Every parameter has to reach both; besides, ensembles must be 50 tau long, with no stragglers
    that matter and no walker that never moved, and agree (R-hat 1.05, where none is given).
    """

    until_ess: float | None = None
    until_rhat: float | None = None
    _worst: int = field(default=0, repr=False)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Rules:
        """Return those of the options."""
        return cls(options.get("until_ess"), options.get("until_rhat"))

    @property
    def given(self) -> bool:
        """Whether there is a rule."""
        return self.until_ess is not None or self.until_rhat is not None

    def lacks(self, survey: Survey, tick: Callable[[], None] = lambda: None) -> Lack | None:
        """Return what the draws lack, None if nothing; ``tick`` is called between figures.

        It ends at the first figure that is short, the cheapest of the parameter that was last
        short coming first: most checks of a run cost one autocorrelation time.
        """
        names = survey.header.names
        least, most = limits(self.until_ess, self.until_rhat)
        first = min(self._worst, survey.ndim - 1)
        order = [first, *(i for i in range(survey.ndim) if i != first)]
        steps = min(survey.rows)
        if survey.stuck.any():
            return Lack("walkers that never moved")
        for figure in (self._length, self._bulk, self._tail, self._agreement):
            for i in order:
                lack = figure(survey, i, steps, least, most)
                if lack is not None:
                    self._worst = i
                    return Lack(f"{lack.text} for {names[i]}", lack.share)
                tick()
        shift, name = straggling_shift(survey)
        return None if shift <= SHIFT else Lack(f"stragglers that move the mean of {name}")

    def _length(self, survey: Survey, i: int, steps: int, *_: float) -> Lack | None:
        time = survey.time(i)
        if math.isnan(time):
            return Lack("no tau")
        share = steps / (LONG * time)
        return None if share >= 1 else Lack(f"{steps / time:.0f} of {LONG} tau", share)

    def _bulk(self, survey: Survey, i: int, _: int, least: float, most: float) -> Lack | None:
        ess = survey.ess_bulk(i)
        return None if ess >= least else Lack(f"ESS {ess:.0f} of {least:g}", ess / least)

    def _tail(self, survey: Survey, i: int, _: int, least: float, most: float) -> Lack | None:
        if not least:
            return None
        ess = survey.ess_tail(i)
        text = f"ESS {np.nan_to_num(ess):.0f} of {least:g} in the tails"
        return None if ess >= least else Lack(text, ess / least)

    def _agreement(self, survey: Survey, i: int, _: int, least: float, most: float) -> Lack | None:
        if survey.nensembles == 1:
            return None
        r_hat = survey.r_hat(i)
        return None if r_hat <= most else Lack(f"R-hat {r_hat:.3f}, above {most:g},")


def standing(survey: Survey, tick: Callable[[], None] = lambda: None) -> str:
    """Return the worst figures of all parameters, in words; ``tick`` is called between them."""
    least, longest, apart = math.inf, 0.0, 0.0
    for i in range(survey.ndim):
        least = min(least, survey.ess_bulk(i))
        longest = max(longest, survey.time(i) * survey.header.thin_by)
        tick()
        apart = max(apart, survey.r_hat(i))
        tick()
    if not (math.isfinite(least) and longest > 0):
        return ""
    agree = f", R-hat {apart:.3f}" if apart > 0 else ""
    return f"ESS {least:.0f}{agree}, tau {longest:.3g}"


def unsettled(survey: Survey, tick: Callable[[], None] = lambda: None) -> str | None:
    """Return why burn-in is not over yet, None if it is.

    Parameters
    ----------
    survey : Survey
        Of the second half of the burn-in so far.
    tick : callable
        Called between figures.

    Notes
    -----
    It is over when that half is 20 tau long, its own halves agree in the mean of every parameter
    within 4 standard errors (as Geweke 1992 compares them), and no walker is stuck, or so low in
    log_prob that it must still be on its way from the start.

    """
    names, steps = survey.header.names, min(survey.rows)
    if survey.stuck.any():
        return "walkers that never moved"
    for i in range(survey.ndim):
        time = survey.time(i)
        if not steps >= _SETTLED * time:
            return f"too short for {names[i]}"
        parts = survey.values(i)
        drift = np.mean([p[len(p) // 2 :].mean() - p[: len(p) // 2].mean() for p in parts])
        sd = np.sqrt(np.mean([p.var() for p in parts]))
        if abs(drift) > _DRIFT * sd * math.sqrt(4 * time / (survey.ndraws / survey.every)):
            return f"{names[i]} drifts"
        tick()
    late = int((survey.moments.low.sum(axis=0) > 0).sum())
    return f"{late} walkers on their way" if late else None
