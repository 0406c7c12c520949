"""Where the walkers of an ensemble begin.

Every form draws from the ensemble's own start stream only, and evaluates whole batches, so that
a team of any size finds the same start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..errors import EvaluationError, ModelError
from ..model.checks import call_initial
from ..model.outputs import Evaluate, Evaluation
from ..model.problem import Problem
from .ball import BALL, ball, fitting_width
from .earlier import EarlierRun
from .light_emcee import emcee
from .optima import Optimum
from .search import from_priors, search_alone

if TYPE_CHECKING:
    from .._types import FloatArray


_DRAWN_AGAIN = 100  # times, for walkers of the priors or of a function where log_prob is -inf


def initial_walkers(
    problem: Problem,
    nwalkers: int,
    rng: np.random.Generator,
    evaluate: Evaluate,
    ensemble: int = 0,
    earlier: EarlierRun | None = None,
    optimum: Optimum | None = None,
) -> tuple[FloatArray, Evaluation | None]:
    """Return the start of one ensemble, as ``problem.initial`` says.

    Parameters
    ----------
    problem : Problem
        Has priors where ``initial`` is "prior" or "map".
    nwalkers : int
        Walkers of the ensemble.
    rng : numpy.random.Generator
        The ensemble's start stream.
    evaluate : callable
        Rows (n, ndim) -> ``Evaluation``; used for "map" and for a ball round a centre.
    ensemble : int
        Its number. Default: 0.
    earlier : EarlierRun, optional
        Where the walkers begin in place of ``problem.initial``.
    optimum : Optimum, optional
        Round which they begin if that is "map". Default: one that this ensemble finds by itself.

    Returns
    -------
    ndarray (nwalkers, ndim)
        The walkers.
    Evaluation or None
        What log_prob is there, where it was looked at on the way.

    Raises
    ------
    ModelError
        If the walkers have a wrong shape or number, are not finite, or span too few dimensions.
    EvaluationError
        If log_prob is -inf at every draw from the priors ("map"), or still at a walker after it
        was drawn again 100 times, 300 times in a ball; or as ``evaluate`` raises it.

    """
    initial, known = problem.initial, None
    if earlier is not None:
        walkers = earlier.start(ensemble, nwalkers, rng)
    elif problem.initial_is("map"):
        if optimum is None:
            optimum = search_alone(problem, nwalkers, rng, evaluate).draw(rng)
        centre, width = optimum.start
        exact = np.array(optimum.theta)
        walkers = ball(problem, centre, width, nwalkers, rng, evaluate, exact)
    elif isinstance(initial, str):
        draws = from_priors(problem, nwalkers, rng)
        walkers, known = _inside(problem, draws, evaluate, lambda n: from_priors(problem, n, rng))
    elif callable(initial):

        def more(_: int) -> FloatArray:
            return call_initial(initial, nwalkers, problem.ndim, rng)

        walkers, known = _inside(problem, more(nwalkers), evaluate, more)
    elif initial.ndim == 1:
        width = fitting_width(initial, BALL * np.maximum(np.abs(initial), 1.0), evaluate)
        walkers = ball(problem, initial, width, nwalkers, rng, evaluate)
    else:
        walkers = initial.copy()
        if len(walkers) != nwalkers:
            raise ModelError(
                f"initial has {len(walkers)} walkers, but nwalkers is {nwalkers}: leave out "
                "--nwalkers, or make them agree"
            )
    if not emcee.ensemble.walkers_independent(walkers):
        raise ModelError(
            "the starting walkers do not span the parameter space (some coincide, or lie on a "
            "plane): spread them out in every parameter"
        )
    if problem.parameters.circles:
        walkers = problem.parameters.circles.wrap(walkers)
    return walkers, known


def _inside(
    problem: Problem,
    walkers: FloatArray,
    evaluate: Evaluate,
    more: Callable[[int], FloatArray],
) -> tuple[FloatArray, Evaluation]:
    """Draw those walkers again where log_prob is -inf, as long as some are, 100 times at most."""
    log_prob, blobs, _ = evaluate(walkers)
    bad, tried = log_prob == -np.inf, 0
    while bad.any():
        if tried == _DRAWN_AGAIN:
            theta = walkers[np.argmax(bad)]
            raise EvaluationError(
                f"log_prob is -inf at {int(bad.sum())} of {len(walkers)} starting walkers, and "
                f"at as many again each of {tried} times that they were drawn anew; one is\n"
                f"{problem.describe(theta)}\n  {problem.why_excluded(theta)}\n  begin where the "
                "posterior is not zero: initial = a point, or walkers",
                parameters=problem.by_name(theta),
            )
        n, tried = int(bad.sum()), tried + 1
        walkers[bad] = more(n)[:n]
        log_prob[bad], again, _ = evaluate(walkers[bad])
        if blobs is not None:
            blobs[bad] = again
        bad = log_prob == -np.inf
    return walkers, Evaluation(log_prob, blobs)
