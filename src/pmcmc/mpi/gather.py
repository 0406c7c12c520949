"""Gather blocks from the team roots to rank 0 while sampling goes on."""

from __future__ import annotations

import pickle
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .waiting import wait_for

if TYPE_CHECKING:
    from .._types import Comm


class BlockGather:
    """Rounds of a nonblocking gather: sizes by Igather, contents by Igatherv.

    Every member joins each round once; nobody waits in MPI. A member keeps its contribution until
    MPI has sent it, so there is one round under way at a time.

    Parameters
    ----------
    comm : MPI communicator
        Of the team roots; its rank 0 receives.

    Attributes
    ----------
    joined : int
        Rounds that this rank has joined.

    """

    def __init__(self, comm: Comm) -> None:
        self.comm = comm
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self.joined = 0
        self._requests: list[Any] = []
        self._bytes: Any = None
        self._count = np.zeros(1, dtype=np.int64)
        self._counts = np.zeros(self.size, dtype=np.int64)
        self._received: Any = None
        self._contents_posted = False

    def join(self, value: Any) -> None:
        """Take part in the next round; waits for the one under way.

        Parameters
        ----------
        value : object
            What rank 0 is to get; pickled at once.

        """
        self.finish()
        self._bytes = np.frombuffer(pickle.dumps(value, protocol=5), dtype=np.uint8)
        self._count[0] = len(self._bytes)
        self.joined += 1
        root = self.rank == 0
        self._requests = [self.comm.Igather(self._count, self._counts if root else None)]
        self._contents_posted = not root
        if not root:
            self._requests.append(self.comm.Igatherv(self._bytes, None))

    def poll(self) -> list[Any] | None:
        """Move the round on, without waiting.

        Returns
        -------
        list or None
            On rank 0, once, when all are there: the values in rank order. Else None.

        """
        if not self._requests or not self._done():
            return None
        if not self._contents_posted:
            self._received = np.empty(int(self._counts.sum()), dtype=np.uint8)
            target = [self._received, self._counts]
            self._requests = [self.comm.Igatherv(self._bytes, target)]
            self._contents_posted = True
            if not self._done():
                return None
        self._requests = []
        if self.rank > 0:
            return None
        ends = np.cumsum(self._counts)
        received, self._received = self._received, None
        pieces = [received[e - c : e] for e, c in zip(ends, self._counts, strict=True)]
        return [pickle.loads(piece) for piece in pieces]

    @property
    def busy(self) -> bool:
        """Whether a round is under way here."""
        return bool(self._requests)

    def finish(self) -> None:
        """Wait for the round under way."""

        def idle() -> bool:
            self.poll()
            return not self.busy

        wait_for(idle)

    def leave(self, rounds: int, deadline: float) -> bool:
        """Join, with None, all rounds that were called for, so that none stays open.

        Parameters
        ----------
        rounds : int
            Rounds called for so far.
        deadline : float
            When to give up, in seconds of ``time.monotonic``.

        Returns
        -------
        bool
            False where others had not joined by the deadline.

        """
        while True:
            self.poll()
            if not self.busy:
                if self.joined >= rounds:
                    return True
                self.join(None)
            if time.monotonic() > deadline:
                return False
            time.sleep(1e-4)

    def _done(self) -> bool:
        self._requests = [r for r in self._requests if not r.Test()]
        return not self._requests
