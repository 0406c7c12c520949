"""Where an output is, though the working directory changes or its folder gets another name."""

from __future__ import annotations

import os
import weakref
from pathlib import Path


class OutputPlace:
    """The path of an output, followed from the moment at which this is made.

    Parameters
    ----------
    path : str or Path
        Relative to the working directory of that moment, or absolute.

    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(os.path.abspath(path))
        self._folder: int | None = None
        try:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            self._folder = os.open(self._path.parent, flags)
        except OSError:  # there is none, or it cannot be read: nothing to follow
            return
        weakref.finalize(self, os.close, self._folder)

    @property
    def path(self) -> Path:
        """Where the output is now, absolute."""
        if self._folder is None:
            return self._path
        try:
            if os.path.samestat(os.stat(self._path.parent), os.fstat(self._folder)):
                return self._path
        except OSError:
            pass
        try:  # Linux knows the name that an open folder has now
            now = Path(os.readlink(f"/proc/self/fd/{self._folder}"))
        except OSError:
            return self._path
        return now / self._path.name if now.is_dir() else self._path


def shown_path(path: str | Path | None) -> str:
    """Return a path for messages: relative where it is in the working directory."""
    if path is None:
        return "the run in memory"
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):  # it is elsewhere, or the working directory is gone
        return str(path)
