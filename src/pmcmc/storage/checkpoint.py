"""The record of a commit: the state of all ensembles, whole or absent.

``/state`` has two slots that records fill in turn, each with a sequence number and a checksum;
readers trust the newest that is whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..sampler.state import Block, EnsembleState, ProductionStart
from .checksums import add_rows
from .header import DATASETS, PHASES, Header

if TYPE_CHECKING:
    from .._types import AnyArray


STATUSES = ("running", "stopped", "finished", "short")  # short: finished, of its stop rule
RANDOM = np.dtype([("key", "u4", (624,)), ("pos", "i8"), ("has_gauss", "i8"), ("cached", "f8")])


def record_dtype(header: Header) -> np.dtype[Any]:
    """Return the dtype of a record: the state of all ensembles at a commit.

    Parameters
    ----------
    header : Header
        Its numbers of ensembles, walkers and parameters, and blobs, give the shapes.

    Returns
    -------
    dtype
        Fields sequence, crc, status, and ensembles, of shape (ensemble,).

    """
    w = header.nwalkers
    one: list[Any] = [
        ("steps", "i8"),  # steps taken, burn-in and steps between kept ones included
        ("burnin_accepted", "f8", (w,)),
        ("accepted", "f8", (w,)),
        ("coords", "f8", (w, header.ndim)),
        ("log_prob", "f8", (w,)),
        ("random", RANDOM),  # after the last step
        ("row_random", RANDOM, (len(PHASES),)),  # after the last row of each phase
    ]
    if header.blobs:
        one.append(("blobs", header.blobs, (w,)))
    if header.checksums:
        one.append(("checksums", "u4", (len(PHASES), len(DATASETS))))
    fields: list[Any] = [("sequence", "u8"), ("crc", "u8"), ("status", "u8")]
    if header.rejects:
        one.append(("rejected", "u8", (len(PHASES),)))  # of burn-in with the start, of production
        fields.append(("reject_bytes", "u8"))  # of the text file beside it
    return np.dtype([*fields, ("ensembles", one, (len(header.steps),))])


def shown(status: str) -> str:
    """Return a status as the file's attribute has it."""
    return "finished" if status == "short" else status


def group_name(phase: str, ensemble: int) -> str:
    """Return the name of an ensemble's group."""
    return f"{phase}/{ensemble:04d}"


def checksum(record: AnyArray) -> int:
    """Return the checksum of a record: of its number, status and states.

    Parameters
    ----------
    record : ndarray ()
        Of a ``record_dtype``.

    Returns
    -------
    int
        A CRC-32.

    """
    head = int(record["sequence"]) * len(STATUSES) + int(record["status"])
    if "reject_bytes" in (record.dtype.names or ()):
        head = zlib.crc32(record["reject_bytes"].tobytes(), head & 0xFFFFFFFF)
    states = np.atleast_1d(record["ensembles"])
    return zlib.crc32(np.ascontiguousarray(states).view(np.uint8).data, head & 0xFFFFFFFF)


def newest(slots: AnyArray) -> AnyArray | None:
    """Return the newest whole record.

    Parameters
    ----------
    slots : ndarray (2,)
        The content of ``/state``.

    Returns
    -------
    ndarray () or None
        One of zeros before the first commit; None where there were commits, and no record is
        whole.

    """
    whole = [s for s in slots if s["sequence"] > 0 and s["crc"] == checksum(s)]
    if not whole and not slots["sequence"].any():
        return np.zeros((), slots.dtype)
    return max(whole, key=lambda s: int(s["sequence"]), default=None)


def begun(record: AnyArray) -> AnyArray:
    """Return which ensembles a record has a state of: those that had begun.

    Parameters
    ----------
    record : ndarray ()
        Of a ``record_dtype``.

    Returns
    -------
    ndarray (ensemble,)
        Of bool.

    """
    return np.asarray(record["ensembles"]["random"]["key"].any(axis=-1))


def ensemble_state(record: AnyArray, ensemble: int) -> EnsembleState | None:
    """Return the state of one ensemble that a record holds.

    Parameters
    ----------
    record : ndarray ()
        Of a ``record_dtype``.
    ensemble : int
        Its number, from 0.

    Returns
    -------
    EnsembleState or None
        Of copies; None where it had not begun.

    """
    if not begun(record)[ensemble]:
        return None
    one = record["ensembles"][ensemble]
    return EnsembleState(
        steps=int(one["steps"]),
        burnin_accepted=one["burnin_accepted"].copy(),
        accepted=one["accepted"].copy(),
        coords=one["coords"].copy(),
        log_prob=one["log_prob"].copy(),
        blobs=one["blobs"].copy() if "blobs" in one.dtype.names else None,
        random_state=("MT19937", *(v.copy() for v in one["random"])),
    )


