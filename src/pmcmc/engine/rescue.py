"""Walkers that are trapped at the end of burn-in are redrawn from the others of their ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..sampler.rng import rescue_stream
from ..sampler.state import ProductionStart
from ..storage.reader import RunReader

if TYPE_CHECKING:
    from .._types import AnyArray

_TRIES = 1000  # to find a point that no walker has


def redraw(reader: RunReader, ensemble: int, walkers: tuple[int, ...]) -> ProductionStart:
    """Put walkers where others of their ensemble were in the second half of burn-in.

    Parameters
    ----------
    reader : RunReader
        Of the run's file, which ends with burn-in.
    ensemble : int
        Its number, from 0.
    walkers : tuple of int
        Those to be redrawn.

    Returns
    -------
    ProductionStart

    Notes
    -----
    Each is put at a step and on a walker drawn with the third stream of the ensemble, so that no
    two walkers are at one point; log_prob and blobs come with it. The draws stay those of a Markov
    chain: only its start was chosen.

    """
    state, steps = reader.saved(ensemble), int(reader.burnin_rows[ensemble])
    assert state is not None  # burn-in is over
    coords, log_prob = state.coords.copy(), state.log_prob.copy()
    blobs = None if state.blobs is None else state.blobs.copy()
    others = np.setdiff1d(np.arange(len(coords)), walkers)
    rng = rescue_stream(reader.header.seed, ensemble)
    taken = {point.tobytes() for point in coords[others]}
    with reader.open() as open_reader:

        def at(name: str, row: int) -> AnyArray:
            rows = open_reader.values(name, ensemble, slice(row, row + 1), "burnin")
            return np.asarray(rows[0])

        for walker in walkers:
            for _ in range(_TRIES):
                row, source = int(rng.integers(steps // 2, steps)), int(rng.choice(others))
                point = at("chain", row)[source]
                if point.tobytes() not in taken:
                    break
            taken.add(point.tobytes())
            coords[walker], log_prob[walker] = point, at("log_prob", row)[source]
            if blobs is not None:
                blobs[walker] = at("blobs", row)[source]
    return ProductionStart(ensemble, walkers, coords, log_prob, blobs, state.random_state)
