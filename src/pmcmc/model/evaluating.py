"""Rows of coordinates through log_prob: what it gives as arrays, and what becomes of failures.

One that fails is an error that names the parameters, or counts as log_prob -inf.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .calls import Caller, CallFailed
from .failures import bad_output, raised
from .outputs import BadOutput, Evaluation, OutputFormat, column
from .rejects import Reject, TookTooLong

if TYPE_CHECKING:
    from .._types import FloatArray, Tick


def evaluate_or_raise(
    caller: Caller,
    returns: OutputFormat,
    names: tuple[str, ...],
    function: Callable[..., Any],
    coords: FloatArray,
    tick: Tick | None,
    where: str,
) -> Evaluation:
    """Return log_prob and blobs of rows.

    Parameters
    ----------
    caller : Caller
        Calls the function.
    returns : OutputFormat
        The form of its results.
    names : tuple of str
        Of the parameters.
    function : callable
        Takes a row, or for a vectorized problem all.
    coords : ndarray (n, ndim)
        The rows.
    tick : callable or None
        Called between evaluations.
    where : str
        Rank and host.

    Raises
    ------
    EvaluationError
        If it raises, or returns NaN, +inf, or something of the wrong form.

    """
    rows = np.array(coords, dtype=np.float64)  # a copy: a function may write into theta
    try:
        if returns.vectorized:
            results = caller.for_all(function, rows, where)
        else:
            results = caller.for_each(function, rows, tick, where)
    except CallFailed as failed:
        exc, row = failed.args
        theta = coords if returns.vectorized else coords[row]
        raise raised(exc, names, theta, where) from exc
    try:
        return returns.to_arrays(results, len(rows))
    except BadOutput as exc:
        raise bad_output(exc, names, coords, where) from None


def evaluate_or_reject(
    caller: Caller,
    returns: OutputFormat,
    names: tuple[str, ...],
    function: Callable[..., Any],
    coords: FloatArray,
    tick: Tick | None,
    where: str,
) -> Evaluation:
    """Return log_prob and blobs of rows, -inf where the function raises, or returns NaN or +inf.

    Parameters
    ----------
    caller, returns, names, function, coords, tick, where
        As for `evaluate_or_raise`.

    Returns
    -------
    Evaluation
        With its ``rejects``, in the order of the rows.

    Raises
    ------
    EvaluationError
        If it calls sys.exit, or returns something of the wrong form.

    """
    rows = np.array(coords, dtype=np.float64)
    coords = rows.copy()
    rejects: list[Reject] = []

    def reject(row: int, what: BaseException | str) -> Any:
        rejects.append(Reject.of(what, coords[row], where, row))
        return returns.rejected

    try:
        if returns.vectorized:
            results: Any = _column(caller, function, rows, where, reject)
        else:
            results = caller.for_each(function, rows, tick, where, reject)
    except CallFailed as failed:
        exc, row = failed.args
        raise raised(exc, names, coords[row], where) from exc
    while True:  # NaN and +inf are found one by one
        try:
            found = returns.to_arrays(results, len(rows))
        except BadOutput as exc:
            if not exc.may_be_rejected:
                raise bad_output(exc, names, coords, where) from None
            results[exc.row] = reject(exc.row, exc.what)
        else:
            return found._replace(rejects=tuple(sorted(rejects, key=lambda one: one.row)))


def _column(
    caller: Caller,
    function: Callable[..., Any],
    rows: FloatArray,
    where: str,
    reject: Callable[[int, BaseException], Any],
) -> Any:
    """Return what a vectorized function gives; row by row where it raises for all together."""
    try:
        return caller.for_all(function, rows.copy(), where)
    except CallFailed as failed:
        exc = failed.args[0]
        if not isinstance(exc, Exception | TookTooLong) or isinstance(exc, BadOutput):
            raise
        if len(rows) == 1:
            return np.array([reject(0, exc)])
    parts = []
    for i in range(len(rows)):

        def reject_this(_: int, exc: BaseException, i: int = i) -> Any:
            return reject(i, exc)

        given = _column(caller, function, rows[i : i + 1], where, reject_this)
        parts.append(column(given, 1))
    return np.concatenate(parts)


def take_part(
    caller: Caller,
    names: tuple[str, ...],
    rejecting: bool,
    function: Callable[[FloatArray], Any],
    theta: FloatArray,
    where: str,
) -> None:
    """Call a function for an evaluation of another rank's, which takes its value.

    Parameters
    ----------
    caller, names, where
        As for `evaluate_or_raise`.
    rejecting : bool
        Whether what it raises is to be rejected.
    function : callable
        Takes a row, or for a vectorized problem all.
    theta : ndarray (ndim,) or (n, ndim)
        As that rank calls it.

    Raises
    ------
    EvaluationError
        If it raises. Where that is to be rejected, what it raises.

    """
    at = theta.copy()
    try:
        if theta.ndim == 2:
            caller.for_all(function, theta, where)
        else:
            caller.for_each(function, theta[None], None, where)
    except CallFailed as failed:
        exc = failed.args[0]
        if rejecting and isinstance(exc, Exception | TookTooLong):
            raise exc from None
        raise raised(exc, names, at, where) from exc
