"""The summary of a run: a table for people, a dict for programs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .diagnostics import QUANTILES
from .survey import Survey

Array = npt.NDArray[np.float64]
_WIDTH = 80
_HEADS = ("mean", "sd", *(f"{100 * q:.0f}%" for q in QUANTILES), "tau", "ess", "r_hat", "mcse")


@dataclass(frozen=True)
class Row:
    """One parameter. ``tau`` is in steps, thinned out ones included; NaN: cannot be told.

    ``ess_bulk`` and ``ess_tail`` are effective numbers of draws, ``mcse`` the Monte Carlo standard
    error of the mean, sd / sqrt(ess_bulk); ``r_hat`` is NaN with one ensemble.
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

    @property
    def ess(self) -> float:
        """The lesser of both effective numbers of draws; NaN if one cannot be told."""
        return self.ess_bulk if math.isnan(self.ess_bulk) else min(self.ess_tail, self.ess_bulk)


@dataclass(frozen=True)
class Summary:
    """Figures of all parameters, and what there is to know of walkers and ensembles.

    Attributes
    ----------
    rows : tuple of Row
    acceptance : ndarray (ensemble, walker)
        Accepted share of the kept steps.
    ndraws : int
        Kept steps times walkers, over all ensembles.
    nsteps : int
        Kept steps over all ensembles; ``kept`` of the shortest, and ``steps`` of it with those
        that were thinned out.
    low : ndarray (ensemble, walker)
        Draws with a log_prob too low to be the posterior's: walkers that had not arrived.
    shift : float
        How far such draws move a mean, in standard errors, and ``shifted``, of which parameter.
    stuck : ndarray (ensemble, walker)
        Walkers that never moved.
    every : int
        Quantiles, tau, ESS and R-hat come from every so many-th walker.

    """

    rows: tuple[Row, ...]
    acceptance: Array
    ndraws: int
    nsteps: int
    kept: int
    steps: int
    low: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((1, 1), dtype=np.int64))
    shift: float = 0.0
    shifted: str = ""
    stuck: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros((1, 1), dtype=bool))
    every: int = 1

    @property
    def nensembles(self) -> int:
        """Number of ensembles."""
        return len(self.acceptance)

    @property
    def acceptance_fraction(self) -> float:
        """Accepted share, the mean over all walkers that have kept steps."""
        some = self.acceptance[np.isfinite(self.acceptance)]
        return float(some.mean()) if some.size else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values, with None for what cannot be told."""
        rows = []
        for row in self.rows:
            values = asdict(row)
            rows.append({k: _finite(v) if k != "name" else v for k, v in values.items()})
        return {
            "parameters": rows,
            "acceptance_fraction": _finite(self.acceptance_fraction),
            "acceptance_per_ensemble": [_finite(a) for a in self.acceptance.mean(axis=1)],
            "nensembles": self.nensembles,
            "ndraws": self.ndraws,
            "straggling_walkers": _pairs(self.low > 0),
            "stuck_walkers": _pairs(self.stuck),
        }

    def __str__(self) -> str:
        """Return a table of at most 80 columns."""
        shown = [i for i, h in enumerate(_HEADS) if h != "r_hat" or self.nensembles > 1]
        heads = [_HEADS[i] for i in shown]
        for figures in (2, 1):
            table = [
                [cells[i] for i in shown] for cells in (_cells(r, figures) for r in self.rows)
            ]
            widths = [
                max(len(h), *(len(c) for c in column))
                for h, *column in zip(heads, *table, strict=True)
            ]
            if 4 + sum(widths) + len(widths) <= _WIDTH:
                break
        name = max(4, *(len(row.name) for row in self.rows))
        gap = 2 if sum(widths) + 2 * len(widths) + min(name, 12) <= _WIDTH else 1
        name = max(4, min(name, _WIDTH - sum(widths) - gap * len(widths)))
        lines = [_line("", heads, name, widths, gap)]
        lines += [
            _line(r.name, c, name, widths, gap) for r, c in zip(self.rows, table, strict=True)
        ]
        if any(map(_offset, self.rows)):
            lines.append("quantiles with a sign: less the mean")
        return "\n".join(lines)


def summarize(survey: Survey, acceptance: Array) -> Summary:
    """Return the Summary of what a Survey reads.

    Parameters
    ----------
    survey : Survey
        Of one draw at least.
    acceptance : ndarray (ensemble, walker)
        Accepted share of the kept steps.

    """
    thin_by = survey.header.thin_by
    moments = survey.moments
    rows = []
    for i, name in enumerate(survey.header.names):
        q16, q50, q84 = survey.quantiles(i)
        bulk = survey.ess_bulk(i)
        sd = float(moments.sd[i])
        rows.append(
            Row(
                name=name,
                mean=float(moments.mean[i]),
                sd=sd,
                q16=q16,
                q50=q50,
                q84=q84,
                tau=survey.time(i) * thin_by,
                ess_bulk=bulk,
                ess_tail=survey.ess_tail(i),
                r_hat=survey.r_hat(i),
                mcse=sd / math.sqrt(bulk) if bulk > 0 else math.nan,
            )
        )
    shift, shifted = straggling_shift(survey)
    kept = min(survey.rows)
    return Summary(
        tuple(rows),
        acceptance,
        survey.ndraws,
        sum(survey.rows),
        kept,
        kept * thin_by,
        moments.low,
        shift,
        shifted,
        survey.stuck,
        survey.every,
    )


def straggling_shift(survey: Survey) -> tuple[float, str]:
    """Return how far the stragglers' draws move a mean, and of which parameter.

    In standard errors of the mean without them: sd / sqrt(draws / tau).
    """
    moments = survey.moments
    if not moments.low.any():
        return 0.0, ""
    times = np.array([survey.time(i) for i in range(survey.ndim)])
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.abs(moments.mean - moments.core_mean) / (
            moments.core_sd * np.sqrt(times / survey.ndraws)
        )
    worst = int(np.argmax(np.nan_to_num(shift, nan=math.inf)))
    return float(np.nan_to_num(shift[worst], nan=math.inf)), survey.header.names[worst]


def _pairs(which: npt.NDArray[Any]) -> list[list[int]]:
    return [[int(e), int(w)] for e, w in np.argwhere(which)]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _cells(row: Row, figures: int) -> list[str]:
    """Return what a line shows; ``figures`` of sd and quantiles that are less the mean."""
    digits = _digits(row.sd)
    values = (row.mean, row.sd, row.q16, row.q50, row.q84)
    cells = [_number(v, digits) for v in values]
    if _offset(row):
        cells = [_exact(row.mean, row.sd), f"{row.sd:.{figures - 1}e}"]
        cells += [f"{q - row.mean:+.{figures - 1}e}" for q in values[2:]]
    cells.append(f"{row.tau:.3g}" if row.tau < 999.5 else _count(row.tau))
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
    return max(0, digits) if digits <= 6 else None


def _offset(row: Row) -> bool:
    """Tell whether the digits that matter would not fit, the values being far from zero."""
    digits, most = _digits(row.sd), max(abs(row.q16), abs(row.q84))
    return not _fits(most, digits) and math.isfinite(row.sd) and most >= 10 * row.sd > 0


def _exact(value: float, sd: float) -> str:
    """Return a value with as many digits as two figures of ``sd`` ask for, if they have room."""
    text = f"{value:.{max(0, 1 - math.floor(math.log10(sd)))}f}"
    return text if len(text) <= 14 else f"{value:.5e}"


def _number(value: float, digits: int | None) -> str:
    return f"{value:.{digits}f}" if _fits(value, digits) else f"{value:.2e}"


def _fits(value: float, digits: int | None) -> bool:
    return digits is not None and not abs(value) >= 10 ** (8 - digits)