class Checkpoint:
    """What a file's ``/state`` holds of one commit.

    Parameters
    ----------
    header : Header
        Of the file.

    Attributes
    ----------
    data : ndarray ()
        The record itself, of the header's ``record_dtype``.

    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self.data = np.zeros((), record_dtype(header))

    @property
    def slot(self) -> int:
        """Where in ``/state`` it goes: records alternate."""
        return int(self.data["sequence"]) % 2

    def rows(self) -> AnyArray:
        """Return the rows that the record counts, (phase, ensemble)."""
        steps = self.data["ensembles"]["steps"]
        burnin = np.minimum(steps, self._header.burnin)
        return np.stack([burnin, (steps - burnin) // self._header.thin_by])

    def rows_of(self, e: int) -> tuple[int, int]:
        """Return the rows of one ensemble that the record counts, of burn-in and of production."""
        steps = int(self.data["ensembles"][e]["steps"])
        burnin = min(steps, self._header.burnin)
        return burnin, (steps - burnin) // self._header.thin_by

    def take(self, block: Block) -> None:
        """Take in the state after a block.

        Parameters
        ----------
        block : Block
            Of one ensemble, with its rows.

        """
        one = self.data["ensembles"][block.ensemble]
        state = block.state
        for name in ("steps", "burnin_accepted", "accepted", "coords", "log_prob"):
            one[name] = getattr(state, name)
        if state.blobs is not None:
            one["blobs"] = state.blobs
        one["random"] = state.random_state[1:]
        if self._header.rejects:
            kept = sum(reject.step > self._header.burnin for reject in block.rejects)
            one["rejected"] += np.array([len(block.rejects) - kept, kept], dtype=np.uint64)
        if self._header.checksums:
            self._add_checksums(block)
        for i, rows in enumerate((block.burnin, block.kept)):
            if rows.random_state is not None:
                one["row_random"][i] = rows.random_state[1:]

    def _add_checksums(self, block: Block) -> None:
        sums = self.data["ensembles"][block.ensemble]["checksums"]
        for i, rows in enumerate((block.burnin, block.kept)):
            for j, name in enumerate(DATASETS):
                values = getattr(rows, name)
                if len(rows.chain) and values is not None:
                    kind = self._header.blobs_dtype if name == "blobs" else np.dtype("f8")
                    sums[i, j] = add_rows(int(sums[i, j]), np.asarray(values, dtype=kind))

    def move(self, start: ProductionStart) -> None:
        """Put the walkers of an ensemble elsewhere.

        Parameters
        ----------
        start : ProductionStart
            Its random state is not looked at.

        """
        one = self.data["ensembles"][start.ensemble]
        one["coords"], one["log_prob"] = start.coords, start.log_prob
        if start.blobs is not None:
            one["blobs"] = start.blobs

    def seal(self, status: str) -> None:
        """Make it the next record, with its checksum.

        Parameters
        ----------
        status : {"running", "stopped", "finished", "short"}
            Of the run.

        """
        self.data["sequence"] += 1
        self.mark(status)

    def mark(self, status: str) -> None:
        """Set the status, and the checksum that goes with it.

        Parameters
        ----------
        status : {"running", "stopped", "finished", "short"}
            Of the run.

        """
        self.data["status"] = STATUSES.index(status)
        self.data["crc"] = checksum(self.data)

    def emcee_attributes(
        self, e: int, phases: Sequence[str] = PHASES
    ) -> Iterator[tuple[str, dict[str, Any], AnyArray]]:
        """Give what emcee's HDFBackend reads of one ensemble, as the record has it.

        Parameters
        ----------
        e : int
            The ensemble's number, from 0.
        phases : sequence of str
            Of which there is something new. Default: all.

        Yields
        ------
        group : str
            Its group, of burn-in and of production.
        attributes : dict
            Name and value of those that change.
        accepted : ndarray (walker,)
            Accepted moves.

        """
        one = self.data["ensembles"][e]
        counts = self.rows_of(e)
        for i, phase in enumerate(PHASES):
            if phase not in phases:
                continue
            random = one["row_random"][i]
            values: dict[str, Any] = {
                f"random_state_{k}": random[name]
                for k, name in enumerate(RANDOM.names or (), start=1)
            }
            values["iteration"] = counts[i]
            accepted = one["burnin_accepted" if phase == "burnin" else "accepted"]
            yield group_name(phase, e), values, accepted
