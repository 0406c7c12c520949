"""Who does what: ranks, ensembles, steps -> Plan. Pure, and computed alike on every rank."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from .errors import UsageError

_GUESS = 500  # steps of a burn-in that ends by itself


@dataclass(frozen=True)
class Team:
    """Ranks that evaluate log_prob for the same ensembles; ``ranks[0]`` is the team root."""

    ranks: range
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
    burnin, thin_by, nwalkers : int
        As the options; the same for every ensemble. Where ``settling``, burnin is a guess.
    settling : bool
        Whether burn-in ends by itself.
    remarks : tuple of str
        What the user should know: ranks that this shape cannot use, a shape that was changed.

    """

    size: int
    teams: tuple[Team, ...]
    steps: tuple[int, ...]
    burnin: int
    thin_by: int
    nwalkers: int
    remarks: tuple[str, ...] = ()
    settling: bool = False

    @property
    def nensembles(self) -> int:
        """Number of ensembles."""
        return len(self.steps)

    @property
    def nsteps(self) -> int:
        """Kept production steps over all ensembles."""
        return sum(self.steps)

    def team_of(self, rank: int) -> Team:
        """Return the team that ``rank`` belongs to."""
        return next(team for team in self.teams if rank in team.ranks)

    def evaluations(self) -> int:
        """Return how many times log_prob is called, start and burn-in included."""
        steps = self.nensembles * self.burnin + self.nsteps * self.thin_by
        return self.nwalkers * (steps + self.nensembles)

    def mode(self) -> str:
        """Return the shape in a word."""
        if len(self.teams) == self.size:
            return "split"
        return "pool" if len(self.teams) == 1 else "teams"

    def describe(self) -> list[tuple[str, str]]:
        """Return (label, text) lines for people."""
        widths = sorted({len(t.ranks) for t in self.teams})
        width = "1 rank" if widths == [1] else f"{_span(widths)} ranks"
        teams = f"{_count(len(self.teams), 'team')} of {width}"
        per_team = sorted({len(t.ensembles) for t in self.teams})
        if per_team != [1]:
            each = " each" if len(self.teams) > 1 else ""
            teams += f", {_span(per_team)} ensembles{each}"
        steps = sorted(set(self.steps))
        burnin = "burn-in until settled" if self.settling else f"{self.burnin} burn-in"
        each = f"{burnin} + {_span(steps)} steps"
        total = f"{self.nsteps} steps, {self.nsteps * self.nwalkers} draws in all"
        if self.thin_by > 1:
            each += f" of {self.thin_by} moves"
        return [
            ("ranks", f"{self.size} ({self.mode()}): {teams}"),
            ("ensembles", f"{self.nensembles} of {self.nwalkers} walkers, each {each}"),
            ("total", total),
        ]

    def table(self) -> str:
        """Return who does what, a line per team."""
        rows = [f"{'team':>5}  {'ranks':<12}{'ensembles':<12}steps (each)"]
        for i, team in enumerate(self.teams):
            steps = sorted({self.steps[e] for e in team.ensembles})
            row = f"{i:>5}  {_range(team.ranks):<12}{_range(team.ensembles):<12}{_span(steps)}"
            rows.append(row)
        return "\n".join(rows if len(rows) <= 41 else [*rows[:40], f"  ... {len(rows) - 40} more"])


def make_plan(
    size: int,
    *,
    nsteps: int,
    burnin: int | str,
    nwalkers: int,
    nensembles: int | None = None,
    mode: str = "split",
    teams: int | None = None,
    thin_by: int = 1,
) -> Plan:
    """Share ``nsteps`` over ensembles, ensembles over teams, and ranks over teams.

    Parameters
    ----------
    size : int
        Ranks there are.
    nsteps : int
        Kept production steps in total.
    burnin : int or "auto"
        As the option.
    thin_by, nwalkers : int
        As the options.
    nensembles : int, optional
        Default: one per rank in split, but never so many that one would get fewer production
        steps than burn-in steps; ``teams`` of them with teams; 1 in pool.
    mode : {"split", "pool"}
        As many teams as possible, or one.
    teams : int, optional
        That many teams, in place of ``mode``.

    Raises
    ------
    UsageError
        If an ensemble would get no step.

    """
    remarks = []
    settling = isinstance(burnin, str)
    burnin = _GUESS if isinstance(burnin, str) else burnin
    if nensembles is None:
        nensembles = 1
        if teams is not None:
            nensembles = min(teams, nsteps)
        elif mode == "split":
            most = nsteps // -(-burnin // thin_by) if burnin else nsteps
            nensembles = max(1, min(size, nsteps, most))
            if nensembles < size:
                remarks.append(
                    f"{nensembles} ensembles for {size} ranks: with one per rank, each would get "
                    f"fewer production steps than its {burnin} burn-in steps"
                )
    if nensembles > nsteps:
        raise UsageError(
            f"nsteps is {nsteps}, the total over all ensembles, and nensembles is {nensembles}: "
            f"each needs a step at least; use --nsteps {nensembles} or more"
        )
    wanted = teams if teams is not None else (size if mode == "split" else 1)
    nteams = min(wanted, size, nensembles)
    if teams is not None and nteams < teams:
        short = f"{size} ranks" if size <= nensembles else f"{nensembles} ensembles"
        remarks.append(f"{nteams} teams in place of {teams}: there are only {short}")
    shares = _shares(nsteps, nensembles)
    plan_teams = _teams(size, nensembles, nteams)
    remarks += _waste(plan_teams, size, nensembles, nwalkers)
    return Plan(size, plan_teams, shares, burnin, thin_by, nwalkers, tuple(remarks), settling)


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


def _waste(teams: tuple[Team, ...], size: int, nensembles: int, nwalkers: int) -> list[str]:
    """Say which ranks this shape leaves idle, and what would use them."""
    remarks = []
    useful = sum(min(len(t.ranks), len(t.ensembles) * nwalkers // 2) for t in teams)
    if useful < size:
        more = -(-size // (nwalkers // 2))
        remarks.append(
            f"{size - useful} of {size} ranks have nothing to do: an ensemble of {nwalkers} "
            f"walkers can use {nwalkers // 2} ranks at once; use --nensembles {more} or more"
        )
    half = nwalkers // 2
    for team in teams[:1]:  # the widest
        width = len(team.ranks)
        rounds = -(-half // width)
        used = half / (rounds * width)
        if len(team.ensembles) == 1 and 1 < width <= half and used < 0.9:
            remarks.append(
                f"{half} evaluations at a time over {width} ranks take {rounds} rounds, which "
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


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _span(values: list[int]) -> str:
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"


def _range(r: range) -> str:
    return str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}"
