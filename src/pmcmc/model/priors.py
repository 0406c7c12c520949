"""Frozen distributions, of scipy.stats or of ours, as priors, with closed forms for common ones.

A scipy ``logpdf`` call costs about 45 us, ten times a simple likelihood: nearly all of it
checks arguments. The forms below are scipy's own formulas with the constants worked out once.
Any other continuous distribution works too, through its own ``logpdf``.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import ModelError
from .stats import Frozen

if TYPE_CHECKING:
    from .._types import FloatArray

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)

# name: (shape parameters, m) -> log density of the standard form at y inside the support. m is
# the module `math` for one float or `numpy` for an array; both know log, log1p, exp and fabs.
_FORMS: dict[str, Callable[[tuple[float, ...], Any], Callable[[Any], Any]]] = {
    "uniform": lambda p, m: lambda y: 0.0,
    "norm": lambda p, m: lambda y: -y * y / 2.0 - _HALF_LOG_2PI,
    "halfnorm": lambda p, m: lambda y: 0.5 * math.log(2 / math.pi) - y * y / 2.0,
    "truncnorm": lambda p, m: _truncnorm(*p),
    "loguniform": lambda p, m: _loguniform(m, *p),
    "lognorm": lambda p, m: _lognorm(m, *p),
    "expon": lambda p, m: lambda y: -y,
    "gamma": lambda p, m: _gamma(m, *p),
    "invgamma": lambda p, m: _invgamma(m, *p),
    "beta": lambda p, m: _beta(m, *p),
    "cauchy": lambda p, m: lambda y: -math.log(math.pi) - m.log1p(y * y),
    "halfcauchy": lambda p, m: lambda y: math.log(2 / math.pi) - m.log1p(y * y),
    "t": lambda p, m: _t(m, *p),
    "laplace": lambda p, m: lambda y: math.log(0.5) - m.fabs(y),
    "logistic": lambda p, m: lambda y: -m.fabs(y) - 2.0 * m.log1p(m.exp(-m.fabs(y))),
}


def _truncnorm(a: float, b: float) -> Callable[[Any], Any]:
    from scipy.stats import truncnorm

    middle = a if math.isfinite(a) else b if math.isfinite(b) else 0.0
    middle = 0.5 * (a + b) if math.isfinite(a + b) else middle
    top = float(truncnorm.logpdf(middle, a, b)) + middle * middle / 2.0
    return lambda y: top - y * y / 2.0


def _loguniform(m: Any, a: float, b: float) -> Callable[[Any], Any]:
    width = math.log(math.log(b) - math.log(a))
    return lambda y: -m.log(y) - width


def _lognorm(m: Any, s: float) -> Callable[[Any], Any]:
    c = math.log(s) + _HALF_LOG_2PI

    def form(y: Any) -> Any:
        log_y = m.log(y)
        return -log_y * log_y / (2 * s * s) - log_y - c

    return form


def _gamma(m: Any, a: float) -> Callable[[Any], Any]:
    from scipy import special

    c = float(special.gammaln(a))
    return lambda y: (a - 1.0) * m.log(y) - y - c


def _invgamma(m: Any, a: float) -> Callable[[Any], Any]:
    from scipy import special

    c = float(special.gammaln(a))
    return lambda y: -(a + 1.0) * m.log(y) - c - 1.0 / y


def _beta(m: Any, a: float, b: float) -> Callable[[Any], Any]:
    from scipy import special

    c = float(special.betaln(a, b))
    return lambda y: (b - 1.0) * m.log1p(-y) + (a - 1.0) * m.log(y) - c


def _t(m: Any, df: float) -> Callable[[Any], Any]:
    from scipy import special

    c = math.log(special.poch(0.5 * df, 0.5)) - 0.5 * (math.log(df) + math.log(math.pi))
    return lambda y: c - (df + 1) / 2 * m.log1p(y * y / df)


class _Newer:
    """A newer distribution of scipy, as ``stats.Normal(mu=0, sigma=1)``, with the old methods.

    Parameters
    ----------
    wrapped : scipy.stats distribution
        Continuous, of one variable.

    """

    def __init__(self, wrapped: Any) -> None:
        self._wrapped, self._text = wrapped, str(wrapped)
        self.logpdf, self.cdf, self.ppf = wrapped.logpdf, wrapped.cdf, wrapped.icdf
        self.median, self.std = wrapped.median, wrapped.standard_deviation

    def __str__(self) -> str:
        return self._text

    def __reduce__(self) -> tuple[Any, ...]:
        # what scipy 1.17 itself restores of Normal(mu=1, sigma=2) is a standard normal
        middle = float(self.median())
        state = self._wrapped.__getstate__()
        return _restore, (type(self._wrapped), state, self._text, middle, self.logpdf(middle))

    def support(self) -> tuple[float, float]:
        low, high = self._wrapped.support()
        return float(low), float(high)

    def rvs(self, size: int, random_state: np.random.Generator) -> FloatArray:
        return np.asarray(self._wrapped.sample(shape=size, rng=random_state), dtype=float)


def _restore(kind: type, state: Any, text: str, middle: float, top: float) -> _Newer:
    """Return a newer distribution that was pickled, if it is still the same."""
    wrapped: Any = object.__new__(kind)
    try:
        if hasattr(kind, "__setstate__"):
            wrapped.__setstate__(state)
        else:
            vars(wrapped).update(state)
        made = _Newer(wrapped)
        same = np.allclose((made.median(), made.logpdf(middle)), (middle, top))
    except Exception:  # whatever scipy makes of half an object
        same = False
    if not same:
        raise ModelError(
            f"the prior {text} cannot be sent to other processes: scipy does not restore it. "
            "Give a frozen distribution, as in stats.norm(0, 1)"
        )
    made._text = text
    return made


def _as_frozen(frozen: Any) -> Any:
    """Return a distribution with the methods of a frozen one, where it is one of scipy's newer."""
    if type(frozen).__module__.partition(".")[0] != "scipy":
        return frozen
    kinds = {kind.__name__ for kind in type(frozen).__mro__}
    single = "ContinuousDistribution" in kinds and np.ndim(frozen.median()) == 0
    return _Newer(frozen) if single else frozen


