"""Polite waits, never in C, so that a signal is seen at once; where the time of a rank goes."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._types import Tick

WAITING = "waiting"
SPENT = ("log_prob", WAITING, "writing")  # what the time of a rank is told of


class TimeLedger:
    """Where the time of a process goes: each moment counts once.

    One thread is followed, and its time counts for the innermost thing that it is ``at``. What
    other threads do beside it counts only while it waits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followed = threading.get_ident()
        self._at: dict[int, list[str]] = {}  # by thread, the innermost last
        self._seconds = dict.fromkeys(SPENT, 0.0)
        self._since = time.monotonic()

    def follow(self) -> None:
        """Follow the thread that calls this, from now on."""
        with self._lock:
            self._count()
            self._followed = threading.get_ident()

    def at(self, what: str) -> contextlib.AbstractContextManager[None]:
        """Count the time of this thread, while the context is entered, for one thing.

        Parameters
        ----------
        what : {"log_prob", "waiting", "writing"}
            One of ``SPENT``.

        """
        return _Span(self, what)

    def enter(self, what: str) -> None:
        """Begin to count the time of this thread for one thing."""
        thread = threading.get_ident()
        with self._lock:
            self._count()
            self._at.setdefault(thread, []).append(what)

    def leave(self) -> None:
        """Go on to count for what was before."""
        thread = threading.get_ident()
        with self._lock:
            self._count()
            self._at[thread].pop()
            if not self._at[thread]:
                del self._at[thread]

    def seconds(self) -> dict[str, float]:
        """Return what was spent so far.

        Returns
        -------
        dict of str to float
            Seconds for each of ``SPENT``.

        """
        with self._lock:
            self._count()
            return self._seconds.copy()

    def _count(self) -> None:
        now = time.monotonic()
        spent, self._since = now - self._since, now
        if self._followed not in self._at:
            return
        what = self._at[self._followed][-1]
        if what == WAITING:
            beside = (stack[-1] for stack in self._at.values())
            what = next((other for other in beside if other != WAITING), WAITING)
        self._seconds[what] += spent


class _Span:
    """A while of one thing; a class, since a generator takes longer than what is done here."""

    __slots__ = ("_ledger", "_what")

    def __init__(self, ledger: TimeLedger, what: str) -> None:
        self._ledger, self._what = ledger, what

    def __enter__(self) -> None:
        self._ledger.enter(self._what)

    def __exit__(self, *exc: object) -> None:
        self._ledger.leave()


class Backoff:
    """Polite waiting: quick looks for a moment, then sleeps up to a millisecond; never in C.

    The moment is about what emcee takes between two batches, so that quick problems do not wait
    for a sleeper to wake. Where it has been in vain it is cut short: ranks may share a core.
    No look yields: Linux takes a yield for a whole slice given away, and beside busy neighbours a
    row of them made ranks starve for seconds.

    Attributes
    ----------
    look : float
        Seconds of quick looks, as learned so far.
    times : TimeLedger
        Takes in the waits.

    """

    LONGEST_LOOK, SHORTEST_LOOK = 5e-4, 1e-5

    def __init__(self) -> None:
        self.look = self.LONGEST_LOOK
        self.times = TimeLedger()

    def wait(self, ready: Callable[[], bool], tick: Tick | None = None) -> None:
        """Wait until something is so.

        Parameters
        ----------
        ready : callable
            Tells whether it is; called again and again.
        tick : callable, optional
            Called between looks; what it raises ends the wait.

        """
        if ready():
            return
        began = time.monotonic()
        with self.times.at(WAITING):
            while not ready():
                if tick is not None:
                    tick()
                self._pause(time.monotonic() - began)
        if time.monotonic() - began < self.LONGEST_LOOK:
            self.look = self.LONGEST_LOOK
        else:
            self.look = max(self.SHORTEST_LOOK, self.look / 2)

    def _pause(self, waited: float) -> None:
        """Wait a little, longer each time."""
        if waited < self.look:
            select.select((), (), (), 0)  # other threads may run; the core is not given away
        else:
            time.sleep(min(1e-3, max(2e-5, waited / 4)))


PATIENCE = Backoff()  # of this process


def probe_twice(probe: Callable[[], Any], times: int = 2) -> Any:
    """Return what a probe finds, looking again before giving up.

    MPICH moves one message on with each look, and shows it to the next: without the second look
    a row of messages would seem to end after its first.

    Parameters
    ----------
    probe : callable
        An Iprobe or Improbe.
    times : int
        Looks at most. Default: 2.

    Returns
    -------
    bool, or MPI message or None
        As ``probe`` returns it.

    """
    found = probe()
    while not found and times > 1:
        times -= 1
        found = probe()
    return found


def wait_for(ready: Callable[[], bool], tick: Tick | None = None) -> None:
    """Wait politely, as `Backoff` does.

    Parameters
    ----------
    ready : callable
        Tells whether the wait is over.
    tick : callable, optional
        Called between looks; what it raises ends the wait.

    """
    PATIENCE.wait(ready, tick)


def wait_until(ready: Callable[[], bool], seconds: float) -> bool:
    """Wait politely, but not for ever.

    Parameters
    ----------
    ready : callable
        Tells whether the wait is over.
    seconds : float
        How long at most.

    Returns
    -------
    bool
        Whether ``ready()`` was true in the end.

    """
    end = time.monotonic() + seconds
    done = False

    def over() -> bool:
        nonlocal done
        done = ready()
        return done or time.monotonic() > end

    wait_for(over)
    return done
