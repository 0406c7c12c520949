"""What a run says while it goes: rank 0 only, on standard output; the bar on standard error."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from .. import streams
from ..diagnostics.faults import rescued_text
from ..storage.progress_record import ProgressRecord
from ..text import duration_text, some_text
from ..tracebacks import warn
from .description import describe
from .pace import Pace

if TYPE_CHECKING:
    from ..diagnostics.stopping import WorstFigures
    from ..model.problem import Problem
    from ..prepare.setup import Setup
    from .convergence import Decision
    from .messages import LongCall, Progress

_FIRST_LINE, _MOST = 10.0, 120.0  # seconds between progress lines: they grow apart


@dataclass
class _Watcher:
    """Who takes records of the progress, and when the next is due."""

    take: Callable[[ProgressRecord], None]
    every: float
    due: float
    figures: bool


class ProgressReporter:
    """Says what a run will do, and how far it is.

    Parameters
    ----------
    on : bool
        Whether to say anything but progress.
    progress : bool or None
        None: a bar on a terminal, else a line now and then.
    rank : int
        Only rank 0 talks.

    Attributes
    ----------
    wanted : bool
        Whether progress is shown.

    """

    def __init__(self, on: bool, progress: bool | None, rank: int = 0) -> None:
        self._first = rank == 0
        self.on = on and self._first
        self.wanted = progress is not False and rank == 0
        self._terminal = streams.is_terminal()
        if progress and not self._terminal:  # it is asked for, and the terminal is not found
            self._terminal = on and streams.may_reach_a_terminal()
        self._remarks: list[str] = []
        self._asides: list[str] = []
        self._pace = Pace()
        self._said = time.monotonic()
        self._gap = _FIRST_LINE
        self._bar: Any = None
        self.figures: WorstFigures | None = None  # of the draws so far
        self._watchers: list[_Watcher] = []
        self._of_plan: tuple[str, ...] = ()  # its remarks
        self._cost, self._useful = 0.0, 0
        self._shortfall = ""  # what they lack, as a check found
        self.long_calls: list[LongCall] = []  # of log_prob, that last

    def say(self, text: str) -> None:
        """Print a line, on rank 0 and if ``on``.

        Parameters
        ----------
        text : str
            The line.

        """
        if self.on:
            streams.tell(text)

    def remark(self, text: str, told: bool = True) -> None:
        """Say ``text`` as a note below what the run will do.

        Parameters
        ----------
        text : str
            The note.
        told : bool
            Whether those who watch the run are told, too. Default: True.

        """
        (self._remarks if told else self._asides).append(text)

    def warn(self, text: str) -> None:
        """Say ``text`` as a note; from Python, which prints nothing, as a RuntimeWarning.

        Parameters
        ----------
        text : str
            The note.

        """
        self.remark(text)
        if not self.on and self._first:
            warn(text)

    def intend(self, problem: Problem, setup: Setup) -> None:
        """Say what the run will do.

        Parameters
        ----------
        problem : Problem
            For its names and moves.
        setup : Setup
            What rank 0 decided.

        """
        plan = setup.plan
        self._pace.intend(setup)
        self._said = time.monotonic()
        self._of_plan, self._cost = tuple(plan.remarks), setup.seconds
        self._useful = plan.evaluations_at_once
        self._tell_watchers(at_once=True)
        for line in describe(problem, setup, self._pace.total):
            self.say(line)
        for remark in (*plan.remarks, *self._asides, *self._remarks):
            self.say(f"  note: {remark}")
        if setup.options.dry_run:
            self.say("\n" + plan.table() + "\n\nDry run: nothing was sampled or written.")

    def settle(self, decision: Decision) -> None:
        """Take in how burn-in ended.

        Parameters
        ----------
        decision : Decision
            Of its last check.

        """
        how = "settled" if not decision.shortfall else "ends, but has not settled,"
        if self._pace.burnin is None:
            self.say(f"  {'burn-in':<10} {how} after {decision.burnin} steps per ensemble")
        self._pace.settle(decision.burnin)
        if decision.shortfall:
            self.say(f"  note: {decision.shortfall.removeprefix('burn-in: ')}")
        if decision.starts:
            self.say(f"  note: {rescued_text({s.ensemble: s.redrawn for s in decision.starts})}")

    def lacking(self, shortfall: str, goal: int | None) -> None:
        """Take in what a check found.

        Parameters
        ----------
        shortfall : str
            What the draws lack; "" for nothing.
        goal : int or None
            The kept step of each ensemble at which they may be enough.

        """
        self._shortfall = shortfall
        self._pace.aim(goal)

    def progress(self, source: int, progress: Progress) -> None:
        """Take in what one team has done; show the whole now and then.

        Parameters
        ----------
        source : int
            The rank of its root.
        progress : Progress
            Its newest message.

        """
        self._pace.parts[source] = progress
        self._tell_watchers()
        if not self.wanted:
            return
        pace = self._pace
        done, rate, acceptance = pace.done()
        state = [] if acceptance is None else [f"acceptance {acceptance:.2f}"]
        state += [str(text) for text in (self.figures, self._shortfall) if text]
        left = "waiting for log_prob" if self.long_calls else pace.left(done, rate)
        if self._terminal:
            state += [left] if left and pace.goal is not None else []
            if self._bar is None:
                self._bar = tqdm(total=pace.total, initial=pace.before, unit=" steps", leave=False)
            self._bar.total = pace.total
            self._bar.set_postfix_str("; ".join(state), refresh=False)
            self._bar.update(done - self._bar.n)
            return
        now, over = time.monotonic(), pace.total is not None and done >= pace.total
        if now - self._said < self._gap or not done or (over and not pace.open_ended):
            return
        self._said, self._gap = now, min(_MOST, self._gap * 1.5)
        so_far = f"{pace.so_far(done)}, {rate:.3g} steps/s"
        streams.tell("; ".join(filter(None, [so_far, left, *state])))

    def watch(
        self, take: Callable[[ProgressRecord], None], every: float, figures: bool = False
    ) -> None:
        """Give records of the progress, on rank 0, whether or not it is shown.

        Parameters
        ----------
        take : callable
            Takes a ProgressRecord.
        every : float
            Seconds between two, at least.
        figures : bool
            Whether figures of the draws are to be worked out for it. Default: False.

        """
        if self._first:
            self._watchers.append(_Watcher(take, every, time.monotonic() + every, figures))

    @property
    def needs_figures(self) -> bool:
        """Whether somebody is to see figures of the draws so far."""
        return self.wanted or any(watcher.figures for watcher in self._watchers)

    def record(self) -> ProgressRecord:
        """Return how far the run is, in numbers."""
        pace, figures = self._pace, self.figures
        done, rate, acceptance = pace.done()
        step, in_burnin = pace.step(done)
        return ProgressRecord(
            steps=done,
            total=pace.total,
            step=step,
            in_burnin=in_burnin,
            goal=pace.goal,
            rate=rate if done > pace.before else 0.0,
            seconds_left=None if self.long_calls else pace.seconds_left(done, rate),
            acceptance=acceptance,
            ess=None if figures is None else figures.ess,
            r_hat=None if figures is None else figures.r_hat,
            tau=None if figures is None else figures.tau,
            lacking=self._shortfall,
            waiting=tuple(map(str, self.long_calls)),
            slowest=self._slowest(),
            remarks=(*self._of_plan, *self._remarks),
            cost=self._cost,
            useful=self._useful,
        )

    def _slowest(self) -> str:
        """Say which rank takes longest for an evaluation, and which team is behind."""
        told, teams = [], self._pace.parts
        parts = [p for p in teams.values() if not math.isnan(p.slow)]
        if parts and self._useful > 1:
            slow, usual = (
                max(parts, key=lambda p: p.slow),
                statistics.median(p.usual for p in parts),
            )
            told.append(
                f"rank {slow.slowest}, {duration_text(slow.slow)} an evaluation "
                f"(median rank: {duration_text(usual)})"
            )
        if len(teams) > 1:
            behind = min(teams, key=lambda source: teams[source].reached)
            told.append(f"behind: rank {behind}, at step {teams[behind].reached}")
        return "; ".join(told)

    def _tell_watchers(self, at_once: bool = False) -> None:
        now = time.monotonic()
        for watcher in self._watchers:
            if at_once or now >= watcher.due:
                watcher.due = now + watcher.every
                watcher.take(self.record())

    def tell_of_calls(self) -> None:
        """Say which calls of log_prob last."""
        self._tell_watchers(at_once=True)
        if self.wanted:
            for call in self.long_calls:
                self._line(f"note: {call}")

    def tell_of_stop(self, reason: str, grace: float, kept: list[str]) -> None:
        """Say what a stop waits for.

        Parameters
        ----------
        reason : str
            Of the stop.
        grace : float
            Seconds that it waits.
        kept : list of str
            The ranks that are waited for.

        """
        if self.on or self.wanted:
            self._line(
                f"stopping ({reason}): waiting up to {duration_text(grace)} for log_prob: "
                f"{some_text(kept, 3)}; a second Ctrl-C ends the wait"
            )

    def _line(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.clear()
        streams.tell(text)
        if self._bar is not None:
            self._bar.refresh()

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    @property
    def seconds(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self._pace.began
