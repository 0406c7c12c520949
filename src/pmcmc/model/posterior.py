"""From the functions of a model to the log posterior of a point, or of rows of points."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import ModelError
from .failures import by_name
from .outputs import OutputFormat, column, has_parts
from .parameters import Parameters

if TYPE_CHECKING:
    from .._types import Comm, FloatArray

Function = Callable[..., Any]


class Group(Protocol):
    """Ranks that evaluate log_prob together: see `pool.together`."""

    describe: Callable[[FloatArray], str]
    own_part_is_over: Callable[[], None]
    rejecting: bool
    patience: float

    def call(self, function: Callable[[Comm], Any], theta: FloatArray) -> Any:
        """Have all of them call their function at ``theta``; return what this one's gives."""


class Posterior:
    """The log posterior, made of the model's functions and its table of priors.

    Parameters
    ----------
    log_prob, log_likelihood, log_prior : callable or None
        The first alone, or the others: as `checks.check_functions` returns them.
    args, kwargs : sequence, mapping
        Passed on to the functions.
    parameters : Parameters
        With the priors.
    returns : OutputFormat
        The form of what the functions return.

    Attributes
    ----------
    function : callable
        The model's that costs: log_prob, else log_likelihood.
    single : bool
        Whether a result was of single precision.
    group : Group or None
        Ranks that call the function together, of which this one is the first.

    """

    def __init__(
        self,
        log_prob: Function | None,
        log_likelihood: Function | None,
        log_prior: Function | None,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        parameters: Parameters,
        returns: OutputFormat,
    ) -> None:
        self._whole, self._prior = log_prob, log_prior
        self.args, self.kwargs = tuple(args), dict(kwargs)
        self._parameters, self._returns = parameters, returns
        self.function: Function = log_prob or log_likelihood  # type: ignore[assignment]
        self._circles = parameters.circles
        self.single = False
        self.group: Group | None = None
        if log_prior is not None and _takes_comm(log_prior, self.args, self.kwargs):
            raise ModelError(
                "log_prior takes comm: it is evaluated on one rank; log_prob or log_likelihood "
                "may take it"
            )

    @property
    def direct(self) -> Function:
        """What takes theta and gives log_prob with the fewest calls between."""
        plain = not (self.args or self.kwargs or self.group or self._circles)
        if self._whole is not None and plain:
            return self._whole
        return self.log_prob

    @property
    def takes_comm(self) -> bool:
        """Whether the function has a parameter ``comm`` that args and kwargs leave open."""
        return _takes_comm(self.function, self.args, self.kwargs)

    @property
    def needs_comm(self) -> bool:
        """Whether it has, and no default for it."""
        if not self.takes_comm:
            return False
        comm = inspect.signature(self.function).parameters["comm"]
        return comm.default is inspect.Parameter.empty

    def log_prior(self, theta: FloatArray) -> Any:
        """Return the log prior: the table of priors, plus ``log_prior`` where they are not zero.

        Parameters
        ----------
        theta : ndarray
            (ndim,), or (n, ndim) with a result (n,) where the functions are vectorized.

        """
        if self._returns.vectorized:
            total = np.zeros(len(theta))
            for i, prior in enumerate(self._parameters.priors):
                total += prior.logpdf_array(theta[:, i])
            if self._prior is None:
                return total
            return self._add_inside(total, self._call_prior, theta)
        value = 0.0
        for prior, x in zip(self._parameters.priors, theta.tolist(), strict=False):
            value += prior.logpdf(x)
        if self._prior is None or value == -np.inf:
            return value
        return _plus(value, self._call_prior(theta))

    def log_prob(self, theta: FloatArray) -> Any:
        """Return the log posterior as emcee takes it; no likelihood call where the prior is zero.

        Parameters
        ----------
        theta : ndarray
            (ndim,), or (n, ndim) where the functions are vectorized.

        Returns
        -------
        float, tuple (log_prob, *blobs), or ndarray (n,)

        """
        if self._circles:
            theta = self._circles.wrap(theta)
        if self._whole is not None:
            return self._call(theta)
        prior = self.log_prior(theta)
        if self._returns.vectorized:
            return self._add_inside(prior, self._call, theta)
        if not isinstance(prior, float):  # numpy's float64 is one
            return prior  # not a number: the caller says so
        if prior == -np.inf:
            return (prior, *self._returns.blank) if self._returns.has_blobs else prior
        result = self._call(theta)
        if has_parts(result) and len(result) > 1 and not isinstance(result, np.ndarray):
            return (_plus(prior, result[0]), *result[1:])
        return _plus(prior, result)

    def _call(self, theta: FloatArray) -> Any:
        """Call the function that costs, on all ranks of the group where there is one."""
        if self.group is None:
            return self.function(self._parameters.with_fixed(theta), *self.args, **self.kwargs)
        return self.group.call(lambda comm: self.take_part(theta, comm), theta)

    def take_part(self, theta: FloatArray, comm: Comm) -> Any:
        """Call the function as one rank of a group.

        Parameters
        ----------
        theta : ndarray (ndim,) or (n, ndim)
            The sampled parameters.
        comm : MPI communicator
            Of the ranks that call it together.

        """
        whole = self._parameters.with_fixed(theta)
        return self.function(whole, *self.args, comm=comm, **self.kwargs)

    def _call_prior(self, theta: FloatArray) -> Any:
        assert self._prior is not None
        return self._prior(self._parameters.with_fixed(theta), *self.args, **self.kwargs)

    def _add_inside(self, total: FloatArray, function: Function, theta: FloatArray) -> FloatArray:
        """Add ``function`` of the rows where ``total`` (n,) is above -inf."""
        inside = total > -np.inf
        if inside.all():
            result = function(theta)
            self.single |= is_single(result)
            return total + column(result, len(theta))
        total = total.copy()
        if inside.any():
            total[inside] += column(function(theta[inside]), int(inside.sum()))
        return total

    def why_excluded(self, theta: FloatArray) -> str:
        """Say what makes log_prob -inf at a point.

        Parameters
        ----------
        theta : ndarray (ndim,)
            Where it is.

        Returns
        -------
        str
            The prior of one parameter or more, log_prior, or log_likelihood; else log_prob.

        """
        priors = self._parameters.priors
        at = [p.name for p, x in zip(priors, theta, strict=False) if p.logpdf(x) == -np.inf]
        if at:
            values = by_name(self._parameters.names, theta)
            return f"the prior is zero at {', '.join(f'{n} = {values[n]!r}' for n in at)}"
        if self._whole is not None:
            return "log_prob returned it"
        rows = theta[None] if self._returns.vectorized else theta
        if float(np.ravel(self.log_prior(rows))[0]) == -np.inf:
            return "log_prior returned it"
        return "the prior is not zero there: log_likelihood returned it"


def is_single(result: Any) -> bool:
    """Tell whether a result is of single precision."""
    return str(getattr(result, "dtype", "")) == "float32"


def _takes_comm(function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether a function has a parameter ``comm`` beside theta, args and kwargs."""
    if "comm" in kwargs:
        return False
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return False
    return "comm" in names[1:] and names.index("comm") > len(args)


def _plus(a: float, b: Any) -> Any:
    """Return a + b, or b itself where it is no number, so that it is refused as what it is."""
    if isinstance(b, bool | np.bool_):
        return b
    try:
        return a + b
    except TypeError:
        return b
