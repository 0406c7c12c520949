"""Evaluations that are rejected: counted as log_prob -inf, and recorded, in place of an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..tracebacks import last_line

if TYPE_CHECKING:
    from .._types import FloatArray

KINDS = ("exception", "NaN", "+inf", "timeout")
_LONGEST = 500  # characters of a message


class TookTooLong(BaseException):
    """log_prob took longer than its time limit; no Exception, that a model may well swallow."""


class RaisedElsewhere(Exception):
    """log_prob raised on another rank of those that evaluate it together; as its message says."""


@dataclass(frozen=True)
class Reject:
    """One evaluation that was rejected.

    Attributes
    ----------
    kind : {"exception", "NaN", "+inf", "timeout"}
    message : str
        Class and message of the exception, and the line that raised it; else what came.
    theta : tuple of float
        The sampled parameters.
    where : str
        Rank and host.
    row : int
        Of the rows that were evaluated together.
    ensemble, step : int
        The step of the ensemble that it belongs to, from 1, burn-in included; 0 for the start.

    """

    kind: str
    message: str
    theta: tuple[float, ...]
    where: str
    row: int = 0
    ensemble: int = 0
    step: int = 0

    @classmethod
    def of(cls, what: BaseException | str, theta: FloatArray, where: str, row: int) -> Reject:
        """Describe one.

        Parameters
        ----------
        what : exception or str
            What log_prob raised; or the kind, for NaN and +inf.
        theta : ndarray (ndim,)
            Where.
        where : str
            Rank and host.
        row : int
            Of the rows that were evaluated together.

        """
        at = tuple(map(float, theta))
        if isinstance(what, str):
            return cls(what, f"log_prob returned {what}", at, where.strip(), row)
        kind = "timeout" if isinstance(what, TookTooLong) else "exception"
        told = isinstance(what, TookTooLong | RaisedElsewhere)
        text = str(what) if told else last_line(what)
        return cls(kind, text[:_LONGEST], at, where.strip(), row)
