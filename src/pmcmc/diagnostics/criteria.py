"""What draws have to reach to be enough: one list, for the stop rules and the verdict. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .figures import Figures
from .limits import Limits

if TYPE_CHECKING:
    from .._types import Tick

FAR = 6.0  # standard errors from its ensemble that no walker's mean is where walkers mix
REJECTED = 0.1  # of the evaluations after burn-in that may be rejected
SHIFT = 0.25  # standard errors by which stragglers may move a mean
LOG_PROB = "log_prob"
_FIGURES = {
    "length": "tau",
    "ess_bulk": "ESS",
    "ess_tail": "ESS in the tails",
    "r_hat": "R-hat",
}


@dataclass(frozen=True)
class Shortfall:
    """One criterion that draws do not meet.

    Attributes
    ----------
    criterion : str
        "rejects", "stuck", "rare", "length", "mixing", "ess_bulk", "ess_tail", "r_hat", "lost",
        "stragglers" or "modes".
    parameter : str
        Or log_prob; empty where it is not one quantity that is short.
    value, wanted : float
        What there is, NaN if it cannot be told, and what would do: a length is in tau.
    share : float
        The draws are this part of what would do; NaN if nothing tells.
    ensemble : int or None
        The ensemble that is short, where the mean of all is not.

    """

    criterion: str
    parameter: str = ""
    value: float = math.nan
    wanted: float = math.nan
    share: float = math.nan
    ensemble: int | None = None

    @property
    def text(self) -> str:
        """A few words, for a line of progress."""
        match self.criterion:
            case "rejects":
                return f"{100 * self.value:.0f}% of the evaluations rejected"
            case "stuck":
                return "walkers that never moved"
            case "rare":
                return "walkers that move rarely"
            case "mixing":
                return f"walkers that do not mix in {self.parameter}"
            case "lost":
                return "ensembles far below the others in log_prob"
            case "stragglers":
                return f"stragglers that move the mean of {self.parameter}"
            case "modes":
                return "a maximum with mass that no walker has come near"
        name = _FIGURES[self.criterion]
        if math.isnan(self.value):
            return f"no {name} for {self.parameter}"
        if self.criterion == "r_hat":
            return f"R-hat {self.value:.3f}, above {self.wanted:g}, for {self.parameter}"
        whole = math.floor(self.value)  # what is short must not look as if it were not
        if self.criterion == "length":
            where = "" if self.ensemble is None else f" in ensemble {self.ensemble}"
            return f"{whole} of {self.wanted:g} tau for {self.parameter}{where}"
        tails = " in the tails" if self.criterion == "ess_tail" else ""
        return f"ESS {whole} of {self.wanted:g}{tails} for {self.parameter}"


def shortfalls(
    figures: Figures,
    limits: Limits,
    order: Sequence[int] | None = None,
    tick: Tick = lambda: None,
) -> Iterator[Shortfall]:
    """Give all that is short, the cheapest figures first: draws are enough where nothing is.

    Length has to be within the limits for every parameter and log_prob, ESS of bulk and tails and
    R-hat for every parameter, or for what the limits name instead; every walker has to move, as
    often as the others, and to be where its ensemble is; no ensemble may be lost, and stragglers
    have to be too few to matter; of the evaluations at most a tenth may have been rejected; and no
    maximum with mass that the search for a start found may be one that no draw came near. A figure
    that cannot be told (NaN) is short, save R-hat with one ensemble, which has none.

    Parameters
    ----------
    figures : Figures
        Of the draws.
    limits : Limits
        What they have to reach.
    order : sequence of int, optional
        The numbers of the quantities as they are to be looked at. Default: what the limits are
        asked of, and log_prob.
    tick : callable
        Called between figures.

    Yields
    ------
    Shortfall
        Each worked out only when it is asked for.

    """
    if figures.rejected_share > REJECTED:
        yield Shortfall("rejects", value=figures.rejected_share, wanted=REJECTED)
    if short := stuck(figures):
        yield short
    if rare := int(np.sum(figures.rare & ~figures.stuck)):
        yield Shortfall("rare", value=rare, wanted=0)
    ndim = len(figures.names)
    order = numbers(figures, limits) if order is None else order
    for i in order:
        if short := length(figures, i, limits):
            yield short
        tick()
    if short := mixing(figures):
        yield short
    for criterion in (_ess_bulk, _ess_tail, _r_hat):
        for i in order:
            if i != ndim and (short := criterion(figures, i, limits)):
                yield short
            tick()
    if lost := lost_ensembles(figures):
        yield Shortfall("lost", value=float(len(lost)), wanted=0.0)
    if not figures.shift <= SHIFT:
        yield Shortfall("stragglers", figures.shifted, figures.shift, SHIFT)
    if figures.missed:
        yield Shortfall("modes", value=float(len(figures.missed)), wanted=0.0)


def numbers(figures: Figures, limits: Limits) -> list[int]:
    """Return the numbers of the quantities that limits are asked of, log_prob last.

    Parameters
    ----------
    figures : Figures
        Whose ``quantities``.
    limits : Limits
        Of them ``names``.

    """
    names = figures.names if limits.names is None else limits.names
    return [*(figures.quantities.index(name) for name in names), len(figures.names)]


def stuck(figures: Figures) -> Shortfall | None:
    """Return that there are walkers that never moved.

    Parameters
    ----------
    figures : Figures
        Of the draws.

    Returns
    -------
    Shortfall or None
        Its value is their number; None where all moved.

    """
    count = int(figures.stuck.sum())
    return Shortfall("stuck", value=count, wanted=0) if count else None


def length(figures: Figures, i: int, limits: Limits) -> Shortfall | None:
    """Return what ensembles lack in length.

    Parameters
    ----------
    figures : Figures
        Of the draws.
    i : int
        The quantity's place in ``figures.quantities``.
    limits : Limits
        Only ``length`` counts.

    Returns
    -------
    Shortfall or None
        Its value is the length of the shortest ensemble in tau of ranks, the mean of all
        ensembles; or in that of one ensemble, where that is twice as long or more. None where it
        is long enough.

    """
    times = figures.rank_tau(i)
    tau, most = (float(f(times)) if len(times) else math.nan for f in (np.mean, np.max))
    lengths = [figures.steps / t if t > 0 else math.nan for t in (tau, most)]
    if not lengths[0] >= limits.length:
        return _short("length", _name(figures, i), lengths[0], limits.length)
    if not 2 * lengths[1] >= limits.length:
        short = _short("length", _name(figures, i), lengths[1], limits.length)
        return replace(short, ensemble=int(np.argmax(times)))
    return None


def mixing(figures: Figures) -> Shortfall | None:
    """Return that a walker is not where its ensemble is.

    Parameters
    ----------
    figures : Figures
        Of the draws.

    Returns
    -------
    Shortfall or None
        Its value is how far the farthest walker's mean is from its ensemble's, in standard errors;
        None where all are within 6. Among 5,400 runs of walkers that mixed none was farther.

    """
    offsets = figures.offsets
    if np.all(offsets <= FAR):
        return None
    e, w = np.unravel_index(np.argmax(offsets), offsets.shape)  # NaN comes first
    return Shortfall(
        "mixing", _name(figures, int(figures.farthest_in[e, w])), float(offsets[e, w]), FAR
    )


def lost_ensembles(figures: Figures) -> list[int]:
    """Return the ensembles that are not where the others are.

    All of their walkers are stuck, or more than half of their draws are too low in log_prob. With
    one ensemble there are no others.

    Parameters
    ----------
    figures : Figures
        Of the draws.

    Returns
    -------
    list of int
        Their numbers, from 0.

    """
    if figures.nensembles == 1:
        return []
    most = 0.5 * figures.kept * figures.low.shape[1]
    gone = figures.stuck.all(axis=1) | (figures.low.sum(axis=1) > most)
    return [int(e) for e in np.flatnonzero(gone)]


def _ess_bulk(figures: Figures, i: int, limits: Limits) -> Shortfall | None:
    size = figures.ess_bulk(i)
    return None if size >= limits.ess else _short("ess_bulk", _name(figures, i), size, limits.ess)


def _ess_tail(figures: Figures, i: int, limits: Limits) -> Shortfall | None:
    size = figures.ess_tail(i)
    return None if size >= limits.ess else _short("ess_tail", _name(figures, i), size, limits.ess)


def _r_hat(figures: Figures, i: int, limits: Limits) -> Shortfall | None:
    if figures.nensembles == 1:
        return None
    value = figures.r_hat(i)
    if value <= limits.r_hat:
        return None
    return Shortfall("r_hat", _name(figures, i), value, limits.r_hat)


def _name(figures: Figures, i: int) -> str:
    return figures.quantities[i]


def _short(criterion: str, parameter: str, value: float, wanted: float) -> Shortfall:
    """Return a figure that has to be at least so much, and is not."""
    return Shortfall(criterion, parameter, value, wanted, value / wanted if wanted else math.nan)
