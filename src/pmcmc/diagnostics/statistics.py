"""The figures of a run's draws, each worked out when it is asked for, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from ..storage.reader import RunReader
from . import estimators
from .modes import Missed, missed_modes
from .moments import Moments, Sums
from .values import ChainValues

if TYPE_CHECKING:
    from .._types import FloatArray

T = TypeVar("T")

_RANKED = 2**18  # values of all ensembles that R-hat comes from, about
_NO_CHANCE = 1e-3  # share of runs that have a walker that never moved by chance
_RARE, _NOISE = 0.25, 6.0  # share of the median's moves; and so many of its standard deviations


@dataclass(frozen=True)
class Times:
    """Autocorrelation times of one quantity in each ensemble, in rows; NaN if it has no rows.

    Attributes
    ----------
    raw, rank : ndarray (ensemble,)
        Of the values, and of rank-normalised ones.
    offsets : ndarray (ensemble, walker)
        How far a walker's mean rank is from its ensemble's, in standard errors.

    """

    raw: FloatArray
    rank: FloatArray
    offsets: FloatArray


class ChainStatistics(ChainValues):
    """Figures of the first rows of each ensemble; parameters and attributes are `ChainValues`'.

    Memory is bounded whatever the length of the run. Mean, sd and the stragglers take in all
    draws, in blocks of rows. What needs a quantity's values side by side takes in all walkers at
    every so many-th row: ``most`` values in all for quantiles, at most 2^19 of them for R-hat; for
    autocorrelation times 1024 rows or more of one ensemble after the other.

    A tau of three such strides or more is found within a few percent, a shorter one too long, by
    up to a stride; ESS is too small then, and never too great.
    """

    def __init__(
        self,
        reader: RunReader,
        rows: Sequence[int] | None = None,
        phase: str = "ensembles",
        discard: int = 0,
        most: int | None = None,
        reference: FloatArray | None = None,
    ) -> None:
        super().__init__(reader, rows, phase, discard, most, reference)
        self._times: dict[int, Times] = {}
        self._tail_times: dict[int, float] = {}
        self._quantiles_of: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] = {}
        self._r_hats: dict[int, float] = {}

    def mean(self, i: int) -> float:
        """Return the mean of a quantity's draws; of one on a circle the circular one."""
        if i in self.header.circles.columns and self.reference is not None:
            return float(self.reference[i])
        return float(self.moments.mean[i])

    def each(self, function: Callable[[int], T], threads: int = 1) -> list[T]:
        """Return what a function of a quantity's number returns, for all quantities in order.

        Parameters
        ----------
        function : callable
            Asks for figures of that quantity alone, and for moments.
        threads : int
            So many quantities are worked on at a time: numpy gives up Python's lock while it
            sorts and transforms. Default: 1.

        """
        found: list[T] = []
        heeded = np.geterr()  # of this thread alone

        def one(i: int) -> T:
            with np.errstate(**heeded):
                return function(i)

        with ThreadPoolExecutor(threads) as pool:
            while len(found) < len(self.quantities):
                self.values(len(found))  # and those after it, as many as are read together
                some = [i for i in range(len(found), len(self.quantities)) if i in self._values]
                found += map(one, some) if threads == 1 else pool.map(one, some)
        return found

    def tau(self, i: int) -> float:
        """Return a quantity's autocorrelation time, in steps."""
        return self._mean(self.times(i).raw) * self.thin_by

    def rank_tau(self, i: int) -> FloatArray:
        """Return its ranks' autocorrelation time in each ensemble that has rows, in steps."""
        return self.times(i).rank[self._begun] * self.thin_by

    def ess_bulk(self, i: int) -> float:
        """Return the effective number of draws for a quantity's ranks."""
        return estimators.effective_size(self.ndraws, self._mean(self.times(i).rank))

    def mcse(self, i: int) -> float:
        """Return the Monte Carlo standard error of a quantity's mean."""
        size = estimators.effective_size(self.ndraws, self._mean(self.times(i).raw))
        return self._spread(i) / math.sqrt(size) if size > 0 else math.nan

    def _spread(self, i: int) -> float:
        """Return the sd that the error of a mean comes from; on a circle that of its direction.

        There it is sd(sin) / R, where R is the length of the mean of unit vectors (Mardia & Jupp
        2000, 4.1): far more than the sd of values where they are spread over all the circle.
        """
        circles = self.header.circles
        if i not in circles.columns or self.reference is None:
            return float(self.moments.sd[i])
        radian = float(circles.turn[circles.columns.index(i)]) / (2 * math.pi)
        angles = np.concatenate([v.ravel() for v in self.values(i)]) - self.reference[i]
        length = float(np.cos(angles / radian).mean())
        return radian * float(np.sin(angles / radian).std()) / max(length, 1e-9)

    def ess_tail(self, i: int) -> float:
        """Return the lesser effective number of draws for its 5% and 95% quantiles."""
        if i not in self._tail_times:
            bounds = self._quantiles(i)[1]
            times = [estimators.tail_times(c, bounds) for c in self.series(i) if len(c)]
            means = np.mean(times, axis=0) if times else np.array([math.nan])
            self._tail_times[i] = float(np.max(means)) * self.series_stride
        return estimators.effective_size(self.ndraws, self._tail_times[i])

    def r_hat(self, i: int) -> float:
        """Return a quantity's R-hat; NaN with one ensemble."""
        if i not in self._r_hats:
            step = max(1, self.ndraws // self.row_stride // _RANKED)
            self._r_hats[i] = estimators.r_hat([chain[::step] for chain in self.values(i)])
        return self._r_hats[i]

    def quantiles(self, i: int) -> tuple[float, ...]:
        """Return a quantity's 16%, 50% and 84% quantiles."""
        return self._quantiles(i)[0]

    def _quantiles(self, i: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return its quantiles for tables, and those where its tails begin."""
        if i not in self._quantiles_of:
            levels = (*estimators.QUANTILES, *estimators.TAILS)
            found = estimators.quantiles(self.values(i), levels)
            shown = len(estimators.QUANTILES)
            self._quantiles_of[i] = found[:shown], found[shown:]
        return self._quantiles_of[i]

    def times(self, i: int) -> Times:
        """Return a quantity's autocorrelation times in each ensemble, in rows.

        A log_prob that is the same at all draws, as within a box, has nothing that could be
        correlated: its time is 1 there.
        """
        if i not in self._times:
            low, high = math.inf, -math.inf
            raw, ranks = np.full((2, self.nensembles), math.nan)
            times = Times(raw, ranks, np.full((self.nensembles, self.nwalkers), math.nan))
            for e, chain in enumerate(self.series(i)):
                if not len(chain):
                    continue
                scores = estimators.normal_scores(chain)
                rank = estimators.autocorrelation_time(scores)
                times.raw[e] = estimators.autocorrelation_time(chain) * self.series_stride
                times.rank[e] = rank * self.series_stride
                times.offsets[e] = np.abs(estimators.walker_offsets(scores, rank))
                low, high = min(low, chain.min()), max(high, chain.max())
            if i == self.ndim and low == high:
                raw[self._begun] = ranks[self._begun] = 1.0
                times.offsets[self._begun] = 0.0
            self._times[i] = times
        return self._times[i]

    @property
    def offsets(self) -> FloatArray:
        """How far a walker's mean is from its ensemble's, at most, (ensemble, walker).

        Of the ranks of all parameters and log_prob, in standard errors of the mean of a walker
        that mixes.
        """
        return self._farthest[0]

    @property
    def farthest_in(self) -> npt.NDArray[np.int32]:
        """The number of the quantity in which it is, (ensemble, walker)."""
        return self._farthest[1]

    @cached_property
    def _farthest(self) -> tuple[FloatArray, npt.NDArray[np.int32]]:
        farthest = np.zeros((self.nensembles, self.nwalkers))
        where = np.zeros(farthest.shape, dtype=np.int32)
        for i in range(self.ndim + 1):
            offsets = self.times(i).offsets
            farther = offsets > farthest
            farthest[farther], where[farther] = offsets[farther], i
        return farthest, where

    @cached_property
    def moments(self) -> Moments:
        """Moments of all draws, and how many of each walker's are those of a straggler."""
        with self._reader.open() as reader:
            return self._sum_up(reader)

    def _sum_up(self, reader: RunReader) -> Moments:
        bound = estimators.low_bound(
            [self.thinned_log_prob(reader, e) for e in range(self.nensembles)]
        )
        low = np.zeros((self.nensembles, self.nwalkers), dtype=np.int64)
        best = np.full((self.nensembles, self.ndim + 1), math.nan)
        count = len(self.quantities)
        every, core = Sums(count), Sums(count)
        for e in range(self.nensembles):
            for at in self.blocks(e, self.nwalkers * count):
                chain = reader.values("chain", e, at, self._phase)
                log_prob = reader.values("log_prob", e, at, self._phase)
                below = log_prob < bound
                low[e] += below.sum(axis=0)
                draws = np.concatenate([chain, log_prob[:, :, None]], axis=2)
                if count > self.ndim + 1:
                    derived = reader.derived(e, at, range(count - self.ndim - 1), self._phase)
                    draws = np.concatenate([draws, derived], axis=2)
                every.add(draws.reshape(-1, count))
                core.add(draws[~below])
                top = draws[np.unravel_index(np.argmax(log_prob), log_prob.shape)][: self.ndim + 1]
                if not best[e, -1] >= top[-1]:
                    best[e] = top
        return Moments(every.mean, every.sd, core.mean, core.sd, low, best)

    @property
    def rejected_share(self) -> float:
        """Which part of the evaluations was rejected; of burn-in none counts."""
        return 0.0 if self._phase == "burnin" else self._reader.rejected_share

    @property
    def rejected(self) -> int:
        """Rejected evaluations of the run, those of its start and burn-in among them."""
        return int(self._reader.rejected.sum())

    @cached_property
    def missed(self) -> tuple[Missed, ...]:
        """Maxima with mass that the search for a start found, and no draw has come near."""
        return () if self._phase == "burnin" else missed_modes(self)

    @property
    def low(self) -> npt.NDArray[np.int64]:
        """Draws with a log_prob too low to be the posterior's, (ensemble, walker)."""
        return self.moments.low

    @property
    def shift(self) -> float:
        """How far such draws move a mean, at most, in standard errors of the mean without them."""
        return self._worst_shift[0]

    @property
    def shifted(self) -> str:
        """Of which parameter; empty where there are no such draws."""
        return self._worst_shift[1]

    @cached_property
    def _worst_shift(self) -> tuple[float, str]:
        moments, n = self.moments, self.ndim
        if not moments.low.any():
            return 0.0, ""
        sizes = np.array([self.ess_bulk(i) for i in range(n)])
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = moments.core_sd[:n] / np.sqrt(sizes)
            shift = np.abs(moments.mean[:n] - moments.core_mean[:n]) / errors
        shift = np.nan_to_num(shift, nan=math.inf)
        worst = int(np.argmax(shift))
        return float(shift[worst]), self.names[worst]

    # ---- moves

    @cached_property
    def moves(self) -> FloatArray:
        """Accepted moves among the rows, (ensemble, walker)."""
        of_all = self._reader.rows, self._reader.accepted
        if self._phase == "burnin":
            of_all = self._reader.burnin_rows, self._reader.burnin_accepted
        if tuple(of_all[0]) == self.rows:
            return np.asarray(of_all[1])
        with self._reader.open() as reader:
            return np.stack([self._count_moves(reader, e) for e in range(self.nensembles)])

    def _count_moves(self, reader: RunReader, e: int) -> FloatArray:
        """Return at how many rows of an ensemble each walker is not where it was before."""
        moves, last = np.zeros(self.nwalkers), None
        for at in self.blocks(e, self.nwalkers * self.ndim):
            chain = reader.values("chain", e, at, self._phase)
            if last is not None:
                chain = np.concatenate([last, chain])
            moves += (np.diff(chain, axis=0) != 0).any(axis=2).sum(axis=0)
            last = chain[-1:]
        return moves

    @cached_property
    def stuck(self) -> npt.NDArray[np.bool_]:
        """Whether a walker never moved, (ensemble, walker), though so many steps were enough to.

        Enough is where less than one of a thousand runs has such a walker by chance.
        """
        moves, rows = self.moves, np.array(self.rows)
        share = moves.sum() / max(1, self.ndraws)
        by_chance = (1 - min(share, 1)) ** rows > _NO_CHANCE / moves.size
        still = (moves == 0) & (rows > 0)[:, None]
        if share > 0:
            still &= ~by_chance[:, None]
        if self._phase == "ensembles" and self.header.thin_by > 1:  # moves between are not counted
            with self._reader.open() as reader:
                for e in np.flatnonzero(still.any(axis=1)):
                    still[e] &= self._count_moves(reader, int(e)) == 0
        return np.asarray(still)

    @cached_property
    def rare(self) -> npt.NDArray[np.bool_]:
        """Whether a walker moves rarely beside the others of its ensemble, (ensemble, walker).

        It has less than a quarter of the median's moves, and fewer by more than chance.
        """
        median = np.median(self.moves, axis=1, keepdims=True)
        fewer = median - self.moves > _NOISE * np.sqrt(median)
        return np.asarray((self.moves < _RARE * median) & fewer)

    @property
    def _begun(self) -> npt.NDArray[np.bool_]:
        return np.array(self.rows) > 0

    def _mean(self, times: FloatArray) -> float:
        return float(np.mean(times[self._begun])) if any(self.rows) else math.nan
