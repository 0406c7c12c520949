"""What a run would take up: refused, before anything is allocated, where no machine has that."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UsageError
from ..storage.header import Header
from ..text import bytes_text

MOST_STATE = 2**31 - 1  # bytes of one record: HDF5 and numpy hold no larger one
MOST_FILE = 2**60  # bytes; the largest file systems have that
_RANDOM = 4 * 2600  # bytes of random states in the state of one ensemble


def check_sizes(header: Header) -> None:
    """Refuse a run whose file nobody could hold.

    Parameters
    ----------
    header : Header
        Of the file, as it is to be.

    Raises
    ------
    UsageError
        With the sizes.

    """
    ensembles = len(header.steps)
    shape = f"{ensembles} ensembles of {header.nwalkers} walkers"
    state = ensembles * (header.row_bytes + 16 * header.nwalkers + _RANDOM)
    if state > MOST_STATE:
        raise UsageError(
            f"the state of {shape} takes {bytes_text(state)}, and the file holds at most "
            f"{bytes_text(MOST_STATE)}: use fewer walkers or ensembles, or smaller blobs"
        )
    size = file_bytes(header)
    if size > MOST_FILE:
        raise UsageError(
            f"{sum(header.steps)} steps of {header.nwalkers} walkers after {header.burnin} of "
            f"burn-in take {bytes_text(size)}: use a smaller --nsteps or --burnin, or --thin-by"
        )


def file_bytes(header: Header) -> int:
    """Return the bytes of the draws of a whole run, burn-in included."""
    return (sum(header.steps) + len(header.steps) * header.burnin) * header.row_bytes


def room_remark(header: Header, path: Path) -> str | None:
    """Return what to say where a disk has less room than the draws will take.

    Parameters
    ----------
    header : Header
        Of the file.
    path : Path
        Where it is to be.

    Returns
    -------
    str or None

    """
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return None
    there = path.stat().st_blocks * 512 if path.is_file() else 0
    needed, free = file_bytes(header), disk.f_bavail * disk.f_frsize + there
    if needed <= free:
        return None
    return (
        f"the draws will take {bytes_text(needed)} in the end, and the disk of {path.name} has "
        f"{bytes_text(free)} of room: a run that fills it is stopped with what there is"
    )
