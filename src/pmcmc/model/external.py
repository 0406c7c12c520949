"""For models that run other programs: a folder of this rank's own, and an environment for them."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

from ..errors import ModelError
from ..launchers import without_launcher
from .ranks import rank_info

_PREFIX = "pmcmc-scratch-"
_KEEP = "kept-by-keep-scratch"  # a file that says that a folder is to stay
_YOUNG = 60.0  # seconds in which a folder may have no lock yet

_folders: dict[Path, tuple[int, Path, int]] = {}  # by place: whose, the folder, its lock
_keep = [False]


def scratch(place: str | Path | None = None) -> Path:
    """Return a folder of this rank's own, for files of programs that log_prob runs.

    It is made when it is first asked for, and is the same at every call; it is removed when the
    process ends, unless the run was started with ``--keep-scratch``. What processes that were
    killed left there is removed too.

    Parameters
    ----------
    place : str or Path, optional
        The folder to make it in, as a disk of the node. Default: that of TMPDIR.

    Returns
    -------
    Path
        Absolute; no other rank has the same.

    Raises
    ------
    ModelError
        If it cannot be made.

    Notes
    -----
    Two ranks that write the same file give wrong values, without a word: every file that a
    program writes, or is given, belongs in here.

    """
    at = Path(tempfile.gettempdir() if place is None else place).absolute()
    owner, folder, _ = _folders.get(at, (None, at, -1))
    if owner == os.getpid() and folder.is_dir():
        return folder
    try:
        at.mkdir(parents=True, exist_ok=True)
        if owner is None:
            _remove_left_over(at)
        within = folder if owner is not None and folder.is_dir() else at  # of a forked child
        made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{rank_info().rank}-", dir=within))
        lock = os.open(made, os.O_RDONLY)
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _keep[0]:
            (made / _KEEP).touch()
    except OSError as exc:
        raise ModelError(
            f"scratch() cannot make a folder in {at} ({exc.strerror or exc}): set TMPDIR to a "
            "folder on this host with room, or name one, scratch(place)"
        ) from None
    if not _folders:
        atexit.register(remove_scratch)
    _folders[at] = (os.getpid(), made, lock)
    return made


def keep_scratch(keep: bool) -> None:
    """Say whether the folders stay when the process ends, those that are there already too."""
    _keep[0] = keep
    for owner, folder, _ in _folders.values():
        if keep and owner == os.getpid():
            with contextlib.suppress(OSError):
                (folder / _KEEP).touch()


def kept_scratch() -> list[Path]:
    """Return the folders of this process that stay."""
    mine = [folder for owner, folder, _ in _folders.values() if owner == os.getpid()]
    return [folder for folder in mine if _keep[0] and folder.is_dir()]


def remove_scratch() -> None:
    """Remove the folders of this process, unless they are to stay."""
    for place, (owner, folder, lock) in list(_folders.items()):
        if owner != os.getpid():
            continue
        if not _keep[0]:
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        del _folders[place]


def _remove_left_over(place: Path) -> None:
    """Remove folders whose process was killed: nobody holds their lock any more."""
    for folder in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            about = folder.lstat()
            young = time.time() - about.st_mtime < _YOUNG
            if about.st_uid != os.getuid() or young or (folder / _KEEP).exists():
                continue
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def clean_env() -> dict[str, str]:
    """Return the environment for a program that log_prob runs.

    Returns
    -------
    dict
        A copy without what the launcher told this rank: a program that uses MPI, started as it is
        or by an mpiexec of its own, would take itself for a rank of this job, and die.

    """
    return without_launcher(os.environ)
