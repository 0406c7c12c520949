"""Which blobs are derived parameters, and what they are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ModelError
from ..text import count_text
from .outputs import OutputFormat

# of a scalar in one walker's blobs: its field, its number, or None where it is all of them
Place = str | int | None
_NUMBERS = "biuf"
_MOST = 50  # that are named by themselves: figures of many take time


def check_derived(given: Any, parameters: Sequence[str]) -> tuple[str, ...] | None:
    """Return the names that a model gives its blobs.

    Parameters
    ----------
    given : sequence of str or None
        As given to Problem.
    parameters : sequence of str
        The sampled ones.

    Returns
    -------
    tuple of str or None
        None where it gives none.

    Raises
    ------
    ModelError
        If one is no name, comes twice, or is that of a parameter.

    """
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ModelError(
            f"derived is {given!r}: expected a list of names, as ['omega', 'ecc'], or functions "
            "by name, as {'ecc': ecc}"
        )
    names = tuple(given)
    if not all(isinstance(n, str) and n and n.isprintable() for n in names):
        raise ModelError(f"derived is {list(names)!r}: expected names, without line breaks")
    seen = [*parameters, "log_prob"]
    for name in names:
        if name in seen:
            raise ModelError(f"derived names {name}, and there is a {name} already")
        seen.append(name)
    return names


def check_derived_functions(
    given: Any, parameters: Sequence[str]
) -> dict[str, Callable[..., Any]]:
    """Return the functions that a model gives for quantities to be worked out after the run.

    Parameters
    ----------
    given : object
        As given to Problem.
    parameters : sequence of str
        Sampled and fixed ones.

    Returns
    -------
    dict of str to callable
        Empty where ``given`` is no mapping.

    Raises
    ------
    ModelError
        If one is no function, or its name cannot be.

    """
    if not isinstance(given, Mapping):
        return {}
    check_derived(list(given), parameters)
    if wrong := [name for name, function in given.items() if not callable(function)]:
        raise ModelError(
            f"derived gives {given[wrong[0]]!r} for {wrong[0]}: expected a function of theta"
        )
    return dict(given)


def scalars(returns: OutputFormat) -> list[tuple[str, Place]]:
    """Return the blobs that are single real numbers, as (name, place).

    Parameters
    ----------
    returns : OutputFormat
        After the probe.

    Returns
    -------
    list
        Fields by their names, others as blob_0, blob_1, ...; a vector blob is none.

    """
    dtype, shape = returns.dtype, returns.shape
    if not returns.has_blobs:
        return []
    if dtype.names:
        plain = [n for n in dtype.names if dtype[n].kind in _NUMBERS and not dtype[n].shape]
        return [(name, name) for name in plain] if shape == () else []
    if dtype.kind not in _NUMBERS:
        return []
    if shape == ():
        return [("blob_0", None)]
    if shape == (returns.count,):
        return [(f"blob_{k}", k) for k in range(returns.count)]
    return []


def name_derived(
    given: tuple[str, ...] | None, returns: OutputFormat, parameters: Sequence[str]
) -> list[tuple[str, Place]]:
    """Return the derived parameters of a problem, as (name, place).

    Parameters
    ----------
    given : tuple of str or None
        The names, as `check_derived` returns them.
    returns : OutputFormat
        After the probe.
    parameters : sequence of str
        The sampled ones.

    Returns
    -------
    list
        Without names that are given, none where there are more than 50.

    Raises
    ------
    ModelError
        If there are not as many names as scalar blobs, or nothing shows how many there are.

    """
    found = scalars(returns)
    if given is not None and returns.unknown:
        raise ModelError(
            "log_prob is -inf wherever it was tried first (at the start, or the medians of the "
            f"priors and draws from them), so that nothing shows whether it returns "
            f"{', '.join(given)}: is log_prior too narrow, or the start outside of it?"
        )
    if given is not None and len(given) != len(found):
        blobs = ", ".join(name for name, _ in found)
        count = count_text(len(found), "blob")
        there = f"{count} of single numbers ({blobs})" if found else "none"
        raise ModelError(
            f"derived gives {count_text(len(given), 'name')} ({', '.join(given)}), and log_prob "
            f"returns {there}"
        )
    if given is not None:
        return [(name, place) for name, (_, place) in zip(given, found, strict=True)]
    named: list[tuple[str, Place]] = []
    for name, place in found if len(found) <= _MOST else ():
        taken = {*parameters, "log_prob", *(n for n, _ in named)}
        while name in taken:
            name += "_blob"
        named.append((name, place))
    return named


def check_labels(given: Any, names: Sequence[str] | None = None) -> dict[str, str]:
    """Return the labels of a model.

    Parameters
    ----------
    given : mapping or None
        Text by name, as given to Problem.
    names : sequence of str, optional
        What there is to be labelled. Default: not known yet.

    Raises
    ------
    ModelError
        If it is no such mapping, or labels what is not there.

    """
    if given is None:
        return {}
    try:
        labels = dict(given)
    except (TypeError, ValueError):
        labels = {None: None}
    if not all(isinstance(k, str) and isinstance(v, str) for k, v in labels.items()):
        raise ModelError(f"labels is {given!r}: expected text by name, as {{'m': '$m$'}}")
    if not all(v and v.isprintable() for v in labels.values()):
        raise ModelError("labels has one that is empty or has a line break")
    if names is not None and (unknown := [n for n in labels if n not in names]):
        raise ModelError(
            f"labels gives one for {', '.join(unknown)}; there are {', '.join(names)}"
        )
    return labels


def pick(blobs: np.ndarray[Any, Any], place: Place) -> np.ndarray[Any, Any]:
    """Return one scalar of walkers' blobs as float64.

    Parameters
    ----------
    blobs : ndarray (row, walker, ...)
        As a file keeps them.
    place : str, int or None
        Which one.

    Returns
    -------
    ndarray (row, walker)

    """
    if isinstance(place, int):
        return blobs[..., place].astype(np.float64)
    return (blobs if place is None else blobs[place]).astype(np.float64)
