"""The draws of a run, finished or not: read from its file or from memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import StoreError, UsageError
from ..storage.place import shown_path
from ..storage.reader import RunReader
from ..text import printable, some_text, span_text
from .names import choose

if TYPE_CHECKING:
    from .._types import AnyArray

_LOOKED_AT, _AT_ONCE = 2**27, 2**21  # values


class Draws:
    """Reads the draws of a run, as `Result` has them; attributes as there.

    Parameters
    ----------
    reader : RunReader
        Of the file, or of draws in memory.

    """

    def __init__(self, reader: RunReader) -> None:
        header = reader.header
        self.reader = reader
        self.path, self.status, self.short = reader.path, reader.status, reader.short
        self.problem, self.names, self.seed = header.problem, header.names, header.seed
        self.nensembles, self.nwalkers, self.ndim = len(header.steps), header.nwalkers, header.ndim
        self.nsteps, self.burnin, self.thin_by = sum(header.steps), header.burnin, header.thin_by
        self.target = header.steps
        self.steps = tuple(int(n) for n in reader.rows)
        self.burnin_steps = tuple(int(n) for n in reader.burnin_rows)
        self.config, self.version = header.config, reader.version
        self.derived, self.bounds = reader.derived_names, header.bounds
        self.labels = header.labels | reader.added.labels
        self.fixed = {printable(n): float(x) for n, x in header.parameters.fixed.items()}
        self.quantities = (*self.names, *self.derived)

    @property
    def ndraws(self) -> int:
        """Draws so far: kept steps of all ensembles times walkers."""
        return sum(self.steps) * self.nwalkers

    @property
    def open_ended(self) -> bool:
        """Whether production goes on until the draws are enough."""
        return bool(self.config.get("nsteps") == "auto")

    @property
    def acceptance_fraction(self) -> AnyArray:
        """Accepted share of the kept steps, (ensemble, walker); NaN in an ensemble without any."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.reader.accepted / np.array(self.steps)[:, None])

    def get_chain(self, discard: int = 0, thin: int = 1, flat: bool = False) -> AnyArray:
        """Return the coordinates.

        Parameters
        ----------
        discard, thin : int
            Of every ensemble leave out the first ``discard`` steps (default: 0); then keep every
            ``thin``-th (default: 1). As in emcee.
        flat : bool
            All draws in one axis, ensemble after ensemble. Default: False.

        Returns
        -------
        ndarray
            (ensemble, step, walker, ndim), cut to the shortest ensemble; flat (draws, ndim),
            all of them.

        Raises
        ------
        UsageError
            If ``discard`` is below 0 or ``thin`` below 1.
        StoreError
            If no draws are left: in the shortest ensemble, or with ``flat`` in all of them.

        """
        return self._get("chain", discard, thin, flat)

    def get_log_prob(self, discard: int = 0, thin: int = 1, flat: bool = False) -> AnyArray:
        """Return the log posterior.

        Parameters
        ----------
        discard, thin, flat
            As for ``get_chain``, with its errors.

        Returns
        -------
        ndarray
            (ensemble, step, walker), cut to the shortest ensemble; flat (draws,).

        """
        return self._get("log_prob", discard, thin, flat)

    def get_blobs(self, discard: int = 0, thin: int = 1, flat: bool = False) -> AnyArray | None:
        """Return the blobs.

        Parameters
        ----------
        discard, thin, flat
            As for ``get_chain``, with its errors.

        Returns
        -------
        ndarray or None
            (ensemble, step, walker, ...), cut to the shortest ensemble; flat (draws, ...). None
            where log_prob has no blobs.

        """
        if self.reader.header.blobs_dtype is None:
            return None
        return self._get("blobs", discard, thin, flat)

    def get_derived(self, discard: int = 0, thin: int = 1, flat: bool = False) -> AnyArray:
        """Return the derived parameters.

        Parameters
        ----------
        discard, thin, flat
            As for ``get_chain``, with its errors.

        Returns
        -------
        ndarray
            (ensemble, step, walker, derived), cut to the shortest ensemble; flat (draws,
            derived). In the order of ``derived``, which may be none.

        """
        if not self.derived:
            return np.empty((*self.get_log_prob(discard, thin, flat).shape, 0))
        return self._get("derived", discard, thin, flat)

    def get_burnin(self) -> AnyArray:
        """Return the burn-in, (ensemble, step, walker, ndim), cut to the shortest; or empty."""
        return self._stack("chain", min(self.burnin_steps), slice(None), "burnin")

    def parameter(self, name: str) -> list[AnyArray]:
        """Return one parameter's draws.

        Parameters
        ----------
        name : str
            One of ``names`` or ``derived``.

        Returns
        -------
        list of ndarray (step, walker)
            One per ensemble, not cut.

        Raises
        ------
        UsageError
            If there is no such parameter.

        """
        self.checked([name])
        with self.reader.open() as reader:
            if name in self.names:
                i = self.names.index(name)
                return [
                    reader.values("chain", e, slice(0, n))[:, :, i]
                    for e, n in enumerate(self.steps)
                ]
            place = [self.derived.index(name)]
            return [
                reader.derived(e, slice(0, n), place)[..., 0] for e, n in enumerate(self.steps)
            ]

    def not_finite(self) -> str | None:
        """Return which draws are no numbers, in words: a run keeps none, so the file was changed.

        Of more than 1 GB only every so many-th row is looked at.

        Returns
        -------
        str or None
            None where all are numbers.

        """
        wrong = np.zeros(self.ndim + 1, dtype=int)
        values = sum(self.steps) * self.nwalkers * (self.ndim + 1)
        stride = max(1, -(-values // _LOOKED_AT))
        rows = max(1, _AT_ONCE // (self.nwalkers * self.ndim))
        with self.reader.open() as reader:
            for e, n in enumerate(self.steps):
                for start in range(0, n, rows * stride):
                    at = slice(start, min(start + rows * stride, n), stride)
                    chain, log_prob = (reader.values(k, e, at) for k in ("chain", "log_prob"))
                    wrong[:-1] += (~np.isfinite(chain)).sum(axis=(0, 1))
                    wrong[-1] += (np.isnan(log_prob) | (log_prob == np.inf)).sum()
        if not wrong.any():
            return None
        names = [*self.names, "log_prob"]
        told = some_text([f"{n} of {name}" for name, n in zip(names, wrong, strict=True) if n])
        return (
            f"draws in {shown_path(self.path)} are NaN or infinite ({told}), which no run writes: "
            "the file was changed (see: status --verify)"
        )

    def blocks(self, rows: int) -> Iterator[tuple[int, int, AnyArray, AnyArray]]:
        """Give the draws in order, ensemble after ensemble, in bounded memory.

        Parameters
        ----------
        rows : int
            Steps at a time, at most; 1 or more.

        Yields
        ------
        tuple
            Ensemble, first step in it, parameters and derived ones (step, walker, quantity),
            log_prob (step, walker).

        """
        with self.reader.open() as reader:
            for e, n in enumerate(self.steps):
                for start in range(0, n, rows):
                    at = slice(start, min(start + rows, n))
                    chain, log_prob = (reader.values(k, e, at) for k in ("chain", "log_prob"))
                    if self.derived:
                        chain = np.concatenate([chain, reader.derived(e, at)], axis=2)
                    yield e, start, chain, log_prob

    def checked(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """Return names of parameters, each once, in the order given.

        Parameters
        ----------
        names : sequence of str or None
            ``*`` stands for anything, as in ``beta[*]``. None: all, the derived ones last.

        Raises
        ------
        UsageError
            If there is no such parameter.

        """
        return choose(names, self.quantities)

    def _get(self, name: str, discard: int, thin: int, flat: bool) -> AnyArray:
        if discard < 0 or thin < 1:
            raise UsageError(
                f"discard is {discard} and thin is {thin}: expected at least 0 and at least 1"
            )
        start = discard + thin - 1
        if flat:
            if max(self.steps) <= start:
                raise StoreError(self._no_draws(discard, thin))
            with self.reader.open() as reader:
                parts = [
                    _rows(reader, name, e, slice(start, n, thin))
                    for e, n in enumerate(self.steps)
                    if n > start
                ]
            return np.concatenate([p.reshape(-1, *p.shape[2:]) for p in parts])
        shortest = min(self.steps)
        if shortest <= start:
            raise StoreError(self._no_draws(discard, thin))
        return self._stack(name, shortest, slice(start, None, thin), "ensembles")

    def _stack(self, name: str, stop: int, rows: slice, phase: str) -> AnyArray:
        cut = slice(rows.start, stop, rows.step)
        with self.reader.open() as reader:
            return np.stack([_rows(reader, name, e, cut, phase) for e in range(self.nensembles)])

    def _no_draws(self, discard: int = 0, thin: int = 1) -> str:
        name = self.path or "the run"
        if max(self.steps) == 0:
            at = span_text(self.burnin_steps)
            end = "until it has settled" if self.config.get("burnin") == "auto" else ""
            end = end or f"of {self.burnin} per ensemble"
            return f"{name} holds no draws yet: it is in burn-in, at step {at} {end}"
        return (
            f"{name} has {min(self.steps)} to {max(self.steps)} steps per ensemble: nothing is "
            f"left with discard = {discard} and thin = {thin}"
        )


def _rows(reader: RunReader, name: str, e: int, rows: slice, phase: str = "ensembles") -> AnyArray:
    if name == "derived":
        return reader.derived(e, rows)
    return reader.values(name, e, rows, phase)
