"""The cores that this process may use."""

from __future__ import annotations

import os


def own_cores() -> tuple[int, ...]:
    """Return their numbers: all, where the system binds no process to some (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def count_cores() -> int:
    """Return how many they are."""
    return len(own_cores())
