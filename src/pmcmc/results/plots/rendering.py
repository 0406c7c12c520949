"""Pictures as bytes, drawn by as many processes as there are cores where that is worth it."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from ...cores import count_cores

Picture = tuple[str, Callable[[], Any]]

_shared: list[tuple[Sequence[Picture], Callable[[Any], bytes]]] = []  # what a fork inherits


def render(
    drawn: Sequence[Picture], convert: Callable[[Any], bytes], parallel: bool
) -> Iterator[tuple[str, bytes]]:
    """Draw pictures; give each by its name, in order.

    Parameters
    ----------
    drawn : sequence of (str, callable)
        As `pictures` returns them.
    convert : callable
        Returns a figure's bytes.
    parallel : bool
        Whether this process may fork: it has no other threads, and no file open.

    Yields
    ------
    (str, bytes)

    """
    count = min(len(drawn), count_cores())
    if not parallel or count < 2 or sys.platform != "linux":
        yield from ((name, convert(draw())) for name, draw in drawn)
        return
    _shared.append((drawn, convert))
    try:
        # a multiprocessing.Pool that is left while it works may hang in the join of its threads
        with ProcessPoolExecutor(count, multiprocessing.get_context("fork")) as pool:
            names = (name for name, _ in drawn)
            yield from zip(names, pool.map(_render, range(len(drawn))), strict=True)
    finally:
        _shared.pop()


def _render(i: int) -> bytes:
    drawn, convert = _shared[-1]
    return convert(drawn[i][1]())
