"""Make the pictures of the pages in this folder, as SVG files beside it.

    python docs/explained/pictures.py [NAME ...]

needs `pip install '.[plot]'`. Nothing is drawn by hand: layouts are those that `pmcmc.make_plan`
returns, chains are emcee's, measured times those of tests/benchmarks/RESULTS.md.
"""

from __future__ import annotations

import heapq
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import emcee
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

import pmcmc
from drawing import BLACK, BLUE, COLOURS, GREY, ORANGE, PALE, STYLE, arrow, blank, box, new
from pmcmc.diagnostics import estimators
from pmcmc.sampler.moves import parse_moves

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "tests" / "benchmarks" / "RESULTS.md"


# ---- ensembles


def layouts() -> Figure:
    """Ranks in teams, and the ensembles of each team, of four shapes."""
    shapes: list[tuple[str, dict[str, Any]]] = [
        ("4 ranks, split: an ensemble a rank", {"size": 4, "mode": "split"}),
        ("4 ranks, pool: one ensemble", {"size": 4, "mode": "pool"}),
        ("4 ranks, 2 teams, 4 ensembles", {"size": 4, "teams": 2, "nensembles": 4}),
        ("8 ranks, auto: 4 ensembles", {"size": 8}),
    ]
    figure, grid = new(4.6, 2, 2)
    for axes, (title, options) in zip(grid.flat, shapes, strict=True):
        plan = pmcmc.make_plan(nwalkers=32, seconds=0.01, **options)
        size = options.pop("size")
        blank(axes, 8.4, 4.6)
        axes.set_title(title)
        step = 8.4 / size
        for team in plan.teams:
            left, width = team.ranks[0] * step, len(team.ranks) * step
            style = {"facecolor": PALE, "edgecolor": GREY, "zorder": 0.5}
            box(axes, left + 0.07, 0.1, width - 0.14, 4.2, **style)
            for rank in team.ranks:
                w = step - 0.36
                box(axes, rank * step + 0.18, 0.3, w, 0.9, str(rank), fontsize=10)
            centres = left + width * (np.arange(len(team.ensembles)) + 0.5) / len(team.ensembles)
            for e, x in zip(team.ensembles, centres, strict=True):
                axes.add_patch(Circle((x, 2.9), 0.62, facecolor=COLOURS[e], edgecolor=BLACK))
                axes.text(
                    x, 2.9, str(e), ha="center", va="center", fontweight="bold", color="white",
                    fontsize=11,
                    bbox={"boxstyle": "circle,pad=0.15", "facecolor": BLACK, "edgecolor": "none"},
                )  # fmt: skip
                for rank in team.ranks:
                    axes.plot(
                        [x, (rank + 0.5) * step], [2.25, 1.2], color=COLOURS[e], lw=1.3, zorder=0.9
                    )
    figure.supxlabel(
        "grey: a team   circles: its ensembles   boxes: its ranks, which evaluate for all of them",
        fontsize=9,
    )
    return figure


def share_out(nensembles: int, halves: int, seed: int = 1) -> list[tuple[int, int, float, float]]:
    """Return who evaluates what when, on 4 ranks: (rank, ensemble, begin, end).

    Each ensemble asks for 8 evaluations at a time, and goes on when all are there; whoever is
    free takes the next one of any ensemble. Their times are lognormal, sigma 0.7.
    """
    rng = np.random.default_rng(seed)
    free = [(0.0, rank) for rank in range(4)]
    heapq.heapify(free)
    ready = [(0.0, e, 0) for e in range(nensembles)]  # when, which, and its half-step
    heapq.heapify(ready)
    done, waiting = [], []  # waiting: since when, ensemble
    ends: dict[int, list[float]] = {}
    while ready or waiting:
        while ready and (not waiting or ready[0][0] <= free[0][0]):
            at, e, half = heapq.heappop(ready)
            waiting += [(at, e, half)] * 8
            ends[e] = []
        at, e, half = waiting.pop(0)
        since, rank = heapq.heappop(free)
        begin = max(at, since)
        end = begin + rng.lognormal(0, 0.7)
        heapq.heappush(free, (end, rank))
        done.append((rank, e, begin, end))
        ends[e].append(end)
        if len(ends[e]) == 8 and half + 1 < halves:
            heapq.heappush(ready, (max(ends[e]), e, half + 1))
    return done


