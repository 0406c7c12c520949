"""The doctor: asks all ranks for facts, and says what is wrong with how they were started.

Rank 0 asks, the others serve. It asks one thing at a time, nobody waits for ever, and whoever does
not answer is a finding: a collective call would hang with the rank that it is to find.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import statistics
import time
import traceback
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..mpi.startup import OVERRIDE, abort, abort_with, launcher_rank, where
from ..mpi.waiting import probe_twice, wait_until
from ..signals import Signalled
from ..slurm import job
from . import probes as measure
from .findings import exit_status, find
from .records import Facts, Finding, Link, RankFacts

if TYPE_CHECKING:
    from .._types import Comm

PATIENCE = 30.0  # seconds for a rank, or a file system, to answer
SHOWN_LATE = 3.0  # seconds for a new file to be seen on all hosts
_SMALL, _LARGE = 8, 4 * 2**20  # bytes of a message
_TIME = 0.25  # seconds to spend on messages of one size
_ALONE = 8.0  # seconds that other worlds wait for the one that speaks
_CLEARED = 3.0  # seconds for rank 0 to clear up after a signal
_ASK, _ANSWER, _PING = 11, 12, 13  # tags
_VARIABLES = (
    "XLA_PYTHON_CLIENT_PREALLOCATE",
    "PMI_SIZE",
    "OMPI_COMM_WORLD_SIZE",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_NTASKS",
    "SLURM_CPUS_PER_TASK",
    OVERRIDE,
)


def doctor(
    comm: Comm | None,
    output: str = ".",
    as_json: bool = False,
    launch_error: str | None = None,
    limited: str | None = None,
    patience: float = PATIENCE,
) -> int:
    """Examine the ranks of a world and report on rank 0; return the exit status, on every rank.

    Parameters
    ----------
    comm : MPI communicator or None
        The world, which nobody else uses meanwhile; None if there is none.
    output : str
        The folder where output is to go, or a file in it.
    as_json : bool
        Print JSON.
    launch_error : str, optional
        Why there is no world.
    limited : str, optional
        What was done about BLAS threads.
    patience : float
        Seconds for a rank or a file system to answer.

    """
    if comm is None and launcher_rank() > 0:
        with contextlib.suppress(Signalled):
            time.sleep(_ALONE)  # a launcher may end all when one has ended: let the report out
        return 1
    try:
        if comm is not None and comm.Get_rank() > 0:
            return _serve(comm, patience)
        ranks = _Ranks(comm, patience)
        facts, ended = _examine(ranks, output, launch_error, limited)
        findings = find(facts)
        status = exit_status(findings)
        print(_json(facts, findings) if as_json else report(facts, findings), flush=True)
        if ranks.end(status) and ended:
            return status
        if ranks.size > 1:
            abort_with(status)
        os._exit(status)  # a thread hangs in the file system: an orderly end might wait for it
    except Signalled:
        if comm is not None and comm.Get_rank() > 0:
            time.sleep(_CLEARED)  # the first to leave ends all
        raise
    except Exception as exc:
        if comm is None or comm.Get_size() == 1:
            raise
        lines = "".join(traceback.format_exception(exc)).rstrip()
        abort(f"{type(exc).__name__}: {exc}{where(comm)}\n{lines}")


def report(facts: Facts, findings: Iterable[Finding]) -> str:
    """Return the findings as text."""
    lines = [f"pmcmc {__version__} doctor"]
    counts = {"ok": 0, "warning": 0, "wrong": 0}
    for one in findings:
        counts[one.level] += 1
        lines.append(f"  {one.level:<8} {one.check:<9} {one.text}")
        lines += [f"  {'':<8} {'':<9} -> {line}" for line in one.advice.splitlines()]
    warnings = f"{counts['warning']} warning" + ("" if counts["warning"] == 1 else "s")
    lines.append(f"{counts['wrong']} wrong, {warnings}, {counts['ok']} ok")
    return "\n".join(lines)


def _json(facts: Facts, findings: list[Finding]) -> str:
    return json.dumps(
        {
            "exit_status": exit_status(findings),
            "findings": [dataclasses.asdict(f) for f in findings],
            "facts": dataclasses.asdict(facts),
        }
    )


# ---- rank 0


def _examine(
    ranks: _Ranks, output: str, launch_error: str | None, limited: str | None
) -> tuple[Facts, bool]:
    """Return the facts, and whether all that was begun has ended."""
    first = measure.own_facts()
    answers = ranks.ask("facts", what="about itself")
    by_rank: dict[int, RankFacts] = {0: first, **answers}
    heads: dict[str, int] = {}  # the first other rank on each host
    for rank, one in answers.items():
        heads.setdefault(one.host, rank)
    away = [host for host in heads if host != first.host]
    links: list[Link] = []
    clocks: dict[str, float] = {}
    if not ranks.silent:  # else each further question may take all our patience
        pair = [host for host in (first.host, *away[:1]) if host in heads]
        links = [_link(ranks, heads[host], host) for host in pair]
    if not ranks.silent:
        clocks = {host: _clock(ranks, heads[host]) for host in away}
    trial = measure.Trial(output)
    trial.start()
    unseen: dict[int, str] = {}
    try:
        wait_until(trial.tried.is_set, ranks.patience)
        if trial.tried.is_set() and trial.token is not None and not ranks.silent:
            seen = ranks.ask("read", str(trial.token), what="for a file in the output folder")
            unseen = {r: text for r, text in seen.items() if text != trial.TOKEN}
    finally:
        ended = trial.close(ranks.patience if trial.tried.is_set() else 2.0)
    facts = Facts(
        size=ranks.size,
        ranks=by_rank,
        env={v: os.environ[v] for v in _VARIABLES if v in os.environ},
        silent=dict(ranks.silent),
        patience=ranks.patience,
        launch_error=launch_error,
        limited=limited,
        mpiexec=measure.mpiexec(),
        links=tuple(links),
        clocks=clocks,
        folder=trial.facts(unseen),
        job=job.job_id(),
        time_left=None if (end := job.end_time()) is None else end - time.time(),
    )
    return facts, ended


def _link(ranks: _Ranks, rank: int, host: str) -> Link:
    """Measure messages between rank 0 and another."""
    small = _ping(ranks, rank, _SMALL)
    large = None if small is None else _ping(ranks, rank, _LARGE)
    return Link(rank, host, small, None if large is None else _LARGE / large)


def _ping(ranks: _Ranks, rank: int, nbytes: int) -> float | None:
    """Return the seconds that a message takes one way, the median; None if it gets no answer."""
    comm = ranks.comm
    ranks.tell(rank, "echo", nbytes)
    out, back = bytearray(b"\1" * nbytes), bytearray(nbytes)
    taken: list[float] = []
    end = time.monotonic() + _TIME
    while len(taken) < 5 or time.monotonic() < end:
        began = time.monotonic()
        requests = [comm.Irecv(back, rank, _PING), comm.Isend(out, rank, _PING)]
        if not wait_until(_all_done(requests), ranks.patience):
            break
        taken.append((time.monotonic() - began) / 2)
    else:
        out[0] = 0  # no more
        if wait_until(comm.Isend(out, rank, _PING).Test, ranks.patience):
            return statistics.median(taken[1:])  # the first one connects
    ranks.silent[rank] = f"sent a message of {nbytes} bytes"
    return None


def _clock(ranks: _Ranks, rank: int) -> float:
    """Return by how many seconds a rank's clock is ahead, from the quickest of some answers."""
    found = []
    for _ in range(5):
        began = time.time()
        answer = ranks.ask("clock", what="for the time", only=rank)
        ended = time.time()
        if rank in answer:
            found.append((ended - began, answer[rank] - (began + ended) / 2))
    return min(found)[1] if found else 0.0


