"""ESS and R-hat as they were while the run went on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...diagnostics.estimators import (
    TAILS,
    autocorrelation_time,
    effective_size,
    normal_scores,
    quantiles,
    tail_times,
)
from ...diagnostics.estimators import r_hat as r_hat_of
from ...diagnostics.limits import LONG, Limits
from ...diagnostics.statistics import ChainStatistics
from ...diagnostics.stopping import checks
from ...diagnostics.summary import Summary
from ..result import Result
from .style import COLORS, in_legend, rows

if TYPE_CHECKING:
    from ..._types import AnyArray

_FEW = 2**15  # values of a parameter, where figures are worked out again and again
_CHECKS = 10  # that are shown, at most
_LINES = len(COLORS)  # parameters


def draw_running(
    result: Result,
    statistics: ChainStatistics,
    known: ChainStatistics | Summary,
    shown: Sequence[int],
    labels: Mapping[int, str],
) -> Any:
    """Return ESS and R-hat as they were at some checks of the run, and at its end.

    Of many parameters those with the least ``known`` ESS in the end are shown. In a large file
    figures are estimated from fewer steps than in the summary.
    """
    end = min(result.steps)
    at = list(_until(end))
    at = at[::-1][:: max(1, -(-len(at) // _CHECKS))][::-1]
    some = sorted(shown, key=lambda i: (known.ess_bulk(i), i))[:_LINES]
    some = [i for i in shown if i in some]
    ess, r_hat = np.full((2, len(at), len(some)), np.nan)
    for n, steps in enumerate(at):
        kept = -(-steps // statistics.row_stride)
        step = max(1, kept * result.nensembles * result.nwalkers // _FEW)
        for k, i in enumerate(some):
            early = [values[:kept:step] for values in statistics.values(i)]
            ess[n, k], r_hat[n, k] = _ess(early), r_hat_of(early)
    figure, axes = rows(1 if result.nensembles == 1 else 2, "kept steps of each ensemble")
    limits = Limits.of(result.config.get("until_ess"), result.config.get("until_rhat"))
    several = result.nensembles > 1
    for k, i in enumerate(some):
        tint, named = COLORS[k], in_legend(labels[i])
        axes[0].plot(at, ess[:, k], "o-", ms=3, lw=0.8, color=tint, label=named)
        if several:
            axes[1].plot(at, r_hat[:, k] - 1, "o-", ms=3, lw=0.8, color=tint)
    if limits.ess:
        axes[0].axhline(limits.ess, color="0.3", lw=0.8, ls="--")
    axes[0].set_ylabel("ESS")
    axes[0].legend(fontsize=8, ncols=4)
    if several:
        axes[1].axhline(limits.r_hat - 1, color="0.3", lw=0.8, ls="--")
        axes[1].set_ylabel("R-hat - 1")
    for ax, drawn in zip(axes, (ess, r_hat - 1), strict=False):
        if (drawn > 0).any():
            ax.set_xscale("log")
            ax.set_yscale("log")
    words = f"; ESS below {LONG} tau is too high" if end else ""
    if len(some) < len(shown):
        words += f"; the {len(some)} of {len(shown)} parameters with the least ESS"
    axes[0].set_title(f"dashed: what is asked for{words}", size=9)
    return figure


def _ess(chains: Sequence[AnyArray]) -> float:
    """Return the lesser effective number of draws, of the mean and of the tails."""
    begun = [chain for chain in chains if len(chain)]
    if not begun:
        return math.nan
    bounds = quantiles(begun, TAILS)
    bulk = np.mean([autocorrelation_time(normal_scores(chain)) for chain in begun])
    tails = np.mean([tail_times(chain, bounds) for chain in begun], axis=0)
    ndraws = sum(chain.size for chain in begun)
    return min(effective_size(ndraws, float(time)) for time in (bulk, *tails))


def _until(end: int) -> Iterator[int]:
    """Give the checks before ``end``, and ``end``."""
    for c in checks():
        if c >= end:
            break
        yield c
    yield end
