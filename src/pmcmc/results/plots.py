"""Pictures of a run's draws. With the extra `plot`: matplotlib and corner.

Each function returns a matplotlib Figure, which no window needs.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import streams
from ..diagnostics.criteria import LONG, Limits
from ..diagnostics.estimators import autocorrelation as mean_autocorrelation
from ..diagnostics.statistics import ChainStatistics
from ..diagnostics.stopping import checks
from ..diagnostics.summary import Summary, summarize
from ..errors import PmcmcError
from ..text import some_text
from .labels import plot_labels
from .result import Result

if TYPE_CHECKING:
    from .._types import AnyArray

_MOST_PARAMETERS = 12  # on one corner plot
_MOST_ROWS = 30  # of axes
_MOST_POINTS = 50_000
_WALKERS = 8  # of an ensemble, drawn as lines
_LINES = 2000  # points of a line
_FEW = 2**17  # values of a parameter, where figures are worked out again and again


def figures(
    result: Result, names: Sequence[str] | None = None, summary: Summary | None = None
) -> Iterator[tuple[str, Any]]:
    """Give (name, figure) of each picture: corner, trace, autocorrelation, running, acceptance.

    Parameters
    ----------
    result : Result
        With a draw at least.
    names : sequence of str, optional
        The parameters to show (default: all, derived ones last). Corner shows the first 12 of
        them, the others the first 30; which are left out is said on standard error.
    summary : Summary, optional
        Of these draws (default: it is worked out).

    Raises
    ------
    PmcmcError
        If matplotlib or corner is not there.
    StoreError
        If there are no draws.

    """
    statistics = result.statistics()  # says so if there are none
    try:
        importlib.import_module("corner")
    except ImportError as exc:
        raise PmcmcError(
            f"plots need matplotlib and corner ({exc}): pip install 'pmcmc[plot]'"
        ) from None
    wanted = result.checked(names)
    shown = [statistics.quantities.index(n) for n in wanted]
    named, remarks = plot_labels(wanted, result.labels)
    if len(shown) > _MOST_PARAMETERS:
        remarks.append(
            f"corner shows {_MOST_PARAMETERS} of {len(shown)} parameters, not "
            f"{some_text(wanted[_MOST_PARAMETERS:], 12)}: name those to be shown with --parameters"
        )
    if len(shown) > _MOST_ROWS:
        remarks.append(
            f"the other plots show {_MOST_ROWS} of {len(shown)} parameters, not "
            f"{some_text(wanted[_MOST_ROWS:], 12)}"
        )
    for remark in remarks:
        streams.tell(f"note: {remark}", error=True)
    labels = {i: named[n] for i, n in zip(shown, wanted, strict=True)}
    yield "corner", corner(statistics, shown[:_MOST_PARAMETERS], labels)
    found = summarize(statistics) if summary is None else summary
    trapped = {division.ensemble: division.trapped for division in found.divisions}
    yield "trace", trace(result, statistics, shown[:_MOST_ROWS], trapped, labels)
    yield "autocorrelation", autocorrelation(result, statistics, shown[:_MOST_ROWS], labels)
    yield "running", running(result, shown[:_MOST_ROWS], labels)
    yield "acceptance", acceptance(result)


def corner(statistics: ChainStatistics, shown: Sequence[int], labels: Mapping[int, str]) -> Any:
    """Return the marginal distributions of parameters and of pairs of them."""
    library = importlib.import_module("corner")
    from matplotlib.figure import Figure

    flat = np.stack(
        [np.concatenate([v.ravel() for v in statistics.values(i)]) for i in shown], axis=1
    )
    flat = flat[:: -(-len(flat) // _MOST_POINTS)]
    n = len(shown)
    figure = Figure(figsize=(1.5 + 2.1 * n, 1.5 + 2.1 * n))
    varied = np.ptp(flat, axis=0) > 0
    ranges = [
        (float(c.min()), float(c.max())) if ok else (float(c[0]) - 1, float(c[0]) + 1)
        for c, ok in zip(flat.T, varied, strict=True)
    ]
    library.corner(
        flat,
        labels=[labels[i] for i in shown],
        fig=figure,
        quantiles=(0.16, 0.5, 0.84),
        show_titles=True,
        range=ranges,
        plot_contours=bool(varied.all()) and len(flat) > 4 * n,
        quiet=True,
    )
    return figure


def trace(
    result: Result,
    statistics: ChainStatistics,
    shown: Sequence[int],
    trapped: Mapping[int, Sequence[int]],
    labels: Mapping[int, str],
) -> Any:
    """Return each parameter and log_prob, step after step, of some walkers of each ensemble.

    Walkers that are trapped, given by ensemble, are drawn over the others, in black.
    """
    shown = [*shown, statistics.ndim]
    figure, axes = _rows(len(shown), "step")
    kept = _lines_of(statistics, shown)
    burnin = None
    if max(result.burnin_steps):
        warming = ChainStatistics(result.reader, phase="burnin")
        known = len(warming.quantities)  # what was added after the run has none
        some = [i for i in shown if i < known]
        burnin = dict(zip(some, _lines_of(warming, some), strict=True))
    for k, i in enumerate(shown):
        ax = axes[k]
        for e in range(result.nensembles):
            color = f"C{e % 10}"
            if burnin is not None and i in burnin:
                x, y = burnin[i][e]
                ax.plot(x - result.burnin_steps[e], y, color=color, lw=0.4, alpha=0.5)
            x, y = kept[k][e]
            ax.plot(x * result.thin_by, y, color=color, lw=0.4, alpha=0.6)
            if e in trapped:
                apart = statistics.values(i)[e][:, list(trapped[e])[:_WALKERS]]
                step = max(1, math.ceil(len(apart) / _LINES))
                ax.plot(x * result.thin_by, apart[::step], color="k", lw=0.5, alpha=0.8)
        if burnin is not None:
            ax.axvspan(-max(result.burnin_steps), 0, color="0.92", zorder=-2)
            ax.axvline(0, color="0.3", lw=0.8, ls="--")
        values = np.concatenate([v.ravel() for v in statistics.values(i)])
        low, high = np.quantile(values, (0.0005, 0.9995))
        room = 0.3 * (high - low) or 1.0
        ax.set_ylim(low - room, high + room)
        ax.set_ylabel(labels.get(i, "log_prob"))
        ax.margins(x=0)
    words = ", burn-in left of 0 (grey)" if burnin is not None else ""
    words += "; trapped walkers black" if trapped else ""
    axes[0].set_title(f"up to {_WALKERS} walkers of each ensemble, a color each{words}", size=9)
    return figure


def autocorrelation(
    result: Result,
    statistics: ChainStatistics,
    shown: Sequence[int],
    labels: Mapping[int, str],
) -> Any:
    """Return each parameter's autocorrelation function, of each ensemble, with tau."""
    figure, axes = _rows(len(shown), "lag (steps)")
    apart = result.thin_by * statistics.row_stride  # steps between rows that are read
    for k, i in enumerate(shown):
        ax, tau = axes[k], statistics.tau(i)
        lags = int(10 * tau / apart if tau > 0 else 200) + 1
        for e, values in enumerate(statistics.values(i)):
            if not values.size:
                continue
            f = mean_autocorrelation(values)[:lags]
            ax.plot(np.arange(len(f)) * apart, f, color=f"C{e % 10}", lw=0.8)
        ax.axhline(0, color="0.6", lw=0.6)
        if tau > 0:
            ax.axvline(tau, color="0.3", lw=0.8, ls="--")
            text = f"tau = {tau:.3g} steps"
            ax.text(0.98, 0.9, text, transform=ax.transAxes, ha="right", va="top", size=9)
        ax.set_ylabel(labels[i])
        ax.margins(x=0)
    axes[0].set_title("autocorrelation, a line for each ensemble; dashed: tau", size=9)
    return figure


