"""One ensemble: an emcee sampler advanced step by step, its draws taken away in blocks."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..model.outputs import Evaluate, Evaluation
from ..model.problem import Problem
from ..model.rejects import Reject
from .earlier import EarlierRun
from .emcee_sampler import Recorder, Sampler
from .light_emcee import emcee
from .moves import Moves, fresh_copy
from .optima import Optimum, Pool
from .rng import streams
from .start import EnsembleStart
from .state import Block, EnsembleState, ProductionStart, Rows, join

if TYPE_CHECKING:
    from .._types import AnyArray


class Ensemble:
    """One ensemble of a run.

    Parameters
    ----------
    index : int
        The ensemble's number: with the seed it determines every draw.
    problem : Problem
        Probed: the form of the blobs is known.
    evaluate : callable
        Rows (n, ndim) -> ``Evaluation``.
    seed, nwalkers, burnin, thin_by, moves
        As in the plan and the options.
    nsteps : int
        Kept production steps of this ensemble.
    settled : bool
        Whether ``burnin`` is known; else all steps are burn-in until ``settle``. Default: True.
    checks : frozenset of int
        The steps, of burn-in or kept ones, at which a block may have to end. Default: none.
    saved : EnsembleState, optional
        The state at a commit, to go on from.
    earlier : EarlierRun, optional
        Where walkers begin in place of the problem's ``initial``.
    in_main : callable
        Calls a function without arguments, in the main thread: so runs what code of the model's
        is not log_prob. Default: calls it here.

    Attributes
    ----------
    steps : int
        Steps taken so far, burn-in and steps between kept ones included.
    target : int
        Steps to take in all; ``sys.maxsize`` before burn-in has settled.
    started : bool
        Whether the start is found.

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
        saved: EnsembleState | None = None,
        earlier: EarlierRun | None = None,
        in_main: Callable[[Callable[[], Any]], Any] = lambda run: run(),
    ) -> None:
        self.index, self.thin_by, self._nsteps = index, thin_by, nsteps
        self.steps = 0
        self._burnin, self._kept = _Phase(nwalkers), _Phase(nwalkers)
        self._set_burnin(burnin if settled else None)
        self._checks = checks
        self._closed: deque[Block] = deque()  # blocks that end at a check
        self._taken: Block | None = None  # the last that was taken
        self._void = False  # the step in hand is not to be: burn-in ended before it
        self.started = False
        self._ndim, self._in_main = problem.ndim, in_main
        self._evaluate = self._noting_rejects(evaluate)
        self._pending: list[Reject] = []  # of the step in hand
        self._rejects: list[Reject] = []  # since the last block
        self._nwalkers, self._moves = nwalkers, moves
        start_stream, self._random_state = streams(seed, index)
        self._start = EnsembleStart(
            problem, nwalkers, start_stream, self._evaluate, index, earlier, in_main
        )
        self._generator: Iterator[Any] = iter(())
        if saved is not None:
            self.steps = saved.steps
            self._burnin.accepted, self._kept.accepted = saved.burnin_accepted, saved.accepted
            self._set_out(saved.coords, saved.log_prob, saved.blobs, saved.random_state)
            self._taken = self._close()

    @property
    def awaits_pool(self) -> bool:
        """Whether it has searched for optima, and cannot go on before ``begin``."""
        return self._start.awaits_pool

    @property
    def optima(self) -> list[Optimum]:
        """Those that this ensemble has found."""
        return self._start.optima

    def begin(self, pool: Pool | None) -> None:
        """Begin round an optimum drawn from those of all ensembles; None: search on first."""
        self._start.begin(pool)

    def _noting_rejects(self, evaluate: Evaluate) -> Evaluate:
        """Return ``evaluate`` as one that notes what was rejected."""

        def noting(coords: AnyArray) -> Evaluation:
            evaluation = evaluate(coords)
            if evaluation.rejects:
                self._pending += evaluation.rejects
            return evaluation

        return noting

    def _keep_rejects(self) -> None:
        """Take the rejects of the step that has just been taken."""
        if self._pending:
            e, step = self.index, self.steps
            self._rejects += (replace(one, ensemble=e, step=step) for one in self._pending)
            self._pending.clear()

    def _set_burnin(self, burnin: int | None) -> None:
        self._settled = burnin is not None
        self.burnin = sys.maxsize if burnin is None else burnin
        self.target = sys.maxsize if burnin is None else burnin + self._nsteps * self.thin_by

    def _set_out(
        self, coords: AnyArray, log_prob: AnyArray, blobs: AnyArray | None, random_state: Any
    ) -> None:
        """Make the sampler that goes on from a state."""
        self._last = emcee.State(coords, log_prob, blobs, random_state, copy=True)
        self._no_blobs = blobs is None
        sampler = Sampler(
            self._evaluate,
            nwalkers=self._nwalkers,
            ndim=self._ndim,
            moves=fresh_copy(self._moves, self._in_main),
            backend=Recorder(self._record),
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
        """Return how many of the rows ``take_block`` would take.

        Parameters
        ----------
        limit : int or None
            As for ``take_block``.

        Returns
        -------
        int
            Steps of all walkers, burn-in included.

        """
        if limit is None or self.steps <= limit:
            return self.rows
        return sum(b.count for b in self._closed if b.steps <= limit)

    @property
    def accepted(self) -> tuple[float, int]:
        """Accepted moves as far as they are counted, and of how many; over all walkers."""
        warming = min(self.steps, self.burnin)
        counted = warming + (self.steps - warming) // self.thin_by
        total = self._burnin.accepted.sum() + self._kept.accepted.sum()
        return float(total), counted * len(self._kept.accepted)

    def advance(self) -> None:
        """Search for the start, or take one step; nothing where the ensemble is done.

        Raises
        ------
        ModelError
            If the start is not one, see `initial.initial_walkers`.
        EvaluationError
            If log_prob fails, is -inf at every walker of the start, or a walker goes to infinity.

        """
        if self._void:
            assert self._taken is not None
            taken = self._taken.state
            self._set_out(taken.coords, taken.log_prob, taken.blobs, taken.random_state)
            self._void = False  # not before: it may have to wait for the main thread
        if self.done:  # burn-in ended where the run does
            return
        if self.started:
            next(self._generator)
        elif (found := self._start.go_on()) is not None:
            coords, (log_prob, blobs, _) = found
            self._set_out(coords, log_prob, blobs, self._random_state)
            self._keep_rejects()

    def settle(self, burnin: int, start: ProductionStart | None = None) -> None:
        """End burn-in with the last step that was taken away, and go on from there.

        Parameters
        ----------
        burnin : int
            The number of that step. Steps after it are taken again, as production.
        start : ProductionStart, optional
            Where some of the walkers were redrawn. Default: none were.

        """
        assert self._taken is not None
        assert self._taken.steps == burnin
        if start is not None:
            self._taken = self._taken.moved(start)
        taken = self._taken
        self._set_burnin(burnin)
        self._closed.clear()
        self._burnin.go_back(taken.state.burnin_accepted, taken.burnin.random_state)
        self._kept.go_back(taken.state.accepted, taken.kept.random_state)
        self._rejects.clear()
        self._pending.clear()
        self.steps, self._void = burnin, True

    def _record(self, state: emcee.State, accepted: AnyArray) -> None:
        if self._void:
            self._pending.clear()
            return
        self.steps += 1
        self._keep_rejects()
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
            The step, a check's, that it must not go past. Rows after it stay here. Default: none.

        Returns
        -------
        Block
            Without rows, and with the state of the last, where there are no new ones.

        """
        blocks = [] if self._taken is None else [self._taken.without_rows()]
        while self._closed and (limit is None or self._closed[0].steps <= limit):
            blocks.append(self._closed.popleft())
        if not self._closed and not self._void and (limit is None or self.steps <= limit):
            blocks.append(self._close())
        block = join(blocks)
        self._taken = block.without_rows()
        return block

    def _close(self) -> Block:
        state = EnsembleState(
            steps=self.steps,
            burnin_accepted=self._burnin.accepted.copy(),
            accepted=self._kept.accepted.copy(),
            coords=self._last.coords,
            log_prob=self._last.log_prob,
            blobs=self._last.blobs,
            random_state=self._last.random_state,
        )
        rejects, self._rejects = tuple(self._rejects), []
        return Block(self.index, self._burnin.take(), self._kept.take(), state, rejects)


class _Phase:
    """Rows of burn-in, or kept ones, until a commit takes them."""

    def __init__(self, nwalkers: int) -> None:
        self.rows: list[tuple[AnyArray, AnyArray, AnyArray | None]] = []
        self.accepted = np.zeros(nwalkers)
        self.random_state: tuple[Any, ...] | None = None

    def add(self, state: emcee.State, accepted: AnyArray) -> None:
        self.rows.append((state.coords, state.log_prob, state.blobs))
        self.accepted += accepted
        self.random_state = state.random_state

    def go_back(self, accepted: AnyArray, random_state: tuple[Any, ...] | None) -> None:
        self.rows, self.accepted = [], accepted.copy()
        self.random_state = random_state

    def take(self) -> Rows:
        rows, self.rows = self.rows, []
        chain, log_prob, blobs = np.empty(0), np.empty(0), None
        if rows:
            chain, log_prob = np.stack([r[0] for r in rows]), np.stack([r[1] for r in rows])
            if rows[0][2] is not None:
                blobs = np.array([r[2] for r in rows])
        return Rows(chain, log_prob, blobs, self.random_state)
