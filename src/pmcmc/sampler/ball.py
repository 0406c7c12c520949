"""A ball of walkers round a point: no wider than the posterior, and where it is not zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import EvaluationError
from ..model.outputs import Evaluate
from ..model.problem import Problem

if TYPE_CHECKING:
    from .._types import FloatArray

BALL = 1e-4  # size of the ball round a given centre, relative to it or, near zero, absolute
_REDRAWS = 300  # of walkers that fall where log_prob is -inf
_STEEP, _WIDER, _LOOKS, _LEAST = 2.0, 100.0, 8, 1e-7  # of the search for its width


def ball(
    problem: Problem,
    centre: FloatArray,
    width: FloatArray,
    nwalkers: int,
    rng: np.random.Generator,
    evaluate: Evaluate,
    exact: FloatArray | None = None,
) -> FloatArray:
    """Return normal draws round ``centre``; those where log_prob is -inf are drawn again, closer.

    Parameters
    ----------
    problem : Problem
        For the error message.
    centre, width : ndarray (ndim,)
        Of the ball.
    nwalkers : int
        How many.
    rng : numpy.random.Generator
        The ensemble's start stream.
    evaluate : callable
        Rows (n, ndim) -> ``Evaluation``.
    exact : ndarray (ndim,), optional
        What ``centre`` was rounded from: taken where rounding led past an edge.

    Returns
    -------
    ndarray (nwalkers, ndim)

    Raises
    ------
    EvaluationError
        If log_prob is still -inf at one that was drawn 300 times.

    """
    walkers = centre + width * rng.standard_normal((nwalkers, len(centre)))
    bad = evaluate(walkers).log_prob == -np.inf
    if exact is not None and bad.any() and evaluate(centre[None]).log_prob[0] == -np.inf:
        centre = exact
    for attempt in range(_REDRAWS):
        if not bad.any():
            return walkers
        if attempt < 20:
            width = width / 2
        walkers[bad] = centre + width * rng.standard_normal((int(bad.sum()), len(centre)))
        bad[bad] = evaluate(walkers[bad]).log_prob == -np.inf
    at, why = "round", ""
    if evaluate(centre[None]).log_prob[0] == -np.inf:
        at, why = "at", f"  {problem.why_excluded(centre)}\n"
    raise EvaluationError(
        f"log_prob is -inf {at} the start\n{problem.describe(centre)}\n{why}"
        "  choose an initial point where the posterior is not zero, away from its edges",
        parameters=problem.by_name(centre),
    )


def fitting_width(centre: FloatArray, width: FloatArray, evaluate: Evaluate) -> FloatArray:
    """Return the width of a ball, less where the posterior is narrow, more where it sees nothing.

    In each parameter log_prob is to fall by less than 2 within it, and by more than rounding does:
    as if it were quadratic, that takes a few looks at points to both sides.

    Parameters
    ----------
    centre, width : ndarray (ndim,)
        Of the ball, as far as they are known.
    evaluate : callable
        Rows (n, ndim) -> ``Evaluation``.

    Returns
    -------
    ndarray (ndim,)

    """
    top = float(evaluate(centre[None]).log_prob[0])
    if top == -np.inf:
        return width  # as the ball will say
    lost = 2 * np.finfo(float).eps * max(1.0, abs(top))
    first, least = width, _LEAST * np.abs(centre)
    for _ in range(_LOOKS):
        steps = np.vstack([np.diag(width), -np.diag(width)])
        values = evaluate(centre + steps).log_prob
        drop = top - np.maximum(values[: len(centre)], values[len(centre) :])
        steep, flat = drop > _STEEP, np.abs(drop) < lost
        if not (steep | flat).any():
            return width
        less = np.exp2(np.ceil(np.log2(np.sqrt(2 * np.clip(drop, _STEEP, 1e6)))))
        less = np.where(np.isinf(drop) & (width > first), _WIDER, less)  # too wide just now
        width = np.where(steep, np.maximum(width / less, least), width)
        width = np.where(flat, width * _WIDER, width)
    return np.where(flat, first, width)  # what nothing depends on
