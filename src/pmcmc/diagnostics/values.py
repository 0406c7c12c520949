"""The values of a run's draws that figures are made of, read in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..storage.reader import RunReader
from ..storage.unwrapped import UnwrappedReader, circular_mean

if TYPE_CHECKING:
    from .._types import FloatArray

MOST = 2**20  # values of one quantity that are held side by side
_SERIES = 1024  # rows of an ensemble, at least, that autocorrelation times come from
_AT_ONCE = 2**23  # values held: 64 MB
_BLOCK = 2**20  # values read at once


class ChainValues:
    """Reads the first rows of each ensemble, in bounded memory whatever the length of the run.

    Quantity ``i`` is the parameter ``names[i]``; number ``ndim`` is log_prob, and those after it
    are derived parameters.

    Parameters
    ----------
    reader : RunReader
        Of the run's file; read when a figure is first asked for.
    rows : sequence of int, optional
        How many of each ensemble (default: all that were committed).
    phase : {"ensembles", "burnin"}
        Kept production steps, or burn-in. Default: "ensembles".
    discard : int
        Rows of each ensemble to leave out first. Default: 0.
    most : int, optional
        Of one quantity's values that are read (default: ``MOST``).
    reference : ndarray (ndim,), optional
        Parameters on circles are read at most half a turn from it. Default: their circular means.

    Attributes
    ----------
    names : tuple of str
        Of the parameters.
    quantities : tuple of str
        The names of all: parameters, log_prob, derived parameters.
    rows : tuple of int
        Of each ensemble, without those left out.
    ndraws : int
        Rows times walkers, over all ensembles.
    kept, steps : int
        Rows of the shortest ensemble, and steps, with those that were thinned out.
    thin_by : int
        Steps between two rows that are taken.
    redrawn : dict
        By ensemble, walkers that were redrawn after burn-in.
    row_stride, series_stride : int
        Every so many-th row is read for quantiles and R-hat, and for autocorrelation times.

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
        header = self.header = reader.header
        if rows is None:
            rows = [int(n) for n in (reader.rows if phase == "ensembles" else reader.burnin_rows)]
        self._phase, self._stops = phase, rows
        self._discard = discard
        self.names = header.names
        derived = header.derived_names if phase == "burnin" else reader.derived_names
        self.quantities = (*header.names, "log_prob", *derived)
        self.rows = tuple(max(0, n - discard) for n in rows)
        self.nensembles, self.nwalkers, self.ndim = len(rows), header.nwalkers, header.ndim
        self.ndraws = sum(self.rows) * self.nwalkers
        self.kept = min(self.rows)
        self.redrawn = {e: start.redrawn for e, start in reader.starts.items()}
        self.thin_by = header.thin_by if phase == "ensembles" else 1
        self.steps = self.kept * self.thin_by
        self.row_stride = max(1, -(-self.ndraws // (most or MOST)))
        self.series_stride = min(self.row_stride, max(1, max(self.rows) // _SERIES))
        self.reference, self._reader = reference, reader
        if header.circles:
            mean = self._circular_means(reader) if reference is None else reference
            self.reference = mean
            self._reader = UnwrappedReader(reader, header.circles, mean)
        self._values: dict[int, list[FloatArray]] = {}

    def _circular_means(self, reader: RunReader) -> FloatArray:
        """Return those of all draws."""
        with reader.open() as opened:
            blocks = (
                opened.values("chain", e, at, self._phase)
                for e in range(self.nensembles)
                for at in self.blocks(e, self.nwalkers * self.ndim)
            )
            return circular_mean(blocks, self.header.circles, self.ndim)

    def values(self, i: int) -> list[FloatArray]:
        """Return a quantity's values that are read side by side.

        Parameters
        ----------
        i : int
            Its number.

        Returns
        -------
        list of ndarray (row, walker)
            One per ensemble; shared between calls, not to be changed.

        """
        if i not in self._values:
            each = max(1, self.ndraws // self.row_stride)
            wanted = [i]
            if i != self.ndim:
                last = self.ndim if i < self.ndim else len(self.quantities)
                wanted = list(range(i, min(last, i + _AT_ONCE // each + 1)))
            self._values = {}  # before others are read: memory
            parts = list(self._read(wanted, self.row_stride))
            self._values = {j: [part[k] for part in parts] for k, j in enumerate(wanted)}
        return self._values[i]

    def series(self, i: int) -> Iterator[FloatArray]:
        """Give a quantity's rows that its times come from, ensemble after ensemble."""
        if self.series_stride == self.row_stride:
            return iter(self.values(i))
        return (part[0] for part in self._read([i], self.series_stride))

    def _read(self, wanted: Sequence[int], stride: int) -> Iterator[FloatArray]:
        """Give (quantity, row, walker) of each ensemble, at every so many-th row.

        Quantities of one kind: parameters, log_prob, or derived ones.
        """
        name = "log_prob" if wanted[0] == self.ndim else "chain"
        derived = wanted[0] > self.ndim
        with self._reader.open() as reader:
            for e, rows in enumerate(self.rows):
                part, done = np.empty((len(wanted), -(-rows // stride), self.nwalkers)), 0
                for at in self.blocks(e, self.nwalkers * self.ndim, stride):
                    if derived:
                        places = [i - self.ndim - 1 for i in wanted]
                        block = np.moveaxis(reader.derived(e, at, places, self._phase), 2, 0)
                    else:
                        block = reader.values(name, e, at, self._phase)
                        if name == "chain":
                            block = np.moveaxis(block[:, :, wanted], 2, 0)
                    count = block.shape[-2]
                    part[:, done : done + count] = block
                    done += count
                yield part

    def thinned_log_prob(self, reader: RunReader, e: int) -> FloatArray:
        """Return log_prob of one ensemble, thinned where it is long."""
        step = -(-self.ndraws // MOST) or 1
        at = slice(self._discard, self._stops[e], step)
        return reader.values("log_prob", e, at, self._phase)

    def blocks(self, e: int, width: int, stride: int = 1) -> Iterator[slice]:
        """Give the rows of an ensemble, ``width`` values each, in blocks to be read at once."""
        height = max(1, _BLOCK // width) * stride
        for start in range(self._discard, self._stops[e], height):
            yield slice(start, min(start + height, self._stops[e]), stride)
