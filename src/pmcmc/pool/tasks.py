"""Tasks, chunks of them, their results and failures, and the tags that they travel under."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import forks
from ..tracebacks import traceback_text

if TYPE_CHECKING:
    from .._types import AnyArray


FUNCTION, KEEP, ROWS, OBJECTS, CLOSE, CANCEL = range(1, 7)  # from the root
VALUES, RESULTS, FAILED = range(11, 14)  # to the root
ARRAY, FLOATS, NUMPY_FLOATS = range(3)  # what a buffer of values stands for
_ROWS_HEAD = 4  # numbers before the rows: of the batch and the function, and their shape


@dataclass
class Failure:
    """What a function raised on a rank, in a form that always travels.

    Attributes
    ----------
    task : int
        The task's number in its batch.
    summary : str
        Class and message of the exception.
    text : str
        The traceback there.
    place : str
        Rank and host.
    exception : bytes or None
        The exception itself, pickled, where it can be.
    original : BaseException or None
        The exception, on the rank itself.

    """

    task: int
    summary: str
    text: str = ""
    place: str = ""
    exception: bytes | None = None
    original: BaseException | None = None  # on the rank itself

    @classmethod
    def of(cls, exc: BaseException, task: int, place: str) -> Failure:
        """Describe an exception.

        Parameters
        ----------
        exc : BaseException
            What the function raised.
        task : int
            The task's number in its chunk; the root adds where the chunk starts.
        place : str
            Rank and host.

        Returns
        -------
        Failure

        """
        try:
            data = pickle.dumps(exc)
            pickle.loads(data)
        except Exception:  # it does not travel: its traceback as text does
            data = None
        text = traceback_text(exc)
        return cls(task, f"{type(exc).__name__}: {exc}", text, place, data, exc)


@dataclass
class Batch:
    """Tasks of one map, and what came back of them.

    Attributes
    ----------
    number : int
        Rises from batch to batch.
    tasks : ndarray (n, ndim) or list
        Rows, or anything that can be pickled.
    function : int
        The number of the function that they are for, as the workers know it.
    urgent : bool
        Whether it is to be done before what is queued already: somebody there waits for it.
    results : list of (int, int, object)
        Start, stop and results of the chunks, as they came.
    seconds : list of (int, float)
        Tasks of each chunk, and the seconds that they took.
    failure : Failure or None
        The first.
    missing : int
        Tasks without a result.

    """

    number: int
    tasks: Any
    function: int = 0
    urgent: bool = False
    results: list[tuple[int, int, Any]] = field(default_factory=list)  # (start, stop, results)
    seconds: list[tuple[int, float]] = field(default_factory=list)  # (tasks, seconds) of chunks
    failure: Failure | None = None
    missing: int = field(init=False)

    def __post_init__(self) -> None:
        """Count the tasks."""
        self.missing = len(self.tasks)

    @property
    def done(self) -> bool:
        """Whether nothing more is awaited."""
        return self.missing <= 0 or self.failure is not None

    @property
    def is_rows(self) -> bool:
        """Whether the tasks travel as a buffer, and not as a pickle."""
        tasks = self.tasks
        return isinstance(tasks, np.ndarray) and tasks.dtype == np.float64 and tasks.ndim == 2

    def part(self, k: int) -> Any:
        """Return the results of one chunk; a pickle is opened here, not before.

        Parameters
        ----------
        k : int
            The chunk's number, in the order in which they came.

        Returns
        -------
        ndarray (n,), list or tuple
            As the worker made them.

        """
        start, stop, results = self.results[k]
        if isinstance(results, memoryview):
            results = pickle.loads(results)
            self.results[k] = (start, stop, results)
        return results

    def ordered(self) -> list[Any]:
        """Return the chunks' results in the order of the tasks."""
        order = sorted(range(len(self.results)), key=lambda k: self.results[k][0])
        return [self.part(k) for k in order]


