"""The HDF5 file of a run: commits and reading. With `layout`, the only user of h5py.

What makes a commit whole or absent:

- Every dataset has its full size from creation and is contiguous, so that a commit changes no
  HDF5 metadata but the values of attributes; an unwritten part is a hole in the file.
- A commit writes the draws, flushes, and then one record of the state of all ensembles into the
  older of two slots of ``/state``. A record carries a sequence number and a checksum; readers
  trust the newest whole one, and take no row that it does not count.
- The attributes and counts that emcee's HDFBackend reads follow after that.

Files are opened without HDF5's file locking, so that a reader never makes a commit fail.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ._version import __version__
from .errors import StoreError, UsageError
from .layout import (
    FORMAT,
    FORMAT_VERSION,
    PHASES,
    RANDOM,
    STATUSES,
    Header,
    group_name,
    lay_out,
    read_header,
)

Array = npt.NDArray[Any]


@dataclass
class Rows:
    """Steps of one phase of an ensemble since the last commit: (step, walker, ...).

    ``accepted`` (walker,) counts since the run began, as emcee does, and ``random_state`` is that
    after the last of all rows; None before the first.
    """

    chain: Array
    log_prob: Array
    blobs: Array | None
    accepted: Array
    random_state: tuple[Any, ...] | None


@dataclass
class Block:
    """What one ensemble adds to a commit, and its state after ``steps`` steps in all."""

    ensemble: int
    steps: int
    burnin: Rows
    kept: Rows
    coords: Array
    log_prob: Array
    blobs: Array | None
    random_state: tuple[Any, ...]


@dataclass
class Store:
    """The file as rank 0 writes it; with ``path`` None it lives in memory.

    Parameters
    ----------
    path : Path or None
    header : Header
    overwrite : bool
        Replace a file that is there.

    """

    path: Path | None
    header: Header
    overwrite: bool = False
    _memory: h5py.File | None = None
    _record: Array = field(init=False)
    _rows: Array = field(init=False)
    _status: str = "running"
    created: bool = False

    def __post_init__(self) -> None:
        """Make the first, empty record."""
        self._record = np.zeros((), self.header.record_dtype())
        self._rows = np.zeros((2, len(self.header.steps)), dtype=int)

    def create(self) -> None:
        """Make the file, whole and at its full size, without any draws yet.

        Raises
        ------
        StoreError
            If it cannot be written.

        """
        if self.path is None:
            self._memory = h5py.File(f"memory-{id(self)}", "w", driver="core", backing_store=False)
            lay_out(self._memory, self.header)
            self.created = True
            return
        check_output(self.path, self.overwrite)
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            with _telling(part):
                with h5py.File(part, "w", libver="earliest", locking=False) as file:
                    lay_out(file, self.header)
                _sync(part)
                os.replace(part, self.path)
        finally:
            part.unlink(missing_ok=True)
        self.created = True

    def commit(self, blocks: Sequence[Block], status: str = "running") -> None:
        """Write blocks and the state after them, as one step.

        Raises
        ------
        StoreError
            If the file cannot be written; what was committed before is still whole.

        """
        with _telling(self.path), self._open() as file:
            for block in blocks:
                self._write_rows(file, block)
                self._write_state(block)
            file.flush()
            self._record["sequence"] += 1
            self._record["status"] = STATUSES.index(status)
            self._record["crc"] = _checksum(self._record)
            file["state"][int(self._record["sequence"]) % 2] = self._record
            file.flush()
            for block in blocks:
                self._write_emcee_view(file, block)
            if status != self._status:
                file.attrs.modify("status", status)
                self._status = status
        if self.path is not None:
            with _telling(self.path):
                _sync(self.path)

    def read(self) -> Reader:
        """Return a reader of what was committed."""
        return Reader(self.path, self._memory)

    @contextlib.contextmanager
    def _open(self) -> Iterator[h5py.File]:
        if self._memory is not None:
            yield self._memory
        else:
            with h5py.File(self.path, "r+", libver="earliest", locking=False) as file:
                yield file

    def _write_rows(self, file: h5py.File, block: Block) -> None:
        for i, (phase, rows) in enumerate(zip(PHASES, (block.burnin, block.kept), strict=True)):
            n = len(rows.chain)
            if not n:
                continue
            group = file[group_name(phase, block.ensemble)]
            at = slice(self._rows[i, block.ensemble], self._rows[i, block.ensemble] + n)
            group["chain"][at] = rows.chain
            group["log_prob"][at] = rows.log_prob
            if rows.blobs is not None:
                group["blobs"][at] = rows.blobs
            self._rows[i, block.ensemble] += n

    def _write_state(self, block: Block) -> None:
        one = self._record["ensembles"][block.ensemble]
        for name in ("steps", "coords", "log_prob"):
            one[name] = getattr(block, name)
        one["burnin_accepted"], one["accepted"] = block.burnin.accepted, block.kept.accepted
        if block.blobs is not None:
            one["blobs"] = block.blobs
        _, *random = block.random_state
        for name, value in zip(RANDOM.names or (), random, strict=True):
            one["random"][name] = value

    def _write_emcee_view(self, file: h5py.File, block: Block) -> None:
        for i, (phase, rows) in enumerate(zip(PHASES, (block.burnin, block.kept), strict=True)):
            if not len(rows.chain) or rows.random_state is None:
                continue
            group = file[group_name(phase, block.ensemble)]
            group["accepted"][...] = rows.accepted
            for k, value in enumerate(rows.random_state[1:], start=1):
                group.attrs.modify(f"random_state_{k}", value)
            group.attrs.modify("iteration", int(self._rows[i, block.ensemble]))


class Reader:
    """Reads a pmcmc file, finished or not, also while a job writes it.

    Parameters
    ----------
    path : Path
    memory : h5py.File, optional
        The file itself, where it is in memory.

    Raises
    ------
    StoreError
        If it is not a pmcmc file, or no record in it is whole.

    """

    def __init__(self, path: Path | None, memory: h5py.File | None = None) -> None:
        self.path, self._memory = path, memory
        with self._open() as file:
            self._check_format(file)
            try:
                self.version = str(file.attrs["pmcmc_version"])
                self.header = read_header(file)
                slots = file["state"][...]
            except (KeyError, ValueError, TypeError, OSError) as exc:
                raise StoreError(f"{self._name()} is damaged: {exc}") from None
        record = self._newest(slots)
        self.status = STATUSES[int(record["status"])]
        steps = record["ensembles"]["steps"].astype(int)
        self.sequence = int(record["sequence"])
        self.steps = steps
        self.burnin_rows = np.minimum(steps, self.header.burnin)
        self.rows = (steps - self.burnin_rows) // self.header.thin_by
        self.accepted: Array = record["ensembles"]["accepted"].copy()
        self.burnin_accepted: Array = record["ensembles"]["burnin_accepted"].copy()

    def values(self, name: str, ensemble: int, rows: slice, phase: str = "ensembles") -> Array:
        """Return rows of ``chain``, ``log_prob`` or ``blobs`` of one ensemble."""
        with self._open() as file:
            group = file[group_name(phase, ensemble)]
            if name not in group:
                raise StoreError(f"{self._name()} holds no {name}")
            return np.asarray(group[name][rows])

    @contextlib.contextmanager
    def _open(self) -> Iterator[h5py.File]:
        if self._memory is not None:
            yield self._memory
            return
        assert self.path is not None
        if not self.path.is_file():
            raise StoreError(f"there is no file {self.path}")
        try:
            file = h5py.File(self.path, "r", locking=False)
        except OSError as exc:
            raise StoreError(
                f"{self.path} cannot be read as an HDF5 file: {_reason(exc)}"
            ) from None
        with file:
            yield file

    def _name(self) -> str:
        return str(self.path or "the run in memory")

    def _check_format(self, file: h5py.File) -> None:
        if not np.array_equal(file.attrs.get("format"), FORMAT):
            raise StoreError(f"{self._name()} is an HDF5 file, but not one that pmcmc wrote")
        version = int(file.attrs["format_version"])
        if version > FORMAT_VERSION:
            raise StoreError(
                f"{self._name()} has format version {version}; this pmcmc {__version__} reads up "
                f"to {FORMAT_VERSION}: use a newer pmcmc"
            )

    def _newest(self, slots: Array) -> Array:
        whole = [s for s in slots if s["sequence"] > 0 and s["crc"] == _checksum(s)]
        if not whole:
            if not slots["sequence"].any():
                return np.zeros((), slots.dtype)
            raise StoreError(f"{self._name()} is damaged: none of its records is whole")
        return max(whole, key=lambda s: int(s["sequence"]))


def check_output(path: Path, overwrite: bool = False) -> None:
    """Refuse, before any work, an output that exists or cannot be written.

    Raises
    ------
    UsageError
        With what to do.

    """
    if path.is_dir():
        raise UsageError(f"the output {path} is a folder: give the name of a file in it")
    if path.exists() and not overwrite:
        raise UsageError(
            f"the output {path} exists, and nothing was changed: give another name with --output, "
            "or --overwrite to replace it"
        )
    if not path.parent.is_dir():
        raise UsageError(f"the output {path} cannot be written: there is no folder {path.parent}")
    probe = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        probe.touch()
        probe.unlink()
    except OSError as exc:
        raise UsageError(f"the output {path} cannot be written: {exc.strerror}") from None


def _checksum(record: Array) -> int:
    head = int(record["sequence"]) * len(STATUSES) + int(record["status"])
    return zlib.crc32(record["ensembles"].tobytes(), head & 0xFFFFFFFF)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _telling(path: Path | None) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as exc:
        raise StoreError(f"{path} cannot be written: {_reason(exc)}") from exc


def _reason(exc: Exception) -> str:
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc)
