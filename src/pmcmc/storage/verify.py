"""Are the draws of a file those that were written: what changed on the disk is found and named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .checksums import add_rows
from .header import DATASETS, PHASES
from .reader import RunReader

if TYPE_CHECKING:
    from .._types import Tick

_BYTES = 32 * 2**20  # that are read at once


@dataclass(frozen=True)
class Damage:
    """Rows of a dataset that are not those that were written.

    Attributes
    ----------
    phase : {"burnin", "ensembles"}
    ensemble : int
        Its number, from 0.
    name : {"chain", "log_prob", "blobs"}
    rows : int
        How many were looked at, from the first.

    """

    phase: str
    ensemble: int
    name: str
    rows: int

    def __str__(self) -> str:
        """Return it in words."""
        burnin = " of burn-in" if self.phase == "burnin" else ""
        return f"{self.name} of ensemble {self.ensemble}, in rows 0 to {self.rows - 1}{burnin}"


def verify(reader: RunReader, tick: Tick = lambda: None) -> list[Damage] | None:
    """Compare all draws of a file with their checksums.

    Parameters
    ----------
    reader : RunReader
        Of the file.
    tick : callable
        Called now and then.

    Returns
    -------
    list of Damage or None
        None where the file has no checksums: it is of an older pmcmc.

    """
    if not reader.header.checksums:
        return None
    found, step = [], max(1, _BYTES // reader.header.row_bytes)
    sums = reader.record["ensembles"]["checksums"]
    names = DATASETS if reader.header.blobs else DATASETS[:-1]
    with reader.open() as opened:
        for e in range(len(reader.header.steps)):
            for i, phase in enumerate(PHASES):
                rows = int((reader.burnin_rows if phase == "burnin" else reader.rows)[e])
                for j, name in enumerate(names):
                    checksum = 0
                    for start in range(0, rows, step):
                        at = slice(start, min(start + step, rows))
                        checksum = add_rows(checksum, opened.values(name, e, at, phase))
                        tick()
                    if checksum != int(sums[e, i, j]):
                        found.append(Damage(phase, e, name, rows))
    return found
