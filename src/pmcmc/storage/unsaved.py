"""Draws that could not be written to their file: kept in one of their own, if possible."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..sampler.state import Block
from .checkpoint import group_name
from .header import DATASETS, PHASES

if TYPE_CHECKING:
    from .._types import AnyArray


def save_unsaved(path: Path, blocks: Sequence[Block]) -> Path | None:
    """Write blocks to a new file, beside the output or else in the folder for temporary files.

    Parameters
    ----------
    path : Path
        The output.
    blocks : sequence of Block
        That it lacks.

    Returns
    -------
    Path or None
        An npz file of arrays named as the datasets of the output, ``ensembles/0000/chain``, with
        ``ensembles/0000/steps``, the number of the last step. None where there are no rows, or it
        cannot be written either.

    """
    arrays: dict[str, AnyArray] = {}
    for block in blocks:
        for phase, rows in zip(PHASES, (block.burnin, block.kept), strict=True):
            if len(rows.chain):
                group = group_name(phase, block.ensemble)
                values = {name: getattr(rows, name) for name in DATASETS}
                arrays |= {f"{group}/{k}": v for k, v in values.items() if v is not None}
                arrays[f"{group}/steps"] = np.array(block.steps)
    if not arrays:
        return None
    name = f"{path.name}.unsaved-{secrets.token_hex(4)}.npz"
    for folder in (path.parent, Path(tempfile.gettempdir())):
        target = folder / name
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(target, flags, 0o666), "wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            return target
        except OSError:
            with contextlib.suppress(OSError):
                target.unlink(missing_ok=True)
    return None
