"""Whether there are enough draws, and why not. Pure; what to do about it is in `advice`."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..text import count_text, ordinal_text, some_text
from .advice import Continuation, begin_elsewhere, run_longer
from .criteria import Shortfall, numbers, shortfalls
from .faults import (
    divided,
    missed,
    not_mixed,
    not_moving,
    places,
    rejected,
    rescued_text,
    separate,
)
from .limits import LONG, Limits
from .summary import Summary
from .table import Row

_LOW_ACCEPTANCE = 0.1
_FROM_A_FILE = Continuation()


@dataclass(frozen=True)
class Verdict:
    """Whether the draws are enough, why (not), and what to do. Prints as text.

    Attributes
    ----------
    enough : bool
    lines : tuple of str
        One for each fault, advice or note.

    """

    enough: bool
    lines: tuple[str, ...]

    def __str__(self) -> str:
        """Return the lines, wrapped to 80 columns."""
        return "\n".join(
            textwrap.fill(line, 80, subsequent_indent="  ", break_on_hyphens=False)
            for line in self.lines
        )


def assess(
    summary: Summary,
    until_ess: float | None = None,
    until_rhat: float | None = None,
    how: Continuation = _FROM_A_FILE,
    names: tuple[str, ...] | None = None,
) -> Verdict:
    """Return the verdict on a run.

    Parameters
    ----------
    summary : Summary
        Of the draws.
    until_ess, until_rhat : float, optional
        What was asked for, an effective number of draws and an R-hat; 400 and 1.01 where neither
        was. See `limits.Limits.of`.
    how : Continuation
        How the run can go on. Default: from a file, with more steps.
    names : tuple of str, optional
        What is looked at, see `limits.looked_at`. Default: all parameters.

    Returns
    -------
    Verdict

    """
    short: dict[str, list[Shortfall]] = {}
    limits = Limits.of(until_ess, until_rhat, names)
    for shortfall in shortfalls(summary, limits):
        short.setdefault(shortfall.criterion, []).append(shortfall)
    if not short:
        return Verdict(
            True, (_enough(summary, numbers(summary, limits)), *_notes(summary, faulty=False))
        )
    faults = [
        *rejected(short),
        *divided(summary.divisions),
        *not_moving(summary, short),
        *separate(summary),
        *missed(summary),
    ]
    advice = begin_elsewhere(summary, how)
    if not (summary.divisions or summary.separation):  # else what is short follows from that
        few, factor = _few(summary, short)
        advice = [] if faults else [run_longer(summary, factor, how)]
        faults += few
    lines = [f"not enough: {fault}" for fault in faults]
    return Verdict(False, (*lines, *advice, *_notes(summary, faulty=True)))


# ---- too few draws


def _few(summary: Summary, short: Mapping[str, list[Shortfall]]) -> tuple[list[str], float]:
    """Return what is short, and how many times the steps it would take."""
    lengths, no_tau = _by_value(short, "length")
    sizes, no_ess = _by_value(short, "ess_bulk", "ess_tail")
    r_hats, no_r_hat = _by_value(short, "r_hat")
    apart, no_apart = _by_value(short, "mixing")
    lines, factor = [], 2.0 if no_tau or no_ess or no_r_hat or not summary.steps else 1.0
    if no_tau:
        lines.append(
            f"tau cannot be estimated for {some_text(no_tau)}: too few steps, or walkers that "
            "never moved"
        )
    if not summary.steps:
        lines.append("an ensemble has no kept step yet")
    elif lengths:
        least = lengths[0]
        which = "ensembles" if least.ensemble is None else f"ensemble {least.ensemble}"
        lines.append(
            f"{which} of {summary.steps} steps {'are' if least.ensemble is None else 'is'} short: "
            f"{math.floor(least.value)} tau for {least.parameter} "
            f"(tau {summary.steps / least.value:.0f}), and {LONG} are wanted"
        )
        factor = max(factor, 1 / least.share)
    if apart or (no_apart and not no_tau):
        lines.append(not_mixed(summary))
        factor = max(factor, 2.0)
    if r_hats:
        most = r_hats[-1]
        above = f"{most.value:.3f} for {most.parameter}, above {most.wanted:g}"
        lines.append(f"R-hat {above}: ensembles disagree")
        factor = max(factor, min(10.0, (most.value - 1) / (most.wanted - 1)))
    if sizes:
        least = sizes[0]
        lines.append(
            f"ESS {math.floor(least.value)} for {least.parameter}, below {least.wanted:g}"
        )
        factor = max(factor, least.wanted / max(least.value, 1.0))
    elif set(no_ess) - set(no_tau):
        lines.append("the tails were too seldom reached to tell their ESS")
    if no_r_hat and not lines:
        lines.append(f"R-hat cannot be estimated for {some_text(no_r_hat)}")
    return lines, factor


def _by_value(
    short: Mapping[str, list[Shortfall]], *criteria: str
) -> tuple[list[Shortfall], list[str]]:
    """Return what is short of criteria, the least value first, and what cannot be told."""
    found = [s for c in criteria for s in short.get(c, ())]
    told = sorted((s for s in found if not math.isnan(s.value)), key=lambda s: s.value)
    return told, [s.parameter for s in found if math.isnan(s.value)]


def _worst(rows: Sequence[Row], figure: str, sign: int) -> Row | None:
    rows = [r for r in rows if math.isfinite(getattr(r, figure))]
    return max(rows, key=lambda r: sign * float(getattr(r, figure)), default=None)


def _enough(summary: Summary, which: Sequence[int]) -> str:
    rows = [summary.all_rows[i] for i in which[:-1]]  # without log_prob
    ess, r_hat = _worst(rows, "ess", -1), _worst(rows, "r_hat", 1)
    assert ess is not None
    tau, i = max((float(np.mean(summary.rank_taus[i])), -k) for k, i in enumerate(which))
    name = summary.quantities[which[-i]]
    agreed = f", R-hat at most {r_hat.r_hat:.3f} ({r_hat.name})" if r_hat is not None else ""
    return (
        f"enough: ESS at least {ess.ess:.0f} ({ess.name}){agreed}, ensembles of "
        f"{summary.steps / tau:.0f} tau ({name}), all walkers mix"
    )


def _notes(summary: Summary, faulty: bool) -> list[str]:
    notes = []
    if summary.rejected and not faulty:
        notes.append(
            f"note: {count_text(summary.rejected, 'evaluation')} rejected in all, "
            f"{100 * summary.rejected_share:.2g}% of those after burn-in; they count as -inf: see "
            "pmcmc rejects FILE"
        )
    if summary.redrawn:
        notes.append(f"note: {rescued_text(summary.redrawn)}")
    low = [(int(e), int(w)) for e, w in np.argwhere(summary.low)]
    if low and not faulty:
        notes.append(
            f"note: {int(summary.low.sum())} draws of {places(low)} came late from a bad start; "
            "they are too few to matter"
        )
    if summary.nensembles == 1:
        notes.append(
            "note: one ensemble has no R-hat: nothing tells whether another would find the same "
            "(--nensembles 4)"
        )
    accepted = summary.acceptance_fraction
    if accepted < _LOW_ACCEPTANCE:
        notes.append(
            f"note: acceptance {accepted:.2f} is low: other moves (--moves de:0.8,desnooker:0.2) "
            "or parameters that are less correlated would do better"
        )
    shortest = 3 * summary.row_stride * summary.steps // max(1, summary.kept)
    taus = [float(np.mean(times)) for times in summary.rank_taus if len(times)]
    if summary.row_stride > 1 and not min(taus, default=math.nan) >= shortest:
        every = ordinal_text(summary.row_stride)
        notes.append(
            f"note: quantiles, tau, ess and r_hat are those of every {every} "
            f"kept step: a tau below {shortest} is told up to {shortest // 3} too long, and ess "
            "too small"
        )
    return notes
