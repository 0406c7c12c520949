"""A paragraph on how a posterior was sampled, to be pasted into a paper."""

from __future__ import annotations

import math
import re
import textwrap

import numpy as np

from ..diagnostics.summary import Summary
from ..text import count_text, span_text
from .result import Result

_WIDTH = 80
_MOVE = re.compile(r"(\w+)\(.*\): ([\d.e+-]+)")
# what papers call emcee's moves, and where each is from
_STRETCH = (
    "affine-invariant ensembles: Goodman and Weare 2010, CAMCoS 5, 65, "
    "doi:10.2140/camcos.2010.5.65"
)
_DE = (
    "differential evolution: ter Braak 2006, Statistics and Computing 16, 239, "
    "doi:10.1007/s11222-006-8769-1"
)
_SNOOKER = (
    "its snooker update: ter Braak and Vrugt 2008, Statistics and Computing 18, 435, "
    "doi:10.1007/s11222-008-9104-9"
)
_NAMES = {
    "StretchMove": ("stretch", _STRETCH),
    "WalkMove": ("walk", _STRETCH),
    "DEMove": ("differential evolution", _DE),
    "SnookerMove": ("snooker", _SNOOKER),
    "DESnookerMove": ("snooker", _SNOOKER),
    "KDEMove": ("kernel density estimate", None),
    "GaussianMove": ("Metropolis", None),
}
_EMCEE = "emcee: Foreman-Mackey et al. 2013, PASP 125, 306, doi:10.1086/670067"
_FIGURES = (
    "R-hat and effective sample size: Vehtari et al. 2021, Bayesian Analysis 16, 667, "
    "doi:10.1214/20-BA1221"
)


def methods_text(result: Result, summary: Summary, enough: bool) -> str:
    """Return what was done, with figures and citations; of what is not enough it says so.

    Parameters
    ----------
    result : Result
        The run.
    summary : Summary
        Of its draws.
    enough : bool
        The verdict.

    """
    header = result.reader.header
    given = map(str, header.settings.get("moves", []))
    named = [_named(move) for move in given]
    moves = ", ".join(move for move, _ in named) or "stretch"
    origins = [source for _, source in named if source] if named else [_STRETCH]
    taus = [float(np.mean(times)) for times in summary.rank_taus[: result.ndim + 1]]
    ess = [row.ess for row in summary.rows if math.isfinite(row.ess)]
    r_hats = [row.r_hat for row in summary.rows if math.isfinite(row.r_hat)]
    figures = [f"autocorrelation times of at most {max(taus):.0f} steps"]
    figures += [f"effective sample sizes of at least {min(ess):.0f}"] if ess else []
    figures += [f"rank-normalised split R-hat of at most {max(r_hats):.3f}"] if r_hats else []
    fixed = f" (and {len(result.fixed)} fixed)" if result.fixed else ""
    text = (
        f"We sampled the posterior of {count_text(result.ndim, 'parameter')}{fixed} with the "
        f"ensemble sampler emcee (Foreman-Mackey et al. 2013), run by pmcmc {result.version}: "
        f"{count_text(result.nensembles, 'independent ensemble')} of {result.nwalkers} walkers "
        f"with the proposal moves {moves}. After {result.burnin} steps of burn-in, which were "
        f"left out, each ensemble took {span_text(result.steps)} steps"
        + (f", of which every {result.thin_by} were kept as one" if result.thin_by > 1 else "")
        + f", {result.ndraws} draws in all (seed {result.seed}). The draws have "
        f"{', '.join(figures[:-1])}{' and ' if len(figures) > 1 else ''}{figures[-1]} (Vehtari et "
        "al. 2021)."
    )
    if not enough:
        text += " NOT ENOUGH by pmcmc's criteria: see the verdict before you cite these figures."
    sources = [
        line
        for source in dict.fromkeys([_EMCEE, *origins, _FIGURES])
        for line in textwrap.wrap(source, _WIDTH, subsequent_indent="  ")
    ]
    return "\n".join([*textwrap.wrap(text, _WIDTH), "", *sources])


def _named(move: str) -> tuple[str, str | None]:
    """Return a move's name in papers, with its share of the steps, and its source."""
    found = _MOVE.fullmatch(move)
    if not found:
        return move, None
    kind = found[1].removeprefix("Periodic")  # differences are the short way round: the same move
    name, source = _NAMES.get(kind, (kind, None))
    return f"{name} ({float(found[2]):.0%})", source