class _Reading(NamedTuple):
    """What a distribution is."""

    name: str  # of its family, as scipy.stats has it
    shapes: tuple[float, ...]
    loc: float
    scale: float
    bounds: tuple[float, float]  # of the standard form
    standard: bool  # the family of this name that scipy.stats has
    own: bool  # code of the model's, not scipy's


def _read(name: str, frozen: Any) -> _Reading:
    """Take a prior apart. Raises ModelError if it is none; not if its parameters are invalid."""
    many = ModelError(
        f"the prior of {name} has array parameters: give one distribution per parameter"
    )
    if isinstance(frozen, Frozen):
        try:
            shapes = tuple(float(s) for s in frozen.shapes)
            loc, scale = float(frozen.loc), float(frozen.scale)
        except (TypeError, ValueError):
            raise many from None
        return _Reading(frozen.name, shapes, loc, scale, frozen.standard_support(), True, False)
    from scipy import stats  # slow to load: a model that has such a prior has done so

    ours = isinstance(frozen, FunctionType) and frozen.__module__ == Frozen.__module__
    if ours or isinstance(frozen, stats.rv_continuous):
        called = frozen.__name__ if ours else frozen.name
        raise ModelError(
            f"the prior of {name} is the family {called}, not a distribution: call it "
            "with its parameters, as in stats.norm(0, 1)"
        )
    if isinstance(frozen, _Newer):
        return _Reading(str(frozen), (), 0.0, 1.0, frozen.support(), False, False)
    family = getattr(frozen, "dist", None)
    if not isinstance(family, stats.rv_continuous):
        raise ModelError(
            f"the prior of {name} is {frozen!r}: expected a frozen continuous scipy.stats "
            "distribution, as in stats.uniform(-5, 10)"
        )
    parsed, loc, scale = family._parse_args(*frozen.args, **frozen.kwds)
    try:
        shapes = tuple(float(s) for s in parsed)
        loc, scale = float(loc), float(scale)
        lo, hi = (float(v) for v in family.support(*shapes))
    except (TypeError, ValueError):
        raise many from None
    standard = type(getattr(stats, family.name, None)) is type(family)
    own = type(family).__module__.partition(".")[0] != "scipy"
    if isinstance(family, stats.rv_histogram):
        counts, edges = family._histogram  # how scipy keeps it
        told = zlib.crc32(np.concatenate([counts, edges]).astype(float).tobytes())
        called = f"rv_histogram[{len(counts)} bins, {told:08x}]"
        return _Reading(called, shapes, loc, scale, (lo, hi), False, own)
    return _Reading(family.name, shapes, loc, scale, (lo, hi), standard, own)


