"""How many walkers an ensemble has, if nobody says so."""

from __future__ import annotations


def default_nwalkers(ndim: int) -> int:
    """Return the walkers of an ensemble by default: max(32, 4 ndim).

    They are for many ranks: an ensemble of W walkers keeps W / 2 ranks busy at most.

    Parameters
    ----------
    ndim : int
        Number of parameters.

    """
    return max(32, 4 * ndim)


def few_nwalkers(ndim: int) -> int:
    """Return the walkers that are enough where there are few ranks.

    The steps to "enough" hardly depend on the number of walkers down to so many
    (tests/benchmarks/walkers.py), so that its evaluations are in proportion to it. Fewer could be
    caught in a plane.

    Parameters
    ----------
    ndim : int
        Number of parameters.

    """
    return max(16, 2 * round(1.25 * ndim))
