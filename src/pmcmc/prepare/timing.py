"""What log_prob costs here: evaluations at the start and round it, timed one by one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from ..model.problem import Problem
from ..planner.costs import CallCost

if TYPE_CHECKING:
    from .._types import FloatArray

_POINTS, _MOST = 64, 4096
_PAUSE = 1e-3  # seconds for which another program may have the core
_SPREAD = 0.1  # of the priors' widths, or of the start
_KNOWN = 0.02  # standard error of the mean cost
_TINY = 1e-7  # seconds: less cannot be told


def time_log_prob(
    problem: Problem, nwalkers: int, seconds: float = 5.0, where: str = ""
) -> CallCost:
    """Time log_prob.

    The first evaluation may compile, or read data: it is not counted. Then there are so many that
    the mean is known within 2%, as far as the time allows; three at least, of a log_prob that
    takes longer than ``seconds`` one.

    Parameters
    ----------
    problem : Problem
        Learns the form of its blobs.
    nwalkers : int
        Walkers of an ensemble: a vectorized log_prob is timed with one row and with half as many.
    seconds : float
        That may be spent, as far as a few evaluations allow. Default: 5.
    where : str
        Rank and host, for an error message.

    Returns
    -------
    CallCost

    Raises
    ------
    EvaluationError
        If log_prob fails.

    """
    coords, _ = problem.probe(where)
    points = _points_round(problem, coords[-1])
    if problem.vectorized:
        return _time_batches(problem, points, nwalkers, seconds, where)
    taken: list[float] = []
    excluded: list[float] = []  # where log_prob is -inf, which may be known at once
    tries, began = 0, time.perf_counter()
    while tries < _POINTS or (_uncertain(taken) and tries < _MOST):
        value, took = _time(problem, points[tries][None], where)
        (taken if value > -np.inf else excluded).append(took)
        tries += 1
        spent = time.perf_counter() - began
        if spent > seconds and taken and (tries >= 3 or took > seconds):
            break
    return CallCost(_without_pauses(taken or excluded))


def _uncertain(taken: list[float]) -> bool:
    """Tell whether the mean is not known well yet; looked at now and then."""
    if len(taken) % _POINTS:
        return True
    return bool(np.std(taken) > _KNOWN * np.mean(taken) * np.sqrt(len(taken)))


def _without_pauses(taken: list[float]) -> tuple[float, ...]:
    """Return times of which the longest of many are cut: other programs had the core."""
    if len(taken) <= _POINTS or np.median(taken) > _PAUSE:
        return tuple(taken)
    return tuple(map(float, np.minimum(taken, np.quantile(taken, 0.99))))


def _time(problem: Problem, rows: FloatArray, where: str) -> tuple[float, float]:
    """Return the greatest log_prob of some rows, and the seconds that they took."""
    began = time.perf_counter()
    log_prob = problem.evaluate(rows, where=where).log_prob
    return float(log_prob.max()), max(_TINY, time.perf_counter() - began)


def _time_batches(
    problem: Problem, points: FloatArray, nwalkers: int, seconds: float, where: str
) -> CallCost:
    """Fit what a call costs apart from its rows, and each row."""
    many = np.resize(points, (max(2, nwalkers // 2), points.shape[1]))
    one: list[float] = []
    all_rows: list[float] = []
    _time(problem, many, where)  # another shape may be compiled anew
    began = time.perf_counter()
    while len(one) < 3 or (time.perf_counter() - began < seconds / 5 and len(one) < 200):
        one.append(_time(problem, many[:1], where)[1])
        all_rows.append(_time(problem, many, where)[1])
        if time.perf_counter() - began > seconds:
            break
    single, whole = float(np.median(one)), float(np.median(all_rows))
    row = max(0.0, (whole - single) / (len(many) - 1))
    return CallCost((max(_TINY, single - row),), row)


def _points_round(problem: Problem, centre: FloatArray) -> FloatArray:
    """Return points near a start at which log_prob is not -inf, as far as they are found."""
    rng = np.random.default_rng(0)
    if problem.priors:
        width = np.array([np.subtract(*p.frozen.ppf([0.84, 0.16])) / 2 for p in problem.priors])
    else:
        width = 1e-3 * np.maximum(np.abs(centre), 1.0)
    points = centre + _SPREAD * width * rng.standard_normal((_MOST, len(centre)))
    points[0] = centre
    for i, (low, high) in enumerate(problem.bounds()):
        outside = np.zeros(len(points), dtype=bool)
        outside |= points[:, i] <= (-np.inf if low is None else low)
        outside |= points[:, i] >= (np.inf if high is None else high)
        points[outside, i] = centre[i]
    return points
