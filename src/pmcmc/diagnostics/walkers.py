"""Which walkers of an ensemble stay apart from the others: groups that never mix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import estimators
from .statistics import ChainStatistics

if TYPE_CHECKING:
    from .._types import FloatArray

_GAP = 3.0  # ranges of a walker, between the means of two groups
_MOST_GROUPS = 8  # of an ensemble: more are walkers that have hardly moved
ALIKE = 3.0  # of log_prob
LONG = 10  # autocorrelation times that groups are apart, at least
_NO_MASS = math.log(1000)  # of the posterior, less than one of so many parts
_WIDER = 2.0  # log of how much wider a mode may be than its walkers tell, in each direction


@dataclass(frozen=True)
class Group:
    """Walkers of one ensemble that stay together.

    Attributes
    ----------
    walkers : tuple of int
        Their numbers, from 0.
    log_prob : float
        The median of theirs, over the second half of the rows.

    """

    walkers: tuple[int, ...]
    log_prob: float


@dataclass(frozen=True)
class Division:
    """An ensemble whose walkers are in groups that do not mix.

    Attributes
    ----------
    ensemble : int
        Its number, from 0.
    groups : tuple of Group
        Two or more, that with the highest log_prob first.
    length : float
        All rows, in autocorrelation times of the largest group.

    """

    ensemble: int
    groups: tuple[Group, ...]
    length: float

    @property
    def alike(self) -> bool:
        """Whether log_prob is about the same in all groups: modes that may weigh alike."""
        log_probs = [group.log_prob for group in self.groups]
        return max(log_probs) - min(log_probs) < ALIKE

    @property
    def trapped(self) -> tuple[int, ...]:
        """The walkers of all groups but the first."""
        return tuple(sorted(w for group in self.groups[1:] for w in group.walkers))


def divisions(statistics: ChainStatistics, ensembles: Sequence[int]) -> tuple[Division, ...]:
    """Return which ensembles are divided, and how.

    In the second half of the rows, each walker covers a range of every quantity; where the means
    of two sets of walkers are three such ranges apart (standard deviations, the median of the
    walkers), they are two groups, and each may be divided again. They count where the rows are 10
    autocorrelation times or more of the largest group.

    Parameters
    ----------
    statistics : ChainStatistics
        Of the draws.
    ensembles : sequence of int
        Those to be looked at.

    Returns
    -------
    tuple of Division

    """
    quantities = range(statistics.ndim + 1)
    shape = len(quantities), len(ensembles), statistics.nwalkers
    means, ranges, log_probs = np.empty(shape), np.empty(shape), []
    for i in quantities:
        for k, e in enumerate(ensembles):
            half = _second_half(statistics.values(i)[e])
            means[i, k], ranges[i, k] = half.mean(axis=0), half.std(axis=0)
            if i == statistics.ndim:
                log_probs.append(half)
    parts = {
        k: found
        for k in range(len(ensembles))
        if 1 < len(found := split(means[:, k], ranges[:, k])) <= _MOST_GROUPS
    }
    times = dict.fromkeys(parts, 1.0)
    for i in quantities:
        for k, found in parts.items():
            largest = max(found, key=len)
            half = _second_half(statistics.values(i)[ensembles[k]])[:, largest]
            times[k] = np.fmax(times[k], estimators.autocorrelation_time(half))
    all_found = []
    for k, found in parts.items():
        length = float(statistics.rows[ensembles[k]] / (times[k] * statistics.row_stride))
        if length < LONG:
            continue
        groups = [
            Group(tuple(sorted(map(int, one))), float(np.median(log_probs[k][:, one])))
            for one in found
        ]
        groups.sort(key=lambda group: -group.log_prob)
        all_found.append(Division(ensembles[k], tuple(groups), length))
    return tuple(all_found)


def massless(statistics: ChainStatistics, division: Division) -> tuple[int, ...]:
    """Return the walkers of groups that hold no mass of the posterior.

    Parameters
    ----------
    statistics : ChainStatistics
        Of the draws that the division is about.
    division : Division
        Of one ensemble.

    Returns
    -------
    tuple of int
        Their numbers; empty where a group may hold some.

    Notes
    -----
    The mass of a normal mode of covariance C is exp(<log p>) |2 pi e C|^(1/2), where <log p> is
    the mean of its draws (its entropy; with the maximum in place of the mean it is Laplace's).
    So the log of the mass of a group, beside that of the heaviest, is the difference of <log p>
    plus half that of log |C|. Walkers that are trapped tell the width of their mode badly: it is
    taken to be no less than that of the heaviest group, and e^2 times wider in every direction.
    A group has no mass where even so it has less than 1/1000 of the heaviest's: it has to be
    2 ndim + 7 below it in log_prob, and more if it is wider.

    """
    e, quantities = division.ensemble, range(statistics.ndim + 1)
    *values, log_prob = (_second_half(statistics.values(i)[e]) for i in quantities)
    depths, widths = [], []
    for group in division.groups:
        some = list(group.walkers)
        draws = np.stack([v[:, some].ravel() for v in values])
        sign, log_det = np.linalg.slogdet(np.atleast_2d(np.cov(draws)))
        depths.append(float(log_prob[:, some].mean()))
        widths.append(0.5 * float(log_det) if sign > 0 else -math.inf)
    heaviest = int(np.argmax(np.array(depths) + np.array(widths)))
    known = widths[heaviest]
    if not math.isfinite(known):
        return ()
    least = depths[heaviest] - _NO_MASS - _WIDER * statistics.ndim
    without = [
        group.walkers
        for group, depth, width in zip(division.groups, depths, widths, strict=True)
        if depth + max(0.0, width - known) < least
    ]
    return tuple(sorted(w for walkers in without for w in walkers))


def _second_half(values: FloatArray) -> FloatArray:
    return values[len(values) // 2 :]


def split(means: FloatArray, ranges: FloatArray) -> list[npt.NDArray[np.intp]]:
    """Return groups of walkers, or of ensembles: split at the widest gap, if it is one.

    Parameters
    ----------
    means, ranges : ndarray (quantity, walker)
        Of each.

    Returns
    -------
    list of ndarray of int
        Their numbers.

    """
    done, todo = [], [np.arange(means.shape[1])]
    while todo:
        some = todo.pop()
        order = np.argsort(means[:, some], axis=1)
        ordered = np.take_along_axis(means[:, some], order, axis=1)
        width = np.median(ranges[:, some], axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            gaps = np.nan_to_num(np.diff(ordered, axis=1) / width, nan=0.0, posinf=math.inf)
        if not gaps.size or gaps.max() <= _GAP:
            done.append(some)
            continue
        i, at = np.unravel_index(np.argmax(gaps), gaps.shape)
        todo += [some[order[i, : at + 1]], some[order[i, at + 1 :]]]
    return done
