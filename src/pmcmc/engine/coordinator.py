"""What rank 0 does beside sampling: the file, calls for commits, checks, the end of the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..mpi.control import ControlChannel
from ..prepare.output import OutputClaim
from ..prepare.setup import Setup
from ..sampler.state import Block
from ..storage.writer import RunWriter
from .checking import DrawsChecker
from .deadline import Deadline
from .late import LateRanks
from .late_gather import LateGather
from .messages import (
    Blocks,
    Commit,
    Finished,
    Full,
    LongCall,
    Optima,
    Out,
    Progress,
    Restart,
    Returned,
    SendBlocks,
)
from .pooled_start import PooledStart
from .progress import ProgressReporter
from .state import RunState

_LATE = 20.0  # seconds that a gather may take; then the blocks come as messages


class Coordinator:
    """Calls for commits and writes them, has the draws checked, and says when all is over.

    Each team root tells of its progress. When all are done, or have left their step for a stop,
    the last commit is called for. Where the run has a stop rule, or burn-in ends by itself, no
    commit goes past the next check: when all ensembles are there, it is decided from the file.

    Parameters
    ----------
    setup : Setup
    control : ControlChannel
    state : RunState
        Rank 0's; the coordinator ends the run when the time is up.
    reporter : ProgressReporter
    output : OutputClaim
        Holds the lock, and the reader of a file that is resumed.
    deadline : Deadline
    leave : callable
        Ends the job, when all is on the disk and log_prob still keeps some ranks.

    Attributes
    ----------
    store : RunWriter
    checker : DrawsChecker

    """

    def __init__(
        self,
        setup: Setup,
        control: ControlChannel,
        state: RunState,
        reporter: ProgressReporter,
        output: OutputClaim,
        deadline: Deadline,
        leave: Callable[[], None],
    ) -> None:
        self._setup, self._control, self._state = setup, control, state
        self._reporter, self._output, self._deadline = reporter, output, deadline
        self._roots = [team.root for team in setup.plan.teams]
        self._progress: dict[int, Progress] = {}  # the last of each team root
        self._full = self._calling = self._final = False
        self._called = time.monotonic()
        self._slowest = 0.0  # seconds from a call to the disk
        self._late_gather = LateGather()
        members = {rank for group in setup.plan.groups for rank in group[1:]}
        size = setup.plan.size
        self.late = LateRanks(size, members, control, state, reporter, deadline, leave)
        self.store = RunWriter(
            output.place,
            setup.header,
            setup.options.overwrite,
            output.allowed,
        )
        self._start = PooledStart(
            setup.header.circles, setup.plan.nensembles, self.store, reporter
        )
        self.checker = DrawsChecker(setup, self.store, state, reporter, self._tell_roots)

    def begin(self) -> None:
        """Tell every team root where its ensembles go on, and call for the first commit.

        A new file is made as soon as all ensembles have begun.
        """
        reader = self._output.reader
        if reader is not None:
            self.store.reopen(reader, self._output.remark is not None)
            if self.checker.rules.due_at_once(self.store.steps):
                self._check()
            reader = self.store.read()
        burnin = self.store.header.burnin if self.checker.rules.settled else None
        to_begin = 0
        for team in self._setup.plan.teams:
            states = [reader.saved(e) if reader is not None else None for e in team.ensembles]
            to_begin += sum(state is None for state in states)
            self._control.send(Restart(states, burnin), to=team.root)
        self.checker.begin()
        if reader is not None:
            self._start.go_on(reader.header.origin.get("start", ""), to_begin)
            self.store.commit([])  # it is running again
        self._call()

    def finish(self) -> str:
        """Bring a file that has all its steps up to what it is.

        Returns
        -------
        str
            The status: "finished" or "short".

        Raises
        ------
        StoreError
            If the file cannot be written.

        """
        reader = self._output.reader
        assert reader is not None
        self.store.reopen(reader, self._output.remark is not None)
        status = self.checker.final_status()
        if tuple(self.store.rows) != self.store.header.steps:
            self._cut(status)  # its stop rule is met
        elif self.store.status != status:
            self.store.commit([], status)
        return status

    def handle(
        self, source: int, message: Progress | Full | Blocks | LongCall | Returned | Out | Optima
    ) -> None:
        """Take in what a rank says.

        Parameters
        ----------
        source : int
            That rank.
        message : Progress, Full, Blocks, LongCall, Returned, Out or Optima
            What it says.

        """
        match message:
            case Optima(ensemble, found):
                begin = self._start.take(ensemble, found)
                if begin is not None:
                    self._tell_roots(begin)
            case Blocks(blocks):
                self._late_gather.take(blocks)
            case LongCall() | Returned() | Out():
                self.late.handle(source, message)
            case Progress():
                self._progress[source] = message
                self._reporter.progress(source, message)
            case Full():
                self._full = True

    def decide_next(self) -> None:
        """Call for a commit if one is due; stop if the time is up."""
        late = self._late_gather
        if self._state.over:
            self.late.leave_if_late()
            return
        if not self._state.stopping:
            why = self._deadline.passed(2 * self._slowest + 2 * self._setup.seconds)
            if why is not None:
                self._state.stop(why)
        if self._state.stopping:
            done = self._done()
            if self.late.mind_stop(done, len(done) == len(self._roots)) and late.asked is None:
                self._ask_for_blocks()
        since = time.monotonic() - self._called
        if (gathered := late.released()) is not None:
            self.commit(gathered)
            return
        if late.asked is not None:
            if late.due:
                self._commit_arrived()
            return
        if self._calling:
            if since > max(_LATE, self._setup.options.checkpoint):
                self._ask_for_blocks()
            return
        if self._at_limit() and not self._state.stopping:  # also where all steps are taken
            self._call()
        elif self._all(lambda p: p.done):
            if any(p.steps for p in self._progress.values()) or self.store.created:
                self._call(final=True)
            else:
                self._end("stopped")  # before all had begun: there is nothing to commit
        elif self._full or since > self._setup.options.checkpoint:
            self._full = False
            self._call()

    def kept(self) -> list[str]:
        """Return the ranks that log_prob keeps, in words."""
        return self.late.kept(self._done())

    def _done(self) -> set[int]:
        """Return the roots of teams that take no more steps."""
        return {root for root, progress in self._progress.items() if progress.done}

    def _all(self, what: Callable[[Progress], bool]) -> bool:
        return len(self._progress) == len(self._roots) and all(map(what, self._progress.values()))

    def _at_limit(self) -> bool:
        limit = self.checker.limit
        return limit is not None and self._all(lambda p: p.reached >= limit)

    # ---- commits

    def _call(self, final: bool = False) -> None:
        self._calling, self._final = True, final
        self._called = time.monotonic()
        self._control.rounds += 1
        self._tell_roots(Commit(self._control.rounds))

    def _tell_roots(self, message: Any) -> None:
        self._control.send_to_each(message, self._roots)

    def commit(self, gathered: list[list[Block] | None]) -> None:
        """Write what came of a call; check the draws where that is due; end the run if it is over.

        Parameters
        ----------
        gathered : list of (list of Block, or None)
            From each team root: of its ensembles that have begun. Blocks that came as messages,
            since the gather was late, are left out.

        Raises
        ------
        StoreError
            If the file cannot be written.
        UsageError
            If it is not to be made: another is there by now.

        """
        if self._late_gather.holds(gathered):
            return
        self._calling = False
        arrived = self._late_gather.arrived()
        blocks = self.store.lacking([*arrived, *(b for part in gathered for b in part or ())])
        if not blocks and not self.store.created:
            return  # no ensemble has begun
        # rows after a check that is not decided were held back: without them it is not complete
        ends = dict(enumerate(self.store.steps)) if self.store.created else {}
        ends |= {block.ensemble: block.steps for block in blocks}
        complete = self._all(lambda p: p.complete) and all(
            ends.get(e, 0) >= self._end_of(e) for e in range(self._setup.plan.nensembles)
        )
        status = "running"
        if self._final and not (complete and self.checker.rules.rules_given):
            status = "finished" if complete else "stopped"
        self.store.write(blocks, status)
        self._slowest = max(self._slowest, time.monotonic() - self._called)
        if self._final and status == "running":
            status = self.checker.final_status()
            self.store.commit([], status)
        if self._final:
            self._end(status)
        elif self.checker.limit is not None and (self.store.steps == self.checker.limit).all():
            self._check()
        if not self._state.over:
            self.checker.show_figures()

    # ---- where a gather does not end

    def _ask_for_blocks(self) -> None:
        """Ask for what the file lacks as messages: the gather waits for some rank."""
        self._late_gather.ask(len(self._roots))
        self._tell_roots(SendBlocks())

    def _commit_arrived(self) -> None:
        """Write what has come as messages, and go on."""
        last = self.late.time_is_up
        arrived = self._late_gather.end()
        self._called = time.monotonic()
        if blocks := self.store.lacking(arrived):
            self.store.write(blocks, "running")
        if last:
            if self.store.created:
                self.store.commit([], "stopped")
            self._end("stopped")

    def _end_of(self, ensemble: int) -> int:
        header = self.store.header
        return header.burnin + self._setup.plan.steps[ensemble] * header.thin_by

    def _end(self, status: str) -> None:
        reason = self._state.stop_reason if status == "stopped" else ""
        self._state.outcome = Finished(status, reason)
        self._control.broadcast_from_root(self._state.outcome)

    def _check(self) -> None:
        """Have the draws checked; end the run where that says so."""
        status = self.checker.check()
        if status is not None:
            self._cut(status)
            self._end(status)

    def _cut(self, status: str) -> None:
        """Let the file end with the rows it has."""
        rows = tuple(int(n) for n in self.store.rows)
        self.store.resize(replace(self.store.header, steps=rows), status)
