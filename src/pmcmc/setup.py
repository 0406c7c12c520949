"""Before the work: every rank has the problem and probes it, rank 0 decides what all will do."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .control import Control
from .errors import ModelError, UsageError
from .layout import Header
from .moves import Moves, check_moves, fewest_walkers, parse_moves
from .plan import Plan, make_plan
from .problem import Problem
from .rng import draw_seed
from .store import check_output


@dataclass(frozen=True)
class Setup:
    """What rank 0 decided and every rank knows before the work."""

    plan: Plan
    header: Header
    hosts: int
    seconds: float  # one evaluation of log_prob, as the probe took
    drawn: bool  # the seed was drawn


def share(problem: Problem | None, control: Control) -> Problem:
    """Return this rank's Problem: its own, or rank 0's where it has none."""

    def decide(have: list[bool]) -> bool:
        if not have[0]:
            raise ModelError("rank 0 has no Problem: run(None) is for the other ranks")
        return not all(have)

    if not control.exchange(problem is not None, decide):
        assert problem is not None
        return problem
    import dill

    data = None
    if control.rank == 0:
        try:
            data = dill.dumps(problem, recurse=True)
        except Exception as exc:
            raise ModelError(
                f"the problem cannot be sent to the other ranks ({type(exc).__name__}: {exc}): "
                "make it on every rank"
            ) from exc
    data = control.exchange(None, lambda _: data)
    if problem is None:
        problem = dill.loads(data)
    return problem


def agree(problem: Problem, options: Mapping[str, Any], control: Control) -> Setup:
    """Probe log_prob on every rank, and let rank 0 decide what all will do."""
    value, seconds = _probe(problem, control.where)
    mine = (problem.fingerprint(), value, socket.gethostname(), seconds)

    def decide(all_ranks: list[tuple[str, float, str, float]]) -> Setup:
        for rank, (fingerprint, other, host, _) in enumerate(all_ranks):
            if fingerprint != all_ranks[0][0]:
                raise ModelError(f"rank {rank} (host {host}) has another problem than rank 0")
            if abs(other - value) > 1e-8 * abs(value):
                raise ModelError(
                    f"log_prob differs between ranks at the same point: {value!r} on rank 0, "
                    f"{other!r} on rank {rank} (host {host}). Do all read the same data? "
                    "Are random numbers in the model seeded?"
                )
        hosts = len({host for _, _, host, _ in all_ranks})
        return _decide(problem, options, control.size, hosts, max(r[3] for r in all_ranks))

    setup: Setup = control.exchange(mine, decide)
    return setup


def _probe(problem: Problem, where: str) -> tuple[float, float]:
    """Return log_prob at the probe, and the seconds it takes: the least of a few, if short."""
    started = time.perf_counter()
    theta, value = problem.probe(where)
    seconds = spent = time.perf_counter() - started
    while spent < 0.05:
        started = time.perf_counter()
        problem.evaluate(theta[None], where=where)
        seconds = min(seconds, time.perf_counter() - started)
        spent += seconds
    return value, seconds


def _decide(
    problem: Problem, options: Mapping[str, Any], size: int, hosts: int, seconds: float
) -> Setup:
    moves = choose_moves(problem, options)
    nwalkers = _nwalkers(problem, options, moves)
    plan = make_plan(
        size,
        nwalkers=nwalkers,
        **{k: options[k] for k in ("nsteps", "burnin", "nensembles", "mode", "teams", "thin_by")},
    )
    if options["output"] is not None and not options["dry_run"]:
        check_output(Path(options["output"]), options["overwrite"])
    seed = options["seed"] if options["seed"] is not None else draw_seed()
    config = {
        k: v if isinstance(v, str | int | float | None) else str(v) for k, v in options.items()
    }
    config.update(seed=seed, nwalkers=nwalkers, nensembles=plan.nensembles)
    header = Header(
        problem=problem.name,
        names=problem.names,
        fingerprint=problem.fingerprint(),
        settings=problem.settings(),
        seed=seed,
        nwalkers=nwalkers,
        burnin=plan.burnin,
        thin_by=plan.thin_by,
        steps=plan.steps,
        config=config,
        blobs_dtype=problem.returns.dtype if problem.returns.has_blobs else None,
        blobs_shape=problem.returns.shape,
    )
    return Setup(plan, header, hosts, seconds, options["seed"] is None)


def choose_moves(problem: Problem, options: Mapping[str, Any]) -> Moves:
    """Return the moves: the option's, else the model's, else stretch."""
    given = options["moves"] if options["moves"] is not None else problem.moves
    if given is None:
        given = "stretch"
    return parse_moves(given) if isinstance(given, str) else check_moves(given)


def _nwalkers(problem: Problem, options: Mapping[str, Any], moves: Moves) -> int:
    default = max(32, 4 * problem.ndim)
    nwalkers = int(options["nwalkers"] or problem.nwalkers or default)
    least, why = fewest_walkers(moves, problem.ndim)
    if nwalkers < least:
        raise UsageError(
            f"nwalkers is {nwalkers}; {why} needs at least {least} for {problem.ndim} parameters: "
            f"use --nwalkers {least} or more"
        )
    if nwalkers % 2:
        raise UsageError(f"nwalkers is {nwalkers}; expected an even number: {nwalkers + 1}?")
    if getattr(problem.initial, "ndim", 0) == 2 and len(problem.initial) != nwalkers:
        raise UsageError(
            f"nwalkers is {nwalkers}, but initial has {len(problem.initial)} walkers: leave "
            "nwalkers out, or make them agree"
        )
    return nwalkers
