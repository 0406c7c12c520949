"""A file read with parameters on circles the short way round from their mean: without a seam."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..model.periodic import Circles
from .reader import RunReader

if TYPE_CHECKING:
    from .._types import AnyArray, FloatArray


class UnwrappedReader(RunReader):
    """Reads coordinates at most half a turn from a reference; all else is as in the file.

    Parameters
    ----------
    whole : RunReader
        Of the file.
    circles : Circles
        Which parameters are on circles.
    reference : ndarray (ndim,)
        As ``circular_mean`` returns it.

    """

    def __init__(self, whole: RunReader, circles: Circles, reference: FloatArray) -> None:
        self.__dict__.update({k: v for k, v in vars(whole).items() if k != "accepted"})
        self._whole, self._circles, self._reference = whole, circles, reference

    @property
    def accepted(self) -> AnyArray:  # type: ignore[override]
        """As of the whole; a reader that leaves rows out counts them when it is asked."""
        return self._whole.accepted

    def values(self, name: str, ensemble: int, rows: slice, phase: str = "ensembles") -> AnyArray:
        """Return rows of one ensemble, as ``RunReader.values`` does."""
        values = self._whole.values(name, ensemble, rows, phase)
        return self._circles.near(values, self._reference) if name == "chain" else values

    @contextlib.contextmanager
    def open(self) -> Iterator[RunReader]:
        """Give a reader that holds the file open, as ``RunReader.open`` does."""
        with self._whole.open() as whole:
            yield UnwrappedReader(whole, self._circles, self._reference)


def circular_mean(blocks: Iterable[AnyArray], circles: Circles, ndim: int) -> FloatArray:
    """Return the direction of the mean of each parameter on a circle (Mardia & Jupp 2000, 2.2).

    Parameters
    ----------
    blocks : iterable of ndarray (..., ndim)
        Coordinates.
    circles : Circles
        Which parameters are on circles.
    ndim : int
        Of all parameters.

    Returns
    -------
    ndarray (ndim,)
        Within [low, high); 0 for parameters that are on no circle.

    """
    sums = np.zeros((2, len(circles.columns)))
    for block in blocks:
        angles = (block[..., circles.columns] - circles.low) / circles.turn * (2 * np.pi)
        angles = angles.reshape(-1, len(circles.columns))
        sums += np.sin(angles).sum(axis=0), np.cos(angles).sum(axis=0)
    mean = np.zeros(ndim)
    turns = np.arctan2(*sums) / (2 * np.pi)
    mean[circles.columns] = circles.low + circles.turn * turns
    return circles.wrap(mean)