@dataclass
class Chunk:
    """Tasks [start, stop) of a batch; ``message`` is what a worker is sent, once it is made."""

    batch: Batch
    start: int
    stop: int
    message: AnyArray | None = None

    @property
    def tasks(self) -> Any:
        """The tasks themselves."""
        return self.batch.tasks[self.start : self.stop]

    def write(self) -> AnyArray:
        """Return the message, bytes, made at the first call."""
        if self.message is None:
            number, function, tasks = self.batch.number, self.batch.function, self.tasks
            if self.batch.is_rows:
                numbers = np.empty(_ROWS_HEAD + tasks.size)
                numbers[:_ROWS_HEAD] = number, function, *tasks.shape
                numbers[_ROWS_HEAD:] = tasks.ravel()
                self.message = numbers.view(np.uint8)
            else:
                text = pickle.dumps((number, function, tasks), protocol=5)
                self.message = np.frombuffer(text, dtype=np.uint8)
        return self.message


def read_rows(message: AnyArray) -> tuple[int, int, AnyArray]:
    """Return what the message of a chunk of rows holds.

    Parameters
    ----------
    message : ndarray of uint8
        As `Chunk.write` makes it.

    Returns
    -------
    batch, function : int
        Their numbers.
    rows : ndarray (n, ndim)

    """
    numbers = message.view(np.float64)
    batch, function, *shape = map(int, numbers[:_ROWS_HEAD])
    return batch, function, numbers[_ROWS_HEAD:].reshape(shape)


def run_tasks(
    function: Callable[[Any], Any], tasks: Any, stale: Callable[[], bool], place: str
) -> list[Any] | Failure:
    """Call a function for each task.

    Parameters
    ----------
    function : callable
        Takes one task.
    tasks : iterable
        A list, or the rows of an array.
    stale : callable
        Tells, before each task, whether the results are not wanted any more.
    place : str
        Rank and host, for a Failure.

    Returns
    -------
    list or Failure
        The results, only the first of them once ``stale()``; or what the function raised first,
        but for a KeyboardInterrupt, which passes through.

    """
    results: list[Any] = []
    for task in tasks:
        if stale():
            break
        try:
            results.append(function(task))
        except KeyboardInterrupt:
            raise
        except BaseException as exc:
            if forks.in_child():
                forks.leave(exc)
            return Failure.of(exc, len(results), place)
        if forks.in_child():
            forks.leave()
    return results


def kind_of(results: Any) -> int | None:
    """Return how float results travel as a buffer.

    Parameters
    ----------
    results : object
        Of a chunk.

    Returns
    -------
    int or None
        ARRAY for an ndarray (n,) of float64, FLOATS and NUMPY_FLOATS for a list of only these;
        None for anything else, which is pickled.

    """
    if isinstance(results, np.ndarray):
        return ARRAY if results.dtype == np.float64 and results.ndim == 1 else None
    if not isinstance(results, list):
        return None
    kinds = {type(r) for r in results} or {float}
    return {float: FLOATS, np.float64: NUMPY_FLOATS}.get(kinds.pop()) if len(kinds) == 1 else None


def as_rows(tasks: Iterable[Any]) -> Any:
    """Return tasks in the form in which they travel best.

    Parameters
    ----------
    tasks : iterable
        Of a map.

    Returns
    -------
    ndarray (n, ndim) or list
        A contiguous array where the tasks are the rows of a float64 array, or float64 arrays of
        one length.

    """
    if isinstance(tasks, np.ndarray) and tasks.ndim == 2 and tasks.dtype == np.float64:
        return np.ascontiguousarray(tasks)
    tasks = list(tasks)
    first = tasks[0] if tasks else None
    if isinstance(first, np.ndarray) and first.dtype == np.float64 and first.ndim == 1:
        shape = first.shape
        if all(
            type(t) is np.ndarray and t.dtype == np.float64 and t.shape == shape for t in tasks
        ):
            return np.stack(tasks)
    return tasks
