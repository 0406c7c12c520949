"""What a run says while it goes: rank 0 only, on standard output; the bar on standard error."""

from __future__ import annotations

import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ._version import __version__

if TYPE_CHECKING:
    from .problem import Problem
    from .setup import Setup

_FIRST_LINE, _MOST = 10.0, 120.0  # seconds between progress lines: they grow apart


class Talk:
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
        self._terminal = sys.stderr.isatty()
        self._remarks: list[str] = []
        self._total = self._before = 0  # steps, and those of them that a resumed file has
        self._parts: dict[int, tuple[int, float, int]] = {}
        self._began = self._said = time.monotonic()
        self._gap = _FIRST_LINE
        self._bar: Any = None
        self._production = self._ensembles = 0
        self._settled = True
        self.figures = ""  # of the draws so far, and what they lack, as a check found
        self.lack: str | None = None
        self.goal: float | None = None  # the steps that may do

    def say(self, text: str) -> None:
        """Print a line."""
        if self.on:
            print(text, flush=True)

    def remark(self, text: str) -> None:
        """Say ``text`` as a note below what the run will do."""
        self._remarks.append(text)

    def warn(self, text: str) -> None:
        """Say ``text`` as a note; from Python, which prints nothing, as a warning."""
        self.remark(text)
        if not self.on and self._first:
            warnings.warn(text, RuntimeWarning, stacklevel=4)

    def intend(self, problem: Problem, setup: Setup) -> None:
        """Say what the run will do."""
        plan, header, options = setup.plan, setup.header, setup.options
        burnin = header.burnin if setup.settled else plan.burnin
        self._production = sum(n * plan.thin_by for n in plan.steps)
        self._ensembles, self._settled = plan.nensembles, setup.settled
        self._total = burnin * self._ensembles + self._production
        self._before = setup.steps
        self._began = self._said = time.monotonic()
        hosts = "1 host" if setup.hosts == 1 else f"{setup.hosts} hosts"
        self.say(f"pmcmc {__version__}: {problem.name}, {_names(problem.names)}")
        for label, text in plan.describe():
            self.say(f"  {label:<10} {text}" + (f", on {hosts}" if label == "ranks" else ""))
        moves = options["moves"] or ("stretch" if problem.moves is None else "those of the model")
        drawn = f"  (drawn; --seed {header.seed} gives these draws again)" if setup.drawn else ""
        self.say(f"  {'moves':<10} {moves}")
        self.say(f"  {'seed':<10} {header.seed}{drawn}")
        before = f", which has {setup.steps} of {self._total} steps" if setup.steps else ""
        self.say(f"  {'file':<10} {options['output'] or 'none: the draws stay in memory'}{before}")
        evaluations = plan.evaluations() - setup.steps * plan.nwalkers
        work = evaluations * setup.seconds / plan.size
        self.say(
            f"  {'cost':<10} log_prob took {time_text(setup.seconds)} in a first try; "
            f"{evaluations} evaluations"
            + (f", about {time_text(work)} of work per rank" if work > 5 else "")
        )
        for remark in (*plan.remarks, *self._remarks):
            self.say(f"  note: {remark}")
        if options["dry_run"]:
            self.say("\n" + plan.table() + "\n\nDry run: nothing was sampled or written.")

    def settle(self, burnin: int) -> None:
        """Take in how long burn-in was."""
        self._total, self._settled = burnin * self._ensembles + self._production, True
        self.lack = None
        self.say(f"  {'burn-in':<10} settled after {burnin} steps per ensemble")

    def progress(self, source: int, steps: int, accepted: float, counted: int) -> None:
        """Take in what one team has done; show the whole now and then."""
        self._parts[source] = (steps, accepted, counted)
        if not self.wanted:
            return
        done = sum(p[0] for p in self._parts.values())
        accepted = sum(p[1] for p in self._parts.values())
        counted = sum(p[2] for p in self._parts.values())
        state = [f"acceptance {accepted / counted:.2f}"] if counted else []
        state += [text for text in (self.figures, self.lack) if text]
        if not self._settled:  # burn-in takes longer than was guessed
            self._total = max(self._total, done + self._production)
        rate = max(done - self._before, 1) / (time.monotonic() - self._began)
        left = time_text((self._total - done) / rate) + " left"
        if self.goal is not None and done < self.goal < self._total:
            left = f"about {time_text((self.goal - done) / rate)} to the target"
        if self._terminal:
            state += [left] if self.goal is not None else []
            if self._bar is None:
                self._bar = tqdm(total=self._total, initial=self._before, unit="step", leave=False)
            self._bar.total = self._total
            self._bar.set_postfix_str("; ".join(state), refresh=False)
            self._bar.update(done - self._bar.n)
            return
        now = time.monotonic()
        if now - self._said < self._gap or done >= self._total or not done:
            return
        self._said, self._gap = now, min(_MOST, self._gap * 1.5)
        so_far = f"{done}/{self._total} steps ({100 * done / self._total:.0f}%)"
        print("; ".join([f"{so_far}, {rate:.3g} steps/s", left, *state]), flush=True)

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    @property
    def seconds(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self._began


def _names(names: tuple[str, ...]) -> str:
    count = "1 parameter" if len(names) == 1 else f"{len(names)} parameters"
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return f"{count} ({shown})"


def time_text(seconds: float) -> str:
    for limit, unit, size in (  # what rounds up to a limit belongs to the next unit
        (1e-3, "us", 1e-6),
        (1, "ms", 1e-3),
        (120, "s", 1),
        (7200, "min", 60),
    ):
        if seconds < 0.9995 * limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 3600:.3g} h"
