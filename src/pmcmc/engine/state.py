"""What a rank knows of the course of the run: whether it stops, and how it ended."""

from __future__ import annotations

import time

from ..mpi.control import ControlChannel
from .messages import Finished, Stop


class RunState:
    """Whether the run stops, and how it ended; one on each rank.

    Parameters
    ----------
    control : ControlChannel
        Takes a stop to the other ranks.
    grace : float
        Seconds after a stop for log_prob to return.

    Attributes
    ----------
    stop_reason : str
        Why the run stops, as the first said it; "" while it does not.
    grace : float
        As it was given; less where there is no time for that.
    outcome : Finished or None
        How it ended, once that is known here.

    """

    def __init__(self, control: ControlChannel, grace: float) -> None:
        self._control = control
        self._stopped = 0.0  # when
        self.grace = grace
        self.stop_reason = ""
        self.outcome: Finished | None = None

    @property
    def stopping(self) -> bool:
        """Whether no evaluation is to be begun any more."""
        return bool(self.stop_reason)

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.outcome is not None

    @property
    def since_stop(self) -> float:
        """Seconds since this rank heard of the stop; 0 while there is none."""
        return time.monotonic() - self._stopped if self.stopping else 0.0

    @property
    def overdue(self) -> float:
        """Seconds since log_prob should have returned, at a stop; below 0 before."""
        return self.since_stop - self.grace if self.stopping else -1.0

    def wait_no_longer(self) -> None:
        """Leave log_prob at once where the run stops; also from within a signal handler."""
        self.grace = 0.0

    def stop(self, reason: str) -> None:
        """Stop, and tell all other ranks; also from within a signal handler.

        Parameters
        ----------
        reason : str
            The first one counts.

        """
        if not self.stop_reason:
            self._stopped = time.monotonic()
            self.stop_reason = reason
            self._control.spread(Stop(reason))

    def stopped_by(self, message: Stop) -> None:
        """Take in that another rank stops the run.

        Parameters
        ----------
        message : Stop
            As it came; its reason counts where none was known.

        """
        if not self.stop_reason:
            self._stopped = time.monotonic()
            self.stop_reason = message.reason
            self._control.spread(message)
