"""How one ensemble comes to its start: searches, the optima of all ensembles, then its walkers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EvaluationError
from ..model.outputs import Evaluate, Evaluation
from ..model.problem import Problem
from .earlier import EarlierRun
from .initial import initial_walkers
from .optima import Optimum, Pool
from .search import MapSearch

if TYPE_CHECKING:
    from .._types import AnyArray


class EnsembleStart:
    """The start of one ensemble, found step by step.

    Parameters
    ----------
    problem : Problem
        Probed.
    nwalkers : int
        Walkers of the ensemble.
    rng : numpy.random.Generator
        The ensemble's start stream.
    evaluate : callable
        Rows (n, ndim) -> ``Evaluation``.
    ensemble : int
        Its number.
    earlier : EarlierRun or None
        Where walkers begin in place of the problem's ``initial``.
    in_main : callable
        Calls a function without arguments, in the main thread: so runs what code of the model's
        is not log_prob.

    Attributes
    ----------
    awaits_pool : bool
        Whether it has searched for optima, and cannot go on before ``begin``.

    """

    def __init__(
        self,
        problem: Problem,
        nwalkers: int,
        rng: np.random.Generator,
        evaluate: Evaluate,
        ensemble: int,
        earlier: EarlierRun | None,
        in_main: Callable[[Callable[[], Any]], Any],
    ) -> None:
        self._problem, self._nwalkers, self._ensemble = problem, nwalkers, ensemble
        self._rng, self._evaluate = rng, evaluate
        self._earlier, self._in_main = earlier, in_main
        self._search: MapSearch | None = None
        if problem.initial_is("map") and earlier is None:
            self._search = MapSearch(problem, nwalkers, rng, evaluate)
        self._optimum: Optimum | None = None
        self.awaits_pool = False

    @property
    def optima(self) -> list[Optimum]:
        """Those that this ensemble has found."""
        return [] if self._search is None else self._search.found

    def begin(self, pool: Pool | None) -> None:
        """Begin round an optimum drawn from those of all ensembles; None: search on first."""
        self.awaits_pool = False
        if pool is not None:
            self._optimum = pool.draw(self._rng)

    def go_on(self) -> tuple[AnyArray, Evaluation] | None:
        """Search for optima, or find the walkers.

        Returns
        -------
        tuple of (ndarray (nwalkers, ndim), Evaluation), or None
            The walkers and what came of them; None where it now awaits the pool.

        Raises
        ------
        ModelError
            If the start is not one, see `initial.initial_walkers`.
        EvaluationError
            If log_prob fails, or is -inf at every walker.

        """
        problem, evaluate, nwalkers = self._problem, self._evaluate, self._nwalkers
        own = problem.own_start and self._earlier is None
        if self._search is not None and self._optimum is None:
            if own:
                self._in_main(self._search.go_on)
            else:
                self._search.go_on()
            self.awaits_pool = True
            return None

        def find() -> tuple[AnyArray, Evaluation | None]:
            e, at = self._ensemble, self._optimum
            return initial_walkers(problem, nwalkers, self._rng, evaluate, e, self._earlier, at)

        coords, known = self._in_main(find) if own else find()
        found = known if known is not None else evaluate(coords)
        log_prob, _, rejects = found
        if not (log_prob > -np.inf).any():
            why = rejects[0].message if rejects else problem.why_excluded(coords[0])
            raise EvaluationError(
                f"log_prob is -inf at all {nwalkers} starting walkers of ensemble "
                f"{self._ensemble}; the first is\n{problem.describe(coords[0])}\n  {why}; choose "
                "an initial point where the posterior is not zero",
                parameters=problem.by_name(coords[0]),
            )
        return coords, found
