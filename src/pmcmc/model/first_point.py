"""The first evaluation of a problem, at a point that depends on nothing random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ControlFlow, EvaluationError
from .checks import call_initial
from .failures import bad_output, raised
from .outputs import BadOutput, OutputFormat, has_parts
from .posterior import Posterior, is_single
from .rejects import TookTooLong
from .walkers import default_nwalkers

if TYPE_CHECKING:
    from .._types import FloatArray
    from .calls import Caller
    from .priors import Prior

_PROBES = 20  # points to try for one with a finite log_prob, to see what blobs look like


def try_points(
    points: FloatArray,
    caller: Caller,
    posterior: Posterior,
    returns: OutputFormat,
    names: tuple[str, ...],
    rejecting: bool,
    where: str = "",
) -> tuple[FloatArray, float]:
    """Evaluate at points until log_prob is not -inf, and learn the form of its blobs.

    Parameters
    ----------
    points : ndarray (n, ndim)
        As ``first_points`` returns them.
    caller : Caller
        Calls log_prob.
    posterior : Posterior
        Has it.
    returns : OutputFormat
        Learns the form of what it returns.
    names : tuple of str
        Of the parameters.
    rejecting : bool
        Whether an evaluation that fails is no error, as long as there are points.
    where : str
        Rank and host, for the error message.

    Returns
    -------
    coords : ndarray (n, ndim)
        The points tried, of which log_prob is -inf at all but the last.
    log_prob : float
        At the last.

    Raises
    ------
    EvaluationError
        As `Problem.evaluate`.

    """
    n = 0
    for theta in points:
        n += 1
        try:
            given = theta[None].copy() if returns.vectorized else theta.copy()
            result = caller.once(posterior.log_prob, given)
        except (KeyboardInterrupt, EvaluationError, ControlFlow):
            raise
        except BaseException as exc:
            if rejecting and isinstance(exc, Exception | TookTooLong) and n < len(points):
                continue
            raise raised(exc, names, theta, where) from exc
        if rejecting and not has_parts(result) and n < len(points) and not result < np.inf:
            continue
        if has_parts(result) or result != -np.inf:
            break  # else it may be a bare -inf where others have blobs
    first = result[0] if has_parts(result) and len(result) else result
    posterior.single |= is_single(first)
    try:
        returns.infer_from(result)
        evaluated = returns.to_arrays(result if returns.vectorized else [result], 1)
    except BadOutput as exc:
        raise bad_output(exc, names, theta[None], where) from None
    return points[:n], float(evaluated.log_prob[0])


def first_points(
    priors: Sequence[Prior], initial: Any, nwalkers: int | None, ndim: int
) -> FloatArray:
    """Return points to try: the median of the priors, or the first of the initial walkers.

    They depend on nothing random: every rank has the same.

    Parameters
    ----------
    priors : sequence of Prior
        Of the sampled parameters; empty for none.
    initial : callable or ndarray
        The start, where there are no priors.
    nwalkers : int or None
        Of an ensemble, as the model has it.
    ndim : int
        Parameters.

    Returns
    -------
    ndarray (n, ndim)

    """
    rng = np.random.default_rng(0)
    if priors:
        medians = [float(p.frozen.median()) for p in priors]
        draws = [p.frozen.rvs(size=_PROBES, random_state=rng) for p in priors]
        return np.vstack([medians, np.transpose(draws)])
    if callable(initial):
        return call_initial(initial, nwalkers or default_nwalkers(ndim), ndim, rng)[:_PROBES]
    return np.atleast_2d(initial)[:_PROBES]
