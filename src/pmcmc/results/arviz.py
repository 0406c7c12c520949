"""Draws for ArviZ."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import PmcmcError

if TYPE_CHECKING:
    from .._types import AnyArray


def to_arviz(
    chain: AnyArray,
    log_prob: AnyArray,
    names: Sequence[str],
    about: Mapping[str, Any],
    figures: Mapping[str, Any],
) -> Any:
    """Return draws for ArviZ: an InferenceData, from ArviZ 1 on an xarray DataTree.

    As ``arviz.from_emcee`` does, every walker is a chain; coordinates ``ensemble`` and ``walker``
    tell whose it is.

    Parameters
    ----------
    chain : ndarray (ensemble, step, walker, ndim)
        Coordinates.
    log_prob : ndarray (ensemble, step, walker)
        Of them.
    names : sequence of str
        Of the parameters.
    about : mapping
        Attributes of both groups.
    figures : mapping
        Attributes of ``sample_stats`` besides.

    Raises
    ------
    PmcmcError
        If ArviZ is not there.

    """
    try:
        with warnings.catch_warnings():  # ArviZ 0.2x speaks of ArviZ 1 once a day
            warnings.simplefilter("ignore", FutureWarning)
            import arviz
        import xarray
    except ImportError as exc:
        raise PmcmcError(f"this needs ArviZ ({exc}): pip install 'pmcmc[arviz]'") from None
    count, steps, walkers, _ = chain.shape
    coords = {
        "chain": np.arange(count * walkers),
        "draw": np.arange(steps),
        "ensemble": ("chain", np.repeat(np.arange(count), walkers)),
        "walker": ("chain", np.tile(np.arange(walkers), count)),
    }

    def by_walker(values: AnyArray) -> tuple[tuple[str, str], AnyArray]:
        turned = np.moveaxis(values, 2, 1).reshape(count * walkers, steps)
        return ("chain", "draw"), turned

    posterior = {name: by_walker(chain[..., i]) for i, name in enumerate(names)}
    groups: dict[str, Any] = {
        "posterior": xarray.Dataset(posterior, coords, dict(about)),
        "sample_stats": xarray.Dataset({"lp": by_walker(log_prob)}, coords, {**about, **figures}),
    }
    if hasattr(arviz, "InferenceData"):
        return arviz.InferenceData(**groups)
    return xarray.DataTree.from_dict(groups)
