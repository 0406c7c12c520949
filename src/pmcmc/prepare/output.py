"""The output of a run before and after the work, on rank 0: its lock, and what is in it."""

from __future__ import annotations

import contextlib
import glob
from pathlib import Path

from ..errors import StoreError, UsageError
from ..options import RunOptions
from ..storage.file import check_output
from ..storage.lock import Lock
from ..storage.notes import write_notes
from ..storage.opening import check_replaceable
from ..storage.place import OutputPlace, shown_path
from ..storage.progress_record import ProgressRecord
from ..storage.reader import RunReader
from ..text import count_text


class OutputClaim:
    """Holds the lock of an output from before the work until after the last commit.

    Parameters
    ----------
    path : str or Path, optional
        The output; made before the code of a model runs, which may change the working directory.

    Attributes
    ----------
    place : OutputPlace or None
        None for draws in memory.
    lock : Lock or None
        None for draws in memory, and in a dry run.
    reader : RunReader or None
        Of the file to go on with.
    remark : str or None
        What to say if a dead lock was taken over.

    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.place = None if path is None else OutputPlace(path)
        self.lock: Lock | None = None
        self.reader: RunReader | None = None  # of the file to go on with
        self.remark: str | None = None

    def claim(self, options: RunOptions) -> RunReader | None:
        """Make sure that the output can be written.

        Parameters
        ----------
        options : RunOptions
            Of this start; with ``dry_run`` nothing is locked or removed.

        Returns
        -------
        RunReader or None
            Of the file to resume, if there is a commit in it.

        Raises
        ------
        UsageError
            If it is there and neither resume nor overwrite is set, if another job writes it, if it
            cannot be written, or if resume is set without an output.
        StoreError
            If the file to resume is not one of pmcmc's or damaged, or the lock cannot be written.

        """
        if self.place is None:
            if options.resume:
                raise UsageError("resume needs an output: the file to go on with")
            return None
        path = self.place.path
        check_output(path, overwrite=True)
        if not options.dry_run:
            lock = self.lock = Lock(self.place)
            self.remark = lock.acquire(force=options.break_lock)
            for part in lock.output.parent.glob(f".{glob.escape(lock.output.name)}.*.part"):
                part.unlink(missing_ok=True)  # of a writer that was killed
        if options.resume and path.exists():
            reader = RunReader(path)
            self.reader = reader if reader.sequence else None
            if self.reader is not None:
                return reader
        elif not options.dry_run:
            if path.exists() and not options.overwrite:
                _refuse_unfinished(path)
            check_output(path, options.overwrite)
            check_replaceable(path)
        return None

    def allowed(self) -> None:
        """Make sure that no other job took the output over.

        Raises
        ------
        StoreError
            If one did, or the lock is gone.

        """
        if self.lock is not None:
            self.lock.check()

    def tell(self, progress: ProgressRecord | None) -> None:
        """Leave notes beside the output, for ``status``.

        Parameters
        ----------
        progress : ProgressRecord or None
            None: nothing is to be told any more.

        """
        if self.lock is not None:
            write_notes(self.lock.output, self.lock.writer, progress)

    def release(self) -> None:
        """Give the output up."""
        if self.lock is not None:
            self.tell(None)
            with contextlib.suppress(OSError):
                self.lock.release()


def _refuse_unfinished(path: Path) -> None:
    """Refuse a new run where a stopped one is, with how to go on with that."""
    try:
        reader = RunReader(path)
    except StoreError:
        return  # whatever else it is
    if reader.status == "finished" or not reader.sequence:
        return
    header, rows = reader.header, int(reader.rows.sum())
    how_far = f"{rows} of {sum(header.steps)} steps"
    if header.config.get("nsteps") == "auto":
        how_far = count_text(rows, "step")
    if not rows:
        of = "" if header.config.get("burnin") == "auto" else f" of {header.burnin}"
        how_far = f"{int(reader.burnin_rows.min())}{of} burn-in steps"
    raise UsageError(
        f"the output {shown_path(path)} holds a run that was stopped, {how_far}: --resume goes "
        "on with it. Nothing was changed; for a new run give another name with --output, or "
        "--overwrite to replace it"
    )
