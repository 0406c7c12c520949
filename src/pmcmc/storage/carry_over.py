"""What a file of a run that is made anew takes over from the old one, beside the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import h5py

from ..sampler.state import ProductionStart
from . import timings
from .checkpoint import group_name
from .header import DATASETS, PHASES, Header
from .opening import PLAIN
from .reader import RunReader
from .reject_log import DATASET
from .starts import write_starts

if TYPE_CHECKING:
    from .._types import AnyArray

_COPY_BYTES = 32 * 2**20


def carry_over(
    file: h5py.File,
    header: Header,
    reader: RunReader,
    rows: AnyArray,
    write_rows: Callable[[h5py.File, str, int, AnyArray], None],
    starts: Sequence[ProductionStart] = (),
) -> None:
    """Copy what the old file holds beside its record.

    Parameters
    ----------
    file : h5py.File
        The new one, laid out.
    header : Header
        Of the new file.
    reader : RunReader
        Of the old file.
    rows : ndarray of int (phase, ensemble)
        How many rows of each dataset are copied.
    write_rows : callable
        Writes rows of numbers, as `OutputFile.write_rows` does.
    starts : sequence of ProductionStart
        From where ensembles go on whose walkers were redrawn. Default: those of the old file.

    """
    write_starts(file, header, starts or reader.starts.values())
    reader.copy_added(file)
    if DATASET in file:
        kept = reader.reject_rows()
        file[DATASET][: len(kept)] = kept
    step = max(1, _COPY_BYTES // header.row_bytes)
    names = PLAIN if header.blobs is None else DATASETS
    with reader.open() as old:
        for i, phase in enumerate(PHASES):
            for e in range(len(header.steps)):
                for name in names:
                    for start in range(0, rows[i, e], step):
                        at = slice(start, min(start + step, rows[i, e]))
                        values = old.values(name, e, at, phase)
                        if name in PLAIN:
                            write_rows(file, f"{group_name(phase, e)}/{name}", start, values)
                        else:
                            file[f"{group_name(phase, e)}/{name}"][at] = values
    file.attrs.modify("timings", timings.new_table(reader.timings()))
