"""Highest-density intervals and modes of marginal distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .._types import FloatArray

SHARE = 0.6827  # of the draws: that of one sigma of a normal distribution
_SOME, _GRID = 4096, 512  # draws that a density is estimated from, and points where


def _flat(chains: Sequence[FloatArray]) -> FloatArray:
    flat = np.concatenate([c.ravel() for c in chains])
    return np.asarray(flat[np.isfinite(flat)])


def highest_density(chains: Sequence[FloatArray], share: float = SHARE) -> tuple[float, float]:
    """Return the shortest interval that holds a share of the draws of one quantity.

    Parameters
    ----------
    chains : sequence of ndarray (step, walker)
        One per ensemble.
    share : float
        In (0, 1). Default: 0.6827.

    Returns
    -------
    tuple of float
        Its ends (Chen and Shao 1999, doi:10.1080/10618600.1999.10474802); NaN without draws. Of
        two modes it may hold one alone, or what is between them.

    """
    flat = np.sort(_flat(chains))
    if not len(flat):
        return math.nan, math.nan
    inside = min(len(flat) - 1, math.ceil(share * len(flat)))
    first = int(np.argmin(flat[inside:] - flat[: len(flat) - inside]))
    return float(flat[first]), float(flat[first + inside])


def mode(chains: Sequence[FloatArray]) -> float:
    """Return where the marginal density of one quantity is highest.

    Parameters
    ----------
    chains : sequence of ndarray (step, walker)
        One per ensemble.

    Returns
    -------
    float
        Of a Gaussian kernel estimate with Silverman's width, from up to 4096 draws: beside a bound
        that cuts the density off it comes out a little too far inside. NaN without draws.

    """
    flat = _flat(chains)
    if not len(flat) or np.ptp(flat) == 0:
        return float(flat[0]) if len(flat) else math.nan
    from scipy.stats import gaussian_kde  # slow to load

    some = flat[:: -(-len(flat) // _SOME)]
    if np.ptp(some) == 0:
        return float(some[0])
    grid = np.linspace(*highest_density([some[:, None]], 0.95), _GRID)
    return float(grid[np.argmax(gaussian_kde(some, "silverman")(grid))])
