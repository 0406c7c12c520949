"""Local searches for optima of the posterior, and the mass that Laplace's method gives each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..model.outputs import Evaluate
from ..model.problem import Problem
from .optima import Optimum, laplace, pool_optima

if TYPE_CHECKING:
    from .._types import FloatArray

_EDGE = 8.0  # within this many standard normal sigmas of each prior
_LOOKS, _NEARER = 12, 8  # of the search for widths, and for steps that do not reach a bound
_RESTARTS, _GAIN = 5, 0.1  # of the best of them, as long as it gains so much log_prob
BAD = 1e100  # for -log_prob where log_prob is -inf
MOST_SECOND = 40  # parameters: with more, second derivatives cost too much


class NormalScale:
    """Coordinates z in which every prior has width one: theta = prior.ppf(Phi(z)).

    On circles, where an edge would be a seam, theta is proportional to z.

    Parameters
    ----------
    problem : Problem
        With priors.

    """

    def __init__(self, problem: Problem) -> None:
        self._priors, self._circles = problem.priors, problem.parameters.circles
        turns = dict(zip(self._circles.columns, self._circles.turn, strict=True))
        lows = dict(zip(self._circles.columns, self._circles.low, strict=True))
        self._circle = {i: (lows[i] + turn / 2, turn / 4) for i, turn in turns.items()}

    def theta(self, z: FloatArray) -> FloatArray:
        """Return parameters, (n, ndim), of such coordinates."""
        from scipy.special import ndtr  # slow to load, and not always needed

        columns = []
        for i, prior in enumerate(self._priors):
            if i in self._circle:
                middle, scale = self._circle[i]
                columns.append(middle + scale * z[:, i])
            else:
                columns.append(prior.frozen.ppf(ndtr(np.clip(z[:, i], -_EDGE, _EDGE))))
        return self._circles.wrap(np.stack(columns, axis=1))

    def z(self, theta: FloatArray) -> FloatArray:
        """Return such coordinates, (n, ndim), of parameters."""
        from scipy.special import ndtri

        columns = []
        for i, prior in enumerate(self._priors):
            if i in self._circle:
                middle, scale = self._circle[i]
                columns.append((theta[:, i] - middle) / scale)
            else:
                columns.append(np.clip(ndtri(prior.frozen.cdf(theta[:, i])), -_EDGE, _EDGE))
        return np.stack(columns, axis=1)

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Where a search may go, in each coordinate."""
        far = 10 * _EDGE  # turns enough
        return [
            (-far, far) if i in self._circle else (-_EDGE, _EDGE) for i in range(len(self._priors))
        ]


def climb(problem: Problem, begin: FloatArray, evaluate: Evaluate) -> list[Optimum]:
    """Return the distinct optima that searches from some points end at.

    Local searches (L-BFGS-B on central differences, whole gradients as one batch) run in
    `NormalScale`; what they climb is the density in theta.

    Parameters
    ----------
    problem : Problem
        With priors.
    begin : ndarray (n, ndim)
        Where they begin.
    evaluate : callable
        Rows (n, ndim) -> ``Evaluation``.

    Returns
    -------
    list of Optimum
        The heaviest first, one at least.

    """
    scale = NormalScale(problem)

    def cost(z: FloatArray) -> FloatArray:
        return -evaluate(scale.theta(z)).log_prob

    ends = [_search(cost, z, scale.bounds) for z in scale.z(begin)]
    ends.sort(key=lambda end: end[1])
    for _ in range(_RESTARTS):  # the best may be on its way along a narrow valley
        again = _search_scaled(cost, *ends[0])
        gain, ends[0] = ends[0][1] - again[1], min(ends[0], again, key=lambda end: end[1])
        if gain < _GAIN:
            break
    found: list[Optimum] = []
    for z, value in ends:
        one = _with_mass(problem, scale.theta(z[None])[0], -value, evaluate)
        found = list(pool_optima({0: [*found, one]}, problem.parameters.circles).optima)
    return found


