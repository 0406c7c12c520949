"""Who does what: ranks, ensembles, steps -> Plan. Pure, and computed alike on every rank."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UsageError
from ..text import count_text, duration_text, some_text, span_text

MOST_STEPS = 200_000  # kept ones in total, of a run that ends by itself
_ENSEMBLES = 4  # as a rule: R-hat compares them, and a seed alone gives the draws
_MESSAGE = 5e-5  # seconds that a task costs a team's root, and a worker in waiting
_ROOT_SHARE = 0.25  # of its time that a root may spend on the tasks of its team


@dataclass(frozen=True)
class Team:
    """Ranks that evaluate log_prob for the same ensembles; ``ranks[0]`` is the team root.

    Attributes
    ----------
    ranks : sequence of int
        Of the communicator; where several evaluate log_prob together, the first of them.
    ensembles : range
        Of the run.

    """

    ranks: Sequence[int]
    ensembles: range

    @property
    def root(self) -> int:
        """The rank that steps the team's ensembles."""
        return self.ranks[0]


@dataclass(frozen=True)
class Plan:
    """Teams of ranks, ensembles per team, steps per ensemble.

    Attributes
    ----------
    size : int
        Ranks in all.
    teams : tuple of Team
        Contiguous ranks and ensembles, sizes that differ by at most one.
    steps : tuple of int
        Kept production steps of each ensemble; their sum is ``nsteps``.
        Where ``open_ended``, the most.
    burnin : int or None
        Steps of burn-in of each ensemble; None where it ends by itself.
    thin_by, nwalkers : int
        As the options; the same for every ensemble.
    remarks : tuple of str
        What the user should know: ranks that this shape cannot use, a shape that was changed.
    open_ended : bool
        Whether production ends by itself.
    groups : tuple of tuple of int
        Ranks that evaluate log_prob together, the first of which is in a team; empty where each
        rank does so by itself.

    """

    size: int
    teams: tuple[Team, ...]
    steps: tuple[int, ...]
    burnin: int | None
    thin_by: int
    nwalkers: int
    remarks: tuple[str, ...] = ()
    open_ended: bool = False
    groups: tuple[tuple[int, ...], ...] = ()

    @property
    def width(self) -> int:
        """Number of ranks that evaluate log_prob together."""
        return len(self.groups[0]) if self.groups else 1

    @property
    def evaluations_at_once(self) -> int:
        """Number of evaluations that can be at work."""
        return sum(len(team.ranks) for team in self.teams)

    @property
    def nensembles(self) -> int:
        """Number of ensembles."""
        return len(self.steps)

    @property
    def nsteps(self) -> int:
        """Kept production steps over all ensembles."""
        return sum(self.steps)

    def team_of(self, rank: int) -> Team | None:
        """Return the team in which a rank has evaluations to do.

        Parameters
        ----------
        rank : int
            From 0 to ``size`` - 1.

        Returns
        -------
        Team or None
            None for a rank that is left idle, and for one that only takes part in the evaluations
            of another.

        """
        return next((team for team in self.teams if rank in team.ranks), None)

    def number_of_team(self, rank: int) -> int | None:
        """Return for which team a rank works, from 0; None for a rank that is left idle."""
        root = next((group[0] for group in self.groups if rank in group), rank)
        return next((t for t, team in enumerate(self.teams) if root in team.ranks), None)

    @property
    def idle(self) -> int:
        """Number of ranks, the last ones, that work for no team."""
        return self.size - self.width * self.evaluations_at_once

    def evaluations(self) -> int | None:
        """Return how many times log_prob is called over all ranks.

        Returns
        -------
        int or None
            One call per walker and step, burn-in and steps between kept ones included, and one per
            walker for the start; calls that look for a start are not counted. None where burn-in
            or production ends by itself.

        """
        if self.burnin is None or self.open_ended:
            return None
        steps = self.nensembles * self.burnin + self.nsteps * self.thin_by
        return self.nwalkers * (steps + self.nensembles)

    def mode(self) -> str:
        """Return the shape in a word.

        Returns
        -------
        {"split", "pool", "teams"}
            As many teams as ranks that work, one team of several ranks, or anything between.

        """
        if len(self.teams) == self.evaluations_at_once:
            return "split"
        return "pool" if len(self.teams) == 1 else "teams"

    def describe(self) -> list[tuple[str, str]]:
        """Return the plan in words.

        Returns
        -------
        list of (str, str)
            A label and a text for each line.

        """
        widths = sorted({self.width * len(t.ranks) for t in self.teams})
        width = "1 rank" if widths == [1] else f"{span_text(widths)} ranks"
        teams = f"{count_text(len(self.teams), 'team')} of {width}"
        per_team = sorted({len(t.ensembles) for t in self.teams})
        if per_team != [1]:
            each = " each" if len(self.teams) > 1 else ""
            teams += f", {span_text(per_team)} ensembles{each}"
        if self.groups:
            teams += f"; {self.width} ranks evaluate log_prob together"
        if self.idle:
            teams += f"; {self.idle} idle"
        steps = sorted(set(self.steps))
        burnin = "burn-in until settled" if self.burnin is None else f"{self.burnin} burn-in"
        each = f"{burnin} + {'at most ' if self.open_ended else ''}{span_text(steps)} steps"
        if self.thin_by > 1:
            each += f" of {self.thin_by} moves"
        total = f"{self.nsteps} steps, {self.nsteps * self.nwalkers} draws in all"
        if self.open_ended:
            total = f"until the draws are enough, at most {total}"
        return [
            ("ranks", f"{self.size} ({self.mode()}): {teams}"),
            ("ensembles", f"{self.nensembles} of {self.nwalkers} walkers, each {each}"),
            ("total", total),
        ]

    def table(self) -> str:
        """Return who does what, as text: a line per team, of at most 40 teams."""
        rows = [f"{'team':>5}  {'ranks':<12}{'ensembles':<12}steps (each)"]
        for i, team in enumerate(self.teams):
            steps = sorted({self.steps[e] for e in team.ensembles})
            row = f"{i:>5}  {_range(team.ranks):<12}{_range(team.ensembles):<12}{span_text(steps)}"
            rows.append(row)
        return "\n".join(rows if len(rows) <= 41 else [*rows[:40], f"  ... {len(rows) - 40} more"])


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
    vectorized: bool = False,
    groups: tuple[tuple[int, ...], ...] = (),
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
    vectorized : bool
        Whether log_prob takes in many rows at once: auto never splits them. Default: False.
    groups : tuple of tuple of int
        Ranks that evaluate log_prob together, in the order of the first of each. Default: each
        rank by itself.

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
        nteams = _nteams(size, nensembles, 0.0 if vectorized else seconds)
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
            f"{size - used} of {size} {who} {be} idle, there being {nensembles} ensembles: {why}; "
            f"--nensembles {size} gives each one of its own"
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


