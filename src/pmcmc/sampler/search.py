"""The search of one ensemble for the start "map": from prior draws, in whole batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import EvaluationError
from ..model.outputs import Evaluate
from ..model.problem import Problem
from .climb import BAD, MOST_SECOND, NormalScale, climb
from .optima import Optimum, Pool, pool_optima

if TYPE_CHECKING:
    from .._types import FloatArray

_SEARCHES = 3  # local searches, each from one of the best prior draws
_MEMBERS = 10  # of a population, for each parameter
_FEWEST, _MOST = 40, 400  # of them
_GENERATIONS = 120
_LOCAL = 40  # gradients that a local search takes, or its share of restarts: measured
_CONVERGED = 1.0  # of log_prob, between the best and the median member


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


class MapSearch:
    """The search of one ensemble for the start "map".

    Parameters
    ----------
    problem : Problem
        With priors.
    nwalkers : int
        Walkers of the ensemble.
    rng : numpy.random.Generator
        The ensemble's start stream.
    evaluate : callable
        Rows (n, ndim) -> ``Evaluation``.

    Attributes
    ----------
    found : list of Optimum
        All, so far.

    """

    def __init__(
        self, problem: Problem, nwalkers: int, rng: np.random.Generator, evaluate: Evaluate
    ) -> None:
        self._problem, self._nwalkers = problem, nwalkers
        self._rng, self._evaluate = rng, evaluate
        self.found: list[Optimum] = []

    def go_on(self) -> None:
        """Search: at first from the best of as many prior draws as walkers, then widely."""
        if not self.found:
            draws = from_priors(self._problem, self._nwalkers, self._rng)
            self.found = find_optima(self._problem, draws, self._evaluate)
            return
        draws = from_priors(self._problem, _members(self._problem.ndim), self._rng)
        self.found += search_widely(self._problem, draws, self._rng, self._evaluate)


def search_alone(
    problem: Problem, nwalkers: int, rng: np.random.Generator, evaluate: Evaluate
) -> Pool:
    """Return the optima that one ensemble finds by itself; parameters as for `MapSearch`."""
    search = MapSearch(problem, nwalkers, rng, evaluate)
    search.go_on()
    pool = pool_optima({0: search.found}, problem.parameters.circles)
    if not pool.is_plain:
        search.go_on()
        pool = pool_optima({0: search.found}, problem.parameters.circles)
    return pool


def find_optima(problem: Problem, draws: FloatArray, evaluate: Evaluate) -> list[Optimum]:
    """Return where local searches from the best of some draws end.

    They (L-BFGS-B on central differences, whole gradients as one batch) run in `NormalScale`;
    what they climb is the density in theta.

    Parameters
    ----------
    problem : Problem
        With priors.
    draws : ndarray (n, ndim)
        From the priors.
    evaluate : callable
        Rows (n, ndim) -> ``Evaluation``.

    Returns
    -------
    list of Optimum
        Distinct ones, one at least.

    Raises
    ------
    EvaluationError
        If log_prob is -inf at every draw; or as ``evaluate`` raises it.

    """
    log_prob = evaluate(draws).log_prob
    order = np.argsort(-log_prob, kind="stable")
    if log_prob[order[0]] == -np.inf:
        raise EvaluationError(
            f"log_prob is -inf at all of {len(draws)} draws from the priors: is log_prior too "
            "narrow for them? Give an initial point"
        )
    begin = [draws[i] for i in order[:_SEARCHES] if log_prob[i] > -np.inf]
    return climb(problem, np.array(begin), evaluate)


def search_widely(
    problem: Problem, draws: FloatArray, rng: np.random.Generator, evaluate: Evaluate
) -> list[Optimum]:
    """Return where a population that begins at prior draws ends, and then a local search.

    Differential evolution (Storn & Price 1997, J. Global Optim. 11, 341), as scipy has it, each
    generation as one batch: for posteriors of many local optima, in which local searches end.

    Parameters
    ----------
    problem : Problem
        With priors.
    draws : ndarray (n, ndim)
        From the priors: the population, of 5 or more.
    rng : numpy.random.Generator
        The ensemble's start stream.
    evaluate : callable
        Rows (n, ndim) -> ``Evaluation``.

    Returns
    -------
    list of Optimum
        None where log_prob is -inf wherever it looked.

    """
    from scipy import optimize  # slow to load, and not always needed

    scale = NormalScale(problem)

    def cost(z: FloatArray) -> FloatArray:
        values = -evaluate(scale.theta(np.atleast_2d(z.T))).log_prob
        return np.where(np.isfinite(values), values, BAD)

    def converged(intermediate_result: optimize.OptimizeResult) -> bool:
        energies = intermediate_result.population_energies
        best = energies.min()
        return bool(best < BAD and np.median(energies) - best < _CONVERGED)

    z = scale.z(draws)
    edge = np.array(scale.bounds)
    found = optimize.differential_evolution(
        cost,
        scale.bounds,
        init=np.clip(z, edge[:, 0], edge[:, 1]),
        maxiter=_GENERATIONS,
        tol=0,
        polish=False,
        updating="deferred",
        vectorized=True,
        callback=converged,
        rng=rng,
    )
    if found.fun >= BAD:
        return []
    return climb(problem, scale.theta(found.x[None]), evaluate)


def _members(ndim: int) -> int:
    """Return how many draws ``search_widely`` begins with."""
    return min(max(_FEWEST, _MEMBERS * ndim), _MOST)


def search_evaluations(problem: Problem, nwalkers: int) -> tuple[int, int]:
    """Return about how many evaluations of log_prob an ensemble takes to find its optima.

    Parameters
    ----------
    problem : Problem
        Of it, ``initial`` and the number of parameters count.
    nwalkers : int
        Walkers of the ensemble.

    Returns
    -------
    int, int
        At first, and at most in a wide search after it; 0, 0 where it searches for nothing.

    """
    if not problem.initial_is("map"):
        return 0, 0
    ndim = problem.ndim
    second = 2 * ndim * (ndim - 1) if ndim <= MOST_SECOND else 0
    local = (2 * ndim + 1) * _LOCAL
    wide = _members(ndim) * (_GENERATIONS + 1) + local + second
    return nwalkers + _SEARCHES * local + second, wide
