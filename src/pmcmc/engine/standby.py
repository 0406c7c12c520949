"""A thread that stands in for a rank while log_prob keeps it: messages, commits, and the stop.

A call of log_prob may take an hour, or never return. The rank's own thread gives the turn away
while it is in there; where a call lasts, this thread takes the turn now and then, and does what
the rank would do between two calls. Only who has the turn sends messages or touches ensembles.
Code that keeps Python's own lock keeps this thread out too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ..errors import ControlFlow
from ..signals import SIGNALS, SignalWatch

T = TypeVar("T")

AFTER = 1.0  # seconds in one call after which the rank is stood in for
_LOOK = 0.25  # seconds between looks
PATIENCE = 4.0  # seconds for the rank to come back where standing in for it has failed


class Abandoned(ControlFlow):
    """log_prob is left: the run stops, and it did not come back in time."""


class Standby:
    """Stands in for the thread that makes it, while that is in a long call.

    Parameters
    ----------
    watch : SignalWatch
        Its handler interrupts the call, where that is to be.
    attend : callable
        ``attend(seconds)`` does what is due, the call having lasted so long; in the thread.
    on_signal : callable
        Takes the name of a signal that came while the call kept Python from handling it.
    give_up : callable
        Takes what ``attend`` raised, where the call does not return within 4 s after that.
    threads : bool
        Whether MPI allows for a thread beside the rank's own; else nobody stands in.

    """

    def __init__(
        self,
        watch: SignalWatch,
        attend: Callable[[float], None],
        on_signal: Callable[[str], None],
        give_up: Callable[[BaseException], None],
        threads: bool,
    ) -> None:
        self._watch, self._attend, self._on_signal = watch, attend, on_signal
        self._give_up, self._threads = give_up, threads
        self._main = threading.get_ident()
        self._turn = threading.Lock()
        self._turn.acquire()
        self._since: float | None = None  # when the call began that the rank is in
        self._in_call = self._interrupting = False
        self._failure: BaseException | None = None
        self._failed = 0.0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._came: list[str] = []  # signals
        self._pipe: tuple[int, int] | None = None
        self._pipe_before = -1

    def __enter__(self) -> Standby:
        """Begin."""
        if self._threads:
            self._watch_signals()
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        """End; the rank has the turn."""
        self._over.set()
        self._watch.on_note = lambda: None
        if self._thread is not None:
            self._thread.join()
        if self._pipe is not None:
            signal.set_wakeup_fd(self._pipe_before)
            for end in self._pipe:
                os.close(end)
            self._pipe = None

    @property
    def in_call(self) -> bool:
        """Whether the rank is in a call."""
        return self._since is not None

    # ---- the rank's own thread

    def call(self, run: Callable[[], T]) -> T:
        """Call the model's code, and be stood in for meanwhile.

        Parameters
        ----------
        run : callable
            Takes no arguments.

        Returns
        -------
        object
            What ``run()`` returns.

        Raises
        ------
        Abandoned
            If the call was interrupted.

        """
        try:
            self._give_turn()
            try:
                return run()
            finally:
                self._take_turn()
        except Abandoned:  # it may come at any moment, so that the turn was not taken yet
            self._take_turn()
            raise
        finally:
            self.raise_failure()

    def raise_failure(self) -> None:
        """Raise what standing in for the rank has come to, if that is a failure."""
        if self._failure is not None:
            raise self._failure

    def between(self, tick: Callable[[], None]) -> None:
        """Do what is due between two calls of one ``call``.

        Parameters
        ----------
        tick : callable
            What it raises is raised here.

        """
        self._take_turn()
        self.raise_failure()
        tick()
        self._give_turn()

    def _give_turn(self) -> None:
        self._since = time.monotonic()
        self._turn.release()
        self._in_call = True  # from here on the call may be interrupted

    def _take_turn(self) -> None:
        if self._in_call:
            self._in_call = False
            self._turn.acquire()
            self._since = None

    # ---- the thread

    def interrupt(self) -> None:
        """Interrupt the call, if it is in Python or in a system call; in the thread."""
        self._interrupting = True
        if self._watch.installed:
            signal.pthread_kill(self._main, signal.SIGUSR1)

    def _run(self) -> None:
        while not self._over.wait(_LOOK):
            self._read_signals()
            since = self._since
            if since is None or time.monotonic() - since < AFTER:
                continue
            if self._failure is not None:
                if time.monotonic() - self._failed > PATIENCE:
                    self._give_up(self._failure)
                    return
            elif self._turn.acquire(timeout=_LOOK):
                self._stand_in(since)

    def _stand_in(self, since: float) -> None:
        try:
            if self._since == since:
                while self._came:
                    self._on_signal(self._came.pop(0))
                self._attend(time.monotonic() - since)
        except BaseException as exc:
            self._failure, self._failed = exc, time.monotonic()
        finally:
            self._turn.release()

    # ---- signals

    def _watch_signals(self) -> None:
        """Hear of signals though a call in C keeps Python from handling them."""
        self._watch.on_note = self._raise_if_interrupted
        if not self._watch.installed:
            return
        self._pipe = os.pipe()
        for end in self._pipe:
            os.set_blocking(end, False)
        self._pipe_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)

    def _read_signals(self) -> None:
        if self._pipe is not None:
            with contextlib.suppress(BlockingIOError):
                told = os.read(self._pipe[0], 4096)
                if not self._interrupting:
                    self._came += [s.name for s in SIGNALS if s in told]
        if self._since is None:
            self._came.clear()  # the rank has handled them itself

    def _raise_if_interrupted(self) -> None:
        if self._interrupting and self._in_call:
            self._interrupting = False
            raise Abandoned
