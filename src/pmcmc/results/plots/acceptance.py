"""How often the walkers of each ensemble moved."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..result import Result
from .style import color, rows


def draw_acceptance(result: Result) -> Any:
    """Return the accepted share of each walker's steps, ensemble by ensemble."""
    figure, axes = rows(1, "ensemble")
    ax, share = axes[0], result.acceptance_fraction
    rng = np.random.default_rng(0)
    for e, walkers in enumerate(share):
        x = e + rng.uniform(-0.25, 0.25, len(walkers))
        ax.plot(x, walkers, ".", ms=3, color=color(e), alpha=0.6)
        ax.plot([e - 0.35, e + 0.35], [walkers.mean()] * 2, color="0.2", lw=1.2)
    ax.set_ylim(0, max(0.05, 1.1 * float(np.nanmax(share, initial=0.0))))
    ax.set_ylabel("acceptance")
    if result.nensembles <= 20:
        ax.set_xticks(range(result.nensembles))
    ax.set_title("a point for each walker, a bar for each ensemble's mean", size=9)
    return figure
