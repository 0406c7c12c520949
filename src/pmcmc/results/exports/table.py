"""Draws as a table, a line for each: csv, and pandas' DataFrame."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import PmcmcError
from ..draws import Draws
from .names import distinct, write_about

if TYPE_CHECKING:
    from ..result import Result

_ROWS = 2000  # written at once
_OWN = ("ensemble", "step", "walker", "log_prob")


def columns(draws: Draws) -> dict[str, str]:
    """Return the column of each parameter, the derived ones last.

    Parameters
    ----------
    draws : Draws
        Whose.

    Returns
    -------
    dict
        Of its name; log_prob_ for a parameter called log_prob, and so on.

    """
    names = draws.quantities
    return dict(zip(names, distinct(names, lambda name: name, _OWN), strict=True))


def write_csv(result: Result, path: Path) -> list[Path]:
    """Write a csv file, and what there is to tell of the run beside it, as JSON.

    Parameters
    ----------
    result : Result
        With a draw.
    path : Path
        Where.

    Returns
    -------
    list of Path
        Both files.

    """
    named = columns(result)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*_OWN, *named.values()])
        for e, start, values, log_prob in result.blocks(_ROWS):
            for n, (rows, densities) in enumerate(
                zip(values.tolist(), log_prob.tolist(), strict=True)
            ):
                writer.writerows(
                    [e, start + n, w, density, *row]
                    for w, (row, density) in enumerate(zip(rows, densities, strict=True))
                )
    return [path, write_about(result, beside_csv(path), named)]


def beside_csv(path: Path) -> Path:
    """Return the file that tells of the run."""
    return path.with_name(path.name + ".json")


def to_dataframe(draws: Draws) -> Any:
    """Return the draws as a pandas DataFrame.

    Parameters
    ----------
    draws : Draws
        With a draw.

    Returns
    -------
    DataFrame
        Parameters, derived ones, log_prob, ensemble, step, walker.

    Raises
    ------
    PmcmcError
        If pandas is not there.

    """
    try:
        import pandas
    except ImportError as exc:
        raise PmcmcError(f"this needs pandas ({exc}): pip install 'pmcmc[pandas]'") from None
    values, densities, places = [], [], []
    for e, start, block, log_prob in draws.blocks(_ROWS):
        steps, walkers = log_prob.shape
        values.append(block.reshape(steps * walkers, -1))
        densities.append(log_prob.ravel())
        at = np.indices((steps, walkers)).reshape(2, -1)
        places.append(np.stack([np.full(at.shape[1], e), at[0] + start, at[1]], axis=1))
    frame = pandas.DataFrame(np.concatenate(values), columns=list(columns(draws).values()))
    frame["log_prob"] = np.concatenate(densities)
    frame[["ensemble", "step", "walker"]] = np.concatenate(places)
    return frame
