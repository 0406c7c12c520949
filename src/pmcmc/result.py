"""The draws of a run, finished or not: from its file or from memory, without MPI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import StoreError, UsageError
from .reader import Reader
from .summary import Summary, summarize
from .survey import Survey
from .verdict import Verdict, judge

Array = npt.NDArray[Any]


def load(path: str | Path) -> Result:
    """Open the file of a run.

    Raises
    ------
    StoreError
        If it is not there, or not a pmcmc file.

    """
    return Result.open(Path(path))


class Result:
    """The draws of a run.

    Reading takes what was committed when the Result was made; load again for later draws.

    Attributes
    ----------
    path : Path or None
        The file; None for draws in memory.
    status : str
        "running", "stopped" or "finished".
    short : bool
        Whether it finished short of its until_ess or until_rhat.
    names : tuple of str
    seed, nensembles, nwalkers, ndim, nsteps, burnin, thin_by : int
        As in the file.
    steps : tuple of int
        Kept production steps of each ensemble so far.

    """

    def __init__(self, reader: Reader) -> None:
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

    @classmethod
    def open(cls, path: Path) -> Result:
        """Open the file of a run."""
        return cls(Reader(path))

    @property
    def ndraws(self) -> int:
        """Draws so far: kept steps of all ensembles times walkers."""
        return sum(self.steps) * self.nwalkers

    @property
    def acceptance_fraction(self) -> Array:
        """Accepted share of the kept steps, (ensemble, walker)."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.reader.accepted / np.array(self.steps)[:, None])

    def get_chain(self, discard: int = 0, thin: int = 1, flat: bool = False) -> Array:
        """Return the coordinates.

        Parameters
        ----------
        discard, thin : int
            Of every ensemble leave out the first steps; then keep every ``thin``-th. As in emcee.
        flat : bool
            All draws of all ensembles in one axis.

        Returns
        -------
        ndarray
            (ensemble, step, walker, ndim), cut to the shortest ensemble; flat (draws, ndim),
            all of them.

        Raises
        ------
        StoreError
            If there are no draws.

        """
        return self._get("chain", discard, thin, flat)

    def get_log_prob(self, discard: int = 0, thin: int = 1, flat: bool = False) -> Array:
        """Return log_prob, (ensemble, step, walker) or flat (draws,). See ``get_chain``."""
        return self._get("log_prob", discard, thin, flat)

    def get_blobs(self, discard: int = 0, thin: int = 1, flat: bool = False) -> Array | None:
        """Return the blobs, (ensemble, step, walker, ...) or flat (draws, ...); None without."""
        if self.reader.header.blobs_dtype is None:
            return None
        return self._get("blobs", discard, thin, flat)

    def get_burnin(self) -> Array:
        """Return the burn-in coordinates, (ensemble, step, walker, ndim)."""
        return self._stack("chain", min(self.burnin_steps), slice(None), "burnin")

    def parameter(self, name: str) -> list[Array]:
        """Return one parameter's draws, an array (step, walker) for each ensemble.

        Raises
        ------
        UsageError
            If there is no such parameter.

        """
        self.checked([name])
        i = self.names.index(name)
        return [
            self.reader.values("chain", e, slice(0, n))[:, :, i] for e, n in enumerate(self.steps)
        ]

    def summary(self) -> Summary:
        """Return the figures of all parameters; prints as a table.

        Mean, sd, quantiles, tau, ESS, R-hat and MCSE, as `diagnostics` has them, and which
        walkers or ensembles are not where the rest is.

        Raises
        ------
        StoreError
            If there are no draws.

        """
        return summarize(self.survey(), self.acceptance_fraction)

    def verdict(self) -> Verdict:
        """Return whether the draws are enough, why (not), and what to do; prints as text.

        By the run's own until_ess and until_rhat, else by an ESS of 400 and an R-hat of 1.01.

        Raises
        ------
        StoreError
            If there are no draws.

        """
        return self.judge(self.summary())

    def judge(self, summary: Summary) -> Verdict:
        """Return the verdict on a summary of these draws."""
        rules = (self.config.get("until_ess"), self.config.get("until_rhat"))
        return judge(summary, *rules, resumable=self.path is not None)

    def survey(self) -> Survey:
        """Return what works out single figures of the draws.

        Raises
        ------
        StoreError
            If there are no draws.

        """
        if not self.ndraws:
            raise StoreError(self._no_draws())
        return Survey(self.reader)

    def to_arviz(self) -> Any:
        """Return the draws for ArviZ, every walker a chain; see `pmcmc.export.to_arviz`."""
        from .export import to_arviz

        return to_arviz(self)

    def blocks(self, rows: int) -> Iterator[tuple[int, int, Array, Array]]:
        """Give the draws in order, ``rows`` steps at a time.

        Yields
        ------
        tuple
            Ensemble, first step, chain (step, walker, ndim), log_prob (step, walker).

        """
        for e, n in enumerate(self.steps):
            for start in range(0, n, rows):
                at = slice(start, min(start + rows, n))
                chain, log_prob = (self.reader.values(k, e, at) for k in ("chain", "log_prob"))
                yield e, start, chain, log_prob

    def checked(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """Return names of parameters, all if None.

        Raises
        ------
        UsageError
            If there is no such parameter.

        """
        for name in names or ():
            if name not in self.names:
                raise UsageError(
                    f"there is no parameter {name}; there are {', '.join(self.names)}"
                )
        return self.names if names is None else tuple(dict.fromkeys(names))

    def _get(self, name: str, discard: int, thin: int, flat: bool) -> Array:
        if discard < 0 or thin < 1:
            raise UsageError(
                f"discard is {discard} and thin is {thin}: expected at least 0 and at least 1"
            )
        start = discard + thin - 1
        if flat:
            if max(self.steps) <= start:
                raise StoreError(self._no_draws(discard, thin))
            parts = [
                self.reader.values(name, e, slice(start, n, thin))
                for e, n in enumerate(self.steps)
                if n > start
            ]
            return np.concatenate([p.reshape(-1, *p.shape[2:]) for p in parts])
        shortest = min(self.steps)
        if shortest <= start:
            raise StoreError(self._no_draws(discard, thin))
        return self._stack(name, shortest, slice(start, None, thin), "ensembles")

    def _stack(self, name: str, stop: int, rows: slice, phase: str) -> Array:
        cut = slice(rows.start, stop, rows.step)
        return np.stack([self.reader.values(name, e, cut, phase) for e in range(self.nensembles)])

    def _no_draws(self, discard: int = 0, thin: int = 1) -> str:
        name = self.path or "the run"
        if max(self.steps) == 0:
            return f"{name} holds no draws yet: burn-in takes {self.burnin} steps per ensemble"
        return (
            f"{name} has {min(self.steps)} to {max(self.steps)} steps per ensemble: nothing is "
            f"left with discard = {discard} and thin = {thin}"
        )
