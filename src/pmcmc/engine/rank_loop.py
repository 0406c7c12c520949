"""The sampling on one rank: as a worker, or as the root of a team with its ensembles."""

from __future__ import annotations

from mpi4py.MPI import UNDEFINED

from ..errors import ControlFlow
from ..model.problem import Problem
from ..mpi.control import ControlChannel, MustLeave, PeerFailed
from ..mpi.failure import error_of
from ..mpi.gather import BlockGather
from ..mpi.guard import ExitGuard
from ..mpi.startup import abort, any_thread, at_once
from ..mpi.timing import RankTimer
from ..mpi.waiting import PATIENCE, wait_for
from ..pool.schedule import Scheduler
from ..pool.together import EvaluationGroup
from ..prepare.output import OutputClaim
from ..prepare.setup import Setup
from ..sampler.ensemble import Ensemble
from ..sampler.moves import Moves
from ..sampler.state import Block
from ..signals import SignalWatch
from .coordinator import Coordinator
from .deputy import Deputy
from .late import OwnCall
from .member import Member
from .messages import (
    Begin,
    Blocks,
    Commit,
    Finished,
    Full,
    GiveUp,
    Limit,
    LongCall,
    Optima,
    Out,
    Progress,
    Restart,
    Returned,
    SendBlocks,
    Settle,
    Stop,
)
from .standby import Abandoned, Standby
from .state import RunState
from .team import TeamEvaluator
from .team_ensembles import TeamEnsembles
from .team_progress import TeamProgress

_TO_RETURN = 3.0  # seconds for log_prob to return once it was interrupted


class _Stop(ControlFlow):
    """Leave the step in hand: the run stops, or is over."""


