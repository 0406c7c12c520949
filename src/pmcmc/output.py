"""The output of a run before and after the work, on rank 0: its lock, and what is in it."""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .disk import check_output
from .errors import UsageError
from .lock import Lock
from .reader import Reader


class Output:
    """Holds the lock of an output from before the work until after the last commit."""

    def __init__(self) -> None:
        self.lock: Lock | None = None
        self.reader: Reader | None = None  # of the file to go on with
        self.remark: str | None = None

    def claim(self, options: Mapping[str, Any]) -> Reader | None:
        """Make sure that the output can be written; return a reader of the file to resume.

        Raises
        ------
        UsageError
            If it is there and neither resume nor overwrite is set, if another job writes it, or
            if it cannot be written.
        StoreError
            If the file to resume is not one of pmcmc's, or is damaged.

        """
        resume = options.get("resume")
        if options.get("output") is None:
            if resume:
                raise UsageError("resume needs an output: the file to go on with")
            return None
        path = Path(options["output"])
        check_output(path, overwrite=True)
        if not options.get("dry_run"):
            lock = self.lock = Lock(path)
            self.remark = lock.acquire(force=bool(options.get("break_lock")))
            for part in lock.output.parent.glob(f".{glob.escape(lock.output.name)}.*.part"):
                part.unlink(missing_ok=True)  # of a writer that was killed
        if resume and path.exists():
            reader = Reader(path)
            self.reader = reader if reader.sequence else None
            if self.reader is not None:
                return reader
        elif not options.get("dry_run"):
            check_output(path, bool(options.get("overwrite")))
        return None

    def allowed(self) -> None:
        """Make sure that no other job took the output over."""
        if self.lock is not None:
            self.lock.check()

    def release(self) -> None:
        """Give the output up."""
        if self.lock is not None:
            with contextlib.suppress(OSError):
                self.lock.release()