class Prior:
    """One parameter's prior: a frozen, continuous, univariate distribution.

    Parameters
    ----------
    name : str
        The parameter's name, for messages.
    frozen : frozen distribution
        Of scipy.stats or ``pmcmc.stats``, for example ``stats.norm(0, 2)``; or one of scipy's
        newer distributions, as ``stats.Normal(mu=0, sigma=2)``.

    Attributes
    ----------
    logpdf : callable
        ``logpdf(x)``: the log density at one float.
    support : tuple of float
        Where the density may be above zero.
    own : bool
        Whether the distribution is code of the model's, not scipy's.
    closed : bool
        Whether there is a closed form for it here.

    Raises
    ------
    ModelError
        If ``frozen`` is no such distribution, or its parameters are invalid.

    """

    def __init__(self, name: str, frozen: Any) -> None:
        self.name = name
        self.frozen = frozen = _as_frozen(frozen)
        read = _read(name, frozen)
        self.shapes, self.loc, self.scale = read.shapes, read.loc, read.scale
        self._family, self._bounds = read.name, read.bounds
        finite = math.isfinite(self.loc) and math.isfinite(self.scale)
        if not (self.scale > 0 and finite and np.isfinite(frozen.median())):
            raise ModelError(
                f"the prior of {name}, {self.describe()}, is not a distribution: "
                "check its parameters (in scipy.stats, uniform is uniform(lower, width))"
            )
        lo, hi = frozen.support()
        self.support = float(lo), float(hi)
        self.own = read.own
        form = _FORMS.get("loguniform" if read.name == "reciprocal" else read.name)
        self.closed = form is not None and read.standard
        if read.name == "t" and math.isinf(self.shapes[0]):
            self.closed = False  # the normal limit, which scipy treats apart
        self._vector = self._make(form(self.shapes, np)) if form and self.closed else None
        self.logpdf: Callable[[float], float]
        if form and self.closed:
            self.logpdf = self._scalar(form(self.shapes, math))
        else:
            self.logpdf = lambda x: float(frozen.logpdf(x))
        #: logpdf(x): log density at one float.

    def __reduce__(self) -> tuple[Any, ...]:
        return Prior, (self.name, self.frozen)  # the closed forms are made again

    def describe(self) -> str:
        """Return the distribution as it would be written, such as ``stats.norm(0.0, 2.0)``."""
        values = [*self.shapes, self.loc, self.scale]
        if isinstance(self.frozen, _Newer):
            return f"stats.{self.frozen}"
        return f"stats.{self._family}({', '.join(f'{v:g}' for v in values)})"

    def _scalar(self, form: Callable[[float], float]) -> Callable[[float], float]:
        loc, scale, log_scale = self.loc, self.scale, math.log(self.scale)
        lo, hi = self._bounds
        frozen = self.frozen

        def logpdf(x: float) -> float:
            y = (x - loc) / scale
            if not lo <= y <= hi:
                return -math.inf
            try:
                return form(y) - log_scale
            except (ValueError, ZeroDivisionError, OverflowError):  # the very edge: log(0)
                return float(frozen.logpdf(x))

        return logpdf

    def _make(self, form: Callable[[FloatArray], Any]) -> Callable[[FloatArray], FloatArray]:
        lo, hi = self._bounds
        log_scale = math.log(self.scale)

        def logpdf(x: FloatArray) -> FloatArray:
            y = (x - self.loc) / self.scale
            with np.errstate(all="ignore"):
                values = np.where((lo <= y) & (y <= hi), form(y) - log_scale, -np.inf)
            if np.isnan(values).any():  # the very edge, where a form has 0 * log(0)
                return np.asarray(self.frozen.logpdf(x), dtype=float)
            return values

        return logpdf

    def logpdf_array(self, x: FloatArray) -> FloatArray:
        """Return the log density of each value.

        Parameters
        ----------
        x : ndarray
            Values of the parameter, of any shape.

        Returns
        -------
        ndarray
            Of the shape of ``x``; -inf outside the support.

        """
        if self._vector is not None:
            return self._vector(x)
        return np.asarray(self.frozen.logpdf(x), dtype=float)
