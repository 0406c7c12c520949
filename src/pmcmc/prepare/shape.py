"""The shape of a run: ranks, ensembles, steps -> Plan. Pure, and computed alike on every rank."""

from __future__ import annotations

import itertools

import numpy as np

from ..errors import UsageError
from ..planner.costs import Batches, CallCost, SystemCost, lognormal
from ..planner.predict import Predictor, Shape
from ..planner.steps import Length
from ..text import count_text, duration_text
from .plan import Plan, Team

MOST_STEPS = 200_000  # kept ones in total, of a run that ends by itself
_ENSEMBLES = 4  # as a rule: R-hat compares them, and a seed alone gives the draws
_MESSAGE = 5e-5  # seconds that a task costs a team's root, and a worker in waiting
_WIDEST, _TRIED = 128, 6  # ranks of a team, and numbers of teams, that are compared
_STEPS = 24  # that are simulated for it


def make_plan(
    size: int,
    *,
    nsteps: int | str = "auto",
    burnin: int | str = "auto",
    nwalkers: int,
    nensembles: int | None = None,
    mode: str = "auto",
    teams: int | None = None,
    thin_by: int = 1,
    seconds: float = 0.0,
    slowdown: float = 1.0,
    vectorized: bool = False,
    groups: tuple[tuple[int, ...], ...] = (),
    splits: tuple[tuple[float, int], ...] = ((0.6, 2), (0.4, 4)),
) -> Plan:
    """Share ``nsteps`` over ensembles, ensembles over teams, and ranks over teams.

    Parameters
    ----------
    size : int
        Ranks there are.
    nsteps : int or "auto"
        Kept production steps in total; "auto" is planned as 200,000, the most. Default: "auto".
    burnin : int or "auto"
        Burn-in steps per ensemble, in addition. Default: "auto".
    nwalkers : int
        Walkers per ensemble, even.
    nensembles : int, optional
        Default: in auto 4, or as many as all ranks can work for, 2 ``size`` / ``nwalkers``; one
        per rank in split, but never so many that one would get fewer production steps than burn-in
        steps, where both are given; ``teams`` of them with teams; 1 in pool.
    mode : {"auto", "split", "pool"}
        As many teams as possible, or one; "auto": as suits the cost of log_prob. Default: "auto".
    teams : int, optional
        That many teams, in place of ``mode``.
    thin_by : int
        Steps per kept one. Default: 1.
    seconds : float
        One evaluation of log_prob, for auto. Default: 0, it costs less than a message.
    slowdown : float
        Of a rank that shares a core, for auto. Default: 1, each has a core of its own.
    vectorized : bool
        Whether log_prob takes in many rows at once: auto never splits them. Default: False.
    groups : tuple of tuple of int
        Ranks that evaluate log_prob together, in the order of the first of each. Default: each
        rank by itself.
    splits : tuple of (float, int)
        Weights of the moves, and into how many parts each splits an ensemble. Default: those of
        the default moves.

    Returns
    -------
    Plan

    Raises
    ------
    UsageError
        If an ensemble would get no step.

    """
    remarks = []
    ranks, size, width = size, len(groups) or size, len(groups[0]) if groups else 1
    each = "rank" if width == 1 else "group"
    who = "ranks" if width == 1 else f"groups of {width} ranks"  # that evaluate log_prob
    open_ended, known_burnin = isinstance(nsteps, str), None if isinstance(burnin, str) else burnin
    nsteps = MOST_STEPS if isinstance(nsteps, str) else nsteps
    if nensembles is None:
        nensembles = 1
        if teams is not None:
            nensembles = min(teams, nsteps)
        elif mode == "auto":
            nensembles = min(max(_ENSEMBLES, -(-2 * size // nwalkers)), nsteps)
        elif mode == "split":
            most = nsteps
            if known_burnin and not open_ended:
                most = nsteps // -(-known_burnin // thin_by)
            nensembles = max(1, min(size, nsteps, most))
            if nensembles < size:
                remarks.append(
                    f"{nensembles} ensembles for {size} {who}: with one per {each} each would "
                    f"get fewer production steps than its {burnin} burn-in steps"
                )
    if nensembles > nsteps:
        raise UsageError(
            f"nsteps is {nsteps}, the total over all ensembles, and nensembles is {nensembles}: "
            f"each needs a step at least; use --nsteps {nensembles} or more"
        )
    used = size
    if teams is None and mode == "auto":
        cost = 0.0 if vectorized else seconds
        system = SystemCost().slowed(slowdown)
        nteams = _nteams(size, nensembles, cost, Batches(nwalkers, splits), system)
        if vectorized or seconds <= _MESSAGE:
            used = nteams
    else:
        wanted = teams if teams is not None else (size if mode == "split" else 1)
        nteams = min(wanted, size, nensembles)
    if teams is not None and nteams < teams:
        short = f"{size} {who}" if size <= nensembles else f"{nensembles} ensembles"
        remarks.append(f"{nteams} teams in place of {teams}: there are only {short}")
    if used < size:
        why = "a vectorized log_prob takes in half an ensemble at once"
        if not vectorized:
            why = f"log_prob ({duration_text(seconds)}) costs less than a message to another rank"
        be = "is" if size - used == 1 else "are"
        remarks.append(
            f"{size - used} of {size} {who} {be} idle, there being "
            f"{count_text(nensembles, 'ensemble')}: {why}; "
            f"--nensembles {size} gives each one of its own, for more draws"
        )
    shares = _shares(nsteps, nensembles)
    plan_teams = _teams(used, nensembles, nteams)
    remarks += _waste(plan_teams, used, nensembles, nwalkers, who)
    if groups:
        roots = [group[0] for group in groups]
        plan_teams = tuple(Team([roots[i] for i in t.ranks], t.ensembles) for t in plan_teams)
    return Plan(
        ranks,
        plan_teams,
        shares,
        known_burnin,
        thin_by,
        nwalkers,
        tuple(remarks),
        open_ended,
        groups,
    )


def _nteams(
    size: int, nensembles: int, seconds: float, batches: Batches, system: SystemCost
) -> int:
    """Return the number of teams that suits the cost of log_prob.

    Where ranks share out evenly one to an ensemble or more there is nothing to send. Else that of
    which the planner regrets least, at the worst, to have chosen it: whether log_prob always takes
    as long as it took in a first try, or a lognormal time with as large a standard deviation.

    Where ranks share cores it is half of that, since one that waits leaves its core to others, and
    the choice is between the fewest teams and the most: others were never ahead there by more than
    2% (tests/benchmarks, shapes.py), while the planner, whose cores do not change hands, says so.
    """
    if seconds <= _MESSAGE or nensembles % size == 0:
        return min(size, nensembles)
    counts = list(range(max(1, size // _WIDEST), min(size, nensembles) + 1))
    if system.slowdown > 1:
        counts = sorted({counts[0], counts[-1]})
    elif len(counts) > _TRIED:
        counts = sorted({round(n) for n in np.geomspace(counts[0], counts[-1], _TRIED)})
    length, regrets = Length(0, _STEPS), dict.fromkeys(counts, 1.0)
    for spread in (0.0, 1.0 if system.slowdown == 1 else 0.5):
        call = CallCost(lognormal(seconds, spread * seconds))
        predictor = Predictor(batches, call, system)
        taken = {t: predictor.predict(_shape(size, nensembles, t), length).seconds for t in counts}
        best = min(taken.values())
        regrets = {t: max(regret, taken[t] / best) for t, regret in regrets.items()}
    return min(counts, key=lambda t: regrets[t])


def _shape(size: int, nensembles: int, nteams: int) -> Shape:
    widths, shares = _shares(size, nteams), _shares(nensembles, nteams)
    return Shape(size, tuple(zip(widths, shares, strict=True)))


def _shares(total: int, parts: int) -> tuple[int, ...]:
    """Share ``total`` exactly; the shares differ by at most one, larger ones first."""
    base, extra = divmod(total, parts)
    return tuple(base + (i < extra) for i in range(parts))


def _blocks(total: int, parts: int) -> list[range]:
    ends = [0]
    for share in _shares(total, parts):
        ends.append(ends[-1] + share)
    return [range(a, b) for a, b in itertools.pairwise(ends)]


def _teams(size: int, nensembles: int, nteams: int) -> tuple[Team, ...]:
    # both shares put the larger blocks first, so that wider teams serve more ensembles
    pairs = zip(_blocks(size, nteams), _blocks(nensembles, nteams), strict=True)
    return tuple(Team(ranks, ensembles) for ranks, ensembles in pairs)


def _waste(
    teams: tuple[Team, ...], size: int, nensembles: int, nwalkers: int, who: str
) -> list[str]:
    """Say which ranks, or groups of them, this shape leaves idle, and what would use them."""
    remarks = []
    useful = sum(min(len(t.ranks), len(t.ensembles) * nwalkers // 2) for t in teams)
    if useful < size:
        more = len(teams) * max(-(-len(t.ranks) // (nwalkers // 2)) for t in teams)
        remarks.append(
            f"{size - useful} of {size} {who} have nothing to do: an ensemble of {nwalkers} "
            f"walkers can use {nwalkers // 2} at once; use --nensembles {more} or more"
        )
    half = nwalkers // 2
    for team in teams[:1]:  # the widest
        width = len(team.ranks)
        rounds = -(-half // width)
        used = half / (rounds * width)
        if len(team.ensembles) == 1 and 1 < width <= half and used < 0.9:
            remarks.append(
                f"{half} evaluations at a time over {width} {who} take {rounds} rounds, which "
                f"use {100 * used:.0f}% of the ranks' time; --nwalkers {2 * width * rounds} would "
                "use all, and several ensembles in a team fill each other's gaps"
            )
    load = [len(t.ensembles) / len(t.ranks) for t in teams]
    share = nensembles / size / max(load)
    if share < 0.9:
        even = _even(size, nensembles)
        other = f"--nensembles {even}" if even != nensembles else "another --teams"
        remarks.append(
            f"the teams are uneven, and finish apart: about {100 * share:.0f}% of the ranks' time "
            f"is used; {other} would share out evenly"
        )
    return remarks


def _even(size: int, nensembles: int) -> int:
    """Return the number of ensembles nearest to ``nensembles`` that shares out evenly."""
    good = [k for k in range(1, max(size, nensembles) + size) if k % size == 0 or size % k == 0]
    return min(good, key=lambda k: (abs(k - nensembles), k))
