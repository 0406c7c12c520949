"""Pages and pictures on the disk: what another program or a person made is not replaced."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import UsageError
from ..storage.file import replace_whole
from ..storage.place import shown_path

_START = 2000  # bytes in which a page or a picture says by what it was made
_MARKS = (b'content="pmcmc ', b"Software\0pmcmc ", b"/Creator (pmcmc ")


def write_file(path: Path, data: bytes, overwrite: bool = False) -> None:
    """Write a page or a picture; the old one stays until the new one is whole.

    Parameters
    ----------
    path : Path
        Where; missing folders are made.
    data : bytes
        Its content.
    overwrite : bool
        Replace a file that pmcmc did not make. Default: False.

    Raises
    ------
    UsageError
        If another file is there, or it cannot be written.

    """
    path = Path(os.path.realpath(path))
    if not overwrite and os.path.lexists(path) and not _made_here(path):
        raise UsageError(
            f"{shown_path(path)} was not made by pmcmc, and nothing was changed: give another "
            "name with --output, or --overwrite to replace it"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_whole(path, data)
    except OSError as exc:
        raise UsageError(f"{shown_path(path)} cannot be written: {exc.strerror or exc}") from None


def _made_here(path: Path) -> bool:
    """Tell whether a file says that pmcmc made it; a device or a pipe is not waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return False
        start = os.read(handle, _START)
        if start.startswith(b"%PDF"):  # which says so in its end
            at = max(0, os.fstat(handle).st_size - _START)
            start = os.pread(handle, _START, at)
    finally:
        os.close(handle)
    return any(mark in start for mark in _MARKS)
