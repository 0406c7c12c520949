"""What the pictures share: colours, sizes, boxes and arrows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

# of Okabe & Ito: told apart by colour-blind readers
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
GREY, PALE, BLACK = "#767676", "#e8e8e8", "#1a1a1a"
WIDTH = 7.0  # inches: no wider than the page, so that 10 points are 10 points
STYLE = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "pmcmc",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def new(height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Return a figure, and its axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


def blank(axes: Axes, width: float, height: float) -> None:
    """Make axes a sheet of paper."""
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axes.axis("off")


def box(axes: Axes, x: float, y: float, w: float, h: float, text: str = "", **style: Any) -> None:
    """Draw a box with a text in it."""
    style = {"facecolor": "white", "edgecolor": BLACK, "linewidth": 1.0} | style
    size, weight = style.pop("fontsize", 9), style.pop("fontweight", "normal")
    shape = "round,pad=0,rounding_size=0.08"
    axes.add_patch(FancyBboxPatch((x, y), w, h, boxstyle=shape, **style))
    axes.text(
        x + w / 2, y + h / 2, text, ha="center", va="center", fontsize=size, fontweight=weight
    )


def arrow(axes: Axes, start: Sequence[float], end: Sequence[float], colour: str = BLACK) -> None:
    """Draw an arrow."""
    axes.add_patch(
        FancyArrowPatch(
            tuple(start), tuple(end), arrowstyle="-|>", mutation_scale=12, color=colour, lw=1.2
        )
    )
