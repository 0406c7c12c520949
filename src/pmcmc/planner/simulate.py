"""A team's half-steps as discrete events: equal blocks, or tasks on demand from all its ensembles.

How the next batch is shared out is decided by the scheduler's own code, from simulated seconds.
The root's helper thread serves one event at a time: it takes in results, steps ensembles, sends
tasks. Its main thread evaluates beside it, as if each had a core; other ranks only evaluate.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..pool.schedule import Choice, Scheduler
from .costs import Batches, CallCost, SystemCost

if TYPE_CHECKING:
    from .._types import FloatArray

_DRAWN = 1024
_FEWEST, _TASKS = 12, 20_000  # steps of an ensemble, and evaluations, that are simulated


@dataclass(frozen=True)
class Simulated:
    """What a simulated team spent.

    Attributes
    ----------
    seconds : float
        Wall time.
    work : float
        Seconds in log_prob, over all its ranks.
    steps : int
        Of each ensemble.
    demand : float
        Share of the time in which tasks went out on demand.

    """

    seconds: float
    work: float
    steps: int
    demand: float

    @property
    def per_step(self) -> float:
        """Wall seconds of a step of all ensembles."""
        return self.seconds / self.steps


@dataclass
class _Ensemble:
    """One ensemble on its way.

    ``left`` are the batches to come in its step, ``missing`` tasks of the one that is out.
    """

    steps: int = 0
    left: deque[int] = field(default_factory=deque)
    missing: int = 0


class TeamSimulation:
    """Simulates the steps of a team.

    Parameters
    ----------
    width : int
        Ranks that evaluate (or groups of them).
    ensembles : int
        Of the team.
    batches : Batches
        Of each ensemble's steps.
    call : CallCost
        Of log_prob.
    system : SystemCost
        Of all else.
    schedule : {"auto", "static", "demand"}
        As the option.
    seed : int
        Of the costs that are drawn.

    """

    def __init__(
        self,
        width: int,
        ensembles: int,
        batches: Batches,
        call: CallCost,
        system: SystemCost,
        schedule: str = "auto",
        seed: int = 0,
    ) -> None:
        self._width, self._count = width, ensembles
        self._batches, self._call, self._system = batches, call, system
        self._rng = np.random.default_rng(seed)
        self._scheduler = Scheduler(
            width,
            "static" if call.vectorized else schedule,
            several=ensembles > 1,
            slowdown=system.slowdown,
        )
        self._scheduler.observe([(1, call.mean)])
        self._now = self._work = self._on_demand = 0.0
        self._drawn: list[float] = []
        self._free = np.zeros(width)  # since when each rank has waited

    def run(self, steps: int) -> Simulated:
        """Simulate so many steps of each ensemble."""
        ensembles = [_Ensemble() for _ in range(self._count)]
        while any(e.steps < steps for e in ensembles):
            if self._width > 1 and self._choice().demand:
                began = self._now
                _OnDemand(self, ensembles, steps).run()
                self._on_demand += self._now - began
                continue
            for ensemble in ensembles:
                if ensemble.steps < steps:
                    self._step(ensemble)
        demand = self._on_demand / self._now if self._now > 0 else 0.0
        return Simulated(float(self._now), float(self._work), steps, float(demand))

    def seconds_of(self, tasks: int) -> float:
        """Return what so many evaluations take, drawn in advance: one by one that is slow."""
        if len(self._drawn) < tasks:
            self._drawn += self._call.draw(max(tasks, _DRAWN), self._rng).tolist()
        if tasks == 1:
            return self._drawn.pop()
        return sum(self._drawn.pop() for _ in range(tasks))

    def _choice(self) -> Choice:
        return self._scheduler.choose(self._batches.nwalkers // 2)

    def _step(self, ensemble: _Ensemble) -> None:
        """Take a step, or what is left of one, in equal blocks."""
        for rows in ensemble.left or self._batches.draw(self._rng):
            self._now += self._system.step(rows)
            self._share_out(rows)
        ensemble.left.clear()
        ensemble.steps += 1

    def _share_out(self, rows: int) -> None:
        """Evaluate a batch in one block on each rank."""
        system, width = self._system, self._width
        base, extra = divmod(rows, width)
        sizes = np.full(width, base)
        sizes[1 : extra + 1] += 1  # the root, which has more to do, has a small one
        took = self._blocks(sizes)
        self._work += float(took.sum())
        others = np.flatnonzero(sizes[1:]) + 1
        if not len(others):
            self._now += float(took[0])
            return
        sent = self._now + system.message * np.arange(1, len(others) + 1)
        late = np.minimum(system.look, np.maximum(0.0, sent - self._free[others]) / 4) / 2
        ends = sent + system.latency + late + took[others]
        self._free[others] = ends
        here = float(sent[-1] + took[0])
        came = np.sort(ends + system.latency)
        now = here
        if came[-1] > here:
            now = float(came[-1]) + system.late(came[-1] - here)
        # what has not been taken in while the root waited is taken in at the end
        after = int((came > here).sum())
        self._now = now + system.message * max(1, len(came) - max(0, after - 1))
        self._scheduler.observe((int(n), float(s)) for n, s in zip(sizes, took, strict=True) if n)

    def _blocks(self, sizes: FloatArray) -> FloatArray:
        """Return the seconds that each rank's block takes."""
        call = self._call
        if call.row is not None:
            single = call.draw(len(sizes), self._rng)
            return np.where(sizes > 0, single + sizes * call.row, 0.0)
        drawn = call.draw(int(sizes.sum()), self._rng)
        ends = np.cumsum(sizes).astype(int)
        sums = np.concatenate([[0.0], np.cumsum(drawn)])
        return np.asarray(sums[ends] - sums[ends - sizes.astype(int)])


