"""The progress of a run in the process that started it: one bar, a widget in Jupyter."""

from __future__ import annotations

import html
import sys
import threading
from collections.abc import Callable
from typing import Any

from .. import streams
from ..storage.progress_record import ProgressRecord, goal_text
from ..text import duration_text

_RENEW = 1.0  # seconds between two views in a notebook


def in_notebook() -> bool:
    """Tell whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def state_text(record: ProgressRecord) -> str:
    """Return in words how good the draws are so far, and how long it takes."""
    parts = []
    if record.acceptance is not None:
        parts.append(f"acceptance {record.acceptance:.2f}")
    if record.ess is not None:
        parts.append(f"ESS {record.ess:.0f}")
    if record.r_hat is not None:
        parts.append(f"R-hat {record.r_hat:.3f}")
    if record.waiting:
        parts.append(record.waiting[0])
    elif record.in_burnin:
        parts.append(f"burn-in, step {record.step}")
    elif record.goal is not None and record.seconds_left is not None:
        parts.append(goal_text(record.goal, record.seconds_left))
    return "; ".join(parts)


class Bar:
    """A bar of tqdm, where there is somebody to see it.

    Parameters
    ----------
    shown : bool or None
        None: on a terminal and in a notebook.

    """

    def __init__(self, shown: bool | None) -> None:
        self._shown = (streams.is_terminal() or in_notebook()) if shown is None else shown
        self._bar: Any = None

    def show(self, record: ProgressRecord) -> None:
        """Show how far the run is.

        Parameters
        ----------
        record : ProgressRecord
            The newest.

        """
        if not self._shown:
            return
        if self._bar is None:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=record.total, initial=record.steps, unit=" steps")
        if self._bar.total != record.total:
            self._bar.total = record.total
            if hasattr(self._bar, "reset_total"):
                self._bar.reset_total(record.total)
        self._bar.set_postfix_str(state_text(record), refresh=False)
        self._bar.update(record.steps - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is, or take it away where no step was taken."""
        if self._bar is not None:
            self._bar.leave = bool(self._bar.n)
            self._bar.close()
            self._bar = None


def record_html(title: str, status: str, record: ProgressRecord) -> str:
    """Return how far a run is, as a notebook shows it.

    Parameters
    ----------
    title : str
        What runs, and where.
    status : str
        As of `Run`.
    record : ProgressRecord
        The newest.

    """
    share = min(1.0, record.steps / record.total) if record.total else 0.0
    of = "" if record.total is None else f" of {record.total}"
    left = ""
    if record.seconds_left and status == "running":
        left = f", {duration_text(record.seconds_left)} left"
    facts = [
        ("steps", f"{record.steps}{of}, {record.rate:.3g} per second{left}"),
        ("state", state_text(record)),
        ("lacking", record.lacking),
    ]
    rows = "".join(
        f'<tr><td style="text-align: left">{name}</td>'
        f'<td style="text-align: left">{html.escape(text)}</td></tr>'
        for name, text in facts
        if text
    )
    colour = {"failed": "#c33", "stopped": "#d80", "short": "#d80"}.get(status, "#2a7")
    bar = (
        '<div style="width: 24rem; height: .8rem; background: #eee"><div style="width: '
        f'{100 * (share if status == "running" else 1):.1f}%; height: 100%; background: {colour}">'
        "</div></div>"
    )
    return f"<p><b>{html.escape(title)}</b>: {status}</p>{bar}<table>{rows}</table>"


def show_live(show: Callable[[], str], over: Callable[[float], bool]) -> threading.Thread:
    """Show HTML in a notebook that renews itself until the end.

    Parameters
    ----------
    show : callable
        Returns it.
    over : callable
        Waits so many seconds at most; tells whether the end is there.

    Returns
    -------
    Thread
        Which renews it.

    """
    from IPython import display as ipython

    page: Callable[[str], Any] = ipython.HTML

    handle: Any = ipython.display(page(show()), display_id=True)  # type: ignore[no-untyped-call]

    def renew() -> None:
        while not over(_RENEW):
            handle.update(page(show()))
        handle.update(page(show()))

    renewing = threading.Thread(target=renew, daemon=True)
    renewing.start()
    return renewing
