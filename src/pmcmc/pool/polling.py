"""A thread that sends and receives while the main thread evaluates."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

_SWITCH = 2e-4  # seconds


class PollingThread(threading.Thread):
    """Calls a function in a thread of its own, politely, until it says False or ``end``.

    Meanwhile a pure Python function in the main thread gives way sooner than Python's usual 5 ms.

    Parameters
    ----------
    step : callable
        Returns True where it found something to do, None where not, False when all is done.
    pause : float
        The longest sleep, in seconds.
    close : callable
        The last thing that is called there.

    Attributes
    ----------
    failure : BaseException or None
        What ``step`` raised, which ends the thread.

    """

    def __init__(
        self,
        step: Callable[[], bool | None],
        pause: float,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(daemon=True)
        self._step, self._pause, self._close = step, pause, close
        self._stopping = False
        self._usual = sys.getswitchinterval()
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Start the thread."""
        sys.setswitchinterval(min(self._usual, _SWITCH))
        super().start()

    def run(self) -> None:
        """Work until told to stop."""
        idle = 0
        try:
            while not self._stopping:
                found = self._step()
                if found is False:
                    return
                idle = 0 if found else idle + 1
                if idle > 2:
                    time.sleep(min(self._pause, 2e-5 * idle))
        except BaseException as exc:
            self.failure = exc
        finally:
            self._close()

    def end(self) -> None:
        """End the thread."""
        self._stopping = True
        self.join()
        sys.setswitchinterval(self._usual)
