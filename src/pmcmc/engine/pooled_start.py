"""The start of all ensembles round optima that they found together, as rank 0 decides on it."""

from __future__ import annotations

from ..model.periodic import Circles
from ..sampler.optima import Optimum, Pool, pool_optima
from ..storage.writer import RunWriter
from .messages import Begin
from .progress import ProgressReporter


class PooledStart:
    """Pools what the ensembles find, and lets them begin, or first search widely.

    Parameters
    ----------
    circles : Circles
        Of the parameters.
    nensembles : int
        That begin, unless ``go_on`` says otherwise.
    store : RunWriter
        Of the file that is to tell how the run began.
    reporter : ProgressReporter

    """

    def __init__(
        self, circles: Circles, nensembles: int, store: RunWriter, reporter: ProgressReporter
    ) -> None:
        self._circles, self._to_begin = circles, nensembles
        self._store, self._reporter = store, reporter
        self._optima: dict[int, list[Optimum]] = {}  # by ensemble
        self._searched_widely = False
        self._known: tuple[Pool, bool] | None = None  # of the file; whether all searched widely

    def go_on(self, record: str, to_begin: int) -> None:
        """Take in what a resumed file tells.

        Parameters
        ----------
        record : str
            How the run began, as `Pool.record` wrote it; "" where it had not.
        to_begin : int
            How many of its ensembles have no state yet.

        """
        self._known, self._to_begin = Pool.read(record), to_begin

    def take(self, ensemble: int, found: list[Optimum]) -> Begin | None:
        """Take in what one ensemble has found.

        Parameters
        ----------
        ensemble : int
            Its number.
        found : list of Optimum
            By its search so far.

        Returns
        -------
        Begin or None
            What all are to be told, where all have told of theirs.

        """
        self._optima[ensemble] = found
        if len(self._optima) < self._to_begin:
            return None
        pool = pool_optima(self._optima, self._circles)
        self._optima, plain = {}, pool.is_plain
        if self._known is not None:  # of the file, where some have begun already
            pool, plain = self._known[0], not self._known[1]
        if not (plain or self._searched_widely):
            self._searched_widely = True
            self._reporter.say(
                f"  {'start':<10} the searches disagree: each ensemble searches widely"
            )
            return Begin(None)
        self._store.add_origin("start", pool.record(self._searched_widely))
        self._reporter.say(f"  {'start':<10} {pool.text()}")
        return Begin(pool)
