"""The summary of what a ChainStatistics reads: every figure is worked out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from .agreement import separation
from .criteria import FAR
from .intervals import highest_density, mode
from .limits import LONG
from .statistics import ChainStatistics
from .summary import Summary
from .table import EnsembleRow, Row
from .walkers import Division, divisions

if TYPE_CHECKING:
    from .._types import FloatArray


def summarize(statistics: ChainStatistics, kind: str = "quantiles", threads: int = 1) -> Summary:
    """Return the Summary of what a ChainStatistics reads.

    Parameters
    ----------
    statistics : ChainStatistics
        Of one draw at least.
    kind : {"quantiles", "hdi", "mode"}
        Whether highest-density intervals and modes are worked out too. Default: "quantiles".
    threads : int
        Quantities that are worked on at a time. Default: 1.

    Returns
    -------
    Summary

    """
    ndim = statistics.ndim
    _ = statistics.moments  # by one thread
    every = statistics.each(partial(_row, statistics, kind), threads)
    rows, log_prob, derived = every[:ndim], every[ndim], every[ndim + 1 :]
    taus = tuple(statistics.rank_tau(i) for i in range(len(statistics.quantities)))
    rows_of = np.array(statistics.rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        acceptance = statistics.moves / rows_of[:, None]
    offsets, stuck, rare = statistics.offsets, statistics.stuck, statistics.rare
    found = find_divisions(statistics)
    worst = _worst(rows)
    return Summary(
        rows=tuple(rows),
        log_prob=log_prob,
        ensembles=tuple(_ensemble_rows(statistics, acceptance, worst, found)),
        worst=statistics.names[worst],
        acceptance=acceptance,
        ndraws=statistics.ndraws,
        nsteps=sum(statistics.rows),
        kept=statistics.kept,
        steps=statistics.steps,
        rank_taus=taus,
        offsets=offsets,
        farthest_in=statistics.farthest_in,
        divisions=found,
        low=statistics.low,
        shift=statistics.shift,
        shifted=statistics.shifted,
        stuck=stuck,
        rare=rare,
        row_stride=statistics.row_stride,
        derived=tuple(derived),
        redrawn=statistics.redrawn,
        fixed=statistics.header.parameters.fixed,
        kind=kind,
        rejected=statistics.rejected,
        rejected_share=statistics.rejected_share,
        separation=separation(statistics),
        missed=statistics.missed,
        periodic=statistics.header.circles.turns,
    )


def find_divisions(statistics: ChainStatistics) -> tuple[Division, ...]:
    """Return the ensembles whose walkers are in groups that do not mix.

    Parameters
    ----------
    statistics : ChainStatistics
        Of one draw at least.

    Returns
    -------
    tuple of Division
        Looked for where a walker is far from its ensemble's mean, or an ensemble is short.

    """
    begun = np.array(statistics.rows) > 0
    longest = np.zeros(statistics.nensembles)
    longest[begun] = np.max([statistics.rank_tau(i) for i in range(statistics.ndim + 1)], axis=0)
    far = ~(statistics.offsets.max(axis=1) <= FAR)
    suspect = far | ~(0.5 * LONG * longest <= statistics.steps)
    found = divisions(statistics, [int(e) for e in np.flatnonzero(suspect & begun)])
    stuck = statistics.stuck
    # walkers that never moved are in no other mode, unless log_prob tells that they are
    return tuple(d for d in found if not (d.alike and stuck[d.ensemble, list(d.trapped)].all()))


def _row(statistics: ChainStatistics, kind: str, i: int) -> Row:
    more: dict[str, float] = {}
    if kind != "quantiles":
        low, high = highest_density(statistics.values(i))
        more = {"hdi_low": low, "hdi_high": high}
    if kind == "mode":
        more["mode"] = mode(statistics.values(i))
    q16, q50, q84 = statistics.quantiles(i)
    moments = statistics.moments
    return Row(
        name=statistics.quantities[i],
        mean=statistics.mean(i),
        sd=float(moments.sd[i]),
        q16=q16,
        q50=q50,
        q84=q84,
        tau=statistics.tau(i),
        ess_bulk=statistics.ess_bulk(i),
        ess_tail=statistics.ess_tail(i),
        r_hat=statistics.r_hat(i),
        mcse=statistics.mcse(i),
        **more,
    )


def _worst(rows: Sequence[Row]) -> int:
    """Return the number of the parameter in which ensembles agree least."""
    r_hats = np.array([row.r_hat for row in rows])
    if np.isfinite(r_hats).any():
        return int(np.nanargmax(r_hats))
    return int(np.argmin([row.ess_bulk if row.ess_bulk > 0 else math.inf for row in rows]))


def _ensemble_rows(
    statistics: ChainStatistics,
    acceptance: FloatArray,
    worst: int,
    found: Sequence[Division],
) -> Iterator[EnsembleRow]:
    trapped = {division.ensemble: division.trapped for division in found}
    medians = [
        float(np.median(v)) if v.size else math.nan for v in statistics.values(statistics.ndim)
    ]
    means = [float(v.mean()) if v.size else math.nan for v in statistics.values(worst)]
    for e, best in enumerate(statistics.moments.best):
        yield EnsembleRow(
            log_prob=medians[e],
            best=float(best[-1]),
            best_draw=tuple(map(float, best[:-1])),
            acceptance=float(acceptance[e].mean()),
            mean=means[e],
            trapped=trapped.get(e, ()),
            stuck=tuple(map(int, np.flatnonzero(statistics.stuck[e]))),
            rare=tuple(map(int, np.flatnonzero(statistics.rare[e]))),
        )
