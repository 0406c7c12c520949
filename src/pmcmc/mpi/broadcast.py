"""Bytes from rank 0 to all ranks, in one nonblocking broadcast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .._types import Comm

_PART = 2**30  # bytes of one call: many MPI libraries count in a C int


class Broadcast:
    """A broadcast under way from rank 0 of ``comm``; every rank begins it, in the same order.

    Parameters
    ----------
    comm : MPI communicator
        Of all who take part.
    buffers : list
        Contiguous bytes: on rank 0 what is sent, elsewhere the room for it. In MPI's hands until
        ``done()``.

    """

    def __init__(self, comm: Comm, buffers: list[Any]) -> None:
        self.buffers = buffers
        self._requests = [
            comm.Ibcast(buffer[start : start + _PART])
            for buffer in buffers
            for start in range(0, len(buffer), _PART)
        ]

    def done(self) -> bool:
        """Move it on; tell whether this rank's part is over."""
        self._requests = [request for request in self._requests if not request.Test()]
        return not self._requests


def room(sizes: list[int]) -> list[Any]:
    """Return buffers to receive what ``pack`` made.

    Parameters
    ----------
    sizes : list of int
        Of its buffers, in bytes.

    Returns
    -------
    list of ndarray of uint8

    """
    return [np.empty(size, dtype=np.uint8) for size in sizes]
