"""Moments of draws, added up in blocks. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .._types import FloatArray


@dataclass(frozen=True)
class Moments:
    """Moments of all draws, and what they are without the stragglers' draws.

    Attributes
    ----------
    mean, sd, core_mean, core_sd : ndarray (quantity,)
        Of all draws, and without those that ``low`` counts: parameters, log_prob, derived ones.
    low : ndarray of int (ensemble, walker)
        Draws with a log_prob too low to be the posterior's.
    best : ndarray (ensemble, ndim + 1)
        The draw with the highest log_prob, which comes last; NaN where there are no draws.

    """

    mean: FloatArray
    sd: FloatArray
    core_mean: FloatArray
    core_sd: FloatArray
    low: npt.NDArray[np.int64]
    best: FloatArray


class Sums:
    """Mean and sd of rows that come in blocks (Chan, Golub and LeVeque 1983).

    Parameters
    ----------
    ndim : int
        Columns.

    Attributes
    ----------
    n : int
        Rows so far.
    mean : ndarray (ndim,)

    """

    def __init__(self, ndim: int) -> None:
        self.n = 0
        self.mean, self._squares = np.zeros(ndim), np.zeros(ndim)

    def add(self, rows: FloatArray) -> None:
        """Take in rows, (n, ndim)."""
        if not len(rows):
            return
        n, mean = len(rows), rows.mean(axis=0)
        off, total = mean - self.mean, self.n + len(rows)
        self._squares += ((rows - mean) ** 2).sum(axis=0) + off**2 * (self.n * n / total)
        self.mean = self.mean + off * (n / total)
        self.n = total

    @property
    def sd(self) -> FloatArray:
        """Of all rows, (ndim,); NaN for fewer than two."""
        return np.sqrt(self._squares / (self.n - 1)) if self.n > 1 else self.mean * np.nan
