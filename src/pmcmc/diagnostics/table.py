"""The figures of parameters and ensembles, as tables that fit a terminal. Pure."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_WIDTH = 80


class Kind(NamedTuple):
    """What three columns of a table are."""

    heads: tuple[str, str, str]
    fields: tuple[str, str, str]  # of `Row`
    caption: str


KINDS = {
    "quantiles": Kind(
        ("16%", "50%", "84%"), ("q16", "q50", "q84"), "median and 16% to 84% quantiles"
    ),
    "hdi": Kind(
        ("hdi from", "median", "hdi to"),
        ("hdi_low", "q50", "hdi_high"),
        "median and 68% highest-density interval",
    ),
    "mode": Kind(
        ("hdi from", "mode", "hdi to"),
        ("hdi_low", "mode", "hdi_high"),
        "mode and 68% highest-density interval",
    ),
}


@dataclass(frozen=True)
class Row:
    """The figures of one parameter; NaN where one cannot be told.

    Attributes
    ----------
    name : str
    mean, sd : float
        Of all draws.
    q16, q50, q84 : float
        The 16%, 50% and 84% quantiles.
    tau : float
        Autocorrelation time in steps, thinned out ones included.
    ess_bulk, ess_tail : float
        Effective numbers of draws, for the mean and for the 5% and 95% quantiles.
    r_hat : float
        NaN with one ensemble.
    mcse : float
        Monte Carlo standard error of the mean, sd * sqrt(tau / number of draws).
    hdi_low, hdi_high, mode : float
        Ends of the 68% highest-density interval, and the mode, where they were asked for.

    """

    name: str
    mean: float
    sd: float
    q16: float
    q50: float
    q84: float
    tau: float
    ess_bulk: float
    ess_tail: float
    r_hat: float
    mcse: float
    hdi_low: float = math.nan
    hdi_high: float = math.nan
    mode: float = math.nan

    @property
    def ess(self) -> float:
        """The lesser of both effective numbers of draws; NaN if one cannot be told."""
        return self.ess_bulk if math.isnan(self.ess_bulk) else min(self.ess_tail, self.ess_bulk)


@dataclass(frozen=True)
class EnsembleRow:
    """The figures of one ensemble; NaN where it has no draws.

    Attributes
    ----------
    log_prob, best : float
        The median log_prob, and the highest.
    best_draw : tuple of float
        The parameters of that draw.
    acceptance : float
        Accepted share of the kept steps, the mean over walkers.
    mean : float
        Of the parameter in which ensembles agree least.
    trapped, stuck, rare : tuple of int
        Walkers that stay apart from those with the highest log_prob, that never moved, and that
        move rarely.

    """

    log_prob: float
    best: float
    best_draw: tuple[float, ...]
    acceptance: float
    mean: float
    trapped: tuple[int, ...]
    stuck: tuple[int, ...]
    rare: tuple[int, ...]


def parameters_table(
    rows: Sequence[Row], with_r_hat: bool, derived: Sequence[Row] = (), kind: str = "quantiles"
) -> str:
    """Return a line for each parameter, and below one for each derived one.

    Parameters
    ----------
    rows : sequence of Row
        The figures of each.
    with_r_hat : bool
        Whether there is one.
    derived : sequence of Row
        The figures of derived parameters. Default: none.
    kind : {"quantiles", "hdi", "mode"}
        Which of `KINDS` three columns are. Default: "quantiles".

    Returns
    -------
    str
        Of at most 80 columns.

    """
    sampled, rows = len(rows), [*rows, *derived]
    heads = ["mean", "sd", *KINDS[kind].heads, "tau", "ess", "r_hat", "mcse"]
    shown = [i for i, h in enumerate(heads) if h != "r_hat" or with_r_hat]
    heads = [heads[i] for i in shown]
    for figures in (2, 1):
        table = [[cells[i] for i in shown] for cells in (_cells(r, figures, kind) for r in rows)]
        widths = [
            max(len(h), *(len(c) for c in column))
            for h, *column in zip(heads, *table, strict=True)
        ]
        if 4 + sum(widths) + len(widths) <= _WIDTH:
            break
    name = max(4, *(len(row.name) for row in rows))
    gap = 2 if sum(widths) + 2 * len(widths) + min(name, 12) <= _WIDTH else 1
    name = max(4, min(name, _WIDTH - sum(widths) - gap * len(widths)))
    lines = [_line("", heads, name, widths, gap)]
    lines += [_line(r.name, c, name, widths, gap) for r, c in zip(rows, table, strict=True)]
    if derived:
        lines.insert(1 + sampled, "derived:")
    if any(_offset(row, kind) for row in rows):
        lines.append("quantiles with a sign: their difference from the mean")
    return "\n".join(lines)


def fixed_lines(fixed: Mapping[str, float]) -> list[str]:
    """Return lines of at most 80 columns on parameters that were not sampled; none without."""
    text = ", ".join(f"{name} = {value:.10g}" for name, value in fixed.items())
    return textwrap.wrap(f"fixed: {text}", _WIDTH, subsequent_indent="  ") if fixed else []


def periodic_lines(turns: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return lines of at most 80 columns on parameters on circles; none without."""
    if not turns:
        return []
    text = ", ".join(f"{name} ({low:.6g} to {high:.6g})" for name, (low, high) in turns.items())
    text = f"periodic: {text}; circular mean, the rest the short way round from it"
    return textwrap.wrap(text, _WIDTH, subsequent_indent="  ")


