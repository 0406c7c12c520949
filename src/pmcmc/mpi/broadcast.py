"""A value from rank 0 to all ranks: made into bytes once, and sent in one nonblocking broadcast.

Large arrays are not copied into the pickle: they are sent from where they are, and arrive where
they stay.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .._types import Comm

_APART = 2**16  # bytes of an array that is worth a broadcast of its own
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


def pack(value: Any, pickler: Callable[..., Any] = pickle.Pickler) -> list[memoryview]:
    """Return a value as a pickle and its large arrays, which are not copied.

    Parameters
    ----------
    value : object
        What can be pickled.
    pickler : callable
        Takes what ``pickle.Pickler`` takes, which is the default.

    Returns
    -------
    list of memoryview
        The pickle, then the bytes of arrays of 64 KiB or more, which are the value's own.

    """
    file, apart = io.BytesIO(), []

    def in_band(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes >= _APART:
            apart.append(raw)
        return raw.nbytes < _APART

    pickler(file, protocol=5, buffer_callback=in_band).dump(value)
    return [file.getbuffer(), *apart]


def unpack(buffers: list[Any], loads: Callable[..., Any] = pickle.loads) -> Any:
    """Return the value that was packed; its large arrays are the buffers, not copies.

    Parameters
    ----------
    buffers : list of bytes-like
        As ``pack`` returned them, or what came of them.
    loads : callable
        Opens a pickle. Default: ``pickle.loads``.

    Returns
    -------
    object

    """
    return loads(buffers[0], buffers=buffers[1:])


def pack_by_dill(value: Any) -> list[memoryview]:
    """``pack`` what pickle cannot: functions and classes that no other rank can import.

    Parameters
    ----------
    value : object
        What dill can pickle.

    Returns
    -------
    list of memoryview
        As ``pack``.

    """
    import dill

    class Pickler(dill.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            """Leave arrays to numpy: dill would copy them into the pickle."""
            return obj.__reduce_ex__(5) if type(obj) is np.ndarray else NotImplemented

    return pack(value, lambda file, **options: Pickler(file, recurse=True, **options))


def unpack_by_dill(buffers: list[Any]) -> Any:
    """Return the value that ``pack_by_dill`` was given.

    Parameters
    ----------
    buffers : list of bytes-like
        As for ``unpack``.

    Returns
    -------
    object

    """
    import dill

    return unpack(buffers, dill.loads)
