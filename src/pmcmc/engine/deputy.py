"""The end of a run whose rank 0 is lost to a log_prob that keeps Python's own lock for ever."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import NoReturn

from .. import streams
from ..errors import ExitStatus, PmcmcError
from ..mpi.control import ControlChannel
from ..mpi.guard import ExitGuard
from ..mpi.startup import abort_with
from ..mpi.waiting import wait_until
from ..options import RunOptions
from ..prepare.output import OutputClaim
from ..sampler.state import Block
from ..storage.lock import BEAT, holder
from ..storage.writer import RunWriter
from ..text import count_text
from .messages import SendBlocks
from .state import RunState

_WITHOUT_ROOT = 15.0  # seconds after the grace for rank 0 to end the run; one more for each rank
_SILENT, _LOOK = 2 * BEAT + 5.0, 2.0  # seconds without a sign of life; between looks
_APART = 5.0  # seconds between the turns of ranks: one has to speak first
_TO_ARRIVE = 3.0  # seconds for the blocks of the other ranks
_TO_END = 30.0  # seconds for another rank that does all this


class Deputy:
    """Commits in the place of rank 0, and ends the job.

    Parameters
    ----------
    control : ControlChannel
    output : OutputClaim
        Of this rank, which holds nothing.
    state : RunState

    """

    def __init__(self, control: ControlChannel, output: OutputClaim, state: RunState) -> None:
        self._control, self._output, self._state = control, output, state
        self._after = 0.0
        self._blocks: list[Block] = []

    def another(self, source: int) -> None:
        """Leave it to another rank for a while, which asks for blocks."""
        if source > 0:
            ExitGuard.release()  # it will end all
            self._after = time.monotonic() + _TO_END

    def add(self, blocks: list[Block]) -> None:
        """Take in what another rank has."""
        self._blocks += blocks

    @property
    def is_due(self) -> bool:
        """Whether rank 0 has not ended the run in time, and it is this rank's turn to do so."""
        rank = self._control.rank
        now = time.monotonic()
        if rank == 0 or self._state.overdue < _WITHOUT_ROOT + rank or now < self._after:
            return False
        self._after = now + _LOOK
        place = self._output.place
        found = None if place is None else holder(place.path)
        # the lock's sign of life comes from a thread, also while rank 0 writes
        return found is None or found[1] > _SILENT + _APART * (rank - 1)

    def end(self, own: list[Block], listen: Callable[[], None]) -> NoReturn:
        """Commit what all ranks but rank 0 have, and end all ranks.

        Parameters
        ----------
        own : list of Block
            What this rank has.
        listen : callable
            Takes in messages.

        """
        self._after = float("inf")
        self._blocks += own
        self._control.send_to_all(SendBlocks())

        def wait() -> bool:
            listen()
            return False

        wait_until(wait, _TO_ARRIVE)
        kept = "its draws since the last commit are taken again by --resume"
        try:
            rows = self._commit()
        except (PmcmcError, OSError) as exc:
            kept = f"the draws since the last commit are taken again by --resume ({exc})"
        else:
            if rows:
                kept = f"{kept}; {count_text(rows, 'step')} of other ranks are committed"
        streams.tell(
            "pmcmc: log_prob has not returned on rank 0, and keeps Python's own lock there: it is "
            f"left; {kept}",
            error=True,
        )
        abort_with(ExitStatus.STOPPED)
        raise SystemExit(ExitStatus.STOPPED)  # not reached

    def _commit(self) -> int:
        """Write the blocks into a copy that takes the file's place; return how many steps."""
        place = self._output.place
        if place is None or not self._blocks or not place.path.exists():
            return 0
        claim = OutputClaim(place.path)
        with contextlib.ExitStack() as last:
            last.callback(claim.release)
            reader = claim.claim(RunOptions(resume=True, break_lock=True))
            if reader is None:
                return 0
            store = RunWriter(claim.place, reader.header, False, claim.allowed)
            store.reopen(reader, taken_over=True)
            before = int(store.steps.sum())
            store.write(store.lacking(self._blocks), "stopped")
            return int(store.steps.sum()) - before
