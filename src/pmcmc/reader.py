"""Reads the HDF5 file of a run, finished or not, also while a job writes it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ._version import __version__
from .errors import StoreError
from .layout import (
    FORMAT,
    FORMAT_VERSION,
    STATUSES,
    checksum,
    group_name,
    read_header,
    shown,
)

Array = npt.NDArray[Any]
# what h5py raises over bytes that make no sense to it, and we over what they say
DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, MemoryError)


@dataclass(frozen=True)
class Saved:
    """The state of one ensemble at a commit: what it takes to go on from there.

    ``steps`` counts all steps so far; ``burnin_accepted`` and ``accepted`` are (walker,).
    """

    steps: int
    burnin_accepted: Array
    accepted: Array
    coords: Array
    log_prob: Array
    blobs: Array | None
    random_state: tuple[Any, ...]


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
        with self._open() as file, self._minding_damage():
            self._check_format(file)
            self.version = str(file.attrs["pmcmc_version"])
            self.header = read_header(file)
            slots = file["state"][...]
        record = self.record = self._newest(slots)
        status = STATUSES[int(record["status"])]
        self.status, self.short = shown(status), status == "short"
        steps = record["ensembles"]["steps"].astype(int)
        self.sequence = int(record["sequence"])
        self.steps = steps
        self.burnin_rows = np.minimum(steps, self.header.burnin)
        self.rows = (steps - self.burnin_rows) // self.header.thin_by
        self.accepted: Array = record["ensembles"]["accepted"].copy()
        self.burnin_accepted: Array = record["ensembles"]["burnin_accepted"].copy()

    def values(self, name: str, ensemble: int, rows: slice, phase: str = "ensembles") -> Array:
        """Return rows of ``chain``, ``log_prob`` or ``blobs`` of one ensemble."""
        with self._open() as file, self._minding_damage():
            group = file[group_name(phase, ensemble)]
            if name not in group:
                raise StoreError(f"{self._name()} holds no {name}")
            return np.asarray(group[name][rows])

    def timings(self) -> Array:
        """Return how each rank spent its time, (rank,) of `layout.TIMING`."""
        with self._open() as file, self._minding_damage():
            timings = np.asarray(file.attrs["timings"])
        return timings[timings["wall"] > 0]

    def saved(self, ensemble: int) -> Saved:
        """Return the state of one ensemble at the newest commit."""
        one = self.record["ensembles"][ensemble]
        return Saved(
            steps=int(one["steps"]),
            burnin_accepted=one["burnin_accepted"].copy(),
            accepted=one["accepted"].copy(),
            coords=one["coords"].copy(),
            log_prob=one["log_prob"].copy(),
            blobs=one["blobs"].copy() if "blobs" in one.dtype.names else None,
            random_state=("MT19937", *(v.copy() for v in one["random"])),
        )

    @contextlib.contextmanager
    def _open(self) -> Iterator[h5py.File]:
        if self._memory is not None:
            yield self._memory
            return
        assert self.path is not None
        if not self.path.is_file():
            raise StoreError(f"there is no file {self.path}")
        try:
            file = open_to_read(self.path)
        except OSError as exc:
            raise StoreError(
                f"{self.path} cannot be read as an HDF5 file: {reason(exc)}"
            ) from None
        with file:
            yield file

    @contextlib.contextmanager
    def _minding_damage(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as exc:
            raise StoreError(f"{self._name()} is damaged: {reason(exc)}") from None

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
        whole = [s for s in slots if s["sequence"] > 0 and s["crc"] == checksum(s)]
        if not whole:
            if not slots["sequence"].any():
                return np.zeros((), slots.dtype)
            raise StoreError(f"{self._name()} is damaged: none of its records is whole")
        return max(whole, key=lambda s: int(s["sequence"]))


def open_to_read(path: Path) -> h5py.File:
    """Open a file without HDF5's locking, unless this process has it open with that."""
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as exc:
        if "locking flag" not in str(exc):  # all that one process opens must be alike
            raise
        return h5py.File(path, "r")


def reason(exc: Exception) -> str:
    """Return what the system says of a failure, which HDF5 wraps into more."""
    if found := re.search(r"error message = '([^']+)'", str(exc)):
        return found[1]
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc)
