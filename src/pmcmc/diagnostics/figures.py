"""The figures of draws that `criteria` looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from .modes import Missed

if TYPE_CHECKING:
    from .._types import FloatArray


class Figures(Protocol):
    """What the criteria are about: a ChainStatistics works it out when asked, a Summary has it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of all quantities: the parameters, log_prob, derived parameters."""

    @property
    def nensembles(self) -> int:
        """Number of ensembles."""

    @property
    def kept(self) -> int:
        """Kept steps of the shortest ensemble."""

    @property
    def steps(self) -> int:
        """The same with those that were thinned out."""

    @property
    def stuck(self) -> npt.NDArray[np.bool_]:
        """Walkers that never moved, (ensemble, walker)."""

    @property
    def rare(self) -> npt.NDArray[np.bool_]:
        """Walkers that move rarely beside the others, (ensemble, walker)."""

    @property
    def offsets(self) -> FloatArray:
        """How far each walker's mean is from its ensemble's, in standard errors."""

    @property
    def farthest_in(self) -> npt.NDArray[np.int32]:
        """In which quantity, (ensemble, walker)."""

    @property
    def low(self) -> npt.NDArray[np.int64]:
        """Draws with a log_prob too low to be the posterior's, (ensemble, walker)."""

    @property
    def shift(self) -> float:
        """How far such draws move a mean, in standard errors."""

    @property
    def shifted(self) -> str:
        """Of which parameter."""

    @property
    def rejected_share(self) -> float:
        """Which part of the evaluations after burn-in was rejected."""

    @property
    def missed(self) -> tuple[Missed, ...]:
        """Maxima with mass that no draw has come near."""

    def rank_tau(self, i: int) -> FloatArray:
        """Return the autocorrelation time of a quantity's ranks in each ensemble, in steps."""

    def ess_bulk(self, i: int) -> float:
        """Return the effective number of draws for a quantity's mean."""

    def ess_tail(self, i: int) -> float:
        """Return the lesser effective number for a quantity's 5% and 95% quantiles."""

    def r_hat(self, i: int) -> float:
        """Return a quantity's R-hat; NaN with one ensemble."""
