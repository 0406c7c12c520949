"""What is said of walkers, ensembles and modes that are not as they should be. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..text import count_text, some_text
from .criteria import FAR, LOG_PROB, Shortfall, lost_ensembles
from .summary import Summary
from .walkers import Division

_NAMED = 3  # ensembles


def rejected(short: Mapping[str, list[Shortfall]]) -> list[str]:
    """Say that too many evaluations were rejected."""
    return [
        f"{100 * one.value:.1f}% of the evaluations after burn-in were rejected (--on-error "
        "reject), and count as -inf: the draws avoid where log_prob fails, which may be where the "
        f"posterior is; at most {100 * one.wanted:.0f}% may. See pmcmc rejects FILE, and mend "
        "log_prob there"
        for one in short.get("rejects", ())
    ]


def divided(divisions: tuple[Division, ...]) -> list[str]:
    """Say which ensembles have walkers in groups that do not mix."""
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


def not_moving(summary: Summary, short: Mapping[str, object]) -> list[str]:
    """Say which ensembles are lost, and which walkers are stuck, move rarely or came late."""
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
            f"{places(stuck)} never moved: log_prob is wrong there, or no move leads away. Begin "
            "again from another start (initial), or with other --moves"
        )
    rare = np.argwhere(summary.rare & ~summary.stuck)
    rarely = [(int(e), int(w)) for e, w in rare if e not in divided]
    if rarely:
        least = min(float(summary.acceptance[e, w]) for e, w in rarely)
        usual = float(np.median(summary.acceptance[rarely[0][0]]))
        faults.append(
            f"{places(rarely)} {_move(rarely)} rarely: acceptance {least:.2g}, where others of "
            f"the ensemble have {usual:.2g}. Begin again from "
            "another start (initial), or with other --moves"
        )
    low = [(int(e), int(w)) for e, w in np.argwhere(summary.low) if e not in (*lost, *divided)]
    if low and "stragglers" in short:
        draws = sum(int(summary.low[e, w]) for e, w in low)
        by = f"by {summary.shift:.1f} standard errors" if summary.shift < 1e3 else "by far"
        faults.append(
            f"{places(low)} came late from a bad start: {draws} draws with a log_prob that "
            f"cannot be the posterior's move the mean of {summary.shifted} {by}. Begin again with "
            "a longer --burnin, or --burnin auto; or leave the first steps out (discard)"
        )
    return faults


def not_mixed(summary: Summary) -> str:
    """Say which walkers are not where their ensembles are."""
    far = [(int(e), int(w)) for e, w in np.argwhere(~(summary.offsets <= FAR))]
    e, w = max(far, key=lambda at: float(summary.offsets[at]))
    i = int(summary.farthest_in[e, w])
    name = summary.names[i] if i < len(summary.names) else LOG_PROB
    return (
        f"{places(far)} {_is(far)} not where the others are: the mean of {name} of walker {w} is "
        f"{summary.offsets[e, w]:.0f} standard errors from that of ensemble {e}"
    )


def places(pairs: list[tuple[int, int]]) -> str:
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


def separate(summary: Summary) -> list[str]:
    """Say which ensembles are in other modes than the rest."""
    found = summary.separation
    if found is None:
        return []
    where = [
        f"{_names('ensemble', list(mode.ensembles))} near {mode.mean:.4g} (log_prob "
        f"{mode.log_prob:.4g})"
        for mode in found.modes[:_NAMED]
    ]
    more = len(found.modes) - _NAMED
    rest = f", and {count_text(more, 'more mode')}" if more > 0 else ""
    return [
        f"ensembles are in {len(found.modes)} modes, and have not met for {found.length:.0f} tau: "
        f"{found.parameter} of {', of '.join(where)}{rest}"
    ]


def missed(summary: Summary) -> list[str]:
    """Say which maxima with mass no draw has come near."""
    lines = []
    for one in summary.missed:
        point = ", ".join(
            f"{name} = {value:.4g}" for name, value in zip(summary.names, one.theta, strict=True)
        )
        lines.append(
            f"the search for a start found a maximum with about {100 * one.weight:.0f}% of the "
            f"mass, of log_prob {one.log_prob:.6g} at {point}, and no draw has come near it: the "
            "draws are those of other modes alone. Begin again with more ensembles (--nensembles "
            '16), or initial = "prior", to see both; where several modes have mass, use a sampler '
            "made for that, as the nested samplers dynesty and UltraNest are"
        )
    return lines
