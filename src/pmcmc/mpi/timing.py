"""How a rank spent its time."""

from __future__ import annotations

import socket
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

from .waiting import SPENT, Backoff


@dataclass(frozen=True)
class RankTimes:
    """What one rank spent in one job.

    Attributes
    ----------
    host : str
    wall : float
        Seconds in all.
    log_prob, waiting, writing : float
        Seconds of these: in log_prob, waiting for other ranks, and (rank 0) in commits and checks.
    evaluations : int
        Of log_prob.

    """

    host: str
    wall: float
    log_prob: float
    waiting: float
    writing: float
    evaluations: int


class RankTimer:
    """A rank's seconds from its making to ``read``: each counts once.

    Parameters
    ----------
    patience : Backoff
        Of this process: it knows the waits. The thread that makes the clock is the rank's own.

    Attributes
    ----------
    evaluations : int
        Of log_prob, on this rank.

    """

    def __init__(self, patience: Backoff) -> None:
        self._times = patience.times
        self._times.follow()
        self._began, self._before = time.monotonic(), self._times.seconds()
        self.evaluations = 0

    def at(self, what: str) -> AbstractContextManager[None]:
        """Count the time of this thread, in a ``with`` statement, for one thing.

        Parameters
        ----------
        what : {"log_prob", "writing"}
            The second on rank 0, for commits and checks.

        Returns
        -------
        context manager

        """
        return self._times.at(what)

    def read(self) -> RankTimes:
        """Return what was spent so far."""
        now = self._times.seconds()
        wall = time.monotonic() - self._began
        log_prob, waiting, writing = (now[what] - self._before[what] for what in SPENT)
        host = socket.gethostname()
        return RankTimes(host, wall, log_prob, waiting, writing, self.evaluations)
