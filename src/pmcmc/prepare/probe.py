"""A first evaluation on every rank: what it costs, and do all have the same problem and data?"""

from __future__ import annotations

import hashlib
import json
import math
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..model.problem import Problem
from .rounding import tolerance

_QUICK, _AGAIN = 0.05, 60.0  # seconds: of all tries of a quick log_prob; of one to be tried again


@dataclass(frozen=True)
class Probe:
    """What one rank found.

    Attributes
    ----------
    host : str
    problem, initial : str
        Hashes of the problem's settings, and of the start where it is an array, else "".
    blobs : str
        What log_prob returns beside the value.
    coords : ndarray (n, ndim)
        The points tried: log_prob is -inf at all but the last.
    log_prob : float
        At the last of them.
    seconds : float
        One evaluation.
    busy : float
        The share of it that is CPU time of this process.
    follows : bool
        Whether this rank only takes part in evaluations of another: it has nothing of ``blobs``
        and what stands below that.

    """

    host: str
    problem: str
    initial: str
    blobs: str
    coords: npt.NDArray[np.float64]
    log_prob: float
    seconds: float
    busy: float = 0.0
    follows: bool = False

    def value(self, i: int) -> float:
        """Return log_prob at a point that was tried.

        Parameters
        ----------
        i : int
            The point's place in ``coords``.

        Returns
        -------
        float

        """
        return self.log_prob if i == len(self.coords) - 1 else -math.inf


def probe(problem: Problem, where: str) -> Probe:
    """Evaluate log_prob on this rank, twice or for 0.05 s, to see what it costs.

    The first evaluation may compile, or read data: that is not the cost. One that takes a minute
    or more is not tried again.

    Parameters
    ----------
    problem : Problem
        Learns the form of its blobs.
    where : str
        Rank and host, for the error message.

    Returns
    -------
    Probe
        Its seconds, and how busy it was, are those of the quickest evaluation.

    Raises
    ------
    EvaluationError
        If log_prob fails.

    """
    started, cpu = time.perf_counter(), time.process_time()
    coords, value = problem.probe(where)
    seconds = spent = time.perf_counter() - started
    busy, tries = (time.process_time() - cpu) / max(spent, 1e-9), 1
    while spent < _QUICK or (tries == 1 and spent < _AGAIN):
        tries += 1
        started, cpu = time.perf_counter(), time.process_time()
        problem.evaluate(coords[-1:], where=where)
        took = time.perf_counter() - started
        spent += took
        if took < seconds:
            seconds, busy = took, (time.process_time() - cpu) / max(took, 1e-9)
    known = probe_of_member(problem)
    return replace(
        known,
        blobs=json.dumps(problem.settings()["blobs"]),
        coords=coords,
        log_prob=value,
        seconds=seconds,
        busy=busy,
        follows=False,
    )


def probe_of_member(problem: Problem) -> Probe:
    """Return what a rank knows that only takes part in the evaluations of another."""
    settings, initial = problem.settings(), ""
    settings.pop("blobs")
    if isinstance(problem.initial, np.ndarray):
        initial = _hash(problem.initial.tobytes())
    return Probe(
        host=socket.gethostname(),
        problem=_hash(json.dumps(settings).encode()),
        initial=initial,
        blobs="",
        coords=np.empty((0, problem.ndim)),
        log_prob=math.nan,
        seconds=0.0,
        follows=True,
    )


def slowest_host(probes: Iterable[Probe]) -> Probe:
    """Return the median rank's probe, by its seconds, of the host where that is longest.

    Not that of the slowest rank: while ranks start, some are held up by others.
    """
    hosts: dict[str, list[Probe]] = {}
    for one in probes:
        if not one.follows:
            hosts.setdefault(one.host, []).append(one)
    sorts = [sorted(some, key=lambda one: one.seconds) for some in hosts.values()]
    return max((some[(len(some) - 1) // 2] for some in sorts), key=lambda one: one.seconds)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def compare(probes: list[Probe], problem: Problem) -> str | None:
    """Compare all ranks with rank 0.

    Parameters
    ----------
    probes : list of Probe
        By rank.
    problem : Problem
        Rank 0's, for the error message.

    Returns
    -------
    str or None
        A remark where log_prob differs by rounding, see `rounding.tolerance`.

    Raises
    ------
    ModelError
        If a rank has another problem, start, data or blobs than rank 0.

    """
    remarks = [_compare(probes[0], other, i, problem) for i, other in enumerate(probes)]
    return next((remark for remark in remarks if remark is not None), None)


def _compare(first: Probe, other: Probe, rank: int, problem: Problem) -> str | None:
    """Compare one rank with rank 0, as ``compare`` does."""
    here, there = f"on rank 0 (host {first.host})", f"on rank {rank} (host {other.host})"
    if other.problem != first.problem:
        raise ModelError(
            f"rank {rank} (host {other.host}) has another problem than rank 0: other parameters, "
            "priors or settings. Do all read the same model?"
        )
    last = min(len(first.coords), len(other.coords)) - 1
    for mine, its in zip(first.coords, other.coords, strict=False):
        if mine.tobytes() != its.tobytes():
            raise ModelError(
                f"initial differs between ranks: it gives a start\n"
                f"{problem.describe(mine)} {here}\n{problem.describe(its)} {there}\n{_ALIKE}"
            )
    if other.initial != first.initial:
        raise ModelError(f"initial differs between ranks: {here}, and {there}\n{_ALIKE}")
    if other.follows:
        return None
    value, its_value = first.value(last), other.value(last)
    at = problem.describe(first.coords[last])
    if value != its_value:
        # other kinds of CPU round otherwise: nobody can help that, and it does no harm
        most = tolerance(problem.single)
        if not math.isclose(value, its_value, rel_tol=most, abs_tol=most):
            raise ModelError(
                f"log_prob differs between ranks at the same point: {value!r} {here}, "
                f"{its_value!r} {there}\n{at}\n  Do all read the same data? Are random numbers in "
                "the model seeded?"
            )
        return (
            f"log_prob differs by {abs(its_value - value):.2g} between ranks at the same point: "
            f"{value!r} {here}, {its_value!r} {there} (another kind of CPU or library version?): "
            "the run goes on, but other numbers of ranks will not give the same draws bit for bit"
        )
    if other.blobs != first.blobs:
        raise ModelError(
            f"log_prob returns other blobs on some ranks: {first.blobs} {here}, {other.blobs} "
            f"{there}\n{at}"
        )
    return None


_ALIKE = (
    "  All ranks need the same: seed its random numbers (np.random.seed(42)), or make it a "
    "function\n  initial(nwalkers, rng) that draws from rng; round what is computed, if ranks "
    "run on different CPUs"
)
