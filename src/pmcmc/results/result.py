"""What users get of a run: its draws, their figures, the verdict, pictures; without MPI."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cores import count_cores
from ..diagnostics.statistics import ChainStatistics
from ..diagnostics.summarize import summarize
from ..diagnostics.summary import Summary
from ..diagnostics.table import KINDS
from ..diagnostics.verdict import Verdict
from ..errors import PmcmcError, StoreError, UsageError
from ..option_words import in_python
from ..storage.cut import CutReader
from ..storage.reader import RunReader
from . import shown
from .assessment import assess_draws
from .draws import Draws
from .files import write_file
from .html import result_html

if TYPE_CHECKING:
    pass

_THREADS = 4  # that figures are worked out by, at most: each holds arrays of its own


class Result(Draws):
    """The draws of a run, their figures and pictures.

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
    derived, quantities : tuple of str
        Names of the derived parameters, which are scalar blobs; and of all, these last.
    fixed : dict of str to float
        Parameters that were not sampled, and their values.
    labels : dict of str to str
        What plots and exports write for a name, where the model says so.
    bounds : tuple of (float or None, float or None)
        Where each parameter's prior is not zero; empty where there are no priors.
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

    @classmethod
    def open(cls, path: Path) -> Result:
        """Open the file of a run, as ``load`` does."""
        return cls(RunReader(path))

    def in_short(self) -> str:
        """Return in a line how many draws there are, and whether the run is over."""
        return shown.in_short(self)

    def __repr__(self) -> str:
        """Return what it is, without working out figures."""
        return shown.without_figures(self)

    def __str__(self) -> str:
        """Return the table of figures and the verdict."""
        if not self.ndraws:
            return repr(self)
        summary = self.summary()
        return shown.with_figures(self, summary, self.assess(summary))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show it in IPython as ``print`` does."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """Show it in a notebook: table, verdict, corner."""
        return result_html(self)

    def plot_corner(
        self,
        names: Sequence[str] | None = None,
        truths: Mapping[str, float] | None = None,
    ) -> Any:
        """Return the marginal distributions of parameters and of pairs, as a matplotlib figure.

        Parameters
        ----------
        names : sequence of str, optional
            Which parameters; ``*`` stands for anything. Default: all, at most 8.
        truths : mapping of str to float, optional
            True values, which are marked.

        Raises
        ------
        PmcmcError
            If matplotlib or corner is not there.
        StoreError
            If there are no draws.

        """
        return self._figure("corner", names, truths)

    def plot_trace(
        self,
        names: Sequence[str] | None = None,
        truths: Mapping[str, float] | None = None,
    ) -> Any:
        """Return parameters and log_prob step after step, as a matplotlib figure.

        Parameters
        ----------
        names : sequence of str, optional
            Which parameters; ``*`` stands for anything. Default: all.
        truths : mapping of str to float, optional
            True values, which are marked.

        Raises
        ------
        PmcmcError
            If matplotlib or corner is not there.
        StoreError
            If there are no draws.

        """
        return self._figure("trace", names, truths)

    def _figure(
        self, kind: str, names: Sequence[str] | None, truths: Mapping[str, float] | None
    ) -> Any:
        plots = _module("plots")
        return dict(plots.pictures(self, names, truths=truths, page=10**6))[kind]()

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
        page: str = _module("report").report(self)
        try:
            write_file(Path(path), page.encode("utf-8", "backslashreplace"), overwrite)
        except PmcmcError as error:
            error.args = (in_python(str(error)),)
            raise
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

    def add_derived(
        self,
        name: str,
        function: Callable[[Any], Any],
        label: str | None = None,
        vectorized: bool = False,
    ) -> None:
        """Work out a quantity of every draw; it then stands in tables, plots and exports.

        It is kept in the file, which a whole new one takes the place of; no draw is touched. One
        that was added before under the same name is replaced.

        Parameters
        ----------
        name : str
            Of the quantity.
        function : callable
            ``f(theta)``, with theta as the functions of the model get it, shape (parameters,).
        label : str, optional
            What plots and exports write for it.
        vectorized : bool
            It takes many draws, (n, parameters), and returns (n,). Default: False.

        Raises
        ------
        ModelError
            If there is a parameter or a blob of that name.
        EvaluationError
            If the function raises, or returns anything but real numbers.
        UsageError
            If a job writes the file, or these are draws that were ``cut``.
        StoreError
            If there are no draws, or they cannot be written.

        """
        labels = {} if label is None else {name: label}
        reader: RunReader = _module("derive").add_derived(
            self, {name: function}, labels, vectorized
        )
        Draws.__init__(self, reader)

    def summary(self, kind: str = "quantiles") -> Summary:
        """Return the figures of all parameters; prints as a table.

        Mean, sd, quantiles, tau, ESS, R-hat and MCSE, as `diagnostics` has them, and which
        walkers or ensembles are not where the rest is.

        Parameters
        ----------
        kind : {"quantiles", "hdi", "mode"}
            What stands beside mean and sd: the 16%, 50% and 84% quantiles (default); the ends of
            the 68% highest-density interval round the median; or round the mode.

        Raises
        ------
        UsageError
            If there is no such kind.
        StoreError
            If there are no draws.

        """
        if kind not in KINDS:
            raise UsageError(f"kind is {kind!r}: expected one of {', '.join(KINDS)}")
        return summarize(self.statistics(), kind, min(_THREADS, count_cores()))

    def verdict(self) -> Verdict:
        """Return whether the draws are enough, why (not), and what to do; prints as text.

        By the run's own until_ess and until_rhat, else by an ESS of 400 and an R-hat of 1.01.

        Raises
        ------
        StoreError
            If there are no draws.

        """
        verdict = self.assess(self.summary())
        return replace(verdict, lines=tuple(map(in_python, verdict.lines)))

    def assess(self, summary: Summary) -> Verdict:
        """Return the verdict on a summary of these draws: ``verdict``, where there is one already.

        Parameters
        ----------
        summary : Summary
            As ``summary()`` returns it.

        """
        return assess_draws(self, summary)

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
        return _module("exports.arviz").to_arviz(self)

    def to_dataframe(self) -> Any:
        """Return the draws as a pandas DataFrame, a row for each.

        Returns
        -------
        DataFrame
            Parameters and derived ones, log_prob, ensemble, step, walker. A parameter that is
            called as one of those four has _ behind its name.

        Raises
        ------
        PmcmcError
            If pandas is not there.
        StoreError
            If there are no draws.

        """
        self.statistics()  # says so if there are none
        return _module("exports.table").to_dataframe(self)


def _module(module: str) -> Any:
    """Return a module that draws or exports results, which it knows: loaded where needed."""
    return importlib.import_module(f".{module}", __package__)
