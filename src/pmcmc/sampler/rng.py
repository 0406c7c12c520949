"""Seed -> independent random streams, one pair per ensemble.

Streams come from numpy's SeedSequence with the ensemble's number as spawn key, so they
depend on the seed and that number only: never on ranks, teams or the order of the work.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

MAX_SEED = 2**63 - 1


def draw_seed() -> int:
    """Return a seed from the operating system's entropy, in [0, MAX_SEED]."""
    return secrets.randbits(63)


def streams(seed: int, ensemble: int) -> tuple[np.random.Generator, tuple[Any, ...]]:
    """Return the two independent streams of one ensemble.

    Parameters
    ----------
    seed : int
        The run's seed.
    ensemble : int
        The ensemble's number, from 0.

    Returns
    -------
    start : numpy.random.Generator
        Makes the start.
    sampling : tuple
        The state of the ``RandomState`` with which emcee samples, as ``RandomState.get_state()``
        returns it.

    """
    start, sampling = np.random.SeedSequence(seed, spawn_key=(ensemble,)).spawn(2)
    generator = np.random.Generator(np.random.PCG64(start))
    return generator, np.random.RandomState(np.random.MT19937(sampling)).get_state()  # type: ignore[return-value]


def rescue_stream(seed: int, ensemble: int) -> np.random.Generator:
    """Return the stream with which trapped walkers of an ensemble are redrawn: its third.

    Parameters
    ----------
    seed, ensemble : int
        As for ``streams``.

    Returns
    -------
    numpy.random.Generator

    """
    third = np.random.SeedSequence(seed, spawn_key=(ensemble,)).spawn(3)[2]
    return np.random.Generator(np.random.PCG64(third))
