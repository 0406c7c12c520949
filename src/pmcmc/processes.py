"""The processes that this one has started, as Linux tells."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_TO_END = 0.3  # seconds between SIGTERM and SIGKILL


def end_children(since: float) -> None:
    """End the processes that were started since, with those that they started, and their groups.

    Parameters
    ----------
    since : float
        Seconds of CLOCK_MONOTONIC, which is that of boot but for suspended time.

    """
    found = _younger(since)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in found:
            _end(pid, number)
        limit = time.monotonic() + _TO_END
        while number == signal.SIGTERM and time.monotonic() < limit:
            if not any(map(_alive, found)):
                return
            time.sleep(0.01)


def _end(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        group = os.getpgid(pid)
        if group == pid:  # it leads one of its own
            os.killpg(group, number)
        else:
            os.kill(pid, number)


def _younger(since: float) -> list[int]:
    """Return what descends from this process and began since."""
    tick, found = os.sysconf("SC_CLK_TCK"), []
    left = [os.getpid()]
    while left:
        for line in Path(f"/proc/{left.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                for pid in map(int, line.read_text().split()):
                    left.append(pid)
                    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    if int(fields[19]) / tick >= since - 1 / tick:
                        found.append(pid)
    return found


def _alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended, and is not yet waited for, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False
