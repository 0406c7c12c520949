"""How tasks are given to ranks: equal blocks, or one after another on demand. Pure.

Blocks cost one message per rank, but all wait for the slowest block. On demand costs a message
per task, and nobody waits while there is work. Which is better follows from how long a task takes
and how unlike the tasks are, as measured so far.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

SCHEDULES = ("auto", "static", "demand")
MESSAGE = 5e-4  # seconds: what a task on demand costs in messages and waiting, at the worst
TURN = 1e-3  # seconds: what passes between two batches of equal blocks
SHORT = 2e-3  # seconds: for shorter tasks a worker has a second one queued
SHORT_IF_EVEN, EVEN = 2e-2, 0.3  # seconds, where their standard deviation is this share at most
_MEMORY = 2000.0  # tasks that the running estimates look back on


@dataclass(frozen=True)
class Choice:
    """What to do with the next tasks.

    Attributes
    ----------
    demand : bool
        Whether they go out on demand, and not in equal blocks.
    chunk : int
        On demand: tasks of a message.
    depth : int
        On demand: messages that a worker may have.

    """

    demand: bool
    chunk: int = 1
    depth: int = 1


class Scheduler:
    """Chooses, from measured seconds per task.

    Parameters
    ----------
    size : int
        Ranks that evaluate.
    schedule : {"auto", "static", "demand"}
        Fix the choice, or not.
    several : bool
        Whether several batches are under way at once, so that ranks which a batch leaves over
        (6 tasks for 4 ranks) have work from another.
    slowdown : float
        Where ranks share cores: how many times as long messages, and what is between batches,
        take. Default: 1.

    Attributes
    ----------
    mean, variance : float
        Of the seconds of one task; NaN before the first.

    """

    def __init__(
        self,
        size: int,
        schedule: str = "auto",
        several: bool = False,
        slowdown: float = 1.0,
    ) -> None:
        self.size, self.schedule, self.several = size, schedule, several
        self._message, self._turn = slowdown * MESSAGE, slowdown * TURN
        self.mean = self.variance = math.nan
        self._weight = 0.0

    @property
    def pause(self) -> float:
        """Return the longest sleep, in seconds, that does not delay such tasks much."""
        return 1e-3 if math.isnan(self.mean) else min(1e-3, max(5e-5, self.mean / 200))

    def observe(self, seconds: Iterable[tuple[int, float]]) -> None:
        """Take in how long chunks took.

        The variance of one task is estimated from chunk means, tasks being independent.

        Parameters
        ----------
        seconds : iterable of (int, float)
            Of each chunk its tasks, and the seconds for all of them.

        """
        for tasks, spent in seconds:
            if tasks < 1:
                continue
            each = spent / tasks
            if math.isnan(self.mean):
                self.mean, self.variance, self._weight = each, 0.0, float(tasks)
                continue
            self._weight = min(self._weight + tasks, _MEMORY)
            share = min(1.0, tasks / self._weight)
            off = each - self.mean
            self.mean += share * off
            # per chunk, not per task: a chunk gives one figure for the variance
            weight = 1.0 / max(1.0, self._weight / tasks)
            self.variance += weight * (tasks * off * off * (1 - share) - self.variance)

    def static_efficiency(self, tasks: int) -> float:
        """Return the share of the ranks' time that equal blocks would use.

        The largest of P sums of m tasks is taken as m t (1 + cv sqrt(2 ln P / m)), the extreme of
        P normal variables; ranks left over, and the time between two batches, count as lost where
        other batches could use them.

        Parameters
        ----------
        tasks : int
            Of the batch.

        Returns
        -------
        float
            In [0, 1].

        """
        if self.size == 1:
            return 1.0
        most = -(-tasks // self.size)
        cv = math.sqrt(max(self.variance, 0.0)) / self.mean if self.mean > 0 else 0.0
        used = 1.0 / (1.0 + cv * math.sqrt(2 * math.log(self.size) / most))
        if not self.several:
            return used
        work = most * self.mean
        return used * tasks / (self.size * most) * work / (work + self._turn)

    def choose(self, tasks: int) -> Choice:
        """Return what to do with a batch.

        Parameters
        ----------
        tasks : int
            Of the batch.

        Returns
        -------
        Choice

        """
        if self.schedule == "static" or self.size == 1:
            return Choice(demand=False)
        mean = self.mean
        if math.isnan(mean):  # nothing known: on demand is never far off where it matters
            return Choice(demand=True)
        even = self.several and math.sqrt(max(self.variance, 0.0)) < EVEN * mean
        depth = 2 if mean < (SHORT_IF_EVEN if even else SHORT) else 1
        message = self._message
        chunk = 1 if mean > message else min(math.ceil(message / max(mean, 1e-7)), 50)
        chunk = max(1, min(chunk, tasks // (4 * self.size)))
        if self.schedule == "demand":
            return Choice(True, chunk, depth)
        on_demand = mean / (mean + message / chunk)
        return Choice(on_demand > self.static_efficiency(tasks), chunk, depth)