def ensembles_table(rows: Sequence[EnsembleRow], worst: str) -> str:
    """Return a line for each ensemble.

    Parameters
    ----------
    rows : sequence of EnsembleRow
        The figures of each.
    worst : str
        The parameter whose mean they give.

    Returns
    -------
    str
        Of at most 80 columns.

    """
    heads = ["log_prob", "best", "accepted", f"mean {worst}"[:24], "trapped", "stuck"]
    table = [
        [
            f"{row.log_prob:.6g}",
            f"{row.best:.6g}",
            f"{row.acceptance:.2f}",
            f"{row.mean:.6g}",
            str(len(row.trapped)),
            str(len(row.stuck)),
        ]
        for row in rows
    ]
    columns = zip(heads, *table, strict=True)
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = [_line("ensemble", heads, 8, widths, 2)]
    lines += [_line(str(e), cells, 8, widths, 2) for e, cells in enumerate(table)]
    return "\n".join(lines)


def text_within(value: float, sd: float) -> str:
    """Return a value as exactly as three figures of the sd ask for, however far from zero it is.

    Parameters
    ----------
    value : float
        A figure of a quantity.
    sd : float
        The quantity's standard deviation.

    Returns
    -------
    str
        "-" for NaN or infinity.

    """
    if not math.isfinite(value):
        return "-"
    digits = _digits(sd)
    if digits is not None and abs(value) < 1e12:
        return f"{value:.{digits}f}"
    size = max(abs(value) / sd, 1.0) if math.isfinite(sd) and sd > 0 else 1.0
    return f"{value:.{min(15, 2 + math.ceil(math.log10(size)))}e}"


def tau_text(tau: float) -> str:
    """Return an autocorrelation time: three figures, and no exponent up to a million steps."""
    return f"{tau:.3g}" if tau < 999.5 else _count(tau)


def _cells(row: Row, figures: int, kind: str) -> list[str]:
    """Return what a line shows; ``figures`` of sd and quantiles that are less the mean."""
    digits = _narrow(_digits(row.sd))
    values = (row.mean, row.sd, *_interval(row, kind))
    cells = [_number(v, digits) for v in values]
    if _offset(row, kind):
        cells = [_exact(row.mean, row.sd), f"{row.sd:.{figures - 1}e}"]
        cells += [f"{q - row.mean:+.{figures - 1}e}" for q in values[2:]]
    cells.append(tau_text(row.tau))
    cells.append(_count(row.ess))
    cells.append(f"{row.r_hat:.3f}" if math.isfinite(row.r_hat) else "-")
    return [*cells, f"{row.mcse:.2g}" if math.isfinite(row.mcse) else "-"]


def _line(name: str, cells: list[str], width: int, widths: list[int], gap: int) -> str:
    name = name if len(name) <= width else name[: width - 1] + "…"
    return f"{name:<{width}}" + "".join(
        f"{c:>{w + gap}}" for c, w in zip(cells, widths, strict=True)
    )


def _count(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.0f}" if value < 1e6 else f"{value:.2g}"


def _digits(sd: float) -> int | None:
    """Return the decimals that show three figures of ``sd``; None asks for exponents."""
    if not math.isfinite(sd) or sd <= 0:
        return 4
    digits = 2 - math.floor(math.log10(sd))
    return max(0, digits) if digits <= 8 else None


def _narrow(digits: int | None) -> int | None:
    """Return the decimals of a table: from the seventh on two figures of the sd do."""
    return digits if digits is None or digits <= 6 else digits - 1


def _interval(row: Row, kind: str) -> tuple[float, ...]:
    return tuple(getattr(row, name) for name in KINDS[kind].fields)


def _offset(row: Row, kind: str) -> bool:
    """Tell whether the digits that matter would not fit, the values being far from zero."""
    low, _, high = _interval(row, kind)
    digits, most = _narrow(_digits(row.sd)), max(abs(low), abs(high))
    return not _fits(most, digits) and math.isfinite(row.sd) and most >= 10 * row.sd > 0


def _exact(value: float, sd: float) -> str:
    """Return a value with as many digits as two figures of ``sd`` ask for, if they have room."""
    text = f"{value:.{max(0, 1 - math.floor(math.log10(sd)))}f}"
    return text if len(text) <= 14 else f"{value:.5e}"


def _number(value: float, digits: int | None) -> str:
    return f"{value:.{digits}f}" if _fits(value, digits) else f"{value:.2e}"


def _fits(value: float, digits: int | None) -> bool:
    return digits is not None and not abs(value) >= 10 ** (8 - digits)
