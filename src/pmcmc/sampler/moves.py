"""emcee's moves by name, `de:0.8,stretch:0.2`, and a snooker move that is exact."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from .light_emcee import emcee

if TYPE_CHECKING:
    from .._types import FloatArray

Moves = list[tuple[Any, float]]


class SnookerMove(emcee.moves.DESnookerMove):  # type: ignore[misc]
    """The snooker update of ter Braak & Vrugt (2008, Stat. Comput. 18, 435).

    A walker x moves along the line through another walker z, by gamma times the difference of
    two more walkers projected on that line; the factor is (|x' - z| / |x - z|)^(ndim - 1).
    emcee's move (up to 3.1.6) projects on a vector that is not of unit length and takes the
    square root of the factor, and does not leave the posterior invariant.
    """

    def get_proposal(
        self, s: FloatArray, c: list[FloatArray], random: np.random.RandomState
    ) -> tuple[FloatArray, FloatArray]:
        """Return proposals for some walkers; emcee calls it.

        Parameters
        ----------
        s : ndarray (n, ndim)
            The walkers to be moved.
        c : list of ndarray (m, ndim)
            Three other parts of the ensemble: a walker of each helps.
        random : numpy.random.RandomState
            The ensemble's stream.

        Returns
        -------
        q : ndarray (n, ndim)
            The proposals.
        factors : ndarray (n,)
            Log of the factors by which the ratio of posteriors is to be multiplied.

        """
        # plain arithmetic: np.linalg.norm and np.take_along_axis cost more than their few numbers
        n = len(s)
        helpers = np.empty((3, *s.shape))
        for part, some in zip(c, helpers, strict=False):
            some[:] = part[random.randint(len(part), size=n)]
        order = random.random_sample((n, 3)).argsort(axis=1)  # which of them is z
        z, z1, z2 = helpers[order.T, np.arange(n)]
        away = s - z
        norms = np.sqrt((away * away).sum(axis=1))
        units = away / norms[:, None]
        along = (units * (z1 - z2)).sum(axis=1)
        q = s + self.gammas * along[:, None] * units
        away = q - z
        factors = np.log(np.sqrt((away * away).sum(axis=1))) - np.log(norms)
        return q, (s.shape[1] - 1.0) * factors


NAMED: dict[str, Callable[[], Any]] = {
    "stretch": emcee.moves.StretchMove,
    "walk": emcee.moves.WalkMove,
    "de": emcee.moves.DEMove,
    "desnooker": SnookerMove,
    "kde": emcee.moves.KDEMove,
}


# what suits most posteriors: fewer than half of the steps of stretch in the geometric mean, and
# hardly more on any (tests/benchmarks/moves.py)
AUTO = "stretch:0.2,de:0.4,desnooker:0.4"


def parse_moves(spec: str) -> Moves:
    """Return the moves that a text names.

    Parameters
    ----------
    spec : str
        Names and weights, as in ``de:0.8,stretch:0.2``; a weight left out is 1. ``auto`` stands
        for ``stretch:0.2,de:0.4,desnooker:0.4``.

    Returns
    -------
    list of (move, float)
        New emcee moves with their weights, in the order of the text.

    Raises
    ------
    UsageError
        If there is no move of a name, or a weight is not a finite number above 0.

    """
    pairs: Moves = []
    for part in (AUTO if spec.strip() == "auto" else spec).split(","):
        name, colon, weight = part.strip().partition(":")
        if name not in NAMED:
            raise UsageError(
                f"moves: there is no move {name!r}; the moves are auto, {', '.join(NAMED)}, with "
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
    """Return emcee moves as (move, weight) pairs.

    Parameters
    ----------
    moves : emcee move, or list or tuple of moves or (move, weight) pairs
        A move without weight has 1.
    where : str
        What the error message calls them. Default: "moves".

    Returns
    -------
    list of (move, float)
        In the order given.

    Raises
    ------
    UsageError
        If it is not such a list, is empty, or a weight is not a finite number above 0.

    """
    given = moves if isinstance(moves, list | tuple) else [moves]
    pairs = [m if isinstance(m, tuple | list) and len(m) == 2 else (m, 1.0) for m in given]
    for move, weight in pairs:
        number = isinstance(weight, int | float | np.number) and not isinstance(weight, bool)
        if not isinstance(move, emcee.moves.Move) or not number or not 0 < weight < np.inf:
            raise UsageError(
                f"{where} is {moves!r}: expected emcee moves, or (move, weight) pairs, or a word "
                f"such as de:0.8,stretch:0.2 (the names are {', '.join(NAMED)})"
            )
    if not pairs:
        raise UsageError(f"{where} is empty: expected one move or more")
    return [(move, float(weight)) for move, weight in pairs]


def has_own_code(move: Any) -> bool:
    """Tell whether a move runs code that is neither emcee's nor ours: its class, or a function."""
    return not _known(move) or any(callable(v) and not _known(v) for v in vars(move).values())


def _known(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] in ("emcee", "pmcmc")


class InMain:
    """A move whose code runs in the main thread.

    Parameters
    ----------
    move : emcee move
        With code of the model's.
    in_main : callable
        Calls a function without arguments in the main thread, and returns what it does.

    """

    def __init__(self, move: Any, in_main: Callable[[Callable[[], Any]], Any]) -> None:
        self._move, self._in_main = move, in_main

    def propose(self, model: Any, state: Any) -> Any:
        """Take a step of the whole ensemble; emcee calls it.

        Parameters
        ----------
        model : emcee.model.Model
            Has ``compute_log_prob_fn`` and ``random``.
        state : emcee.State
            Of the ensemble.

        Returns
        -------
        state : emcee.State
            The next one.
        accepted : ndarray of bool (walker,)
            Which walkers moved.

        """
        return self._in_main(lambda: self._move.propose(model, state))


def fewest_walkers(moves: Moves, ndim: int) -> tuple[int, str]:
    """Return the fewest walkers that moves work with.

    Parameters
    ----------
    moves : list of (move, float)
        As ``check_moves`` returns them.
    ndim : int
        Number of parameters.

    Returns
    -------
    least : int
        Walkers of an ensemble.
    why : str
        The move that needs them, for the error message.

    """
    needs = [(2 * ndim, "any ensemble move")]
    for move, _ in moves:
        if isinstance(move, emcee.moves.KDEMove):
            needs.append((2 * (ndim + 1), "the kde move"))
        if isinstance(move, emcee.moves.WalkMove | emcee.moves.DEMove):
            needs.append(
                (
                    max(4, 2 * ndim),
                    f"the {type(move).__name__.removeprefix('Periodic')[:-4].lower()} move",
                )
            )
        if isinstance(move, emcee.moves.DESnookerMove):
            needs.append((max(4, 2 * ndim), "the desnooker move"))
    return max(needs, key=lambda need: need[0])


def describe_moves(moves: Moves) -> list[str]:
    """Return moves in words, to be compared with those of a file.

    Parameters
    ----------
    moves : list of (move, float)
        As ``check_moves`` returns them.

    Returns
    -------
    list of str
        Of each its class, its plain settings (numbers, text, None) and its weight.

    """
    plain = int | float | str | bool | None
    texts = []
    for move, weight in moves:
        settings = (f"{k}={v!r}" for k, v in sorted(vars(move).items()) if isinstance(v, plain))
        texts.append(f"{type(move).__name__}({', '.join(settings)}): {weight:g}")
    return texts


def fresh_copy(moves: Moves, in_main: Callable[[Callable[[], Any]], Any]) -> Moves:
    """Return a copy of moves for one ensemble: a move may keep a state of its own.

    Parameters
    ----------
    moves : list of (emcee move, weight)
        As chosen for the run.
    in_main : callable
        As for `InMain`, by which moves with code of the model's run.

    """
    if not any(has_own_code(move) for move, _ in moves):
        return copy.deepcopy(moves)
    copied = in_main(lambda: copy.deepcopy(moves))
    return [
        (InMain(move, in_main) if has_own_code(move) else move, weight) for move, weight in copied
    ]