class _OnDemand:
    """Tasks on demand from all ensembles of a team, until they are done or blocks are better."""

    def __init__(self, team: TeamSimulation, ensembles: list[_Ensemble], steps: int) -> None:
        self._team, self._steps = team, steps
        self._ensembles = ensembles
        self._pending: deque[tuple[_Ensemble, int]] = deque()  # and tasks of the chunk
        # ranks beside the root, by the chunks that they have: who came first is served first
        self._having: list[dict[int, None]] = [dict.fromkeys(range(1, team._width))]
        self._out = [0] * team._width  # those chunks
        self._free = [team._now] * team._width
        # when, in which order, from which rank, of which ensemble, tasks, and their seconds
        self._events: list[tuple[float, int, int, _Ensemble, int, float]] = []
        self._order = 0
        self._driver = team._now  # when the helper thread has time again
        self._draining = False

    def run(self) -> None:
        """Simulate."""
        team = self._team
        for ensemble in self._ensembles:
            if ensemble.steps < self._steps:
                self._go_on(ensemble)
        self._refill()
        while self._events:
            at, _, rank, ensemble, tasks, seconds = heapq.heappop(self._events)
            waited = at - self._driver
            pause = team._scheduler.pause / 2 if waited > 0 else 0.0
            self._driver = max(self._driver, at + pause)
            if rank:
                self._driver += team._system.message
            self._count(rank, -1)
            team._scheduler.observe([(tasks, seconds)])
            ensemble.missing -= tasks
            if not ensemble.missing:
                self._go_on(ensemble)
            self._refill()
        team._now = max(self._driver, team._now)
        team._free[:] = team._now

    def _go_on(self, ensemble: _Ensemble) -> None:
        """Let the helper thread make an ensemble's next batch."""
        team = self._team
        if not ensemble.left:
            if ensemble.steps >= self._steps or self._draining:
                return
            ensemble.left.extend(team._batches.draw(team._rng))
        rows = ensemble.left.popleft()
        if not ensemble.left:
            ensemble.steps += 1
        choice = team._choice()
        self._draining = self._draining or not choice.demand
        self._driver += team._system.step(rows)
        ensemble.missing = rows
        for start in range(0, rows, choice.chunk):
            self._pending.append((ensemble, min(choice.chunk, rows - start)))

    def _refill(self) -> None:
        """Give the root's main thread a chunk, and the workers theirs."""
        team = self._team
        depth = team._choice().depth
        if self._pending and not self._out[0]:
            self._evaluate(0, self._driver + team._system.late(self._driver - self._free[0]))
        for level in range(depth):
            ranks = self._having[level] if level < len(self._having) else {}
            while ranks and self._pending:
                rank = next(iter(ranks))
                self._driver += team._system.message
                late = team._system.late(self._driver - self._free[rank])
                self._evaluate(rank, self._driver + team._system.latency + late)

    def _count(self, rank: int, change: int) -> None:
        """Note that a rank has a chunk more, or less."""
        had = self._out[rank]
        self._out[rank] = has = had + change
        if rank:
            self._having[had].pop(rank)
            while len(self._having) <= has:
                self._having.append({})
            self._having[has][rank] = None

    def _evaluate(self, rank: int, at: float) -> None:
        team = self._team
        ensemble, tasks = self._pending.popleft()
        seconds = team.seconds_of(tasks)
        begin = max(at, self._free[rank])
        end = begin + seconds
        team._work += seconds
        self._free[rank] = end
        self._count(rank, 1)
        self._order += 1
        arrives = end + (team._system.latency if rank else 0.0)
        heapq.heappush(self._events, (arrives, self._order, rank, ensemble, tasks, seconds))


def enough_steps(tasks: int, call: CallCost) -> int:
    """Return the steps that tell what a step takes within a percent or so.

    As far as that takes no more than 20,000 evaluations.

    Parameters
    ----------
    tasks : int
        Evaluations of a step.
    call : CallCost
        Of each.

    """
    wanted = math.ceil((call.variation / 0.01) ** 2 / tasks)
    return max(_FEWEST, min(wanted, _TASKS // tasks))


def simulate(
    width: int,
    ensembles: int,
    batches: Batches,
    call: CallCost,
    system: SystemCost,
    schedule: str = "auto",
    steps: int | None = None,
    seed: int = 0,
) -> Simulated:
    """Simulate a team.

    Parameters
    ----------
    width, ensembles : int
        Ranks that evaluate, and ensembles.
    batches, call, system, schedule, seed
        As `TeamSimulation` takes them.
    steps : int, optional
        Of each ensemble. Default: ``enough_steps``.

    """
    if steps is None:
        steps = enough_steps(ensembles * batches.nwalkers, call)
    team = TeamSimulation(width, ensembles, batches, call, system, schedule, seed)
    return team.run(steps)
