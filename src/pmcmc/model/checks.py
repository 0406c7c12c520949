"""What a model gives, checked: functions, what is passed to them, the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError

Function = Callable[..., Any]


def check_functions(
    log_prob: Function | None,
    log_likelihood: Function | None,
    log_prior: Function | None,
    parameters: Any,
) -> tuple[Function | None, Function | None, Function | None]:
    """Return the functions that count.

    Parameters
    ----------
    log_prob, log_likelihood, log_prior : callable or None
        As given to Problem.
    parameters : sequence, mapping or None
        A mapping is a table of priors.

    Returns
    -------
    tuple
        log_prob, log_likelihood and log_prior: the first alone, or None and the others, of which
        log_prior may be None with a table of priors.

    Raises
    ------
    ModelError
        If one is no function, or together they are not a posterior.

    """
    given = {"log_prob": log_prob, "log_likelihood": log_likelihood, "log_prior": log_prior}
    for key, function in given.items():
        if function is not None and not callable(function):
            raise ModelError(f"{key} must be a function, not {type(function).__name__}")
    if isinstance(parameters, Mapping):
        if log_prob is not None:
            other = "log_likelihood" if log_likelihood is not None else ""
            cure = "leave log_prob out" if other else "name the function log_likelihood"
            raise ModelError(
                "parameters gives priors, so log_prob, which is the whole posterior, would "
                f"count them twice{f' beside {other}' if other else ''}: {cure}, or give "
                f"parameters as a list of names, {list(parameters)}"
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


def check_arguments(args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what is passed on to the functions.

    Parameters
    ----------
    args, kwargs : object
        As given to Problem; None for none.

    Raises
    ------
    ModelError
        If they are no sequence and no mapping.

    """
    try:
        return tuple(() if args is None else args), dict(kwargs or {})
    except (TypeError, ValueError):
        raise ModelError(
            f"args is {type(args).__name__} and kwargs {type(kwargs).__name__}: expected a tuple, "
            "as args = (x, y, yerr), and a dict"
        ) from None


def check_initial(value: Any, names: Sequence[str], priors: bool) -> Any:
    """Return the start in its final form.

    Parameters
    ----------
    value : object
        As given to Problem, or None.
    names : sequence of str
        Of the sampled parameters, in order.
    priors : bool
        Whether there is a table of priors.

    Returns
    -------
    str, callable, or ndarray (ndim,) or (nwalkers, ndim)
        "prior" or "map", the default with priors; the function; a copy as float64.

    Raises
    ------
    ModelError
        If there is none and no priors, a word needs priors or is not known, or an array is not
        finite or of another shape.

    """
    ndim = len(names)
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
    if isinstance(value, Mapping):
        value = _by_name(value, names)
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


def _by_name(given: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Return a start that is given by name, in the order of the parameters."""
    single: dict[str, Any] = {}
    for name, value in given.items():
        vector = f"{name}[0]" in names and name not in names
        if vector and not np.ndim(value):
            raise ModelError(f"initial gives {value!r} for the vector {name}: expected a list")
        single.update(
            {f"{name}[{k}]": v for k, v in enumerate(value)} if vector else {name: value}
        )
    lacking = [name for name in names if name not in single]
    unknown = [name for name in single if name not in names]
    if lacking or unknown:
        faults = [f"no {', '.join(lacking)}"] if lacking else []
        faults += [f"{', '.join(unknown)}, which is not sampled"] if unknown else []
        raise ModelError(
            f"initial gives {' and '.join(faults)}: expected a value for each of "
            f"{', '.join(names)}"
        )
    try:
        return np.stack([np.asarray(single[name], dtype=np.float64) for name in names], axis=-1)
    except (TypeError, ValueError):
        raise ModelError(
            f"initial is {dict(given)!r}: expected a number for each name, or an array of the "
            "walkers' values, all of one length"
        ) from None


def check_nwalkers(value: Any, initial: Any) -> int | None:
    """Return the number of walkers that the model wants.

    Parameters
    ----------
    value : int or None
        As given to Problem.
    initial : object
        As ``check_initial`` returns it.

    Returns
    -------
    int or None
        ``value``, else that of an array of walkers, else None.

    Raises
    ------
    ModelError
        If ``value`` is not a whole number above 0.

    """
    if value is None:
        return len(initial) if getattr(initial, "ndim", 0) == 2 else None
    if not (isinstance(value, int | np.integer) and value > 0):
        raise ModelError(f"nwalkers is {value!r}; expected a whole number above 0")
    return int(value)


def call_initial(
    initial: Function, nwalkers: int, ndim: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return what the model's function ``initial(nwalkers, rng)`` gives.

    Parameters
    ----------
    initial : callable
        The function; what it raises passes through.
    nwalkers, ndim : int
        The shape that is expected.
    rng : numpy.random.Generator
        To draw from.

    Returns
    -------
    ndarray (nwalkers, ndim)
        As float64.

    Raises
    ------
    ModelError
        If that is not a finite array of this shape.

    """
    given = initial(nwalkers, rng)
    try:
        walkers = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ModelError(
            f"initial({nwalkers}, rng) returned a {type(given).__name__} that is no array; "
            f"expected finite numbers of shape ({nwalkers}, {ndim})"
        ) from None
    if walkers.shape != (nwalkers, ndim) or not np.isfinite(walkers).all():
        fault = f"shape {walkers.shape}" if walkers.ndim else "one number"
        if walkers.shape == (nwalkers, ndim):
            fault = "values that are not finite"
        raise ModelError(
            f"initial({nwalkers}, rng) returned {fault}; expected finite numbers of shape "
            f"({nwalkers}, {ndim})"
        )
    return walkers
