"""How many steps burn-in and "enough" take, from an autocorrelation time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..diagnostics.limits import Limits
from ..diagnostics.stopping import next_check

_SETTLING = 40  # tau: burn-in ends when its second half is 20 long


@dataclass(frozen=True)
class Length:
    """How long an ensemble samples, in steps.

    Attributes
    ----------
    burnin : int
        Before production.
    steps : int
        Of production.
    checks : bool
        Whether ensembles wait for each other at checks.

    """

    burnin: int
    steps: int
    checks: bool = True

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.burnin + self.steps


def expected_tau(ndim: int) -> float:
    """Return tau, in steps, of a normal posterior under the default moves and walkers.

    Measured (tests/benchmarks/moves.py): 9, 27, 65 and 135 steps in 2, 5, 10 and 20 dimensions.
    Other posteriors take longer, up to ten times.
    """
    return max(5.0, 6.7 * ndim - 5.0)


def length_of(
    tau: float,
    nwalkers: int,
    nensembles: int,
    target_ess: float | None = None,
    burnin: int | None = None,
    steps: int | None = None,
) -> Length:
    """Return how long the ensembles of a run sample.

    Parameters
    ----------
    tau : float
        Autocorrelation time, in steps.
    nwalkers, nensembles : int
        Walkers of an ensemble, and ensembles.
    target_ess : float, optional
        Effective draws that are wanted, of all ensembles together. Default: as "enough" asks.
    burnin : int, optional
        As given. Default: until it settles.
    steps : int, optional
        Of each ensemble, as given. Default: until the draws are enough, or ``target_ess``.

    Returns
    -------
    Length

    """
    limits = Limits.of(None, None)
    settled = burnin if burnin is not None else next_check(math.ceil(_SETTLING * tau))
    if steps is not None:
        return Length(settled, steps, burnin is None)
    ess = limits.ess if target_ess is None else target_ess
    wanted = max(limits.length * tau, ess * tau / (nwalkers * nensembles))
    return Length(settled, next_check(math.ceil(wanted)))
