"""The command `plan`: times log_prob here, and tells what a run takes on numbers of ranks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import streams
from ..cores import count_cores
from ..errors import ExitStatus
from ..model.problem import Problem
from ..model.walkers import default_nwalkers
from ..options import RunOptions
from ..planner.choose import most_ranks_worth
from ..prepare.forecast import Forecast, Forecaster, network_of
from ..prepare.memory import Memory, make_start, memory_of, resident
from ..prepare.timing import time_log_prob
from ..text import announced, bytes_text, count_text, duration_text, some_text
from . import settings

if TYPE_CHECKING:
    from ..planner.costs import CallCost

_DOUBLED = 12  # times, to find where more ranks stop paying
_SOONER = 0.8  # of the time: fewer walkers are worth a line


def plan(
    ranks: Sequence[int],
    target_ess: float | None,
    tau: float | None,
    network: Path | None,
    as_json: bool,
    picture: Path | None,
    overwrite: bool,
    **arguments: Any,
) -> int:
    """Print what a run takes on numbers of ranks."""
    name, found = settings.read({**arguments, "ranks": None})
    options = RunOptions(**found)
    system = network_of(network)
    before = resident()
    problem = Problem.load(name)
    problem.limit(options.on_error, options.log_prob_timeout)
    nwalkers = options.nwalkers or problem.nwalkers or default_nwalkers(problem.ndim)
    with announced("timing log_prob"):
        call = time_log_prob(problem, nwalkers)
    make_start(problem, nwalkers)
    of_model = max(0, resident() - before)
    forecaster = Forecaster(problem, options, call, system, tau, target_ess)
    width = forecaster.width
    with announced("simulating"):
        rows = [forecaster.forecast(n) for n in ranks]
        doubled = [width * 2**i for i in range(_DOUBLED)]
        worth = most_ranks_worth(forecaster.seconds, doubled)
        small = forecaster.with_few_walkers()
        fewer = [] if small is None else [(small.nwalkers, n, small.seconds(n)) for n in ranks]
    memory = [memory_of(row.plan, problem, of_model) for row in rows]
    about = {
        "problem": problem.name,
        "ndim": problem.ndim,
        "nwalkers": forecaster.nwalkers,
        "tau": forecaster.tau,
        "log_prob": {"mean": call.mean, "variation": call.variation, "row": call.row},
        "latency": system.latency,
        "most_ranks_worth": worth,
        "fewer_walkers": [{"nwalkers": w, "ranks": n, "seconds": s} for w, n, s in fewer],
        "shapes": [_record(row, taken) for row, taken in zip(rows, memory, strict=True)],
    }
    if picture is not None:
        from ..planner.picture import efficiency_picture
        from ..results.files import write_file

        curve = [forecaster.forecast(n) for n in doubled if n <= max(ranks)]
        points = {f.plan.size: f.choice.own for f in (*curve, *rows)}
        data = efficiency_picture([points[n] for n in sorted(points)], problem.name)
        write_file(picture, data, overwrite)
    if as_json:
        print(json.dumps(about))
        return ExitStatus.DONE
    print(_text(problem, call, forecaster, rows, worth, tau, system.latency))
    for line in (*_fewer_text(rows, fewer), _memory_text(memory)):
        print(line)
    if picture is not None:
        streams.tell(f"the picture is in {picture}")
    return ExitStatus.DONE


def _memory_text(memory: Sequence[Memory]) -> str:
    least, most = bytes_text(memory[0].root), bytes_text(memory[-1].root)
    root = least if least == most else f"{least} to {most}"
    return f"memory: about {bytes_text(memory[0].rank)} for each rank, {root} for rank 0"


def _record(row: Forecast, memory: Memory) -> dict[str, Any]:
    own, best = row.choice.own, row.choice.best
    return {
        "ranks": row.plan.size,
        "teams": len(row.plan.teams),
        "nensembles": row.plan.nensembles,
        "burnin": own.length.burnin,
        "steps": own.length.steps,
        "evaluations": own.evaluations,
        "seconds": own.seconds,
        "efficiency": own.efficiency,
        "core_hours": own.core_hours,
        "file_bytes": row.file_bytes,
        "memory_bytes": {"rank": memory.rank, "rank_0": memory.root},
        "best_teams": len(row.best.teams),
        "best_seconds": best.seconds,
    }


def _text(
    problem: Problem,
    call: CallCost,
    forecaster: Forecaster,
    rows: Sequence[Forecast],
    worth: int | None,
    tau: float | None,
    latency: float,
) -> str:
    cost = f"log_prob takes {duration_text(call.mean)} here"
    if call.row is not None:
        cost = (
            f"log_prob takes {duration_text(call.work(1))} for one row and "
            f"{duration_text(call.work(forecaster.nwalkers // 2))} for "
            f"{forecaster.nwalkers // 2} here"
        )
    elif call.variation > 0.1:
        cost += f", give or take {100 * call.variation:.0f}%"
    whence = "given" if tau is not None else "of a normal posterior; --tau gives another"
    lines = [
        f"{problem.name}, {count_text(problem.ndim, 'parameter')}: {cost}",
        f"tau is taken as {forecaster.tau:.3g} steps ({whence}); messages take "
        f"{duration_text(latency)}; every rank has a core of its own ({_here()})",
        "efficiency is the share of all ranks' time that log_prob has",
        "",
        f"{'ranks':>6}  {'teams':<16}{'ensembles':>9}  {'steps':>11}  {'time':>8} {'speed-up':>9}"
        f" {'efficiency':>11} {'core-hours':>11} {'file':>9}",
    ]
    alone = forecaster.seconds(forecaster.width)
    for row in rows:
        own = row.choice.own
        widths = sorted({row.plan.width * len(t.ranks) for t in row.plan.teams})
        span = "-".join(str(w) for w in dict.fromkeys((widths[0], widths[-1])))
        steps = f"{own.length.burnin} + {own.length.steps}"
        lines.append(
            f"{row.plan.size:>6}  {f'{len(row.plan.teams)} of {span}':<16}"
            f"{row.plan.nensembles:>9}  {steps:>11}  {duration_text(own.seconds):>8} "
            f"{alone / own.seconds:>9.1f}"
            f" {100 * own.efficiency:>10.0f}% {own.core_hours:>11.3g} "
            f"{bytes_text(row.file_bytes):>9}"
        )
    return "\n".join([*lines, "", *_advice(rows, worth)])


def _fewer_text(
    rows: Sequence[Forecast], fewer: Sequence[tuple[int, int, float]]
) -> Iterator[str]:
    """Say for which ranks fewer walkers come to "enough" much sooner, and how soon."""
    told = [
        f"{duration_text(seconds)} on {count_text(n, 'rank')}"
        for row, (_, n, seconds) in zip(rows, fewer, strict=False)
        if seconds < _SOONER * row.choice.own.seconds
    ]
    if told:
        yield f"--nwalkers {fewer[0][0]} would take {some_text(told)}: fewer draws, and enough"


def _here() -> str:
    return f"this machine has {count_text(count_cores(), 'core')}"


def _advice(rows: Sequence[Forecast], worth: int | None) -> Iterator[str]:
    """Give quicker shapes, the remarks on shapes, and where more ranks stop paying."""
    for row in rows:
        if row.choice.better and not row.plan.idle:  # of those the remark says why
            yield (
                f"on {row.plan.size} ranks --teams {len(row.best.teams)} --nensembles "
                f"{row.best.nensembles} would take {duration_text(row.choice.best.seconds)}"
            )
    alike: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        for remark in row.plan.remarks:  # those that differ in their numbers say the same
            alike.setdefault(re.sub(r"[\d.]+", "", remark), []).append((row.plan.size, remark))
    for (size, remark), *others in alike.values():
        also = some_text([str(n) for n, _ in others], 8)
        yield f"on {size} ranks" + (f" (and likewise on {also})" if also else "") + f": {remark}"
    if worth is not None:
        yield (
            f"more than {count_text(worth, 'rank')} hardly pay: twice as many save less than a "
            "fifth of the time"
        )
