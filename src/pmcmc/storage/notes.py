"""What a job that is at work tells of itself beside the file: calls of log_prob that last.

``.NAME.notes`` holds JSON and the token of the writer's lock. It is replaced whole, and no reader
needs it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from ..text import printable
from .file import replace_whole
from .lock_owner import LockOwner, read_start


def notes_path(path: Path) -> Path:
    """Return where the notes of an output are."""
    path = path.resolve()
    return path.with_name(f".{path.name}.notes")


def write_notes(path: Path, writer: LockOwner, notes: Sequence[str]) -> None:
    """Write notes; nothing where they cannot be written, and no file where there are none.

    Parameters
    ----------
    path : Path
        The output.
    writer : LockOwner
        Of its lock.
    notes : sequence of str
        One line each.

    """
    target = notes_path(path)
    with contextlib.suppress(OSError):
        if not notes:
            target.unlink(missing_ok=True)
            return
        text = json.dumps({"token": writer.token, "notes": list(notes)})
        replace_whole(target, text.encode())


def read_notes(path: Path, writer: LockOwner) -> list[str]:
    """Return the notes of a living writer.

    Parameters
    ----------
    path : Path
        The output.
    writer : LockOwner
        Of its lock; notes of another are left out.

    Returns
    -------
    list of str
        Without control characters.

    """
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        told = json.loads(read_start(notes_path(path)))
        if told["token"] == writer.token:
            return [printable(str(note)) for note in told["notes"]]
    return []
