"""A run on ranks that this process started, while it goes: `pmcmc.start`."""

from __future__ import annotations

import atexit
import contextlib
import copy
import math
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from .. import streams
from ..cores import count_cores
from ..errors import ExitStatus, Interrupted, PmcmcError, StoreError, UsageError
from ..model.parcel import TOKEN, write_problem
from ..model.problem import Problem
from ..option_values import whole
from ..option_words import in_python, words
from ..results.html import result_html
from ..results.loading import load, load_into_memory
from ..results.result import Result
from ..storage.place import shown_path
from ..storage.progress_record import ProgressRecord
from ..tracebacks import warn
from .display import in_notebook, record_html, show_live, state_text
from .local import LocalJob, private_folder
from .measure import useful_ranks
from .mpiexec import refuse_under_a_launcher
from .outcome import PROGRESS, JobOutcome

_LOOK = 0.1  # seconds
_STATUSES = {
    int(ExitStatus.DONE): "finished",
    int(ExitStatus.SHORT): "short",
    int(ExitStatus.STOPPED): "stopped",
}


_AT_WORK: list[Run] = []  # that this process started


def runs() -> tuple[Run, ...]:
    """Return the runs that this process started and that are at work, the oldest first.

    Returns
    -------
    tuple of Run
        Also those whose variable has another value by now.

    """
    return tuple(_AT_WORK)


class Run:
    """A run under way, on ranks that this process started.

    Made by `pmcmc.start`. As a context manager it stops at the end of the block.

    Attributes
    ----------
    ranks : int
        How many.
    output : Path or None
        The file; None where the draws stay in memory.

    """

    def __init__(
        self,
        problem: Problem,
        found: Mapping[str, Any],
        ranks: int | None,
        launcher: str | None = None,
    ) -> None:
        self._stack = contextlib.ExitStack()
        self._folder = self._stack.enter_context(private_folder())
        self.problem = problem.name
        found = dict(found)
        given = found.pop("output", None)
        self.output = None if given is None else Path(given).absolute()
        self._file = self.output or self._folder / "draws.h5"
        if not isinstance(found.get("moves"), str | None):
            problem = copy.copy(problem)
            problem.moves = found.pop("moves")
        try:
            parcel = self._folder / "sent.problem"
            token = write_problem(problem, parcel)
            self.ranks = useful_ranks(problem, parcel, token, found) if ranks is None else ranks
            self._log = self._stack.enter_context((self._folder / "log").open("w+b"))
            self._job = LocalJob(
                self._folder,
                self.ranks,
                ["run", str(parcel), f"--output={self._file}", *words(found)],
                launcher,
                self._log,
                {TOKEN: token, PROGRESS: str(self._folder / "progress")},
            )
        except BaseException:
            self._stack.close()
            raise
        self._record, self._text = ProgressRecord(), ""
        self._outcome: JobOutcome | None = None
        self._result: Result | None = None
        self._warned: set[str] = set()
        self._views: list[threading.Thread] = []  # in a notebook
        self._over = threading.Event()
        _AT_WORK.append(self)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """Wait for the end; then take what is to be kept out of the folder."""
        while (outcome := self._job.wait(_LOOK)) is None:
            self._look()
        self._look()
        self._job.end()
        self._text = self._read_log()
        if self.output is None:
            with contextlib.suppress(StoreError):
                self._result = load_into_memory(self._file)
        self._stack.close()
        self._outcome = outcome
        _AT_WORK.remove(self)
        self._over.set()

    def _look(self) -> None:
        self._record = ProgressRecord.read(self._folder / "progress") or self._record

    def _read_log(self) -> str:
        return os.pread(self._log.fileno(), 1 << 24, 0).decode(errors="replace")

    @property
    def progress(self) -> ProgressRecord:
        """How far it is: a record."""
        return self._record

    @property
    def log(self) -> str:
        """What the ranks have printed so far."""
        with contextlib.suppress(ValueError):  # closed meanwhile
            if not self._over.is_set():
                return self._read_log()
        return self._text

    @property
    def status(self) -> str:
        """One of "running", "finished", "short" (of its stop rule), "stopped", "failed"."""
        if self._outcome is None:
            return "running"
        return _STATUSES.get(self._outcome.status, "failed")

    def result(self) -> Result | None:
        """Return the draws so far, as they are in the file; None before the first commit."""
        if self._result is not None:
            return self._result
        with contextlib.suppress(StoreError):
            return load(self._file)
        return None

    def stop(self) -> None:
        """Have the ranks commit what there is and end; once more: not wait for log_prob."""
        self._job.signal("SIGINT")

    def wait(self, timeout: float | None = None) -> Result | None:
        """Wait for the end.

        Parameters
        ----------
        timeout : float, optional
            Seconds. Default: for as long as it takes.

        Returns
        -------
        Result or None
            The draws; its ``status`` is "stopped" after ``stop()``. None where the time is over,
            or it was stopped before the first commit.

        Raises
        ------
        PmcmcError
            What failed on a rank, with rank, host and parameters.

        """
        until = math.inf if timeout is None else time.monotonic() + timeout
        while not self.over(min(_LOOK, max(0.0, until - time.monotonic()))):
            if time.monotonic() >= until:
                return None
        assert self._outcome is not None
        for remark in self._record.remarks:
            if remark not in self._warned:
                self._warned.add(remark)
                warn(in_python(remark))
        error = self._outcome.error
        if error is None or (isinstance(error, Interrupted) and self.result() is None):
            return self.result()
        error = copy.copy(error)
        text = in_python(str(error))
        if not self._outcome.told and (last := self._text.strip()):
            text += f"\n  The last of what they said:\n{last[-2000:]}"
        error.args = (text,)
        raise error

    def over(self, timeout: float = 0.0) -> bool:
        """Wait at most so many seconds; tell whether it has ended."""
        return self._over.wait(timeout)

    def kill(self) -> None:
        """End the ranks at once, if they have not ended: the file holds the last commit."""
        if not self._over.is_set():
            self._job.end()
            self._over.wait()

    def __enter__(self) -> Run:
        """Return this."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it, and wait for the end; what fails then is a note to a failure of the block."""
        self.stop()
        try:
            self.wait()
        except PmcmcError as error:
            if value is None:
                raise
            value.add_note(f"the run failed, too: {error}")

    def _repr_html_(self) -> str:
        """Show it in a notebook as it is now: how far, and in the end the draws."""
        title = f"{self.problem} on {self.ranks} ranks"
        shown = record_html(title, self.status, self._record)
        result = self.result() if self._over.is_set() else None
        return shown if result is None else shown + result_html(result)

    def _ipython_display_(self) -> None:
        """Show it in a notebook, and renew that until the end."""
        if in_notebook():
            self._views.append(show_live(self._repr_html_, self.over))
        else:
            print(repr(self))

    def __repr__(self) -> str:
        """Return how far it is, and how good."""
        record = self._record
        of = "" if record.total is None else f" of {record.total}"
        text = f"<pmcmc.Run of {self.problem} on {self.ranks} ranks: {self.status}"
        if record.steps:
            text += f", {record.steps}{of} steps"
        state = state_text(record)
        return text + (f"; {state}>" if state else ">")


