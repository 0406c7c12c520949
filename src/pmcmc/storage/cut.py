"""A file read as if some of it were not there: first steps, steps between, walkers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError
from .reader import RunReader

if TYPE_CHECKING:
    from .._types import AnyArray

_BLOCK = 2**20  # values read at once


class CutReader(RunReader):
    """Reads the kept steps of a run without some of them; all else is as in the file.

    Rows are those of emcee's ``get_chain(discard, thin)``: ``[discard + thin - 1 :: thin]``.

    Parameters
    ----------
    whole : RunReader
        Of the file.
    discard : int
        Kept steps of each ensemble to leave out first.
    thin : int
        Of those that are left, every so many-th is taken.

    Attributes
    ----------
    thin : int
        As given.
    left_out : int
        Kept steps of all ensembles that are not there, those between two rows apart.

    Raises
    ------
    UsageError
        If ``discard`` is below 0 or ``thin`` below 1, or no step of any ensemble is left.

    """

    def __init__(self, whole: RunReader, discard: int, thin: int) -> None:
        self.__dict__.update(vars(whole))
        if discard < 0 or thin < 1:
            raise UsageError(
                f"discard is {discard} and thin is {thin}: expected at least 0 and at least 1"
            )
        self._first, self.thin = discard + thin - 1, thin
        header = whole.header
        self.rows = self._left(whole.rows)
        self.left_out = int(whole.rows.sum() - thin * self.rows.sum())
        if not self.rows.any() and whole.rows.any():
            raise UsageError(
                f"discard is {discard} and thin is {thin}: expected less than the "
                f"{whole.rows.max()} steps that the longest ensemble has"
            )
        steps = tuple(int(n) for n in self._left(np.array(header.steps)))
        self.header = replace(header, thin_by=header.thin_by * thin, steps=steps)
        del self.__dict__["accepted"]

    def _left(self, rows: AnyArray) -> AnyArray:
        return np.asarray(np.maximum(0, -(-(rows - self._first) // self.thin)))

    def values(self, name: str, ensemble: int, rows: slice, phase: str = "ensembles") -> AnyArray:
        """Return rows of one ensemble, as ``RunReader.values`` does; these are counted anew."""
        if phase == "ensembles":
            start, stop, step = rows.indices(int(self.rows[ensemble]))
            first, thin = self._first, self.thin
            rows = slice(first + start * thin, first + stop * thin, step * thin)
        return super().values(name, ensemble, rows, phase)

    @cached_property
    def accepted(self) -> AnyArray:  # type: ignore[override]
        """How often each walker is not where it was a step before, (ensemble, walker)."""
        accepted = np.zeros((len(self.rows), self.header.nwalkers))
        height = max(1, _BLOCK // (self.header.nwalkers * self.header.ndim))
        with self.open() as reader:
            for e, count in enumerate(self.rows):
                before = slice(max(0, self._first - 1), self._first)
                last = RunReader.values(reader, "chain", e, before)
                for start in range(0, int(count), height):
                    chain = reader.values("chain", e, slice(start, start + height))
                    chain = np.concatenate([last, chain])
                    accepted[e] += (np.diff(chain, axis=0) != 0).any(axis=2).sum(axis=0)
                    last = chain[-1:]
        return accepted


class SubstitutedReader(RunReader):
    """Reads the burn-in of a run with other walkers in place of some; all else is as in the file.

    Parameters
    ----------
    whole : RunReader
        Of the file.
    walkers : mapping of int to ndarray (walker,)
        By ensemble, the number of the walker that is read as each one.

    """

    def __init__(self, whole: RunReader, walkers: Mapping[int, AnyArray]) -> None:
        self.__dict__.update(vars(whole))
        self._whole, self._walkers = whole, walkers
        self.burnin_accepted = whole.burnin_accepted.copy()
        for e, numbers in walkers.items():
            self.burnin_accepted[e] = self.burnin_accepted[e, numbers]

    def values(self, name: str, ensemble: int, rows: slice, phase: str = "ensembles") -> AnyArray:
        """Return rows of one ensemble, as ``RunReader.values`` does."""
        values = self._whole.values(name, ensemble, rows, phase)
        numbers = self._walkers.get(ensemble)
        return values if numbers is None else values[:, numbers]

    @contextlib.contextmanager
    def open(self) -> Iterator[RunReader]:
        """Give a reader that holds the file open, as ``RunReader.open`` does."""
        with self._whole.open() as whole:
            yield SubstitutedReader(whole, self._walkers)
