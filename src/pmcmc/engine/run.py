"""A run from start to end: set up alike on every rank, sample in teams, commit on rank 0."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Never

from .. import forks, streams
from ..errors import ExitStatus, UsageError
from ..model.calls import named_call
from ..model.problem import Problem
from ..model.surroundings import Surroundings
from ..mpi import startup as comm_module
from ..mpi.control import ControlChannel
from ..mpi.guard import ExitGuard
from ..mpi.held import refuse_held
from ..options import OPTIONS, check
from ..prepare.output import OutputClaim
from ..prepare.setup import Setup, agree, choose_moves, share
from ..results.result import Result
from ..sampler.moves import Moves
from ..signals import SignalWatch
from ..text import announced, some_text
from .coordinator import Coordinator
from .deadline import Deadline
from .messages import Finished
from .progress import ProgressReporter
from .rank_loop import RankLoop
from .state import RunState

if TYPE_CHECKING:
    from emcee.moves import Move

    from .._types import Comm

ALREADY = "already"  # the reason of an outcome where there was nothing to do


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes
    ----------
    status : str
        "finished", "short" (of its stop rule), "stopped", or "planned" after a dry run.
    result : Result or None
        As ``run`` returns it.
    reason : str
        What stopped it; or ``ALREADY`` where there was nothing to do.
    shortfall : str
        On rank 0: what the draws of a run that is short lack.

    """

    status: str
    result: Result | None = None
    reason: str = ""
    shortfall: str = ""


def run(
    problem: Problem | None,
    comm: Comm | None = None,
    *,
    output: str | Path | None = None,
    nsteps: int | Literal["auto"] | None = None,
    burnin: int | Literal["auto"] | None = None,
    rescue: bool | None = None,
    nwalkers: int | None = None,
    nensembles: int | None = None,
    mode: Literal["auto", "split", "pool"] | None = None,
    teams: int | None = None,
    schedule: Literal["auto", "static", "demand"] | None = None,
    seed: int | None = None,
    moves: str | Sequence[Any] | Move | None = None,
    thin_by: int | None = None,
    until_ess: float | None = None,
    until_rhat: float | None = None,
    checkpoint: float | None = None,
    max_time: float | str | None = None,
    stop_grace: float | str | None = None,
    resume: bool | None = None,
    no_verify: bool | None = None,
    overwrite: bool | None = None,
    break_lock: bool | None = None,
    progress: bool | None = None,
    **unknown: Never,
) -> Result | None:
    """Sample ``problem``; collective: every rank calls it, with its own Problem.

    An option that is None was not given: it is that of the file where ``resume`` goes on from
    one, else the default that stands here.

    Parameters
    ----------
    problem : Problem or None
        Where it is None, rank 0's is sent there, once, by dill.
    comm : MPI communicator
        The ranks to use. Default: all.
    output : str or Path
        The HDF5 file. Default: none, the draws stay in memory.
    nsteps : int or "auto"
        Kept production steps in total, shared exactly over the ensembles; with a stop rule, the
        most. "auto": until the stop rule is met, or without one until the draws are enough, at
        most 200,000. Default: "auto".
    burnin : int or "auto"
        Steps per ensemble before production, in addition; "auto": until it has settled.
        Default: "auto".
    rescue : bool
        At the end of burn-in redraw walkers that are trapped where no mass is, from the others of
        their ensemble. Default: with burnin "auto".
    nwalkers : int
        Walkers per ensemble, even. Default: the problem's, else max(32, 4 ndim).
    nensembles : int
        Independent ensembles. Default: 4, or as many as all ranks can work for; one per rank in
        split (but never so many that one would get fewer production steps than burn-in steps,
        where both are given), one per team with ``teams``, 1 in pool.
    mode : {"auto", "split", "pool"}
        As many teams of ranks as possible, or one; "auto": as suits the cost of log_prob, the
        draws are the same. Default: "auto".
    teams : int
        That many teams, instead of ``mode``. Default: as ``mode`` says.
    schedule : {"auto", "static", "demand"}
        How a team shares out evaluations: in equal blocks, one by one to whoever is free, or
        whichever suits the measured times. The draws are the same. Default: "auto".
    seed : int
        From 0 to 2^63 - 1, for the same draws again. Default: drawn, and recorded.
    moves : str, emcee move, or list of moves or (move, weight) pairs
        As in "de:0.8,stretch:0.2"; "auto" is a mixture. Default: the problem's, else "auto".
    thin_by : int
        Keep every that many-th step; ``nsteps`` counts kept ones. Default: 1.
    until_ess : float
        Stop when every parameter has that many effective draws. Default: no such rule.
    until_rhat : float
        Stop when the R-hat of every parameter is that low. Default: no such rule.
    checkpoint : float
        Write the draws at least every so many seconds. Default: 60.
    max_time : float or str
        Commit and stop after so many seconds, or "3h50m". Default: no limit but the Slurm job's.
    stop_grace : float or str
        At a stop wait so many seconds for ranks that are in log_prob; then leave them.
        Default: 30.
    resume : bool
        Go on from ``output``, if it is there, to its target. Default: False.
    no_verify : bool
        Do not check the draws' checksums before going on. Default: False.
    overwrite : bool
        Replace ``output``, if it is there and pmcmc wrote it. Default: False.
    break_lock : bool
        Take over an ``output`` whose writer is surely gone. Default: False.
    progress : bool
        Show how far it is, with a bar on a terminal, else a line now and then. Default: False.
    **unknown
        Refused, with the options there are.

    Returns
    -------
    Result or None
        With an output, on every rank; without, the draws on rank 0 and None elsewhere. After a
        signal or ``max_time`` its ``status`` is "stopped"; None if that came before the first
        commit.

    Raises
    ------
    PmcmcError
        On every rank, whichever failed; its class says what, see `pmcmc.errors`. Interrupted
        where a signal came before the sampling began.

    """
    given = {name: value for name, value in locals().items() if name in OPTIONS}
    found = check({**given, **unknown})
    if found.get("dry_run"):
        raise UsageError("dry_run is for the command line; in Python, see pmcmc.make_plan")
    if problem is not None and not isinstance(problem, Problem):
        raise UsageError(
            f"expected a pmcmc.Problem, got {type(problem).__name__}: wrap a function as "
            'pmcmc.Problem(log_prob, parameters=["a", "b"], initial=p0)'
        )
    ranks = comm_module.world() if comm is None else comm
    refuse_held(ranks, "this run")
    comm_module.limit_threads(ranks.Get_size(), ranks.Get_rank())
    reporter = ProgressReporter(
        on=False, progress=found.get("progress", False), rank=ranks.Get_rank()
    )
    return execute(lambda: problem, found, ranks, reporter).result


