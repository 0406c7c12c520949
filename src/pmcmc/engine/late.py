"""Calls of log_prob that last: a rank tells of its own, rank 0 knows them all, and leaves them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from ..mpi.control import ControlChannel
from .deadline import Deadline
from .messages import GiveUp, LongCall, Out, Returned
from .progress import ProgressReporter
from .state import RunState

_LONG, _TIMES = 60.0, 20.0  # a call lasts after 60 s, or 20 times the usual if that is more
_TO_SAY = 2.0  # seconds after a stop until it is said what is waited for
_SILENT = 5.0  # seconds after the grace: a team root that has said nothing by then is left


class OwnCall:
    """Tells rank 0 of the call that this rank is in, where it lasts; a message at a time.

    Parameters
    ----------
    where : str
        This rank and host.
    at : callable
        Returns where log_prob is at work, in words.

    Attributes
    ----------
    lasts : bool
        Whether rank 0 was told of one, and not yet that it has returned.

    """

    def __init__(self, where: str, at: Callable[[], str]) -> None:
        self._where, self._at = where, at
        self._to_tell: deque[LongCall | Returned] = deque()
        self.lasts = False

    def look(self, seconds: float, usual: float, stopping: bool) -> None:
        """Look at a call that has taken so long.

        Parameters
        ----------
        seconds : float
            Since it began.
        usual : float
            Seconds that a call takes here.
        stopping : bool
            Whether the run stops: then each counts.

        """
        if not self.lasts and (stopping or seconds > max(_LONG, _TIMES * usual)):
            self.lasts = True
            self._to_tell.append(LongCall(self._where, self._at().strip(), time.time() - seconds))

    def returned(self) -> None:
        """Take in that this rank is in no call."""
        if self.lasts:
            self.lasts = False
            self._to_tell.append(Returned())

    def tell(self, control: ControlChannel) -> None:
        """Send what there is to tell; by whoever looks for messages."""
        while self._to_tell:
            control.send(self._to_tell.popleft())


class LateRanks:
    """What rank 0 knows of calls that last, and how the job ends without them.

    Parameters
    ----------
    size : int
        Ranks in all.
    members : set of int
        Ranks that only take part in the evaluations of another: they are silent but in a call.
    control : ControlChannel
    state : RunState
        Rank 0's.
    reporter : ProgressReporter
    deadline : Deadline
    leave : callable
        Ends the job, when all is on the disk and log_prob still keeps some ranks.

    """

    def __init__(
        self,
        size: int,
        members: set[int],
        control: ControlChannel,
        state: RunState,
        reporter: ProgressReporter,
        deadline: Deadline,
        leave: Callable[[], None],
    ) -> None:
        self._size, self._members = size, members
        self._control, self._state = control, state
        self._reporter, self._deadline = reporter, deadline
        self._leave = leave
        self._calls: dict[int, LongCall] = {}
        self._out: set[int] = set()  # ranks that have done their part
        self._grace: float | None = None  # as all ranks were told
        self._over: float | None = None  # when the run was found to be over
        self._said = False

    def handle(self, source: int, message: LongCall | Returned | Out) -> None:
        """Take in what a rank says of its call.

        Parameters
        ----------
        source : int
            That rank.
        message : LongCall, Returned or Out
            What it says.

        """
        if isinstance(message, Out):
            self._out.add(source)
            return
        if isinstance(message, LongCall):
            self._calls[source] = message
        else:
            self._calls.pop(source, None)
        self._reporter.long_calls = list(self._calls.values())
        if not self._state.stopping:
            self._reporter.tell_of_calls()

    @property
    def all_out(self) -> bool:
        """Whether all ranks have done their part."""
        return len(self._out) == self._size

    def kept(self, done: set[int]) -> list[str]:
        """Return the ranks that log_prob keeps, and where it is at work as far as they tell.

        Parameters
        ----------
        done : set of int
            Roots of teams that take no more steps: they wait for others.

        Returns
        -------
        list of str

        """
        silent = set(range(self._size)) - self._members - self._out - done - set(self._calls)
        told = [f"{c.where.removeprefix(' on ')}, {c.parameters}" for c in self._calls.values()]
        return told + [f"rank {rank}, which is silent" for rank in sorted(silent)]

    def mind_stop(self, done: set[int], all_done: bool) -> bool:
        """Tell all how long log_prob is waited for, and the user for what.

        Parameters
        ----------
        done : set of int
            As for ``kept``.
        all_done : bool
            Whether these are the roots of all teams.

        Returns
        -------
        bool
            Whether it is time to go on without the others.

        """
        if self._grace is None and (left := self._deadline.left()) is not None:
            self._state.grace = min(self._state.grace, max(0.0, left - 2 * _SILENT))
        if self._grace != self._state.grace:
            self._grace = self._state.grace
            self._control.broadcast_from_root(GiveUp(self._grace))
        if not self._said and self._state.since_stop > _TO_SAY and not all_done:
            self._said = True
            self._reporter.tell_of_stop(self._state.stop_reason, self._grace, self.kept(done))
        return self.time_is_up and not all_done

    @property
    def time_is_up(self) -> bool:
        """Whether ranks that are silent after a stop are waited for no longer."""
        return self._state.overdue > _SILENT

    def leave_if_late(self) -> None:
        """End the job where all is on the disk, and log_prob still keeps some ranks."""
        self._over = self._over or time.monotonic()
        if self.time_is_up and time.monotonic() - self._over > _SILENT / 2 and not self.all_out:
            self._leave()