def running(result: Result, shown: Sequence[int], labels: Mapping[int, str]) -> Any:
    """Return ESS and R-hat as they were at the checks of the run, and at its end.

    In a large file they are estimated from fewer walkers or steps than in the summary.
    """
    end = min(result.steps)
    at = list(_until(end))
    ess, r_hat = np.full((2, len(at), len(shown)), np.nan)
    for n, steps in enumerate(at):
        statistics = ChainStatistics(result.reader, [steps] * result.nensembles, most=_FEW)
        for k, i in enumerate(shown):
            ess[n, k] = min(statistics.ess_bulk(i), statistics.ess_tail(i))
            r_hat[n, k] = statistics.r_hat(i)
    figure, axes = _rows(1 if result.nensembles == 1 else 2, "kept steps of each ensemble")
    limits = Limits.of(result.config.get("until_ess"), result.config.get("until_rhat"))
    several = result.nensembles > 1
    for k, i in enumerate(shown):
        axes[0].plot(at, ess[:, k], "o-", ms=3, lw=0.8, label=_in_legend(labels[i]))
        if several:
            axes[1].plot(at, r_hat[:, k] - 1, "o-", ms=3, lw=0.8)
    if limits.ess:
        axes[0].axhline(limits.ess, color="0.3", lw=0.8, ls="--")
    axes[0].set_ylabel("ESS")
    if len(shown) <= _MOST_PARAMETERS:
        axes[0].legend(fontsize=8, ncols=4)
    if several:
        axes[1].axhline(limits.r_hat - 1, color="0.3", lw=0.8, ls="--")
        axes[1].set_ylabel("R-hat - 1")
    for ax, drawn in zip(axes, (ess, r_hat - 1), strict=False):
        if (drawn > 0).any():
            ax.set_xscale("log")
            ax.set_yscale("log")
    words = f"; tau is estimated too low below {LONG} tau" if end else ""
    axes[0].set_title(f"dashed: what is asked for{words}", size=9)
    return figure


