"""Files opened to be read: without HDF5's locking, what their failures mean, whose they are."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from ..errors import UsageError
from .layout import FORMAT
from .place import shown_path
from .untrusted import open_untrusted

if TYPE_CHECKING:
    from .._types import AnyArray

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


PLAIN = ("chain", "log_prob")  # datasets of float64, one of each in every ensemble


def read_rows(file: h5py.File, name: str, rows: slice) -> AnyArray:
    """Return rows of a dataset of numbers; h5py's own way takes five times as long.

    Parameters
    ----------
    file : h5py.File
        Open to be read.
    name : str
        The dataset's.
    rows : slice
        Of its first axis, forwards.

    Returns
    -------
    ndarray (row, ...)

    """
    dataset = h5py.h5d.open(file.id, name.encode())
    start, stop, step = rows.indices(dataset.shape[0])
    further = dataset.shape[1:]
    found = np.empty((len(range(start, stop, step)), *further), dtype=dataset.dtype)
    if found.size:
        space = dataset.get_space()
        zeros, ones = (0,) * len(further), (1,) * len(further)
        space.select_hyperslab((start, *zeros), found.shape, (step, *ones))
        dataset.read(h5py.h5s.create_simple(found.shape), space, found)
    return found


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
