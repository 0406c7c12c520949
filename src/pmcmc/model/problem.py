"""The problem: what to sample. log_prob, parameter names, priors, start, blobs.

A ``Problem`` evaluates rows of coordinates and turns what the user's function returns into
plain float64 arrays, in the way emcee would, with an error that says which parameters failed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks
from .calls import Caller
from .derived import (
    Place,
    check_derived,
    check_derived_functions,
    check_labels,
    name_derived,
)
from .evaluating import evaluate_or_raise, evaluate_or_reject, take_part
from .failures import at_text, by_name
from .first_point import first_points, try_points
from .from_file import make_problem
from .identity import hash_of, settings_of, text_of
from .outputs import Evaluation, OutputFormat
from .parameters import Parameters
from .posterior import Group, Posterior
from .shown import problem_html, problem_text
from .timeout import TimeLimit

if TYPE_CHECKING:
    from .._types import Comm, FloatArray, Tick


class Problem:
    """What to sample.

    Parameters
    ----------
    log_prob : callable, optional
        ``log_prob(theta, *args, **kwargs)``: the log of the (unnormalised) posterior at
        ``theta``, float64 of shape (ndim,), or for ``vectorized`` of shape (n, ndim) with a
        result of shape (n,). May return blobs as in emcee: ``return lp, a, b``. Where it has a
        parameter ``comm`` it is called on several ranks at once, see ``ranks_per_evaluation`` of
        `pmcmc.run`.
    parameters : list of str, or dict of str to frozen scipy.stats distribution
        The names; with a dict also the priors, and then ``log_likelihood`` is the function. In
        the dict a number in place of a prior fixes a parameter: it is not sampled, and stands in
        theta at its place. A list of priors or numbers is a vector: ``beta[0]``, ``beta[1]``, ...
    log_likelihood, log_prior : callable, optional
        Instead of ``log_prob``. ``log_prior`` adds what a table of priors cannot say. The
        likelihood is not called where the prior is zero.
    initial : array (ndim,) or (nwalkers, ndim), callable (nwalkers, rng), "prior" or "map"
        The start: a centre of a small ball, the walkers, a function that makes them, draws from
        the priors, or a ball round the best point found from there ("map", the default
        with priors).
    args, kwargs : tuple, dict
        Passed on to the functions.
    vectorized : bool
        The functions take many rows at once.
    blobs_dtype : dtype, optional
        As in emcee. Without it numeric blobs are float64.
    moves : list, optional
        emcee moves, or (move, weight) pairs, in place of ``--moves``.
    nwalkers : int, optional
        Walkers per ensemble where ``--nwalkers`` is not given.
    ndim : int, optional
        In place of ``parameters``: names are then theta_0, theta_1, ...
    periodic : dict of str to (float, float), optional
        Where parameters have no priors: those on circles, with where a turn begins and ends; as
        `pmcmc.periodic` says it in a table of priors.
    derived : list of str, or dict of str to callable, optional
        Names of the blobs that are single numbers, which then stand in tables, plots and exports.
        Default: the fields of ``blobs_dtype``, else blob_0, blob_1, ... Or functions of theta by
        name, for ``pmcmc derive`` and ``Result.add_derived`` after the run.
    labels : dict of str to str, optional
        What plots and exports write for a name, as ``{"m": "$m$"}``. Default: the name.
    name : str
        For messages and the file.

    Raises
    ------
    ModelError
        If these do not describe a problem.

    """

    def __init__(
        self,
        log_prob: Callable[..., Any] | None = None,
        parameters: Sequence[str] | Mapping[str, Any] | None = None,
        *,
        log_likelihood: Callable[..., Any] | None = None,
        log_prior: Callable[..., Any] | None = None,
        initial: Any = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        vectorized: bool = False,
        blobs_dtype: Any = None,
        moves: Any = None,
        nwalkers: int | None = None,
        ndim: int | None = None,
        periodic: Mapping[str, tuple[float, float]] | None = None,
        derived: Sequence[str] | Mapping[str, Callable[..., Any]] | None = None,
        labels: Mapping[str, str] | None = None,
        name: str = "problem",
    ) -> None:
        self.name, self.source, self.path = name, "", ""
        self.parameters = Parameters.read(parameters, ndim, periodic)
        self.names, self.ndim = self.parameters.names, len(self.parameters.names)
        self.priors, self.fixed = self.parameters.priors, self.parameters.fixed
        functions = checks.check_functions(log_prob, log_likelihood, log_prior, parameters)
        self._caller = Caller(self.describe)
        given = checks.check_arguments(args, kwargs)
        self.vectorized = bool(vectorized)
        self.rejecting = False
        self.moves = moves
        self.returns = OutputFormat(blobs_dtype, self.vectorized)
        self.posterior = Posterior(*functions, *given, self.parameters, self.returns)
        names = self.parameters.all_names
        self.derived_functions = later = check_derived_functions(derived, names)
        self._derived = None if later else check_derived(derived, names)
        self.labels = check_labels(labels)
        self.initial = checks.check_initial(initial, self.names, bool(self.priors))
        self.nwalkers = checks.check_nwalkers(nwalkers, self.initial)

    @staticmethod
    def load(model: str) -> Problem:
        """Load a model: a .py file, an importable module, or a built-in example.

        Parameters
        ----------
        model : str
            Path of the file, or name of the module or example.

        Raises
        ------
        UsageError, ModelError
            If it is not there; if it does not run, or does not describe a problem.

        """
        problem: Problem = make_problem(model, Problem)
        return problem

    def __repr__(self) -> str:
        """Return its name and parameters."""
        return problem_text(self.name, self.names, self.initial, self.vectorized)

    def _repr_html_(self) -> str:
        """Show it in a notebook: parameters with their priors and the point of the start."""
        return problem_html(self.name, self.parameters, self.initial)

    def initial_is(self, word: str) -> bool:
        """Tell whether the start is that word, "prior" or "map"."""
        return isinstance(self.initial, str) and self.initial == word

    @property
    def own_start(self) -> bool:
        """Whether to find a start takes code of the model's that is not log_prob."""
        drawn = isinstance(self.initial, str) and any(prior.own for prior in self.priors)
        return callable(self.initial) or drawn

    # ---- evaluation

    def log_prob(self, theta: FloatArray) -> Any:
        """Return the log posterior as emcee takes it; no likelihood call where the prior is zero.

        Parameters
        ----------
        theta : ndarray
            (ndim,), or (n, ndim) for a vectorized problem.

        Returns
        -------
        float, tuple, or ndarray (n,)
            A tuple where there are blobs, log_prob first; an array for a vectorized problem.

        """
        return self.posterior.log_prob(np.asarray(theta, dtype=np.float64))

    def evaluate(
        self, coords: FloatArray, tick: Tick | None = None, where: str = ""
    ) -> Evaluation:
        """Return log_prob and blobs of rows, one call per row, or one for all if vectorized.

        Parameters
        ----------
        coords : ndarray (n, ndim)
            Rows of coordinates.
        tick : callable, optional
            Called between evaluations: it looks for signals and messages and may raise.
        where : str
            Rank and host, for the error message.

        Raises
        ------
        EvaluationError
            If log_prob raises, or returns NaN, +inf, or something of the wrong shape.

        """
        evaluate = evaluate_or_reject if self.rejecting else evaluate_or_raise
        function = self.posterior.direct
        return evaluate(self._caller, self.returns, self.names, function, coords, tick, where)

    def limit(self, on_error: str, timeout: float | None) -> None:
        """Say what becomes of evaluations that fail, and how long one may take.

        Parameters
        ----------
        on_error : {"abort", "reject"}
            Whether it is an error, or counts as log_prob -inf.
        timeout : float or None
            Seconds; None for no limit.

        """
        self.rejecting = on_error == "reject"
        self._caller.limit = None if timeout is None else TimeLimit(timeout)
        if self.posterior.group is not None:
            self.join(self.posterior.group)

    def why_excluded(self, theta: FloatArray) -> str:
        """Say what makes log_prob -inf at a point, (ndim,)."""
        return self.posterior.why_excluded(theta)

    @property
    def single(self) -> bool:
        """Whether log_prob was of single precision."""
        return self.posterior.single

    def join(self, group: Group) -> None:
        """Evaluate log_prob together with other ranks from now on.

        Parameters
        ----------
        group : Group
            They, and this one.

        """
        self.posterior.group = group
        group.describe, group.own_part_is_over = self.describe, self._caller.relax
        limit = self._caller.limit
        group.rejecting = self.rejecting
        group.patience = math.inf if limit is None else limit.patience

    def part(self) -> None:
        """Evaluate log_prob alone again, where it was joined to a group."""
        self.posterior.group = None

    def take_part(self, theta: FloatArray, comm: Comm, where: str = "") -> None:
        """Call the function for an evaluation of another rank's, which takes its value.

        Parameters
        ----------
        theta : ndarray (ndim,) or (n, ndim)
            As that rank calls it.
        comm : MPI communicator
            Of the ranks that call it together.
        where : str
            Rank and host, for the error message.

        Raises
        ------
        EvaluationError
            If it raises. Where that is to be rejected, what it raises.

        """

        def function(rows: FloatArray) -> Any:
            return self.posterior.take_part(rows, comm)

        take_part(self._caller, self.names, self.rejecting, function, theta, where)

    def probe(self, where: str = "") -> tuple[FloatArray, float]:
        """Evaluate before any work, at a point that depends on nothing random.

        Learns the form of the blobs.

        Returns
        -------
        coords : ndarray (n, ndim)
            The points tried, of which log_prob is -inf at all but the last.
        log_prob : float
            At the last.

        Raises
        ------
        EvaluationError
            As ``evaluate``, whose ``where`` this takes too.

        """
        points = first_points(self.priors, self.initial, self.nwalkers, self.ndim)
        return try_points(
            points, self._caller, self.posterior, self.returns, self.names, self.rejecting, where
        )

    # ---- words

    def at(self) -> str:
        """Return the parameters for which log_prob is at work, in words; "" if it is not."""
        return self._caller.at()

    def describe(self, theta: FloatArray) -> str:
        """Return the parameters by name, ``  at m = 1.0, b = 2.0``."""
        return at_text(self.names, theta)

    def by_name(self, theta: FloatArray) -> dict[str, float]:
        """Return the value of each parameter."""
        return by_name(self.names, theta)

    def settings(self) -> dict[str, Any]:
        """Return what defines the problem, as far as it can be written down (for the file)."""
        return settings_of(self.parameters, self.returns)

    def derived(self) -> list[tuple[str, Place]]:
        """Return the names of the derived parameters, and where they are in blobs; once probed.

        Raises
        ------
        ModelError
            If the model gives more names or fewer, or labels what is not there.

        """
        known = self.parameters.all_names
        found = name_derived(self._derived, self.returns, known)
        later = [*(name for name, _ in found), *self.derived_functions]
        check_labels(self.labels, [*known, *later])
        return found

    def bounds(self) -> tuple[tuple[float | None, float | None], ...]:
        """Return where each prior is not zero, None for no bound; empty without priors."""
        return self.parameters.bounds

    def source_text(self) -> str:
        """Return the text of the model's file, else of its function, as far as it is there."""
        return self.source or text_of(self.posterior.function)

    def fingerprint(self) -> str:
        """Return a hash of ``settings``."""
        return hash_of(self.settings())
