"""Maxima that the search for a start found to have mass, and that no draw has come near."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..sampler.optima import Optimum, Pool
from .values import ChainValues

WEIGHT = 0.05  # of the mass: of a maximum that may not be missing
_NEAR = 4.0  # standard deviations of its local normal, in every parameter


@dataclass(frozen=True)
class Missed:
    """A maximum that no draw has come near.

    Attributes
    ----------
    theta : tuple of float
        Where it is.
    log_prob : float
        There.
    weight : float
        Its part of the mass of all maxima that were found, by Laplace's estimate.

    """

    theta: tuple[float, ...]
    log_prob: float
    weight: float


def missed_modes(values: ChainValues) -> tuple[Missed, ...]:
    """Return the maxima with a twentieth of the mass or more that no draw has come near.

    A maximum whose mass is that great has draws round it, if the draws are the posterior's: where
    walkers can go there, some will be within four standard deviations of its local normal in every
    parameter. Where none is, no walker began there, and none can cross.

    Parameters
    ----------
    values : ChainValues
        The draws, of a file that tells how the run began.

    Returns
    -------
    tuple of Missed
        None where the start was not a search, or there are no draws.

    """
    known = Pool.read(values.header.origin.get("start", ""))
    if known is None or not values.ndraws:
        return ()
    pool = known[0]
    if any(len(one.theta) != values.ndim for one in pool.optima):
        return ()
    return tuple(
        Missed(one.theta, one.log_prob, weight)
        for one, weight in zip(pool.optima, pool.weights, strict=True)
        if weight >= WEIGHT and not _visited(values, one)
    )


def _visited(values: ChainValues, one: Optimum) -> bool:
    turns, near = values.header.circles.turns, None
    for i, (at, sd, width) in enumerate(zip(one.theta, one.sd, one.width, strict=True)):
        low, high = turns.get(values.names[i], (0.0, np.inf))
        off = [np.abs(part - at) for part in values.values(i)]
        if np.isfinite(high):  # the short way round
            off = [np.minimum(part % (high - low), -part % (high - low)) for part in off]
        here = [part <= _NEAR * max(sd, width) for part in off]
        near = here if near is None else [a & b for a, b in zip(near, here, strict=True)]
        if not any(part.any() for part in near):
            return False
    return True
