"""The optima that all ensembles found: which are the same, and what each weighs. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..model.periodic import Circles

if TYPE_CHECKING:
    from .._types import FloatArray

_SAME = 4.0  # standard deviations of the local normal within which two optima are one
_MIDDLE = math.sqrt(0.5)  # between two powers of two
_LEAST_WEIGHT = 1e-3  # of an optimum at which an ensemble may begin


@dataclass(frozen=True)
class Optimum:
    """A local maximum of the posterior.

    Attributes
    ----------
    theta : tuple of float
        Where it is.
    log_prob : float
        There.
    log_mass : float
        Laplace's estimate of the log of its mass: log_prob + log |2 pi C| / 2, where C is the
        inverse of the negative second derivatives.
    sd : tuple of float
        The square roots of C's diagonal.
    width : tuple of float
        By how much each parameter alone has to change for log_prob to fall by about a half.
    found : int
        How many searches ended there.

    """

    theta: tuple[float, ...]
    log_prob: float
    log_mass: float
    sd: tuple[float, ...]
    width: tuple[float, ...]
    found: int = 1

    @property
    def start(self) -> tuple[FloatArray, FloatArray]:
        """Where walkers may begin, and how far from it: theta and width, rounded.

        Another kind of CPU has other last digits of log_prob, and where a search ends hangs on
        them; in tens of steps a chain from there would be another one. So width becomes a power of
        two, and theta a multiple of an eighth of it: exact operations, without functions of libm.
        """
        theta, width = np.array(self.theta), np.array(self.width)
        mantissa, exponent = np.frexp(width)
        width = np.where(width > 0, np.ldexp(1.0, exponent - (mantissa < _MIDDLE)), width)
        unit = width / 8
        with np.errstate(all="ignore"):
            rounded = np.round(theta / unit) * unit
        return np.where(np.isfinite(rounded), rounded, theta), width


@dataclass(frozen=True)
class Pool:
    """The optima of all ensembles.

    A ridge, along which searches end at more places than one, counts its mass once for each.

    Attributes
    ----------
    optima : tuple of Optimum
        Distinct ones, the heaviest first.
    weights : tuple of float
        Of each: its part of the mass of all, 0 where that is less than 1/1000.

    """

    optima: tuple[Optimum, ...]
    weights: tuple[float, ...]

    @property
    def is_plain(self) -> bool:
        """Whether three in four searches or more ended at the heaviest: that is all there is."""
        return 4 * self.optima[0].found >= 3 * sum(one.found for one in self.optima)

    def draw(self, rng: np.random.Generator) -> Optimum:
        """Return one, drawn by weight."""
        return self.optima[int(rng.choice(len(self.optima), p=self.weights))]

    def text(self) -> str:
        """Return what there is to say of them, in a line."""
        searches = sum(one.found for one in self.optima)
        best = self.optima[0]
        if len(self.optima) == 1:
            ended = "the search" if searches == 1 else f"all {searches} searches"
            return f"{ended} ended at one optimum, log_prob {best.log_prob:.6g}"
        chosen = [
            f"log_prob {one.log_prob:.6g} ({weight:.2g})"
            for one, weight in zip(self.optima, self.weights, strict=True)
            if weight
        ]
        if len(chosen) == 1:
            return (
                f"{searches} searches ended at {len(self.optima)} local maxima; all ensembles "
                f"begin at the one that has the mass, log_prob {best.log_prob:.6g}"
            )
        told = ", ".join(chosen[:3]) + (f" and {len(chosen) - 3} more" if chosen[3:] else "")
        return (
            f"{searches} searches ended at {len(self.optima)} optima; ensembles begin at those "
            f"with mass, drawn by it: {told}"
        )

    @classmethod
    def read(cls, record: str) -> tuple[Pool, bool] | None:
        """Return what ``record`` wrote, and whether it was found widely; None if it is no such."""
        try:
            told = json.loads(record)
            optima = tuple(
                Optimum(
                    tuple(map(float, one["theta"])),
                    float(one["log_prob"]),
                    float(one["log_mass"]),
                    tuple(map(float, one["sd"])),
                    tuple(map(float, one["width"])),
                    int(one["found"]),
                )
                for one in told["optima"]
            )
            weights = tuple(float(one["weight"]) for one in told["optima"])
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
            return None
        right = bool(weights) and min(weights) >= 0 and abs(sum(weights) - 1) < 1e-9
        return (cls(optima, weights), bool(told["wide"])) if right else None

    def record(self, wide: bool) -> str:
        """Return them as JSON, for the file; ``wide``: after a wide search."""
        optima = [
            asdict(one) | {"weight": weight}
            for one, weight in zip(self.optima, self.weights, strict=True)
        ]
        return json.dumps({"wide": wide, "optima": optima})


def pool_optima(found: Mapping[int, Sequence[Optimum]], circles: Circles) -> Pool:
    """Return the distinct ones among the optima that ensembles found.

    Parameters
    ----------
    found : mapping of int to sequence of Optimum
        By ensemble.
    circles : Circles
        Which parameters are on circles.

    Returns
    -------
    Pool
        The same whatever the order in which they came.

    """
    distinct: list[Optimum] = []
    every = [one for ensemble in sorted(found) for one in found[ensemble]]
    for one in sorted(every, key=lambda one: (-one.log_mass, one.theta)):
        for k, other in enumerate(distinct):
            if _same(one, other, circles):
                better = max(one, other, key=lambda o: o.log_prob)
                distinct[k] = replace(better, found=one.found + other.found)
                break
        else:
            distinct.append(one)
    # last digits must not order modes that are alike, as where labels can be swapped
    distinct.sort(key=lambda one: (-round(one.log_mass, 2), tuple(one.start[0])))
    masses = np.array([one.log_mass for one in distinct])
    weights = np.exp(masses - masses.max())
    weights[weights < _LEAST_WEIGHT * weights.sum()] = 0.0
    weights /= weights.sum()
    return Pool(tuple(distinct), tuple(map(float, weights)))


def _same(one: Optimum, other: Optimum, circles: Circles) -> bool:
    here, there = np.array(one.theta), np.array(other.theta)
    off = np.abs(circles.near(here[None], there)[0] - there)
    return bool((off <= _SAME * np.minimum(one.sd, other.sd)).all())


def laplace(
    theta: FloatArray, log_prob: float, width: FloatArray, curvature: FloatArray | None
) -> Optimum:
    """Return an optimum with Laplace's estimate of its mass.

    Parameters
    ----------
    theta : ndarray (ndim,)
        Where it is.
    log_prob : float
        There.
    width : ndarray (ndim,)
        Of each parameter alone.
    curvature : ndarray (ndim, ndim) or None
        Negative second derivatives, in units of ``width``; None where they cannot be told, or no
        maximum has them: the widths alone are taken then.

    """
    ndim = len(theta)
    scaled: FloatArray = np.eye(ndim)
    if curvature is not None:
        try:
            np.linalg.cholesky(curvature)
            scaled = np.asarray(np.linalg.inv(curvature), dtype=np.float64)
        except np.linalg.LinAlgError:
            pass
    log_det = float(np.linalg.slogdet(scaled)[1]) + 2 * float(np.log(width).sum())
    sd = np.sqrt(np.diag(scaled)) * width
    mass = log_prob + 0.5 * (ndim * math.log(2 * math.pi) + log_det)
    return Optimum(_plain(theta), float(log_prob), mass, _plain(sd), _plain(width))


def _plain(values: FloatArray) -> tuple[float, ...]:
    return tuple(map(float, values))
