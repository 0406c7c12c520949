"""From a shape and costs to a run's wall time, efficiency and core-hours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .costs import Batches, CallCost, SystemCost
from .simulate import Simulated, enough_steps, simulate
from .steps import Length

_BETWEEN = 1.2  # ratio of two checks that follow each other


@dataclass(frozen=True)
class Shape:
    """How many ranks form which teams.

    Attributes
    ----------
    ranks : int
        Ranks that are started, those that idle included.
    width : int
        Ranks that evaluate log_prob together.
    teams : tuple of (int, int)
        Of each team how many of its ranks (or groups of them) evaluate, and its ensembles.

    """

    ranks: int
    teams: tuple[tuple[int, int], ...]
    width: int = 1

    @property
    def nensembles(self) -> int:
        """Ensembles of all teams."""
        return sum(ensembles for _, ensembles in self.teams)


@dataclass(frozen=True)
class Prediction:
    """What a run takes.

    Attributes
    ----------
    shape : Shape
    length : Length
    seconds : float
        Wall time from the first evaluation to the end of sampling.
    work : float
        Seconds in log_prob, over all ranks (a group of ranks counts as one).
    evaluations : int
        Of log_prob.

    """

    shape: Shape
    length: Length
    seconds: float
    work: float
    evaluations: int

    @property
    def efficiency(self) -> float:
        """Share of the ranks' time that is spent in log_prob."""
        share = self.work * self.shape.width / (self.seconds * self.shape.ranks)
        return min(1.0, share)  # drawn costs may add up to a little more than their mean

    @property
    def core_hours(self) -> float:
        """Wall time times ranks, in hours."""
        return self.seconds * self.shape.ranks / 3600


class Predictor:
    """Predicts runs of one problem; what was simulated is kept.

    Parameters
    ----------
    batches : Batches
        Of an ensemble's steps.
    call : CallCost
        Of log_prob.
    system : SystemCost
        Of messages, emcee and the file.
    schedule : {"auto", "static", "demand"}
        As the option. Default: "auto".
    seed : int
        Of simulated costs. Default: 0.

    """

    def __init__(
        self,
        batches: Batches,
        call: CallCost,
        system: SystemCost,
        schedule: str = "auto",
        seed: int = 0,
    ) -> None:
        self.batches, self.call, self.system = batches, call, system
        self._schedule, self._seed = schedule, seed
        self._known: dict[tuple[int, int, int], Simulated] = {}

    def team(self, width: int, ensembles: int, most: int) -> Simulated:
        """Return some simulated steps of a team, so many at most."""
        steps = min(most, enough_steps(ensembles * self.batches.nwalkers, self.call))
        key = width, ensembles, steps
        if key not in self._known:
            self._known[key] = simulate(
                width,
                ensembles,
                self.batches,
                self.call,
                self.system,
                self._schedule,
                steps,
                self._seed,
            )
        return self._known[key]

    def predict(self, shape: Shape, length: Length) -> Prediction:
        """Return what a run takes.

        Teams do not wait for each other but at checks, to which the slowest of them comes last:
        the extreme of normal variables, as there are many steps to each check.

        Parameters
        ----------
        shape : Shape
            Of the run.
        length : Length
            Of each ensemble.

        Returns
        -------
        Prediction

        """
        nwalkers, kinds = self.batches.nwalkers, sorted(set(shape.teams))
        teams = {kind: self.team(*kind, length.total) for kind in kinds}
        slowest = max(kinds, key=lambda kind: teams[kind].per_step)
        each = teams[slowest].per_step
        spread = self._spread(*slowest)
        late = math.sqrt(2 * math.log(len(shape.teams))) if len(shape.teams) > 1 else 0.0
        seconds = 0.0
        for steps in _stretches(length):
            seconds += steps * each + late * spread * math.sqrt(steps)
        # rank 0 writes while its own ensembles wait, and at a check all wait for it
        seconds *= 1 + shape.nensembles * self.system.commit / self.system.checkpoint
        evaluations = shape.nensembles * nwalkers * length.total
        work = self.call.work(1) * evaluations
        if self.call.vectorized:
            work = sum(teams[kind].work / teams[kind].steps * length.total for kind in shape.teams)
        return Prediction(shape, length, seconds, work, evaluations)

    def _spread(self, width: int, ensembles: int) -> float:
        """Return the standard deviation of the seconds of a team's step."""
        if self.call.vectorized:
            return 0.0
        calls = ensembles * self.batches.nwalkers
        return self.call.mean * self.call.variation * math.sqrt(calls) / width


def _stretches(length: Length) -> Sequence[float]:
    """Return the steps between the checks of a run."""
    if not length.checks:
        return [length.total]
    found: list[float] = []
    for part in (length.burnin, length.steps):
        left = float(part)
        while left > 0:
            share = left * (1 - 1 / _BETWEEN) if left > 100 else left
            found.append(share)
            left -= share
    return found
