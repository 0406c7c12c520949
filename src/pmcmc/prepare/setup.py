"""Before the work: every rank probes the problem, and rank 0 decides what all will do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import streams
from ..diagnostics.limits import looked_at
from ..diagnostics.statistics import ChainStatistics
from ..diagnostics.stopping import CHECKS, StopRules, room, rooms
from ..errors import StoreError
from ..model.problem import Problem
from ..mpi.control import ControlChannel
from ..options import RunOptions
from ..planner.costs import slowdown
from ..pool.together import EvaluationGroup
from ..sampler.earlier import EarlierRun
from ..sampler.moves import Moves, describe_moves
from ..sampler.overhead import splits_of
from ..sampler.rng import draw_seed
from ..signals import SignalWatch
from ..storage.header import Header
from ..storage.place import shown_path
from ..storage.reader import RunReader
from ..text import some_text
from . import resume
from .choices import check_rules, choose_moves, choose_nwalkers, config_of, origin_of
from .earlier import read_earlier
from .groups import join_group
from .hosts import Places
from .output import OutputClaim
from .plan import Plan
from .probe import Probe, compare, probe, probe_of_member, slowest_host
from .shape import make_plan
from .sizes import check_sizes, room_remark


@dataclass(frozen=True)
class Setup:
    """What rank 0 decided and every rank knows before the work.

    Attributes
    ----------
    plan : Plan
    header : Header
        Of the file, as it is to be.
    options : RunOptions
        All of them; those of a file that is resumed, where they were not given.
    seconds : float
        One evaluation of log_prob, as the probe took on the slowest rank.
    drawn : bool
        Whether the seed was drawn.
    steps : int
        Steps of all ensembles that the file has already, burn-in included.
    finished : bool
        Whether the file that is resumed has all the steps there are to take.
    settled : bool
        Whether the header's burnin is that of the run; else its end is to be decided.
    remarks : tuple of str
        What the user should know.
    earlier : EarlierRun or None
        Where walkers begin in place of the problem's ``initial``.
    hosts : int
        Number of hosts.
    slowdown : float
        Of a rank that shares a core; see `costs.slowdown`.

    """

    plan: Plan
    header: Header
    options: RunOptions
    seconds: float
    drawn: bool
    steps: int = 0
    finished: bool = False
    settled: bool = True
    remarks: tuple[str, ...] = ()
    earlier: EarlierRun | None = None
    hosts: int = 1
    slowdown: float = 1.0


@dataclass(frozen=True)
class _Costs:
    """What the shape goes by: seconds of log_prob, and how much slower a shared core is."""

    seconds: float
    slowdown: float = 1.0


def agree(
    problem: Problem,
    found: Mapping[str, Any],
    control: ControlChannel,
    output: OutputClaim,
    watch: SignalWatch,
    places: Places,
) -> tuple[Setup, EvaluationGroup | None]:
    """Probe log_prob on every rank, and let rank 0 decide what all will do; collective.

    From the decision on all ranks go the same way, and a signal ends the work in order.

    Parameters
    ----------
    problem : Problem
        This rank's.
    found : mapping
        The options that were given, as `options.check` returns them.
    control : ControlChannel
        Of all ranks.
    output : OutputClaim
        Takes the lock of the output, on rank 0.
    watch : SignalWatch
        After the probe it only notes signals.
    places : Places
        Of all ranks.

    Returns
    -------
    setup : Setup
        The same on every rank.
    group : EvaluationGroup or None
        The ranks with which this one evaluates log_prob; None where its function takes no comm.

    Raises
    ------
    EvaluationError
        If log_prob fails on this rank.
    ModelError, UsageError, StoreError
        On rank 0, if ranks differ, or an option, the model or the output cannot be used.

    """
    early, hosts = _early_options(found, control, output), places.hosts
    problem.limit(early.on_error, early.log_prob_timeout)
    groups, group = join_group(problem, early.ranks_per_evaluation, hosts, control)
    together = groups.ranks if groups.width > 1 else ()
    if group is not None and not group.is_root:
        control.meanwhile = lambda: group.attend(
            lambda theta, comm: problem.take_part(theta, comm, control.where)
        )
        mine = probe_of_member(problem)
    else:
        mine = probe(problem, control.where)
    watch.quiet = True

    def decide(probes: list[Probe]) -> Setup:
        remarks = [compare(probes, problem), groups.remark]
        slowest = slowest_host(probes)
        slower = slowdown(places.ranks_per_core, slowest.seconds, slowest.busy)
        costs = _Costs(slowest.seconds, slower)
        reader = output.claim(RunOptions(**found))
        if reader is None:
            setup = _begin(problem, found, control.size, together, costs)
            if setup.options.initial is not None:
                path = None if output.place is None else output.place.path
                began = read_earlier(Path(setup.options.initial), problem.names, path)
                setup = replace(setup, earlier=began)
        else:
            if not found.get("no_verify"):
                resume.check_draws(reader)
            setup = _go_on(problem, found, control, together, costs, reader)
        remarks.append(output.remark)
        if output.place is not None and not setup.plan.open_ended:
            remarks.append(room_remark(setup.header, output.place.path))
        said = (*filter(None, remarks), *setup.remarks)
        return replace(setup, hosts=len(set(hosts)), slowdown=slower, remarks=said)

    def late(ranks: list[int]) -> None:
        where = some_text([f"rank {rank} (host {hosts[rank]})" for rank in ranks])
        streams.tell(f"note: for a minute no word of a first log_prob on {where}", error=True)

    setup: Setup = control.gather_and_decide(mine, decide, late)
    control.meanwhile = lambda: None
    problem.limit(setup.options.on_error, setup.options.log_prob_timeout)
    return setup, group


def _early_options(
    found: Mapping[str, Any], control: ControlChannel, output: OutputClaim
) -> RunOptions:
    """Return the options that the probe goes by, else those of the file that is resumed."""

    def decide(_: list[None]) -> dict[str, Any]:
        if output.place is None or not output.place.path.exists():
            return {}
        try:
            config = RunReader(output.place.path).header.config
        except StoreError:  # it is said later on
            return {}
        return {key: config[key] for key in early if config.get(key) is not None}

    early = ("on_error", "log_prob_timeout", "ranks_per_evaluation")
    kept = control.gather_and_decide(None, decide) if found.get("resume") else {}
    return RunOptions(**{**kept, **{key: found[key] for key in early if key in found}})


def _plan(
    size: int,
    groups: tuple[tuple[int, ...], ...],
    nwalkers: int,
    options: RunOptions,
    problem: Problem,
    costs: _Costs,
    moves: Moves,
) -> Plan:
    return make_plan(
        size,
        groups=groups,
        seconds=costs.seconds,
        slowdown=costs.slowdown,
        vectorized=problem.vectorized,
        nwalkers=nwalkers,
        nsteps=options.nsteps,
        burnin=options.burnin,
        nensembles=options.nensembles,
        mode=options.mode,
        teams=options.teams,
        thin_by=options.thin_by,
        splits=splits_of(moves),
    )


def _begin(
    problem: Problem,
    found: Mapping[str, Any],
    size: int,
    groups: tuple[tuple[int, ...], ...],
    costs: _Costs,
) -> Setup:
    """Decide on a new run."""
    options = RunOptions(**found)
    moves = choose_moves(problem, options)
    nwalkers = choose_nwalkers(problem, options, moves)
    plan = _plan(size, groups, nwalkers, options, problem, costs, moves)
    check_rules(options, plan)
    seed = options.seed if options.seed is not None else draw_seed()
    header = Header(
        problem=problem.name,
        names=problem.names,
        fingerprint=problem.fingerprint(),
        settings=problem.settings() | {"moves": describe_moves(moves)},
        seed=seed,
        nwalkers=nwalkers,
        burnin=room(0, 0) if plan.burnin is None else plan.burnin,
        thin_by=plan.thin_by,
        steps=rooms(0, (0,) * plan.nensembles, plan.steps) if plan.open_ended else plan.steps,
        config=config_of(options, moves, seed=seed, nwalkers=nwalkers, nensembles=plan.nensembles),
        blobs_dtype=problem.returns.dtype if problem.returns.has_blobs else None,
        blobs_shape=problem.returns.shape,
        derived=tuple(problem.derived()),
        labels=problem.labels,
        bounds=problem.bounds(),
        origin=origin_of(problem, size),
    )
    looked_at(options.until_of, header.names, header.derived_names)  # raises if one is not there
    check_sizes(header)
    drawn, settled = options.seed is None, _needs_no_check(plan, options)
    return Setup(plan, header, options, costs.seconds, drawn, settled=settled)


def _go_on(
    problem: Problem,
    found: Mapping[str, Any],
    control: ControlChannel,
    groups: tuple[tuple[int, ...], ...],
    costs: _Costs,
    reader: RunReader,
) -> Setup:
    """Decide on a run that goes on from a file."""
    options = resume.merge(found, reader)
    moves = choose_moves(problem, options)
    resume.check_problem(problem.settings() | {"moves": describe_moves(moves)}, reader)
    plan = _plan(control.size, groups, reader.header.nwalkers, options, problem, costs, moves)
    # the number of ensembles is that of the file
    kept = tuple(remark.partition("; --nensembles")[0] for remark in plan.remarks)
    plan = replace(plan, remarks=kept)
    check_rules(options, plan)
    steps = plan.steps
    if plan.open_ended:  # a file that has more already is not refused
        at_least = zip(plan.steps, reader.rows, strict=True)
        plan = replace(plan, steps=tuple(max(most, int(has)) for most, has in at_least))
        steps = rooms(int(reader.rows.max()), reader.header.steps, plan.steps)
    resume.check_target(plan.steps, reader)
    remarks = []
    saved = next(filter(None, map(reader.saved, range(len(reader.steps)))), None)
    if saved is None:
        raise StoreError(f"{shown_path(reader.path)} holds no state of any ensemble to go on from")
    walker = int(np.argmax(saved.log_prob > -np.inf))
    theta, before = saved.coords[walker], float(saved.log_prob[walker])
    now = float(problem.evaluate(theta[None], where=control.where).log_prob[0])
    if (
        remark := resume.check_value(now, before, problem.describe(theta), reader, problem.single)
    ) is not None:
        remarks.append(remark)
    settled = _settled(plan, options, reader)
    header = replace(reader.header, steps=steps, config=config_of(options, moves))
    looked_at(options.until_of, header.names, header.derived_names)
    check_sizes(header)
    finished = reader.status == "finished" and plan.steps == reader.header.steps
    if settled and not finished and _enough(StopRules.of(options), reader):
        finished, header = True, replace(header, steps=reader.header.steps)
    return Setup(
        plan,
        header,
        options,
        costs.seconds,
        drawn=False,
        steps=int(reader.steps.sum()),
        finished=finished,
        settled=settled,
        remarks=tuple(remarks),
    )


def _needs_no_check(plan: Plan, options: RunOptions) -> bool:
    """Tell whether burn-in just ends, with the steps that were asked for."""
    return plan.burnin is not None and not options.rescues


def _settled(plan: Plan, options: RunOptions, reader: RunReader) -> bool:
    """Tell whether the header's burnin is that of the run; else the coordinator decides."""
    over = bool(reader.starts) or int(reader.steps.max()) > reader.header.burnin
    return over or _needs_no_check(plan, options)


def _enough(rules: StopRules, reader: RunReader) -> bool:
    """Tell whether the run ends with the rows there are, because its stop rule is met."""
    rows = reader.rows
    at_check = rows.min() == rows.max() and int(rows.max()) in CHECKS
    return rules.given and at_check and rules.lacks(ChainStatistics(reader)) is None
