"""The state of an ensemble between two steps, and the rows it has added since the last commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..model.rejects import Reject

if TYPE_CHECKING:
    from .._types import AnyArray

_ROWS = ("chain", "log_prob")


@dataclass(frozen=True)
class EnsembleState:
    """What it takes to go on from the end of a step.

    Attributes
    ----------
    steps : int
        Taken so far, burn-in and steps between kept ones included.
    burnin_accepted, accepted : ndarray (walker,)
        Accepted moves of burn-in, and of the kept steps, as emcee counts them.
    coords : ndarray (walker, ndim)
    log_prob : ndarray (walker,)
    blobs : ndarray (walker, ...) or None
    random_state : tuple
        As ``numpy.random.RandomState.get_state`` returns it.

    """

    steps: int
    burnin_accepted: AnyArray
    accepted: AnyArray
    coords: AnyArray
    log_prob: AnyArray
    blobs: AnyArray | None
    random_state: tuple[Any, ...]


@dataclass(frozen=True)
class ProductionStart:
    """Where the production of an ensemble starts, some walkers having been redrawn.

    Attributes
    ----------
    ensemble : int
        Its number, from 0.
    redrawn : tuple of int
        The walkers that are not where burn-in left them.
    coords : ndarray (walker, ndim)
    log_prob : ndarray (walker,)
    blobs : ndarray (walker, ...) or None
    random_state : tuple
        As ``numpy.random.RandomState.get_state`` returns it.

    """

    ensemble: int
    redrawn: tuple[int, ...]
    coords: AnyArray
    log_prob: AnyArray
    blobs: AnyArray | None
    random_state: tuple[Any, ...]


@dataclass
class Rows:
    """Steps of one phase of an ensemble since the last commit.

    Attributes
    ----------
    chain : ndarray (step, walker, ndim)
        Where there are none, of length 0 and any further shape.
    log_prob : ndarray (step, walker)
    blobs : ndarray (step, walker, ...) or None
    random_state : tuple or None
        That after the last of all rows of the phase; None before the first.

    """

    chain: AnyArray
    log_prob: AnyArray
    blobs: AnyArray | None
    random_state: tuple[Any, ...] | None

    def without_rows(self) -> Rows:
        """Return the same with no rows."""
        blobs = None if self.blobs is None else self.blobs[:0]
        return replace(self, chain=self.chain[:0], log_prob=self.log_prob[:0], blobs=blobs)


@dataclass
class Block:
    """What one ensemble adds to a commit, and its state after that.

    Attributes
    ----------
    ensemble : int
        Its number, from 0.
    burnin, kept : Rows
        Of burn-in and of production.
    state : EnsembleState
    rejects : tuple of Reject
        Evaluations of these steps that were rejected. Default: none.

    """

    ensemble: int
    burnin: Rows
    kept: Rows
    state: EnsembleState
    rejects: tuple[Reject, ...] = ()

    @property
    def steps(self) -> int:
        """Steps taken in all."""
        return self.state.steps

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.burnin.chain) + len(self.kept.chain)

    def moved(self, start: ProductionStart) -> Block:
        """Return the same with its walkers elsewhere."""
        where = {name: getattr(start, name) for name in ("coords", "log_prob", "blobs")}
        return replace(self, state=replace(self.state, **where))

    def without_rows(self) -> Block:
        """Return the state after the block, with no rows."""
        burnin, kept = self.burnin.without_rows(), self.kept.without_rows()
        return replace(self, burnin=burnin, kept=kept, rejects=())


def join(blocks: Sequence[Block]) -> Block:
    """Return consecutive blocks of one ensemble as one.

    Parameters
    ----------
    blocks : sequence of Block
        One or more, in the order of the steps.

    Returns
    -------
    Block
        With the rows of all, and the state after the last.

    """
    if len(blocks) == 1:
        return blocks[0]

    def rows(parts: list[Rows]) -> Rows:
        some = [p for p in parts if len(p.chain)]
        if not some:
            return parts[-1]
        blobs = None
        if some[0].blobs is not None:
            blobs = np.concatenate([p.blobs for p in some if p.blobs is not None])
        chain, log_prob = (np.concatenate([getattr(p, n) for p in some]) for n in _ROWS)
        return replace(parts[-1], chain=chain, log_prob=log_prob, blobs=blobs)

    burnin, kept = rows([b.burnin for b in blocks]), rows([b.kept for b in blocks])
    rejects = tuple(one for block in blocks for one in block.rejects)
    return replace(blocks[-1], burnin=burnin, kept=kept, rejects=rejects)
