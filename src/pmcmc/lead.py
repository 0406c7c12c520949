"""What rank 0 does beside sampling: the store, calls for commits, checks, the end of the time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from .control import Control
from .deadline import Deadline
from .errors import ControlFlow
from .output import Output
from .record import Block
from .rules import FIRST, MOST_BURNIN, Lack, Rules, next_check, standing, unsettled
from .setup import Setup
from .store import Store
from .survey import Survey
from .talk import Talk

_FIRST_FIGURES = 20.0  # seconds; and they come again when they have cost 1% of the time since
_SPARE = 100


class _Postponed(ControlFlow):
    """The run stops: leave the check in hand."""


class Lead:
    """Calls for commits and writes them; checks; begins the stop, and says when all is over.

    Each team root tells of its progress. When all are done, or have left their step for a stop,
    the last commit is called for. Where the run has a stop rule, or burn-in ends by itself, no
    commit goes past the next check: when all ensembles are there, it is decided from the file.

    Parameters
    ----------
    setup, control, talk
    output : Output
        Holds the lock, and the reader of a file that is resumed.
    deadline : Deadline

    Attributes
    ----------
    stopping : str
        Why the run stops, "" while it does not.
    outcome : tuple or None
        (status, why) when all is over.
    burnin : int or None
        Steps of burn-in; None while that is not settled.
    limit : int or None
        The step, of all steps of an ensemble, that no commit goes past.
    listen : callable
        Takes in messages, within a long check.

    """

    def __init__(
        self, setup: Setup, control: Control, talk: Talk, output: Output, deadline: Deadline
    ) -> None:
        self._setup, self._control, self._talk, self._output = setup, control, talk, output
        self._deadline = deadline
        self._roots = [team.root for team in setup.plan.teams[1:]]
        self._done = dict.fromkeys([0, *self._roots], False)
        self._complete, self._reached = dict(self._done), dict.fromkeys(self._done, 0)
        self._full = False
        self._calling = self._final = False
        self._called = time.monotonic()
        self._slowest = 0.0  # seconds from a call to the disk
        self._next_figures = self._called + _FIRST_FIGURES
        self._rules = Rules.of(setup.options)
        self.stopping = ""
        self.outcome: tuple[str, str] | None = None
        self.burnin = setup.header.burnin if setup.settled else None
        self.limit: int | None = None
        self.listen: Callable[[], None] = lambda: None
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
        self.limit = self._next_limit()
        mine: list[Any] = []
        for team in self._setup.plan.teams:
            states = [reader.saved(e) if reader is not None else None for e in team.ensembles]
            if team.root == 0:
                mine = states
            else:
                self._control.send("states", (states, self.limit), to=team.root)
        if reader is not None:
            self.store.commit([])  # it is running again
        self._call()  # a new file is made as soon as all ensembles have begun
        return mine

    def finish(self) -> str:
        """Bring a file that has all its steps up to what it is; return its status."""
        reader = self._output.reader
        assert reader is not None
        self.store.reopen(reader)
        status = self._final_status()
        if tuple(self.store.rows) != self.store.header.steps:
            self._cut()  # its stop rule is met
        elif self.store.stale or self.store.status != status:
            self.store.commit([], status)
        return status

    # ---- what the team roots say

    def hear(self, source: int, kind: str, value: Any) -> None:
        """Take in a message from a team root, or any rank's call to stop."""
        if kind == "progress":
            done, complete, self._reached[source], progress = value
            self._done[source], self._complete[source] = done, complete
            self._talk.progress(source, *progress)
        elif kind == "full":
            self._full = True
        elif kind == "stop" and not self.stopping:
            self.stopping = value

    def look(self) -> None:
        """Call for a commit if it is time, and for a stop."""
        if self.outcome is not None:
            return
        if not self.stopping:
            why = self._deadline.passed(2 * self._slowest + 2 * self._setup.seconds)
            if why is not None:
                self.hear(0, "stop", why)
        if self._calling:
            return
        since = time.monotonic() - self._called
        reached = self.limit is not None and min(self._reached.values()) >= self.limit
        if reached and not self.stopping:
            self._call()
        elif all(self._done.values()):
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
            self._control.send("commit", self.limit, to=root)

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
        # rows after a check that is not decided were held back: without them it is not complete
        complete = all(self._complete.values()) and all(
            block.steps >= self._end_of(block.ensemble) for block in blocks
        )
        status = "running"
        if self._final and not (complete and self._rules.given):
            status = "finished" if complete else "stopped"
        if self.store.created:
            self.store.commit(blocks, status)
        else:
            self.store.create(blocks, status)
        self._slowest = max(self._slowest, time.monotonic() - self._called)
        if self._final and status == "running":
            status = self._final_status()
            self.store.commit([], status)
        if self._final:
            self._end(status)
        elif self.limit is not None and (self.store.steps == self.limit).all():
            self._check()
        if self.outcome is None:
            self._show_figures()

    def _end(self, status: str) -> None:
        self.outcome = (status, self.stopping if status == "stopped" else "")
        self._control.announce("finished", self.outcome)

    # ---- checks

    def _check(self) -> None:
        """Decide whether burn-in is over, or the draws are enough; else go on to the next."""
        try:
            if self.burnin is None:
                self._check_burnin()
            else:
                lack = self._rules.lacks(Survey(self.store.read()), self._tick)
                self._tell(lack)
                if lack is None:
                    self._cut()
                    self._end("finished")
                    return
        except _Postponed:
            return
        self.limit = self._next_limit()

    def _check_burnin(self) -> None:
        steps, header = int(self.limit or 0), self.store.header
        survey = Survey(self.store.read(), [steps] * len(header.steps), "burnin", start=steps // 2)
        why = unsettled(survey, self._tick)
        if why is not None and steps < MOST_BURNIN:
            self._talk.lack = f"burn-in: {why}"
            if steps >= header.burnin:
                self.store.arrange(replace(header, burnin=next_check(2 * steps)))
            return
        if why is not None:
            self._talk.say(f"note: burn-in ends after {steps} steps, but not settled: {why}")
        self._talk.settle(steps)
        self.store.arrange(replace(header, burnin=steps))
        self.burnin = steps
        for root in self._roots:
            self._control.send("settle", steps, to=root)

    def _next_limit(self) -> int | None:
        """Return the next check's step, if there is to be one; that of now was decided."""
        header = self.store.header
        steps, rows = (self.store.steps, self.store.rows) if self.store.created else ([0], [0])
        if self.burnin is None:
            return next_check(max(steps) + (min(steps) == max(steps)))
        if not self._rules.given:
            return None
        kept = next_check(max(rows) + (min(rows) == max(rows)))
        return header.burnin + kept * header.thin_by if kept <= min(header.steps) else None

    def _end_of(self, ensemble: int) -> int:
        header = self.store.header
        return header.burnin + header.steps[ensemble] * header.thin_by

    def _cut(self) -> None:
        """Let the file end with the rows it has."""
        rows = tuple(int(n) for n in self.store.rows)
        self.store.arrange(replace(self.store.header, steps=rows), "finished")

    def _final_status(self) -> str:
        if not self._rules.given:
            return "finished"
        lack = self._rules.lacks(Survey(self.store.read()))
        self._tell(lack)
        return "finished" if lack is None else "short"

    def _tell(self, lack: Lack | None) -> None:
        self._talk.lack = self._talk.goal = None
        if lack is not None:
            self._talk.lack = lack.text
            header = self.store.header
            kept = float(self.store.rows.sum()) * header.thin_by
            if lack.share > 0:
                self._talk.goal = header.burnin * len(header.steps) + kept / lack.share

    def _show_figures(self) -> None:
        """Work out the figures of the draws so far, if progress is shown and it is time."""
        began = time.monotonic()
        if not self._talk.wanted or began < self._next_figures or self.store.rows.min() < FIRST:
            return
        try:
            self._talk.figures = standing(Survey(self.store.read()), self._tick)
        except _Postponed:
            return
        now = time.monotonic()
        self._next_figures = now + _SPARE * (now - began)

    def _tick(self) -> None:
        """Take in messages within a long look at the draws.

        Raises
        ------
        _Postponed
            If the run stops.

        """
        self.listen()
        if self.stopping:
            raise _Postponed
