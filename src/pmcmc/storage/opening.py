"""Files opened to be read: without HDF5's locking, what their failures mean, whose they are."""

from __future__ import annotations

import os
import re
from pathlib import Path

import h5py
import numpy as np

from ..errors import UsageError
from .layout import FORMAT
from .place import shown_path
from .untrusted import open_untrusted

_SIEVE = 1024  # bytes HDF5 reads at least; its own 64 KiB make rows far apart 30 times as slow
# what h5py raises over bytes that make no sense to it, and we over what they say
DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, MemoryError)


def open_to_read(path: Path) -> h5py.File:
    """Open a file without HDF5's locking, unless this process has it open with that.

    Parameters
    ----------
    path : Path
        Of an HDF5 file.

    Returns
    -------
    h5py.File

    Raises
    ------
    OSError
        If it cannot be opened.

    """
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_sieve_buf_size(_SIEVE)
    access.set_file_locking(False, True)
    try:
        return h5py.File(h5py.h5f.open(os.fsencode(path), h5py.h5f.ACC_RDONLY, access))
    except OSError as exc:
        if "locking flag" not in str(exc):  # all that one process opens must be alike
            raise
        return h5py.File(path, "r")


def reason(exc: Exception) -> str:
    """Return what the system says of a failure, which HDF5 wraps into more.

    Parameters
    ----------
    exc : Exception
        As h5py or the system raised it.

    Returns
    -------
    str

    """
    if found := re.search(r"error message = '([^']+)'", str(exc)):
        return found[1]
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc)


def check_replaceable(path: Path) -> None:
    """Refuse to replace a file that pmcmc did not write.

    Raises
    ------
    UsageError
        If there is such a file.

    """
    if not path.exists():
        return
    try:
        with open_untrusted(path) as file:
            ours = bool(np.array_equal(file.attrs.get("format"), FORMAT))
    except DAMAGE:
        ours = False
    if not ours:
        raise UsageError(
            f"the output {shown_path(path)} is not a file that pmcmc wrote, or is damaged, and "
            "--overwrite does not replace it: give another name with --output, or remove it"
        )
