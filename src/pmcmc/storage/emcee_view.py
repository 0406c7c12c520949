"""What emcee's HDFBackend reads beside the record, brought up to date after each commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import h5py

from ..sampler.state import Block
from .checkpoint import Checkpoint
from .header import PHASES
from .layout import write_emcee_attributes

if TYPE_CHECKING:
    from .._types import AnyArray

_AT_ONCE = 256  # ensembles whose attributes a commit brings up to date while the run goes on


class EmceeView:
    """The attributes and counts of each ensemble's groups.

    Parameters
    ----------
    write_rows : callable
        As `OutputFile.write_rows`.

    """

    def __init__(self, write_rows: Callable[[h5py.File, str, int, AnyArray], None]) -> None:
        self._write_rows = write_rows
        self._behind: dict[int, bool] = {}  # ensembles that are, and whether in burn-in too

    def write_all(self, file: h5py.File, record: Checkpoint, nensembles: int) -> None:
        """Write those of all ensembles, as a record has them."""
        for e in range(nensembles):
            write_emcee_attributes(file, record.emcee_attributes(e), self._write_rows)
        self._behind.clear()

    def update(
        self, file: h5py.File, record: Checkpoint, blocks: Sequence[Block], running: bool
    ) -> None:
        """Write those of ensembles with new rows; of many the ones that have waited longest.

        Parameters
        ----------
        file : h5py.File
            Open to be written.
        record : Checkpoint
            With the blocks.
        blocks : sequence of Block
            That were committed.
        running : bool
            Whether the run goes on; else none is left behind.

        """
        for block in blocks:
            e, burnin = block.ensemble, len(block.burnin.chain) > 0
            self._behind[e] = burnin or self._behind.get(e, False)
        for e in list(self._behind)[: _AT_ONCE if running else None]:
            phases = PHASES if self._behind.pop(e) else PHASES[1:]
            write_emcee_attributes(file, record.emcee_attributes(e, phases), self._write_rows)