def start_run(problem: Problem, found: Mapping[str, Any], ranks: Any, launcher: str | None) -> Run:
    """Start a run on ranks of its own.

    Parameters
    ----------
    problem : Problem
        What to sample.
    found : mapping
        Options, as ``options.check`` returns them.
    ranks : int or "auto"
        How many.
    launcher : str, optional
        In place of the mpiexec that is found.

    Raises
    ------
    PmcmcError
        If it cannot be started.

    """
    refuse_under_a_launcher(os.environ, f"ranks={ranks!r}")
    if isinstance(ranks, str) and ranks != "auto":
        raise UsageError(f'ranks is {ranks!r}; expected a whole number, or "auto"')
    number = None if ranks == "auto" else whole(1, 10**6)("ranks", ranks)
    others = sum(run.ranks for run in _AT_WORK)
    run = Run(problem, found, number, launcher)
    if others and others + run.ranks > count_cores():
        warn(
            f"{_AT_WORK[0]!r} is at work beside this run, and together they have more ranks than "
            f"the {count_cores()} cores: pmcmc.runs() has both, to be stopped"
        )
    return run


@atexit.register
def _tell_at_exit() -> None:
    """Say that runs at work end with the process that started them."""
    for run in _AT_WORK:
        if run.output is not None:
            streams.tell(
                f"pmcmc: note: {run.problem} stops, as this process ends: what is committed is in "
                f"{shown_path(run.output)}, resume=True goes on; run.wait() waits for the end",
                error=True,
            )
