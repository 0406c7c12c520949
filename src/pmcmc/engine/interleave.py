"""Ensembles advanced at once: each in a greenlet, suspended while its rows are evaluated.

Their steps are taken where ``Driver.step`` is called: as a rule in a helper thread, while the main
one evaluates log_prob. The model's other code, a start or a move of its own, must not run beside
log_prob. It is handed to the main thread as an errand, which has a greenlet there, suspended too
while rows that it asks for are evaluated.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import greenlet

from ..model.outputs import Evaluate, Evaluation
from ..pool.dispatch import Dispatcher
from ..pool.schedule import Choice

if TYPE_CHECKING:
    from .._types import FloatArray, Tick

T = TypeVar("T")


class Stepper(Protocol):
    """What is advanced: an Ensemble."""

    @property
    def done(self) -> bool:
        """Whether there is nothing more to do."""

    def advance(self) -> None:
        """Start, or take a step."""


class Driver:
    """Steps ensembles, and sends and receives for them; all in one thread.

    Parameters
    ----------
    dispatcher : Dispatcher
    choose : callable
        Returns how rows are shared now. The driver ends when that is not on demand any more.
    evaluate : callable
        Rows (n, ndim) -> ``Evaluation``; it ``suspend``s the ensemble that calls it.
    tick : callable
        Called with each step.
    ensembles : sequence of Stepper
    held : callable
        Tells of an ensemble whether it is to take no step.
    beside : bool
        Whether ``step`` is called in another thread than that which makes the driver.

    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        choose: Callable[[], Choice],
        evaluate: Evaluate,
        tick: Tick,
        ensembles: Sequence[Stepper],
        held: Callable[[Any], bool],
        beside: bool,
    ) -> None:
        self._dispatcher, self._choose, self._evaluate = dispatcher, choose, evaluate
        self._tick, self._ensembles, self._held, self._beside = tick, ensembles, held, beside
        self._main = threading.get_ident()
        self._main_hub = self._hub = greenlet.getcurrent()
        self._waiting: list[tuple[Callable[[], bool], Any]] = []  # until when, and the greenlet
        self._running = 0
        self._draining = self._begun = self._closed = False
        self._errands: list[_MainThreadTask] = []
        self.turns: deque[_MainThreadTask] = deque()  # those that wait for the main thread

    # ---- where the ensembles are stepped

    def step(self) -> bool | None:
        """Do what there is to do.

        Returns
        -------
        bool or None
            True where there was something, None where not, False when all is done.

        """
        if not self._begun:
            self._begun, self._hub = True, greenlet.getcurrent()
            for ensemble in self._ensembles:
                self._running += 1
                greenlet.greenlet(self._live).switch(ensemble)
        found = self._dispatcher.receive()
        ready = [one for one in self._waiting if one[0]()]  # asked once: more end meanwhile
        for one in ready:
            self._waiting.remove(one)
            one[1].switch()
        if ready:
            self._draining = self._draining or not self._choose().demand
        found = self._dispatcher.refill(self._choose().depth) or found
        self._tick()
        return (found or bool(ready) or None) if self._running else False

    def _live(self, ensemble: Stepper) -> None:
        """Advance one ensemble to its end, or to the end of a step when the way changes."""
        while not (ensemble.done or self._draining):
            if self._held(ensemble):
                self.suspend(lambda: self._draining or not self._held(ensemble))
            else:
                ensemble.advance()
        self._running -= 1

    def suspend(self, over: Callable[[], bool]) -> None:
        """Leave the greenlet of an ensemble for the others.

        Parameters
        ----------
        over : callable
            Tells whether it may go on.

        Raises
        ------
        GreenletExit
            If the driver is closed.

        """
        if self._closed:
            raise greenlet.GreenletExit
        self._waiting.append((over, greenlet.getcurrent()))
        self._hub.switch()

    def close(self) -> None:
        """End what is suspended here: nothing but its own thread can, and it holds all it uses."""
        self._closed = True
        for _, suspended in self._waiting:
            _end(suspended)
        self._waiting.clear()

    # ---- the model's code

    def in_main(self, run: Callable[[], T]) -> T:
        """Call a function in the main thread; called in an ensemble's greenlet.

        Parameters
        ----------
        run : callable
            Takes no arguments.

        Returns
        -------
        object
            What ``run()`` returns; what it raises is raised here.

        """
        if not self._beside or self.is_errand():
            return run()
        errand = _MainThreadTask(run)
        self._errands.append(errand)
        self._hand_over(errand)
        while errand.rows is not None:
            errand.answer(self._evaluate)
            self._hand_over(errand)
        self._errands.remove(errand)
        return errand.outcome.result()  # type: ignore[no-any-return]

    def _hand_over(self, errand: _MainThreadTask) -> None:
        errand.here = False
        self.turns.append(errand)
        self.suspend(lambda: errand.here)

    def take_turn(self) -> bool:
        """Go on with an errand, in the main thread.

        Returns
        -------
        bool
            Whether there was one.

        """
        if not self.turns:
            return False
        self._main_hub = greenlet.getcurrent()
        self.turns.popleft().go_on()
        return True

    def is_errand(self) -> bool:
        """Tell whether an errand calls this: it wants rows evaluated, and must ``ask``."""
        return self._beside and threading.get_ident() == self._main

    def ask(self, rows: FloatArray) -> Evaluation:
        """Have rows evaluated by all ranks; called in an errand.

        Parameters
        ----------
        rows : ndarray (n, ndim)
            Rows of coordinates.

        Returns
        -------
        Evaluation

        Raises
        ------
        GreenletExit
            If the driver is closed.

        """
        if self._closed:
            raise greenlet.GreenletExit
        return self._main_hub.switch(rows).result()  # type: ignore[no-any-return]

    def abandon(self) -> None:
        """End the errands that are suspended, in the main thread; after ``close``."""
        for errand in self._errands:
            _end(errand.greenlet)
        self._errands.clear()


class _MainThreadTask:
    """Code of the model's on its way through the main thread.

    Attributes
    ----------
    here : bool
        Whether it has come back: to ask for ``rows``, or with its ``outcome``.

    """

    def __init__(self, run: Callable[[], Any]) -> None:
        self.greenlet: Any = None
        self.rows: FloatArray | None = None
        self.outcome: Future[Any] = Future()
        self.here = False
        self._run = run
        self._reply: tuple[Future[Evaluation], ...] = ()

    def go_on(self) -> None:
        """Run until rows are wanted, or to the end; in the main thread."""
        try:
            if self.greenlet is None:
                self.greenlet = greenlet.greenlet(self._run)
            said = self.greenlet.switch(*self._reply)
            if self.greenlet.dead:
                self.rows = None
                self.outcome.set_result(said)
            else:
                self.rows = said
        except BaseException as exc:
            self.rows = None
            self.outcome.set_exception(exc)
        self.here = True

    def answer(self, evaluate: Evaluate) -> None:
        """Evaluate the rows, for the next turn; what that raises is raised in the errand."""
        reply: Future[Evaluation] = Future()
        assert self.rows is not None
        try:
            reply.set_result(evaluate(self.rows))
        except Exception as exc:
            reply.set_exception(exc)
        self._reply = (reply,)


def _end(suspended: Any) -> None:
    """End a greenlet of this thread; what it says of it is of no interest any more."""
    if suspended is not None and not suspended.dead:
        with contextlib.suppress(Exception):
            suspended.throw()
