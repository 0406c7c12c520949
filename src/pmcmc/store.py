"""The HDF5 file of a run: creation, commits, growth. With `layout` and `reader`, h5py's only user.

What makes a commit whole or absent:

- Every dataset has its full size from creation and is contiguous, so that a commit changes no
  HDF5 metadata but the values of attributes; an unwritten part is a hole in the file.
- A commit writes the draws, flushes, and then one record of the state of all ensembles into the
  older of two slots of ``/state``. A record carries a sequence number and a checksum; readers
  trust the newest whole one, and take no row that it does not count.
- The attributes and counts that emcee's HDFBackend reads follow after that.

Files are opened without HDF5's file locking, so that a reader never makes a commit fail, and
written through a ``Disk``, because HDF5 does not survive a write that fails.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from .disk import Disk, check_output, part_path, sync
from .errors import StoreError
from .layout import (
    PHASES,
    STATUSES,
    TIMING,
    Header,
    group_name,
    is_shown,
    lay_out,
    show,
    shown,
    shown_status,
)
from .reader import Reader, open_to_read, reason
from .record import Block, Record

Array = npt.NDArray[Any]
_COPY_BYTES = 32 * 2**20
SAFE = "\n  What was committed before is safe in it: put this right, then go on with --resume"


class Store:
    """The file as rank 0 writes it; with ``path`` None it lives in memory.

    Parameters
    ----------
    path : Path or None
    header : Header
    overwrite : bool
        Replace a file that is there.
    allowed : callable, optional
        Called before each commit; raises where this job must not write any more.

    Attributes
    ----------
    created : bool
        Whether the file is there.
    stale : bool
        Whether attributes of a reopened file lag behind its record: its writer was killed there.

    """

    def __init__(
        self,
        path: Path | None,
        header: Header,
        overwrite: bool = False,
        allowed: Callable[[], None] = lambda: None,
    ) -> None:
        self.path, self.header, self.overwrite = path, header, overwrite
        self.created = self.stale = False
        self._allowed = allowed
        self._memory: h5py.File | None = None
        self._made = 0  # files in memory
        self._disk: Disk | None = None  # of the file that is open
        self._record = Record(header)
        self._stale: set[int] = set()  # ensembles whose attributes lag behind the record

    # ---- a file that is not there yet

    def create(self, blocks: Sequence[Block] = (), status: str = "running") -> None:
        """Make the file, whole and at its full size, with a first commit if there is one.

        Raises
        ------
        StoreError
            If it cannot be written.

        """
        if self.path is not None:
            check_output(self.path, self.overwrite)
        with self._replacing() as file:
            lay_out(file, self.header)
            if blocks:
                self._write(file, blocks, status)
        self.created = True

    # ---- a file that is there

    def reopen(self, reader: Reader) -> None:
        """Go on with a file where its newest record ends.

        Where another burn-in, other steps or stop rules are asked for than in the file, or a
        writer was killed while it changed the status, the file is written anew and put in place
        of the old one; rows stay.

        Raises
        ------
        StoreError
            If it cannot be read or written.

        """
        self._record.data[...] = reader.record
        with _telling(self.path), self._look() as file:
            whole = shown_status(file) is not None
        if self.header.asked != reader.header.asked:
            self._record.mark("running")  # there is more to do now
            self._lay_out_anew(reader)
        elif not whole:
            self._lay_out_anew(reader)
        self.created = True
        with _telling(self.path), self._look() as file:
            ensembles = range(len(self.header.steps))
            self._stale = {e for e in ensembles if not is_shown(file, self._record.shown(e))}
            self.stale = bool(self._stale) or shown_status(file) != shown(self.status)

    def commit(self, blocks: Sequence[Block], status: str = "running") -> None:
        """Write blocks and the state after them, as one step.

        Raises
        ------
        StoreError
            If the file cannot be written; what was committed before is still whole.

        """
        self._allowed()
        with _telling(self.path, SAFE), self._open() as file:
            self._check_ours(file)
            self._write(file, blocks, status)

    @property
    def steps(self) -> Array:
        """Committed steps of each ensemble, burn-in included."""
        return np.asarray(self._record.data["ensembles"]["steps"], dtype=int)

    @property
    def status(self) -> str:
        """The committed status."""
        return STATUSES[int(self._record.data["status"])]

    @property
    def rows(self) -> Array:
        """Committed kept rows of each ensemble."""
        return np.asarray(self._record.rows()[1])

    def arrange(self, header: Header, status: str = "running") -> None:
        """Lay the file out anew, for another burn-in or other steps; committed rows stay.

        Raises
        ------
        StoreError
            If the file cannot be written; the old one is whole then.

        """
        self._allowed()
        reader = self.read()
        data, self.header = self._record.data, header
        self._record = Record(header)
        self._record.data[...] = data
        self._record.seal(status)
        self._lay_out_anew(reader)

    def time(self, ranks: Sequence[tuple[Any, ...]]) -> None:
        """Add to how the ranks spent their time: rows of `layout.TIMING` by rank."""
        with _telling(self.path, SAFE), self._open() as file:
            self._add_times(file, np.array(ranks, TIMING))

    def _add_times(self, file: h5py.File, ranks: Array) -> None:
        timings = file.attrs["timings"]
        for one, more in zip(timings, ranks, strict=False):
            one["host"] = more["host"]
            for name in ("wall", "log_prob", "waiting", "writing", "evaluations"):
                one[name] += more[name]
        file.attrs.modify("timings", timings)

    def read(self) -> Reader:
        """Return a reader of what was committed."""
        return Reader(self.path, self._memory)

    # ---- writing

    @contextlib.contextmanager
    def _open(self) -> Iterator[h5py.File]:
        """Give the file, to be changed; what was written is on the disk in the end."""
        if self._memory is not None:
            yield self._memory
            return
        assert self.path is not None
        with self._through(Disk(self.path), "r+") as file:
            yield file

    @contextlib.contextmanager
    def _through(self, disk: Disk, mode: str) -> Iterator[h5py.File]:
        with disk:
            self._disk = disk
            try:
                with h5py.File(disk, mode, libver="earliest") as file:
                    disk.opened = True
                    yield file
            except Exception:
                disk.check()  # what the system said comes first
                raise
            finally:
                self._disk = None
            disk.sync()

    @contextlib.contextmanager
    def _look(self) -> Iterator[h5py.File]:
        assert self.path is not None
        with open_to_read(self.path) as file:
            yield file

    @contextlib.contextmanager
    def _replacing(self) -> Iterator[h5py.File]:
        """Give a new file that takes the place of the old one when it is whole and on the disk."""
        if self.path is None:
            self._made += 1
            name = f"memory-{id(self)}-{self._made}"
            yield (memory := h5py.File(name, "w", driver="core", backing_store=False))
            self._memory = memory
            return
        path = self.path.resolve()  # a link stays one
        part = part_path(path)
        try:
            with _telling(self.path):
                with self._through(Disk(part, new=True), "w") as file:
                    yield file
                self._allowed()
                os.replace(part, path)
                sync(path.parent)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _flush(self, file: h5py.File) -> None:
        """Hand all that HDF5 holds to the system."""
        file.flush()
        if self._disk is not None:
            self._disk.check()

    def _check_ours(self, file: h5py.File) -> None:
        """Make sure that nobody put another file in the place of this one, or changed it."""
        state = file.get("state")
        last = self._record.slot
        ours = isinstance(state, h5py.Dataset) and state.dtype == self._record.data.dtype
        if not (
            ours and state.shape == (2,) and state[last].tobytes() == self._record.data.tobytes()
        ):
            if self._disk is not None:
                self._disk.check()  # it could not be read
            raise StoreError(
                f"{self.path} is no longer the file that this job wrote: another program put it "
                "there or changed it. This job writes nothing to it, and ends"
            )

    def _lay_out_anew(self, reader: Reader) -> None:
        with self._replacing() as file:
            lay_out(file, self.header)
            rows = self._record.rows()
            for i, phase in enumerate(PHASES):
                for e in range(len(self.header.steps)):
                    group = file[group_name(phase, e)]
                    for name in ("chain", "log_prob", "blobs"):
                        if name not in group:
                            continue
                        for start in range(0, rows[i, e], step := self._rows_at_once()):
                            at = slice(start, min(start + step, rows[i, e]))
                            group[name][at] = reader.values(name, e, at, phase)
            self._add_times(file, reader.timings())
            self._write_record(file)
            for e in range(len(self.header.steps)):
                show(file, self._record.shown(e))
            file.attrs.modify("status", shown(self.status))

    def _rows_at_once(self) -> int:
        return max(1, _COPY_BYTES // self.header.row_bytes)

    def _write(self, file: h5py.File, blocks: Sequence[Block], status: str) -> None:
        for block in blocks:
            self._write_rows(file, block)
        self._flush(file)
        if self._disk is not None:
            self._disk.sync()  # where a node dies the record must not be there before its rows
        for block in blocks:
            self._record.take(block)
            self._stale.add(block.ensemble)
        self._record.seal(status)
        self._write_record(file)
        self._flush(file)
        for e in self._stale:
            show(file, self._record.shown(e))
        self._stale = set()
        if shown_status(file) != shown(status):
            file.attrs.modify("status", shown(status))

    def _write_record(self, file: h5py.File) -> None:
        file["state"][self._record.slot] = self._record.data

    def _write_rows(self, file: h5py.File, block: Block) -> None:
        done = self._record.rows()[:, block.ensemble]
        for start, phase, rows in zip(done, PHASES, (block.burnin, block.kept), strict=True):
            n = len(rows.chain)
            if not n:
                continue
            group = file[group_name(phase, block.ensemble)]
            at = slice(start, start + n)
            group["chain"][at] = rows.chain
            group["log_prob"][at] = rows.log_prob
            if rows.blobs is not None:
                group["blobs"][at] = rows.blobs


@contextlib.contextmanager
def _telling(path: Path | None, more: str = "") -> Iterator[None]:
    failure = None
    try:
        yield
    except (OSError, RuntimeError) as exc:
        failure = reason(exc)
    if failure is not None:  # apart from it: h5py's objects hang on its frames, and must not last
        raise StoreError(f"{path} cannot be written: {failure}{more}")
