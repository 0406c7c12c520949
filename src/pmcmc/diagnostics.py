"""Numbers that describe draws: pure functions of arrays.

Axes are emcee's, (step, walker), one such array per ensemble. Ensembles are independent; walkers
of one ensemble are not, so that they are never taken for chains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from emcee.autocorr import integrated_time

Array = npt.NDArray[np.float64]
QUANTILES = (0.16, 0.5, 0.84)
TAILS = (0.05, 0.95)


def autocorrelation_time(chains: Sequence[Array]) -> float:
    """Return the integrated autocorrelation time of one parameter, in rows.

    Parameters
    ----------
    chains : sequence of ndarray (step, walker)
        One per ensemble.

    Returns
    -------
    float
        The mean over ensembles of emcee's estimate (Sokal's window, walkers' autocorrelation
        functions averaged); NaN where a chain is shorter than two rows or does not move.

    """
    taus = []
    for chain in chains:
        if len(chain) < 2 or not chain.size or not (np.ptp(chain, axis=0) > 0).all():
            return math.nan
        taus.append(float(integrated_time(chain[:, :, None], tol=0)[0]))
    return float(np.mean(taus)) if taus else math.nan


def tail_time(chains: Sequence[Array]) -> float:
    """Return the longer autocorrelation time of the 5% and the 95% indicator, in rows.

    The indicator of a quantile is 1 where a draw is below it, else 0; the quantiles are those of
    all draws. A walker that has not been on both sides tells nothing of the time and is left out.
    NaN where no walker of some ensemble has.
    """
    longest = 0.0
    for quantile in quantiles(chains, TAILS):
        sides = [(c <= quantile).astype(float) for c in chains]
        time = autocorrelation_time([s[:, np.ptp(s, axis=0) > 0] if len(s) else s for s in sides])
        if not time > 0:
            return math.nan
        longest = max(longest, time)
    return longest


def effective_size(ndraws: int, time: float) -> float:
    """Return the effective number of draws, their number over the autocorrelation time in rows."""
    return ndraws / time if time > 0 else math.nan


def r_hat(chains: Sequence[Array]) -> float:
    """Return the rank-normalised split R-hat of one parameter, ensembles as chains.

    Parameters
    ----------
    chains : sequence of ndarray (step, walker)
        One per ensemble; cut to the shortest.

    Returns
    -------
    float
        The greater of the bulk's and the tails' (Vehtari et al. 2021, doi:10.1214/20-BA1221), as
        ArviZ has it, of an array (ensemble, step x walker), step slowest. NaN with one ensemble,
        or fewer than four steps.

    """
    steps = min((len(c) for c in chains), default=0)
    if len(chains) < 2 or steps < 4:
        return math.nan
    from arviz_stats.base.array import array_stats  # slow to load, and not always needed

    stacked = np.stack([c[:steps].ravel() for c in chains])
    if np.ptp(stacked) == 0:
        return math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(array_stats.rhat(stacked, method="rank"))


def quantiles(chains: Sequence[Array], levels: Sequence[float] = QUANTILES) -> tuple[float, ...]:
    """Return quantiles of all draws of one parameter; NaN where there is none."""
    if not any(c.size for c in chains):
        return (math.nan,) * len(levels)
    flat = np.concatenate([c.ravel() for c in chains])
    return tuple(float(q) for q in np.quantile(flat, levels))


def low_bound(log_probs: Sequence[Array]) -> float:
    """Return the log_prob below which a draw cannot be one of the posterior's.

    Parameters
    ----------
    log_probs : sequence of ndarray (step, walker)
        One per ensemble.

    Notes
    -----
    Below its median log_prob falls off like an exponential at the slowest: chi-squared for a
    normal posterior, an exponential for power-law tails. 60 times the distance from the median to
    the lower quartile (of the middle ensemble, so that a lost one does not shift it) is at least
    40 of its scales, which no run is long enough to see once. A walker down there comes from its
    start, and has not arrived.

    """
    middle = [np.quantile(c, (0.25, 0.5)) for c in log_probs if c.size]
    if not middle:
        return -math.inf
    quarters, medians = np.transpose(middle)
    spread = max(float(np.median(medians - quarters)), 0.5)
    return float(np.median(medians)) - 60 * spread
