"""What log_prob returned -> arrays: one place for scalars, blobs and their dtype.

The conversions are those of emcee's ``compute_log_prob``, so that the draws are emcee's bit for
bit; what emcee would take silently (NaN, a vector where a number is meant, blobs cut to the type
of the first) is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ..text import count_text
from .blob_types import are_ascii, are_numeric, check_blobs_dtype, suggest_dtype
from .rejects import Reject

if TYPE_CHECKING:
    from .._types import FloatArray


class Evaluation(NamedTuple):
    """What came of n rows of coordinates.

    Attributes
    ----------
    log_prob : ndarray (n,)
    blobs : ndarray (n, ...) or None
    rejects : tuple of Reject
        Rows that count as -inf in place of an error.

    """

    log_prob: FloatArray
    blobs: npt.NDArray[Any] | None
    rejects: tuple[Reject, ...] = ()


def join(parts: Sequence[Any]) -> Evaluation:
    """Return evaluations of rows as one of them all.

    Parameters
    ----------
    parts : sequence of Evaluation, tuple of its first fields, or ndarray of log_prob
        In the order of the rows.

    """
    given = [Evaluation(*(p if isinstance(p, tuple) else (p, None))) for p in parts]
    log_prob = np.concatenate([p.log_prob for p in given])
    blobs = None if given[0].blobs is None else np.concatenate([p.blobs for p in given])
    rejects, start = list[Reject](), 0
    for part in given:
        rejects += (replace(one, row=start + one.row) for one in part.rejects)
        start += len(part.log_prob)
    return Evaluation(log_prob, blobs, tuple(rejects))


_PLAIN = {float, np.float64, int}  # types of which any is one real number

# rows of coordinates (n, ndim) -> their log_prob and blobs
Evaluate: TypeAlias = "Callable[[FloatArray], Evaluation]"


class BadOutput(Exception):
    """One result of a batch cannot be used.

    Parameters
    ----------
    row : int
        Its number.
    what : str
        What it is.
    hint : str
        What to do.

    Attributes
    ----------
    may_be_rejected : bool
        Whether it is NaN or +inf, and not of a wrong form.

    """

    def __init__(self, row: int, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.row, self.what, self.hint = row, what, hint

    @property
    def may_be_rejected(self) -> bool:
        """Whether it is NaN or +inf, and not of a wrong form."""
        return self.what in ("NaN", "+inf")


class OutputFormat:
    """The form of log_prob's results.

    Parameters
    ----------
    blobs_dtype : dtype, optional
        As the user gave it. Without it numeric blobs are float64.
    vectorized : bool
        Results are one array (n,).

    Attributes
    ----------
    has_blobs : bool
        Whether there are blobs; known after ``infer_from``, as what follows.
    unknown : bool
        Whether nothing shows if there are any: log_prob was -inf, alone.
    dtype, shape : dtype, tuple of int
        Of one walker's blobs.
    blank : tuple
        Blobs where the likelihood is not called: NaN, or zero in another dtype.

    Raises
    ------
    ModelError
        If ``blobs_dtype`` is no dtype, or one that HDF5 cannot keep without pickle.

    """

    def __init__(self, blobs_dtype: Any, vectorized: bool) -> None:
        self.vectorized = vectorized
        self.given = None if blobs_dtype is None else check_blobs_dtype(blobs_dtype)
        self.has_blobs = self.unknown = False
        self.dtype: np.dtype[Any] = np.dtype(np.float64)
        self.shape: tuple[int, ...] = ()
        self.blank: tuple[Any, ...] = ()  # blobs where the likelihood is not called
        self._width = 1

    @property
    def count(self) -> int:
        """Blobs that log_prob returns; 0 without."""
        return self._width - 1 if self.has_blobs else 0

    def infer_from(self, result: Any) -> None:
        """Take the form of the blobs from one result.

        Parameters
        ----------
        result : object
            What log_prob returned for one row.

        Raises
        ------
        BadOutput
            If it is an array where one number is meant, its blobs cannot be kept without a
            blobs_dtype, or there are none where one was given.

        """
        if self.vectorized:
            if self.given is not None:
                raise BadOutput(0, "one array", "a vectorized log_prob cannot have blobs")
            return
        if isinstance(result, np.ndarray) and result.size > 1 and self.given is None:
            raise BadOutput(
                0,
                f"an array of shape {result.shape}",
                "expected one number (is a sum missing?), or with blobs a tuple: return lp, a, b",
            )
        self.has_blobs = has_parts(result) and len(result) > 1 and np.size(result[0]) == 1
        self.unknown = _is_impossible(result)
        if not self.has_blobs:
            if self.given is not None:
                hint = "blobs_dtype is given, so blobs are expected"
                if self.unknown:
                    hint += "; wherever it was tried first: is the start outside of log_prior?"
                raise BadOutput(0, f"{result!r}", hint)
            return
        blobs = tuple(result[1:])
        if self.given is None and not are_numeric(blobs):
            raise BadOutput(
                0,
                f"blobs {blobs!r}, which are not numbers of one shape",
                f"give a blobs_dtype, for example: blobs_dtype = {suggest_dtype(blobs)}"
                + ("" if are_ascii(blobs) else ", and return text as bytes, with .encode()"),
            )
        self._width = len(result)
        if self.given is not None:
            self.dtype = self.given
        array = self._blob_array([result])
        self.shape = array.shape[1:]
        if self.dtype.names:
            zero = np.zeros((), self.dtype)
            self.blank = tuple(zero[field] for field in self.dtype.names)
        else:
            fill = np.nan if self.dtype.kind == "f" else self.dtype.type()
            self.blank = tuple(np.full(np.shape(blob), fill) for blob in blobs)

    def to_arrays(self, results: Any, n: int) -> Evaluation:
        """Turn the results of n rows into arrays.

        Parameters
        ----------
        results : sequence, or array (n,) for a vectorized function
            As log_prob returned them.
        n : int
            Number of rows.

        Returns
        -------
        Evaluation

        Raises
        ------
        BadOutput
            If one is NaN, +inf, or not of the form learnt. Of -inf no blobs are asked.

        """
        if self.vectorized:
            values = column(results, n)
            _refuse_bad(values)
            return Evaluation(values, None)
        if not self.has_blobs:
            return Evaluation(_scalars(results), None)
        results = [self.rejected if _is_impossible(r) else r for r in results]
        for row, result in enumerate(results):
            if not has_parts(result):
                raise BadOutput(row, f"{result!r} without blobs", self._expected())
            if len(result) != self._width:
                raise BadOutput(row, count_text(len(result) - 1, "blob"), self._expected())
        blobs = self._blob_array(results)
        if blobs.shape[1:] != self.shape:
            raise BadOutput(0, f"blobs of shape {blobs.shape[1:]}", self._expected())
        return Evaluation(_scalars([r[0] for r in results]), blobs)

    def _expected(self) -> str:
        blobs = count_text(self._width - 1, "blob")
        return f"the probe before the run returned {blobs}, of shape {self.shape}"

    def _blob_array(self, results: Sequence[Any]) -> npt.NDArray[Any]:
        try:
            array = np.array([tuple(r[1:]) for r in results], dtype=self.dtype)
        except (TypeError, ValueError, OverflowError) as exc:
            raise BadOutput(0, f"blobs that do not fit dtype {self.dtype}: {exc}") from None
        # emcee drops the axes of length one
        return array.reshape(len(results), *(k for k in array.shape[1:] if k != 1))

    @property
    def rejected(self) -> Any:
        """What stands for the result of a row that is rejected."""
        return (-np.inf, *self.blank) if self.has_blobs else -np.inf

    def settings(self) -> list[Any] | None:
        """Return the form of the blobs for the file, [dtype, shape] for JSON; None without any."""
        return (
            [np.lib.format.dtype_to_descr(self.dtype), list(self.shape)]
            if self.has_blobs
            else None
        )


def has_parts(result: Any) -> bool:
    """Tell whether one result is a sequence, as with blobs, and not a number."""
    return isinstance(result, tuple | list) or (isinstance(result, np.ndarray) and result.ndim > 0)


def _is_impossible(result: Any) -> bool:
    """Tell whether a result is -inf alone: what blobs would be there is of no account."""
    return not has_parts(result) and _is_number(result) and float(result) == -np.inf


def _scalars(results: Sequence[Any]) -> FloatArray:
    try:
        if not _PLAIN.issuperset(map(type, results)) and not all(map(_is_number, results)):
            raise TypeError
        values = np.array(results, dtype=np.float64).reshape(len(results))
    except (TypeError, ValueError, OverflowError):
        row = next((i for i, r in enumerate(results) if not _is_number(r)), 0)
        hint = "expected one number, or with blobs a tuple: return lp, a, b"
        if results[row] is None:
            hint = "is a return statement missing?"
        raise BadOutput(row, _shown(results[row]), hint) from None
    _refuse_bad(values)
    return values


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # an object of the model's, or an integer of too many digits
        return f"a value of type {type(value).__name__}"
    if isinstance(value, np.generic):
        text = f"{value.dtype} {value}"
    return text if len(text) <= 200 else f"{text[:200]}..."


def _is_number(value: Any) -> bool:
    """Tell whether a result is one real number; emcee would take text, and True for 1."""
    if isinstance(value, str | bytes | bool):
        return False
    try:
        array = np.asarray(value)
        if array.dtype.kind in "bc":
            return False
        float(array.item())
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def column(result: Any, n: int) -> FloatArray:
    """Return what a vectorized function gave, as float64.

    Parameters
    ----------
    result : object
        An array (n,) or (n, 1) of real numbers.
    n : int
        Number of rows that it was given.

    Returns
    -------
    ndarray (n,)

    Raises
    ------
    BadOutput
        If it has another shape, or is not real numbers.

    """
    if type(result) is np.ndarray and result.shape == (n,) and result.dtype == np.float64:
        return result.copy()  # as it should be: the less is done here the better
    hint = f"a vectorized log_prob takes theta (n, ndim) and returns shape (n,), here ({n},)"
    try:
        values = np.asarray(result)
    except ValueError:  # ragged
        raise BadOutput(
            0, "rows of several lengths (a vectorized log_prob has no blobs)", hint
        ) from None
    if values.shape not in ((n,), (n, 1)):
        what = "None" if result is None else f"shape {values.shape} for theta of {n} rows"
        raise BadOutput(0, what, hint)
    if values.dtype.kind not in "iuf":
        raise BadOutput(0, f"values of type {values.dtype}, not real numbers", hint)
    return values.reshape(n).astype(np.float64)


def _refuse_bad(values: FloatArray) -> None:
    good = values < np.inf
    if not good.all():
        row = int(np.argmin(good))
        hint = "it is never taken for -inf: where a model is impossible, return -np.inf"
        raise BadOutput(row, "NaN", hint) if np.isnan(values[row]) else BadOutput(row, "+inf")
