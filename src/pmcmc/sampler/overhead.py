"""What emcee itself takes for a batch of proposals, measured here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from .light_emcee import emcee
from .moves import Moves

if TYPE_CHECKING:
    from .._types import FloatArray

_STEPS = 40


def splits_of(moves: Moves) -> tuple[tuple[float, int], ...]:
    """Return for each move its weight, and into how many parts it splits an ensemble."""
    return tuple((weight, int(getattr(move, "nsplits", 1))) for move, weight in moves)


def seconds_of_batch(moves: Moves, nwalkers: int, ndim: int, steps: int = _STEPS) -> float:
    """Return what emcee takes for a batch of proposals, log_prob apart.

    Parameters
    ----------
    moves : list of (move, float)
        Of the ensemble.
    nwalkers, ndim : int
        Walkers, and parameters.
    steps : int
        That are timed. Default: 40.

    Returns
    -------
    float
        Seconds, on average over the batches of a step.

    """

    def normal(x: FloatArray) -> FloatArray:
        return np.asarray(-0.5 * np.einsum("ij,ij->i", x, x))

    sampler = emcee.EnsembleSampler(nwalkers, ndim, normal, moves=moves, vectorize=True)
    sampler.random_state = np.random.RandomState(0).get_state()
    state = sampler.run_mcmc(np.random.default_rng(0).normal(size=(nwalkers, ndim)), 2)
    began = time.perf_counter()
    sampler.run_mcmc(state, steps)
    each = (time.perf_counter() - began) / steps
    total = sum(weight for weight, _ in splits_of(moves))
    return each / (sum(weight * parts for weight, parts in splits_of(moves)) / total)
