"""emcee's sampler, with the evaluations and the records of its steps in other hands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EvaluationError
from ..model.outputs import Evaluate
from .light_emcee import emcee

if TYPE_CHECKING:
    from .._types import AnyArray


class Sampler(emcee.EnsembleSampler):  # type: ignore[misc]
    """emcee's sampler, its rows evaluated by ``evaluate`` (a team of ranks, or this one)."""

    def __init__(self, evaluate: Evaluate, **kwargs: Any) -> None:
        super().__init__(log_prob_fn=evaluate, **kwargs)
        self._evaluate = evaluate

    def compute_log_prob(self, coords: AnyArray) -> tuple[AnyArray, AnyArray | None]:
        """Return log_prob and blobs of rows; emcee calls it.

        Parameters
        ----------
        coords : ndarray (n, ndim)
            As a move proposes them.

        Raises
        ------
        EvaluationError
            If log_prob fails, or a walker went to infinity.

        """
        if not np.isfinite(coords).all():
            raise EvaluationError(
                "a walker left for infinity (log_prob does not fall off, or a move overflowed)"
            )
        log_prob, blobs, _ = self._evaluate(coords)
        return log_prob, blobs


class Recorder(emcee.backends.Backend):  # type: ignore[misc]
    """Where emcee saves its steps: hands each to ``record``, keeps nothing itself."""

    def __init__(self, record: Callable[[emcee.State, AnyArray], None]) -> None:
        super().__init__()
        self._record = record

    def grow(self, ngrow: int, blobs: AnyArray | None) -> None:
        """Do nothing: no rows are kept here."""

    def save_step(self, state: emcee.State, accepted: AnyArray) -> None:
        """Hand a step on; emcee calls it."""
        self._record(state, accepted)