def interleaving() -> Figure:
    """Four ranks of a team: with one ensemble they wait for its slowest walker, with two less."""
    figure, panels = new(4.2, 2, 1, sharex=True)
    until = 21.0
    for axes, count in zip(panels, (1, 2), strict=True):
        tasks = share_out(count, 40)
        used = sum(min(end, until) - begin for _, _, begin, end in tasks if begin < until)
        for rank, e, begin, end in tasks:
            if begin < until:
                axes.add_patch(
                    Rectangle(
                        (begin, rank - 0.4), end - begin, 0.8, facecolor=COLOURS[e],
                        edgecolor="white", lw=0.8,
                    )
                )  # fmt: skip
                if end - begin > 0.45 and (begin + end) / 2 < until - 0.2:
                    axes.text(
                        (begin + end) / 2, rank, str(e), ha="center", va="center", fontsize=9,
                        color=BLACK if e == 1 else "white",
                    )  # fmt: skip
        axes.set_facecolor(PALE)
        axes.set(xlim=(0, until), ylim=(3.5, -0.5), yticks=range(4), ylabel="rank")
        what = "one ensemble" if count == 1 else f"{count} ensembles"
        axes.set_title(f"{what}: {100 * used / (4 * until):.0f}% of the ranks' time is work")
    panels[-1].set_xlabel("time, in median evaluations")
    return figure


# ---- the same draws


def seeds() -> Figure:
    """From the seed to the streams of each ensemble."""
    figure, axes = new(3.5)
    blank(axes, 14, 7)
    box(axes, 0.2, 2.9, 2.2, 1.2, "--seed S", fontsize=11, fontweight="bold")
    for e, y in enumerate((5.2, 2.9, 0.6)):
        name = str(e) if e < 2 else "K-1"
        arrow(axes, (2.4, 3.5), (3.5, y + 0.6))
        box(
            axes, 3.5, y, 3.9, 1.2, f"SeedSequence(S,\nspawn_key=({name},))",
            facecolor="white", edgecolor=COLOURS[e], linewidth=2,
        )  # fmt: skip
        rows = (
            ("a", "PCG64: where walkers begin"),
            ("b", "MT19937: every step"),
            ("c", "PCG64: walkers redrawn"),
        )
        for k, (letter, text) in enumerate(rows):
            top = y + 1.05 - 0.73 * k
            arrow(axes, (7.4, y + 0.6), (8.3, top + 0.3), COLOURS[e])
            box(axes, 8.3, top, 5.5, 0.6, f"{letter}   {text}", edgecolor=COLOURS[e])
    axes.text(5.45, 2.25, "...", ha="center", fontsize=12)
    axes.text(5.45, 7.15, "ensembles 0 to K-1", ha="center")
    axes.text(11.05, 7.15, "random streams of each", ha="center")
    axes.set_ylim(-0.6, 7.6)
    return figure


# ---- commits


def commit() -> Figure:
    """A commit in five moments, and what the file holds at each."""
    moments = [
        ("before", 3, 3, "8", "7", 0, "8"),
        ("1 rows\nwritten", 5, 3, "8", "7", 0, "8"),
        ("2 flush,\nfsync", 5, 3, "8", "7", 0, "8"),
        ("3 record\nhalf written", 5, 3, "8", "...", 0, "8"),
        ("4 record\nwhole", 5, 5, "8", "9", 1, "9"),
    ]
    figure, axes = new(3.75)
    blank(axes, 14, 7.4)
    step = 2.35
    for k, (title, written, counted, first, second, trusted, number) in enumerate(moments):
        left = 2.25 + k * step
        axes.text(left + 0.95, 7.3, title, ha="center", va="top", fontsize=9, fontweight="bold")
        for row in range(7):
            colour = BLUE if row < counted else ORANGE if row < written else "white"
            axes.add_patch(
                Rectangle(
                    (left + 0.25, 5.75 - 0.32 * row), 1.4, 0.32, facecolor=colour,
                    edgecolor=GREY, lw=0.7, hatch="////" if colour == ORANGE else None,
                )
            )  # fmt: skip
        for slot, text in enumerate((first, second)):
            mine = slot == trusted
            box(
                axes, left + 0.05 + 0.93 * slot, 2.35, 0.85, 0.85, text,
                facecolor=BLUE if mine else ORANGE if text == "..." else "white",
                edgecolor=BLACK, fontsize=10,
            )  # fmt: skip
            if mine:
                axes.texts[-1].set_color("white")
        axes.text(
            left + 0.95,
            1.55,
            f"record {number},\n{counted} rows",
            ha="center",
            va="top",
            fontsize=9,
        )
        if k:
            axes.axvline(left - 0.22, 0.06, 0.99, color=GREY, lw=0.6, ls=":")
    for y, text in (
        (4.8, "rows of\nthe chain"),
        (2.78, "/state,\ntwo slots"),
        (1.2, "a reader\nsees"),
    ):
        axes.text(0.1, y, text, va="center", fontsize=9)
    axes.text(
        0.1, 0.1,
        "blue: committed   hatched: written, not counted yet   white: a hole, or an old record",
        fontsize=9,
    )  # fmt: skip
    return figure


