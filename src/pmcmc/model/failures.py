"""What is said where log_prob fails: which rank, at which parameters, in which line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import forks
from ..errors import EvaluationError
from ..tracebacks import traceback_text
from .outputs import BadOutput

if TYPE_CHECKING:
    from .._types import FloatArray


def by_name(names: tuple[str, ...], theta: FloatArray) -> dict[str, float]:
    """Return the value of each parameter."""
    return dict(zip(names, map(float, theta), strict=True))


def at_text(names: tuple[str, ...], theta: FloatArray) -> str:
    """Return the parameters by name, ``  at m = 1.0, b = 2.0``."""
    values = ", ".join(f"{name} = {value!r}" for name, value in by_name(names, theta).items())
    return f"  at {values}"


def bad_output(
    exc: BadOutput, names: tuple[str, ...], coords: FloatArray, where: str
) -> EvaluationError:
    """Return the error for a result that cannot be used.

    Parameters
    ----------
    exc : BadOutput
        What is wrong, and in which row.
    names : tuple of str
        Of the parameters.
    coords : ndarray (n, ndim)
        The rows.
    where : str
        Rank and host.

    """
    theta = coords[exc.row]
    text = f"log_prob returned {exc.what}{where}\n{at_text(names, theta)}"
    text += f"\n  {exc.hint}" if exc.hint else ""
    return EvaluationError(text, parameters=by_name(names, theta))


def raised(
    exc: BaseException, names: tuple[str, ...], theta: FloatArray, where: str
) -> EvaluationError:
    """Return the error for what log_prob raised; a forked child of the model's ends here.

    Parameters
    ----------
    exc : BaseException
        What it raised.
    names : tuple of str
        Of the parameters.
    theta : ndarray (ndim,) or (n, ndim)
        Where; the rows of a vectorized call.
    where : str
        Rank and host.

    """
    if isinstance(exc, BadOutput):
        return bad_output(exc, names, np.atleast_2d(theta), where)
    if forks.in_child():
        forks.leave(exc)
    lines = traceback_text(exc)
    if isinstance(exc, SystemExit):
        what = f"called sys.exit({exc.code!r})"
    else:
        what = f"raised {type(exc).__name__}: {exc}"
    if isinstance(exc, TypeError) and lines.startswith("TypeError"):  # the call itself
        lines += (
            "\n  it is called with theta, and args and kwargs where the model has them: "
            "args = (x, y, yerr)"
        )
    if theta.ndim == 2 and len(theta) == 1:
        theta = theta[0]
    if theta.ndim == 1:
        at, parameters = at_text(names, theta), by_name(names, theta)
    else:
        at, parameters = f"  in a batch of {len(theta)} rows", None
    return EvaluationError(f"log_prob {what}{where}\n{at}\n{lines}", parameters=parameters)
