"""What a model gives, checked: parameter names, functions, the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .errors import ModelError

Function = Callable[..., Any]


def parameter_names(parameters: Any, ndim: int | None) -> tuple[str, ...]:
    """Return the names, from a list, a table of priors, or a number of parameters.

    Raises
    ------
    ModelError
        As the other functions here: with what was expected and what came.

    """
    if parameters is None:
        if not isinstance(ndim, int | np.integer) or ndim < 1:
            raise ModelError(
                "there are no parameters: give a list of names, a table of priors, or ndim"
            )
        return tuple(f"theta_{i}" for i in range(ndim))
    if isinstance(parameters, str) or not isinstance(parameters, Sequence | Mapping):
        raise ModelError(f"parameters is {parameters!r}: expected a list of names or a dict")
    names = tuple(parameters)
    if not names or not all(isinstance(n, str) and n for n in names):
        raise ModelError(f"parameters are {list(names)!r}: expected one or more names")
    if len(set(names)) < len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise ModelError(f"parameters name {', '.join(twice)} more than once")
    if ndim is not None and ndim != len(names):
        raise ModelError(f"ndim is {ndim}, but parameters gives {len(names)} names")
    return names


def functions(
    log_prob: Function | None,
    log_likelihood: Function | None,
    log_prior: Function | None,
    parameters: Any,
) -> tuple[Function | None, Function | None, Function | None]:
    """Return the functions that count: log_prob alone, or log_likelihood and log_prior."""
    given = {"log_prob": log_prob, "log_likelihood": log_likelihood, "log_prior": log_prior}
    for key, function in given.items():
        if function is not None and not callable(function):
            raise ModelError(f"{key} must be a function, not {type(function).__name__}")
    if isinstance(parameters, Mapping):
        if log_prob is not None:
            raise ModelError(
                "parameters gives priors, so log_prob, which is the whole posterior, would "
                "count them twice: name the function log_likelihood, or give parameters as "
                f"a list of names, {list(parameters)}"
            )
        if log_likelihood is None:
            raise ModelError("parameters gives priors, but there is no log_likelihood(theta)")
    elif log_prob is None:
        if log_likelihood is None:
            raise ModelError(
                "there is no log_prob(theta); or give parameters as a table of priors and "
                "log_likelihood(theta)"
            )
        if log_prior is None:
            raise ModelError(
                "log_likelihood alone is not a posterior: give parameters as a table of "
                "priors, or log_prior(theta), or name the function log_prob if it is whole"
            )
    else:
        log_likelihood = log_prior = None  # log_prob is the whole
    return log_prob, log_likelihood, log_prior


def initial(value: Any, ndim: int, priors: bool) -> Any:
    """Return the start as a word, a function, or a float64 array (ndim,) or (nwalkers, ndim)."""
    if value is None:
        if not priors:
            raise ModelError(
                "there is no initial: give a point near the bulk of the posterior, shape "
                f"({ndim},), or walkers, shape (nwalkers, {ndim}), or a function "
                "initial(nwalkers, rng) that returns them"
            )
        return "map"
    if isinstance(value, str):
        if value not in ("prior", "map"):
            raise ModelError(f"initial is {value!r}: the words it knows are prior and map")
        if not priors:
            raise ModelError(f'initial = "{value}" needs priors: give parameters as a dict')
        return value
    if callable(value):
        return value
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ModelError(f"initial is {value!r}: expected numbers, a function or a word") from None
    ok = array.shape == (ndim,) or (array.ndim == 2 and array.shape[1] == ndim)
    if not ok or not np.isfinite(array).all():
        fault = f"shape {array.shape}" if not ok else "values that are not finite"
        raise ModelError(
            f"initial has {fault}; expected finite numbers of shape ({ndim},) "
            f"or (nwalkers, {ndim})"
        )
    return array


def nwalkers(value: Any, initial: Any) -> int | None:
    """Return the number of walkers that the model wants, or None: its own, or that of initial."""
    if value is None:
        return len(initial) if getattr(initial, "ndim", 0) == 2 else None
    if not (isinstance(value, int | np.integer) and value > 0):
        raise ModelError(f"nwalkers is {value!r}; expected a whole number above 0")
    return int(value)
