"""Messages of one rank that are on their way: sent without waiting, pickled once for all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mpi4py import MPI

if TYPE_CHECKING:
    from .._types import Comm

TAG_UP, TAG_DOWN = 1, 2  # to rank 0, and to others
_MANY = 64  # messages that may be on their way before it is looked which have arrived


class Outbox:
    """Sends pickled messages, and keeps what MPI needs until they are away.

    Parameters
    ----------
    comm : MPI communicator

    """

    def __init__(self, comm: Comm) -> None:
        self._comm = comm
        self._rank, self._size = comm.Get_rank(), comm.Get_size()
        self._sent: list[Any] = []
        self._many = _MANY
        self._in_handler: list[Any] = []  # sent within another send, perhaps

    def send(self, message: object, ranks: Iterable[int]) -> None:
        """Send a message to some other ranks."""
        data = MPI.pickle.dumps(message)
        for rank in ranks:
            if len(self._sent) >= self._many:
                self._sent = [r for r in self._sent if not r.Test()]
                self._many = max(_MANY, 2 * len(self._sent))
            self._sent.append(self._start(data, rank))

    def send_to_all(self, message: object) -> None:
        """Send to all other ranks; also out of a signal handler, within another send."""
        self._send_in_handler(message, range(self._size))

    def spread(self, message: object) -> None:
        """Send to the ranks that are 1, 2, 4, ... away; also out of a signal handler.

        Whoever hears of it first has to do the same. So all have it after as many hops as the
        number of ranks has binary digits, whichever ranks do not listen; and where a signal comes
        to all ranks there are no messages of each to each.
        """
        away = [1 << k for k in range(max(0, self._size - 1).bit_length())]
        near = {(self._rank + sign * n) % self._size for n in away for sign in (1, -1)}
        self._send_in_handler(message, sorted(near))

    def _send_in_handler(self, message: object, ranks: Iterable[int]) -> None:
        data = MPI.pickle.dumps(message)
        for rank in ranks:
            if rank != self._rank:
                self._in_handler.append(self._start(data, rank))

    def _start(self, data: bytes, rank: int) -> Any:
        tag = TAG_UP if rank == 0 else TAG_DOWN
        return self._comm.Isend([data, MPI.BYTE], rank, tag)

    def is_empty(self, all_of_them: bool = True) -> bool:
        """Tell whether all messages are away; without those of handlers where it says so."""
        self._sent = [r for r in self._sent if not r.Test()]
        if all_of_them:
            self._in_handler = [r for r in self._in_handler if not r.Test()]
        return not self._sent and not (all_of_them and self._in_handler)