class _Ranks:
    """The other ranks, as rank 0 asks them; ``silent`` gives those that did not answer."""

    def __init__(self, comm: Comm | None, patience: float) -> None:
        self._comm, self.patience = comm, patience
        self.size = 1 if comm is None else comm.Get_size()
        self.silent: dict[int, str] = {}
        self._sent: list[Any] = []

    @property
    def comm(self) -> Comm:
        """The communicator; for where there are other ranks."""
        assert self._comm is not None
        return self._comm

    def tell(self, rank: int, *message: Any) -> None:
        self._sent = [r for r in self._sent if not r.Test()]
        self._sent.append(self.comm.isend(message, rank, _ASK))

    def ask(self, *message: Any, what: str, only: int | None = None) -> dict[int, Any]:
        """Ask all who answered so far, or one, and return the answers by rank."""
        missing = set(range(1, self.size) if only is None else [only]) - set(self.silent)
        answers: dict[int, Any] = {}
        if not missing:
            return answers
        from mpi4py import MPI

        status = MPI.Status()
        for rank in missing:
            self.tell(rank, *message)

        def complete() -> bool:
            while (
                found := probe_twice(lambda: self.comm.improbe(tag=_ANSWER, status=status))
            ) is not None:
                rank = status.Get_source()
                answers[rank] = found.recv()
                missing.discard(rank)
            return not missing

        if not wait_until(complete, self.patience):
            self.silent.update(dict.fromkeys(missing, f"asked {what}"))
        return dict(sorted(answers.items()))

    def end(self, status: int) -> bool:
        """Let all leave with an exit status; False if some do not."""
        if self.silent:
            return False
        for rank in range(1, self.size):
            self.tell(rank, "end", status)
        return wait_until(_all_done(self._sent), self.patience)


# ---- the others


def _serve(comm: Comm, patience: float) -> int:
    """Answer rank 0 until it says that it is the end; return the exit status."""
    while True:
        found: list[Any] = []

        def asked(found: list[Any] = found) -> bool:
            message = probe_twice(lambda: comm.improbe(0, _ASK))
            if message is not None:
                found.append(message.recv())
            return bool(found)

        if not wait_until(asked, 4 * patience):
            abort(f"rank 0 gave no word for {4 * patience:g} s{where(comm)}")
        kind, *values = found[0]
        if kind == "end":
            return int(values[0])
        if kind == "echo":
            _echo(comm, values[0], patience)
            continue
        answer: Any = None
        if kind == "facts":
            answer = measure.own_facts()
        elif kind == "clock":
            answer = time.time()
        elif kind == "read":
            answer = _read(values[0])
        if not wait_until(comm.isend(answer, 0, _ANSWER).Test, patience):
            abort(f"rank 0 takes no answer{where(comm)}")


def _read(path: str) -> str:
    try:
        return measure.read_token(path, SHOWN_LATE)
    except OSError as exc:
        return exc.strerror or str(exc)


def _echo(comm: Comm, nbytes: int, patience: float) -> None:
    """Send messages back until one begins with 0, or none comes."""
    buffer = bytearray(nbytes)
    while wait_until(comm.Irecv(buffer, 0, _PING).Test, patience):
        if not buffer[0] or not wait_until(comm.Isend(buffer, 0, _PING).Test, patience):
            return


def _all_done(requests: list[Any]) -> Callable[[], bool]:
    return lambda: all(r.Test() for r in requests)
