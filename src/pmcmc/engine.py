"""A run from start to end: set up alike on every rank, sample in teams, commit on rank 0."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import comm as comm_module
from .control import Control
from .deadline import Deadline
from .errors import UsageError
from .lead import Lead
from .moves import Moves
from .options import check
from .output import Output
from .problem import Problem
from .result import Result
from .session import Session
from .setup import Setup, agree, choose_moves, share
from .signals import Watch
from .talk import Talk

ALREADY = "already"  # the reason of an outcome where there was nothing to do


@dataclass(frozen=True)
class Outcome:
    """How a run ended, the same on every rank.

    ``status`` is "finished", "short" (of its stop rule), "stopped" (``reason`` says by what) or
    "planned" after a dry run.
    """

    status: str
    result: Result | None = None
    reason: str = ""


def run(problem: Problem | None, comm: Any = None, **options: Any) -> Result | None:
    """Sample ``problem``; collective: every rank calls it, with its own Problem.

    Parameters
    ----------
    problem : Problem or None
        Where it is None, rank 0's is sent there, once, by dill.
    comm : MPI communicator, optional
        The ranks to use (default: all).
    **options
        The options of the command line, `-` as `_`: nsteps, burnin, nwalkers, nensembles, mode,
        teams, schedule, seed, moves, thin_by, until_ess, until_rhat, checkpoint, max_time, output,
        resume, overwrite, break_lock, progress. Without ``output`` the draws stay in memory.

    Returns
    -------
    Result or None
        With an output, on every rank; without, the draws on rank 0 and None elsewhere. After a
        signal or ``max_time`` its ``status`` is "stopped"; None if that came before the first
        commit.

    Raises
    ------
    PmcmcError
        On every rank, whichever failed.

    """
    found = check(options)
    if found.get("dry_run"):
        raise UsageError("dry_run is for the command line; in Python, see pmcmc.make_plan")
    if problem is not None and not isinstance(problem, Problem):
        raise UsageError(
            f"expected a pmcmc.Problem, got {type(problem).__name__}: wrap a function as "
            'pmcmc.Problem(log_prob, parameters=["a", "b"], initial=p0)'
        )
    ranks = comm_module.world() if comm is None else comm
    comm_module.limit_threads(ranks.Get_size(), ranks.Get_rank())
    talk = Talk(on=False, progress=found.get("progress", False), rank=ranks.Get_rank())
    return execute(lambda: problem, found, ranks, talk).result


def execute(
    load: Callable[[], Problem | None],
    found: Mapping[str, Any],
    ranks: Any,
    talk: Talk,
    watch: Watch | None = None,
) -> Outcome:
    """Run with options that were checked; ``load`` gives each rank its Problem."""
    began, output = time.time(), Output()
    control = Control(ranks)
    caught = watch or Watch()
    with caught if watch is None else contextlib.nullcontext():
        try:
            caught.listen()
            problem = share(load(), control)
            setup = agree(problem, found, control, output, caught)
            for remark in setup.remarks:
                talk.warn(remark)
            shared = any(len(t.ranks) > 1 for t in setup.plan.teams)
            if shared and setup.options["schedule"] != "static" and not comm_module.any_thread():
                talk.remark(comm_module.ROOT_ONLY_DISPATCHES)
            talk.intend(problem, setup)
            if setup.options["dry_run"]:
                outcome = Outcome("planned")
            else:
                moves = choose_moves(problem, setup.options)
                outcome = _work(problem, setup, moves, control, talk, caught, output, began)
        except BaseException as exc:
            talk.stop()
            output.release()
            control.end(exc)
        output.release()
        control.close()
    return outcome


def _none(_: Any) -> None:
    """Do nothing with what all ranks tell."""


def _work(
    problem: Problem,
    setup: Setup,
    moves: Moves,
    control: Control,
    talk: Talk,
    watch: Watch,
    output: Output,
    began: float,
) -> Outcome:
    """Do this rank's part of the sampling, and return what it came to."""
    lead = None
    if control.rank == 0:
        lead = Lead(setup, control, talk, output, Deadline(setup.options["max_time"], began))
    if setup.finished:
        status = control.exchange(None, lambda _: lead.finish() if lead is not None else "")
        reason = ALREADY
    else:
        session = Session(problem, setup, moves, control, watch, lead)
        status, reason = session.work()
        control.exchange(
            session.clock.read(), lead.store.time if lead and lead.store.created else _none
        )
    talk.stop()
    path = setup.options["output"]
    if path is not None:
        result = Result.open(Path(path)) if Path(path).exists() else None
    else:
        result = Result(lead.store.read()) if lead is not None and lead.store.created else None
    return Outcome(status, result, reason)