# ---- convergence


def trapped() -> Figure:
    """Walkers trapped in a lower mode: their paths, and what two estimates of tau say."""
    rng, far, depth, few, nwalkers = np.random.default_rng(1), 30.0, 20.0, 4, 32

    def log_prob(x: Any) -> Any:
        first, second = x.copy(), x.copy()
        first[:, 0] -= far
        second[:, 0] += far
        return np.logaddexp(-0.5 * (first**2).sum(axis=1), -depth - 0.5 * (second**2).sum(axis=1))

    start = rng.normal(size=(nwalkers, 5))
    start[:, 0] += far
    start[:few, 0] -= 2 * far
    sampler = emcee.EnsembleSampler(
        nwalkers, 5, log_prob, vectorize=True, moves=parse_moves("auto")
    )
    sampler.random_state = np.random.RandomState(1).get_state()
    steps = 3000
    sampler.run_mcmc(start, steps)
    chain = sampler.get_chain()[:, :, 0]
    assert ((chain[-1] < 0) == (np.arange(nwalkers) < few)).all()
    figure, (left, right) = new(3.0, 1, 2, width_ratios=(1.25, 1))
    for walker in range(nwalkers):
        colour, width = (BLACK, 0.7) if walker < few else (BLUE, 0.3)
        left.plot(np.arange(0, 400), chain[:400, walker], color=colour, lw=width, alpha=0.8)
    left.axhline(chain.mean(), color=ORANGE, lw=2)
    left.text(200, chain.mean() - 2, "mean of the ensemble", ha="center", va="top", fontsize=9)
    left.text(200, 36, "28 walkers", ha="center", color=BLUE, fontsize=9)
    left.text(200, -24, "4 walkers, log_prob 20 below", ha="center", fontsize=9)
    left.set(xlabel="step", ylabel="x", ylim=(-36, 43), title="One of five parameters")
    counts = np.unique(np.geomspace(100, steps, 24).astype(int))
    usual = [n / emcee.autocorr.integrated_time(chain[:n], tol=0)[0] for n in counts]
    ours = [
        n / estimators.autocorrelation_time(estimators.normal_scores(chain[:n])) for n in counts
    ]
    right.loglog(counts, usual, "s-", ms=4, color=ORANGE, label="about each walker's mean")
    right.loglog(counts, ours, "o-", ms=4, color=BLUE, label="about the ensemble's mean")
    right.axhline(50, color=GREY, lw=1, ls="--")
    right.text(100, 54, "50 tau", va="bottom", fontsize=9, color=GREY)
    right.set(xlabel="steps", title="Length of the chain in tau")
    right.set_ylim(0.8, 9 * max(usual))
    right.legend(loc="upper left", frameon=False)
    plain_logs(right)
    print(f"trapped: at {counts[-1]} steps {usual[-1]:.0f} and {ours[-1]:.1f} tau")
    return figure


