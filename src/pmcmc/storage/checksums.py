"""Checksums of the rows of each dataset.

Every record holds, by ensemble, phase and dataset, the CRC-32 of all rows that it counts, in the
order of the file; a commit goes on from those of the record before.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .._types import AnyArray


def add_rows(checksum: int, rows: AnyArray) -> int:
    """Return a checksum that goes on over more rows.

    Parameters
    ----------
    checksum : int
        Of the rows before; 0 of none.
    rows : ndarray (row, ...)
        No objects.

    Returns
    -------
    int

    """
    if rows.dtype.names:  # what lies between fields is not kept
        from numpy.lib.recfunctions import repack_fields  # slow to load, and not always needed

        rows = repack_fields(rows, recurse=True)
    return zlib.crc32(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data, checksum)
