"""The HDF5 file of a run as it is written: creation, commits, growth.

What makes a commit whole or absent:

- Every dataset has its full size from creation and is contiguous, so that a commit changes no
  HDF5 metadata but the values of attributes; an unwritten part is a hole in the file.
- A commit writes the draws, flushes, and then one record of the state of all ensembles into the
  older of two slots of ``/state``. A record carries a sequence number and a checksum; readers
  trust the newest whole one, and take no row that it does not count.
- The attributes and counts that emcee's HDFBackend reads follow after that; while a run of
  thousands of ensembles goes on, those of some of them with each commit, in turn.

A writer may be suspended within a commit, and wake after another took over. So who goes on with a
file that was not brought to an end makes a new one of it, and the descriptor of the old one writes
to nothing that counts; the attribute ``writer`` tells a writer that a file is its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ..errors import StoreError
from ..model.rejects import Reject
from ..sampler.state import Block, ProductionStart
from . import timings
from .carry_over import carry_over
from .checkpoint import STATUSES, Checkpoint, begun, group_name, shown
from .emcee_view import EmceeView
from .file import check_output
from .header import PHASES, Header
from .layout import (
    emcee_attributes_match,
    emcee_version,
    lay_out,
    read_status,
)
from .opening import check_replaceable
from .output_file import OutputFile
from .place import OutputPlace, shown_path
from .reader import RunReader
from .reject_log import DATASET, RejectLog, check_log, write_rejects
from .unsaved import save_unsaved

if TYPE_CHECKING:
    from .._types import AnyArray


emcee_version()  # before a model can hide it


class RunWriter:
    """The file as rank 0 writes it; with ``path`` None it lives in memory.

    What changes it raises StoreError where it cannot be written or read, or is not this job's any
    more; what was committed before is still whole then.

    Parameters
    ----------
    path : Path, OutputPlace or None
    header : Header
    overwrite : bool
        Replace a file that is there; else ``create`` raises UsageError.
    allowed : callable, optional
        Called before each commit; raises where this job must not write any more.

    Attributes
    ----------
    created : bool
        Whether the file is there.

    """

    def __init__(
        self,
        path: Path | OutputPlace | None,
        header: Header,
        overwrite: bool = False,
        allowed: Callable[[], None] = lambda: None,
    ) -> None:
        place = OutputPlace(path) if isinstance(path, Path) else path
        self._file = OutputFile(place, allowed)
        self.header, self.overwrite = header, overwrite
        self.created = False
        self._allowed = allowed
        self._record = Checkpoint(header)
        self._view = EmceeView(self._file.write_rows)

    @property
    def _log(self) -> RejectLog | None:
        """The text file of rejected evaluations, where the run has one."""
        if self.path is None or not self.header.may_reject:
            return None
        return RejectLog(self.path, self.header.names)

    @property
    def path(self) -> Path | None:
        """Where the file is now."""
        return self._file.path

    # ---- a file that is not there yet

    def add_origin(self, name: str, text: str) -> None:
        """Let the file tell how the run began, if it is still to be made."""
        self.header = replace(self.header, origin={**self.header.origin, name: text})

    def create(self, blocks: Sequence[Block] = (), status: str = "running") -> None:
        """Make the file, whole and at its full size, with a first commit if there are blocks.

        Parameters
        ----------
        blocks : sequence of Block
            One of each ensemble that has begun, or none.
        status : {"running", "stopped", "finished", "short"}
            To be committed with them.

        """
        if self.path is not None:
            check_output(self.path, self.overwrite)
            check_replaceable(self.path)
            if self._log is not None:
                check_log(self.path, self.overwrite)
                self._log.begin()
        with self._file.replacing() as file:
            lay_out(file, self.header)
            if blocks:
                self._write(file, blocks, status)
        self.created = True

    # ---- a file that is there

    def reopen(self, reader: RunReader, taken_over: bool = False) -> None:
        """Go on with a file where its newest record ends.

        It is written anew and put in place of the old one where another burn-in, other steps or
        stop rules are asked for, its writer did not bring it to an end, or it is an old one that
        lacks what is written from now on. Rows stay.

        Parameters
        ----------
        reader : RunReader
            Of this file.
        taken_over : bool
            Whether the lock was another writer's until now. Default: False.

        """
        self._record.data[...] = reader.record
        if self._log is not None:
            self._log.begin(reader.reject_bytes)
        with self._file.looking() as file:
            old = file.attrs["timings"].dtype != timings.TIMING or "writer" not in file.attrs
            token = file.attrs.get("writer")
            left = self.status == "running" or not self._matches(file)
        if self.header.asked != reader.header.asked:
            self._record.mark("running")  # there is more to do now
            self._lay_out_anew(reader)
        elif left or taken_over or (old and self.status == "stopped"):
            self._lay_out_anew(reader)
        else:
            self._file.token = token  # nobody else writes to it any more
        self.created = True

    def _matches(self, file: h5py.File) -> bool:
        """Tell whether what others read beside the record is as the record has it."""
        return read_status(file) == shown(self.status) and all(
            emcee_attributes_match(file, self._record.emcee_attributes(e))
            for e in range(len(self.header.steps))
        )

    def commit(self, blocks: Sequence[Block], status: str = "running") -> None:
        """Write blocks and the state after them, as one step.

        Parameters
        ----------
        blocks, status
            As for ``create``; here of some ensembles or none.

        """
        self._allowed()
        try:
            with self._changing() as file:
                self._write(file, blocks, status)
        except StoreError as exc:
            kept = None if self.path is None else save_unsaved(self.path, blocks)
            more = (
                f"\n  The draws since then are in {shown_path(kept)} (numpy.load)" if kept else ""
            )
            raise StoreError(f"{exc}{more}") from None

    @property
    def steps(self) -> AnyArray:
        """Committed steps of each ensemble, burn-in included."""
        return np.asarray(self._record.data["ensembles"]["steps"], dtype=int)

    def write(self, blocks: Sequence[Block], status: str = "running") -> None:
        """Commit blocks, those of one ensemble one after the other; a new file where none is.

        Parameters
        ----------
        blocks : sequence of Block
            In the order in which they were taken.
        status : {"running", "stopped", "finished", "short"}
            To be committed with the last.

        """
        while True:
            first = {b.ensemble: b for b in reversed(blocks)}
            rest = [b for b in blocks if first[b.ensemble] is not b]
            commit = self.commit if self.created else self.create
            commit(list(first.values()), "running" if rest else status)
            if not rest:
                return
            blocks = self.lacking(rest)

    def lacking(self, blocks: Sequence[Block]) -> list[Block]:
        """Return the blocks that hold what is not committed yet."""
        if not self.created:
            return list(blocks)
        steps, are_begun = self.steps, begun(self._record.data)
        return [b for b in blocks if b.steps > steps[b.ensemble] or not are_begun[b.ensemble]]

    @property
    def status(self) -> str:
        """The committed status."""
        return STATUSES[int(self._record.data["status"])]

    @property
    def rows(self) -> AnyArray:
        """Committed kept rows of each ensemble."""
        return np.asarray(self._record.rows()[1])

    def resize(
        self, header: Header, status: str = "running", starts: Sequence[ProductionStart] = ()
    ) -> None:
        """Lay the file out anew, for another burn-in or other steps; committed rows stay.

        Parameters
        ----------
        header, status
            The new header, and the status that is committed with it.
        starts : sequence of ProductionStart
            From where ensembles go on whose walkers were redrawn. Default: none.

        """
        self._allowed()
        reader = self.read()
        data, self.header = self._record.data, header
        self._record = Checkpoint(header)
        self._record.data[...] = data
        for start in starts:
            self._record.move(start)
        self._record.seal(status)
        self._lay_out_anew(reader, starts)

    def add_timings(self, ranks: Sequence[Any]) -> None:
        """Add what the ranks of this job spent, as `timings.add` takes it."""
        with self._changing() as file:
            table = file.attrs["timings"]
            timings.add(table, ranks)
            file.attrs.modify("timings", table)

    def read(self) -> RunReader:
        """Return a reader of what was committed."""
        return RunReader(self.path, self._file.memory, trusted=True)

    # ---- writing

    @contextlib.contextmanager
    def _changing(self) -> Iterator[h5py.File]:
        """Give the file that is there, once it is sure that it is still this job's to change."""
        self._allowed()
        with self._file.changing() as file:
            self._check_ours(file)
            yield file

    def _check_ours(self, file: h5py.File) -> None:
        """Make sure that nobody put another file in the place of this one, or changed it."""
        state = file.get("state")
        last = self._record.slot
        ours = isinstance(state, h5py.Dataset) and state.dtype == self._record.data.dtype
        ours = ours and file.attrs.get("writer") == self._file.token
        if not (
            ours and state.shape == (2,) and state[last].tobytes() == self._record.data.tobytes()
        ):
            self._file.check()  # it could not be read
            raise StoreError(
                f"{shown_path(self.path)} is no longer the file that this job wrote: another "
                "program put it there or changed it. This job writes nothing to it, and ends"
            )

    def _lay_out_anew(self, reader: RunReader, starts: Sequence[ProductionStart] = ()) -> None:
        with self._file.replacing() as file:
            lay_out(file, self.header)
            rows = self._record.rows()
            carry_over(file, self.header, reader, rows, self._file.write_rows, starts)
            self._write_record(file)
            self._view.write_all(file, self._record, len(self.header.steps))
            file.attrs.modify("status", shown(self.status))

    def _write(self, file: h5py.File, blocks: Sequence[Block], status: str) -> None:
        for block in blocks:
            self._write_rows(file, block)
        self._file.flush(file)
        self._file.sync()  # where a node dies the record must not be there before its rows
        rejects = [one for block in blocks for one in block.rejects]
        if rejects:
            self._write_rejects(file, rejects)
        for block in blocks:
            self._record.take(block)
        self._record.seal(status)
        self._write_record(file)
        self._file.flush(file)
        self._view.update(file, self._record, blocks, status == "running")
        if read_status(file) != shown(status):
            file.attrs.modify("status", shown(status))

    def _write_rejects(self, file: h5py.File, rejects: Sequence[Reject]) -> None:
        before = int(self._record.data["ensembles"]["rejected"].sum())
        if DATASET in file:
            write_rejects(file, rejects, before)
            self._file.flush(file)
        if self._log is not None:
            self._record.data["reject_bytes"] = self._log.add(rejects)

    def _write_record(self, file: h5py.File) -> None:
        file["state"][self._record.slot] = self._record.data

    def _write_rows(self, file: h5py.File, block: Block) -> None:
        done = self._record.rows_of(block.ensemble)
        for start, phase, rows in zip(done, PHASES, (block.burnin, block.kept), strict=True):
            n = len(rows.chain)
            if not n:
                continue
            name = group_name(phase, block.ensemble)
            self._file.write_rows(file, f"{name}/chain", start, rows.chain)
            self._file.write_rows(file, f"{name}/log_prob", start, rows.log_prob)
            if rows.blobs is not None:
                file[f"{name}/blobs"][start : start + n] = rows.blobs
