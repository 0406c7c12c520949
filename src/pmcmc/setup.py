"""Before the work: every rank has the problem and probes it, rank 0 decides what all will do."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import resume
from .control import Control
from .errors import ModelError, UsageError
from .layout import Header
from .moves import Moves, check_moves, describe_moves, fewest_walkers, parse_moves
from .options import complete
from .output import Output
from .plan import Plan, make_plan
from .problem import Problem
from .reader import Reader
from .rng import draw_seed
from .rules import CHECKS, FIRST, MOST_BURNIN, Rules, next_check, unsettled
from .signals import Watch
from .survey import Survey


@dataclass(frozen=True)
class Setup:
    """What rank 0 decided and every rank knows before the work.

    Attributes
    ----------
    plan, header
    options : dict
        All of them; those of a file that is resumed, where they were not given.
    hosts : int
    seconds : float
        One evaluation of log_prob, as the probe took.
    drawn : bool
        Whether the seed was drawn.
    steps : int
        Steps of all ensembles that the file has already, burn-in included.
    finished : bool
        Whether the file that is resumed has all the steps there are to take.
    settled : bool
        Whether the header's burnin is that of the run; else burn-in is to end by itself.
    remarks : tuple of str
        What the user should know.

    """

    plan: Plan
    header: Header
    options: dict[str, Any]
    hosts: int
    seconds: float
    drawn: bool
    steps: int = 0
    finished: bool = False
    settled: bool = True
    remarks: tuple[str, ...] = ()


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


def agree(
    problem: Problem, found: Mapping[str, Any], control: Control, output: Output, watch: Watch
) -> Setup:
    """Probe log_prob on every rank, and let rank 0 decide what all will do.

    From the decision on all ranks go the same way, and a signal ends the work in order.
    """
    value, seconds = _probe(problem, control.where)
    watch.quiet = True
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
        seconds = max(r[3] for r in all_ranks)
        reader = output.claim(found)
        if reader is None:
            setup = _begin(problem, found, control.size, hosts, seconds)
        else:
            setup = _go_on(problem, found, control, hosts, seconds, reader)
        if output.remark:
            setup = replace(setup, remarks=(output.remark, *setup.remarks))
        return setup

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
        took = time.perf_counter() - started
        seconds, spent = min(seconds, took), spent + took
    return value, seconds


def _plan(size: int, nwalkers: int, options: Mapping[str, Any]) -> Plan:
    names = ("nsteps", "burnin", "nensembles", "mode", "teams", "thin_by")
    return make_plan(size, nwalkers=nwalkers, **{k: options[k] for k in names})


def _config(options: Mapping[str, Any], moves: Moves, **known: Any) -> dict[str, Any]:
    """Return the options as JSON can hold them."""
    config = dict(options) | known
    if not isinstance(options["moves"], str | None):
        config["moves"] = "; ".join(describe_moves(moves))
    return config


def _begin(
    problem: Problem, found: Mapping[str, Any], size: int, hosts: int, seconds: float
) -> Setup:
    """Decide on a new run."""
    options = complete(found)
    moves = choose_moves(problem, options)
    nwalkers = _nwalkers(problem, options, moves)
    plan = _plan(size, nwalkers, options)
    _check_rules(options, plan)
    seed = options["seed"] if options["seed"] is not None else draw_seed()
    header = Header(
        problem=problem.name,
        names=problem.names,
        fingerprint=problem.fingerprint(),
        settings=problem.settings() | {"moves": describe_moves(moves)},
        seed=seed,
        nwalkers=nwalkers,
        burnin=next_check(2 * FIRST) if plan.settling else plan.burnin,
        thin_by=plan.thin_by,
        steps=plan.steps,
        config=_config(options, moves, seed=seed, nwalkers=nwalkers, nensembles=plan.nensembles),
        blobs_dtype=problem.returns.dtype if problem.returns.has_blobs else None,
        blobs_shape=problem.returns.shape,
    )
    drawn = options["seed"] is None
    return Setup(plan, header, options, hosts, seconds, drawn, settled=not plan.settling)


def _go_on(
    problem: Problem,
    found: Mapping[str, Any],
    control: Control,
    hosts: int,
    seconds: float,
    reader: Reader,
) -> Setup:
    """Decide on a run that goes on from a file."""
    options = resume.merge(found, reader)
    moves = choose_moves(problem, options)
    resume.check_problem(problem.settings() | {"moves": describe_moves(moves)}, reader)
    plan = _plan(control.size, reader.header.nwalkers, options)
    _check_rules(options, plan)
    resume.check_target(plan.steps, reader)
    remarks = []
    saved = reader.saved(0)
    walker = int(np.argmax(saved.log_prob > -np.inf))
    theta, before = saved.coords[walker], float(saved.log_prob[walker])
    now = float(problem.evaluate(theta[None], where=control.where).log_prob[0])
    if (remark := resume.check_value(now, before, problem.describe(theta), reader)) is not None:
        remarks.append(remark)
    burnin, settled = _settled(plan, reader)
    header = replace(
        reader.header, steps=plan.steps, burnin=burnin, config=_config(options, moves)
    )
    finished = reader.status == "finished" and plan.steps == reader.header.steps
    if settled and not finished and _enough(Rules.of(options), reader):
        finished, header = True, replace(header, steps=reader.header.steps)
    return Setup(
        plan,
        header,
        options,
        hosts,
        seconds,
        drawn=False,
        steps=int(reader.steps.sum()),
        finished=finished,
        settled=settled,
        remarks=tuple(remarks),
    )


def _check_rules(options: Mapping[str, Any], plan: Plan) -> None:
    if options["until_rhat"] is not None and plan.nensembles == 1:
        raise UsageError(
            f"until_rhat is {options['until_rhat']}, and there is one ensemble: R-hat compares "
            "ensembles; use --nensembles 2 or more, or --until-ess alone"
        )


def _settled(plan: Plan, reader: Reader) -> tuple[int, bool]:
    """Return the header's burnin, and whether it is that of the run."""
    burnin, done = reader.header.burnin, reader.steps
    if not plan.settling or done.max() > burnin:
        return burnin, True
    most = int(done.max())
    if most in CHECKS and done.min() == most:
        survey = Survey(reader, done.tolist(), "burnin", start=most // 2)
        if unsettled(survey) is None or most >= MOST_BURNIN:
            return most, True
    return (burnin if most < burnin else next_check(2 * burnin)), False


def _enough(rules: Rules, reader: Reader) -> bool:
    """Tell whether the run ends with the rows there are, because its stop rule is met."""
    rows = reader.rows
    at_check = rows.min() == rows.max() and int(rows.max()) in CHECKS
    return rules.given and at_check and rules.lacks(Survey(reader)) is None


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
