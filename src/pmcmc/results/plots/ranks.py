"""Rank plots (Vehtari et al. 2021, doi:10.1214/20-BA1221).

Where ensembles agree, each has as many draws of every rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...diagnostics.statistics import ChainStatistics
from ...diagnostics.summary import Summary
from .style import color, folded, rows

_BINS = 20
_MOST = 2**15  # values


def draw_ranks(
    statistics: ChainStatistics,
    known: ChainStatistics | Summary,
    shown: Sequence[int],
    labels: Mapping[int, str],
) -> Any:
    """Return how the draws of each ensemble spread over the ranks among all draws.

    Band: two standard errors of a share, for the effective draws, ``known``, of each ensemble.
    """
    figure, axes = rows(len(shown), "rank among the draws of all ensembles")
    edges = np.linspace(0, 1, _BINS + 1)
    for ax, i in zip(axes, shown, strict=True):
        parts = [v.ravel() for v in statistics.values(i)]
        step = max(1, sum(map(len, parts)) // _MOST)
        parts = [part[::step] for part in parts]
        flat = np.sort(np.concatenate(parts))
        if len(flat):
            size = known.ess_bulk(i) / max(1, sum(len(part) > 0 for part in parts))
            share = 1 / _BINS
            error = 2 * np.sqrt(share * (1 - share) / size) * _BINS if size > 0 else 0.0
            ax.axhspan(1 - error, 1 + error, color="0.92", zorder=-2)
        ax.axhline(1, color="0.6", lw=0.6)
        for e, part in enumerate(parts):
            if not len(part):
                continue
            ties = (np.searchsorted(flat, part, side) for side in ("left", "right"))
            ranks = sum(ties) / (2 * len(flat))
            density = np.histogram(ranks, edges)[0] * _BINS / len(part)
            ax.stairs(density, edges, color=color(e), lw=1.0)
        ax.set_ylabel(folded(labels[i]))
        ax.set_ylim(bottom=0)
        ax.margins(x=0)
    axes[0].set_title("ranks, a line for each ensemble; band: as they agree", size=9)
    return figure
