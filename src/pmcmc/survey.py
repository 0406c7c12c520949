"""The figures of a run's draws, each worked out when it is asked for, in bounded memory.

Draws are read in blocks of rows. Mean, sd and log_prob take in all of them. For what needs a
parameter's values side by side (quantiles, tau, ESS, R-hat) every k-th walker is read where there
are more than ``MOST`` values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from . import diagnostics
from .reader import Reader

Array = npt.NDArray[np.float64]
MOST = 2**20  # values of one parameter
_AT_ONCE = 2**23  # values held: 64 MB
_BLOCK = 2**20  # values read at once


@dataclass(frozen=True)
class Moments:
    """Of all draws: mean and sd (ndim,), and what they are without the stragglers' draws.

    ``low`` (ensemble, walker) counts draws with a log_prob too low to be the posterior's.
    """

    mean: Array
    sd: Array
    core_mean: Array
    core_sd: Array
    low: npt.NDArray[np.int64]


class Survey:
    """Figures of the first rows of each ensemble.

    Parameters
    ----------
    reader : Reader
    rows : sequence of int, optional
        How many of each ensemble (default: all that were committed).
    phase : {"ensembles", "burnin"}
    start : int
        Rows of each ensemble to leave out first.
    most : int, optional
        Of one parameter's values that are read (default: ``MOST``).

    """

    def __init__(
        self,
        reader: Reader,
        rows: Sequence[int] | None = None,
        phase: str = "ensembles",
        start: int = 0,
        most: int | None = None,
    ) -> None:
        header = self.header = reader.header
        if rows is None:
            rows = [int(n) for n in (reader.rows if phase == "ensembles" else reader.burnin_rows)]
        self._reader, self._phase, self._start, self._stops = reader, phase, start, rows
        self.rows = tuple(max(0, n - start) for n in rows)
        self.nensembles, self.nwalkers, self.ndim = len(rows), header.nwalkers, header.ndim
        self.ndraws = sum(self.rows) * self.nwalkers
        self.every = min(-(-self.ndraws // (most or MOST)), max(1, self.nwalkers // 2)) or 1
        self._columns: dict[int, list[Array]] = {}
        self._times: dict[int, float] = {}
        self._tail_times: dict[int, float] = {}
        self._r_hats: dict[int, float] = {}

    def values(self, i: int) -> list[Array]:
        """Return a parameter's values, an array (step, walker) for each ensemble."""
        if i not in self._columns:
            each = max(1, self.ndraws // self.every)
            self._columns = dict(self._read(range(i, min(self.ndim, i + _AT_ONCE // each + 1))))
        return self._columns[i]

    def time(self, i: int) -> float:
        """Return a parameter's autocorrelation time, in rows."""
        if i not in self._times:
            self._times[i] = diagnostics.autocorrelation_time(self._begun(i))
        return self._times[i]

    def ess_bulk(self, i: int) -> float:
        """Return the effective number of draws for a parameter's mean."""
        return diagnostics.effective_size(self.ndraws, self.time(i))

    def ess_tail(self, i: int) -> float:
        """Return the effective number of draws for a parameter's 5% and 95% quantiles."""
        if i not in self._tail_times:
            self._tail_times[i] = diagnostics.tail_time(self._begun(i))
        return diagnostics.effective_size(self.ndraws, self._tail_times[i])

    def r_hat(self, i: int) -> float:
        """Return a parameter's R-hat; NaN with one ensemble."""
        if i not in self._r_hats:
            self._r_hats[i] = diagnostics.r_hat(self.values(i))
        return self._r_hats[i]

    def quantiles(self, i: int) -> tuple[float, ...]:
        """Return a parameter's quantiles."""
        return diagnostics.quantiles(self.values(i))

    @cached_property
    def moments(self) -> Moments:
        """Mean and sd of all draws, and how many of each walker's are those of a straggler."""
        bound = diagnostics.low_bound([self._log_prob(e) for e in range(self.nensembles)])
        low = np.zeros((self.nensembles, self.nwalkers), dtype=np.int64)
        every, core = _Sums(self.ndim), _Sums(self.ndim)
        for e in range(self.nensembles):
            for at in self._blocks(e, self.nwalkers * (self.ndim + 1)):
                chain = self._reader.values("chain", e, at, self._phase)
                below = self._reader.values("log_prob", e, at, self._phase) < bound
                low[e] += below.sum(axis=0)
                every.add(chain.reshape(-1, self.ndim))
                core.add(chain[~below])
        return Moments(every.mean, every.sd, core.mean, core.sd, low)

    @cached_property
    def stuck(self) -> npt.NDArray[np.bool_]:
        """Whether a walker never moved, (ensemble, walker), though so many steps were enough to.

        Enough is where less than one of a thousand runs has such a walker by chance.
        """
        counts, rows = self._reader.accepted, np.array(self.rows)
        if self._phase == "burnin":
            counts = self._reader.burnin_accepted
        share = counts.sum() / max(1, self.ndraws)
        by_chance = (1 - min(share, 1)) ** rows > 1e-3 / counts.size
        still = (counts == 0) & (rows > 0)[:, None]
        if share > 0:
            still &= ~by_chance[:, None]
        if self._phase == "ensembles" and self.header.thin_by > 1:  # moves between are not counted
            for e in np.flatnonzero(still.any(axis=1)):
                still[e] &= self._unchanged(int(e))
        return np.asarray(still)

    def _unchanged(self, e: int) -> npt.NDArray[np.bool_]:
        """Return which walkers of an ensemble are where they were in all of its rows."""
        same, first = np.ones(self.nwalkers, dtype=bool), None
        for at in self._blocks(e, self.nwalkers * self.ndim):
            chain = self._reader.values("chain", e, at, self._phase)
            first = chain[0] if first is None else first
            same &= (chain == first).all(axis=(0, 2))
        return same

    # ---- reading

    def _begun(self, i: int) -> list[Array]:
        return [v for v in self.values(i) if len(v)]

    def _read(self, wanted: Iterable[int]) -> Iterator[tuple[int, list[Array]]]:
        wanted = list(wanted)
        shape = (len(wanted), -(-self.nwalkers // self.every))
        parts = [np.empty((shape[0], n, shape[1])) for n in self.rows]
        for e, part in enumerate(parts):
            for at in self._blocks(e, self.nwalkers * self.ndim):
                block = self._reader.values("chain", e, at, self._phase)[:, :: self.every]
                rows = slice(at.start - self._start, at.stop - self._start)
                part[:, rows] = np.moveaxis(block[:, :, wanted], 2, 0)
        for k, i in enumerate(wanted):
            yield i, [part[k] for part in parts]

    def _log_prob(self, e: int) -> Array:
        """Return log_prob of one ensemble, thinned where it is long."""
        step = -(-self.ndraws // MOST) or 1
        return self._reader.values(
            "log_prob", e, slice(self._start, self._stops[e], step), self._phase
        )

    def _blocks(self, e: int, width: int) -> Iterator[slice]:
        height = max(1, _BLOCK // width)
        for start in range(self._start, self._stops[e], height):
            yield slice(start, min(start + height, self._stops[e]))


class _Sums:
    """Mean and sd of rows that come in blocks (Chan, Golub and LeVeque 1983)."""

    def __init__(self, ndim: int) -> None:
        self.n = 0
        self.mean, self._squares = np.zeros(ndim), np.zeros(ndim)

    def add(self, rows: Array) -> None:
        if not len(rows):
            return
        n, mean = len(rows), rows.mean(axis=0)
        off, total = mean - self.mean, self.n + len(rows)
        self._squares += ((rows - mean) ** 2).sum(axis=0) + off**2 * (self.n * n / total)
        self.mean = self.mean + off * (n / total)
        self.n = total

    @property
    def sd(self) -> Array:
        return np.sqrt(self._squares / (self.n - 1)) if self.n > 1 else self.mean * np.nan
