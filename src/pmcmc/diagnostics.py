"""Numbers that describe draws: pure functions of arrays.

Axes are emcee's, (step, walker), one such array per ensemble. Ensembles are independent; walkers
of one ensemble are not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from emcee.autocorr import integrated_time

Array = npt.NDArray[np.float64]
QUANTILES = (0.16, 0.5, 0.84)


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
        if len(chain) < 2 or not (np.ptp(chain, axis=0) > 0).all():
            return float("nan")
        taus.append(float(integrated_time(chain[:, :, None], tol=0)[0]))
    return float(np.mean(taus)) if taus else float("nan")


def moments(chains: Sequence[Array]) -> tuple[float, float]:
    """Return the mean and the standard deviation of all draws of one parameter."""
    flat = np.concatenate([c.ravel() for c in chains])
    return float(flat.mean()), float(flat.std(ddof=1)) if flat.size > 1 else float("nan")


def quantiles(chains: Sequence[Array], levels: Sequence[float] = QUANTILES) -> tuple[float, ...]:
    """Return quantiles of all draws of one parameter."""
    flat = np.concatenate([c.ravel() for c in chains])
    return tuple(float(q) for q in np.quantile(flat, levels))
