"""What a job that is at work tells of itself beside the file: how far it is.

``.NAME.notes`` holds JSON and the token of the writer's lock. It is replaced whole, and no reader
needs it.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from .file import replace_whole
from .lock_owner import LockOwner, read_start
from .progress_record import ProgressRecord


def notes_path(path: Path) -> Path:
    """Return where the notes of an output are."""
    path = path.resolve()
    return path.with_name(f".{path.name}.notes")


def write_notes(path: Path, writer: LockOwner, progress: ProgressRecord | None) -> None:
    """Write notes; nothing where they cannot be written, and no file where there are none.

    Parameters
    ----------
    path : Path
        The output.
    writer : LockOwner
        Of its lock.
    progress : ProgressRecord or None
        How far the run is.

    """
    target = notes_path(path)
    with contextlib.suppress(OSError):
        if progress is None:
            target.unlink(missing_ok=True)
            return
        text = json.dumps({"token": writer.token, "progress": progress.to_dict()})
        replace_whole(target, text.encode())


def read_notes(path: Path, writer: LockOwner) -> ProgressRecord | None:
    """Return the notes of a living writer.

    Parameters
    ----------
    path : Path
        The output.
    writer : LockOwner
        Of its lock; notes of another are left out.

    Returns
    -------
    ProgressRecord or None
        Without control characters.

    """
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        told = json.loads(read_start(notes_path(path)))
        if told["token"] == writer.token:
            return ProgressRecord.from_dict(told["progress"])
    return None
