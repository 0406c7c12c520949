"""A forked child of a rank is no rank: it sends no message, holds no lock and ends by itself."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from . import streams
from .tracebacks import traceback_text

_HELD_BACK = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

_in_child = False
_undo: list[Callable[[], None]] = []
_masks: list[set[Any]] = []


def in_child() -> bool:
    """Tell whether this was forked, by ``os.fork`` or multiprocessing, off a rank at work."""
    return _in_child


def in_children(undo: Callable[[], None]) -> Callable[[], None]:
    """Say that this process is a rank at work: what is forked from now on is a child of it.

    Parameters
    ----------
    undo : callable
        Called in each child, without arguments.

    Returns
    -------
    callable
        Ends that.

    """
    _undo.append(undo)
    return lambda: _undo.remove(undo)


def left_behind() -> list[str]:
    """Return the processes that this one started and that live, as Linux tells: pid and name.

    Those of multiprocessing end with this one.
    """
    found = []
    known: set[int | None] = set()
    if "multiprocessing" in sys.modules:
        known = {child.pid for child in sys.modules["multiprocessing"].active_children()}
    lines: list[Path] = []
    with contextlib.suppress(OSError):  # the model may have left no open file to be had
        lines = list(Path("/proc/self/task").glob("*/children"))
    for line in lines:
        with contextlib.suppress(OSError):
            for pid in line.read_text().split():
                stat = Path(f"/proc/{pid}/stat").read_text()
                name, _, state = stat.partition("(")[2].rpartition(")")
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
                if state.split()[0] not in "ZX" and b"resource_tracker" not in words:
                    found += [f"{pid}, {name}"] if int(pid) not in known else []
    return found


def leave(exc: BaseException | None = None) -> NoReturn:
    """End a forked child, as Python ends a process, but for what belongs to the rank.

    Parameters
    ----------
    exc : BaseException, optional
        What the code of the model raised in the child. Default: it came back.

    """
    status = 1
    if exc is None:
        streams.tell(
            "pmcmc: error: a forked child came back from the model's code, which is the rank's "
            "to do: a child ends by os._exit",
            error=True,
        )
    elif isinstance(exc, SystemExit):
        status = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    else:
        streams.tell(traceback_text(exc), error=True)
    streams.flush()
    os._exit(status)


def _before() -> None:
    """Hold signals back: one that meets the child with the rank's handlers would be lost."""
    if _undo:
        _masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK))


def _after() -> None:
    if _masks:
        signal.pthread_sigmask(signal.SIG_SETMASK, _masks.pop())


def _forked() -> None:
    global _in_child
    _in_child = _in_child or bool(_undo)
    while _undo:
        _undo.pop()()
    _after()


os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_forked)
