"""What log_prob, messages, emcee and the file cost: the figures that the cost model is given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .._types import FloatArray

_OWN_CPU = 1.3e-4  # seconds of CPU for the messages of an evaluation, on shared cores


@dataclass(frozen=True)
class CallCost:
    """What log_prob costs.

    Attributes
    ----------
    seconds : tuple of float
        Of single evaluations, as they were measured: each is as likely as the others. For a
        vectorized log_prob what a call takes apart from its rows.
    row : float or None
        Vectorized: seconds of each row of a call. None: rows are evaluated one by one.

    """

    seconds: tuple[float, ...]
    row: float | None = None

    @property
    def vectorized(self) -> bool:
        """Whether log_prob takes in many rows at once."""
        return self.row is not None

    @property
    def mean(self) -> float:
        """Seconds of one evaluation, on average; vectorized: of a call of one row."""
        return sum(self.seconds) / len(self.seconds) + (self.row or 0.0)

    @property
    def variation(self) -> float:
        """Standard deviation of single evaluations over their mean."""
        return float(np.std(self.seconds)) / self.mean if self.mean > 0 else 0.0

    def work(self, rows: int) -> float:
        """Return the seconds that so many rows of one call take on average."""
        single = sum(self.seconds) / len(self.seconds)
        return rows * single if self.row is None else single + rows * self.row

    def draw(self, rows: int, rng: np.random.Generator) -> FloatArray:
        """Return the seconds of each of so many rows that are evaluated one by one."""
        return np.asarray(rng.choice(self.seconds, rows))


@dataclass(frozen=True)
class SystemCost:
    """What messages, emcee and the file cost on a machine.

    Attributes
    ----------
    latency : float
        Seconds of a small message from one rank to another.
    message : float
        Seconds of its own that a rank spends on sending or receiving one.
    look : float
        The longest sleep between two looks of a rank that waits: it notices a message half of it
        late on average.
    batch, walker : float
        Seconds that emcee takes for a batch of proposals, and for each walker in it.
    commit : float
        Seconds of rank 0 for each ensemble in a commit.
    checkpoint : float
        Seconds between two commits.
    slowdown : float
        How many times as long messages and emcee take as on a core of their own.

    """

    latency: float = 5e-6
    message: float = 2e-5
    look: float = 1e-3
    batch: float = 1.5e-4
    walker: float = 2e-6
    commit: float = 5e-4
    checkpoint: float = 60.0
    slowdown: float = 1.0

    def late(self, waited: float) -> float:
        """Return how late, on average, a rank notices what ends a wait of so many seconds.

        It looks all the time at first, then sleeps a quarter of what it has waited, at most
        ``look``; see `mpi.waiting.Backoff`.
        """
        return min(self.look, max(0.0, waited) / 4) / 2

    def slowed(self, slowdown: float) -> SystemCost:
        """Return the costs where a rank computes so many times as long; see `slowdown`."""
        return replace(
            self,
            message=slowdown * self.message,
            batch=slowdown * self.batch,
            walker=slowdown * self.walker,
            slowdown=slowdown,
        )

    def step(self, rows: int) -> float:
        """Return the seconds of emcee's own for a batch of so many proposals."""
        return self.batch + rows * self.walker


@dataclass(frozen=True)
class Batches:
    """The batches of proposals in a step of an ensemble.

    Attributes
    ----------
    nwalkers : int
        Of an ensemble.
    splits : tuple of (float, int)
        For each kind of move its weight, and into how many parts it splits an ensemble: all but
        one stay put while that one moves.

    """

    nwalkers: int
    splits: tuple[tuple[float, int], ...] = ((1.0, 2),)

    def draw(self, rng: np.random.Generator) -> list[int]:
        """Return the number of proposals in each batch of a step."""
        weights = np.array([weight for weight, _ in self.splits])
        parts = self.splits[int(rng.choice(len(weights), p=weights / weights.sum()))][1]
        base, extra = divmod(self.nwalkers, parts)
        return [base + (i < extra) for i in range(parts)]

    def per_step(self) -> float:
        """Return how many batches a step has on average."""
        total = sum(weight for weight, _ in self.splits)
        return sum(weight * parts for weight, parts in self.splits) / total


def slowdown(ranks_per_core: float, seconds: float, busy: float) -> float:
    """Return how many times as long a rank computes as on a core of its own.

    A core that serves all that want it by turns is a closed queue: its n ranks each want it for a
    time S, leave it for a time Z while log_prob waits for something else, and come back. It then
    takes r times as long for each, where r = 1 + (n - 1) r / (r + Z / S): what a rank finds there
    is what the n - 1 others have there on average (Schweitzer's and Bard's approximation to mean
    value analysis: Lazowska et al., Quantitative System Performance, 1984, section 6.4).

    Parameters
    ----------
    ranks_per_core : float
        1, or more.
    seconds : float
        An evaluation of log_prob on a rank.
    busy : float
        The share of it that is CPU time; little, where log_prob waits for something else, and
        more than 1 where it has threads.

    Returns
    -------
    float
        From 1 to ``ranks_per_core``.

    """
    n, away = ranks_per_core, max(0.0, 1 - busy) * seconds / (busy * seconds + _OWN_CPU)
    return ((n - away) + math.hypot(n - away, 2 * math.sqrt(away))) / 2 if n > 1 else 1.0


def lognormal(mean: float, sd: float, n: int = 512) -> tuple[float, ...]:
    """Return the quantiles of a lognormal cost at the middles of ``n`` equal parts.

    Parameters
    ----------
    mean, sd : float
        In seconds.
    n : int
        How many. Default: 512.

    Returns
    -------
    tuple of float
        Scaled so that their mean is ``mean``.

    """
    if not sd > 0 or n < 2:
        return (mean,)
    from statistics import NormalDist

    sigma = math.sqrt(math.log1p((sd / mean) ** 2))
    values = [math.exp(sigma * NormalDist().inv_cdf((i + 0.5) / n)) for i in range(n)]
    return scaled(values, mean)


def scaled(values: Sequence[float], mean: float) -> tuple[float, ...]:
    """Return values times what makes their mean ``mean``."""
    factor = mean * len(values) / sum(values)
    return tuple(factor * value for value in values)
