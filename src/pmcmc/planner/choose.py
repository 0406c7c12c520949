"""Which of some shapes is the best for each number of ranks, and where more ranks stop paying."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .predict import Prediction, Predictor, Shape
from .steps import Length

_WORTH = 1.25  # twice the ranks have to be so many times as fast
_MOST_SHAPES = 16  # that are simulated for a number of ranks
_WIDEST = 4096  # ranks of a team that is simulated
_BETTER = 0.95  # of the time of the shape that a run takes by itself: worth naming


@dataclass(frozen=True)
class Choice:
    """The shapes of one number of ranks.

    Attributes
    ----------
    own : Prediction
        Of the shape that a run takes by itself.
    best : Prediction
        Of the quickest with as many ensembles: the same draws.

    """

    own: Prediction
    best: Prediction

    @property
    def better(self) -> bool:
        """Whether another shape is worth naming."""
        return self.best.seconds < _BETTER * self.own.seconds


def choose(predictor: Predictor, own: Shape, others: Iterable[Shape], length: Length) -> Choice:
    """Compare the shape that a run takes by itself with others of as many ensembles.

    Parameters
    ----------
    predictor : Predictor
        Of the problem.
    own : Shape
        Of the run by itself.
    others : iterable of Shape
        With as many ensembles.
    length : Length
        Of each ensemble.

    Returns
    -------
    Choice

    """
    mine = predictor.predict(own, length)
    some = [s for s in others if max(width for width, _ in s.teams) <= _WIDEST]
    if len(some) > _MOST_SHAPES:
        step = (len(some) - 1) / (_MOST_SHAPES - 1)
        some = [some[round(i * step)] for i in range(_MOST_SHAPES)]
    found = [mine, *(predictor.predict(shape, length) for shape in some)]
    return Choice(mine, min(found, key=lambda one: one.seconds))


def most_ranks_worth(seconds: Callable[[int], float], ranks: Sequence[int]) -> int | None:
    """Return the number of ranks beyond which twice as many are hardly faster.

    Parameters
    ----------
    seconds : callable
        Wall time on a number of ranks.
    ranks : sequence of int
        To be tried, in order.

    Returns
    -------
    int or None
        None where even the last one is worth its double.

    """
    for n in ranks:
        if seconds(n) < _WORTH * seconds(2 * n):
            return n
    return None
