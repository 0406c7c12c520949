"""How a rank spent its time."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterable
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
    chunks : int
        In which they came.
    seconds, squares : float
        Sums over chunks of their seconds, and of their squared seconds over their evaluations.

    """

    host: str
    wall: float
    log_prob: float
    waiting: float
    writing: float
    evaluations: int
    chunks: int = 0
    seconds: float = 0.0
    squares: float = 0.0


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
        self.evaluations = self._chunks = 0
        self._seconds = self._squares = 0.0

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

    def count(self, evaluations: int, seconds: float) -> None:
        """Take in a chunk of evaluations, and the seconds that it took."""
        self.evaluations += evaluations
        self._chunks += 1
        self._seconds += seconds
        self._squares += seconds * seconds / evaluations

    def read(self) -> RankTimes:
        """Return what was spent so far."""
        now = self._times.seconds()
        wall = time.monotonic() - self._began
        log_prob, waiting, writing = (now[what] - self._before[what] for what in SPENT)
        host = socket.gethostname()
        return RankTimes(
            host,
            wall,
            log_prob,
            waiting,
            writing,
            self.evaluations,
            self._chunks,
            self._seconds,
            self._squares,
        )


def cost_of(ranks: Iterable[RankTimes]) -> tuple[float, float]:
    """Return mean and standard deviation of the seconds of one evaluation.

    Of a chunk of n independent evaluations that takes s the expectation of s^2 / n is
    n mean^2 + variance.

    Parameters
    ----------
    ranks : iterable of RankTimes
        What they spent.

    Returns
    -------
    float, float
        NaN where there was no evaluation.

    """
    known = [one for one in ranks if one.chunks]
    evaluations, chunks = sum(one.evaluations for one in known), sum(one.chunks for one in known)
    if not evaluations:
        return math.nan, math.nan
    mean = sum(one.seconds for one in known) / evaluations
    variance = (sum(one.squares for one in known) - evaluations * mean**2) / chunks
    return mean, math.sqrt(max(0.0, variance))
