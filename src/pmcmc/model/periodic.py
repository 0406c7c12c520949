"""Parameters on a circle: a phase, an angle, a longitude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError

if TYPE_CHECKING:
    from .._types import FloatArray


@dataclass(frozen=True)
class Periodic:
    """A parameter whose values ``low`` and ``high`` are the same: see ``periodic``.

    Attributes
    ----------
    low, high : float
        Where a turn begins and ends.
    prior : frozen distribution or None
        Its density on [low, high); None: uniform.

    """

    low: float
    high: float
    prior: Any = None


def periodic(low: float, high: float, prior: Any = None) -> Periodic:
    """Return what stands in a table of priors for a parameter on a circle.

    Its walkers are stored within [low, high), and belong together across the seam: every named
    move takes differences the short way round. Means are circular; sd, quantiles, tau and R-hat
    are those of the values the short way round from the mean.

    Parameters
    ----------
    low, high : float
        Where a turn begins and ends, as 0 and 2 pi.
    prior : frozen scipy.stats distribution, optional
        Its density at a value in [low, high) is that of the parameter there, as
        ``stats.vonmises(2.0, loc=1.0)`` on a turn of 2 pi. Default: uniform.

    Returns
    -------
    Periodic

    Raises
    ------
    ModelError
        If ``low`` and ``high`` are no finite numbers, or ``high`` is not the greater.

    """
    ends = check_turn(low, high, "periodic")
    return Periodic(*ends, prior)


def check_turn(low: Any, high: Any, what: str) -> tuple[float, float]:
    """Return where a turn begins and ends.

    Raises
    ------
    ModelError
        If these are no finite numbers, or ``high`` is not the greater; ``what`` begins it.

    """
    try:
        ends = float(low), float(high)
    except (TypeError, ValueError):
        ends = np.nan, np.nan
    if not -np.inf < ends[0] < ends[1] < np.inf:
        raise ModelError(
            f"{what} has the turn ({low!r}, {high!r}): expected two numbers, the lower first, as "
            "in periodic(0, 2 * np.pi)"
        )
    return ends


def check_periodic(given: Any, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return the turns that a model gives by name, beside parameters without priors.

    Parameters
    ----------
    given : mapping of str to (float, float), or None
        As given to Problem.
    names : sequence of str
        Of the parameters.

    Raises
    ------
    ModelError
        If it is not that, or names what is not there.

    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ModelError(
            f"periodic is {given!r}: expected names with their turns, as "
            'periodic = {"phase": (0, 2 * np.pi)}'
        )
    found = {}
    for name, turn in given.items():
        if name not in names:
            raise ModelError(f"periodic names {name!r}: the parameters are {', '.join(names)}")
        if isinstance(turn, Periodic):
            turn = turn.low, turn.high
        if not isinstance(turn, Sequence) or len(turn) != 2:
            raise ModelError(f"periodic gives {turn!r} for {name}: expected (low, high)")
        found[name] = check_turn(turn[0], turn[1], f"periodic, for {name},")
    return found


class Circles:
    """Which coordinates are on circles, and what is the short way round.

    Parameters
    ----------
    turns : mapping of str to (float, float)
        By name, where a turn begins and ends.
    names : sequence of str
        Of all coordinates.

    Attributes
    ----------
    columns : list of int
        Which coordinates are.
    low, high, turn : ndarray
        Of each of these: where a turn begins and ends, and its length.
    turns : dict of str to (float, float)
        As given.

    """

    def __init__(self, turns: Mapping[str, tuple[float, float]], names: Sequence[str]) -> None:
        self.columns = [i for i, name in enumerate(names) if name in turns]
        ends = [turns[names[i]] for i in self.columns]
        self.low = np.array([low for low, _ in ends])
        self.high = np.array([high for _, high in ends])
        self.turn = self.high - self.low
        self.turns = {names[i]: turns[names[i]] for i in self.columns}

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self.columns)

    def wrap(self, coords: FloatArray) -> FloatArray:
        """Return coordinates within [low, high); those that are there stay as they are, exactly.

        Parameters
        ----------
        coords : ndarray (..., ndim)
            Returned itself where it is all within.

        """
        values = coords[..., self.columns]
        turns = np.floor((values - self.low) / self.turn)
        if not turns.any():
            return coords
        values = values - turns * self.turn
        values = np.where((values >= self.high) | (values < self.low), self.low, values)
        wrapped = coords.copy()
        wrapped[..., self.columns] = values
        return wrapped

    def near(self, coords: FloatArray, reference: FloatArray) -> FloatArray:
        """Return coordinates at most half a turn from a reference.

        Parameters
        ----------
        coords : ndarray (..., ndim)
            Anywhere.
        reference : ndarray (ndim,)
            A point.

        """
        values = coords[..., self.columns]
        turns = np.rint((values - reference[self.columns]) / self.turn)
        if not turns.any():
            return coords
        moved = coords.copy()
        moved[..., self.columns] = values - turns * self.turn
        return moved

    def are_near(self, coords: FloatArray, reference: FloatArray) -> FloatArray:
        """Tell which rows, (n, ndim), are less than half a turn from a reference; (n,) bool."""
        off = np.abs(coords[..., self.columns] - reference[self.columns])
        near: FloatArray = (off < 0.5 * self.turn).all(axis=-1)
        return near
