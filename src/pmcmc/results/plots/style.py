"""What all plots have in common: colors, axes one above the other, names that fit."""

from __future__ import annotations

import textwrap
from typing import Any

# of Okabe and Ito (2008), which colour-blind readers tell apart; the lightest comes last
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#F0E442")
APART = "black"  # walkers that are trapped
TRUTH = "#D55E00"
PAGE = 12  # axes one above the other
_LONG = 16  # characters of a name on one line


def color(ensemble: int) -> str:
    """Return the color of an ensemble, or of a run among several."""
    return COLORS[ensemble % len(COLORS)]


def rows(n: int, label: str) -> tuple[Any, Any]:
    """Return a figure and its axes, one above the other, with a label below the last."""
    from matplotlib.figure import Figure

    height = 1.0 + 1.7 * max(n, 1.6)
    figure = Figure(figsize=(8, height))  # a layout that is worked out takes as long as to draw
    axes = figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(0.14, 0.55 / height, 0.98, 1 - 0.35 / height, hspace=0.12)
    figure.align_ylabels(axes)
    axes[-1].set_xlabel(label)
    return figure, axes


def folded(label: str) -> str:
    """Return a long name on several lines; mathematics stays as it is."""
    if len(label) <= _LONG or label.replace(r"\$", "").count("$") > 0:
        return label
    parts = label.replace("_", "_\0").replace("[", "\0[").split("\0")
    lines = [""]
    for part in parts:
        if lines[-1] and len(lines[-1]) + len(part) > _LONG:
            lines.append("")
        lines[-1] += part
    pieces = (piece for line in lines for piece in textwrap.wrap(line, 2 * _LONG) or [line])
    return "\n".join(pieces)


def in_legend(label: str) -> str:
    """Return a label that matplotlib does not leave out, as it does where it begins with _."""
    return f" {label}" if label.startswith("_") else label
