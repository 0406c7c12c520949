"""One ensemble: an emcee sampler advanced step by step, its draws taken away in blocks."""

from __future__ import annotations

import copy
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import emcee
import numpy as np
import numpy.typing as npt

from .errors import EvaluationError
from .moves import Moves
from .problem import Problem
from .reader import Saved
from .record import Block, Rows, join
from .returns import Evaluated
from .rng import streams
from .start import initial_walkers

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
    settled : bool
        Whether ``burnin`` is known; else all steps are burn-in until ``settle``.
    checks : frozenset of int
        The steps, of burn-in or kept ones, at which a block may have to end.
    saved : Saved, optional
        The state at a commit, to go on from.

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
        settled: bool = True,
        checks: frozenset[int] = frozenset(),
        saved: Saved | None = None,
    ) -> None:
        self.index, self.thin_by, self._nsteps = index, thin_by, nsteps
        self.steps = 0
        self._burnin, self._kept = _Phase(nwalkers), _Phase(nwalkers)
        self._set_burnin(burnin if settled else None)
        self._checks = checks
        self._closed: deque[Block] = deque()  # blocks that end at a check
        self._given: Block | None = None  # the last that was taken
        self._void = False  # the step in hand is not to be: burn-in ended before it
        self.started = False
        self._problem, self._evaluate = problem, evaluate
        self._nwalkers, self._seed, self._moves = nwalkers, seed, moves
        self._generator: Iterator[Any] = iter(())
        if saved is not None:
            self.steps = saved.steps
            self._burnin.accepted, self._kept.accepted = saved.burnin_accepted, saved.accepted
            self._set_out(saved.coords, saved.log_prob, saved.blobs, saved.random_state)
            self._given = self._close()

    def _start(self) -> None:
        problem, evaluate, nwalkers = self._problem, self._evaluate, self._nwalkers
        rng, random_state = streams(self._seed, self.index)
        coords = initial_walkers(problem, nwalkers, rng, evaluate)
        log_prob, blobs = evaluate(coords)
        if not (log_prob > -np.inf).any():
            raise EvaluationError(
                f"log_prob is -inf at all {nwalkers} starting walkers of ensemble {self.index}; "
                f"the first is\n{problem.describe(coords[0])}\n"
                "  choose an initial point where the posterior is not zero"
            )
        self._set_out(coords, log_prob, blobs, random_state)

    def _set_burnin(self, burnin: int | None) -> None:
        self._settled = burnin is not None
        self.burnin = sys.maxsize if burnin is None else burnin
        self.target = sys.maxsize if burnin is None else burnin + self._nsteps * self.thin_by

    def _set_out(
        self, coords: Array, log_prob: Array, blobs: Array | None, random_state: Any
    ) -> None:
        """Make the sampler that goes on from a state."""
        self._last = emcee.State(coords, log_prob, blobs, random_state, copy=True)
        self._no_blobs = blobs is None
        # a fresh copy of the moves: a move may keep a state of its own
        sampler = _Sampler(
            self._evaluate,
            nwalkers=self._nwalkers,
            ndim=self._problem.ndim,
            moves=copy.deepcopy(self._moves),
            backend=_Recorder(self._record),
        )
        self._generator = sampler.sample(
            self._last, iterations=self.target - self.steps, skip_initial_state_check=True
        )
        self.started = True

    @property
    def done(self) -> bool:
        """Whether all steps are taken."""
        return self.started and not self._void and self.steps >= self.target

    @property
    def rows(self) -> int:
        """Rows taken since the last block, burn-in included."""
        return sum(b.count for b in self._closed) + len(self._burnin.rows) + len(self._kept.rows)

    def rows_to(self, limit: int | None) -> int:
        """Return how many of the rows a block up to step ``limit`` would take."""
        if limit is None or self.steps <= limit:
            return self.rows
        return sum(b.count for b in self._closed if b.steps <= limit)

    @property
    def accepted(self) -> tuple[float, int]:
        """Accepted moves as far as they are counted, and of how many."""
        warming = min(self.steps, self.burnin)
        counted = warming + (self.steps - warming) // self.thin_by
        total = self._burnin.accepted.sum() + self._kept.accepted.sum()
        return float(total), counted * len(self._kept.accepted)

    def advance(self) -> None:
        """Find the start, or take one step."""
        if self._void:
            self._void = False
            given = self._given
            assert given is not None
            self._set_out(given.coords, given.log_prob, given.blobs, given.random_state)
        if self.done:  # burn-in ended where the run does
            return
        if self.started:
            next(self._generator)
        else:
            self._start()

    def settle(self, burnin: int) -> None:
        """End burn-in with the last step that was taken away, and go on from there.

        Parameters
        ----------
        burnin : int
            The number of that step. Steps after it are taken again, as production.

        """
        given = self._given
        assert given is not None
        assert given.steps == burnin
        self._set_burnin(burnin)
        self._closed.clear()
        self._burnin.go_back(given.burnin)
        self._kept.go_back(given.kept)
        self.steps, self._void = burnin, True

    def _record(self, state: emcee.State, accepted: Array) -> None:
        if self._void:
            return
        self.steps += 1
        blobs = None if self._no_blobs else state.blobs.copy()
        coords, log_prob = state.coords.copy(), state.log_prob.copy()
        self._last = emcee.State(coords, log_prob, blobs, state.random_state)
        if self.steps <= self.burnin:
            self._burnin.add(self._last, accepted)
        elif (self.steps - self.burnin) % self.thin_by == 0:
            self._kept.add(self._last, accepted)

        if self._at_check():
            self._closed.append(self._close())

    def _at_check(self) -> bool:
        if not self._settled:
            return self.steps in self._checks
        kept, between = divmod(self.steps - self.burnin, self.thin_by)
        return not between and kept in self._checks

    def take_block(self, limit: int | None = None) -> Block:
        """Return the rows since the last block, with the state after them, and forget the rows.

        Parameters
        ----------
        limit : int, optional
            The step, a check's, that it must not go past. Rows after it stay here.

        """
        blocks = [] if self._given is None else [self._given.without_rows()]
        while self._closed and (limit is None or self._closed[0].steps <= limit):
            blocks.append(self._closed.popleft())
        if not self._closed and not self._void and (limit is None or self.steps <= limit):
            blocks.append(self._close())
        block = join(blocks)
        self._given = block.without_rows()
        return block

    def _close(self) -> Block:
        return Block(
            ensemble=self.index,
            steps=self.steps,
            burnin=self._burnin.take(),
            kept=self._kept.take(),
            coords=self._last.coords,
            log_prob=self._last.log_prob,
            blobs=self._last.blobs,
            random_state=self._last.random_state,
        )


class _Phase:
    """Rows of burn-in, or kept ones, until a commit takes them."""

    def __init__(self, nwalkers: int) -> None:
        self.rows: list[tuple[Array, Array, Array | None]] = []
        self.accepted = np.zeros(nwalkers)
        self.random_state: tuple[Any, ...] | None = None

    def add(self, state: emcee.State, accepted: Array) -> None:
        self.rows.append((state.coords, state.log_prob, state.blobs))
        self.accepted += accepted
        self.random_state = state.random_state

    def go_back(self, rows: Rows) -> None:
        self.rows, self.accepted = [], rows.accepted.copy()
        self.random_state = rows.random_state

    def take(self) -> Rows:
        rows, self.rows = self.rows, []
        chain, log_prob, blobs = np.empty(0), np.empty(0), None
        if rows:
            chain, log_prob = np.stack([r[0] for r in rows]), np.stack([r[1] for r in rows])
            if rows[0][2] is not None:
                blobs = np.array([r[2] for r in rows])
        return Rows(chain, log_prob, blobs, self.accepted.copy(), self.random_state)
