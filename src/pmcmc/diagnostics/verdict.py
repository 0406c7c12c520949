"""Whether there are enough draws, and why not. Pure; what to do about it is in `advice`."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..text import count_text, ordinal_text, some_text
from .advice import Continuation, begin_elsewhere, run_longer
from .criteria import (
    FAR,
    LOG_PROB,
    Shortfall,
    lost_ensembles,
    numbers,
    shortfalls,
)
from .limits import LONG, Limits
from .summary import Summary
from .table import Row
from .walkers import Division

_LOW_ACCEPTANCE = 0.1
_NAMED = 3  # ensembles
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
    faults = [*_rejected(short), *_divided(summary.divisions), *_walkers(summary, short)]
    advice = begin_elsewhere(summary, how)
    if not summary.divisions:  # else what is short follows from that
        few, factor = _few(summary, short)
        advice = [] if faults else [run_longer(summary, factor, how)]
        faults += few
    lines = [f"not enough: {fault}" for fault in faults]
    return Verdict(False, (*lines, *advice, *_notes(summary, faulty=True)))


def _rejected(short: Mapping[str, list[Shortfall]]) -> list[str]:
    return [
        f"{100 * one.value:.1f}% of the evaluations after burn-in were rejected (--on-error "
        "reject), and count as -inf: the draws avoid where log_prob fails, which may be where the "
        f"posterior is; at most {100 * one.wanted:.0f}% may. See pmcmc rejects FILE, and mend "
        "log_prob there"
        for one in short.get("rejects", ())
    ]


# ---- walkers and ensembles that are not where the rest is


def _divided(divisions: tuple[Division, ...]) -> list[str]:
    lines = [_division(one) for one in divisions[:_NAMED]]
    if (more := len(divisions) - _NAMED) > 0:
        lines.append(f"{count_text(more, 'more ensemble')} likewise")
    return lines


def _division(division: Division) -> str:
    """Say where the groups of an ensemble are."""
    top, *others = division.groups
    apart = division.trapped
    nwalkers = len(apart) + len(top.walkers)
    log_probs = sorted({f"{group.log_prob:.4g}": group.log_prob for group in others}.values())
    at = f"near {log_probs[0]:.4g}"
    if len(log_probs) > 1:
        at = f"between {log_probs[0]:.4g} and {log_probs[-1]:.4g}"
    have = "has been" if len(apart) == 1 else "have been"
    where, end = f"at log_prob {at}", "come"
    if division.alike:
        where, end = f"in another mode, at log_prob {at},", "mix"
    return (
        f"ensemble {division.ensemble}: {len(apart)} of {nwalkers} walkers "
        f"({some_text(list(map(str, apart)))}) {have} {where} for all {division.length:.0f} tau, "
        f"the rest near {top.log_prob:.4g}: they will not {end}"
    )


def rescued_text(redrawn: Mapping[int, Sequence[int]]) -> str:
    """Say which walkers were redrawn after burn-in.

    Parameters
    ----------
    redrawn : mapping of int to sequence of int
        Their numbers, by ensemble.

    Returns
    -------
    str

    """
    count = sum(map(len, redrawn.values()))
    were = "was" if count == 1 else "were"
    of = some_text([f"{len(walkers)} of ensemble {e}" for e, walkers in redrawn.items()])
    return (
        f"{count_text(count, 'walker')} ({of}) {were} trapped after burn-in where the posterior "
        f"has no mass, and {were} redrawn from the others of their ensemble (--no-rescue: never)"
    )


def _walkers(summary: Summary, short: Mapping[str, object]) -> list[str]:
    faults, lost = [], lost_ensembles(summary)
    divided = {division.ensemble for division in summary.divisions}
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
    rare = np.argwhere(summary.rare & ~summary.stuck)
    rarely = [(int(e), int(w)) for e, w in rare if e not in divided]
    if rarely:
        least = min(float(summary.acceptance[e, w]) for e, w in rarely)
        usual = float(np.median(summary.acceptance[rarely[0][0]]))
        faults.append(
            f"{_places(rarely)} {_move(rarely)} rarely: acceptance {least:.2g}, where others of "
            f"the ensemble have {usual:.2g}. Begin again from "
            "another start (initial), or with other --moves"
        )
    low = [(int(e), int(w)) for e, w in np.argwhere(summary.low) if e not in (*lost, *divided)]
    if low and "stragglers" in short:
        draws = sum(int(summary.low[e, w]) for e, w in low)
        by = f"by {summary.shift:.1f} standard errors" if summary.shift < 1e3 else "by far"
        faults.append(
            f"{_places(low)} came late from a bad start: {draws} draws with a log_prob that "
            f"cannot be the posterior's move the mean of {summary.shifted} {by}. Begin again with "
            "a longer --burnin, or --burnin auto; or leave the first steps out (discard)"
        )
    return faults


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
        lines.append(_not_mixed(summary))
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


def _not_mixed(summary: Summary) -> str:
    """Say which walkers are not where their ensembles are."""
    far = [(int(e), int(w)) for e, w in np.argwhere(~(summary.offsets <= FAR))]
    e, w = max(far, key=lambda at: float(summary.offsets[at]))
    i = int(summary.farthest_in[e, w])
    name = summary.names[i] if i < len(summary.names) else LOG_PROB
    return (
        f"{_places(far)} {_is(far)} not where the others are: the mean of {name} of walker {w} is "
        f"{summary.offsets[e, w]:.0f} standard errors from that of ensemble {e}"
    )


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
            f"note: {count_text(summary.rejected, 'evaluation')} rejected "
            f"({100 * summary.rejected_share:.2g}% of those after burn-in), which count as -inf: "
            "see pmcmc rejects FILE"
        )
    if summary.redrawn:
        notes.append(f"note: {rescued_text(summary.redrawn)}")
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
    if summary.row_stride > 1:
        every = ordinal_text(summary.row_stride)
        shortest = 3 * summary.row_stride * summary.steps // max(1, summary.kept)
        notes.append(
            f"note: quantiles, tau, ess and r_hat are those of every {every} "
            f"kept step: a tau below {shortest} is told up to {shortest // 3} too long, and ess "
            "too small"
        )
    return notes


def _places(pairs: list[tuple[int, int]]) -> str:
    """Return walkers in words, by ensemble."""
    of: dict[int, list[int]] = {}
    for e, w in pairs:
        of.setdefault(e, []).append(w)
    parts = [f"{some_text(list(map(str, walkers)))} of ensemble {e}" for e, walkers in of.items()]
    count = "1 walker" if len(pairs) == 1 else f"{len(pairs)} walkers"
    return f"{count} ({'; '.join(parts[:3])}{'; ...' if len(parts) > 3 else ''})"


def _names(noun: str, numbers: list[int]) -> str:
    return f"{noun}{'s' if len(numbers) > 1 else ''} {some_text(list(map(str, numbers)))}"


def _is(found: Sequence[object]) -> str:
    return "are" if len(found) > 1 else "is"


def _move(found: Sequence[object]) -> str:
    return "move" if len(found) > 1 else "moves"