def _search_scaled(
    cost: Callable[[FloatArray], FloatArray], z0: FloatArray, value: float
) -> tuple[FloatArray, float]:
    """Return the best point seen on a descent from ``z0``, in units of the widths there."""
    width = np.full(len(z0), 0.1)
    for _ in range(_LOOKS):
        steps = np.vstack([np.diag(width), -np.diag(width)])
        rise = np.abs(cost(z0 + steps) - value).reshape(2, -1).max(axis=0)
        if ((rise > 0.1) & (rise < 4.0)).all():
            break
        width *= np.clip(np.sqrt(0.5 / np.maximum(rise, 1e-9)), 1e-2, 2.0)
    free = [(-np.inf, np.inf)] * len(z0)
    u, found = _search(lambda u: cost(z0 + width * u), np.zeros(len(z0)), free, h=1e-3)
    return z0 + width * u, found


def _search(
    cost: Callable[[FloatArray], FloatArray],
    z0: FloatArray,
    bounds: list[tuple[float, float]],
    h: float = 1e-5,
) -> tuple[FloatArray, float]:
    """Return the best point seen on a descent from ``z0``, and its cost."""
    from scipy import optimize  # slow to load, and not always needed

    ndim = len(z0)
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
        return (values[0] if np.isfinite(values[0]) else BAD), gradient

    optimize.minimize(
        value_and_gradient,
        z0,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 100},
    )
    return best[0][1], best[0][0]


def _with_mass(
    problem: Problem, theta: FloatArray, log_prob: float, evaluate: Evaluate
) -> Optimum:
    """Return an optimum with its widths and Laplace's estimate of its mass."""
    width = _local_width(problem, theta, log_prob, evaluate)
    curvature = None
    if 1 < len(theta) <= MOST_SECOND:
        curvature = _curvature(theta, log_prob, width, evaluate)
    return laplace(theta, log_prob, width, curvature)


def _curvature(
    theta: FloatArray, log_prob: float, width: FloatArray, evaluate: Evaluate
) -> FloatArray:
    """Return the negative second derivatives in units of the widths, by central differences.

    Steps are shorter where a bound is near. A parameter on a bound itself is left out: its width
    alone counts.
    """
    ndim, step = len(theta), width.copy()
    for _ in range(_NEARER):
        values = evaluate(theta + np.vstack([np.diag(step), -np.diag(step)])).log_prob
        up, down = values[:ndim], values[ndim:]
        inside = np.isfinite(up) & np.isfinite(down)
        if inside.all():
            break
        step = np.where(inside, step, step / 2)
    one, two = np.triu_indices(ndim, 1)
    some = inside[one] & inside[two]
    one, two = one[some], two[some]
    curvature = np.diag(np.where(inside, 2 * log_prob - up - down, 1.0))
    if len(one):
        steps, rows = np.zeros((4, len(one), ndim)), np.arange(len(one))
        for k, (a, b) in enumerate([(1, 1), (1, -1), (-1, 1), (-1, -1)]):
            steps[k, rows, one], steps[k, rows, two] = a * step[one], b * step[two]
        pairs = evaluate(theta + steps.reshape(-1, ndim)).log_prob.reshape(4, -1)
        with np.errstate(invalid="ignore"):
            mixed = (pairs[1] + pairs[2] - pairs[0] - pairs[3]) / 4
        mixed = np.where(np.isfinite(pairs).all(axis=0), mixed, 0.0)
        curvature[one, two] = curvature[two, one] = mixed
    unit = np.where(inside, width / step, 1.0)
    return np.asarray(curvature * np.outer(unit, unit))


def _local_width(
    problem: Problem, centre: FloatArray, top: float, evaluate: Evaluate
) -> FloatArray:
    """Return, per parameter, the distance at which log_prob falls by about one half."""
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
