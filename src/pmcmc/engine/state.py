"""What a rank knows of the course of the run: whether it stops, and how it ended."""

from __future__ import annotations

from ..mpi.control import ControlChannel
from .messages import Finished, Stop


class RunState:
    """Whether the run stops, and how it ended; one on each rank.

    Parameters
    ----------
    control : ControlChannel
        Takes a stop to the other ranks.

    Attributes
    ----------
    stop_reason : str
        Why the run stops, as the first said it; "" while it does not.
    outcome : Finished or None
        How it ended, once that is known here.

    """

    def __init__(self, control: ControlChannel) -> None:
        self._control = control
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

    def stop(self, reason: str) -> None:
        """Stop, and tell all other ranks; also from within a signal handler.

        Parameters
        ----------
        reason : str
            The first one counts.

        """
        if not self.stop_reason:
            self.stop_reason = reason
            self._control.send_to_all(Stop(reason))

    def stopped_by(self, message: Stop) -> None:
        """Take in that another rank stops the run.

        Parameters
        ----------
        message : Stop
            As it came; its reason counts where none was known.

        """
        self.stop_reason = self.stop_reason or message.reason
