"""What to do where draws are not enough. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .summary import Summary

_NESTED = "a sampler made for that, as the nested samplers dynesty and UltraNest are"
_MARGIN, _SHORT_MARGIN = 1.2, 4.0  # of the steps that are advised; and over the length in tau


@dataclass(frozen=True)
class Continuation:
    """How a run can go on.

    Attributes
    ----------
    resumable : bool
        Whether the draws are in a file. Default: True.
    open_ended : bool
        Whether the run goes on until there are enough. Default: False.
    at_most : bool
        Whether it has ended, with the most steps that such a run takes. Default: False.
    rescued : bool
        Whether trapped walkers were redrawn at the end of burn-in. Default: False.
    thin, left_out : int
        The draws are those of every so many-th kept step, and of so many less. Default: all.

    """

    resumable: bool = True
    open_ended: bool = False
    at_most: bool = False
    rescued: bool = False
    thin: int = 1
    left_out: int = 0


def run_longer(summary: Summary, factor: float, how: Continuation) -> str:
    """Return how to go on with a run that is only too short.

    Parameters
    ----------
    summary : Summary
        Of the draws.
    factor : float
        How many times the steps would be enough, as the figures have it.
    how : Continuation
        Of the run.

    Returns
    -------
    str
        A line of the verdict. The number of steps in it has a margin: a tau that comes from few of
        them is found too short. That suffices in 9 of 10 cases (tests/statistics/test_advice.py).

    """
    taus = [float(np.mean(times)) for times in summary.rank_taus if len(times)]
    length = summary.steps / max(taus) if taus and max(taus) > 0 else 0.0
    margin = _MARGIN + _SHORT_MARGIN / max(length, 1.0)
    steps = summary.nsteps * max(margin * factor, 1.2) * how.thin + how.left_out
    digits = 10 ** max(0, math.floor(math.log10(steps)) - 1)
    target = math.ceil(round(steps / digits, 6)) * digits
    if how.open_ended and not how.at_most:
        goes_on = "the same command with --resume" if how.resumable else "with more time it"
    elif how.at_most:
        option = f"--resume --nsteps {target}" if how.resumable else f"nsteps={target}"
        return f"what to do: run longer, the same command with {option}"
    elif how.resumable:
        goes_on = "the same command with --resume --nsteps auto"
    else:
        goes_on = 'with nsteps="auto" it'
    return (
        f"what to do: run longer, {goes_on} goes on until there are enough, about {target} steps "
        "in all"
    )


def begin_elsewhere(summary: Summary, how: Continuation) -> list[str]:
    """Return what helps where walkers or ensembles do not mix; running longer does not.

    Parameters
    ----------
    summary : Summary
        Of the draws.
    how : Continuation
        Of the run.

    Returns
    -------
    list of str
        Lines of the verdict; none where all mix.

    """
    alike = [division.alike for division in summary.divisions]
    if summary.separation is not None:
        alike.append(summary.separation.alike)
    if not alike:
        return []
    if all(alike):
        return [
            "what to do: the posterior has modes that walkers do not cross between, and the share "
            "of walkers in each does not tell its mass. Other --moves may cross "
            f"(de:0.8,desnooker:0.2); else use {_NESTED}"
        ]
    known = [ensemble for ensemble in summary.ensembles if not math.isnan(ensemble.best)]
    best = max(known, key=lambda ensemble: ensemble.best)
    point = ", ".join(f"{x:.10g}" for x in best.best_draw)
    rescue = "" if how.rescued or not summary.divisions else ", or with --rescue"
    return [
        "what to do: running longer will not help. Begin again round the best point found, "
        f"with initial = [{point}] (log_prob {best.best:.6g}){rescue}, or try other --moves; "
        f"where several modes have mass use {_NESTED}"
    ]
