"""A run from start to end: set up alike on every rank, sample in teams, commit on rank 0."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import forks, streams
from ..errors import ExitStatus
from ..model.calls import named_call
from ..model.external import keep_scratch, kept_scratch
from ..model.problem import Problem
from ..model.ranks import note_team
from ..model.surroundings import Surroundings
from ..mpi import startup as comm_module
from ..mpi.control import ControlChannel
from ..mpi.guard import ExitGuard
from ..mpi.held import refuse_held
from ..mpi.shared import sharing
from ..mpi.timing import RankTimes
from ..pool.together import EvaluationGroup
from ..prepare.choices import choose_moves
from ..prepare.hosts import find_ranks
from ..prepare.output import OutputClaim
from ..prepare.setup import Setup, agree
from ..prepare.share import share
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
    from .._types import Comm

_NOTES = 10.0  # seconds between two notes of the progress beside the output
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
    elsewhere : tuple of (int, float)
        On rank 0, after a run of some seconds: other numbers of ranks, and about how many seconds
        the same draws would take there.

    """

    status: str
    result: Result | None = None
    reason: str = ""
    shortfall: str = ""
    elsewhere: tuple[tuple[int, float], ...] = ()


def run_together(
    problem: Problem | None, comm: Comm | None, found: Mapping[str, Any]
) -> Result | None:
    """Run on ranks that a launcher started; every rank calls it, with its own Problem.

    Parameters
    ----------
    problem : Problem or None
        Where it is None, rank 0's is sent there, once, by dill.
    comm : MPI communicator or None
        The ranks to use; None: all.
    found : mapping
        The options that were given, as `options.check` returns them.

    Returns
    -------
    Result or None
        As `pmcmc.run`.

    Raises
    ------
    PmcmcError
        On every rank, whichever failed.

    """
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
    problem: Problem | None = None
    control = ControlChannel(ranks)
    caught = watch or SignalWatch()
    guard, surroundings = ExitGuard(control.where), Surroundings()
    with guard, caught if watch is None else contextlib.nullcontext():
        try:
            caught.raise_if_caught()
            places = find_ranks(control, found.get("gpus", "auto"))
            if places.remark:
                reporter.remark(places.remark, told=False)
            keep_scratch(bool(found.get("keep_scratch")))
            with announced("loading the model and trying log_prob", reporter.say):
                loading = named_call(f"loading the model{control.where}")
                with sharing(control):
                    loaded = loading(load)
                problem = share(loaded, control)
                surroundings.mend()
                caught.renew()
                guard.doing = problem.at
                setup, group = agree(problem, found, control, output, caught, places)
            for remark in setup.remarks:
                reporter.warn(remark)
            shared = any(len(t.ranks) > 1 for t in setup.plan.teams)
            threads = comm_module.any_thread(beside_model=group is not None)
            if shared and setup.options.schedule != "static" and not threads:
                reporter.remark(comm_module.ROOT_ONLY_DISPATCHES)
            reporter.intend(problem, setup)
            reporter.watch(output.tell, _NOTES)  # after that: of short runs nothing is told
            if setup.options.dry_run:
                outcome = Outcome("planned")
            else:
                moves = choose_moves(problem, setup.options)
                outcome = _work(
                    problem,
                    group,
                    setup,
                    moves,
                    control,
                    reporter,
                    caught,
                    output,
                    began,
                    say_stopped,
                )
            if group is not None:
                group.close()
        except BaseException as exc:
            if forks.in_child():
                forks.leave(exc)
            surroundings.restore()
            reporter.stop()
            output.release()
            if problem is not None:
                problem.part()
            control.end(exc)
        surroundings.restore()
        output.release()
        control.close()
        problem.part()
    note_team(None)
    if setup.options.keep_scratch and (kept := kept_scratch()):
        reporter.say(f"scratch folders are kept, as {kept[0]}")
    return outcome


def _work(
    problem: Problem,
    group: EvaluationGroup | None,
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
    elsewhere: tuple[tuple[int, float], ...] = ()
    note_team(setup.plan.number_of_team(control.rank))

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
        comm_module.abort_with(ExitStatus.STOPPED)

    if control.rank == 0:
        deadline = Deadline(setup.options.max_time, began)
        coordinator = Coordinator(setup, control, state, reporter, output, deadline, leave)
    if setup.finished:
        status = control.gather_and_decide(
            None, lambda _: coordinator.finish() if coordinator else ""
        )
        ended = Finished(status, ALREADY)
    else:
        loop = RankLoop(problem, group, setup, moves, control, watch, state, coordinator, output)
        ended = loop.work()
        created = coordinator is not None and coordinator.store.created

        def keep(times: list[RankTimes]) -> None:
            nonlocal elsewhere
            if coordinator is not None and created:
                coordinator.store.add_timings(times)
            here = sum(one.host == times[0].host for one in times)
            crowded = here > (os.cpu_count() or 1)  # times tell nothing then
            if ended.status != "stopped" and not crowded:
                from ..prepare.forecast import on_other_ranks  # rank 0's, and at the end alone

                elsewhere = on_other_ranks(problem, setup, moves, times)

        control.gather_and_decide(loop.clock.read(), keep)
    reporter.stop()
    result = _result(output, coordinator)
    shortfall = "" if coordinator is None else coordinator.checker.shortfall
    return Outcome(ended.status, result, ended.reason, shortfall, elsewhere)


def _result(output: OutputClaim, coordinator: Coordinator | None) -> Result | None:
    """Return the draws there are: of the file, or on rank 0 those in memory."""
    if output.place is not None:
        path = output.place.path
        return Result.open(path) if path.exists() else None
    if coordinator is not None and coordinator.store.created:
        return Result(coordinator.store.read())
    return None
