"""The summary of a run: a table for people, a dict for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .diagnostics import QUANTILES, autocorrelation_time, moments, quantiles

Array = npt.NDArray[np.float64]
LONG = 50  # autocorrelation times: emcee's own measure of a chain long enough to tell tau


@dataclass(frozen=True)
class Row:
    """One parameter. ``tau`` is in steps (thinned or not), NaN where it cannot be estimated."""

    name: str
    mean: float
    sd: float
    q16: float
    q50: float
    q84: float
    tau: float


@dataclass(frozen=True)
class Summary:
    """Mean, sd, quantiles and tau per parameter, and the acceptance fraction.

    ``steps`` are those of the shortest ensemble, thinned out ones included.
    """

    rows: tuple[Row, ...]
    acceptance_fraction: float
    nensembles: int
    ndraws: int
    steps: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values, with None for what cannot be told."""
        rows = []
        for row in self.rows:
            values = asdict(row)
            rows.append({k: _finite(v) if k != "name" else v for k, v in values.items()})
        return {
            "parameters": rows,
            "acceptance_fraction": _finite(self.acceptance_fraction),
            "nensembles": self.nensembles,
            "ndraws": self.ndraws,
        }

    def remark(self) -> str | None:
        """Return a warning if the ensembles are too short for tau to be trusted."""
        tau = max((r.tau for r in self.rows if math.isfinite(r.tau)), default=math.nan)
        if self.steps >= LONG * tau:
            return None
        if math.isnan(tau):
            return "tau cannot be estimated: too few steps, or walkers that never moved"
        return (
            f"ensembles of {self.steps} steps are short: {self.steps / tau:.0f} tau, and tau is "
            f"estimated too low\nbelow {LONG} tau. Raise --nsteps, or use fewer ensembles."
        )

    def __str__(self) -> str:
        """Return a table of at most 80 columns."""
        width = min(16, max(9, *(len(r.name) for r in self.rows)))
        heads = ("mean", "sd", *(f"{100 * q:.0f}%" for q in QUANTILES))
        lines = [f"{'':<{width}}" + "".join(f"{h:>11}" for h in heads) + f"{'tau':>8}"]
        for r in self.rows:
            digits = _digits(r.sd)
            cells = "".join(_cell(v, digits) for v in (r.mean, r.sd, r.q16, r.q50, r.q84))
            tau = f"{r.tau:8.1f}" if math.isfinite(r.tau) else f"{'-':>8}"
            name = r.name if len(r.name) <= width else r.name[: width - 1] + "…"
            lines.append(f"{name:<{width}}{cells}{tau}")
        return "\n".join(lines)


def summarize(
    chains: Iterable[tuple[str, list[Array]]],
    thin_by: int,
    acceptance_fraction: float,
    nensembles: int,
    ndraws: int,
    steps: int,
) -> Summary:
    """Return the Summary of draws, one parameter after another.

    Parameters
    ----------
    chains : iterable of (name, list of ndarray (step, walker))
        The list has one array per ensemble.
    thin_by : int
        Steps per row.
    acceptance_fraction, nensembles, ndraws, steps
        For the Summary.

    """
    rows = []
    for name, parts in chains:
        mean, sd = moments(parts)
        tau = autocorrelation_time([p for p in parts if len(p)]) * thin_by
        q16, q50, q84 = quantiles(parts)
        rows.append(Row(name, mean, sd, q16, q50, q84, tau))
    return Summary(tuple(rows), acceptance_fraction, nensembles, ndraws, steps)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _digits(sd: float) -> int | None:
    """Return the decimals that show three figures of ``sd``; None asks for exponents."""
    if not math.isfinite(sd) or sd <= 0:
        return 4
    digits = 2 - math.floor(math.log10(sd))
    return max(0, digits) if digits <= 6 else None


def _cell(value: float, digits: int | None) -> str:
    if digits is None or abs(value) >= 10 ** (9 - digits):
        return f"{value:11.3e}"
    return f"{value:11.{digits}f}"
