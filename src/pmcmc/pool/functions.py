"""Which functions the workers of a pool have: each goes out once, and again when it changed."""

from __future__ import annotations

import io
import pickle
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tracebacks import warn
from .dispatch import Dispatcher
from .schedule import Scheduler

if TYPE_CHECKING:
    from .._types import AnyArray

_SAMPLE = 256  # elements of a large array that are looked at to see whether it has changed
_SLOW = 1.0  # seconds in maps after which the pool is compared with one process
_SLOWER = 1.2


@dataclass(eq=False)
class SentFunction:
    """A function that the workers have.

    Attributes
    ----------
    function : callable
        Takes a task.
    mark : object
        Changes when the function does.
    number : int
        The workers' number for it.
    scheduler : Scheduler
        Of its tasks.

    """

    function: Callable[[Any], Any]
    mark: Any
    number: int
    scheduler: Scheduler
    _took: float = 0.0
    _alone: float = 0.0
    _compared: bool = False

    def compare(self, took: float, alone: float, ranks: int) -> None:
        """Warn, once, where the pool takes longer than one process would.

        Parameters
        ----------
        took : float
            Seconds of a map.
        alone : float
            Seconds that its tasks took, on all ranks.
        ranks : int
            That evaluate.

        """
        self._took += took
        self._alone += alone
        if self._compared or ranks == 1 or self._took < _SLOW:
            return
        self._compared = True
        if self._took > _SLOWER * self._alone:
            warn(
                f"MPIPool is slower than one process: its maps took {self._took:.2f} s on {ranks} "
                f"ranks, their tasks {self._alone:.2f} s in all: a task is shorter than its "
                "message. Sample without a pool, or vectorized, or give each task more to do"
            )


class FunctionTable:
    """Functions that the workers have: those of the maps under way, and the last.

    Parameters
    ----------
    dispatcher : Dispatcher
        Sends them.
    pickler : module
        pickle or dill.
    make_scheduler : callable
        Makes a Scheduler for a new function.

    """

    def __init__(
        self, dispatcher: Dispatcher, pickler: ModuleType, make_scheduler: Callable[[], Scheduler]
    ) -> None:
        self._dispatcher, self._pickler = dispatcher, pickler
        self._make_scheduler = make_scheduler
        self._sent: list[SentFunction] = []

    def send(
        self, function: Callable[[Any], Any], in_use: Collection[SentFunction]
    ) -> SentFunction:
        """Send a function out, if the workers do not have it as it is.

        Parameters
        ----------
        function : callable
            Takes a task.
        in_use : collection of SentFunction
            Those of the maps under way, which the workers have to keep.

        Returns
        -------
        SentFunction

        """
        if self._dispatcher.size == 1:
            return SentFunction(function, None, 0, self._make_scheduler())
        mark = self._mark_of(function)
        for sent in self._sent:
            if sent.mark == mark:
                sent.function = function
                return sent
        same = (sent.scheduler for sent in self._sent if sent.function is function)
        scheduler = next(same, None) or self._make_scheduler()
        number = self._dispatcher.add_function(self._pickler.dumps(function))
        new = SentFunction(function, mark, number, scheduler)
        kept = [sent for sent in self._sent if sent in in_use]
        if len(kept) < len(self._sent):
            self._dispatcher.keep_functions(sent.number for sent in [*kept, new])
        self._sent = [*kept, new]
        return new

    def _mark_of(self, function: Any) -> Any:
        """Return a mark that changes when the function does: its pickle without its arrays.

        They are not copied for it: their place, their size and a sample of their elements stand
        for them.
        """
        buffers: list[Any] = []
        out = io.BytesIO()
        pickler = self._pickler.Pickler(out, protocol=5, buffer_callback=buffers.append)
        if self._pickler is not pickle:
            pickler.reducer_override = _array_apart
        pickler.dump(function)
        return out.getvalue(), [_sample(b) for b in buffers]


def _array_apart(value: Any) -> Any:
    """Reduce an array as pickle does, its elements to a buffer; dill would copy them."""
    return value.__reduce_ex__(5) if type(value) is np.ndarray else NotImplemented


def _sample(buffer: pickle.PickleBuffer) -> tuple[int, int, int]:
    view: AnyArray = np.frombuffer(buffer.raw(), dtype=np.uint8)
    words = view[: len(view) // 8 * 8].view(np.uint64)
    if len(words) < 4 * _SAMPLE:
        return view.ctypes.data, len(view), zlib.crc32(view.data)
    step = len(words) // _SAMPLE
    return view.ctypes.data, len(view), zlib.crc32(words[::step].copy().data)
