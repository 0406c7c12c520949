"""A time limit for calls of log_prob.

An alarm interrupts code in Python and system calls. What runs in C, and does not come back to
Python, is ended with its process by faulthandler's watchdog, which needs no interpreter lock.
"""

from __future__ import annotations

import faulthandler
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from ..processes import end_children
from ..text import duration_text
from .rejects import TookTooLong

_AGAIN = 0.5  # seconds after which code that swallowed the interruption hears it again
_LEAST_GRACE, _MOST_GRACE = 2.0, 30.0  # seconds beyond the limit for code to come back to Python


class TimeLimit:
    """Interrupts calls that take too long.

    Parameters
    ----------
    seconds : float
        Of one call, above 0.

    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._grace = min(max(_LEAST_GRACE, 0.5 * seconds), _MOST_GRACE)
        self._in_call = False
        self._watched = -1.0  # when the watchdog was set
        self._before: Any = None

    @property
    def what_ends(self) -> str:
        """What is said, in the name of a frame, where the watchdog ends the process."""
        return (
            f", which did not come back to Python within {duration_text(self.seconds)} "
            "(--log-prob-timeout): the job ends; what was committed is safe, see --resume"
        )

    def __enter__(self) -> TimeLimit:
        """Begin a batch of calls: take the alarm."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGALRM, self._interrupt)
        return self

    def __exit__(self, *failure: object) -> None:
        """End a batch of calls."""
        self._watched = -1.0
        faulthandler.cancel_dump_traceback_later()
        if self._before is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)
            self._before = None

    def call(self, function: Callable[..., Any], *given: Any) -> Any:
        """Call a function; within the batch.

        Parameters
        ----------
        function : callable
            The model's.
        *given
            Its arguments.

        Raises
        ------
        TookTooLong
            If it took too long; what else it raises passes through.

        """
        self._began, now = time.clock_gettime(time.CLOCK_MONOTONIC), time.monotonic()
        if self._watched < 0 or now - self._watched > self._grace / 2:
            self._watched = now
            faulthandler.dump_traceback_later(self.seconds + self._grace, exit=True)
        try:
            self._in_call = True
            signal.setitimer(signal.ITIMER_REAL, self.seconds, _AGAIN)
            return function(*given)
        finally:
            self._in_call = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def relax(self) -> None:
        """End the limit of the call in hand, though that goes on."""
        self._in_call, self._watched = False, -1.0
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()

    @property
    def patience(self) -> float:
        """Seconds after which no call can be at work any more."""
        return self.seconds + self._grace

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._in_call:
            end_children(self._began)
            raise TookTooLong(f"log_prob took longer than {duration_text(self.seconds)}")
