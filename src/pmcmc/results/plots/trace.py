"""Parameters and log_prob, step after step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...diagnostics.statistics import ChainStatistics
from ..result import Result
from .style import APART, TRUTH, color, folded, rows

if TYPE_CHECKING:
    from ..._types import AnyArray

_WALKERS = 6  # of an ensemble, drawn as lines
_POINTS = 500  # of a line
_BURNIN = 2**16  # values of a quantity in burn-in


def draw_trace(
    result: Result,
    statistics: ChainStatistics,
    shown: Sequence[int],
    find_trapped: Callable[[], Mapping[int, Sequence[int]]],
    labels: Mapping[int, str],
    truths: Mapping[int, float],
) -> Any:
    """Return quantities step after step: of each ensemble the span of all walkers, and some lines.

    Walkers that are trapped, found by ensemble, are drawn over the others, in black.
    """
    trapped = find_trapped()
    figure, axes = rows(len(shown), "step")
    warming = None
    if max(result.burnin_steps):
        warming = ChainStatistics(
            result.reader, phase="burnin", most=_BURNIN, reference=statistics.reference
        )
    for ax, i in zip(axes, shown, strict=True):
        if warming is not None and i < len(warming.quantities):
            for e, values in enumerate(warming.values(i)):
                x = np.arange(len(values)) * warming.row_stride - result.burnin_steps[e]
                _add(ax, x, values, e, pale=True)
        for e, values in enumerate(statistics.values(i)):
            x = np.arange(len(values)) * statistics.row_stride * result.thin_by
            _add(ax, x, values, e)
            if e in trapped and len(values):
                step = max(1, math.ceil(len(values) / _POINTS))
                apart = values[::step, list(trapped[e])[:_WALKERS]]
                ax.plot(x[::step], apart, color=APART, lw=0.5, alpha=0.8)
        if warming is not None:
            ax.axvspan(-max(result.burnin_steps), 0, color="0.92", zorder=-2)
            ax.axvline(0, color="0.3", lw=0.8, ls="--")
        if i in truths:
            ax.axhline(truths[i], color=TRUTH, lw=1.0)
        _limit(ax, statistics.values(i), truths.get(i))
        ax.set_ylabel(folded(labels.get(i, "log_prob")))
        ax.margins(x=0)
    words = "; grey: burn-in" if warming is not None else ""
    words += "; black: trapped walkers" if trapped else ""
    title = f"a color for each ensemble: the span of its walkers, {_WALKERS} of them{words}"
    axes[0].set_title(title, size=9)
    return figure


def _add(ax: Any, x: AnyArray, values: AnyArray, e: int, pale: bool = False) -> None:
    """Draw one ensemble: the span of all its walkers, and some as lines, outermost among them."""
    if not len(values):
        return
    step = max(1, math.ceil(len(values) / _POINTS))
    starts = np.arange(0, len(values), step)
    low = np.minimum.reduceat(values.min(axis=1), starts)
    high = np.maximum.reduceat(values.max(axis=1), starts)
    ax.fill_between(x[::step], low, high, color=color(e), alpha=0.12, lw=0)
    order = np.argsort(values.mean(axis=0), kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, _WALKERS).astype(int))
    ax.plot(x[::step], values[::step, order[places]], color=color(e), lw=0.4,
            alpha=0.5 if pale else 0.6)  # fmt: skip


def _limit(ax: Any, chains: Sequence[AnyArray], truth: float | None) -> None:
    """Show the bulk of kept draws with some room, whatever a start far away spans."""
    values = np.concatenate([v.ravel() for v in chains])
    values = values[np.isfinite(values)]
    if not len(values):
        return
    low, high = np.quantile(values, (0.0005, 0.9995))
    if truth is not None:
        low, high = min(low, truth), max(high, truth)
    room = 0.3 * (high - low) or 1.0
    ax.set_ylim(low - room, high + room)
