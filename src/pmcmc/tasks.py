"""Tasks, chunks of them, their results and failures, and the tags that they travel under."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FUNCTION, ROWS, OBJECTS, CLOSE, CANCEL = range(1, 6)  # from the root
VALUES, RESULTS, FAILED = range(11, 14)  # to the root
ARRAY, FLOATS, NUMPY_FLOATS = range(3)  # what a buffer of values stands for


@dataclass
class Failure:
    """What a function raised on a rank, in a form that always travels.

    ``task`` is the task's number in its batch, ``text`` the traceback there, ``place`` the rank
    and host, ``exception`` the exception itself, pickled, where it can be.
    """

    task: int
    summary: str
    text: str = ""
    place: str = ""
    exception: bytes | None = None
    original: BaseException | None = None  # on the rank itself

    @classmethod
    def of(cls, exc: BaseException, task: int, place: str) -> Failure:
        """Describe ``exc``, raised by task number ``task``."""
        try:
            data = pickle.dumps(exc)
            pickle.loads(data)
        except Exception:
            data = None
        text = "".join(traceback.format_exception(exc)).rstrip()
        return cls(task, f"{type(exc).__name__}: {exc}", text, place, data, exc)


@dataclass
class Batch:
    """Tasks of one map, an array of rows (n, ndim) or a list, and what came back of them."""

    number: int
    tasks: Any
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

    def ordered(self) -> list[Any]:
        """Return the chunks' results in the order of the tasks."""
        return [results for _, _, results in sorted(self.results, key=lambda part: part[0])]


@dataclass(frozen=True)
class Chunk:
    """Tasks [start, stop) of a batch."""

    batch: Batch
    start: int
    stop: int

    @property
    def tasks(self) -> Any:
        """The tasks themselves."""
        return self.batch.tasks[self.start : self.stop]


def run_tasks(
    function: Callable[[Any], Any], tasks: Any, stale: Callable[[], bool], place: str
) -> list[Any] | Failure:
    """Return ``function`` of each task, the first failure, or what there is once ``stale()``."""
    results: list[Any] = []
    for task in tasks:
        if stale():
            break
        try:
            results.append(function(task))
        except KeyboardInterrupt:
            raise
        except BaseException as exc:
            return Failure.of(exc, len(results), place)
    return results


def kind_of(results: Any) -> int | None:
    """Return how float results travel as a buffer, None where they cannot."""
    if isinstance(results, np.ndarray):
        return ARRAY if results.dtype == np.float64 and results.ndim == 1 else None
    if not isinstance(results, list) or not results:
        return None
    kinds = {type(r) for r in results}
    return {float: FLOATS, np.float64: NUMPY_FLOATS}.get(kinds.pop()) if len(kinds) == 1 else None


def as_rows(tasks: Iterable[Any]) -> Any:
    """Return tasks as one float64 array (n, ndim) where each is a row of one, else a list."""
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
