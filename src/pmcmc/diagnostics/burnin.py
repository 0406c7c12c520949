"""When burn-in is over, and which walkers are trapped then where no mass is. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..storage.cut import SubstitutedReader
from ..storage.reader import RunReader
from ..text import count_text
from .criteria import length, mixing, stuck
from .limits import Limits
from .statistics import ChainStatistics
from .walkers import Division, divisions, massless

if TYPE_CHECKING:
    from .._types import Tick

MOST_BURNIN = 34183  # check 32: burn-in that has not settled by then is ended
_SETTLED = Limits(ess=0.0, r_hat=math.inf, length=20)  # of the second half of burn-in; in a random
# walk of any length, which never settles, the estimate finds 8 to 13 tau
_DRIFT = 4.0  # standard errors between its quarters
_APART = 50  # autocorrelation times after which walkers that are trapped are not waited for


@dataclass(frozen=True)
class BurninCheck:
    """What a check of burn-in found.

    Attributes
    ----------
    over : bool
    lacking : str
        What it lacks to have settled, in words; "" for nothing.
    massless : mapping of int to tuple of int
        By ensemble, walkers that are trapped where no mass is; only where it is over.

    """

    over: bool
    lacking: str = ""
    massless: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


def check_burnin(
    reader: RunReader, steps: int, rescue: bool, tick: Tick = lambda: None
) -> BurninCheck:
    """Tell whether burn-in is over.

    Parameters
    ----------
    reader : RunReader
        Of the run's file.
    steps : int
        Burn-in steps that every ensemble has.
    rescue : bool
        Whether walkers that are trapped where no mass is will be redrawn.
    tick : callable
        Called between figures.

    Returns
    -------
    BurninCheck

    Notes
    -----
    It is over when it has settled, see `burnin_shortfall`, or is 34183 steps long. Walkers that
    are trapped hold it up only as long as they could still come: once the others have settled, it
    is over if all the trapped ones are to be redrawn, else after 50 tau.

    """
    half = settled_half(reader, steps)
    lacking = burnin_shortfall(half, tick)
    if lacking is None:
        return BurninCheck(True)
    divided = divisions(half, range(half.nensembles))
    tick()
    last = steps >= MOST_BURNIN
    if not last and not (divided and _others_have_settled(reader, steps, divided, tick)):
        return BurninCheck(False, lacking)
    redrawn = massless_walkers(half, divided) if rescue else {}
    left = {d: _apart(d, redrawn.get(d.ensemble, ())) for d in divided}
    left = {division: count for division, count in left.items() if count}
    if not last and any(division.length < _APART for division in left):
        return BurninCheck(False, lacking)
    if left:
        lacking = (
            f"{count_text(sum(left.values()), 'walker')} of {count_text(len(left), 'ensemble')} "
            "stay apart from the others"
        )
    return BurninCheck(True, lacking if left or not divided else "", redrawn)


def massless_walkers(
    half: ChainStatistics, divided: tuple[Division, ...]
) -> dict[int, tuple[int, ...]]:
    """Return the walkers that are trapped where no mass is, by ensemble.

    Parameters
    ----------
    half : ChainStatistics
        Of the second half of burn-in.
    divided : tuple of Division
        Of its ensembles.

    Returns
    -------
    dict
        Of those that have any.

    """
    found = {division.ensemble: massless(half, division) for division in divided}
    return {e: walkers for e, walkers in found.items() if walkers}


def _others_have_settled(
    reader: RunReader, steps: int, divided: tuple[Division, ...], tick: Tick
) -> bool:
    """Tell whether burn-in has settled but for walkers that are trapped."""
    walkers = {}
    for division in divided:
        stand_in = np.arange(reader.header.nwalkers)
        largest = max(division.groups, key=lambda group: len(group.walkers)).walkers
        others = np.setdiff1d(stand_in, largest)
        stand_in[others] = np.resize(largest, len(others))
        walkers[division.ensemble] = stand_in
    others_only = SubstitutedReader(reader, walkers)
    return burnin_shortfall(settled_half(others_only, steps), tick) is None


def _apart(division: Division, redrawn: Sequence[int]) -> int:
    """Return how many walkers stay apart from most others once some were redrawn."""
    groups = [len(group.walkers) for group in division.groups if group.walkers[0] not in redrawn]
    return sum(groups) - max(groups)


def settled_half(reader: RunReader, steps: int) -> ChainStatistics:
    """Return the statistics of the second half of burn-in, which tells whether it is over.

    Parameters
    ----------
    reader : RunReader
        Of the run's file.
    steps : int
        Burn-in steps that every ensemble has; the first ``steps // 2`` are left out.

    Returns
    -------
    ChainStatistics

    """
    rows = [steps] * len(reader.header.steps)
    return ChainStatistics(reader, rows, "burnin", discard=steps // 2)


def burnin_shortfall(statistics: ChainStatistics, tick: Tick = lambda: None) -> str | None:
    """Return why burn-in is not over yet, None if it is.

    Parameters
    ----------
    statistics : ChainStatistics
        Of the second half of the burn-in so far.
    tick : callable
        Called between figures.

    Returns
    -------
    str or None
        A few words, for a line of progress.

    Notes
    -----
    It is over when that half is 20 tau long for every parameter and log_prob, its own halves agree
    in the mean of every parameter within 4 standard errors (as Geweke 1992 compares them), every
    walker is where its ensemble is, and none is stuck, or so low in log_prob that it must still be
    on its way from the start.

    """
    if short := stuck(statistics):
        return short.text
    for i in range(statistics.ndim + 1):
        if short := length(statistics, i, _SETTLED):
            return short.text
        if i < statistics.ndim and _drifts(statistics, i):
            return f"{statistics.names[i]} drifts"
        tick()
    if short := mixing(statistics):
        return short.text
    late = int(np.count_nonzero(statistics.low))
    return f"{count_text(late, 'walker')} on the way from the start" if late else None


def _drifts(statistics: ChainStatistics, i: int) -> bool:
    """Tell whether the halves of the rows differ in the mean of a parameter."""
    parts = statistics.values(i)
    drift = np.mean([p[len(p) // 2 :].mean() - p[: len(p) // 2].mean() for p in parts])
    sd = np.sqrt(np.mean([p.var() for p in parts]))
    return bool(abs(drift) > _DRIFT * sd * math.sqrt(4 / statistics.ess_bulk(i)))
