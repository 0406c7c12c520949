"""Draws for ArviZ, and the netCDF file that it reads."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import PmcmcError
from ..draws import Draws
from ..names import vectors
from .names import distinct

if TYPE_CHECKING:
    from ..._types import AnyArray
    from ..result import Result

_COORDS = ("chain", "draw", "ensemble", "walker")
_FIGURES = ("tau", "ess_bulk", "ess_tail", "r_hat")


def write_netcdf(result: Result, path: Path) -> list[Path]:
    """Write a netCDF file, as ArviZ has it.

    Parameters
    ----------
    result : Result
        With a draw in each ensemble.
    path : Path
        Where.

    Returns
    -------
    list of Path

    Raises
    ------
    PmcmcError
        If ArviZ is not there.

    """
    to_arviz(result).to_netcdf(str(path))
    return [path]


def to_arviz(result: Result) -> Any:
    """Return draws for ArviZ: an InferenceData, from ArviZ 1 on an xarray DataTree.

    As ``arviz.from_emcee`` does, every walker is a chain; coordinates ``ensemble`` and ``walker``
    tell whose it is. The posterior has the parameters, and numeric blobs by their names, vectors
    with their dimension; constant_data has fixed parameters. A name that netCDF or ArviZ refuses,
    as one with a / or called chain, is changed, and kept as the attribute ``pmcmc_name``; a label
    is the attribute ``long_name``.

    Parameters
    ----------
    result : Result
        With a draw in each ensemble.

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
    rows = result.summary().rows
    log_prob = result.get_log_prob()
    count, steps, walkers = log_prob.shape
    coords = {
        "chain": np.arange(count * walkers),
        "draw": np.arange(steps),
        "ensemble": ("chain", np.repeat(np.arange(count), walkers)),
        "walker": ("chain", np.tile(np.arange(walkers), count)),
    }
    about = {"inference_library": "pmcmc", "inference_library_version": result.version}

    def by_walker(values: AnyArray, name: str = "") -> tuple[tuple[str, ...], AnyArray]:
        turned = np.moveaxis(values, 2, 1).reshape(count * walkers, steps, *values.shape[3:])
        more = (f"{name}_dim_{k}" for k in range(turned.ndim - 2))
        return ("chain", "draw", *more), turned

    variables, sampled = (
        dict(_variables(result)),
        {name for name, _ in vectors(result.names, result.fixed)},
    )
    posterior = {}
    named = distinct(list(variables), _plain, _COORDS)
    for (name, values), new in zip(variables.items(), named, strict=True):
        told: dict[str, Any] = {}
        if name in result.labels:
            told["long_name"] = result.labels[name]
        if new != name:
            told["pmcmc_name"] = name
        if name not in sampled:
            told["derived"] = 1
        posterior[new] = (*by_walker(values, new), told)
    figures = {
        f"pmcmc_{figure}": [float(getattr(row, figure)) for row in rows] for figure in _FIGURES
    }
    groups: dict[str, Any] = {
        "posterior": xarray.Dataset(posterior, coords, about | {"seed": str(result.seed)}),
        "sample_stats": xarray.Dataset({"lp": by_walker(log_prob)}, coords, {**about, **figures}),
    }
    if result.fixed:
        plain = distinct(list(result.fixed), _plain, _COORDS)
        pairs = zip(plain, result.fixed.values(), strict=True)
        groups["constant_data"] = xarray.Dataset(dict(pairs), attrs=about)
    if hasattr(arviz, "InferenceData"):
        return arviz.InferenceData(**groups)
    return xarray.DataTree.from_dict(groups)


def _variables(result: Draws) -> Iterator[tuple[str, AnyArray]]:
    """Give each parameter, scalar blob and vector blob, (ensemble, step, walker, ...)."""
    chain, taken = result.get_chain(), set(result.quantities)
    for name, columns in vectors(result.names, result.fixed):
        taken.add(name)
        single = name == result.names[columns[0]]
        yield name, chain[..., columns[0] if single else columns]
    if result.derived:
        derived = result.get_derived()
        yield from ((name, derived[..., k]) for k, name in enumerate(result.derived))
    blobs = result.get_blobs()
    if blobs is None:
        return
    places = {place for _, place in result.reader.header.derived}
    if blobs.dtype.names:
        for field in blobs.dtype.names:
            if field not in places and blobs[field].dtype.kind in "biuf":
                yield field if field not in taken else f"{field}_blob", blobs[field]
    elif not places and blobs.dtype.kind in "biuf":
        yield "blobs" if "blobs" not in taken else "blobs_blob", blobs


def _plain(name: str) -> str:
    plain = name.replace("/", "_")
    return plain if plain == plain.strip() else f"{plain.strip()}_"
