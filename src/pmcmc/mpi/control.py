"""Small messages between ranks, and how a failure on one of them ends the run on all."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from mpi4py import MPI

from ..errors import ControlFlow, PmcmcError
from ..pickles import pack, unpack
from .broadcast import Broadcast, room
from .failure import error_of
from .outbox import Outbox
from .startup import abort, where
from .waiting import probe_twice, wait_for, wait_until

if TYPE_CHECKING:
    from .._types import Comm

_LATE = 60.0  # seconds
GRACE = 4.0  # seconds for the other ranks to take part in an orderly end, before an abort


@dataclass(frozen=True)
class _Value:
    """A rank to rank 0: its part of ``gather_and_decide``."""

    value: Any


@dataclass(frozen=True)
class _Broadcast:
    """Rank 0 to all: join a broadcast of buffers of these sizes, in bytes."""

    sizes: list[int]


@dataclass(frozen=True)
class _Failed:
    """A rank to rank 0: it has failed, and waits to be told to leave."""

    error: PmcmcError


@dataclass(frozen=True)
class _Leave:
    """Rank 0 to all: a rank has failed. Join ``rounds`` gathers in all, answer, and leave."""

    error: PmcmcError
    rounds: int


@dataclass(frozen=True)
class _Left:
    """A rank to rank 0: it leaves."""


class MustLeave(ControlFlow):
    """Rank 0 told this rank of a failure somewhere; its argument is the message."""


class PeerFailed(ControlFlow):
    """Another rank told this one, rank 0, of its failure; its argument is the error."""


class ControlChannel:
    """Small messages between ranks, and the orderly end after a failure.

    A rank that fails tells rank 0, rank 0 tells all, and all leave with the same error. Where
    someone does not answer in time (it is inside a long log_prob), the job is aborted instead.
    Whoever waits here for a message or another rank hears of a failure by MustLeave, or on rank 0
    by PeerFailed: nobody waits for ever.

    Parameters
    ----------
    comm : MPI communicator
        Duplicated here; every rank calls this together.

    Attributes
    ----------
    rounds : int
        Gathers that rank 0 has called for.
    leave : callable
        ``leave(rounds, deadline)`` ends what is under way when a rank has failed; False if it
        could not by then.
    meanwhile : callable
        Called while this rank waits for what rank 0 decides.

    """

    def __init__(self, comm: Comm) -> None:
        self.comm = comm.Dup()
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        self.where = where(self.comm)
        self.rounds = 0
        self.leave: Callable[[int, float], bool] = lambda rounds, deadline: True
        self.meanwhile: Callable[[], object] = lambda: None
        self._to_self: deque[Any] = deque()
        self._values: dict[int, Any] = {}  # for the next decision; other ranks may be there first
        self._broadcasts: deque[Broadcast] = deque()  # under way
        self._outbox = Outbox(self.comm)
        self._next_look = 0.0
        self._status = MPI.Status()

    def send(self, message: object, to: int = 0) -> None:
        """Send a message, without waiting; to this rank itself, too.

        Parameters
        ----------
        message : object
            Anything that can be pickled.
        to : int
            The rank. Default: 0.

        """
        if to == self.rank:
            self._to_self.append(message)
            return
        self._outbox.send(message, [to])

    def send_to_each(self, message: object, ranks: Sequence[int]) -> None:
        """Send the same message to several ranks, without waiting; to this rank itself, too."""
        others = [rank for rank in ranks if rank != self.rank]
        self._to_self += [message] * (len(ranks) - len(others))
        self._outbox.send(message, others)

    def broadcast_from_root(self, message: object) -> None:
        """Send a message from rank 0 to all others, without waiting."""
        self.send_to_each(message, range(1, self.size))

    def spread(self, message: object) -> None:
        """Send from any rank towards all others, as `Outbox.spread` does."""
        self._outbox.spread(message)

    def send_to_all(self, message: object) -> None:
        """Send from any rank to all others; also out of a signal handler, within another send."""
        self._outbox.send_to_all(message)

    def receive(self) -> tuple[int, object] | None:
        """Return a message that has come, as (rank that sent it, message); None if there is none.

        Raises
        ------
        MustLeave, PeerFailed
            If it says that some rank has failed.

        """
        if self._to_self:
            return self.rank, self._to_self.popleft()
        if self.size == 1:
            return None
        found = probe_twice(lambda: self.comm.improbe(status=self._status), times=8)
        if found is None:
            return None
        source, message = self._status.Get_source(), found.recv()
        match message:
            case _Leave():
                raise MustLeave(message)
            case _Failed(error):
                raise PeerFailed(error)
            case _Value(value):
                self._values[source] = value
            case _Broadcast(sizes):  # joined at once, so that no failure can leave it open
                self._broadcasts.append(Broadcast(self.comm, room(sizes)))
        return source, message

    def take_in(self) -> None:
        """Hear of failures elsewhere, before the work: then nothing else comes but values.

        Raises
        ------
        MustLeave, PeerFailed
            As ``receive``.

        """
        while self.receive() is not None:
            pass

    def due(self) -> bool:
        """Tell whether it is time to look for messages: cheap enough for every evaluation."""
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + 0.02
        return True

    def gather_and_decide(
        self,
        value: Any,
        decide: Callable[[list[Any]], Any],
        late: Callable[[list[int]], None] = lambda ranks: None,
    ) -> Any:
        """Give rank 0 every rank's value, and every rank what it decides; collective.

        Parameters
        ----------
        value : object
            This rank's; pickled.
        decide : callable
            Called on rank 0 with the list of values, by rank. Its result is pickled.
        late : callable
            Called on rank 0, once, with the ranks that have given nothing after a minute.

        Returns
        -------
        object
            What ``decide`` returned, on every rank. What it raises is raised on rank 0 only.

        """
        if self.size == 1:
            return decide([value])
        if self.rank > 0:
            self.send(_Value(value))
            return unpack(self.broadcast())
        self._values[0] = value

        due = time.monotonic() + _LATE

        def complete() -> bool:
            nonlocal due
            self.take_in()  # values are put aside; else it is a late word of the work before
            if time.monotonic() > due:
                due = math.inf
                late([rank for rank in range(self.size) if rank not in self._values])
            return bool(len(self._values) == self.size)

        wait_for(complete)
        values, self._values = self._values, {}
        result = decide([values[rank] for rank in range(self.size)])
        self.broadcast(pack(result))
        return result

    def broadcast(self, buffers: list[Any] | None = None) -> list[Any]:
        """Send buffers from rank 0 to all; collective.

        Parameters
        ----------
        buffers : list of bytes-like, optional
            On rank 0, as `broadcast.pack` returns them; None elsewhere.

        Returns
        -------
        list of bytes-like
            On rank 0 the same, elsewhere new arrays of uint8.

        """
        if buffers is not None and self.size > 1:
            self._broadcasts.append(Broadcast(self.comm, buffers))
            self.broadcast_from_root(_Broadcast([len(buffer) for buffer in buffers]))
        elif buffers is not None:
            return buffers

        def done() -> bool:
            self.receive()
            if self._broadcasts:
                return self._broadcasts[0].done()
            self.meanwhile()
            return False

        wait_for(done)
        return self._broadcasts.popleft().buffers

    def close(self) -> None:
        """Wait until all messages are away, and free the communicator; every rank together."""
        wait_for(self._outbox.is_empty)
        self.comm.Free()

    # ---- failures

    def end(self, failure: BaseException) -> NoReturn:
        """End the run on all ranks after a failure on this one, or one announced to it.

        Parameters
        ----------
        failure : BaseException
            What was raised here; MustLeave and PeerFailed announce another rank's.

        Raises
        ------
        PmcmcError
            On every rank, of the same class and with the same message. Does not return; aborts
            the job if another rank does not answer.

        """
        if isinstance(failure, MustLeave):
            first = self._leave_orderly(failure.args[0])
        elif isinstance(failure, PeerFailed):
            first = self._tell(failure.args[0])
        else:
            first = mine = error_of(failure, self.rank, self.where)
            if self.size > 1:
                first = self._tell(mine)
            if first == mine:
                raise (failure if isinstance(failure, PmcmcError) else first) from failure
        raise first

    def _tell(self, error: PmcmcError) -> PmcmcError:
        """Tell everyone, and return the failure that was announced: one for all ranks."""
        limit = time.monotonic() + GRACE
        if self.rank > 0:
            self.send(_Failed(error))
            limit += 2.0 * self.rank / self.size  # rank 0 may be busy: one of us must speak first
            while time.monotonic() < limit:
                try:
                    self.receive()
                except MustLeave as must_leave:
                    return self._leave_orderly(must_leave.args[0])
                time.sleep(1e-3)
            abort(error)
        self.broadcast_from_root(_Leave(error, self.rounds))
        missing = set(range(1, self.size))
        if not self._finish(self.rounds, limit):
            abort(error)
        while missing and time.monotonic() < limit:
            try:
                found = self.receive()
            except PeerFailed:
                continue  # it failed too; it will hear of this failure and leave
            if found is None:
                time.sleep(1e-3)
            elif isinstance(found[1], _Left):
                missing.discard(found[0])
        if missing:
            abort(error)
        return error

    def _leave_orderly(self, message: _Leave) -> PmcmcError:
        limit = time.monotonic() + GRACE + 2.0
        left = self._finish(message.rounds, limit)
        self.send(_Left())
        while not (sent := self._outbox.is_empty(False)) and time.monotonic() < limit:
            time.sleep(1e-3)
        if not left or not sent:
            abort(message.error)
        return message.error

    def _finish(self, rounds: int, limit: float) -> bool:
        """End the collective calls under way, which all ranks join; False if some did not."""

        def done() -> bool:
            return all(broadcast.done() for broadcast in self._broadcasts)

        return wait_until(done, limit - time.monotonic()) and self.leave(rounds, limit)
