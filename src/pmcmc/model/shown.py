"""A problem as it is shown: in a line, and in a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from .parameters import Parameters


def start_text(initial: Any) -> str:
    """Return where walkers begin, in words; ``initial`` as a Problem has it."""
    if isinstance(initial, str):
        return {"map": "a search for the maximum", "prior": "the priors"}[initial]
    if callable(initial):
        return "a function"
    return "given walkers" if np.ndim(initial) == 2 else "a ball round a point"


def problem_text(name: str, names: Sequence[str], initial: Any, vectorized: bool) -> str:
    """Return a problem's name and parameters, in a line."""
    n = len(names)
    shown = ", ".join(names[:6]) + (", ..." if n > 6 else "")
    more = ", vectorized" if vectorized else ""
    return (
        f"<pmcmc.Problem {name}: {n} parameter{'s' * (n != 1)} ({shown}), start "
        f"{start_text(initial)}{more}>"
    )


def problem_html(name: str, parameters: Parameters, initial: Any) -> str:
    """Return a table of a problem's parameters, with their priors and the point of the start."""
    names = parameters.names
    columns = {"parameter": names}
    if parameters.priors:
        columns["prior"] = tuple(str(prior.describe()) for prior in parameters.priors)
    if not callable(initial) and np.shape(initial) == (len(names),):
        columns["start"] = tuple(f"{value:.6g}" for value in np.asarray(initial))
    heads = "".join(f"<th>{column}</th>" for column in columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
        for cells in zip(*columns.values(), strict=True)
    )
    fixed = ", ".join(f"{name} = {value:g}" for name, value in parameters.fixed.items())
    return (
        f"<p><b>{html.escape(name)}</b>, start: {start_text(initial)}</p><table><tr>"
        f"{heads}</tr>{rows}</table>{f'<p>fixed: {html.escape(fixed)}</p>' if fixed else ''}"
    )
