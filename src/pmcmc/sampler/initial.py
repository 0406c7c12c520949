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
from .earlier import EarlierRun
from .light_emcee import emcee

if TYPE_CHECKING:
    from .._types import FloatArray


BALL = 1e-4  # size of the ball round a given centre, relative to it or, near zero, absolute
_DRAWN_AGAIN = 100  # times, for walkers of the priors or of a function where log_prob is -inf
_REDRAWS = 300  # of walkers of a ball that fall where log_prob is -inf
_SEARCHES = 3  # local searches of "map", each from one of the best prior draws
_STEEP, _WIDER, _LOOKS, _LEAST = 2.0, 100.0, 8, 1e-7  # of the search for the width of a ball
_EDGE = 8.0  # "map" searches within this many standard normal sigmas of each prior


def initial_walkers(
    problem: Problem,
    nwalkers: int,
    rng: np.random.Generator,
    evaluate: Evaluate,
    ensemble: int = 0,
    earlier: EarlierRun | None = None,
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
    elif isinstance(initial, str):
        draws = from_priors(problem, nwalkers, rng)
        if initial == "map":
            walkers = _map_ball(problem, draws, rng, evaluate)
        else:
            walkers, known = _inside(
                problem, draws, evaluate, lambda n: from_priors(problem, n, rng)
            )
    elif callable(initial):

        def more(_: int) -> FloatArray:
            return call_initial(initial, nwalkers, problem.ndim, rng)

        walkers, known = _inside(problem, more(nwalkers), evaluate, more)
    elif initial.ndim == 1:
        width = _fitting_width(initial, BALL * np.maximum(np.abs(initial), 1.0), evaluate)
        walkers = _ball(problem, initial, width, nwalkers, rng, evaluate)
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


def search_evaluations(problem: Problem, nwalkers: int) -> int:
    """Return about how many evaluations of log_prob an ensemble takes to find its start.

    Parameters
    ----------
    problem : Problem
        Of it, ``initial`` and the number of parameters count.
    nwalkers : int
        Walkers of the ensemble.

    Returns
    -------
    int
        0 where it searches for nothing.

    """
    if not (isinstance(problem.initial, str) and problem.initial == "map"):
        return 0
    gradients, widths = _SEARCHES * 25 * (2 * problem.ndim + 1), 8 * 2 * problem.ndim
    return 2 * nwalkers + gradients + widths


def from_priors(problem: Problem, n: int, rng: np.random.Generator) -> FloatArray:
    """Draw points from the priors, parameter after parameter.

    Parameters
    ----------
    problem : Problem
        With priors.
    n : int
        Number of points.
    rng : numpy.random.Generator
        Used up parameter by parameter.

    Returns
    -------
    ndarray (n, ndim)

    """
    return np.stack([p.frozen.rvs(size=n, random_state=rng) for p in problem.priors], axis=1)


def _ball(
    problem: Problem,
    centre: FloatArray,
    width: FloatArray,
    nwalkers: int,
    rng: np.random.Generator,
    evaluate: Evaluate,
) -> FloatArray:
    """Normal draws round ``centre``; those where log_prob is -inf are drawn again, closer."""
    walkers = centre + width * rng.standard_normal((nwalkers, len(centre)))
    bad = evaluate(walkers).log_prob == -np.inf
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


def _fitting_width(centre: FloatArray, width: FloatArray, evaluate: Evaluate) -> FloatArray:
    """Return the width of a ball, less where the posterior is narrow, more where it sees nothing.

    In each parameter log_prob is to fall by less than 2 within it, and by more than rounding does:
    as if it were quadratic, that takes a few looks at points to both sides.
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
        less = np.sqrt(2 * np.clip(drop, _STEEP, 1e6))
        less = np.where(np.isinf(drop) & (width > first), _WIDER, less)  # too wide just now
        width = np.where(steep, np.maximum(width / less, least), width)
        width = np.where(flat, width * _WIDER, width)
    return np.where(flat, first, width)  # what nothing depends on


def _map_ball(
    problem: Problem, draws: FloatArray, rng: np.random.Generator, evaluate: Evaluate
) -> FloatArray:
    """Return a ball of the posterior's local width round the best point found from the draws.

    Local searches (L-BFGS-B on central differences, whole gradients as one batch) start at the
    best draws. They run in z, theta = prior.ppf(Phi(z)), where every prior has width one; what
    they climb is the density in theta.
    """
    from scipy.special import ndtr, ndtri  # slow to load, and not always needed

    log_prob = evaluate(draws).log_prob
    order = np.argsort(-log_prob, kind="stable")
    if log_prob[order[0]] == -np.inf:
        raise EvaluationError(
            f"log_prob is -inf at all of {len(draws)} draws from the priors: is log_prior too "
            "narrow for them? Give an initial point"
        )

    def theta_of(z: FloatArray) -> FloatArray:
        z = np.clip(z, -_EDGE, _EDGE)
        columns = [p.frozen.ppf(ndtr(z[:, i])) for i, p in enumerate(problem.priors)]
        return np.stack(columns, axis=1)

    best_z, best_value = None, np.inf
    for start in order[:_SEARCHES]:
        if log_prob[start] == -np.inf:
            break
        uniform = [p.frozen.cdf(x) for p, x in zip(problem.priors, draws[start], strict=True)]
        z0 = np.clip(ndtri(uniform), -_EDGE, _EDGE)
        z, value = _search(lambda z: -evaluate(theta_of(z)).log_prob, z0)
        if value < best_value:
            best_z, best_value = z, value
    assert best_z is not None
    centre = theta_of(best_z[None])[0]
    return _ball(
        problem, centre, _local_width(problem, centre, evaluate), len(draws), rng, evaluate
    )


def _search(cost: Callable[[FloatArray], FloatArray], z0: FloatArray) -> tuple[FloatArray, float]:
    """Return the best point seen on a descent from ``z0``, and its cost."""
    from scipy import optimize  # slow to load, and not always needed

    ndim, h = len(z0), 1e-5
    stencil = np.vstack([np.zeros(ndim), h * np.eye(ndim), -h * np.eye(ndim)])
    best: list[tuple[float, FloatArray]] = []

    def value_and_gradient(z: FloatArray) -> tuple[float, FloatArray]:
        values = cost(z + stencil)
        if np.isfinite(values[0]) and (not best or values[0] < best[0][0]):
            best[:] = [(float(values[0]), z.copy())]
        up, down = values[1 : ndim + 1], values[ndim + 1 :]
        with np.errstate(invalid="ignore"):
            slopes = (up - down) / (2 * h)
        gradient = np.where(np.isfinite(slopes), slopes, 0.0)
        return (values[0] if np.isfinite(values[0]) else 1e300), gradient

    optimize.minimize(
        value_and_gradient,
        z0,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-_EDGE, _EDGE)] * ndim,
        options={"maxiter": 100},
    )
    return best[0][1], best[0][0]


def _local_width(problem: Problem, centre: FloatArray, evaluate: Evaluate) -> FloatArray:
    """Return, per parameter, the distance at which log_prob falls by about one half."""
    top = evaluate(centre[None]).log_prob[0]
    width = np.array([0.1 * min(float(p.frozen.std()), 1e300) for p in problem.priors])
    scale = np.array([np.subtract(*p.frozen.ppf([0.84, 0.16])) / 2 for p in problem.priors])
    width = np.where(np.isfinite(width) & (width > 0), width, 0.1 * np.abs(scale))
    ndim = len(centre)
    for _ in range(30):
        steps = np.vstack([np.diag(width), -np.diag(width)])
        values = evaluate(centre + steps).log_prob
        drop = top - np.maximum(values[:ndim], values[ndim:])  # the side with room
        good = (drop > 0.1) & (drop < 2.0)
        if good.all():
            break
        width = np.where(drop <= 0.1, width * 2, np.where(drop >= 2.0, width / 3, width))
        width = np.minimum(width, 3 * np.abs(scale))
    return np.asarray(width / np.sqrt(2 * np.clip(drop, 0.1, 2.0)))
