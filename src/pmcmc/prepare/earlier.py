"""The start of a run from the last state of an earlier one: `--initial FILE.h5`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import StoreError, UsageError
from ..sampler.earlier import EarlierRun
from ..storage.place import shown_path
from ..storage.reader import RunReader

_MOST = 4096  # kept draws that are taken along, for where walkers are wanted that it has not


def read_earlier(path: Path, names: tuple[str, ...], output: Path | None) -> EarlierRun:
    """Return where the walkers of an earlier run are, and some of its draws.

    Parameters
    ----------
    path : Path
        Its file.
    names : tuple of str
        Of the parameters now.
    output : Path or None
        Of the new run.

    Raises
    ------
    UsageError
        If it has other parameters, or is the output itself.
    StoreError
        If it cannot be read, or no ensemble has begun in it.

    """
    if output is not None and output.resolve() == path.resolve():
        raise UsageError(
            f"initial and output are both {shown_path(path)}: give the new run another --output, "
            "or go on from it with --resume"
        )
    reader = RunReader(path)
    if reader.header.names != names:
        raise UsageError(
            f"initial: {shown_path(path)} has the parameters {', '.join(reader.header.names)}, "
            f"and this model {', '.join(names)}"
        )
    states = [reader.saved(e) for e in range(len(reader.steps))]
    walkers = tuple(s.coords[s.log_prob > -np.inf] for s in states if s is not None)
    if not any(map(len, walkers)):
        raise StoreError(f"initial: {shown_path(path)} holds no state of any ensemble")
    return EarlierRun(shown_path(path), walkers, _some_draws(reader))


def _some_draws(reader: RunReader) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return kept draws, evenly from all ensembles and steps."""
    found = []
    each = max(1, _MOST // max(1, len(reader.rows)))
    for e, rows in enumerate(map(int, reader.rows)):
        step = max(1, rows * reader.header.nwalkers // each)
        chain = reader.values("chain", e, slice(0, rows, step))
        found.append(chain.reshape(-1, reader.header.ndim)[: 2 * each])
    return np.concatenate(found)
