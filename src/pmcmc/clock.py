"""How a rank spent its time."""

from __future__ import annotations

import socket
import time

from .comm import Patience
from .layout import TIMING


class Clock:
    """Adds up a rank's seconds from its making to ``read``.

    Attributes
    ----------
    log_prob, writing : float
        Seconds in log_prob, and (on rank 0) in commits and checks.
    evaluations : int

    """

    def __init__(self) -> None:
        self._began, self._waited = time.monotonic(), Patience.waited
        self.log_prob = self.writing = 0.0
        self.evaluations = 0

    def wrote(self, seconds: float) -> None:
        """Take in time that went to the file, also from within a wait."""
        self.writing += seconds
        Patience.waited -= seconds

    def read(self) -> tuple[bytes, float, float, float, float, int]:
        """Return what a row of the file's ``timings`` holds."""
        wall = time.monotonic() - self._began
        waiting = max(0.0, Patience.waited - self._waited)
        host = socket.gethostname().encode()[: TIMING["host"].itemsize]
        return host, wall, self.log_prob, waiting, self.writing, self.evaluations
