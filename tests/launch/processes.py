"""What was started, and whether it is gone."""

import contextlib
import os
import time

import psutil


def lives(process):
    """Tell whether a process runs."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != "zombie"
    return False


def started(pid=None):
    """Return all processes that one, by default this, has started and that run."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return set(psutil.Process(pid or os.getpid()).children(recursive=True))
    return set()


def wait_until_gone(processes, seconds):
    """Wait for their end."""
    limit = time.monotonic() + seconds
    while left := [p for p in processes if lives(p)]:
        assert time.monotonic() < limit, left
        time.sleep(0.05)
