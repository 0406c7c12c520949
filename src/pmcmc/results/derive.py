"""Derived quantities of a run that is over: a function of every draw, kept with the draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EvaluationError, ModelError, StoreError, UsageError
from ..model.derived import check_derived, check_labels
from ..storage.added import change_copy, write_added
from ..storage.cut import CutReader
from ..storage.reader import RunReader
from ..text import progress_bar
from ..tracebacks import traceback_text
from .draws import Draws

if TYPE_CHECKING:
    from .._types import FloatArray

Function = Callable[[Any], Any]
_AT_ONCE = 2**21  # values of a chain


def add_derived(
    draws: Draws,
    functions: Mapping[str, Function],
    labels: Mapping[str, str] | None = None,
    vectorized: bool = False,
) -> RunReader:
    """Work out quantities of every draw, and keep them with the draws.

    They take the place of earlier ones of the same names. A walker that stayed where it was is
    not evaluated again.

    Parameters
    ----------
    draws : Draws
        The run.
    functions : mapping of str to callable
        By the name of the quantity ``f(theta)``, as the functions of a model get theta, fixed
        parameters among it.
    labels : mapping of str to str, optional
        What plots and exports write for a name.
    vectorized : bool
        The functions take many draws, (n, parameters), and return (n,). Default: False.

    Returns
    -------
    RunReader
        Of the draws with these quantities.

    Raises
    ------
    ModelError
        If there are no functions, or a name or label cannot be.
    EvaluationError
        If a function raises, or returns anything but real numbers. NaN is one.
    UsageError
        If a job writes the file, or these are draws that were cut.
    StoreError
        If there are no draws, or they cannot be written.

    """
    reader = draws.reader
    if isinstance(reader, CutReader):
        raise UsageError("these are some draws of a run: add derived quantities to all of them")
    if not draws.ndraws:
        raise StoreError(f"{draws.path or 'the run'} holds no draws yet")
    if not functions or not all(callable(f) for f in functions.values()):
        raise ModelError(
            "derived gives no functions: expected them by name, as in "
            "derived = {'ecc': lambda theta: theta[0]**2 + theta[1]**2}"
        )
    known = (*draws.names, *draws.fixed, *reader.header.derived_names)
    names = check_derived(list(functions), known) or ()
    kept = [n for n in reader.added.names if n not in names]
    labels = {**reader.added.labels, **check_labels(labels, [*known, *kept, *names])}
    values = _work_out(draws, functions, kept, vectorized)
    labels = {n: label for n, label in labels.items() if n in (*kept, *names)}

    def write(file: Any) -> None:
        write_added(file, (*kept, *names), labels, values)

    if reader.path is not None:
        change_copy(reader.path, write)
        return RunReader(reader.path)
    write(reader.memory)
    return RunReader(None, reader.memory)


def _work_out(
    draws: Draws, functions: Mapping[str, Function], kept: Sequence[str], vectorized: bool
) -> list[FloatArray]:
    """Return (step, walker, quantity) of each ensemble, those that are kept first."""
    reader = draws.reader
    places = [reader.derived_names.index(name) for name in kept]
    height = max(1, _AT_ONCE // (draws.nwalkers * draws.ndim))
    found = []
    told = f"working out {', '.join(functions)}"
    with progress_bar(told, sum(draws.steps)) as done, reader.open() as opened:
        for e, n in enumerate(draws.steps):
            values = np.empty((n, draws.nwalkers, len(kept) + len(functions)))
            for start in range(0, n, height):
                at = slice(start, min(start + height, n))
                if kept:
                    values[at, :, : len(kept)] = opened.derived(e, at, places)
                chain = opened.values("chain", e, at)
                moved = np.ones(chain.shape[:2], dtype=bool)
                moved[1:] = (chain[1:] != chain[:-1]).any(axis=2)
                last = np.where(moved, np.arange(len(chain))[:, None], 0)
                last = np.maximum.accumulate(last, axis=0)
                theta = reader.header.parameters.with_fixed(chain[moved])
                for k, (name, function) in enumerate(functions.items(), start=len(kept)):
                    new = np.empty(moved.shape)
                    new[moved] = _call(draws, name, function, theta, vectorized)
                    values[at, :, k] = np.take_along_axis(new, last, axis=0)
                done(len(chain))
            found.append(values)
    return found


def _call(
    draws: Draws, name: str, function: Function, theta: FloatArray, vectorized: bool
) -> FloatArray:
    """Return a function of each row of theta, (n,)."""
    row, found = -1, np.empty(len(theta))
    try:
        if vectorized:
            given = np.asarray(function(theta.copy()))
            if given.shape != found.shape or given.dtype.kind not in "biuf":
                raise _Unfit(f"{given.dtype} of shape {given.shape}: expected {found.shape}")
            return given.astype(np.float64)
        for row, one in enumerate(theta):
            result = function(one.copy())
            if np.ndim(result) or np.asarray(result).dtype.kind not in "biuf":
                raise _Unfit(f"{result!r}: expected a real number")
            found[row] = result
        return found
    except _Unfit as exc:
        what, more = f"returned {exc}", ""
    except Exception as exc:
        what, more = f"raised {type(exc).__name__}: {exc}", f"\n{traceback_text(exc)}"
    names = draws.reader.header.parameters.all_names
    at = ""
    if row >= 0:
        pairs = (f"{n} = {float(x)!r}" for n, x in zip(names, theta[row], strict=True))
        at = f"\n  at {', '.join(pairs)}"
    raise EvaluationError(f"the derived quantity {name} {what}{at}{more}")


class _Unfit(Exception):
    """What a function returned is no number, or not one for each row."""
