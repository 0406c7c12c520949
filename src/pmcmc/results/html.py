"""Pieces of HTML: tables, pictures, the verdict; for the report and for notebooks."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .._version import __version__
from ..diagnostics.table import Row, tau_text, text_within
from ..diagnostics.verdict import Verdict
from ..errors import PmcmcError
from ..option_words import in_python

MADE_BY = f"pmcmc {__version__}"  # stands in what is written here
_FIGURES = ("mean", "sd", "q16", "q50", "q84", "tau", "ess_bulk", "ess_tail", "r_hat", "mcse")
_HEADS = ("", "mean", "sd", "16%", "50%", "84%", "tau", "ess (mean)", "ess (tails)")
_SHOWN = 30  # parameters in a notebook's table
_THUMBNAIL = 4  # parameters of the corner there


def escape(text: str) -> str:
    """Return text as HTML shows it."""
    return html.escape(text)


def png(figure: Any, dpi: float = 110) -> bytes:
    """Return a matplotlib figure as a PNG."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=dpi, metadata={"Software": MADE_BY})
    return data.getvalue()


def pdf(figure: Any) -> bytes:
    """Return a matplotlib figure as a PDF."""
    data = io.BytesIO()
    figure.savefig(data, format="pdf", metadata={"Creator": MADE_BY, "CreationDate": None})
    return data.getvalue()


def image(data: bytes, caption: str) -> str:
    """Return a PNG within the page."""
    text = base64.b64encode(data).decode()
    return f'<img alt="{escape(caption)}" src="data:image/png;base64,{text}">'


def table(heads: Sequence[str], lines: Iterable[Sequence[str]], escaped: bool = False) -> str:
    """Return a table; ``escaped`` where the cells are HTML already."""

    def row(cells: Sequence[str]) -> str:
        texts = (c if escaped else escape(c) for c in cells)
        return "<tr>" + "".join(f"<td>{c}</td>" for c in texts) + "</tr>"

    # a cell without a text heads nothing; and what scrolls can be reached by the keyboard
    head = "".join(f'<th scope="col">{escape(h)}</th>' if h else "<td></td>" for h in heads)
    body = "".join(map(row, lines))
    return f'<div class="scroll" tabindex="0"><table><tr>{head}</tr>{body}</table></div>'


def parameters_table(rows: Sequence[Row], derived: Sequence[Row] = ()) -> str:
    """Return the figures of parameters, and of derived ones, as a table."""
    lines = [
        [row.name, *(_number(getattr(row, name), name, row.sd) for name in _FIGURES)]
        for row in (*rows, *derived)
    ]
    if derived:
        lines.insert(len(rows), ["derived:", *[""] * len(_FIGURES)])
    return table((*_HEADS, *_FIGURES[-2:]), lines)


def fixed_line(fixed: Mapping[str, float]) -> str:
    """Return a paragraph on parameters that were not sampled; empty without."""
    text = ", ".join(f"{name} = {value:.10g}" for name, value in fixed.items())
    return f"<p>fixed: {escape(text)}</p>" if fixed else ""


def _number(value: float, name: str, sd: float) -> str:
    if not np.isfinite(value):
        return "-"
    if name.startswith("ess"):
        return f"{value:.0f}"
    if name in ("tau", "mcse"):
        return tau_text(value) if name == "tau" else f"{value:.2g}"
    return f"{value:.3f}" if name == "r_hat" else text_within(value, sd)


def verdict_box(verdict: Verdict) -> str:
    """Return the verdict, green or not."""
    kind = "enough" if verdict.enough else "short"
    lines = "".join(f"<p>{escape(line)}</p>" for line in verdict.lines)
    return f'<div class="verdict {kind}">{lines}</div>'


def result_html(result: Any) -> str:
    """Return a result as a notebook shows it: table, verdict, and a corner where it can be drawn.

    Parameters
    ----------
    result : Result
        The draws.

    Returns
    -------
    str

    """
    head = f"<p><b>{escape(result.problem)}</b>: {escape(result.in_short())}</p>"
    if not result.ndraws:
        return head
    summary = result.summary()
    verdict = result.assess(summary)
    colour = "#2a7" if verdict.enough else "#d80"
    lines = "<br>".join(escape(in_python(line)) for line in verdict.lines)
    rows, derived = summary.rows[:_SHOWN], summary.derived[: max(0, _SHOWN - len(summary.rows))]
    more = len(summary.rows) + len(summary.derived) - len(rows) - len(derived)
    left_out = f"<p>... and {more} more parameters</p>" if more > 0 else ""
    return (
        head
        + parameters_table(rows, derived)
        + fixed_line(summary.fixed)
        + left_out
        + f'<p style="border-left: .4rem solid {colour}; padding-left: .7rem">{lines}</p>'
        + _thumbnail(result)
    )


def _thumbnail(result: Any) -> str:
    try:
        figure = result.plot_corner(result.names[:_THUMBNAIL])
    except PmcmcError:  # matplotlib is not there
        return ""
    return image(png(figure, 40), "Marginal distributions")
