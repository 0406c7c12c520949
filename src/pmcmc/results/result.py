"""The draws of a run, finished or not: from its file or from memory, without MPI."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..diagnostics.advice import Continuation
from ..diagnostics.statistics import ChainStatistics
from ..diagnostics.summary import Summary, summarize
from ..diagnostics.verdict import Verdict, assess
from ..errors import StoreError, UsageError
from ..storage.cut import CutReader
from ..storage.place import shown_path
from ..storage.reader import RunReader
from ..text import count_text, some_text, span_text
from .arviz import to_arviz
from .files import write_file
from .html import result_html

if TYPE_CHECKING:
    from .._types import AnyArray


_LOOKED_AT, _AT_ONCE = 2**27, 2**21  # values


def load(path: str | Path) -> Result:
    """Open the file of a run.

    Parameters
    ----------
    path : str or Path
        The HDF5 file that ``run`` or the command line wrote, finished or not.

    Returns
    -------
    Result
        The draws committed so far.

    Raises
    ------
    StoreError
        If there is no such file, or it is not a pmcmc file, of a newer format, or damaged.

    """
    return Result.open(Path(path))


def load_into_memory(path: Path) -> Result:
    """Read the file of a run as a whole, which is not needed any more then; raises as ``load``."""
    return Result(RunReader.in_memory(path))


class Result:
    """The draws of a run.

    Reading takes what was committed when the Result was made; load again for later draws. Steps
    are kept ones, unless said otherwise. Reading raises StoreError if the file is gone or damaged.

    Attributes
    ----------
    path : Path or None
        The file; None for draws in memory.
    status : str
        "running", "stopped" or "finished".
    short : bool
        Whether it finished short of its until_ess or until_rhat.
    problem : str
        Name of the problem.
    names : tuple of str
        Names of the parameters, in the order of the last axis of the chain.
    seed, nensembles, nwalkers, ndim, nsteps, burnin, thin_by : int
        As in the file; ``nsteps`` is the target, over all ensembles, or the room of the file
        where the run is open-ended.
    target, steps : tuple of int
        Kept production steps of each ensemble: to take, and taken so far.
    burnin_steps : tuple of int
        Burn-in steps of each ensemble so far.
    config : dict
        The options of the run.
    version : str
        The version of pmcmc that made the file.

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

    @classmethod
    def open(cls, path: Path) -> Result:
        """Open the file of a run, as ``load`` does."""
        return cls(RunReader(path))

    def in_short(self) -> str:
        """Return in a line how many draws there are, and whether the run is over."""
        state = "short of its stop rule" if self.short else self.status
        return (
            f"{self.ndraws} draws of {count_text(self.ndim, 'parameter')}, "
            f"{count_text(self.nensembles, 'ensemble')} of {self.nwalkers} walkers, "
            f"{span_text(self.steps)} steps each; {state}"
        )

    def __repr__(self) -> str:
        """Return what it is, without working out figures."""
        where = "in memory" if self.path is None else f"in {shown_path(self.path)}"
        return f"<pmcmc.Result of {self.problem}: {self.in_short()}; {where}>"

    def __str__(self) -> str:
        """Return the table of figures and the verdict."""
        if not self.ndraws:
            return repr(self)
        summary = self.summary()
        return f"{self.problem}: {self.in_short()}\n\n{summary}\n\n{self.assess(summary)}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show it in IPython as ``print`` does."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """Show it in a notebook: table, verdict, corner."""
        return result_html(self)

    def plot_corner(self, names: Sequence[str] | None = None) -> Any:
        """Return the marginal distributions of parameters and of pairs, as a matplotlib figure.

        Parameters
        ----------
        names : sequence of str, optional
            Which parameters. Default: all, at most 12.

        Raises
        ------
        PmcmcError
            If matplotlib or corner is not there.
        StoreError
            If there are no draws.

        """
        return self._figure("corner", names)

    def plot_trace(self, names: Sequence[str] | None = None) -> Any:
        """Return parameters and log_prob step after step, as a matplotlib figure.

        Parameters
        ----------
        names : sequence of str, optional
            Which parameters. Default: all, at most 30.

        Raises
        ------
        PmcmcError
            If matplotlib or corner is not there.
        StoreError
            If there are no draws.

        """
        return self._figure("trace", names)

    def _figure(self, kind: str, names: Sequence[str] | None) -> Any:
        found = _drawing("plots").figures(self, names)
        return next(figure for name, figure in found if name == kind)

    def report(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write one HTML page: verdict, tables, plots, times, settings.

        Parameters
        ----------
        path : str or Path
            Where to.
        overwrite : bool
            Replace a file that pmcmc did not make. Default: False.

        Returns
        -------
        Path

        Raises
        ------
        PmcmcError
            If it cannot be drawn or written, or another file is there.

        """
        page: str = _drawing("report").report(self)
        write_file(Path(path), page.encode("utf-8", "backslashreplace"), overwrite)
        return Path(path)

    def cut(self, discard: int = 0, thin: int = 1) -> Result:
        """Return the draws without some steps, as ``get_chain`` leaves them out.

        Its figures, verdict, plots and exports are those of the steps that are left.

        Parameters
        ----------
        discard, thin : int
            Of every ensemble leave out the first ``discard`` kept steps (default: 0); then keep
            every ``thin``-th (default: 1).

        Raises
        ------
        UsageError
            If ``discard`` is below 0 or ``thin`` below 1, or nothing is left.

        """
        return self if (discard, thin) == (0, 1) else Result(CutReader(self.reader, discard, thin))

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

    @property
    def open_ended(self) -> bool:
        """Whether production goes on until the draws are enough."""
        return bool(self.config.get("nsteps") == "auto")

    @property
    def ndraws(self) -> int:
        """Draws so far: kept steps of all ensembles times walkers."""
        return sum(self.steps) * self.nwalkers

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

    def get_burnin(self) -> AnyArray:
        """Return the burn-in, (ensemble, step, walker, ndim), cut to the shortest; or empty."""
        return self._stack("chain", min(self.burnin_steps), slice(None), "burnin")

    def parameter(self, name: str) -> list[AnyArray]:
        """Return one parameter's draws.

        Parameters
        ----------
        name : str
            One of ``names``.

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
        i = self.names.index(name)
        with self.reader.open() as reader:
            return [
                reader.values("chain", e, slice(0, n))[:, :, i] for e, n in enumerate(self.steps)
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
        return summarize(self.statistics())

    def verdict(self) -> Verdict:
        """Return whether the draws are enough, why (not), and what to do; prints as text.

        By the run's own until_ess and until_rhat, else by an ESS of 400 and an R-hat of 1.01.

        Raises
        ------
        StoreError
            If there are no draws.

        """
        return self.assess(self.summary())

    def assess(self, summary: Summary) -> Verdict:
        """Return the verdict on a summary of these draws: ``verdict``, where there is one already.

        Parameters
        ----------
        summary : Summary
            As ``summary()`` returns it.

        """
        rules = (self.config.get("until_ess"), self.config.get("until_rhat"))
        how = Continuation(
            resumable=self.path is not None,
            open_ended=self.open_ended,
            at_most=self.open_ended and self.status == "finished",
            rescued=bool(self.config.get("rescue")),
        )
        if isinstance(self.reader, CutReader):
            how = replace(how, thin=self.reader.thin, left_out=self.reader.left_out)
        return assess(summary, *rules, how)

    def statistics(self) -> ChainStatistics:
        """Return what works out single figures of the draws.

        Raises
        ------
        StoreError
            If there are no draws.

        """
        if not self.ndraws:
            raise StoreError(self._no_draws())
        return ChainStatistics(self.reader)

    def to_arviz(self) -> Any:
        """Return the draws for ArviZ: an InferenceData, from ArviZ 1 on an xarray DataTree.

        Every walker is a chain, as in ``arviz.from_emcee``, cut to the shortest ensemble.
        Walkers of one ensemble depend on each other: for R-hat and ESS see ``summary``, which is
        kept in the attributes of sample_stats.

        Raises
        ------
        PmcmcError
            If ArviZ is not there.
        StoreError
            If an ensemble has no draws.

        """
        rows = self.summary().rows
        about = {"inference_library": "pmcmc", "inference_library_version": self.version}
        figures = {
            f"pmcmc_{figure}": [float(getattr(row, figure)) for row in rows]
            for figure in ("tau", "ess_bulk", "ess_tail", "r_hat")
        }
        return to_arviz(self.get_chain(), self.get_log_prob(), self.names, about, figures)

    def blocks(self, rows: int) -> Iterator[tuple[int, int, AnyArray, AnyArray]]:
        """Give the draws in order, ensemble after ensemble, in bounded memory.

        Parameters
        ----------
        rows : int
            Steps at a time, at most; 1 or more.

        Yields
        ------
        tuple
            Ensemble, first step in it, chain (step, walker, ndim), log_prob (step, walker).

        """
        with self.reader.open() as reader:
            for e, n in enumerate(self.steps):
                for start in range(0, n, rows):
                    at = slice(start, min(start + rows, n))
                    chain, log_prob = (reader.values(k, e, at) for k in ("chain", "log_prob"))
                    yield e, start, chain, log_prob

    def checked(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """Return names of parameters, each once, in the order given.

        Parameters
        ----------
        names : sequence of str or None
            None: all.

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
                    reader.values(name, e, slice(start, n, thin))
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
            return np.stack([reader.values(name, e, cut, phase) for e in range(self.nensembles)])

    def _no_draws(self, discard: int = 0, thin: int = 1) -> str:
        name = self.path or "the run"
        if max(self.steps) == 0:
            return f"{name} holds no draws yet: burn-in takes {self.burnin} steps per ensemble"
        return (
            f"{name} has {min(self.steps)} to {max(self.steps)} steps per ensemble: nothing is "
            f"left with discard = {discard} and thin = {thin}"
        )


def _drawing(module: str) -> Any:
    """Return a module that draws results, which it knows: loaded where it is needed."""
    return importlib.import_module(f".{module}", __package__)
