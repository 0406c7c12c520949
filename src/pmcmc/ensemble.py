"""One ensemble: an emcee sampler advanced step by step, its draws taken away in blocks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import emcee
import numpy as np
import numpy.typing as npt

from .errors import EvaluationError
from .moves import Moves
from .problem import Problem
from .returns import Evaluated
from .rng import streams
from .start import initial_walkers
from .store import Block

Array = npt.NDArray[Any]
Evaluate = Callable[[Array], Evaluated]


class _Sampler(emcee.EnsembleSampler):  # type: ignore[misc]
    """emcee's sampler, its rows evaluated by ``evaluate`` (a team of ranks, or this one)."""

    def __init__(self, evaluate: Evaluate, **kwargs: Any) -> None:
        super().__init__(log_prob_fn=evaluate, **kwargs)
        self._evaluate = evaluate

    def compute_log_prob(self, coords: Array) -> Evaluated:
        if not np.isfinite(coords).all():
            raise EvaluationError(
                "a walker left for infinity (log_prob does not fall off, or a move overflowed)"
            )
        return self._evaluate(coords)


class _Recorder(emcee.backends.Backend):  # type: ignore[misc]
    """Where emcee saves its steps: hands each to ``record``, keeps nothing itself."""

    def __init__(self, record: Callable[[emcee.State, Array], None]) -> None:
        super().__init__()
        self._record = record

    def grow(self, ngrow: int, blobs: Array | None) -> None:
        pass

    def save_step(self, state: emcee.State, accepted: Array) -> None:
        self._record(state, accepted)


class Ensemble:
    """One ensemble of a run.

    Parameters
    ----------
    index : int
        The ensemble's number: with the seed it determines every draw.
    problem : Problem
    evaluate : callable
        Rows (n, ndim) -> ``Evaluated``.
    seed, nwalkers, burnin, thin_by, moves
        As in the plan and the options.
    nsteps : int
        Kept production steps of this ensemble.

    Attributes
    ----------
    steps : int
        Steps taken so far, burn-in and steps between kept ones included.
    target : int
        Steps to take in all.
    """

    def __init__(
        self,
        index: int,
        problem: Problem,
        evaluate: Evaluate,
        *,
        seed: int,
        nwalkers: int,
        burnin: int,
        nsteps: int,
        thin_by: int,
        moves: Moves,
    ) -> None:
        self.index, self.burnin, self.thin_by = index, burnin, thin_by
        self.steps, self.target = 0, burnin + nsteps * thin_by
        self._accepted = {True: np.zeros(nwalkers), False: np.zeros(nwalkers)}
        self._rows: dict[bool, list[tuple[Array, Array, Array | None]]] = {True: [], False: []}
        rng, random_state = streams(seed, index)
        coords = initial_walkers(problem, nwalkers, rng, evaluate)
        log_prob, blobs = evaluate(coords)
        if not (log_prob > -np.inf).any():
            raise EvaluationError(
                f"log_prob is -inf at all {nwalkers} starting walkers of ensemble {index}; "
                f"the first is\n{problem.describe(coords[0])}\n"
                "  choose an initial point where the posterior is not zero"
            )
        self._last = emcee.State(coords, log_prob, blobs, random_state, copy=True)
        self._no_blobs = blobs is None
        # a fresh copy of the moves: a move may keep a state of its own
        sampler = _Sampler(
            evaluate,
            nwalkers=nwalkers,
            ndim=problem.ndim,
            moves=copy.deepcopy(moves),
            backend=_Recorder(self._record),
        )
        self._generator: Iterator[Any] = sampler.sample(
            self._last, iterations=self.target, skip_initial_state_check=True
        )

    @property
    def done(self) -> bool:
        """Whether all steps are taken."""
        return self.steps >= self.target

    @property
    def kept_rows(self) -> int:
        """Rows taken since the last block, burn-in included."""
        return len(self._rows[True]) + len(self._rows[False])

    @property
    def accepted_fraction(self) -> tuple[float, int]:
        """Accepted moves as far as they are counted, and of how many walker steps."""
        warming = min(self.steps, self.burnin)
        counted = warming + (self.steps - warming) // self.thin_by
        total = self._accepted[True].sum() + self._accepted[False].sum()
        return float(total), counted * len(self._accepted[True])

    def advance(self) -> None:
        """Take one step."""
        next(self._generator)

    def _record(self, state: emcee.State, accepted: Array) -> None:
        self.steps += 1
        blobs = None if self._no_blobs else state.blobs.copy()
        coords, log_prob = state.coords.copy(), state.log_prob.copy()
        self._last = emcee.State(coords, log_prob, blobs, state.random_state)
        warming = self.steps <= self.burnin
        if warming or (self.steps - self.burnin) % self.thin_by == 0:
            self._rows[warming].append((coords, log_prob, blobs))
            self._accepted[warming] += accepted

    def take_block(self) -> Block:
        """Return the rows since the last block, with the state after them, and forget the rows."""
        block = Block(
            ensemble=self.index,
            steps=self.steps,
            burnin=self._stack(self._rows[True]),
            kept=self._stack(self._rows[False]),
            burnin_accepted=self._accepted[True].copy(),
            accepted=self._accepted[False].copy(),
            coords=self._last.coords,
            log_prob=self._last.log_prob,
            blobs=self._last.blobs,
            random_state=self._last.random_state,
        )
        self._rows = {True: [], False: []}
        return block

    def _stack(
        self, rows: list[tuple[Array, Array, Array | None]]
    ) -> tuple[Array, Array, Array | None]:
        if not rows:
            empty = np.empty(0)
            return empty, empty, None if self._no_blobs else empty
        chain, log_prob = np.stack([r[0] for r in rows]), np.stack([r[1] for r in rows])
        return chain, log_prob, None if self._no_blobs else np.stack([r[2] for r in rows])
