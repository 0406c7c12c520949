"""Signals that ask a run to end: SIGTERM, SIGINT, SIGUSR1.

While ranks sample, a signal is only noted: whoever looks for messages sees it, so that the run can
commit first. Before that there is nothing to lose, and it is raised at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from . import forks

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
_ONE_PRESS = 1.0  # seconds: a launcher may pass on a Ctrl-C that the terminal has sent too


class Signalled(KeyboardInterrupt):
    """A signal came before there was anything to commit; its name is the first argument."""


class SignalWatch:
    """Notes signals while it is entered, and restores the handlers that were there.

    Attributes
    ----------
    caught : str or None
        Name of the first signal that came.
    quiet : bool
        Only note signals; else the first raises ``Signalled``.
    on_signal : callable or None
        Called with the name of the first signal, in the main thread between two bytecodes.
    on_second : callable or None
        Called where SIGINT comes again; without it that ends the process.
    on_note : callable
        Called first with each signal; may raise.

    """

    def __init__(self) -> None:
        self.caught: str | None = None
        self.quiet = False
        self.on_signal: Callable[[str], None] | None = None
        self.on_second: Callable[[], None] | None = None
        self.on_note: Callable[[], None] = lambda: None
        self._interrupted: float | None = None  # when SIGINT came first
        self._before: dict[int, Any] = {}
        self._not_in_children: Callable[[], None] = lambda: None

    def __enter__(self) -> SignalWatch:
        """Install the handlers; where this is not the main thread, Python does not let us."""
        if threading.current_thread() is threading.main_thread() and not self._before:
            self._before = {s: signal.signal(s, self._note) for s in SIGNALS}
            self._not_in_children = forks.in_children(self._restore)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore the handlers."""
        if self._before:
            self._not_in_children()
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    @property
    def installed(self) -> bool:
        """Whether the handlers are there, and none of the model's in their place."""
        return bool(self._before) and all(signal.getsignal(s) == self._note for s in SIGNALS)

    def renew(self) -> None:
        """Install the handlers again, where a model that was loaded has put others there."""
        for number in self._before:
            signal.signal(number, self._note)

    def raise_if_caught(self) -> None:
        """Raise a signal from here on at once, also one that has come already.

        Raises
        ------
        Signalled
            If one has.

        """
        self.quiet = False
        if self.caught is not None:
            raise Signalled(self.caught)

    def ignore_from_now_on(self) -> None:
        """Ignore signals from here to the end of the process.

        srun --kill-on-bad-exit sends SIGTERM to all ranks once the first has left with status 75.
        Python gives up its handlers as it ends, and the rank would die of it; ignored, a signal
        stays so.
        """
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.on_note()
        name = signal.Signals(number).name
        if number == signal.SIGINT:
            self._interrupt()
        if self.caught is None:
            self.caught = name
            if not self.quiet:
                raise Signalled(name)
            if self.on_signal is not None:
                self.on_signal(name)

    def _interrupt(self) -> None:
        """Wait no longer where SIGINT came before, and this is not the same press of Ctrl-C."""
        now = time.monotonic()
        if self._interrupted is None:
            self._interrupted = now
        elif now - self._interrupted <= _ONE_PRESS:
            pass
        elif self.on_second is not None:
            self._interrupted = now
            hurry, self.on_second = self.on_second, None
            hurry()
        else:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
