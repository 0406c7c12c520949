"""Pages and pictures on the disk: what another program or a person made is not replaced."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from ..errors import UsageError
from ..storage.place import shown_path

_START = 2000  # bytes in which a page or a picture says by what it was made
_MARKS = (b'content="pmcmc ', b"Software\0pmcmc ")


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
    part = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(part, flags, 0o666), "wb") as file:
                file.write(data)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
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
    finally:
        os.close(handle)
    return any(mark in start for mark in _MARKS)
