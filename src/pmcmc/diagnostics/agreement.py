"""Which ensembles are in other modes than the rest: groups of ensembles that never meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .statistics import ChainStatistics
from .walkers import ALIKE, LONG, split


@dataclass(frozen=True)
class Mode:
    """Ensembles that are in one mode.

    Attributes
    ----------
    ensembles : tuple of int
        Their numbers, from 0.
    log_prob : float
        The median of their draws'.
    mean : float
        Of the parameter that tells the modes apart.

    """

    ensembles: tuple[int, ...]
    log_prob: float
    mean: float


@dataclass(frozen=True)
class Separation:
    """Ensembles that are in different modes.

    Attributes
    ----------
    parameter : str
        That tells them apart best.
    modes : tuple of Mode
        Two or more, that with the highest log_prob first.
    length : float
        The shortest ensemble, in its own autocorrelation times.

    """

    parameter: str
    modes: tuple[Mode, ...]
    length: float

    @property
    def alike(self) -> bool:
        """Whether log_prob is about the same in all: modes that may weigh alike."""
        log_probs = [mode.log_prob for mode in self.modes]
        return max(log_probs) - min(log_probs) < ALIKE


def separation(statistics: ChainStatistics) -> Separation | None:
    """Return which ensembles are in which mode; None where all are in one.

    Each ensemble covers a range of every parameter (the standard deviation of its draws); where
    the means of two sets of ensembles are three such ranges apart, they are two modes, as
    `walkers.divisions` has it of walkers. They count where every ensemble is 10 autocorrelation
    times long or more.

    Parameters
    ----------
    statistics : ChainStatistics
        Of the draws.

    """
    if statistics.nensembles == 1 or not statistics.kept:
        return None
    parameters = range(statistics.ndim)
    means, ranges = np.empty((2, statistics.ndim, statistics.nensembles))
    for i in parameters:
        for e, values in enumerate(statistics.values(i)):
            means[i, e], ranges[i, e] = values.mean(), values.std()
    found = split(means, ranges)
    if len(found) == 1:
        return None
    log_probs = [float(np.median(v)) for v in statistics.values(statistics.ndim)]
    centres = np.array([means[:, some].mean(axis=1) for some in found])
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.nan_to_num(np.ptp(centres, axis=0) / np.median(ranges, axis=1), posinf=np.inf)
    i = int(np.argmax(spread))
    modes = [
        Mode(
            tuple(sorted(map(int, some))),
            float(np.median([log_probs[e] for e in some])),
            float(means[i, some].mean()),
        )
        for some in found
    ]
    modes.sort(key=lambda mode: (-mode.log_prob, mode.ensembles))
    taus = [float(statistics.rank_tau(k).max()) for k in range(statistics.ndim + 1)]
    length = statistics.steps / max(taus)
    return Separation(statistics.names[i], tuple(modes), length) if length >= LONG else None
