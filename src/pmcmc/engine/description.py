"""What a run says at its start: ranks, ensembles, moves, seed, file and cost, a line each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .._version import __version__
from ..sampler.moves import AUTO
from ..sampler.search import search_evaluations
from ..text import count_text, duration_text, some_text

if TYPE_CHECKING:
    from ..model.problem import Problem
    from ..prepare.setup import Setup

_PRIORS = 40  # that a dry run tells of


def describe(problem: Problem, setup: Setup, total: int | None) -> Iterator[str]:
    """Say what a run will do.

    Parameters
    ----------
    problem : Problem
        For its names and moves.
    setup : Setup
        What rank 0 decided.
    total : int or None
        Steps of all ensembles, burn-in included; None while nobody knows.

    Yields
    ------
    str
        Lines.

    """
    plan, header, options = setup.plan, setup.header, setup.options
    hosts = count_text(setup.hosts, "host")
    yield f"pmcmc {__version__}: {problem.name}, {_names(problem.names)}"
    if options.dry_run:  # scipy's width of a uniform prior is easily taken for its upper bound
        priors = list(zip(problem.names, problem.priors, problem.bounds(), strict=False))
        for name, prior, ends in priors[:_PRIORS]:
            yield f"  {'prior':<10} {name}: {prior.describe()}{_range(*ends)}"
        if more := len(priors[_PRIORS:]):
            yield f"  {'prior':<10} ... and {more} more"
    for label, text in plan.describe():
        yield f"  {label:<10} {text}" + (f", on {hosts}" if label == "ranks" else "")
    moves = options.moves or ("auto" if problem.moves is None else "those of the model")
    if moves == "auto":
        moves = f"auto: {AUTO}"
    drawn = f"  (drawn; --seed {header.seed} gives these draws again)" if setup.drawn else ""
    yield f"  {'moves':<10} {moves}"
    yield f"  {'seed':<10} {header.seed}{drawn}"
    before = ""
    if setup.steps:
        of = "" if total is None else f" of {total}"
        before = f", which has {setup.steps}{of} steps, burn-in included"
    elif options.resume:
        before = ", with no steps yet: the run begins"
    yield f"  {'file':<10} {options.output or 'none: the draws stay in memory'}{before}"
    yield f"  {'cost':<10} {_cost(setup, problem.vectorized)}"
    first, wide = search_evaluations(problem, plan.nwalkers)
    if not setup.steps and first:
        yield f"  {'start':<10} {_search_text(first, wide, setup, problem.vectorized)}"


def _names(names: tuple[str, ...]) -> str:
    return f"{count_text(len(names), 'parameter')} ({some_text(names, 6)})"


def _range(low: float | None, high: float | None) -> str:
    """Say between which values a prior is not zero."""
    above = "" if low is None else f" from {low:.6g}"
    below = "" if high is None else f" to {high:.6g}"
    return f",{above}{below}" if above or below else ""


def _cost(setup: Setup, vectorized: bool) -> str:
    """Say what log_prob costs, and all of its evaluations, or those of 1000 steps."""
    plan, evaluations = setup.plan, setup.plan.evaluations()
    of = " for one row" if vectorized else ""
    took = f"log_prob took {duration_text(setup.seconds)}{of} in a first try"
    if evaluations is None:
        evaluations = 1000 * plan.nwalkers * plan.nensembles
        took += "; 1000 steps are"
    else:
        evaluations -= setup.steps * plan.nwalkers
        took += ";"
    work = evaluations * setup.seconds / plan.evaluations_at_once
    about = f", about {duration_text(work)} of work per rank" if work > 5 else ""
    if vectorized:  # what a batch costs is not known
        about = f", in batches of {plan.nwalkers // 2} at most"
    return f"{took} {evaluations} evaluations{about}"


def _search_text(first: int, wide: int, setup: Setup, vectorized: bool) -> str:
    """Say what the search for a start costs."""
    each = setup.seconds * setup.plan.nensembles / setup.plan.evaluations_at_once
    each = 0.0 if vectorized else each
    told = [
        f"{evaluations}" + (f" ({duration_text(evaluations * each)})" if each > 1e-3 else "")
        for evaluations in (first, wide)
    ]
    return (
        f"each ensemble searches for the maximum first: about {told[0]} evaluations; up to "
        f"{told[1]} more where the searches disagree"
    )
