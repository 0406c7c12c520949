"""What ranks say to each other while they sample: one record a message.

Team roots hear from rank 0, and rank 0 from them; rank 0 is a team root too, and gets its own
messages the same way. `mpi.control` carries them.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from ..sampler.optima import Optimum, Pool
from ..sampler.state import Block, ProductionStart


@dataclass(frozen=True)
class Restart:
    """Rank 0 to a team root, first of all: where its ensembles go on.

    ``states`` are their saved states, or None for one that begins; ``burnin`` is the length of
    burn-in, None while that is open.
    """

    states: list[Any]
    burnin: int | None


@dataclass(frozen=True)
class Optima:
    """A team root to rank 0: what an ensemble's search for the start has found, so far."""

    ensemble: int
    found: list[Optimum]


@dataclass(frozen=True)
class Begin:
    """Rank 0 to the team roots: the optima of all ensembles; None: search on, widely."""

    pool: Pool | None


@dataclass(frozen=True)
class Limit:
    """Rank 0 to the team roots: no commit takes rows past this step of an ensemble.

    It is the next check's; None where there is none to come.
    """

    step: int | None


@dataclass(frozen=True)
class Commit:
    """Rank 0 to the team roots: join gather number ``number`` with the rows since the last."""

    number: int


@dataclass(frozen=True)
class Settle:
    """Rank 0 to the team roots: burn-in ended with step ``burnin``; what came after is undone.

    ``starts`` are those of ensembles whose walkers were redrawn.
    """

    burnin: int
    starts: tuple[ProductionStart, ...] = ()


@dataclass(frozen=True)
class Stop:
    """Any rank to all: a signal came, or the time is up. Begin no evaluation any more."""

    reason: str


@dataclass(frozen=True)
class Progress:
    """A team root to rank 0, now and then: how far its ensembles are.

    Attributes
    ----------
    done : bool
        It takes no more steps: all are taken, or it stopped.
    complete : bool
        All steps are taken.
    reached : int
        Steps that each of its ensembles has taken at least.
    steps : int
        Of all its ensembles together.
    accepted, counted : float, int
        Accepted moves, of how many.
    slowest : int
        The rank of its team on which an evaluation takes longest.
    slow, usual : float
        Seconds of an evaluation there, and on the team's median rank; NaN before the first.

    """

    done: bool
    complete: bool
    reached: int
    steps: int
    accepted: float
    counted: int
    slowest: int = 0
    slow: float = math.nan
    usual: float = math.nan


@dataclass(frozen=True)
class SendBlocks:
    """Rank 0 to the team roots: a gather does not end, so send what the file lacks as messages."""


@dataclass(frozen=True)
class Blocks:
    """A team root to rank 0: what the file lacks of its ensembles, as `SendBlocks` asked for."""

    blocks: list[Block]


@dataclass(frozen=True)
class LongCall:
    """A rank to rank 0: it is in a call of log_prob that lasts.

    Attributes
    ----------
    where : str
        Rank and host.
    parameters : str
        Where log_prob is at work.
    since : float
        When that began, in seconds since the epoch.

    """

    where: str
    parameters: str
    since: float

    def __str__(self) -> str:
        """Return it in words."""
        began = time.strftime("%H:%M:%S", time.localtime(self.since))
        return f"log_prob has been at work{self.where} since {began}, {self.parameters}"


@dataclass(frozen=True)
class Returned:
    """A rank to rank 0: the call that lasted has returned."""


@dataclass(frozen=True)
class GiveUp:
    """Rank 0 to all, at a stop: log_prob is left where it does not return within ``seconds``."""

    seconds: float


@dataclass(frozen=True)
class Out:
    """A rank to rank 0: it has done its part, and waits for the others."""


@dataclass(frozen=True)
class Full:
    """A team root to rank 0: its share of memory is full, a commit is wanted."""


@dataclass(frozen=True)
class Finished:
    """Rank 0 to all, last of all: how the run ended.

    ``status`` is "finished", "short" or "stopped"; ``reason`` says by what it was stopped.
    """

    status: str
    reason: str = ""
