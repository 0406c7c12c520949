"""``status FILE --follow``: a live view of a run from any terminal, until it ends."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .. import streams
from ..diagnostics.summary import Summary
from ..errors import StoreError
from ..results.loading import load
from ..results.result import Result
from ..storage.lock import being_written
from ..storage.notes import read_notes
from ..storage.progress_record import ProgressRecord
from ..text import duration_text

_EVERY = 2.0  # seconds between two looks, on a terminal
_LINES = 30.0  # and in a log
_SPARE = 10.0  # figures may take a tenth of the time
_SHOWN = 20  # parameters


class Follower:
    """Looks at a file again and again.

    Parameters
    ----------
    path : Path
        The output of the run, which may not be there yet while a job has its lock.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._summary: Summary | None = None
        self._of: tuple[int, ...] = ()  # the steps that the summary is of
        self._next = 0.0  # when the next may be worked out
        self._lines = 0  # of the last view on the terminal

    def watch(self) -> None:
        """Show views until no job writes the file any more.

        Raises
        ------
        StoreError
            If there is no such file, and no job that is to make it.

        """
        terminal, due = streams.is_terminal(error=False), 0.0
        while (writer := being_written(self.path)) is not None:
            result: Result | None = None
            try:
                result = load(self.path)
            except StoreError:
                if self.path.exists():
                    raise
            now = time.monotonic()
            if terminal or now >= due:
                self._show(list(self._view(result, read_notes(self.path, writer))), terminal)
                due = now + _LINES
            time.sleep(_EVERY)

    def _show(self, lines: list[str], terminal: bool) -> None:
        if terminal:
            width = shutil.get_terminal_size().columns
            lines = [line[: width - 1] for line in lines]
            if self._lines:
                sys.stdout.write(f"\x1b[{self._lines}A\x1b[J")
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
            self._lines = len(lines)
        else:
            streams.tell("; ".join(line.strip() for line in lines[:3]))

    def _view(self, result: Result | None, progress: ProgressRecord | None) -> Iterator[str]:
        if result is None:
            yield f"{self.path}: not there yet; a job has begun with it"
            return
        where = "burn-in" if not sum(result.steps) else "production"
        yield (
            f"{self.path} ({result.problem}): {where}, "
            f"{sum(result.steps) or min(result.burnin_steps)} steps committed "
            f"{duration_text(max(0.0, time.time() - self.path.stat().st_mtime))} ago"
        )
        if progress is not None:
            yield from (f"  {line}" for line in progress.lines())
        yield from self._figures(result)

    def _figures(self, result: Result) -> Iterator[str]:
        now = time.monotonic()
        if result.steps != self._of and now >= self._next and min(result.steps) >= 4:
            self._summary, self._of = result.summary(), result.steps
            self._next = time.monotonic() + _SPARE * (time.monotonic() - now)
        if self._summary is None:
            return
        width = max(len(row.name) for row in self._summary.rows)
        yield f"  {'':<{width}}  {'mean':>10}  {'tau':>7}  {'ESS':>7}  R-hat"
        for row in self._summary.rows[:_SHOWN]:
            r_hat = f"{row.r_hat:.3f}" if row.r_hat == row.r_hat else "-"
            yield (
                f"  {row.name:<{width}}  {row.mean:>10.4g}  {row.tau:>7.3g}  {row.ess:>7.0f}  "
                f"{r_hat}"
            )
        if (more := len(self._summary.rows) - _SHOWN) > 0:
            yield f"  and {more} more"
