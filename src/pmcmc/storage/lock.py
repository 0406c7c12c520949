"""One writer: a small file beside the output says which job is writing it.

HDF5's own locking is off on many shared file systems, and makes writers fail over readers. The
lock file is made by link(2), which is atomic on NFS and Lustre too. It tells who the writer is,
and its time of change is the writer's heartbeat, so that a lock left behind by a killed job is
seen to be dead. Who takes over a dead lock, or removes its own, first makes a key that is named
after that very lock: of many who find it dead only one puts its own in the place, and none can
hit the lock of a living writer who came first.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .. import forks
from ..errors import StoreError, UsageError
from .lock_owner import SILENCE, UNREADABLE, LockOwner, read_owner
from .place import OutputPlace, shown_path

BEAT = 20.0  # seconds between heartbeats
_PATIENCE = 10.0  # seconds to wait for others who take over the same lock
# what link(2) says where a file system has no hard links
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


class Lock:
    """The right to write one output.

    Parameters
    ----------
    path : Path or OutputPlace
        The output; the lock is ``.NAME.lock`` beside it.

    Attributes
    ----------
    writer : LockOwner
        This process.

    """

    def __init__(self, path: Path | OutputPlace) -> None:
        self._where = OutputPlace(path) if isinstance(path, Path) else path
        self.writer = LockOwner.here()
        self._held = False
        self._stop = threading.Event()

    @property
    def output(self) -> Path:
        """The output, links resolved."""
        return self._where.path.resolve()

    @property
    def path(self) -> Path:
        """The lock file."""
        return lock_path(self._where.path)

    def acquire(self, force: bool = False) -> str | None:
        """Take the lock, and give a sign of life every 20 s from a thread until ``release``.

        Parameters
        ----------
        force : bool
            Take it from whoever has it. Default: False.

        Returns
        -------
        str or None
            What to say if a dead one was taken over.

        Raises
        ------
        UsageError
            If another job holds it.
        StoreError
            If the lock cannot be written, or others take it over again and again for 10 s.

        """
        remark, limit = None, time.monotonic() + _PATIENCE
        while time.monotonic() < limit:
            if self._place(self.path):
                return self._hold(None)
            found = holder(self.output)
            if found is None:
                continue  # it was released just now
            other, silent = found
            if other.token == self.writer.token:  # made, though the answer was lost on the way
                return self._hold(None)
            why = "--break-lock was given" if force else other.why_dead(silent)
            if why is None and other.token == UNREADABLE and silent < _PATIENCE / 10:
                time.sleep(0.02)  # it may be half written
                continue
            if why is None:
                raise UsageError(
                    f"{self.output.name} is being written by {other}, since {other.since}, and "
                    "nothing was changed: wait for that job, give another --output, or, if it is "
                    "surely gone, --break-lock"
                )
            remark = f"took over {self.output.name} from {other}: {why}"
            if self._change(self.path, other.token, self._replace):
                return self._hold(remark)
            time.sleep(0.02)
        raise StoreError(
            f"the lock {shown_path(self.path)} cannot be taken: others take it at the same time"
        )

    def check(self) -> None:
        """Make sure that this process still has the lock.

        Raises
        ------
        StoreError
            If another took it over.

        """
        if not self._held:
            return
        found = read_owner(self.path)
        if found is None:
            raise StoreError(
                f"the lock {shown_path(self.path)} is gone, and so perhaps is the right to write: "
                f"this job writes no more to {shown_path(self.output)}; --resume goes on with it"
            )
        if found.token != self.writer.token:
            raise StoreError(
                f"{shown_path(self.output)} was taken over by {found}: this job writes no more "
                "to it"
            )

    def release(self) -> None:
        """Give the lock up, if it is held."""
        if forks.in_child():
            return
        self._stop.set()
        if self._mine():
            with contextlib.suppress(OSError):
                try:
                    self._change(self.path, self.writer.token, self.path.unlink)
                except StoreError:  # a full disk has no room for a key
                    self.path.unlink()
        self._held = False

    def _hold(self, remark: str | None) -> str | None:
        self._held = True
        for left in self.path.parent.glob(f"{glob.escape(self.path.name)}.*"):
            with contextlib.suppress(OSError):
                if _silence(left) > SILENCE:  # of a process that was killed
                    left.unlink()
        threading.Thread(target=self._beat, daemon=True).start()
        return remark

    def _mine(self) -> bool:
        found = read_owner(self.path)
        return found is not None and found.token == self.writer.token

    def _place(self, path: Path) -> bool:
        """Make a lock or a key, whole or not at all; False if there is one."""
        with self._written() as part:
            try:
                os.link(part, path)
            except FileExistsError:
                return False
            except OSError as exc:
                if exc.errno not in _NO_LINKS:
                    raise
                return self._place_without_links(path)
        return True

    def _place_without_links(self, path: Path) -> bool:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w") as file:
            file.write(self.writer.text())
        return True

    def _replace(self) -> None:
        with self._written() as part:
            os.replace(part, self.path)

    @contextlib.contextmanager
    def _written(self) -> Iterator[Path]:
        """Give a file that says who this is, to be put in its place."""
        part = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}.new")
        try:
            part.write_text(self.writer.text())
            yield part
        except OSError as exc:
            raise StoreError(
                f"the lock {shown_path(self.path)} cannot be written: {exc.strerror}"
            ) from None
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _change(self, path: Path, token: str, change: Callable[[], None]) -> bool:
        """Change a lock while it is the one with ``token``; False if it is not, or others do."""
        key = path.with_name(f"{path.name}.{token}.key")
        if not self._place(key):
            found = _age(key)
            if found is not None and found[0].why_dead(found[1]):  # killed within a change
                self._change(key, found[0].token, key.unlink)
            return False
        try:
            now = read_owner(path)
            if now is None or now.token != token:
                return False
            change()
            return True
        finally:
            key.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            with contextlib.suppress(OSError):
                if self._mine():
                    os.utime(self.path)


def lock_path(path: Path) -> Path:
    """Return where the lock of an output is."""
    path = path.resolve()
    return path.with_name(f".{path.name}.lock")


def holder(path: Path) -> tuple[LockOwner, float] | None:
    """Return who holds the lock of an output.

    Parameters
    ----------
    path : Path
        The output.

    Returns
    -------
    (LockOwner, float) or None
        The writer, and for how many seconds it gave no sign of life; None if nobody holds it.

    """
    return _age(lock_path(path))


def being_written(path: Path) -> LockOwner | None:
    """Return the living writer of an output.

    Parameters
    ----------
    path : Path
        The output.

    Returns
    -------
    LockOwner or None
        None also where the writer must be gone, see `LockOwner.why_dead`.

    """
    found = holder(path)
    if found is None or found[0].why_dead(found[1]):
        return None
    return found[0]


def _age(lock: Path) -> tuple[LockOwner, float] | None:
    writer = read_owner(lock)
    try:
        return None if writer is None else (writer, _silence(lock))
    except OSError:  # released just now
        return None


def _silence(lock: Path) -> float:
    """Return the seconds since a lock was touched, by the clock of the file system.

    That clock may differ from this host's.
    """
    touched = lock.stat().st_mtime
    probe = lock.with_name(f"{lock.name}.{secrets.token_hex(4)}.new")
    try:
        probe.touch()
        try:
            return probe.stat().st_mtime - touched
        finally:
            probe.unlink()
    except OSError:  # a folder to read only
        return time.time() - touched
