"""The parameters of a model: sampled ones with their priors, vectors, and fixed ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError
from . import stats
from .periodic import Circles, Periodic, check_periodic
from .priors import Prior

if TYPE_CHECKING:
    from .._types import FloatArray


@dataclass(frozen=True)
class Parameters:
    """What a model gives as ``parameters``.

    Attributes
    ----------
    names : tuple of str
        Of those that are sampled, in order; those of a vector are ``beta[0]``, ``beta[1]``, ...
    priors : tuple of Prior
        Theirs; empty where the model gives names alone.
    fixed : dict of str to float
        Those that are not sampled, with their values.
    all_names : tuple of str
        Sampled and fixed ones, in the order of the model: that of theta in its functions.
    turns : dict of str to (float, float)
        Sampled ones on circles: where a turn begins and ends.

    """

    names: tuple[str, ...]
    priors: tuple[Prior, ...]
    fixed: dict[str, float]
    all_names: tuple[str, ...]
    turns: dict[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Any, ndim: int | None, periodic: Any = None) -> Parameters:
        """Return the parameters of a model.

        Parameters
        ----------
        given : sequence of str, mapping or None
            The names; or by name a prior, a number, which fixes it, or a list of these.
        ndim : int or None
            In place of ``given``: names are then theta_0, theta_1, ... Else it has to agree.
        periodic : mapping of str to (float, float), optional
            Parameters without priors that are on circles.

        Raises
        ------
        ModelError
            If nothing is there to be sampled, one is no name or comes twice, or has no prior, or
            ``ndim`` does not agree.

        """
        if given is None:
            if not isinstance(ndim, int | np.integer) or ndim < 1:
                raise ModelError(
                    "there are no parameters: give a list of names, a table of priors, or ndim"
                )
            names = tuple(f"theta_{i}" for i in range(ndim))
            return cls(names, (), {}, names, check_periodic(periodic, names))
        if isinstance(given, str) or not isinstance(given, Sequence | Mapping):
            raise ModelError(f"parameters is {given!r}: expected a list of names or a dict")
        _check_names(tuple(given))
        if not isinstance(given, Mapping):
            table = cls(tuple(given), (), {}, tuple(given), check_periodic(periodic, given))
        else:
            if periodic is not None:
                raise ModelError(
                    "parameters gives priors: say there which are periodic, as in "
                    '{"phase": pmcmc.periodic(0, 2 * np.pi)}'
                )
            priors, fixed, order = list[Prior](), dict[str, float](), list[str]()
            turns = {}
            for name, value in _entries(given):
                order.append(name)
                if _is_number(value):
                    fixed[name] = float(value)
                    continue
                if isinstance(value, Periodic):
                    turns[name] = value.low, value.high
                    priors.append(_on_circle(name, value))
                else:
                    priors.append(Prior(name, value))
            names = tuple(p.name for p in priors)
            table = cls(names, tuple(priors), fixed, tuple(order), turns)
            _check_names(table.all_names)
        if not table.names:
            raise ModelError("all parameters are fixed: give a prior for what is to be sampled")
        if wrong := [name for name, value in table.fixed.items() if not np.isfinite(value)]:
            raise ModelError(f"parameters fixes {wrong[0]} at {table.fixed[wrong[0]]}")
        if ndim is not None and ndim != len(table.names):
            raise ModelError(f"ndim is {ndim}, but parameters gives {len(table.names)} names")
        return table

    @property
    def bounds(self) -> tuple[tuple[float | None, float | None], ...]:
        """Where each prior is not zero, None for no bound; empty without priors."""
        pairs = (map(float, prior.frozen.support()) for prior in self.priors)
        return tuple(
            (low if np.isfinite(low) else None, high if np.isfinite(high) else None)
            for low, high in pairs
        )

    @cached_property
    def circles(self) -> Circles:
        """Which of the sampled ones are on circles."""
        return Circles(self.turns, self.names)

    def with_fixed(self, theta: FloatArray) -> FloatArray:
        """Return coordinates with the fixed parameters among them, as the functions get them.

        Parameters
        ----------
        theta : ndarray (..., ndim)
            The sampled ones.

        Returns
        -------
        ndarray (..., parameters)
            ``theta`` itself where nothing is fixed.

        """
        if not self.fixed:
            return theta
        whole = np.empty((*theta.shape[:-1], len(self.all_names)))
        for i, name in enumerate(self.all_names):
            if name in self.fixed:
                whole[..., i] = self.fixed[name]
        whole[..., [n not in self.fixed for n in self.all_names]] = theta
        return whole


def _on_circle(name: str, value: Periodic) -> Prior:
    """Return the prior of a parameter on a circle; all of its mass has to be within the turn."""
    low, high = value.low, value.high
    if value.prior is None:
        return Prior(name, stats.uniform(low, high - low))
    prior = Prior(name, value.prior)
    within = float(prior.frozen.cdf(high) - prior.frozen.cdf(low))
    if not abs(within - 1) < 1e-6:
        raise ModelError(
            f"the prior of {name} has {within:.3g} of its mass within the turn from {low:g} to "
            f"{high:g}: expected all, as stats.vonmises(2, loc=1) has on a turn of 2 pi"
        )
    return prior


def _entries(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give the name of each single parameter, and its prior or number."""
    for name, value in given.items():
        if not isinstance(value, list | tuple | np.ndarray):
            yield name, value
            continue
        elements = list(value)
        if (
            not isinstance(value, np.ndarray)
            and len(elements) == 2
            and all(map(_is_number, value))
        ):
            low, high = elements
            raise ModelError(
                f"parameters gives {value!r} for {name}: for bounds write the prior, as "
                f"stats.uniform({low!r}, {high - low!r}), which is uniform from {low!r} to "
                f"{high!r}; two fixed numbers are given as np.array({value!r})"
            )
        if not elements:
            raise ModelError(f"parameters gives an empty list for {name}: expected priors")
        for k, element in enumerate(elements):
            if isinstance(element, list | tuple | np.ndarray) and np.ndim(element):
                raise ModelError(
                    f"parameters gives lists within the list for {name}: expected priors or "
                    "numbers, one for each element"
                )
            yield f"{name}[{k}]", element


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(
        value, bool
    )


def _check_names(names: tuple[Any, ...]) -> None:
    if not names or not all(isinstance(n, str) and n for n in names):
        raise ModelError(f"parameters are {list(names)!r}: expected one or more names")
    if not all(n.isprintable() for n in names):
        raise ModelError(f"parameters are {list(names)!r}: expected names without line breaks")
    if len(set(names)) < len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise ModelError(f"parameters name {', '.join(twice)} more than once")
