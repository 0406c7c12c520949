"""A run from start to end: set up alike on every rank, sample in teams, commit on rank 0."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mpi4py.MPI import UNDEFINED

from . import comm as comm_module
from .comm import wait_for
from .control import Control
from .ensemble import Ensemble
from .errors import UsageError
from .gather import Gather
from .moves import Moves
from .options import check, complete
from .problem import Problem
from .result import Result
from .setup import Setup, agree, choose_moves, share
from .store import Store
from .talk import Talk
from .team import Team

BLOCK_BYTES = 32 * 2**20  # draws not yet written, over all ensembles, that call for a commit
_PROGRESS_SECONDS = 0.5


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
        teams, seed, moves, thin_by, checkpoint, output, overwrite, progress. Without ``output``
        the draws stay in memory.

    Returns
    -------
    Result or None
        With an output, on every rank; without, the draws on rank 0 and None elsewhere.

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
    talk = Talk(on=False, progress=found.get("progress", False))
    return execute(lambda: problem, found, ranks, talk)


def execute(
    load: Callable[[], Problem | None], found: Mapping[str, Any], ranks: Any, talk: Talk
) -> Result | None:
    """Run with options that were checked; ``load`` gives each rank its Problem."""
    options = complete(found)
    control = Control(ranks)
    try:
        problem = share(load(), control)
        setup = agree(problem, options, control)
        shared = any(len(t.ranks) > 1 for t in setup.plan.teams)
        if shared and options["schedule"] != "static" and not comm_module.any_thread():
            talk.remark(comm_module.ROOT_ONLY_DISPATCHES)
        talk.intend(problem, setup.plan, setup.header, options, setup)
        if options["dry_run"]:
            return None
        moves = choose_moves(problem, options)
        result = _Session(problem, setup, moves, options, control, talk).work()
    except BaseException as exc:
        talk.stop()
        control.end(exc)
    control.close()
    return result


class _Session:
    """The work itself, on one rank.

    Rank 0 calls for a commit (message "commit"); each team root then joins a gather round with
    the blocks of its ensembles, at its next look for messages, and samples on. When every team is
    done the last round is called for, and then "finished".
    """

    def __init__(
        self,
        problem: Problem,
        setup: Setup,
        moves: Moves,
        options: Mapping[str, Any],
        control: Control,
        talk: Talk,
    ) -> None:
        self.problem, self.setup, self.moves = problem, setup, moves
        self.options, self.control, self.talk = options, control, talk
        rank, plan = control.rank, setup.plan
        self.team = plan.team_of(rank)
        root = rank == self.team.root
        self.crew = Team(
            control.comm.Split(plan.teams.index(self.team), rank),
            problem,
            control,
            options["schedule"],
            setup.seconds,
            several=len(self.team.ensembles) > 1,
            rows=plan.nwalkers // 2,
        )
        roots = control.comm.Split(0 if root else UNDEFINED, rank)
        self.gather = Gather(roots) if root else None
        if self.gather is not None:
            control.leave = self.gather.leave
        self.ensembles: list[Ensemble] = []
        self._wanted = False  # a round was called for that this rank has not joined
        self._finished = False
        self._share = BLOCK_BYTES * len(self.team.ensembles) // plan.nensembles
        self._full = False
        self._last_progress = 0.0
        self.store: Store | None = None
        self._done = {team.root: False for team in plan.teams}
        self._last_round = time.monotonic()
        self._calling = False
        self._final = False

    def work(self) -> Result | None:
        """Do this rank's part, to the end."""
        if self.gather is None:
            self.crew.serve()
        else:
            self._sample()
            self.crew.close()
            self.gather.comm.Free()
        self.crew.comm.Free()
        path = self.options["output"]
        if self.store is not None:
            self.talk.stop()
            return Result(self.store.read())
        if path is None:
            return None
        return Result.open(Path(path))

    # ---- team roots

    def _sample(self) -> None:
        header = self.setup.header
        self.ensembles = [
            Ensemble(
                e,
                self.problem,
                self.crew.evaluate,
                seed=header.seed,
                nwalkers=header.nwalkers,
                burnin=header.burnin,
                nsteps=header.steps[e],
                thin_by=header.thin_by,
                moves=self.moves,
            )
            for e in self.team.ensembles
        ]
        if self.control.rank == 0:
            path = self.options["output"]
            self.store = Store(
                None if path is None else Path(path), header, self.options["overwrite"]
            )
            self._call(final=False)  # the first commit: the start, and the file
        self.crew.advance(self.ensembles, self._tick)
        self._report_progress()
        wait_for(lambda: self._finished, self._look)

    def _tick(self) -> None:
        if self.control.due():
            self._look()
            self._mind_memory()

    def _look(self) -> None:
        """Look for messages, move the gather on; on rank 0 also write and call for commits."""
        while (message := self.control.receive()) is not None:
            self._hear(*message)
        gather = self.gather
        assert gather is not None
        if self._wanted and not gather.busy and all(e.started for e in self.ensembles):
            self._wanted = self._full = False
            gather.join([e.take_block() for e in self.ensembles])
        gathered = gather.poll()
        if gathered is not None:
            self._commit([block for blocks in gathered for block in blocks])
        now = time.monotonic()
        if now - self._last_progress > _PROGRESS_SECONDS * max(1, len(self._done) // 64):
            self._last_progress = now
            self._report_progress()
        if self.store is not None and not self._calling:
            if all(self._done.values()):
                self._call(final=True)
            elif self._full or now - self._last_round > self.options["checkpoint"]:
                self._call(final=False)

    def _hear(self, source: int, kind: str, value: Any) -> None:
        if kind == "commit":
            self._wanted = True
            self.control.rounds += 1
        elif kind == "finished":
            self._finished = True
        elif kind == "full":
            self._full = True
        elif kind == "progress":
            steps, accepted, counted, done = value
            self._done[source] = done
            self.talk.progress(source, steps, accepted, counted)

    def _mind_memory(self) -> None:
        """Ask for a commit when this team's share of memory is full; wait if it comes late."""
        size = sum(e.rows for e in self.ensembles) * self.setup.header.row_bytes
        if size < self._share:
            return
        if not self._full and not self._wanted:
            self._full = True
            if self.control.rank > 0:
                self.control.send("full")
        if size >= 2 * self._share:
            wait_for(lambda: sum(e.rows for e in self.ensembles) == 0, self._look)

    def _report_progress(self) -> None:
        parts = [e.accepted for e in self.ensembles]
        value = (
            sum(e.steps for e in self.ensembles),
            sum(p[0] for p in parts),
            sum(p[1] for p in parts),
            all(e.done for e in self.ensembles),
        )
        if self.control.rank == 0:
            self._hear(0, "progress", value)
        elif not self._finished:
            self.control.send("progress", value)

    # ---- rank 0

    def _call(self, final: bool) -> None:
        self._calling, self._final = True, final
        self._last_round = time.monotonic()
        self._wanted = True
        self.control.rounds += 1
        for team in self.setup.plan.teams[1:]:
            self.control.send("commit", to=team.root)

    def _commit(self, blocks: list[Any]) -> None:
        assert self.store is not None
        if not self.store.created:
            self.store.create()
        self.store.commit(blocks, "finished" if self._final else "running")
        self._calling = False
        if self._final:
            for team in self.setup.plan.teams[1:]:
                self.control.send("finished", to=team.root)
            self._finished = True
