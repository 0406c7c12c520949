"""Rejected evaluations: all in FILE.rejects.jsonl, the first 1000 and their number in the file.

The text is written, and on the disk, before the record of the commit that counts it, which says
how long it is then; what a kill left beyond that is cut off when the run goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import StoreError, UsageError
from ..model.rejects import Reject
from .place import shown_path

if TYPE_CHECKING:
    import h5py

KEPT = 1000  # in the file
DATASET = "rejects"


def rejects_dtype(ndim: int) -> np.dtype[Any]:
    """Return the dtype of ``/rejects``."""
    return np.dtype(
        [
            ("ensemble", "u4"),
            ("step", "i8"),
            ("kind", "S16"),
            ("message", "S300"),
            ("where", "S100"),
            ("theta", "f8", (ndim,)),
        ]
    )


def log_path(output: Path) -> Path:
    """Return where the rejects of a run are that writes to ``output``."""
    return output.with_name(f"{output.name}.rejects.jsonl")


def check_log(output: Path, overwrite: bool) -> None:
    """Refuse to begin a run whose log of rejects would replace another's.

    Raises
    ------
    UsageError
        If there is one.

    """
    path = log_path(output)
    if path.exists() and not overwrite:
        raise UsageError(
            f"{shown_path(path)} is there, of a run whose file is not: move it away, or give "
            "--overwrite"
        )


class RejectLog:
    """The text file, as rank 0 writes it.

    Parameters
    ----------
    output : Path
        The file of the run.
    names : sequence of str
        Of the parameters.

    """

    def __init__(self, output: Path, names: Sequence[str]) -> None:
        self._path, self._names = log_path(output), names

    def begin(self, size: int = 0) -> None:
        """Cut off what no commit counts: what is beyond so many bytes.

        Raises
        ------
        StoreError
            If it cannot be.

        """
        with self._as_store_error(), contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_size > size:
                os.truncate(self._path, size)

    def add(self, rejects: Sequence[Reject]) -> int:
        """Append; return how many bytes it has then, all on the disk.

        Raises
        ------
        StoreError
            If it cannot be written.

        """
        lines = "".join(f"{json.dumps(self._as_dict(one))}\n" for one in rejects)
        with self._as_store_error():
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(self._path, flags, 0o666), "ab") as file:
                file.write(lines.encode("utf-8", "backslashreplace"))
                file.flush()
                os.fsync(file.fileno())
                return file.tell()

    def _as_dict(self, one: Reject) -> dict[str, Any]:
        at = dict(zip(self._names, one.theta, strict=True))
        about = {"ensemble": one.ensemble, "step": one.step, "kind": one.kind}
        return {**about, "message": one.message, "where": one.where, "parameters": at}

    @contextlib.contextmanager
    def _as_store_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise StoreError(
                f"{shown_path(self._path)} cannot be written: {exc.strerror}"
            ) from None


def write_rejects(file: h5py.File, rejects: Sequence[Reject], before: int) -> None:
    """Keep rejects in the file, as far as there is room.

    Parameters
    ----------
    file : h5py.File
        Open to be written; with a dataset for them.
    rejects : sequence of Reject
        In the order in which they are counted.
    before : int
        How many came before them.

    """
    some = rejects[: max(0, KEPT - before)]
    if not some:
        return
    table = file[DATASET]
    rows = np.zeros(len(some), table.dtype)
    for row, one in zip(rows, some, strict=True):
        row["ensemble"], row["step"], row["theta"] = one.ensemble, one.step, one.theta
        for name in ("kind", "message", "where"):
            row[name] = getattr(one, name).encode("utf-8", "backslashreplace")
    table[before : before + len(some)] = rows
