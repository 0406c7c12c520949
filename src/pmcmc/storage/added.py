"""Derived quantities that were worked out after the run, in the group ``/derived`` of its file.

They are written into a copy that takes the place of the file when it is whole and on the disk:
a failure leaves the file as it was, and no draw is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ..errors import StoreError, UsageError
from ..text import printable
from . import plain
from .file import part_path, sync
from .header import Header
from .lock import Lock
from .place import shown_path

if TYPE_CHECKING:
    from .._types import FloatArray

GROUP = "derived"
_COPIED = 2**24  # bytes at once


@dataclass(frozen=True)
class Added:
    """What was added to a file.

    Attributes
    ----------
    names : tuple of str
        Of the quantities, in the order of the last axis of the datasets.
    labels : dict of str to str
        What plots and exports write for a name.
    stale : tuple of str
        Names of quantities that are of fewer steps than the file has now: they are left out.

    """

    names: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    stale: tuple[str, ...] = ()


def dataset_name(ensemble: int) -> str:
    """Return the name of the values of one ensemble, (step, walker, quantity)."""
    return f"{GROUP}/{ensemble:04d}"


def read_added(file: h5py.File, header: Header, rows: Sequence[int]) -> Added:
    """Return what was added to a file.

    Parameters
    ----------
    file : h5py.File
        Open to be read; what h5py raises over a damaged one passes through.
    header : Header
        Of the file.
    rows : sequence of int
        Kept rows of each ensemble.

    Raises
    ------
    Invalid
        If it is not what pmcmc wrote.

    """
    if GROUP not in file:
        return Added()
    group = plain.plain_group(file, GROUP)
    texts = [json.loads(plain.text(group, name)) for name in ("names", "labels")]
    names = tuple(printable(str(name)) for name in texts[0])
    labels = {printable(str(k)): printable(str(v)) for k, v in dict(texts[1]).items()}
    taken = {*header.names, *header.derived_names, "log_prob"}
    if not names or len({*names} - taken) < len(names):
        raise plain.Invalid(f"/{GROUP} has names that are there already, or none")
    current = True
    for e, count in enumerate(rows):
        values = plain.numbers(group, f"{e:04d}")
        if values.shape[1:] != (header.nwalkers, len(names)):
            raise plain.Invalid(f"{values.name} has shape {values.shape}")
        current = current and len(values) == count
    return Added(names, labels) if current else Added(stale=names)


def write_added(
    file: h5py.File, names: Sequence[str], labels: Mapping[str, str], values: Sequence[FloatArray]
) -> None:
    """Put derived quantities in the place of those that are there.

    Parameters
    ----------
    file : h5py.File
        Open to be written.
    names : sequence of str
        Of the quantities.
    labels : mapping of str to str
        For some of them.
    values : sequence of ndarray (step, walker, quantity)
        One per ensemble.

    """
    if GROUP in file:
        del file[GROUP]
    group = file.create_group(GROUP)
    group.attrs["names"] = json.dumps(list(names))
    group.attrs["labels"] = json.dumps(dict(labels))
    for e, one in enumerate(values):
        group.create_dataset(f"{e:04d}", data=np.asarray(one, dtype="f8"))


def change_copy(path: Path, change: Callable[[h5py.File], Any]) -> None:
    """Change a copy of a file that nobody writes, and put it in the place of the file.

    Parameters
    ----------
    path : Path
        The file.
    change : callable
        Takes the copy, open to be written.

    Raises
    ------
    UsageError
        If a job writes it.
    StoreError
        If it cannot be written; it is left as it was.

    """
    path = path.resolve()
    lock, part = Lock(path), part_path(path)
    lock.acquire()
    try:
        _copy(path, part)
        with h5py.File(part, "r+", libver="earliest") as file:
            change(file)
        sync(part)
        lock.check()
        os.replace(part, path)
        sync(path.parent)
    except OSError as exc:
        raise StoreError(
            f"{shown_path(path)} cannot be written, and is as it was: {exc.strerror or exc}"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        with contextlib.suppress(OSError, UsageError):
            lock.release()


def _copy(path: Path, part: Path) -> None:
    """Copy a file with its permissions; what is a hole stays one."""
    with path.open("rb") as old, part.open("xb") as new:
        size = os.fstat(old.fileno()).st_size
        os.fchmod(new.fileno(), os.fstat(old.fileno()).st_mode & 0o777)
        os.ftruncate(new.fileno(), size)
        at = 0
        while at < size:
            start, end = _data(old.fileno(), at, size)
            for at in range(start, end, _COPIED):
                block = os.pread(old.fileno(), min(_COPIED, end - at), at)
                os.pwrite(new.fileno(), block, at)
            at = end


def _data(handle: int, at: int, size: int) -> tuple[int, int]:
    """Return where the next bytes that are no hole begin and end."""
    try:
        start = os.lseek(handle, at, os.SEEK_DATA)
        return start, os.lseek(handle, start, os.SEEK_HOLE)
    except (OSError, AttributeError):  # nothing but a hole up to the end; or no such calls here
        return (size, size) if hasattr(os, "SEEK_DATA") else (at, size)
