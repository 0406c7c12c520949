"""The state of all ensembles at a commit, and what each of them adds to one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .layout import PHASES, RANDOM, STATUSES, Header, checksum, group_name

Array = npt.NDArray[Any]
_ROWS = ("chain", "log_prob")


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

    def without_rows(self) -> Rows:
        """Return the same with no rows."""
        blobs = None if self.blobs is None else self.blobs[:0]
        return replace(self, chain=self.chain[:0], log_prob=self.log_prob[:0], blobs=blobs)


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

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.burnin.chain) + len(self.kept.chain)

    def without_rows(self) -> Block:
        """Return the state after the block, with no rows."""
        return replace(self, burnin=self.burnin.without_rows(), kept=self.kept.without_rows())


def join(blocks: Sequence[Block]) -> Block:
    """Return consecutive blocks of one ensemble as one."""
    if len(blocks) == 1:
        return blocks[0]

    def rows(parts: list[Rows]) -> Rows:
        some = [p for p in parts if len(p.chain)]
        if not some:
            return parts[-1]
        blobs = None
        if some[0].blobs is not None:
            blobs = np.concatenate([p.blobs for p in some if p.blobs is not None])
        chain, log_prob = (np.concatenate([getattr(p, n) for p in some]) for n in _ROWS)
        return replace(parts[-1], chain=chain, log_prob=log_prob, blobs=blobs)

    burnin, kept = rows([b.burnin for b in blocks]), rows([b.kept for b in blocks])
    return replace(blocks[-1], burnin=burnin, kept=kept)


class Record:
    """What a file's ``/state`` holds of one commit.

    Attributes
    ----------
    data : ndarray ()
        The record itself, of the header's ``record_dtype``.

    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self.data = np.zeros((), header.record_dtype())

    @property
    def slot(self) -> int:
        """Where in ``/state`` it goes: records alternate."""
        return int(self.data["sequence"]) % 2

    def rows(self) -> Array:
        """Return the rows that the record counts, (phase, ensemble)."""
        steps = self.data["ensembles"]["steps"]
        burnin = np.minimum(steps, self._header.burnin)
        return np.stack([burnin, (steps - burnin) // self._header.thin_by])

    def take(self, block: Block) -> None:
        """Take in the state after a block."""
        one = self.data["ensembles"][block.ensemble]
        for name in ("steps", "coords", "log_prob"):
            one[name] = getattr(block, name)
        one["burnin_accepted"], one["accepted"] = block.burnin.accepted, block.kept.accepted
        if block.blobs is not None:
            one["blobs"] = block.blobs
        one["random"] = block.random_state[1:]
        for i, rows in enumerate((block.burnin, block.kept)):
            if rows.random_state is not None:
                one["row_random"][i] = rows.random_state[1:]

    def seal(self, status: str) -> None:
        """Make it the next record, with its checksum."""
        self.data["sequence"] += 1
        self.mark(status)

    def mark(self, status: str) -> None:
        """Set the status, and the checksum that goes with it."""
        self.data["status"] = STATUSES.index(status)
        self.data["crc"] = checksum(self.data)

    def shown(self, e: int) -> Iterator[tuple[str, dict[str, Any], Array]]:
        """Give (group, attributes, accepted) of both phases, as the record has them."""
        one = self.data["ensembles"][e]
        for i, phase in enumerate(PHASES):
            random = one["row_random"][i]
            values: dict[str, Any] = {
                f"random_state_{k}": random[name]
                for k, name in enumerate(RANDOM.names or (), start=1)
            }
            values["iteration"] = int(self.rows()[i, e])
            accepted = one["burnin_accepted" if phase == "burnin" else "accepted"]
            yield group_name(phase, e), values, accepted
