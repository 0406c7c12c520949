"""Distributions for priors that load in no time: ``from pmcmc import stats``.

scipy.stats takes most of the time that a rank needs to start: a second or more, and all ranks of a
job at once. ``uniform``, ``norm`` and ``loguniform`` here are called like scipy's and give the
same draws, without it. Every other name is scipy's own distribution, which loads it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .._types import FloatArray


class _Family(NamedTuple):
    """What there is of a standard form; ``p`` are its shape parameters."""

    support: Callable[[Any], tuple[float, float]]
    variance: Callable[[Any], float]
    rvs: Callable[[Any, Any, Any], Any]  # of p, the generator, and the size
    ppf: Callable[[Any, Any], Any]
    cdf: Callable[[Any, Any], Any]


def _ndtri(q: Any) -> Any:
    from scipy.special import ndtri  # slow to load, and not always needed

    return ndtri(q)


def _ndtr(y: Any) -> Any:
    from scipy.special import ndtr  # slow to load, and not always needed

    return ndtr(y)


def _loguniform_ppf(p: Any, q: Any) -> Any:
    return np.exp(np.log(p[0]) + q * (np.log(p[1]) - np.log(p[0])))


def _loguniform_variance(p: Any) -> float:
    a, b = p
    width = math.log(b) - math.log(a)
    return float((b * b - a * a) / (2 * width) - ((b - a) / width) ** 2)


# scipy's own formulas, so that draws have the same bits
_FAMILIES = {
    "uniform": _Family(
        support=lambda p: (0.0, 1.0),
        variance=lambda p: 1 / 12,
        rvs=lambda p, rng, size: rng.uniform(0.0, 1.0, size),
        ppf=lambda p, q: q,
        cdf=lambda p, y: y,
    ),
    "norm": _Family(
        support=lambda p: (-math.inf, math.inf),
        variance=lambda p: 1.0,
        rvs=lambda p, rng, size: rng.standard_normal(size),
        ppf=lambda p, q: _ndtri(q),
        cdf=lambda p, y: _ndtr(y),
    ),
    "loguniform": _Family(
        support=lambda p: p,
        variance=_loguniform_variance,
        rvs=lambda p, rng, size: _loguniform_ppf(p, rng.uniform(size=size)),
        ppf=_loguniform_ppf,
        cdf=lambda p, y: (np.log(y) - np.log(p[0])) / (np.log(p[1]) - np.log(p[0])),
    ),
}


@dataclass(frozen=True)
class Frozen:
    """A distribution with its parameters, as ``uniform``, ``norm`` and ``loguniform`` return it.

    Its methods are those of a frozen scipy.stats distribution; what is not here (``pdf``,
    ``interval``, ...) is asked of scipy's.
    """

    name: str
    shapes: tuple[float, ...]
    loc: float
    scale: float
    _family: _Family = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_family", _FAMILIES[self.name])

    def __reduce__(self) -> tuple[Any, ...]:
        return Frozen, (self.name, self.shapes, self.loc, self.scale)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.scipy(), name)

    def scipy(self) -> Any:
        """Return the same distribution of scipy.stats, which this loads."""
        from scipy import stats

        return getattr(stats, self.name)(*self.shapes, loc=self.loc, scale=self.scale)

    @property
    def valid(self) -> bool:
        """Whether the parameters are finite, the scale positive, the shapes 0 < a < b."""
        finite = all(map(math.isfinite, (*self.shapes, self.loc, self.scale)))
        ordered = not self.shapes or 0 < self.shapes[0] < self.shapes[1]
        return finite and ordered and self.scale > 0

    def standard_support(self) -> tuple[float, float]:
        """Return where the standard form (loc 0, scale 1) may be above zero."""
        return self._family.support(self.shapes)

    def support(self) -> tuple[float, float]:
        """Return where the density may be above zero."""
        lo, hi = self.standard_support()
        return lo * self.scale + self.loc, hi * self.scale + self.loc

    def median(self) -> float:
        """Return the median; NaN where the parameters are not valid."""
        if self.name == "norm" and self.valid:
            return float(self.loc)  # without scipy.special, which is slow to load
        return float(self.ppf(0.5))

    def std(self) -> float:
        """Return the standard deviation."""
        return math.sqrt(self._family.variance(self.shapes) * self.scale * self.scale)

    def rvs(self, size: Any = None, random_state: Any = None) -> FloatArray:
        """Draw values: the same as scipy.stats draws from a generator in the same state."""
        if not isinstance(random_state, np.random.Generator | np.random.RandomState):
            return np.asarray(self.scipy().rvs(size=size, random_state=random_state))
        draws = self._family.rvs(self.shapes, random_state, size)
        return np.asarray(draws * self.scale + self.loc)

    def ppf(self, q: Any) -> Any:
        """Return the quantile at ``q``; NaN where that is not from 0 to 1."""
        if not self.valid:
            return np.full(np.shape(q), np.nan)[()]
        q = np.asarray(q, dtype=float)
        lo, hi = self.standard_support()
        y = self._family.ppf(self.shapes, np.where((q > 0) & (q < 1), q, np.nan))
        y = np.where(q == 0, lo, np.where(q == 1, hi, y))
        return (y * self.scale + self.loc)[()]

    def cdf(self, x: Any) -> Any:
        """Return the probability of a value up to ``x``."""
        lo, hi = self.standard_support()
        y = np.clip((np.asarray(x, dtype=float) - self.loc) / self.scale, lo, hi)
        return self._family.cdf(self.shapes, y)[()]


def uniform(loc: float = 0.0, scale: float = 1.0) -> Frozen:
    """Return the uniform distribution on [loc, loc + scale], as scipy.stats.uniform.

    Parameters
    ----------
    loc, scale : float, default 0 and 1
        Lower end and width.

    Returns
    -------
    Frozen

    """
    return Frozen("uniform", (), loc, scale)


def norm(loc: float = 0.0, scale: float = 1.0) -> Frozen:
    """Return the normal distribution, as scipy.stats.norm.

    Parameters
    ----------
    loc, scale : float, default 0 and 1
        Mean and standard deviation.

    Returns
    -------
    Frozen

    """
    return Frozen("norm", (), loc, scale)


def loguniform(a: float, b: float, loc: float = 0.0, scale: float = 1.0) -> Frozen:
    """Return the distribution whose logarithm is uniform on [log a, log b], as scipy.stats has it.

    Parameters
    ----------
    a, b : float
        Ends, 0 < a < b.
    loc, scale : float, default 0 and 1
        What is drawn is ``loc + scale * x``.

    Returns
    -------
    Frozen

    """
    return Frozen("loguniform", (a, b), loc, scale)


def __getattr__(name: str) -> Any:
    if name.startswith("_"):  # what a loader or a debugger looks for
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from scipy import stats

    return getattr(stats, name)
