"""Who does what: teams of ranks, ensembles per team, steps per ensemble. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..text import count_text, some_text, span_text


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

    def group_of(self, root: int) -> tuple[int, ...]:
        """Return the ranks that evaluate log_prob together, of which ``root`` is the first."""
        return next((group for group in self.groups if group[0] == root), (root,))

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
        first = (
            "burn-in until settled, then" if self.burnin is None else f"{self.burnin} burn-in +"
        )
        each = f"{first} {'at most ' if self.open_ended else ''}{span_text(steps)} steps"
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
            ranks = sorted(r for root in team.ranks for r in self.group_of(root))
            row = f"{i:>5}  {_range(ranks):<12}{_range(team.ensembles):<12}{span_text(steps)}"
            rows.append(row)
        return "\n".join(rows if len(rows) <= 41 else [*rows[:40], f"  ... {len(rows) - 40} more"])


def _range(r: Sequence[int]) -> str:
    if len(r) == 1 or r[-1] - r[0] == len(r) - 1:
        return str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}"
    return some_text([str(n) for n in r], 3)
