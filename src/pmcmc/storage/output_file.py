"""The file of a run as its writer opens it: to be changed, looked at, or made anew.

It is opened without HDF5's file locking, so that a reader never makes a commit fail, and written
through a ``GuardedFile``, because HDF5 does not survive a write that fails.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ..errors import StoreError
from .file import GuardedFile, part_path, sync
from .opening import DAMAGE, reason
from .place import OutputPlace, shown_path
from .reader import RunReader
from .untrusted import open_untrusted

if TYPE_CHECKING:
    from .._types import AnyArray

_NUMBERS = itertools.count()  # of files in memory
SAFE = "\n  What was committed before is safe in it: put this right, then go on with --resume"


class OutputFile:
    """The file of one writer, on the disk or in memory.

    What opens it raises StoreError where it cannot be written or read.

    Parameters
    ----------
    place : OutputPlace or None
        None: it lives in memory.
    allowed : callable
        Called before a new file takes the place of the old one; raises where this job must not
        write any more.

    Attributes
    ----------
    token : numpy.bytes_
        That the file's attribute ``writer`` has while it is this writer's.
    memory : h5py.File or None
        The file itself, where it lives in memory and is made.

    """

    def __init__(self, place: OutputPlace | None, allowed: Callable[[], None]) -> None:
        self._place, self._allowed = place, allowed
        self.token: Any = np.bytes_(secrets.token_hex(8))
        self.memory: h5py.File | None = None
        self._disk: GuardedFile | None = None  # of the file that is open
        self._places: dict[str, tuple[int, int]] = {}  # of datasets: where, and their bytes

    @property
    def path(self) -> Path | None:
        """Where the file is now."""
        return None if self._place is None else self._place.path

    @contextlib.contextmanager
    def changing(self) -> Iterator[h5py.File]:
        """Give the file, to be changed; what was written is on the disk in the end."""
        with _as_store_error(self.path, SAFE):
            if self.memory is not None:
                yield self.memory
                return
            assert self.path is not None
            with self._through(GuardedFile(self.path), "r+") as file:
                yield file

    @contextlib.contextmanager
    def looking(self) -> Iterator[h5py.File]:
        """Give the file, which another job may have written, to be read."""
        assert self.path is not None
        with _as_store_error(self.path):
            try:
                with open_untrusted(self.path) as file:
                    yield file
            except DAMAGE as exc:
                raise StoreError(f"{shown_path(self.path)} is damaged: {reason(exc)}") from None

    @contextlib.contextmanager
    def replacing(self) -> Iterator[h5py.File]:
        """Give a new file that takes the place of the old one when it is whole and on the disk."""
        if self.path is None:
            name = f"memory-{next(_NUMBERS)}"  # HDF5 opens no two files of one name
            yield (memory := h5py.File(name, "w", driver="core", backing_store=False))
            memory.attrs["writer"] = self.token
            self.memory = memory
            return
        path = self.path.resolve()  # a link stays one
        part = part_path(path)
        self._places, before = {}, self._places
        try:
            with _as_store_error(self.path):
                made = GuardedFile(part, new=True)
                made.copy_mode(path)
                with self._through(made, "w") as file:
                    yield file
                    file.attrs["writer"] = self.token
                self._allowed()
                os.replace(part, path)
                before = self._places
                sync(path.parent)
        finally:
            self._places = before
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _through(self, disk: GuardedFile, mode: str) -> Iterator[h5py.File]:
        with disk:
            self._disk = disk
            try:
                with h5py.File(disk, mode, libver="earliest") as file:
                    disk.opened = True
                    yield file
            except Exception:  # of any class: HDF5 hides the system's error in its own
                disk.check()  # raises that error, if there was one
                raise
            finally:
                self._disk = None
            disk.sync()

    def write_rows(self, file: h5py.File, name: str, start: int, values: AnyArray) -> None:
        """Write rows of a dataset of float64, where it has not been read since it was opened.

        On the disk they go where HDF5 says that the dataset is, past HDF5 itself, which takes ten
        times as long: it matters where there are thousands of ensembles.

        Parameters
        ----------
        file : h5py.File
            As ``changing`` or ``replacing`` gave it.
        name : str
            The dataset's; it is contiguous, and all of it is allocated.
        start : int
            The first row.
        values : ndarray (row, ...)
            As many values each as the dataset has.

        """
        if self._disk is None:
            file[name][start : start + len(values)] = values
            return
        if name not in self._places:
            dataset = h5py.h5d.open(file.id, name.encode())
            self._places[name] = dataset.get_offset(), dataset.get_storage_size()
        offset, size = self._places[name]
        data = np.ascontiguousarray(values, dtype="<f8")
        begin = start * (data.nbytes // max(1, len(data)))
        if begin + data.nbytes > size:
            raise ValueError(f"{name} has no room for rows {start} to {start + len(values)}")
        self._disk.write_at(offset + begin, data.data)

    def flush(self, file: h5py.File) -> None:
        """Hand all that HDF5 holds of the open file to the system."""
        file.flush()
        self.check()

    def check(self) -> None:
        """Raise what the system refused since the file was opened, as OSError."""
        if self._disk is not None:
            self._disk.check()

    def sync(self) -> None:
        """Make sure that what was handed to the system is on the disk."""
        if self._disk is not None:
            self._disk.sync()


def _is_readable(path: Path) -> bool:
    try:
        RunReader(path)
    except StoreError:
        return False
    return True


@contextlib.contextmanager
def _as_store_error(path: Path | None, more: str = "") -> Iterator[None]:
    failure = None
    try:
        yield
    except (OSError, RuntimeError) as exc:
        failure = reason(exc)
    if failure is not None and more and path is not None and not path.exists():
        raise StoreError(
            f"{shown_path(path)} was removed or renamed while the run wrote it: what it held is "
            "lost to this run"
        )
    if failure is not None and more and path is not None and not _is_readable(path):
        more = "\n  It can no longer be read, by what another program did to it"
    if failure is not None:  # apart from it: h5py's objects hang on its frames, and must not last
        raise StoreError(f"{shown_path(path)} cannot be written: {failure}{more}")
