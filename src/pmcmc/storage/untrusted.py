"""A file that anybody may have written or damaged, opened so that HDF5 cannot loop over its texts.

HDF5 keeps texts of variable length in "global heaps", and walks a heap by the sizes that the
file gives. It trusts them: over a size that leads nowhere it loops for ever, or reads what is not
there. So the heaps that HDF5 asks for are walked here first (the layout is that of the HDF5 File
Format Specification, section III.E), and one that is wrong is never handed out.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import h5py

_SIGNATURE = b"GCOL\x01\0\0\0"  # of a heap: its name, version 1, and three bytes of zero
_START = struct.Struct("<8sQ")  # the signature, and the size of the whole
_OBJECT = struct.Struct("<HH4xQ")  # number (0: free space), references, size
_MOST = 2**16  # objects of a heap: their numbers have two bytes


@contextlib.contextmanager
def open_untrusted(path: Path) -> Iterator[h5py.File]:
    """Open a file to be read, for what has not been checked yet.

    Parameters
    ----------
    path : Path
        Of an HDF5 file.

    Yields
    ------
    h5py.File

    Raises
    ------
    OSError
        If it cannot be opened, or one of its heaps is damaged: in place of what that led to.

    """
    with _WatchedFile(path) as disk:
        try:
            with h5py.File(disk, "r") as file:
                yield file
        finally:
            disk.check()


class _WatchedFile(io.FileIO):
    """The file as HDF5 reads it: without the heaps that are damaged."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "r")
        self._size = os.fstat(self.fileno()).st_size
        self._at = 0
        self._damaged: list[int] = []

    def check(self) -> None:
        """Raise if a damaged heap was asked for."""
        if self._damaged:
            raise OSError(f"the texts at byte {self._damaged[0]} are damaged")

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set where the next bytes are read: anywhere, for a damaged file may ask for that."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence, self._size)
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Return where the next bytes are read."""
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer as far as the file goes; damaged heaps come as zeros."""
        view, at, done = memoryview(buffer).cast("B"), self._at, 0
        if at >= self._size:
            return 0
        while done < len(view) and (n := os.preadv(self.fileno(), [view[done:]], at + done)):
            done += n
        self._at = at + done
        # a heap may have begun in what was read before
        margin = len(_SIGNATURE) - 1
        first = max(0, at - margin)
        seen = os.pread(self.fileno(), at - first, first) + bytes(view[:done])
        seen += os.pread(self.fileno(), margin, at + done)
        begin = seen.find(_SIGNATURE)
        while begin >= 0:
            if not _is_whole(self.fileno(), first + begin):
                self._damaged.append(first + begin)
                low = max(0, first + begin - at)
                view[low : low + len(_SIGNATURE)] = bytes(len(view[low : low + len(_SIGNATURE)]))
            begin = seen.find(_SIGNATURE, begin + 1)
        return done


def _is_whole(handle: int, at: int) -> bool:
    """Tell whether a walk through a heap takes every object once and ends where the heap does."""
    size: int
    _, size = _START.unpack(os.pread(handle, _START.size, at).ljust(_START.size, b"\0"))
    if size > os.fstat(handle).st_size - at:
        return False
    place, end = at + _START.size, at + size
    for _ in range(_MOST):
        if end - place < _OBJECT.size:  # too little for another
            return place <= end
        number, _, length = _OBJECT.unpack(os.pread(handle, _OBJECT.size, place))
        place += _OBJECT.size + -(-length // 8) * 8 if number else length
        if number == 0 and length < _OBJECT.size:
            return False
    return False
