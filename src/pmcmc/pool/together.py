"""One evaluation of log_prob by several ranks: theta to all, failures of any to the first.

The first rank of a group, its root, is one that takes part in a team. The others, its members,
wait for theta. All call log_prob at once with a communicator of the group, whose traffic is the
model's own; what is said here goes by another.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from mpi4py import MPI

from ..errors import EvaluationError
from ..model.rejects import RaisedElsewhere, TookTooLong
from ..mpi.waiting import wait_for
from ..text import duration_text
from ..tracebacks import last_line

if TYPE_CHECKING:
    from .._types import Comm, FloatArray, Tick

_CALL, _FAILURE = 1, 2  # tags
_PATIENCE = 60.0  # seconds for the others of a call that failed, beyond thrice the longest so far


class EvaluationGroup:
    """Ranks that evaluate log_prob together; every one of them makes it.

    Parameters
    ----------
    comm : MPI communicator
        Of the group. Freed by ``close``.
    where : str
        This rank and host.

    Attributes
    ----------
    tick : callable
        Called while a rank waits for the others; what it raises ends the wait.
    rejecting : bool
        Whether a call that fails ends the evaluation only: all ranks have to come back from it.
    patience : float
        Seconds after which no other rank can be in a call any more; inf where nothing says so.
    own_part_is_over : callable
        Called when this rank's part of a call is over, and it begins to wait for the others.
    describe : callable
        Returns a row of parameters, (ndim,), in words.

    """

    def __init__(self, comm: Comm, where: str) -> None:
        self.comm, self._where = comm, where
        self.size, self.is_root = comm.Get_size(), comm.Get_rank() == 0
        self.tick: Tick = lambda: None
        self.rejecting = False
        self.patience = math.inf
        self.own_part_is_over: Callable[[], None] = lambda: None
        self.describe: Callable[[FloatArray], str] = lambda theta: ""
        self._for_model = comm.Dup()
        self._sent: list[Any] = []
        self._flags: Any = None
        self._longest = 0.0  # seconds of a call, so far
        self._status = MPI.Status()

    # ---- the root

    def call(self, function: Callable[[Comm], Any], theta: FloatArray) -> Any:
        """Have all ranks of the group evaluate log_prob; called by the root.

        Parameters
        ----------
        function : callable
            The root's part: takes the communicator.
        theta : ndarray (ndim,) or (n, ndim)
            Where; sent to the others.

        Returns
        -------
        object
            What ``function`` returns.

        Raises
        ------
        RaisedElsewhere, TookTooLong
            If another rank's part raised, and that is to be rejected. What ``function`` raises
            passes through.

        """
        rows = np.ascontiguousarray(theta, dtype=np.float64)
        shape = np.array([0.0 if rows.ndim == 1 else len(rows)])
        message = np.concatenate([shape, rows.ravel()])
        self._sent = [pair for pair in self._sent if not pair[0].Test()]
        for member in range(1, self.size):
            self._sent.append((self.comm.Isend(message, member, _CALL), message))
        value, failure = self._take_part(function, rows)
        if failure is not None:
            raise failure
        return value

    # ---- the others

    def attend(self, take_part: Callable[[FloatArray, Comm], None]) -> bool:
        """Take part in an evaluation if the root has called for one.

        Parameters
        ----------
        take_part : callable
            Takes theta, (ndim,) or (n, ndim), and the communicator. Raises EvaluationError where
            the run has to end, and anything else where the evaluation is to be rejected.

        Returns
        -------
        bool
            Whether there was one.

        """
        if self.is_root or not self.comm.Iprobe(0, _CALL, self._status):
            return False
        message = np.empty(self._status.Get_count(MPI.DOUBLE))
        self.comm.Recv(message, 0, _CALL)
        rows, values = int(message[0]), message[1:]
        theta = values.reshape(rows, -1) if rows else values
        self._take_part(lambda comm: take_part(theta, comm), theta)
        return True

    # ---- all

    def _take_part(
        self, function: Callable[[Comm], Any], theta: FloatArray
    ) -> tuple[Any, BaseException | None]:
        """Call this rank's part; return its value, and what has failed here or elsewhere."""
        began, failure, value = time.monotonic(), None, None
        theta = theta.copy()  # the function may write into it
        try:
            try:
                value = function(self._for_model)
            finally:
                self.own_part_is_over()
        except (Exception, TookTooLong) as exc:
            self.own_part_is_over()  # the time limit may have struck just there
            if not self.rejecting or isinstance(exc, EvaluationError):
                raise
            failure = exc
        took = time.monotonic() - began
        failed = self._compare(failure, took, theta)
        if not failed:
            self._longest = max(self._longest, took)
            return value, None
        # messages that were left behind must not reach the next evaluation
        self._for_model.Free()
        self._for_model = self.comm.Dup()
        if self.is_root and failure is None:
            failure = self.comm.recv(source=failed[0], tag=_FAILURE)
        elif not self.is_root and failure is not None and failed[0] == self.comm.Get_rank():
            self._sent.append((self.comm.isend(self._to_root(failure), 0, _FAILURE), None))
        return value, failure

    def _to_root(self, failure: BaseException) -> BaseException:
        if isinstance(failure, TookTooLong):
            return TookTooLong(f"{failure}{self._where}")
        return RaisedElsewhere(f"{last_line(failure)}{self._where}")

    def _compare(self, failure: BaseException | None, took: float, theta: FloatArray) -> list[int]:
        """Wait for all ranks to come back from their calls; return those that failed."""
        mine = np.array([failure is not None], dtype=np.uint8)
        theirs = np.zeros(self.size, dtype=np.uint8)
        request, since = self.comm.Iallgather(mine, theirs), time.monotonic()
        self._flags = request, mine, theirs  # MPI may still write, where the wait is left
        most = min(self.patience, _PATIENCE + 3 * max(self._longest, took))

        def all_are_back() -> bool:
            if request.Test():
                return True
            if failure is not None and time.monotonic() - since > most:
                raise EvaluationError(
                    f"log_prob failed{self._where}, and another of the {self.size} ranks that "
                    f"evaluate it together has not come back {duration_text(most)} later\n"
                    f"{self.describe(np.atleast_2d(theta)[0])}\n{last_line(failure)}\n"
                    "  Does it wait in comm for this rank? With --on-error reject let all ranks "
                    "raise, which\n  comm.allreduce of a flag tells them, or the first one return "
                    "NaN"
                ) from failure
            return False

        wait_for(all_are_back, self.tick)
        return [int(rank) for rank in np.flatnonzero(theirs)]

    def close(self) -> None:
        """Free the communicators; every rank, when no call is under way."""
        self._for_model.Free()
        self.comm.Free()


def group_of_one() -> EvaluationGroup:
    """Return the group of this process alone, whatever job it is in."""
    return EvaluationGroup(MPI.COMM_SELF.Dup(), "")