def execute(
    load: Callable[[], Problem | None],
    found: Mapping[str, Any],
    ranks: Any,
    reporter: ProgressReporter,
    watch: SignalWatch | None = None,
    say_stopped: Callable[[Outcome], None] | None = None,
) -> Outcome:
    """Run with options that were checked; collective, as ``run``.

    Parameters
    ----------
    load : callable
        Returns this rank's Problem, or None where rank 0's is to be sent.
    found : mapping
        The options that were given, as `options.check` returns them.
    ranks : MPI communicator
        The ranks to use.
    reporter : ProgressReporter
        Says what the run does.
    watch : SignalWatch, optional
        One that is entered already. Default: one for this call.
    say_stopped : callable
        Says how the run ended, where the process ends with it, since log_prob does not return.
        Default: nothing is said, and one rank by itself is left in log_prob.

    Returns
    -------
    Outcome
        Alike on every rank, but for ``shortfall`` and draws in memory, which rank 0 has.

    Raises
    ------
    PmcmcError
        On every rank, whichever failed.

    """
    began, output = time.time(), OutputClaim(found.get("output"))
    control = ControlChannel(ranks)
    caught = watch or SignalWatch()
    guard, surroundings = ExitGuard(control.where), Surroundings()
    with guard, caught if watch is None else contextlib.nullcontext():
        try:
            caught.raise_if_caught()
            with announced("loading the model and trying log_prob", reporter.say):
                loading = named_call(f"loading the model{control.where}")
                problem = share(loading(load), control)
                surroundings.mend()
                caught.renew()
                guard.doing = problem.at
                setup = agree(problem, found, control, output, caught)
            for remark in setup.remarks:
                reporter.warn(remark)
            shared = any(len(t.ranks) > 1 for t in setup.plan.teams)
            if shared and setup.options.schedule != "static" and not comm_module.any_thread():
                reporter.remark(comm_module.ROOT_ONLY_DISPATCHES)
            reporter.intend(problem, setup)
            if setup.options.dry_run:
                outcome = Outcome("planned")
            else:
                moves = choose_moves(problem, setup.options)
                outcome = _work(
                    problem, setup, moves, control, reporter, caught, output, began, say_stopped
                )
        except BaseException as exc:
            if forks.in_child():
                forks.leave(exc)
            surroundings.restore()
            reporter.stop()
            output.release()
            control.end(exc)
        surroundings.restore()
        output.release()
        control.close()
    return outcome


def _none(_: Any) -> None:
    """Do nothing with what all ranks tell."""


def _work(
    problem: Problem,
    setup: Setup,
    moves: Moves,
    control: ControlChannel,
    reporter: ProgressReporter,
    watch: SignalWatch,
    output: OutputClaim,
    began: float,
    say_stopped: Callable[[Outcome], None] | None,
) -> Outcome:
    """Do this rank's part of the sampling, and return what it came to."""
    state, coordinator = RunState(control, setup.options.stop_grace), None

    def leave() -> None:
        """End the job: the draws are on the disk, and log_prob keeps some ranks for ever."""
        assert coordinator is not None
        reporter.stop()
        output.release()
        outcome = Outcome("stopped", _result(output, coordinator), state.stop_reason)
        if say_stopped is not None:
            say_stopped(outcome)
        elif control.size == 1:
            return
        streams.tell(
            f"pmcmc: log_prob has not returned, and is left: {some_text(coordinator.kept(), 3)}",
            error=True,
        )
        comm_module.abort_with(control.comm, ExitStatus.STOPPED)

    if control.rank == 0:
        deadline = Deadline(setup.options.max_time, began)
        coordinator = Coordinator(setup, control, state, reporter, output, deadline, leave)
    if setup.finished:
        status = control.gather_and_decide(
            None, lambda _: coordinator.finish() if coordinator else ""
        )
        ended = Finished(status, ALREADY)
    else:
        loop = RankLoop(problem, setup, moves, control, watch, state, coordinator)
        ended = loop.work()
        created = coordinator is not None and coordinator.store.created
        keep = coordinator.store.add_timings if coordinator is not None and created else _none
        control.gather_and_decide(loop.clock.read(), keep)
    reporter.stop()
    result = _result(output, coordinator)
    shortfall = "" if coordinator is None else coordinator.shortfall
    return Outcome(ended.status, result, ended.reason, shortfall)


def _result(output: OutputClaim, coordinator: Coordinator | None) -> Result | None:
    """Return the draws there are: of the file, or on rank 0 those in memory."""
    if output.place is not None:
        path = output.place.path
        return Result.open(path) if path.exists() else None
    if coordinator is not None and coordinator.store.created:
        return Result(coordinator.store.read())
    return None
