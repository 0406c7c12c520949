"""emcee's moves by name, `de:0.8,stretch:0.2`, and a snooker move that is exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from emcee import moves as emcee_moves

from .errors import UsageError

Array = npt.NDArray[np.float64]
Moves = list[tuple[Any, float]]


class SnookerMove(emcee_moves.DESnookerMove):  # type: ignore[misc]
    """The snooker update of ter Braak & Vrugt (2008, Stat. Comput. 18, 435).

    A walker x moves along the line through another walker z, by gamma times the difference of
    two more walkers projected on that line; the factor is (|x' - z| / |x - z|)^(ndim - 1).
    emcee's move (up to 3.1.6) projects on a vector that is not of unit length and takes the
    square root of the factor, and does not leave the posterior invariant.
    """

    def get_proposal(
        self, s: Array, c: list[Array], random: np.random.RandomState
    ) -> tuple[Array, Array]:
        """Return proposals (n, ndim) for walkers ``s`` and the log factors (n,)."""
        q, factors = np.empty_like(s), np.empty(len(s))
        for i, x in enumerate(s):
            helpers = np.array([c[j][random.randint(len(c[j]))] for j in range(3)])
            random.shuffle(helpers)
            z, z1, z2 = helpers
            norm = np.linalg.norm(x - z)
            unit = (x - z) / norm
            q[i] = x + self.gammas * np.dot(unit, z1 - z2) * unit
            factors[i] = np.log(np.linalg.norm(q[i] - z)) - np.log(norm)
        return q, (s.shape[1] - 1.0) * factors


NAMED: dict[str, Callable[[], Any]] = {
    "stretch": emcee_moves.StretchMove,
    "walk": emcee_moves.WalkMove,
    "de": emcee_moves.DEMove,
    "desnooker": SnookerMove,
    "kde": emcee_moves.KDEMove,
}


def parse_moves(spec: str) -> Moves:
    """Return the (move, weight) pairs that ``spec`` names, in its order.

    Raises
    ------
    UsageError
        If a name or a weight is unknown or impossible.

    """
    pairs: Moves = []
    for part in spec.split(","):
        name, colon, weight = part.strip().partition(":")
        if name not in NAMED:
            raise UsageError(
                f"moves: there is no move {name!r}; the moves are {', '.join(NAMED)}, with "
                "weights as in de:0.8,stretch:0.2 (other emcee moves: moves = [...] in the model)"
            )
        try:
            value = float(weight) if colon else 1.0
        except ValueError:
            value = -1.0
        if not 0 < value < np.inf:
            raise UsageError(
                f"moves: the weight of {name} is {weight!r}; expected a number above 0"
            )
        pairs.append((NAMED[name](), value))
    return pairs


def check_moves(moves: Any, where: str = "moves") -> Moves:
    """Return the (move, weight) pairs of a list of emcee moves.

    Raises
    ------
    UsageError
        If it is not a list of moves, or of (move, weight) pairs.

    """
    given = moves if isinstance(moves, list | tuple) else [moves]
    pairs = [m if isinstance(m, tuple | list) and len(m) == 2 else (m, 1.0) for m in given]
    for move, weight in pairs:
        number = isinstance(weight, int | float | np.number) and not isinstance(weight, bool)
        if not isinstance(move, emcee_moves.Move) or not number or not 0 < weight < np.inf:
            raise UsageError(
                f"{where} is {moves!r}: expected emcee moves, or (move, weight) pairs, or a word "
                f"such as de:0.8,stretch:0.2 (the names are {', '.join(NAMED)})"
            )
    if not pairs:
        raise UsageError(f"{where} is empty: expected one move or more")
    return [(move, float(weight)) for move, weight in pairs]


def fewest_walkers(moves: Moves, ndim: int) -> tuple[int, str]:
    """Return the fewest walkers that the moves work with, and the move that needs them."""
    needs = [(2 * ndim, "any ensemble move")]
    for move, _ in moves:
        if isinstance(move, emcee_moves.KDEMove):
            needs.append((2 * (ndim + 1), "the kde move"))
        if isinstance(move, emcee_moves.WalkMove | emcee_moves.DEMove):
            needs.append((max(4, 2 * ndim), f"the {type(move).__name__[:-4].lower()} move"))
        if isinstance(move, emcee_moves.DESnookerMove):
            needs.append((max(4, 2 * ndim), "the desnooker move"))
    return max(needs, key=lambda need: need[0])


def describe_moves(moves: Moves) -> list[str]:
    """Return each move in words: its class, its plain settings, its weight."""
    plain = int | float | str | bool | None
    texts = []
    for move, weight in moves:
        settings = (f"{k}={v!r}" for k, v in sorted(vars(move).items()) if isinstance(v, plain))
        texts.append(f"{type(move).__name__}({', '.join(settings)}): {weight:g}")
    return texts
