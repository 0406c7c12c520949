"""Numbers that describe draws: pure functions of arrays.

Axes are emcee's, (step, walker), one such array per ensemble. Ensembles are independent; walkers
of one ensemble are not, so that they are never taken for chains. But walkers that never mix are
evidence against: times are about the mean of the ensemble, never about each walker's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .._types import FloatArray

QUANTILES = (0.16, 0.5, 0.84)
TAILS = (0.05, 0.95)
_WINDOW = 5  # of Sokal's estimate, in autocorrelation times
_AT_ONCE = 2**21  # values that are transformed at once
_FEW = 2**15  # values whose normal quantiles are worked out one by one


def normal_scores(chain: FloatArray) -> FloatArray:
    """Return the rank-normalised values of one ensemble.

    Parameters
    ----------
    chain : ndarray (step, walker)
        One quantity.

    Returns
    -------
    ndarray (step, walker)
        Normal quantiles of the average ranks among all values, (r - 3/8) / (n + 1/4), as Vehtari
        et al. 2021 (doi:10.1214/20-BA1221) take them: of any marginal with a density they are
        standard normal.

    """
    values = chain.ravel()
    if np.isnan(values).any():
        return np.full(chain.shape, math.nan)
    order = np.argsort(values)  # of equal ones in any order: they get the same rank
    ordered = values[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ties = np.diff(first, append=len(values))
    ranks = first + (ties + 1) / 2
    scores = np.empty(len(values))
    scores[order] = np.repeat(_normal_quantiles((ranks - 0.375) / (len(values) + 0.25)), ties)
    return scores.reshape(chain.shape)


def _normal_quantiles(q: FloatArray) -> FloatArray:
    """Return the normal quantiles of many values in (0, 1).

    scipy.special takes longer to load than a short run needs for all its figures, so that it is
    for many. Which one it is depends on the number of values alone: bits must not depend on more.
    """
    if len(q) <= _FEW:
        return np.fromiter(map(NormalDist().inv_cdf, q.tolist()), float, len(q))
    from scipy.special import ndtri

    return np.asarray(ndtri(q))


def autocorrelation(chain: FloatArray) -> FloatArray:
    """Return the autocorrelation function of one ensemble.

    Parameters
    ----------
    chain : ndarray (step, walker)
        One quantity.

    Returns
    -------
    ndarray (step,)
        By lag in rows, from 0, where it is 1: the mean over walkers of their autocovariance about
        the mean of the ensemble, so that what walkers differ in for ever is correlation at all
        lags. NaN where all values are equal.

    """
    n = len(chain)
    size = _fast_size(2 * n)  # lags do not meet round the end
    power, mean = np.zeros(size // 2 + 1), chain.mean()
    at_once = max(1, _AT_ONCE // size)
    for k in range(0, chain.shape[1], at_once):
        part = np.ascontiguousarray(chain[:, k : k + at_once].T) - mean
        power += (np.abs(np.fft.rfft(part, size)) ** 2).sum(axis=0)
    covariance = np.fft.irfft(power, size)[:n]
    with np.errstate(invalid="ignore"):
        return np.asarray(covariance / (covariance[0] if np.ptp(chain) > 0 else math.nan))


def _fast_size(n: int) -> int:
    """Return the least even 2^a 3^b of ``n`` or more, whose Fourier transform is fast."""
    most = 1 << (n - 1).bit_length()
    powers = (3**b for b in range(most.bit_length()))
    return min((p << max(1, (-(-n // p) - 1).bit_length()) for p in powers), default=most)


def integrated_time(function: FloatArray) -> float:
    """Return the integrated autocorrelation time of an autocorrelation function, in rows.

    Parameters
    ----------
    function : ndarray (step,)
        By lag in rows, from 0.

    Returns
    -------
    float
        With Sokal's window, the first lag of 5 times or more (Sokal 1996, as in emcee): it is at
        least 1. Where no window fits, the largest of the running sum, which then is too small a
        value for what cannot be told. NaN of NaN.

    """
    times = 2 * np.cumsum(function) - 1
    fits = np.arange(len(times)) >= _WINDOW * times
    return float(times[np.argmax(fits)] if fits.any() else times.max())


def autocorrelation_time(chain: FloatArray) -> float:
    """Return the integrated autocorrelation time of one quantity in one ensemble, in rows.

    Parameters
    ----------
    chain : ndarray (step, walker)
        Its values.

    Returns
    -------
    float
        As `integrated_time` of the chain's `autocorrelation`; NaN where it is shorter than two
        rows, or all values are equal.

    """
    if len(chain) < 2 or not np.ptp(chain) > 0:
        return math.nan
    return integrated_time(autocorrelation(chain))


def tail_times(chain: FloatArray, bounds: Sequence[float]) -> tuple[float, ...]:
    """Return the autocorrelation times of the indicators of bounds, in rows.

    The indicator of a bound is 1 where a value is not above it, else 0.

    Parameters
    ----------
    chain : ndarray (step, walker)
        One quantity in one ensemble.
    bounds : sequence of float
        Quantiles of the draws of all ensembles.

    Returns
    -------
    tuple of float
        As `autocorrelation_time`; NaN where all values are on one side.

    """
    return tuple(autocorrelation_time((chain <= bound).astype(float)) for bound in bounds)


def walker_offsets(scores: FloatArray, time: float) -> FloatArray:
    """Return how far each walker's mean is from that of its ensemble.

    Parameters
    ----------
    scores : ndarray (step, walker)
        One quantity in one ensemble, as `normal_scores` returns it.
    time : float
        Its autocorrelation time in rows.

    Returns
    -------
    ndarray (walker,)
        In standard errors of the mean of one walker that mixes, sqrt(time * variance / steps).

    """
    error = math.sqrt(time * float(scores.var()) / len(scores)) if time > 0 else math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((scores.mean(axis=0) - scores.mean()) / error)


def effective_size(ndraws: int, time: float) -> float:
    """Return the effective number of draws.

    Parameters
    ----------
    ndraws : int
        Draws: rows times walkers, over all ensembles.
    time : float
        Autocorrelation time, in rows.

    Returns
    -------
    float
        ``ndraws / time``; NaN where the time is not above 0.

    """
    return ndraws / time if time > 0 else math.nan


def r_hat(chains: Sequence[FloatArray]) -> float:
    """Return the rank-normalised split R-hat of one parameter, ensembles as chains.

    Parameters
    ----------
    chains : sequence of ndarray (step, walker)
        One per ensemble; cut to the shortest.

    Returns
    -------
    float
        The greater of the bulk's and the tails' (Vehtari et al. 2021, doi:10.1214/20-BA1221) of an
        array (ensemble, step x walker), step slowest: what ArviZ gives, which takes ten times as
        long to load as this to compute. NaN with one ensemble, fewer than four steps, or where all
        draws are equal.

    """
    steps = min((len(c) for c in chains), default=0)
    if len(chains) < 2 or steps < 4:
        return math.nan
    stacked = np.stack([c[:steps].ravel() for c in chains])
    if np.ptp(stacked) == 0:
        return math.nan
    half = stacked.shape[1] // 2
    halves = np.concatenate([stacked[:, :half], stacked[:, -half:]])
    folded = np.abs(halves - np.median(halves))
    return max(_spread(normal_scores(halves)), _spread(normal_scores(folded)))


def _spread(scores: FloatArray) -> float:
    """Return sqrt of the variance of all chains (chain, draw) over that within one."""
    n = scores.shape[1]
    between = n * scores.mean(axis=1).var(ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt((between / scores.var(axis=1, ddof=1).mean() + n - 1) / n))


def quantiles(
    chains: Sequence[FloatArray], levels: Sequence[float] = QUANTILES
) -> tuple[float, ...]:
    """Return quantiles of all draws of one parameter.

    Parameters
    ----------
    chains : sequence of ndarray (step, walker)
        One per ensemble.
    levels : sequence of float
        In [0, 1]. Default: 0.16, 0.5 and 0.84.

    Returns
    -------
    tuple of float
        One for each level; NaN where there are no draws.

    """
    if not any(c.size for c in chains):
        return (math.nan,) * len(levels)
    flat = np.concatenate([c.ravel() for c in chains])
    return tuple(float(q) for q in np.quantile(flat, levels))


def low_bound(log_probs: Sequence[FloatArray]) -> float:
    """Return the log_prob below which a draw cannot be one of the posterior's.

    Parameters
    ----------
    log_probs : sequence of ndarray (step, walker)
        One per ensemble.

    Returns
    -------
    float
        -inf where there are no draws.

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
