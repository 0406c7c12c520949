"""The output as a file: whether it can be written, and its bytes as HDF5 writes them.

HDF5 itself does not survive a write that fails: it goes on with what it holds half written,
swallows a failure at the close of a dataset, and may crash the process. So it writes through a
``GuardedFile``: it keeps the first failure, drops what comes after it, and raises it when asked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from pathlib import Path
from types import TracebackType

from ..errors import UsageError
from .place import shown_path

_LONGEST_NAME = 255  # bytes; of most file systems


class GuardedFile:
    """A file for ``h5py.File``, open to be read and written.

    Parameters
    ----------
    path : Path
    new : bool
        Begin an empty file; there must be none, nor a link.

    Attributes
    ----------
    opened : bool
        To be set when HDF5 has read what it needs to open the file.

    Raises
    ------
    OSError
        If it cannot be opened.

    """

    def __init__(self, path: Path, new: bool = False) -> None:
        made = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        self._handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | (made if new else 0), 0o666)
        if self._handle < 3:  # what is printed would go into it
            low, self._handle = self._handle, fcntl.fcntl(self._handle, fcntl.F_DUPFD_CLOEXEC, 3)
            os.close(low)
        self._at = 0
        self._failure: tuple[int | None, str] | None = None
        self.opened = False

    def copy_mode(self, path: Path) -> None:
        """Give the file the permissions of the one that it is to replace, if there is one."""
        with contextlib.suppress(OSError):
            os.fchmod(self._handle, stat.S_IMODE(path.stat().st_mode))

    def check(self) -> None:
        """Raise the first failure, if there was one.

        Raises
        ------
        OSError
            As the system gave it.

        """
        if self._failure is not None:  # a new one: h5py's objects hang on the frames of the old
            raise OSError(*self._failure)

    def sync(self) -> None:
        """Make sure that all is on the disk.

        Raises
        ------
        OSError
            If it is not.

        """
        self.check()
        os.fsync(self._handle)

    def __enter__(self) -> GuardedFile:
        """Return the disk itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        os.close(self._handle)

    # ---- what h5py calls

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set where the next bytes are read or written."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        self._at = offset + (os.fstat(self._handle).st_size if base is None else base)
        return self._at

    def tell(self) -> int:
        """Return where the next bytes are read or written."""
        return self._at

    def read(self, size: int) -> bytes:
        """Return the next bytes. h5py knows a file by this."""
        data = bytearray(size)
        return bytes(data[: self.readinto(memoryview(data))])

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer as far as the file goes.

        Raises
        ------
        OSError
            As the system gave it, once HDF5 has opened the file: from then on it can take that.

        """
        view, done = memoryview(buffer).cast("B"), 0
        try:
            while done < len(view) and (n := os.preadv(self._handle, [view[done:]], self._at)):
                done, self._at = done + n, self._at + n
        except OSError as exc:
            self._fail(exc)
            if self.opened:
                raise
            view[done:] = bytes(len(view) - done)
        return done

    def write(self, data: memoryview) -> int:
        """Write all, unless something has failed."""
        view = memoryview(data).cast("B")
        size = len(view)
        try:
            while len(view) and self._failure is None:
                n = os.pwrite(self._handle, view, self._at)
                view, self._at = view[n:], self._at + n
        except OSError as exc:
            self._fail(exc)
        return size

    def write_at(self, offset: int, data: memoryview) -> None:
        """Write all at a place, unless something has failed."""
        at, self._at = self._at, offset
        self.write(data)
        self._at = at

    def truncate(self, size: int) -> int:
        """Set the size of the file, unless something has failed."""
        try:
            if self._failure is None and os.fstat(self._handle).st_size != size:
                os.ftruncate(self._handle, size)
        except OSError as exc:
            self._fail(exc)
        return size

    def _fail(self, exc: OSError) -> None:
        self._failure = self._failure or (exc.errno, exc.strerror or str(exc))

    def flush(self) -> None:
        """Do nothing: no bytes are kept back here."""


def check_output(path: Path, overwrite: bool = False) -> None:
    """Refuse, before any work, an output that exists or cannot be written.

    Raises
    ------
    UsageError
        With what to do.

    """
    shown = shown_path(path)
    longest = _LONGEST_NAME - len(os.fsencode(part_path(Path("x")).name))
    if len(os.fsencode(path.name)) > longest:
        raise UsageError(
            f"the name {shown} has {len(os.fsencode(path.name))} bytes: give one of at most "
            f"{longest} with --output"
        )
    try:
        path.resolve(strict=True)
    except FileNotFoundError:
        pass
    except (OSError, RuntimeError) as exc:  # a loop of links is the latter, up to Python 3.12
        why = getattr(exc, "strerror", None) or "its links run in a circle"
        raise UsageError(f"the output {shown} cannot be written: {why}") from None
    if path.is_dir():
        raise UsageError(f"the output {shown} is a folder: give the name of a file in it")
    if path.exists() and not path.is_file():
        raise UsageError(f"the output {shown} is no regular file: give another name with --output")
    if path.exists() and not overwrite:
        raise UsageError(
            f"the output {shown} exists, and nothing was changed: give another name with "
            "--output, or --overwrite to replace it"
        )
    if not path.parent.is_dir():
        raise UsageError(
            f"the output {shown} cannot be written: there is no folder {shown_path(path.parent)}"
        )
    probe = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        probe.touch(exist_ok=False)
        probe.unlink(missing_ok=True)  # the job that has the output may sweep
    except OSError as exc:
        raise UsageError(f"the output {shown} cannot be written: {exc.strerror}") from None


def part_path(path: Path) -> Path:
    """Return where a file is made before it takes its place."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")


def replace_whole(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Put a new file in the place of another; the old one stays until the new one is whole.

    Parameters
    ----------
    path : Path
        Where; a link there is replaced.
    data : bytes
        Its content.
    mode : int
        Of the new file, less the umask. Default: 0o666.

    Raises
    ------
    OSError
        If it cannot be written.

    """
    part = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(part, flags, mode), "wb") as file:
            file.write(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Bring a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
