"""Walkers that begin where those of an earlier run were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError

if TYPE_CHECKING:
    from .._types import FloatArray


@dataclass(frozen=True)
class EarlierRun:
    """Where the walkers of an earlier run are.

    Attributes
    ----------
    name : str
        Its file, for messages.
    walkers : tuple of ndarray (walker, ndim)
        The last state of each ensemble, without walkers at -inf.
    draws : ndarray (n, ndim)
        Some of its kept draws.

    """

    name: str
    walkers: tuple[FloatArray, ...]
    draws: FloatArray

    def start(self, ensemble: int, nwalkers: int, rng: np.random.Generator) -> FloatArray:
        """Return the walkers of one ensemble.

        Those of the earlier ensemble of its number where they are as many; else they are drawn
        without replacement from the last state of all, and from kept draws where that has fewer.

        Parameters
        ----------
        ensemble, nwalkers : int
            Its number, and walkers.
        rng : numpy.random.Generator
            The ensemble's start stream.

        Returns
        -------
        ndarray (nwalkers, ndim)

        Raises
        ------
        UsageError
            If there are fewer different points.

        """
        if ensemble < len(self.walkers) and len(self.walkers[ensemble]) == nwalkers:
            return np.array(self.walkers[ensemble])
        pool = np.unique(np.concatenate(self.walkers), axis=0)
        if len(pool) < nwalkers:
            pool = np.unique(np.concatenate([pool, self.draws]), axis=0)
        if len(pool) < nwalkers:
            raise UsageError(
                f"initial: {self.name} has {len(pool)} different points, and {nwalkers} walkers "
                "are to begin: take fewer with --nwalkers"
            )
        return np.asarray(pool[rng.choice(len(pool), nwalkers, replace=False)])
