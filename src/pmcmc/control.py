"""What ranks tell each other beside the work, and how a failure on one of them ends all."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from mpi4py import MPI

from .comm import abort, look, wait_for, where
from .errors import ControlFlow, Interrupted, PmcmcError, RankError
from .signals import Signalled

GRACE = 4.0  # seconds for the other ranks to take part in an orderly end, before an abort
_TAG_UP, _TAG_DOWN = 1, 2


class Announced(ControlFlow):
    """A failure somewhere was announced to this rank: leave."""


class PeerFailed(ControlFlow):
    """Another rank told this one, rank 0, of its failure."""


class Control:
    """Small messages to and from rank 0, and the orderly end after a failure.

    A rank that fails tells rank 0, rank 0 tells all, and all leave with the same RankError. Where
    someone does not answer in time (it is inside a long log_prob), the job is aborted instead.

    Parameters
    ----------
    comm : MPI communicator
        Duplicated here; every rank calls this together.

    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm.Dup()
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        self.where = where(self.comm)
        self.rounds = 0  # gathers that rank 0 has called for
        # leave(rounds, deadline) ends what is under way, or tells that it could not
        self.leave: Callable[[int, float], bool] = lambda rounds, deadline: True
        self._values: dict[int, Any] = {}  # for the next exchange; other ranks may be there first
        self._sent: list[Any] = []
        self._shouted: list[Any] = []
        self._next_look = 0.0
        self._status = MPI.Status()

    def send(self, kind: str, value: Any = None, to: int = 0) -> None:
        """Send a message, without waiting; to rank 0, or from it."""
        tag = _TAG_UP if to == 0 else _TAG_DOWN
        self._sent = [r for r in self._sent if not r.Test()]
        self._sent.append(self.comm.isend((kind, value), to, tag))

    def announce(self, kind: str, value: Any = None) -> None:
        """Send from rank 0 to all others."""
        for rank in range(1, self.size):
            self.send(kind, value, to=rank)

    def shout(self, kind: str, value: Any = None) -> None:
        """Send from any rank to all others; also out of a signal handler, within another send."""
        for rank in range(self.size):
            if rank != self.rank:
                tag = _TAG_UP if rank == 0 else _TAG_DOWN
                self._shouted.append(self.comm.isend((kind, value), rank, tag))

    def receive(self) -> tuple[int, str, Any] | None:
        """Return a message (rank, kind, value) that has come, or None.

        Raises
        ------
        Announced, PeerFailed
            If it says that some rank has failed.

        """
        if self.size == 1:
            return None
        message = look(lambda: self.comm.improbe(status=self._status), times=8)
        if message is None:
            return None
        source = self._status.Get_source()
        kind, value = message.recv()
        if kind == "failed":
            raise Announced(*value)
        if kind == "fail":
            raise PeerFailed(value)
        if kind == "value":
            self._values[source] = value
        return source, kind, value

    def due(self) -> bool:
        """Tell whether it is time to look for messages: cheap enough for every evaluation."""
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + 0.02
        return True

    def exchange(self, value: Any, decide: Callable[[list[Any]], Any]) -> Any:
        """Give rank 0 every rank's ``value``, and every rank what ``decide`` makes of them.

        ``decide`` runs on rank 0. Nobody waits for ever: a failure of one is announced to all.
        """
        if self.rank > 0:
            self.send("value", value)
            answer: list[Any] = []

            def answered() -> bool:
                if (message := self.receive()) is not None and message[1] == "answer":
                    answer.append(message[2])
                return bool(answer)

            wait_for(answered)
            return answer[0]
        self._values[0] = value

        def complete() -> bool:
            while self.receive() is not None:
                pass  # a value was put aside; else it is a late word of the work before
            return bool(len(self._values) == self.size)

        wait_for(complete)
        values, self._values = self._values, {}
        result = decide([values[rank] for rank in range(self.size)])
        self.announce("answer", result)
        return result

    def close(self) -> None:
        """Wait until all messages are away, and free the communicator; every rank together."""
        wait_for(lambda: all(r.Test() for r in (*self._sent, *self._shouted)))
        self.comm.Free()

    # ---- failures

    def end(self, failure: BaseException) -> NoReturn:
        """End the run on all ranks after a failure on this one, or one announced to it.

        Raises
        ------
        PmcmcError
            On every rank, of the same class and with the same message. Does not return; aborts
            the job if another rank does not answer.

        """
        if isinstance(failure, Announced):
            first, rounds = failure.args
            self._leave_orderly(first, rounds)
        elif isinstance(failure, PeerFailed):
            first = self._tell(failure.args[0])
        else:
            first = mine = self.describe(failure)
            if self.size > 1:
                first = self._tell(mine)
            if first == mine:
                raise (failure if isinstance(failure, PmcmcError) else first) from failure
        raise first

    def describe(self, failure: BaseException) -> PmcmcError:
        """Return a failure as an error of pmcmc's; a surprise with rank, host and traceback."""
        if isinstance(failure, PmcmcError):
            return type(failure)(str(failure))
        if isinstance(failure, Signalled):
            return Interrupted(
                f"stopped by {failure.args[0]}{self.where} before the sampling began: nothing was "
                "written"
            )
        lines = "".join(traceback.format_exception(failure)).rstrip()
        return RankError(f"{type(failure).__name__}: {failure}{self.where}\n{lines}")

    def _tell(self, error: PmcmcError) -> PmcmcError:
        """Tell everyone, and return the failure that was announced: one for all ranks."""
        limit = time.monotonic() + GRACE
        if self.rank > 0:
            self.send("fail", error)
            limit += 2.0 * self.rank / self.size  # rank 0 may be busy: one of us must speak first
            while time.monotonic() < limit:
                try:
                    self.receive()
                except Announced as announced:
                    first, rounds = announced.args
                    self._leave_orderly(first, rounds)
                    return first  # type: ignore[no-any-return]
                time.sleep(1e-3)
            abort(error)
        self.announce("failed", (error, self.rounds))
        missing = set(range(1, self.size))
        if not self.leave(self.rounds, limit):
            abort(error)
        while missing and time.monotonic() < limit:
            try:
                message = self.receive()
            except PeerFailed:
                continue  # it failed too; it will hear of this failure and leave
            if message is None:
                time.sleep(1e-3)
            elif message[1] == "left":
                missing.discard(message[0])
        if missing:
            abort(error)
        return error

    def _leave_orderly(self, error: PmcmcError, rounds: int) -> None:
        limit = time.monotonic() + GRACE + 2.0
        left = self.leave(rounds, limit)
        self.send("left")
        while self._sent and time.monotonic() < limit:
            self._sent = [r for r in self._sent if not r.Test()]
            time.sleep(1e-3)
        if not left or self._sent:
            abort(error)