class RankLoop:
    """The work itself, on one rank.

    Rank 0 calls for a commit; each team root then joins a gather with the blocks of its ensembles,
    at its next look for messages, and samples on. When every team is done, the last gather is
    called for, and then ``Finished`` goes to all ranks.

    Where a check is due at some step (``Limit``), a block ends there, and the rows after it wait
    for the decision. ``Settle`` tells that burn-in is over: what was taken as more of it is taken
    again as production.

    A signal on any rank, or the end of the time, goes to all as ``Stop``. Whoever knows of it
    begins no evaluation any more; a team root leaves the step in hand, and counts as done. While
    log_prob keeps a rank, its ``Standby`` does all that; at a stop it interrupts a call that does
    not return in time.

    Parameters
    ----------
    problem : Problem
    group : EvaluationGroup or None
        The ranks with which this one evaluates log_prob; None: by itself.
    setup : Setup
    moves : list of (emcee move, weight)
    control : ControlChannel
    watch : SignalWatch
        Notes the signals to this process.
    state : RunState
    coordinator : Coordinator or None
        On rank 0.
    output : OutputClaim
        Of this rank; rank 0's holds the lock.

    """

    def __init__(
        self,
        problem: Problem,
        group: EvaluationGroup | None,
        setup: Setup,
        moves: Moves,
        control: ControlChannel,
        watch: SignalWatch,
        state: RunState,
        coordinator: Coordinator | None,
        output: OutputClaim,
    ) -> None:
        self.problem, self.moves = problem, moves
        self.control, self.watch = control, watch
        self.state, self.coordinator = state, coordinator
        rank, plan = control.rank, setup.plan
        self.clock = RankTimer(PATIENCE)
        team = plan.team_of(rank)
        root = team is not None and rank == team.root
        comm = control.comm.Split(UNDEFINED if team is None else plan.teams.index(team), rank)
        roots = control.comm.Split(0 if root else UNDEFINED, rank)
        threads = any_thread(beside_model=group is not None)
        self.standby = Standby(watch, self._stand_in, state.stop, self._fail, threads)
        self.ensembles = TeamEnsembles(setup, range(0) if team is None else team.ensembles)
        self.evaluator: TeamEvaluator | None = None  # of an idle rank
        self.member: Member | None = None
        if group is not None and not group.is_root:
            self.member = Member(group, problem, control, self.clock, self.standby)
        if team is not None:
            several = len(team.ensembles) > 1
            # vectorized: one block of rows per rank and half-step
            how = "static" if problem.vectorized else setup.options.schedule
            scheduler = Scheduler(len(team.ranks), how, several, setup.slowdown)
            self.evaluator = TeamEvaluator(
                comm,
                problem,
                control,
                self.clock,
                self.standby,
                scheduler,
                setup.seconds,
                rows=plan.nwalkers // 2,
                threads=threads,
            )
            if group is not None:
                group.tick = self.evaluator.raise_failure
        self.gather = BlockGather(roots) if root else None
        if self.gather is not None:
            control.leave = self.gather.leave
        self._progress: TeamProgress | None = None  # of a team root
        if root and team is not None and self.evaluator is not None:
            self._progress = TeamProgress(
                control, state, self.ensembles, self.evaluator, team.ranks, len(plan.teams)
            )
        self._restart: Restart | None = None  # how the ensembles begin or go on
        self._told_of: set[int] = set()  # ensembles of whose optima rank 0 was told
        self._wanted = False  # a gather was called for that this rank has not joined
        self._left = False  # all steps are taken, or the last one was left
        self._full = False  # a commit is wanted for lack of memory
        self._in_flight: list[Block] = []  # of the last gather: it may not be through
        self._own_call = OwnCall(control.where, problem.at)
        self._deputy = Deputy(control, output, state)

    def work(self) -> Finished:
        """Do this rank's part, to the end; return how the run ended."""
        if at_once():  # within a long evaluation: the others need not begin another
            self.watch.on_signal = self.state.stop
        self.watch.on_second = self.state.wait_no_longer
        try:
            with self.standby:
                return self._work()
        finally:
            self.watch.on_signal = self.watch.on_second = None

    def _work(self) -> Finished:
        evaluator = self.evaluator
        if self.gather is not None and evaluator is not None and self._progress is not None:
            self._sample(evaluator, self._progress)
            self.gather.comm.Free()
        else:
            if evaluator is not None:
                evaluator.serve(self._serve_tick, lambda: self.state.stopping or self.state.over)
            elif self.member is not None:
                self.member.serve(self._serve_tick, lambda: self.state.over)
            wait_for(lambda: self.state.over, self._listen)
            self.control.send(Out())
        if evaluator is not None:
            evaluator.comm.Free()
        assert self.state.outcome is not None
        return self.state.outcome

    # ---- every rank

    def _listen(self) -> None:
        """Take in messages, and pass on a signal to this process."""
        while (found := self.control.receive()) is not None:
            self._handle(*found)
        if not self.standby.in_call:
            self._own_call.returned()
        if self.watch.caught:
            self.state.stop(self.watch.caught)
        if self._deputy.is_due:
            self._deputy.end([*self._in_flight, *self.ensembles.take_blocks()], self._listen)
        self._own_call.tell(self.control)

    def _handle(self, source: int, message: object) -> None:
        match message:
            case Stop():
                self.state.stopped_by(message)
            case Finished():
                self.state.outcome = message
                if message.status == "stopped":
                    ExitGuard.release()  # rank 0 may have to end all
            case Restart():
                self._restart = message
            case Limit(step):
                self.ensembles.limit = step
            case Commit(number):
                self._wanted, self.control.rounds = True, number
            case Settle(burnin, starts):
                self.ensembles.settle(burnin, starts)
            case Begin(pool):
                self.ensembles.begin(pool)
                self._told_of.clear()
            case GiveUp(seconds):
                self.state.grace = min(self.state.grace, seconds)
            case SendBlocks():
                self._deputy.another(source)
                self.control.send(
                    Blocks([*self._in_flight, *self.ensembles.take_blocks()]), to=source
                )
            case Blocks(blocks) if self.coordinator is None:
                self._deputy.add(blocks)
            case Progress() | Full() | Blocks() | LongCall() | Returned() | Out() | Optima():
                assert self.coordinator is not None
                self.coordinator.handle(source, message)

    def _serve_tick(self) -> None:
        if self.control.due():
            self._listen()

    # ---- while log_prob keeps this rank

    def _stand_in(self, seconds: float) -> None:
        """Do what is due within a call of log_prob that has taken so long."""
        caller = self.evaluator or self.member
        assert caller is not None
        self._own_call.look(seconds, caller.usual, self.state.stopping)
        if self.state.overdue > _TO_RETURN:
            self._left = True  # what it is at is not wanted any more
        elif self.state.overdue > 0:
            self.standby.interrupt()
        if caller.helped:
            return  # the helper thread attends
        if self.gather is None:
            self._listen()
        else:
            self._attend()

    def _fail(self, failure: BaseException) -> None:
        """End all ranks: something failed while log_prob keeps this one."""
        if isinstance(failure, MustLeave | PeerFailed):
            return  # elsewhere: that rank, or rank 0, waits for this one in vain, and aborts
        abort(error_of(failure, self.control.rank, self.control.where))

    # ---- team roots

    def _sample(self, evaluator: TeamEvaluator, progress: TeamProgress) -> None:
        if self.coordinator is not None:
            self.coordinator.checker.listen = self._listen
            self.coordinator.begin()
        wait_for(lambda: self._restart is not None, self._listen)
        assert self._restart is not None
        self.ensembles.make(self.problem, evaluator, self.moves, self._restart)
        try:
            evaluator.advance(self.ensembles.all, self._tick, self._held)
        except (_Stop, Abandoned):
            pass  # what was done of the step is done again at a resume, if there is to be one
        self._left = True
        evaluator.close(self._attend)
        progress.tell(self._left)
        self.control.send(Out())
        coordinator = self.coordinator
        wait_for(
            lambda: self.state.over and (coordinator is None or coordinator.late.all_out),
            self._attend,
        )

    def _tick(self) -> None:
        """Attend to messages and commits now and then.

        Raises
        ------
        _Stop
            If the run stops, or has enough draws.

        """
        if not self.control.due():
            return
        self._attend()
        self._mind_memory()
        if self.state.stopping or self.state.over:
            raise _Stop

    def _attend(self) -> None:
        """Take in messages, move the gather on; on rank 0 also write, and call for commits."""
        self._listen()
        gather, progress = self.gather, self._progress
        assert gather is not None
        assert progress is not None
        joins = self.ensembles.started or self._left or self._own_call.lasts
        if self._wanted and not gather.busy and joins:
            self._wanted = self._full = False
            self._in_flight = self.ensembles.take_blocks()
            gather.join(self._in_flight or None)
        gathered = gather.poll()
        if gathered is not None and self.coordinator is not None:
            with self.clock.at("writing"):
                self.coordinator.commit(gathered)
        progress.tell_now_and_then(self._left)
        if self.coordinator is not None:
            self.coordinator.decide_next()

    def _mind_memory(self) -> None:
        """Ask for a commit when this team's share of memory is full; wait if it comes late.

        Rows after a check that is to come cannot be taken. They wait for it, which nobody may do
        who is wanted there.
        """
        self._ask_for_room()
        if self.ensembles.overfull:
            wait_for(self._may_go_on, self._attend_and_ask)

    def _ask_for_room(self) -> None:
        """Ask for a commit, once, if what it could take fills the share."""
        if self.ensembles.want_commit and not (self._full or self._wanted):
            self._full = True
            self.control.send(Full())

    def _attend_and_ask(self) -> None:
        self._attend()
        self._ask_for_room()  # the next check may let more be taken

    def _may_go_on(self) -> bool:
        return self.ensembles.may_go_on or self.state.stopping or self.state.over

    def _held(self, ensemble: Ensemble) -> bool:
        """Tell whether an ensemble is to wait for another one here, which is behind a check."""
        if ensemble.awaits_pool:
            self._tell_optima(ensemble)
            return ensemble.awaits_pool
        return not self.state.stopping and self.ensembles.holds(ensemble)

    def _tell_optima(self, ensemble: Ensemble) -> None:
        """Tell rank 0, once, what an ensemble has found."""
        if ensemble.index not in self._told_of:
            self._told_of.add(ensemble.index)
            self.control.send(Optima(ensemble.index, ensemble.optima))
