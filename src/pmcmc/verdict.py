"""Whether there are enough draws: a word on a Summary, with what to do. Pure."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

import numpy as np

from .summary import Row, Summary

LONG = 50  # autocorrelation times: emcee's own measure of a chain long enough to tell tau
ESS, R_HAT = 400.0, 1.01  # enough for stable figures (Vehtari et al. 2021), unless asked otherwise
DISAGREE = 1.05  # R-hat of ensembles whose draws are not to be pooled
SHIFT = 0.25  # standard errors by which stragglers may move a mean
_LOW_ACCEPTANCE = 0.1
_NAMED = 5


@dataclass(frozen=True)
class Verdict:
    """Whether the draws are enough, why (not), and what to do: a line each."""

    enough: bool
    lines: tuple[str, ...]

    def __str__(self) -> str:
        """Return the lines, wrapped to 80 columns."""
        return "\n".join(
            textwrap.fill(line, 80, subsequent_indent="  ", break_on_hyphens=False)
            for line in self.lines
        )


def judge(
    summary: Summary,
    until_ess: float | None = None,
    until_rhat: float | None = None,
    resumable: bool = True,
) -> Verdict:
    """Return the verdict on a run.

    Parameters
    ----------
    summary : Summary
        Of the draws.
    until_ess, until_rhat : float, optional
        What was asked for; else 400 and 1.01.
    resumable : bool
        Whether the draws are in a file that --resume can go on with.

    """
    ess, limit = limits(until_ess, until_rhat)
    faults = [*_walkers(summary)]
    short, factor = _short(summary, ess, limit)
    notes = _notes(summary, bool(faults))
    if not faults and not short:
        return Verdict(True, (_enough(summary), *notes))
    lines = [f"not enough: {fault}" for fault in (*faults, *short)]
    if short and not faults:
        lines.append(_run_longer(summary, factor, resumable))
    return Verdict(False, (*lines, *notes))


def limits(until_ess: float | None, until_rhat: float | None) -> tuple[float, float]:
    """Return the least ESS and the greatest R-hat: what was asked for, else 400 and 1.01.

    Where only one was asked for, the other is no rule, but ensembles have to agree.
    """
    if until_ess is None and until_rhat is None:
        return ESS, R_HAT
    return until_ess or 0.0, until_rhat or DISAGREE


# ---- walkers and ensembles that are not where the rest is


def _walkers(summary: Summary) -> list[str]:
    faults = []
    shares = summary.low.sum(axis=1) / max(1, summary.kept * summary.low.shape[1])
    lost = [
        e
        for e in range(len(summary.stuck))
        if summary.nensembles > 1 and (summary.stuck[e].all() or shares[e] > 0.5)
    ]
    if lost:
        faults.append(
            f"{_names('ensemble', lost)} {_is(lost)} lost: stuck, or far below the others in "
            "log_prob. Look at the start, or take out bounds that trap walkers, and begin again"
        )
    stuck = [(int(e), int(w)) for e, w in np.argwhere(summary.stuck) if e not in lost]
    if stuck:
        faults.append(
            f"{_places(stuck)} never moved: log_prob is wrong there, or no move leads away. Begin "
            "again from another start (initial), or with other --moves"
        )
    low = [(int(e), int(w)) for e, w in np.argwhere(summary.low) if e not in lost]
    if low and summary.shift > SHIFT:
        draws = sum(int(summary.low[e, w]) for e, w in low)
        by = f"by {summary.shift:.1f} standard errors" if summary.shift < 1e3 else "by far"
        faults.append(
            f"{_places(low)} came late from a bad start: {draws} draws with a log_prob that "
            f"cannot be the posterior's move the mean of {summary.shifted} {by}. Begin again with "
            "a longer --burnin, or --burnin auto; or leave the first steps out (discard)"
        )
    return faults


# ---- too few draws


def _short(summary: Summary, ess: float, limit: float) -> tuple[list[str], float]:
    """Return what is short, and how many times the steps it would take."""
    short, factor = [], 1.0
    unknown = [r.name for r in summary.rows if math.isnan(r.tau)]
    if unknown:
        short.append(
            f"tau cannot be estimated for {_some(unknown)}: too few steps, or walkers that never "
            "moved"
        )
        factor = 2.0
    row = _worst(summary, "tau", 1)
    if not summary.steps:
        short.append("an ensemble has no kept step yet")
        factor = max(factor, 2.0)
    elif row is not None and summary.steps < LONG * row.tau:
        short.append(
            f"ensembles of {summary.steps} steps are short: {summary.steps / row.tau:.0f} tau for "
            f"{row.name} (tau {row.tau:.0f}), and below {LONG} tau is estimated too low"
        )
        factor = max(factor, LONG * row.tau / summary.steps)
    row = _worst(summary, "r_hat", 1)
    if row is not None and row.r_hat > limit:
        short.append(f"R-hat {row.r_hat:.3f} for {row.name}, above {limit:g}: ensembles disagree")
        factor = max(factor, min(10.0, (row.r_hat - 1) / (limit - 1)))
    row = _worst(summary, "ess", -1)
    if row is not None and row.ess < ess:
        short.append(f"ESS {row.ess:.0f} for {row.name}, below {ess:g}")
        factor = max(factor, ess / max(row.ess, 1.0))
    elif any(math.isnan(r.ess) and not math.isnan(r.tau) for r in summary.rows):
        short.append("the tails were too seldom reached to tell their ESS")
        factor = max(factor, 2.0)
    return short, factor


def _worst(summary: Summary, figure: str, sign: int) -> Row | None:
    rows = [r for r in summary.rows if math.isfinite(getattr(r, figure))]
    return max(rows, key=lambda r: sign * float(getattr(r, figure)), default=None)


def _run_longer(summary: Summary, factor: float, resumable: bool) -> str:
    steps = summary.nsteps * max(1.1 * factor, 1.2)
    digits = 10 ** max(0, math.floor(math.log10(steps)) - 1)
    target = math.ceil(round(steps / digits, 6)) * digits
    if resumable:
        return f"what to do: run longer, the same command with --resume --nsteps {target}"
    return f"what to do: run longer, with nsteps={target}"


def _enough(summary: Summary) -> str:
    tau, ess, r_hat = (_worst(summary, f, s) for f, s in (("tau", 1), ("ess", -1), ("r_hat", 1)))
    assert tau is not None
    assert ess is not None
    agreed = f", R-hat at most {r_hat.r_hat:.3f} ({r_hat.name})" if r_hat is not None else ""
    return (
        f"enough: ESS at least {ess.ess:.0f} ({ess.name}){agreed}, ensembles of "
        f"{summary.steps / tau.tau:.0f} tau ({tau.name}), no straggling walkers"
    )


def _notes(summary: Summary, faulty: bool) -> list[str]:
    notes = []
    low = [(int(e), int(w)) for e, w in np.argwhere(summary.low)]
    if low and not faulty:
        notes.append(
            f"note: {int(summary.low.sum())} draws of {_places(low)} came late from a bad start; "
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
    if summary.every > 1:
        notes.append(
            f"note: quantiles, tau, ess and r_hat are those of every {summary.every}-th walker"
        )
    return notes


def _places(pairs: list[tuple[int, int]]) -> str:
    """Return walkers in words, by ensemble."""
    of: dict[int, list[int]] = {}
    for e, w in pairs:
        of.setdefault(e, []).append(w)
    parts = [f"{_some(map(str, walkers))} of ensemble {e}" for e, walkers in of.items()]
    count = "1 walker" if len(pairs) == 1 else f"{len(pairs)} walkers"
    return f"{count} ({'; '.join(parts[:3])}{'; ...' if len(parts) > 3 else ''})"


def _names(noun: str, numbers: list[int]) -> str:
    return f"{noun}{'s' if len(numbers) > 1 else ''} {_some(map(str, numbers))}"


def _is(numbers: list[int]) -> str:
    return "are" if len(numbers) > 1 else "is"


def _some(names: object) -> str:
    listed = list(names)  # type: ignore[call-overload]
    return ", ".join(listed[:_NAMED]) + (", ..." if len(listed) > _NAMED else "")
