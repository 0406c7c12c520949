"""Moves for parameters on circles: emcee's own, in coordinates that have no seam among walkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..model.periodic import Circles
from .light_emcee import emcee

if TYPE_CHECKING:
    from .._types import FloatArray
    from .moves import Moves


def on_circles(moves: Moves, circles: Circles) -> Moves:
    """Return moves that take differences the short way round where coordinates are on circles.

    Parameters
    ----------
    moves : list of (move, float)
        As `moves.check_moves` returns them.
    circles : Circles
        Which coordinates.

    Returns
    -------
    list of (move, float)
        The same where there are no circles.

    """
    if not circles:
        return moves
    return [(_on_circles(move, circles), weight) for move, weight in moves]


def _on_circles(move: Any, circles: Circles) -> Any:
    kind = type(move)
    mixin = _Ensemble if isinstance(move, emcee.moves.RedBlueMove) else _Single
    about = {"__module__": kind.__module__}  # whose code it is
    made: Any = object.__new__(type(f"Periodic{kind.__name__}", (mixin, kind), about))
    made.__dict__.update(vars(move))
    made._circles = circles
    return made


class _Single:
    """A move of each walker by itself."""

    _circles: Circles

    def propose(self, model: Any, state: Any) -> Any:
        """Take a step of the whole ensemble; emcee calls it."""
        state, accepted = super().propose(model, state)  # type: ignore[misc]
        state.coords = self._circles.wrap(state.coords)
        return state, accepted


class _Ensemble(_Single):
    """A move that proposes from the other part of the ensemble.

    Notes
    -----
    All walkers are taken near a walker of the other part, drawn at random: at most half a turn
    away. Given the other part, that is a choice of coordinates which does not depend on the
    walkers to be moved; in it the move is emcee's own, for a posterior that is zero further away:
    what is proposed there is refused, since the way back would be another. The moves de and walk
    add steps that do not depend on the walker, as likely as their opposites: these may go round.

    """

    _circles: Circles

    def get_proposal(
        self, s: FloatArray, c: list[FloatArray], random: np.random.RandomState
    ) -> tuple[FloatArray, FloatArray]:
        """Return proposals, (n, ndim), and the logs of their factors, (n,); emcee calls it."""
        circles, others = self._circles, np.concatenate(c)
        reference = others[random.randint(len(others))]
        parts = [circles.near(part, reference) for part in c]
        q, factors = super().get_proposal(circles.near(s, reference), parts, random)  # type: ignore[misc]
        if not isinstance(self, emcee.moves.DEMove | emcee.moves.WalkMove):
            factors = np.where(circles.are_near(q, reference), factors, -np.inf)
        return circles.wrap(q), factors
