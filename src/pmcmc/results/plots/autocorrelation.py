"""The autocorrelation function of each parameter, with tau."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...diagnostics.estimators import autocorrelation
from ...diagnostics.statistics import ChainStatistics
from ...diagnostics.summary import Summary
from ...diagnostics.table import tau_text
from ..result import Result
from .style import color, folded, rows

_MOST = 2**16  # values of an ensemble


def draw_autocorrelation(
    result: Result,
    statistics: ChainStatistics,
    known: ChainStatistics | Summary,
    shown: Sequence[int],
    labels: Mapping[int, str],
) -> Any:
    """Return each parameter's autocorrelation function, of each ensemble, with ``known`` tau."""
    figure, axes = rows(len(shown), "lag (steps)")
    apart = result.thin_by * statistics.row_stride  # steps between rows that are read
    for ax, i in zip(axes, shown, strict=True):
        tau = known.tau(i)
        lags = int(10 * tau / apart if tau > 0 else 200) + 1
        for e, values in enumerate(statistics.values(i)):
            if not values.size:
                continue
            some = values[:, :: max(1, values.size // _MOST)]  # of the walkers
            f = autocorrelation(some)[:lags]
            ax.plot(np.arange(len(f)) * apart, f, color=color(e), lw=0.8)
        ax.axhline(0, color="0.6", lw=0.6)
        if tau > 0:
            ax.axvline(tau, color="0.3", lw=0.8, ls="--")
            text = f"tau = {tau_text(tau)} steps"
            ax.text(0.98, 0.9, text, transform=ax.transAxes, ha="right", va="top", size=9)
        ax.set_ylabel(folded(labels[i]))
        ax.margins(x=0)
    axes[0].set_title("autocorrelation, a line for each ensemble; dashed: tau", size=9)
    return figure