def acceptance(result: Result) -> Any:
    """Return the accepted share of each walker's steps, ensemble by ensemble."""
    figure, axes = _rows(1, "ensemble")
    ax, share = axes[0], result.acceptance_fraction
    rng = np.random.default_rng(0)
    for e, walkers in enumerate(share):
        x = e + rng.uniform(-0.25, 0.25, len(walkers))
        ax.plot(x, walkers, ".", ms=3, color=f"C{e % 10}", alpha=0.6)
        ax.plot([e - 0.35, e + 0.35], [walkers.mean()] * 2, color="0.2", lw=1.2)
    ax.set_ylim(0, max(0.05, 1.1 * float(np.nanmax(share, initial=0.0))))
    ax.set_ylabel("acceptance")
    if result.nensembles <= 20:
        ax.set_xticks(range(result.nensembles))
    ax.set_title("a point for each walker, a bar for each ensemble's mean", size=9)
    return figure


def _in_legend(label: str) -> str:
    """Return a label that matplotlib does not leave out, as it does where it begins with _."""
    return f" {label}" if label.startswith("_") else label


def _until(end: int) -> Iterator[int]:
    """Give the checks before ``end``, and ``end``."""
    for c in checks():
        if c >= end:
            break
        yield c
    yield end


def _lines_of(
    statistics: ChainStatistics, shown: Sequence[int]
) -> list[list[tuple[AnyArray, AnyArray]]]:
    """Return (rows, values (row, walker)) for each parameter and ensemble, thinned to be drawn."""
    found = []
    for i in shown:
        lines = []
        for values in statistics.values(i):
            step = max(1, math.ceil(len(values) / _LINES))
            walkers = values[::step, :: max(1, values.shape[1] // _WALKERS)][:, :_WALKERS]
            lines.append((np.arange(len(values))[::step] * statistics.row_stride, walkers))
        found.append(lines)
    return found


def _rows(n: int, label: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.0 + 1.7 * max(n, 1.6)), layout="constrained")
    axes = figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0]
    axes[-1].set_xlabel(label)
    return figure, axes
