"""Pictures of a run's draws, one in a file. With the extra `plot`: matplotlib and corner.

Each is a matplotlib Figure, which no window needs.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ... import streams
from ...diagnostics.statistics import ChainStatistics
from ...diagnostics.summarize import find_divisions
from ...diagnostics.summary import Summary
from ...errors import PmcmcError, UsageError
from ...storage.place import shown_path
from ...text import some_text
from ..labels import plot_labels
from ..result import Result
from .acceptance import draw_acceptance
from .autocorrelation import draw_autocorrelation
from .corner import compare_corners, draw_corner
from .ranks import draw_ranks
from .running import draw_running
from .style import PAGE
from .trace import draw_trace

_MOST = 8  # parameters on one corner plot, unless they are named
_VALUES = 2**17  # of a quantity that pictures are made of


def pictures(
    result: Result,
    names: Sequence[str] | None = None,
    summary: Summary | None = None,
    truths: Mapping[str, float] | None = None,
    page: int = PAGE,
) -> list[tuple[str, Callable[[], Any]]]:
    """Return the name of each picture, and what draws it: corner, trace, and so on.

    Parameters
    ----------
    result : Result
        With a draw at least.
    names : sequence of str, optional
        The parameters to show. Default: all, derived ones last, of which corner shows the first 8,
        which is said. The other pictures have as many pages as they need: trace, trace-2, ...
    summary : Summary, optional
        Of these draws (default: it is worked out, from some of them).
    truths : mapping of str to float, optional
        True values, which are marked.
    page : int
        Axes on a page. Default: 12.

    Returns
    -------
    list of (str, callable)
        Each returns a matplotlib Figure.

    Raises
    ------
    PmcmcError
        If matplotlib or corner is not there.
    StoreError
        If there are no draws.
    UsageError
        If there is no such parameter.

    """
    result.statistics()  # says so if there are none
    _check_libraries()
    statistics = ChainStatistics(result.reader, most=_VALUES)
    wanted = result.checked(names)
    shown = [statistics.quantities.index(n) for n in wanted]
    named, remarks = plot_labels(wanted, result.labels)
    labels = {i: named[n] for i, n in zip(shown, wanted, strict=True)}
    marked = {
        statistics.quantities.index(n): x
        for n, x in _near(statistics, _checked(result, truths)).items()
    }
    in_corner = len(shown) if names is not None else _MOST
    if len(shown) > in_corner:
        remarks.append(
            f"corner shows {in_corner} of {len(shown)} parameters, not "
            f"{some_text(wanted[in_corner:], 12)}: name those to be shown with --parameters"
        )
    _tell(remarks)
    several = result.nensembles > 1
    known = statistics if summary is None else summary
    exact = result.statistics() if summary is None else summary

    def trapped() -> dict[int, tuple[int, ...]]:
        found = find_divisions(statistics) if summary is None else summary.divisions
        return {division.ensemble: division.trapped for division in found}

    planned: list[tuple[str, Callable[[], Any]]] = [
        ("corner", partial(draw_corner, statistics, exact, shown[:in_corner], labels, marked))
    ]
    for name, some in _pages("trace", [*shown, statistics.ndim], page):
        draw = partial(draw_trace, result, statistics, some, trapped, labels, marked)
        planned.append((name, draw))
    for name, some in _pages("autocorrelation", shown, page):
        planned.append(
            (name, partial(draw_autocorrelation, result, statistics, known, some, labels))
        )
    for name, some in _pages("ranks", shown, page) if several else ():
        planned.append((name, partial(draw_ranks, statistics, known, some, labels)))
    planned.append(("running", partial(draw_running, result, statistics, known, shown, labels)))
    planned.append(("acceptance", partial(draw_acceptance, result)))
    return planned


def figures(
    result: Result,
    names: Sequence[str] | None = None,
    summary: Summary | None = None,
    truths: Mapping[str, float] | None = None,
) -> Iterator[tuple[str, Any]]:
    """Give (name, figure) of each picture; parameters and errors as for `pictures`."""
    yield from ((name, draw()) for name, draw in pictures(result, names, summary, truths))


def comparison(
    results: Sequence[Result],
    names: Sequence[str] | None = None,
    truths: Mapping[str, float] | None = None,
) -> Any:
    """Return the corner plots of several runs in one figure.

    Parameters
    ----------
    results : sequence of Result
        With a draw each.
    names : sequence of str, optional
        The parameters to show. Default: those that all have, at most 8, which is said.
    truths : mapping of str to float, optional
        True values, which are marked.

    Raises
    ------
    UsageError
        If there is no such parameter in one of them, or none that all have.
    PmcmcError, StoreError
        As `pictures`.

    """
    for result in results:
        result.statistics()
    _check_libraries()
    if names is not None:
        wanted = results[0].checked(names)
        for other in results[1:]:
            other.checked(wanted)
    else:
        others = [set(other.quantities) for other in results[1:]]
        wanted = tuple(n for n in results[0].quantities if all(n in other for other in others))
        if not wanted:
            raise UsageError("these runs have no parameter in common")
    remarks = []
    for result in results:
        if left := [n for n in result.quantities if n not in wanted]:
            remarks.append(f"{shown_path(result.path)}: {some_text(left, 12)} not shown")
    if names is None and len(wanted) > _MOST:
        remarks.append(
            f"corner shows {_MOST} of {len(wanted)} parameters, not "
            f"{some_text(wanted[_MOST:], 12)}: name those to be shown with --parameters"
        )
        wanted = wanted[:_MOST]
    labels, more = plot_labels(wanted, results[0].labels)
    _tell(remarks + more)
    statistics = [ChainStatistics(results[0].reader, most=_VALUES)]
    circles = results[0].reader.header.circles
    for result in results[1:]:
        turns = result.reader.header.circles.turns
        same = result.names == results[0].names and turns == circles.turns
        reference = statistics[0].reference if same else None
        statistics.append(ChainStatistics(result.reader, most=_VALUES, reference=reference))
    told = [str(shown_path(result.path)) for result in results]
    marked = _near(statistics[0], _checked(results[0], truths))
    return compare_corners(
        list(zip(told, statistics, strict=True)),
        [[one.quantities.index(n) for n in wanted] for one in statistics],
        [labels[n] for n in wanted],
        [marked.get(n) for n in wanted],
    )


def _pages(name: str, shown: Sequence[int], most: int) -> Iterator[tuple[str, Sequence[int]]]:
    """Give the name of each page and what is on it; none is nearly empty."""
    pages = -(-len(shown) // most)
    height = -(-len(shown) // pages)
    for page in range(pages):
        some = shown[page * height : (page + 1) * height]
        yield name if page == 0 else f"{name}-{page + 1}", some


def _near(statistics: ChainStatistics, truths: dict[str, float]) -> dict[str, float]:
    """Return true values as the draws are shown: on circles the short way round from the mean."""
    reference, turns = statistics.reference, statistics.header.circles.turns
    if reference is None:
        return truths
    found = dict(truths)
    for name in found.keys() & turns.keys():
        low, high = turns[name]
        middle = float(reference[statistics.quantities.index(name)])
        found[name] = middle + math.remainder(found[name] - middle, high - low)
    return found


def _checked(result: Result, truths: Mapping[str, float] | None) -> dict[str, float]:
    for name in truths or ():
        result.checked([name])
    return {name: float(value) for name, value in (truths or {}).items()}


def _check_libraries() -> None:
    try:
        importlib.import_module("corner")
    except ImportError as exc:
        raise PmcmcError(
            f"plots need matplotlib and corner ({exc}): pip install 'pmcmc[plot]'"
        ) from None


def _tell(remarks: Sequence[str]) -> None:
    for remark in remarks:
        streams.tell(f"note: {remark}", error=True)