def _nteams(size: int, nensembles: int, seconds: float) -> int:
    """Return the number of teams that suits the cost of log_prob.

    Where ranks share out evenly one to an ensemble or more there is nothing to send. Else a wide
    team, whose ranks are never short of a task as long as any of its ensembles has one, unless it
    is so wide that its root would spend its time on sending them out.
    """
    if seconds <= _MESSAGE or nensembles % size == 0:
        return min(size, nensembles)
    even = [t for t in range(1, min(size, nensembles) + 1) if size % t == 0 == nensembles % t]
    light = [t for t in even if size // t * _MESSAGE <= _ROOT_SHARE * seconds]
    return light[0] if light else even[-1]


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
        more = -(-size // (nwalkers // 2))
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
        remarks.append(
            f"the teams are uneven, and finish apart: about {100 * share:.0f}% of the ranks' time "
            f"is used; --nensembles {_even(size, nensembles)} would share out evenly"
        )
    return remarks


def _even(size: int, nensembles: int) -> int:
    """Return the number of ensembles nearest to ``nensembles`` that shares out evenly."""
    good = [k for k in range(1, max(size, nensembles) + size) if k % size == 0 or size % k == 0]
    return min(good, key=lambda k: (abs(k - nensembles), k))


def _range(r: Sequence[int]) -> str:
    if len(r) == 1 or r[-1] - r[0] == len(r) - 1:
        return str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}"
    return some_text([str(n) for n in r], 3)
