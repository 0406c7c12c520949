"""How the ranks spent their time, as a file keeps it: a table in one attribute.

A row is of one rank on one host, so that a run which goes on elsewhere has rows for both places.
An attribute has room for 64 KB. When every row is taken the last one takes in all the rest: the
sums over the rows are always those of all ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .._types import AnyArray


OWN = 512  # ranks with a row of their own; one more row is for all the others
_SPENT = ("wall", "log_prob", "waiting", "writing", "evaluations")
TIMING = np.dtype(
    [
        ("rank", "i4"),  # -1: others, without a row of their own
        ("ranks", "i4"),  # in this row: 1; of the others each counts once in each job; 0: no row
        ("host", "S64"),  # Linux allows no longer name
        ("wall", "f8"),  # seconds, of all jobs that worked on the file to an orderly end
        ("log_prob", "f8"),
        ("waiting", "f8"),
        ("writing", "f8"),
        ("evaluations", "i8"),
    ]
)


def new_table(rows: AnyArray | None = None) -> AnyArray:
    """Return a table to be kept.

    Parameters
    ----------
    rows : ndarray (row,), optional
        Of another file, as ``rows_of`` returns them, to begin with.

    Returns
    -------
    ndarray (OWN + 1,)
        Of dtype ``TIMING``; rows not used are zero.

    """
    table = np.zeros(OWN + 1, TIMING)
    if rows is not None:
        own = rows["rank"] >= 0
        table[: own.sum()] = rows[own]
        table[OWN : OWN + (~own).sum()] = rows[~own]
    return table


def rows_of(kept: AnyArray) -> AnyArray:
    """Return the rows of a kept table that hold something.

    Parameters
    ----------
    kept : ndarray
        As a file has it; also an old one, by rank alone.

    Returns
    -------
    ndarray (row,)
        Of dtype ``TIMING``.

    """
    table = np.zeros(len(kept), TIMING)
    for name in kept.dtype.names or ():
        table[name] = kept[name]
    if "ranks" not in (kept.dtype.names or ()):  # as pmcmc wrote at first
        table["rank"], table["ranks"] = np.arange(len(kept)), kept["wall"] > 0
    return table[table["ranks"] > 0]


def add(table: AnyArray, ranks: Sequence[Any]) -> None:
    """Add what the ranks of a job spent, in place.

    Parameters
    ----------
    table : ndarray (OWN + 1,)
        As `new_table` makes it.
    ranks : sequence
        By rank: records with host, wall, log_prob, waiting, writing and evaluations.

    """
    own, others = table[:OWN], table[OWN]
    at = {(int(row["rank"]), bytes(row["host"])): row for row in own if row["ranks"]}
    free: Iterator[Any] = (row for row in own if not row["ranks"])
    for rank, spent in enumerate(ranks):
        key = rank, spent.host.encode()[: TIMING["host"].itemsize]
        if key not in at and (row := next(free, None)) is not None:
            row["rank"], row["ranks"], row["host"] = rank, 1, key[1]
            at[key] = row
        row = at.get(key, others)
        if row is others:
            row["rank"] = -1
            row["ranks"] += 1
        for name in _SPENT:
            row[name] += getattr(spent, name)
