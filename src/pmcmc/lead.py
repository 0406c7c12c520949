"""What rank 0 does beside sampling: the store, calls for commits, the end of the time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from .control import Control
from .deadline import Deadline
from .output import Output
from .record import Block
from .setup import Setup
from .store import Store
from .talk import Talk


class Lead:
    """Calls for commits and writes them; begins the stop, and says when all is over.

    Each team root tells of its progress. When all are done, or have left their step for a stop,
    the last commit is called for.

    Parameters
    ----------
    setup, control, talk
    output : Output
        Holds the lock, and the reader of a file that is resumed.
    deadline : Deadline

    """

    def __init__(
        self, setup: Setup, control: Control, talk: Talk, output: Output, deadline: Deadline
    ) -> None:
        self._setup, self._control, self._talk, self._output = setup, control, talk, output
        self._deadline = deadline
        self._roots = [team.root for team in setup.plan.teams[1:]]
        self._done = dict.fromkeys([0, *self._roots], False)
        self._complete = dict(self._done)
        self._full = False
        self._calling = self._final = False
        self._called = time.monotonic()
        self._slowest = 0.0  # seconds from a call to the disk
        self.stopping = ""  # why
        self.outcome: tuple[str, str] | None = None
        path = setup.options["output"]
        self.store = Store(
            None if path is None else Path(path),
            setup.header,
            setup.options["overwrite"],
            output.allowed,
        )

    def begin(self) -> list[Any]:
        """Give every team root what its ensembles go on from; return this rank's."""
        reader = self._output.reader
        if reader is not None:
            self.store.reopen(reader)
        mine: list[Any] = []
        for team in self._setup.plan.teams:
            states = [reader.saved(e) if reader is not None else None for e in team.ensembles]
            if team.root == 0:
                mine = states
            else:
                self._control.send("states", states, to=team.root)
        if reader is not None:
            self.store.commit([])  # it is running again
        self._call()  # a new file is made as soon as all ensembles have begun
        return mine

    def repair(self) -> None:
        """Bring a finished file up to its record, if its writer was killed in the last commit."""
        assert self._output.reader is not None
        self.store.reopen(self._output.reader)
        if self.store.stale:
            self.store.commit([], "finished")

    # ---- what the team roots say

    def hear(self, source: int, kind: str, value: Any) -> None:
        """Take in a message from a team root, or any rank's call to stop."""
        if kind == "progress":
            steps, accepted, counted, self._done[source], self._complete[source] = value
            self._talk.progress(source, steps, accepted, counted)
        elif kind == "full":
            self._full = True
        elif kind == "stop" and not self.stopping:
            self.stopping = value

    def look(self) -> None:
        """Call for a commit if it is time, and for a stop."""
        if not self.stopping:
            why = self._deadline.passed(2 * self._slowest + 2 * self._setup.seconds)
            if why is not None:
                self.hear(0, "stop", why)
        if self._calling or self.outcome is not None:
            return
        since = time.monotonic() - self._called
        if all(self._done.values()):
            if all(self._complete.values()) or self.store.created:
                self._call(final=True)
            else:
                self._end("stopped")  # before all had begun: there is nothing to commit
        elif self._full or since > self._setup.options["checkpoint"]:
            self._full = False
            self._call()

    # ---- commits

    def _call(self, final: bool = False) -> None:
        self._calling, self._final = True, final
        self._called = time.monotonic()
        self._control.rounds += 1
        for root in self._roots:
            self._control.send("commit", to=root)

    @property
    def calling(self) -> bool:
        """Whether a commit was called for that is not written yet."""
        return self._calling

    def commit(self, gathered: list[list[Block] | None]) -> None:
        """Write what came of a call: a list of blocks from each team root.

        One that stops before its ensembles have begun gives None; then there is nothing to keep.
        """
        self._calling = False
        blocks = [block for part in gathered for block in part or ()]
        if len(blocks) < self._setup.plan.nensembles:
            return
        status = "running"
        if self._final:
            status = "finished" if all(self._complete.values()) else "stopped"
        if self.store.created:
            self.store.commit(blocks, status)
        else:
            self.store.create(blocks, status)
        self._slowest = max(self._slowest, time.monotonic() - self._called)
        if self._final:
            self._end(status)

    def _end(self, status: str) -> None:
        self.outcome = (status, self.stopping if status == "stopped" else "")
        self._control.announce("finished", self.outcome)
