"""Reads the HDF5 file of a run, finished or not, also while a job writes it."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from .._version import __version__
from ..errors import StoreError
from ..model.derived import pick
from ..sampler.state import EnsembleState
from ..text import printable
from . import validate
from .added import GROUP as ADDED
from .added import dataset_name, read_added
from .checkpoint import STATUSES, ensemble_state, group_name, newest, shown
from .header import PHASES
from .layout import FORMAT, FORMAT_VERSION, read_header
from .opening import DAMAGE, PLAIN, open_to_read, read_rows, reason
from .place import shown_path
from .reject_log import DATASET, KEPT, rejects_dtype
from .starts import read_starts
from .timings import rows_of
from .untrusted import open_untrusted

if TYPE_CHECKING:
    from .._types import AnyArray


class RunReader:
    """Reads a pmcmc file, finished or not, also while a job writes it.

    What is read is what was committed when the reader was made.

    Parameters
    ----------
    path : Path or None
        None where it is in memory.
    memory : h5py.File, optional
        The file itself, where it is in memory.
    trusted : bool
        Whether this process wrote the file itself. Default: False.

    Attributes
    ----------
    header : Header
    status : str
        "running", "stopped" or "finished".
    short : bool
        Whether it finished short of its stop rule.
    sequence : int
        Number of the newest commit; 0 before the first.
    steps : ndarray of int (ensemble,)
        Steps taken, burn-in and steps between kept ones included.
    rows, burnin_rows : ndarray of int (ensemble,)
        Kept rows, and rows of burn-in.
    accepted, burnin_accepted : ndarray (ensemble, walker)
        Accepted moves of these rows, as emcee counts them.
    starts : mapping of int to ProductionStart
        By ensemble, where production starts if walkers were redrawn after burn-in.
    added : Added
        Derived quantities that were worked out after the run.

    Raises
    ------
    StoreError
        If it is not there, not a pmcmc file or of a newer format, or no record in it is whole.

    """

    def __init__(
        self, path: Path | None, memory: h5py.File | None = None, trusted: bool = False
    ) -> None:
        self.path = path
        self._file = memory  # where it is held open
        with self._minding_damage(), self._open(untrusted=not trusted) as file:
            self._check_format(file)
            if not trusted:
                validate.check_attributes(file)
                validate.check_names(file)
                validate.check_groups(file)
            self.version = printable(str(file.attrs["pmcmc_version"]))
            self.header = read_header(file)
            validate.check_config(self.header)
            validate.check_state(file, self.header)
            validate.check_rejects(file, self.header)
            slots = file["state"][...]
            self.starts = read_starts(file, self.header)
        record = newest(slots)
        if record is None:
            raise StoreError(f"{self._name()} is damaged: none of its records is whole")
        self.record = record
        with self._minding_damage():
            validate.check_record(record, self.header)
        status = STATUSES[int(record["status"])]
        self.status, self.short = shown(status), status == "short"
        steps = record["ensembles"]["steps"].astype(int)
        self.sequence = int(record["sequence"])
        self.steps = steps
        self.burnin_rows = np.minimum(steps, self.header.burnin)
        self.rows = (steps - self.burnin_rows) // self.header.thin_by
        with self._minding_damage(), self._open(untrusted=not trusted) as file:
            self.added = read_added(file, self.header, self.rows)
        self.accepted: AnyArray = record["ensembles"]["accepted"].copy()
        self.burnin_accepted: AnyArray = record["ensembles"]["burnin_accepted"].copy()

    @property
    def rejected(self) -> AnyArray:
        """Rejected evaluations, (ensemble, phase): of burn-in with the start, of production."""
        if not self.header.rejects:
            return np.zeros((len(self.steps), len(PHASES)), dtype=int)
        return np.asarray(self.record["ensembles"]["rejected"], dtype=int)

    @property
    def rejected_share(self) -> float:
        """Which part of the evaluations after burn-in was rejected; 0 before the first."""
        evaluations = int((self.steps - self.burnin_rows).sum()) * self.header.nwalkers
        return int(self.rejected[:, 1].sum()) / evaluations if evaluations else 0.0

    @property
    def reject_bytes(self) -> int:
        """How long the text file of rejected evaluations is, as far as they are counted."""
        return int(self.record["reject_bytes"]) if self.header.rejects else 0

    def reject_rows(self) -> AnyArray:
        """Return the first of them, as the file keeps them."""
        with self._open() as file, self._minding_damage():
            if DATASET not in file:
                return np.zeros(0, rejects_dtype(self.header.ndim))
            return np.asarray(file[DATASET][: min(KEPT, int(self.rejected.sum()))])

    @classmethod
    def in_memory(cls, path: Path) -> RunReader:
        """Read a file as a whole, which is not needed any more then; raises as the class."""
        try:
            file = h5py.File(path, "r+", driver="core", backing_store=False)
        except OSError as exc:
            raise StoreError(f"{shown_path(path)} cannot be read: {exc}") from None
        return cls(None, file)

    def values(self, name: str, ensemble: int, rows: slice, phase: str = "ensembles") -> AnyArray:
        """Return rows of one ensemble.

        Parameters
        ----------
        name : {"chain", "log_prob", "blobs", "derived"}
            The dataset; derived is what was added after the run.
        ensemble : int
            Its number, from 0.
        rows : slice
            Of the dataset. It has its full size: rows that are not committed hold nothing yet.
        phase : {"ensembles", "burnin"}
            Kept production steps, or burn-in. Default: "ensembles".

        Returns
        -------
        ndarray (row, walker, ...)

        Raises
        ------
        StoreError
            If there is no such dataset, or the file is gone or damaged.

        """
        with self._open() as file, self._minding_damage():
            if name == ADDED:
                return np.asarray(file[dataset_name(ensemble)][rows])
            group = group_name(phase, ensemble)
            if name in PLAIN:
                return read_rows(file, f"{group}/{name}", rows)
            if name not in file[group]:
                raise StoreError(f"{self._name()} holds no {name}")
            return np.asarray(file[group][name][rows])

    @property
    def derived_names(self) -> tuple[str, ...]:
        """Names of the derived parameters: scalar blobs, and what was added after the run."""
        return (*self.header.derived_names, *self.added.names)

    def derived(
        self,
        ensemble: int,
        rows: slice,
        wanted: Sequence[int] | None = None,
        phase: str = "ensembles",
    ) -> AnyArray:
        """Return derived parameters of rows of one ensemble; raises as ``values``.

        Parameters
        ----------
        ensemble, rows, phase
            As for ``values``. Of burn-in there are scalar blobs alone.
        wanted : sequence of int, optional
            Their places in ``derived_names``. Default: all.

        Returns
        -------
        ndarray (row, walker, quantity)

        """
        places = self.header.derived
        wanted = range(len(self.derived_names)) if wanted is None else wanted
        columns: list[AnyArray] = []
        blobs = added = None
        for i in wanted:
            if i < len(places):
                blobs = self.values("blobs", ensemble, rows, phase) if blobs is None else blobs
                columns.append(pick(blobs, places[i][1]))
            else:
                added = self.values(ADDED, ensemble, rows) if added is None else added
                columns.append(added[..., i - len(places)])
        return np.stack(columns, axis=-1)

    def timings(self) -> AnyArray:
        """Return how the ranks spent their time.

        Returns
        -------
        ndarray (row,)
            Of dtype `timings.TIMING`.

        Raises
        ------
        StoreError
            If the file is gone or damaged.

        """
        with self._minding_damage(), self._open(untrusted=True) as file:
            return rows_of(np.asarray(file.attrs["timings"]))

    def copy_added(self, file: h5py.File) -> None:
        """Copy what was added after the run, current or not, into a file that is made anew."""
        with self._open() as old, self._minding_damage():
            if ADDED in old:
                old.copy(ADDED, file)

    @property
    def memory(self) -> h5py.File | None:
        """The file itself, where it is in memory."""
        return self._file if self.path is None else None

    def saved(self, ensemble: int) -> EnsembleState | None:
        """Return the state of one ensemble at the newest commit.

        Parameters
        ----------
        ensemble : int
            Its number, from 0.

        Returns
        -------
        EnsembleState or None
            None where it had not begun.

        """
        return ensemble_state(self.record, ensemble)

    @contextlib.contextmanager
    def open(self) -> Iterator[RunReader]:
        """Give a reader of the same commit that holds the file open, for many reads in a row.

        Raises
        ------
        StoreError
            If it is gone, or cannot be read as HDF5.

        """
        with self._open() as file:
            reader = copy.copy(self)
            reader._file = file
            yield reader

    @contextlib.contextmanager
    def _open(self, untrusted: bool = False) -> Iterator[h5py.File]:
        if self._file is not None:
            yield self._file
            return
        assert self.path is not None
        if not self.path.is_file():
            raise StoreError(f"there is no file {shown_path(self.path)}")
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(
                    open_untrusted(self.path) if untrusted else open_to_read(self.path)
                )
            except OSError as exc:
                raise StoreError(
                    f"{shown_path(self.path)} cannot be read as an HDF5 file: {reason(exc)}"
                ) from None
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
