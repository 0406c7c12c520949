"""Forecasts of a run for numbers of ranks that are not here: its plans, and what they take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from ..errors import UsageError
from ..model.problem import Problem
from ..model.walkers import few_nwalkers
from ..mpi.timing import RankTimes, cost_of
from ..options import RunOptions, check_width
from ..planner.choose import Choice, choose
from ..planner.costs import Batches, CallCost, SystemCost, lognormal
from ..planner.predict import Predictor, Shape
from ..planner.steps import Length, expected_tau, length_of
from ..sampler.moves import Moves
from ..sampler.overhead import seconds_of_batch, splits_of
from .choices import choose_moves, choose_nwalkers
from .plan import Plan
from .setup import Setup
from .shape import make_plan

_LONG = 10.0  # seconds of a run after which others are worth a word
_STATE = 3 * 2600  # bytes of random states of an ensemble, on disk


@dataclass(frozen=True)
class Forecast:
    """What a run takes on one number of ranks.

    Attributes
    ----------
    plan : Plan
        That the run would take by itself.
    choice : Choice
        Its prediction, and that of the quickest shape with as many ensembles.
    best : Plan
        The plan of that.
    file_bytes : int
        Of the draws.

    """

    plan: Plan
    choice: Choice
    best: Plan
    file_bytes: int


class Forecaster:
    """Plans a run of a problem for numbers of ranks.

    Parameters
    ----------
    problem : Problem
        Whose log_prob was timed.
    options : RunOptions
        Of the run.
    call : CallCost
        Of log_prob.
    system : SystemCost
        Of messages and the file; emcee's own cost is measured here.
    tau : float, optional
        Autocorrelation time in steps. Default: that of a normal posterior.
    target_ess : float, optional
        Default: as the options ask, else as "enough" does.
    moves : list of (move, float), optional
        Default: as options and problem say.

    Attributes
    ----------
    nwalkers : int
        Of an ensemble.
    width : int
        Ranks that evaluate log_prob together.
    tau : float
        In steps.

    """

    def __init__(
        self,
        problem: Problem,
        options: RunOptions,
        call: CallCost,
        system: SystemCost,
        tau: float | None = None,
        target_ess: float | None = None,
        moves: Moves | None = None,
    ) -> None:
        self._problem, self._options, self._call = problem, options, call
        self._given = system, tau, target_ess, moves
        self._moves = choose_moves(problem, options) if moves is None else moves
        self.nwalkers = choose_nwalkers(problem, options, self._moves)
        self.width = options.ranks_per_evaluation or 1
        self.tau = expected_tau(problem.ndim) if tau is None else tau
        self._target = options.until_ess if target_ess is None else target_ess
        batch = seconds_of_batch(self._moves, self.nwalkers, problem.ndim)
        system = replace(system, batch=batch, walker=0.0, checkpoint=options.checkpoint)
        batches = Batches(self.nwalkers, splits_of(self._moves))
        self._predictor = Predictor(batches, call, system, options.schedule)

    def plan(self, ranks: int, **changes: Any) -> Plan:
        """Return the plan of a run on so many ranks."""
        width, options = self.width, self._options
        groups: tuple[tuple[int, ...], ...] = ()
        if width > 1:
            check_width(ranks, width)
            groups = tuple(tuple(range(i, i + width)) for i in range(0, ranks, width))
        given: dict[str, Any] = {
            "nsteps": options.nsteps,
            "burnin": options.burnin,
            "nensembles": options.nensembles,
            "mode": options.mode,
            "teams": options.teams,
            "thin_by": options.thin_by,
        }
        return make_plan(
            ranks,
            nwalkers=self.nwalkers,
            seconds=self._call.mean,
            vectorized=self._problem.vectorized,
            groups=groups,
            splits=splits_of(self._moves),
            **(given | changes),
        )

    def length(self, plan: Plan) -> Length:
        """Return how long the ensembles of a plan sample."""
        steps = None if plan.open_ended or self._target else max(plan.steps) * plan.thin_by
        return length_of(
            self.tau, self.nwalkers, plan.nensembles, self._target, plan.burnin, steps
        )

    def forecast(self, ranks: int) -> Forecast:
        """Return what the run takes on so many ranks.

        Raises
        ------
        UsageError
            If there is no plan for them.

        """
        plan = self.plan(ranks)
        length = self.length(plan)
        others = {}
        if self._options.teams is None and self._options.mode == "auto":
            most = min(plan.evaluations_at_once + plan.idle, plan.nensembles)
            for teams in range(1, most + 1):
                other = self.plan(ranks, nensembles=plan.nensembles, teams=teams)
                others[shape_of(other)] = other
        own = shape_of(plan)
        others.pop(own, None)
        found = choose(self._predictor, own, others, length)
        best = others.get(found.best.shape, plan)
        row = self.nwalkers * 8 * (self._problem.ndim + 1)
        size = plan.nensembles * (length.total // plan.thin_by * row + _STATE)
        return Forecast(plan, found, best, size)

    def with_few_walkers(self) -> Forecaster | None:
        """Return one for as many walkers as do on few ranks; None where their number is given."""
        few = few_nwalkers(self._problem.ndim)
        if self._options.nwalkers or self._problem.nwalkers or few >= self.nwalkers:
            return None
        if getattr(self._problem.initial, "ndim", 0) == 2:
            return None
        options = replace(self._options, nwalkers=few)
        return Forecaster(self._problem, options, self._call, *self._given)

    def taken(self, plan: Plan, length: Length) -> float:
        """Return the wall time of a plan whose ensembles sample so long."""
        return self._predictor.predict(shape_of(plan), length).seconds

    def seconds(self, ranks: int) -> float:
        """Return the wall time on so many ranks, in the shape that the run takes by itself."""
        plan = self.plan(ranks)
        return self.taken(plan, self.length(plan))


def shape_of(plan: Plan) -> Shape:
    """Return what the planner needs to know of a plan."""
    teams = tuple((len(team.ranks), len(team.ensembles)) for team in plan.teams)
    return Shape(plan.size, teams, plan.width)


def on_other_ranks(
    problem: Problem, setup: Setup, moves: Moves, times: Sequence[RankTimes]
) -> tuple[tuple[int, float], ...]:
    """Return what the draws of a run would have taken on half and on twice the ranks.

    The planner's figures, in proportion to what the run took here.

    Parameters
    ----------
    problem : Problem
        Of the run.
    setup : Setup
        With its plan and options.
    moves : list of (move, float)
        Of its ensembles.
    times : sequence of RankTimes
        What each rank spent.

    Returns
    -------
    tuple of (int, float)
        Ranks, and seconds; empty after a run of less than 10 s.

    """
    plan, options = setup.plan, setup.options
    evaluations, wall = sum(one.evaluations for one in times), times[0].wall
    mean, sd = cost_of(times)
    if wall < _LONG or not mean > 0:
        return ()
    call = CallCost(lognormal(mean, sd))
    if problem.vectorized:
        row = max(0.0, min(mean, (mean - setup.seconds / plan.nwalkers)))
        call = CallCost((max(0.0, setup.seconds - row),), row)
    forecaster = Forecaster(problem, options, call, SystemCost(), moves=moves)
    steps = max(1, round(evaluations / (plan.nwalkers * plan.nensembles)))
    length = Length(0, steps, plan.open_ended or plan.burnin is None)
    here = forecaster.taken(plan, length)
    found = []
    for ranks in (plan.size // 2, 2 * plan.size):
        if ranks and ranks % plan.width == 0:
            other = forecaster.plan(ranks, nensembles=plan.nensembles)
            found.append((ranks, wall * forecaster.taken(other, length) / here))
    return tuple(found)


def network_of(path: Path | None) -> SystemCost:
    """Return the costs of messages that a doctor's report tells of.

    Parameters
    ----------
    path : Path or None
        What ``doctor --json`` printed; None: usual figures.

    Returns
    -------
    SystemCost

    Raises
    ------
    UsageError
        If it is no such report, or no two ranks were there.

    """
    if path is None:
        return SystemCost()
    want = "expected what `python -m pmcmc doctor --json` prints under mpiexec"
    try:
        told = json.loads(path.read_text())
        links: Sequence[Any] = told["facts"]["links"]
        known = [float(link["latency"]) for link in links if link["latency"] is not None]
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}; {want}") from None
    except (ValueError, TypeError, LookupError, RecursionError):
        raise UsageError(f"{path} is no report of the doctor; {want}") from None
    if not known or not all(0 <= latency < 3600 for latency in known):
        raise UsageError(f"{path} tells of no messages between ranks; {want} -n 2 or more")
    return SystemCost(latency=median(known))
