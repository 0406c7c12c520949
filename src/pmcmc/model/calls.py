"""Calls of a model's code in a frame that is named after the rank, its host and the parameters.

Where a process dies in C, of a segmentation fault say, faulthandler prints the names of its
frames, and nothing else can be said any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .. import forks
from ..errors import ControlFlow, EvaluationError
from .rejects import TookTooLong
from .timeout import TimeLimit

if TYPE_CHECKING:
    from .._types import FloatArray, Tick

_LONGEST = 500  # faulthandler prints no more of a name
WORTH_NAMING = 1e-4  # seconds: of a call that takes so long, its name is a few per cent


def _call(function: Callable[..., Any], *given: Any) -> Any:
    return function(*given)


def named_call(name: str) -> Callable[..., Any]:
    """Return a function that calls its first argument with the others.

    Parameters
    ----------
    name : str
        Of its frame.

    Returns
    -------
    callable

    """
    name = name[:_LONGEST]
    code = _call.__code__.replace(co_name=name, co_qualname=name)
    return cast(Callable[..., Any], FunctionType(code, {}))


class CallFailed(Exception):
    """A call raised; its arguments are the exception, and the number of the row."""


class Caller:
    """Calls log_prob, and knows for which parameters it is at work.

    Parameters
    ----------
    describe : callable
        Returns a row of parameters, (ndim,), in words.

    Attributes
    ----------
    limit : TimeLimit or None
        Of each call.

    """

    def __init__(self, describe: Callable[[FloatArray], str]) -> None:
        self._describe = describe
        self.limit: TimeLimit | None = None
        self._now: FloatArray | None = None
        self._seconds = 0.0  # of a call, the last time
        self._where: str | None = None
        self._here = named_call("log_prob")

    def __reduce__(self) -> tuple[Any, ...]:
        """Be sent to another rank as new."""
        return Caller, (self._describe,)

    def at(self) -> str:
        """Return the parameters for which log_prob is at work, in words; "" if it is not."""
        if self._now is None:
            return ""
        rows = np.atleast_2d(self._now)
        more = f", the first of {len(rows)} rows" if len(rows) > 1 else ""
        return self._describe(rows[0]) + more

    def relax(self) -> None:
        """End the time limit of the call in hand, which waits for others."""
        if self.limit is not None:
            self.limit.relax()

    def once(self, function: Callable[..., Any], theta: FloatArray) -> Any:
        """Call a function, within the time limit; what it raises passes through."""
        self._now = theta
        try:
            if self.limit is None:
                return function(theta)
            with self.limit as limit:
                return limit.call(self._named(""), function, theta)
        except BaseException as exc:
            if forks.in_child():
                forks.leave(exc)
            raise
        finally:
            if forks.in_child():
                forks.leave()
            self._now = None

    def for_all(self, function: Callable[..., Any], rows: FloatArray, where: str) -> Any:
        """Call a vectorized function.

        Parameters
        ----------
        function : callable
            Takes all rows.
        rows : ndarray (n, ndim)
            Of parameters.
        where : str
            Rank and host.

        Returns
        -------
        object
            What it returns.

        Raises
        ------
        CallFailed
            If it raises anything but KeyboardInterrupt.

        """
        self._now, began = rows, time.perf_counter()
        try:
            call = self._call_at(where)
            if self._seconds >= WORTH_NAMING or self.limit is not None:
                call = self._named(where)
            if self.limit is None:
                return call(function, rows)
            with self.limit as limit:
                return limit.call(call, function, rows)
        except (KeyboardInterrupt, ControlFlow, EvaluationError):
            raise
        except BaseException as exc:
            if forks.in_child():
                forks.leave(exc)
            raise CallFailed(exc, 0) from exc
        finally:
            if forks.in_child():
                forks.leave()
            self._now, self._seconds = None, time.perf_counter() - began

    def _named(self, where: str) -> Callable[..., Any]:
        """Return a call that is named after the rank and the parameters."""
        ends = "" if self.limit is None else self.limit.what_ends
        name = f"log_prob{where},{self.at()}"
        return named_call(name[: _LONGEST - len(ends)] + ends)

    def for_each(
        self,
        function: Callable[..., Any],
        rows: FloatArray,
        tick: Tick | None,
        where: str,
        reject: Callable[[int, BaseException], Any] | None = None,
    ) -> list[Any]:
        """Call a function for one row after another.

        Parameters
        ----------
        function : callable
            Takes a row.
        rows : ndarray (n, ndim)
            Of parameters.
        tick : callable, optional
            Called between the calls; may raise.
        where : str
            Rank and host.
        reject : callable, optional
            Takes the number of a row and what was raised there, an Exception or TookTooLong, and
            returns what stands for its result. Default: it is an error.

        Returns
        -------
        list
            What it returns.

        Raises
        ------
        CallFailed
            If it raises anything but KeyboardInterrupt.

        """
        call, given = self._call_at(where), (function, rows, tick, where, reject)
        if self.limit is None:
            return cast(list[Any], call(self._each, *given))
        with self.limit:
            return cast(list[Any], call(self._each, *given))

    def _call_at(self, where: str) -> Callable[..., Any]:
        """Return a call that is named after the rank alone, which costs nothing."""
        if where != self._where:
            self._where, self._here = where, named_call(f"log_prob{where}")
        return self._here

    def _each(
        self,
        function: Callable[..., Any],
        rows: FloatArray,
        tick: Tick | None,
        where: str,
        reject: Callable[[int, BaseException], Any] | None,
    ) -> list[Any]:
        results: list[Any] = []
        limit = self.limit
        each = self._seconds >= WORTH_NAMING or limit is not None
        self._now, began = rows, time.perf_counter()
        call: Callable[..., Any] | None = None
        if not each and self._seconds * len(rows) >= WORTH_NAMING:
            call = self._named(where)
        try:
            for theta in rows:
                self._now = theta
                if each:
                    call = self._named(where)
                try:
                    if call is None:
                        results.append(function(theta))
                    elif limit is None:
                        results.append(call(function, theta))
                    else:
                        results.append(limit.call(call, function, theta))
                except (KeyboardInterrupt, ControlFlow, EvaluationError):
                    raise
                except BaseException as exc:
                    if forks.in_child():
                        forks.leave(exc)
                    if reject is None or not isinstance(exc, Exception | TookTooLong):
                        raise CallFailed(exc, len(results)) from exc
                    results.append(reject(len(results), exc))
                if tick is not None:  # of slow functions: quick ones have one look, at the end
                    if forks.in_child():
                        forks.leave()
                    tick()
            if forks.in_child():
                forks.leave()
        finally:
            self._now = None
            self._seconds = (time.perf_counter() - began) / max(1, len(rows))
        return results
