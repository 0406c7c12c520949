"""What a run takes of the options, and what of the model: moves, walkers, what its file tells."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..model.problem import Problem
from ..model.walkers import default_nwalkers
from ..options import RunOptions
from ..sampler.moves import Moves, check_moves, describe_moves, fewest_walkers, parse_moves
from ..sampler.periodic import on_circles
from .plan import Plan

_LONGEST_SOURCE = 2**18  # characters of a model that the file keeps


def choose_moves(problem: Problem, options: RunOptions) -> Moves:
    """Return the moves: the option's, else the model's, else auto.

    Parameters
    ----------
    problem : Problem
        With the model's.
    options : RunOptions
        With the option.

    Returns
    -------
    list of (move, float)
        emcee moves with their weights.

    Raises
    ------
    UsageError
        If they are not moves.

    """
    given = options.moves if options.moves is not None else problem.moves
    if given is None:
        given = "auto"
    moves = parse_moves(given) if isinstance(given, str) else check_moves(given)
    return on_circles(moves, problem.parameters.circles)


def emcee_moves(problem: Problem, moves: Any = None) -> Moves:
    """Return what emcee takes as ``moves`` to make the draws of a run again.

    Parameters
    ----------
    problem : Problem
        With moves of its own where it has some, and parameters that are periodic.
    moves : str, emcee move, or list of moves or (move, weight) pairs, optional
        As given to `pmcmc.run`. Default: the problem's, else "auto".

    Returns
    -------
    list of (move, float)
        emcee moves with their weights.

    Raises
    ------
    UsageError
        If they are not moves.

    """
    return choose_moves(problem, RunOptions(moves=moves))


def choose_nwalkers(problem: Problem, options: RunOptions, moves: Moves) -> int:
    """Return the walkers of an ensemble: the option's, the model's, or the default.

    Raises
    ------
    UsageError
        If they are too few for a move, odd, or not those of the start.

    """
    nwalkers = int(options.nwalkers or problem.nwalkers or default_nwalkers(problem.ndim))
    least, why = fewest_walkers(moves, problem.ndim)
    if nwalkers < least:
        raise UsageError(
            f"nwalkers is {nwalkers}; {why} needs at least {least} for {problem.ndim} parameters: "
            f"use --nwalkers {least} or more"
        )
    if nwalkers % 2:
        raise UsageError(f"nwalkers is {nwalkers}; expected an even number: {nwalkers + 1}?")
    own = options.initial is None
    if own and getattr(problem.initial, "ndim", 0) == 2 and len(problem.initial) != nwalkers:
        raise UsageError(
            f"nwalkers is {nwalkers}, but initial has {len(problem.initial)} walkers: leave "
            "nwalkers out, or make them agree"
        )
    return nwalkers


def check_rules(options: RunOptions, plan: Plan) -> None:
    """Refuse an R-hat that is asked for of one ensemble.

    Raises
    ------
    UsageError
        If so.

    """
    if options.until_rhat is not None and plan.nensembles == 1:
        raise UsageError(
            f"until_rhat is {options.until_rhat}, and there is one ensemble: R-hat compares "
            "ensembles; use --nensembles 2 or more, or --until-ess alone"
        )


def config_of(options: RunOptions, moves: Moves, **known: Any) -> dict[str, Any]:
    """Return the options as JSON can hold them."""
    config = vars(options) | {"rescue": options.rescues} | known
    if not isinstance(options.moves, str | None):
        config["moves"] = "; ".join(describe_moves(moves))
    return config


def origin_of(problem: Problem, size: int) -> dict[str, str]:
    """Return what there is to tell of how the run was started."""
    command = [Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]] if sys.orig_argv else []
    source = problem.source_text()[:_LONGEST_SOURCE]
    about = {"command": shlex.join(command), "ranks": str(size), "model": source}
    return about | ({"path": problem.path} if problem.path else {})
