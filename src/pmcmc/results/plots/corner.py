"""Marginal distributions of parameters and of pairs of them, of one run or of several."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...diagnostics.estimators import QUANTILES
from ...diagnostics.statistics import ChainStatistics
from ...diagnostics.summary import Summary
from ..uncertain import Uncertain
from .style import TRUTH, color, folded

if TYPE_CHECKING:
    from ..._types import FloatArray

_MOST_POINTS = 20_000
_LEVELS = 1 - np.exp(-0.5 * np.array([1.0, 2.0]) ** 2)  # of one and two sigma in two dimensions


def draw_corner(
    statistics: ChainStatistics,
    exact: ChainStatistics | Summary,
    shown: Sequence[int],
    labels: Mapping[int, str],
    truths: Mapping[int, float],
) -> Any:
    """Return the corner plot of one run; titles give the median and the 16% and 84% quantiles.

    The points come from ``statistics``, the figures from ``exact``.
    """
    figure = _figure(len(shown))
    flat = _flat(statistics, shown)
    named = [labels[i] for i in shown]
    marked = [truths.get(i) for i in shown]
    _add(figure, flat, named, color(0), _ranges([flat], marked), marked, quantiles=QUANTILES)
    for k, i in enumerate(shown):
        low, middle, high = exact.quantiles(i)  # those of the summary
        text = Uncertain.of(low, middle, high).latex()
        figure.axes[k * (len(shown) + 1)].set_title(f"{folded(labels[i])}\n${text}$", size=10)
    lines = folded(labels[shown[0]]).count("\n") + 2  # of the title at the top
    figure.subplots_adjust(top=1 - (0.15 + 0.19 * lines) / figure.get_figheight())
    return figure


def compare_corners(
    runs: Sequence[tuple[str, ChainStatistics]],
    shown: Sequence[Sequence[int]],
    labels: Sequence[str],
    truths: Sequence[float | None],
) -> Any:
    """Return one corner plot of several runs, a color each.

    Parameters
    ----------
    runs : sequence of (str, ChainStatistics)
        What the legend says of each, and its draws.
    shown : sequence of sequence of int
        The quantities of each, the same parameters in all.
    labels : sequence of str
        Of the parameters.
    truths : sequence of float or None
        True values, where there are any.

    """
    from matplotlib.lines import Line2D

    figure = _figure(len(labels))
    lines_only = {"plot_datapoints": False, "plot_density": False, "no_fill_contours": True}
    flats = [_flat(statistics, which) for (_, statistics), which in zip(runs, shown, strict=True)]
    ranges = _ranges(flats, truths)
    for r, flat in enumerate(flats):
        marked = truths if r == 0 else None
        _add(figure, flat, labels, color(r), ranges, marked, truth_color="black", **lines_only)
    lines = [Line2D([], [], color=color(r), label=name) for r, (name, _) in enumerate(runs)]
    figure.legend(handles=lines, loc="upper right", fontsize=12)
    return figure


def _figure(n: int) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(1.5 + 2.1 * n, 1.5 + 2.1 * n))


def _flat(statistics: ChainStatistics, shown: Sequence[int]) -> FloatArray:
    """Return some of the draws, (draw, parameter), without those that are no numbers."""
    flat = np.stack(
        [np.concatenate([v.ravel() for v in statistics.values(i)]) for i in shown], axis=1
    )
    flat = flat[:: -(-len(flat) // _MOST_POINTS)]
    return np.asarray(flat[np.isfinite(flat).all(axis=1)])


def _ranges(
    flats: Sequence[FloatArray], truths: Sequence[float | None]
) -> list[tuple[float, float]]:
    ranges = []
    for k, truth in enumerate(truths):
        ends = [float(f(x[:, k])) for x in flats if len(x) for f in (np.min, np.max)]
        ends += [] if truth is None else [truth]
        low, high = (float(f(ends)) for f in (np.min, np.max)) if ends else (0.0, 0.0)
        room = 0.03 * (high - low) if truth is not None else 0.0
        ranges.append((low - room, high + room) if high > low else (low - 1, low + 1))
    return ranges


def _add(
    figure: Any,
    flat: FloatArray,
    labels: Sequence[str],
    tint: str,
    ranges: Sequence[tuple[float, float]],
    truths: Sequence[float | None] | None,
    truth_color: str = TRUTH,
    **more: Any,
) -> None:
    library = importlib.import_module("corner")
    varied = len(flat) > 0 and bool((np.ptp(flat, axis=0) > 0).all())
    library.corner(
        flat,
        labels=[folded(label) for label in labels],
        fig=figure,
        color=tint,
        range=ranges,
        truths=truths,
        truth_color=truth_color,
        levels=_LEVELS,
        max_n_ticks=4,
        labelpad=0.05,
        hist_kwargs={"density": True},
        plot_contours=varied and len(flat) > 4 * len(labels),
        quiet=True,
        **more,
    )
