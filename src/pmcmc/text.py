"""Numbers and lists as text for people."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from . import streams

_SOON = 2.0  # seconds after which one asks what takes so long
_UNITS = ((1e-3, "us", 1e-6), (1, "ms", 1e-3), (120, "s", 1), (7200, "min", 60))


def printable(text: str, longest: int = 200) -> str:
    """Return text from a file as it can be shown: no control characters, not without end.

    Parameters
    ----------
    text : str
        Of anybody's.
    longest : int
        Characters that are kept. Default: 200.

    Returns
    -------
    str

    """
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:longest]
    )
    return shown if len(text) <= longest else f"{shown}..."


def duration_text(seconds: float) -> str:
    """Return seconds in the unit that suits them, ``4.2 ms`` or ``3.5 h``."""
    for limit, unit, size in _UNITS:
        if seconds < 0.9995 * limit:  # what rounds up to a limit belongs to the next unit
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 3600:.3g} h"


def size_text(nbytes: int) -> str:
    """Return a number of bytes, ``3.2 GiB`` or ``64 MiB``."""
    return f"{nbytes / 2**30:.1f} GiB" if nbytes >= 2**30 else f"{nbytes / 2**20:.0f} MiB"


def count_text(n: int, noun: str) -> str:
    """Return ``1 rank`` or ``3 ranks``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def ordinal_text(n: int) -> str:
    """Return ``1st``, ``2nd``, ``3rd``, ``11th``."""
    last = 0 if 10 < n % 100 < 14 else n % 10
    return f"{n}{('th', 'st', 'nd', 'rd')[last] if last < 4 else 'th'}"


def span_text(values: Iterable[int]) -> str:
    """Return the least and the greatest of some numbers, ``3 to 5``, or just ``3``."""
    ordered = sorted(set(values))
    return str(ordered[0]) if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def some_text(texts: Sequence[str], most: int = 5, counted: bool = False) -> str:
    """Return the first few of some texts, ``a, b, ...``; ``counted``: ``a, b and 7 more``."""
    more = len(texts) - most
    end = "" if more <= 0 else f" and {more} more" if counted else ", ..."
    return ", ".join(texts[:most]) + end


def to_terminal(text: str) -> None:
    """Print a line on standard error, if that is a terminal."""
    if streams.is_terminal():
        streams.tell(text, error=True)


@contextlib.contextmanager
def announced(text: str, say: Callable[[str], None] = to_terminal) -> Iterator[None]:
    """Say what is being done, if it takes more than two seconds.

    Parameters
    ----------
    text : str
        As in "loading model.py".
    say : callable
        Takes the line; called from another thread. Default: ``to_terminal``.

    """
    timer = threading.Timer(_SOON, say, (f"{text} ...",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def progress_bar(text: str, total: int) -> Iterator[Callable[[int], object]]:
    """Show a bar, if it takes more than two seconds and standard error is a terminal.

    Parameters
    ----------
    text : str
        What is being done, as in "drawing plots".
    total : int
        Parts that it has.

    Yields
    ------
    callable
        Takes how many parts were done since.

    """
    from tqdm import tqdm

    hidden = not streams.is_terminal()
    with tqdm(total=total, desc=text, delay=_SOON, leave=False, disable=hidden) as bar:
        yield bar.update


def bytes_text(size: float) -> str:
    """Return a number of bytes in words, ``3.2 GB``."""
    units = ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.3g} {units[0]}"