def plain_logs(axes: Axes) -> None:
    """Write 100 and not 10^2."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        axis.set_minor_formatter(mpl.ticker.NullFormatter())


# ---- performance

STARTING = 71  # evaluations in which each ensemble of predicted.py's model finds its start
SECONDS, FEWEST, WALKERS = 6.0, 10, 32  # as predicted.py chooses the steps


def efficiency() -> Figure:
    """Efficiency by ranks, predicted and measured: rows of the table in RESULTS.md."""
    pattern = r"^ +(\d+) +4 {10,}([\d.]+) +([01]) +([\d.]+) +([\d.]+) +[+-]"
    rows = [tuple(map(float, row)) for row in re.findall(pattern, RESULTS.read_text(), re.M)]
    figure, panels = new(3.2, 1, 2, sharey=True)
    titles = ("every evaluation alike", "uneven: lognormal, sigma 1")
    for axes, sigma, title in zip(panels, (0, 1), titles, strict=True):
        some = [row for row in rows if row[2] == sigma]
        ranks = np.array([row[0] for row in some])
        cost = np.array([row[1] for row in some]) / 1e3
        steps = np.maximum(FEWEST, np.round(SECONDS / (WALKERS * 4 * cost / ranks)))
        work = (WALKERS * 4 * steps + 4 * STARTING) * cost / ranks
        told, took = (work / np.array([row[k] for row in some]) for k in (3, 4))
        axes.plot(ranks, told, "s--", color=ORANGE, label="predicted", ms=6)
        axes.plot(ranks, took, "o-", color=BLUE, label="measured", ms=6)
        axes.set_xscale("log", base=2)
        axes.set(ylim=(0, 1.08), xlabel="ranks, and cost of an evaluation (ms)", title=title)
        ticks = [f"{n:g}\n({1e3 * c:g})" for n, c in zip(ranks, cost, strict=True)]
        axes.set_xticks(ranks, ticks)
        axes.minorticks_off()
        axes.grid(axis="y", color=PALE)
        print(f"efficiency, sigma {sigma}:", dict(zip(ranks, np.round(took, 2), strict=True)))
    panels[0].set_ylabel("share of time in log_prob")
    panels[0].legend(loc="lower left")
    return figure


# ---- many modes


def two_modes() -> Figure:
    """The walkers of one ensemble, and of four, on the posterior of examples/bimodal.py."""
    problem = pmcmc.Problem.load(str(HERE.parents[1] / "examples" / "bimodal.py"))
    figure, panels = new(3.4, 1, 2, sharex=True, sharey=True)
    for axes, count in zip(panels, (1, 4), strict=True):
        result = pmcmc.run(
            problem, nensembles=count, seed=1, burnin=500, nsteps=500 * count, progress=False,
            rescue=False,
        )  # fmt: skip
        chain = result.get_chain(thin=20)
        for e in range(count):
            axes.plot(
                chain[e, :, :, 0].ravel(), chain[e, :, :, 1].ravel(), "osv^"[e], ms=4, alpha=0.5,
                color=COLOURS[e], mew=0, label=f"ensemble {e}",
            )  # fmt: skip
        upper = (chain[:, -1, :, 0] > 0).sum(axis=1)  # walkers, of each ensemble
        walkers = [", ".join(map(str, n)) for n in (upper, 32 - upper)]
        for at, mass in (
            (6, f"2/3 of the mass\nwalkers: {walkers[0]}"),
            (-6, f"1/3 of the mass\nwalkers: {walkers[1]}"),
        ):
            axes.add_patch(Circle((at, at), 1.9, facecolor="none", edgecolor=GREY, ls="--"))
            axes.text(at, at - 2.3, mass, ha="center", va="top", fontsize=9, color=BLACK)
        axes.set(xlim=(-13, 13), ylim=(-13, 13), xlabel="x")
        axes.legend(loc="upper left", frameon=False)
    panels[0].set(ylabel="y", title="one ensemble: it says enough")
    panels[1].set_title("four: one is divided, and says so")
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {
    "layouts": layouts,
    "interleaving": interleaving,
    "seeds": seeds,
    "commit": commit,
    "trapped": trapped,
    "efficiency": efficiency,
    "two_modes": two_modes,
}


def main(names: Sequence[str]) -> None:
    """Make pictures, all or those that are named."""
    with mpl.rc_context(STYLE):
        for name in names or PICTURES:
            figure = PICTURES[name]()
            figure.savefig(HERE / f"{name}.svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main(sys.argv[1:])
