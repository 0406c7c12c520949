"""The command `run`: the settings, the run on all ranks, and what it prints in the end."""

from __future__ import annotations

import os
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import streams
from ..diagnostics.stopping import StopRules
from ..engine.progress import ProgressReporter
from ..engine.run import ALREADY, execute
from ..errors import ExitStatus
from ..launch.outcome import PROGRESS
from ..model.load import ENDING
from ..model.problem import Problem
from ..mpi.control import ControlChannel
from ..results.result import Result
from ..storage.place import shown_path
from ..text import announced, count_text, duration_text
from . import settings
from .commands import steps_done

if TYPE_CHECKING:
    from ..engine.run import Outcome
    from .main import Launch

_TO_PARENT = 0.2  # seconds between two records for the process that started the ranks
_STATUSES = {
    "finished": ExitStatus.DONE,
    "planned": ExitStatus.DONE,
    "short": ExitStatus.SHORT,
    "stopped": ExitStatus.STOPPED,
}


def run(launch: Launch, **arguments: Any) -> int:
    """Run a model on all ranks; return the exit status."""
    comm = launch.comm
    assert comm is not None  # only the doctor does without
    bare, rank = arguments["model"] is None, comm.Get_rank()
    name, options = settings.agree(arguments, ControlChannel(comm))
    reporter = ProgressReporter(on=True, progress=options.get("progress"), rank=rank)
    if launch.threads is not None:
        reporter.remark(launch.threads, told=False)
    if progress := os.environ.get(PROGRESS):
        reporter.watch(lambda record: record.write(Path(progress)), _TO_PARENT, figures=True)
    derived = list[str]()

    def problem() -> Problem | None:
        if rank > 0 and name.endswith(ENDING):
            return None
        loaded = Problem.load(name)
        derived.extend(loaded.derived_functions)
        return loaded

    outcome = execute(
        problem,
        options,
        comm,
        reporter,
        launch.watch,
        lambda stopped: _say_stopped(reporter, stopped, options["output"]),
    )
    code = _STATUSES[outcome.status]
    if rank > 0 or outcome.status == "planned":
        return code
    if outcome.status == "stopped":
        _say_stopped(reporter, outcome, options["output"])
        return code
    result = outcome.result
    assert result is not None
    with announced("working out the figures", reporter.say):
        summary = result.summary()
    rules = StopRules(result.config.get("until_ess"), result.config.get("until_rhat"))
    done = f"done in {duration_text(reporter.seconds)}"
    if outcome.status == "short":
        lacking = f" ({outcome.shortfall})" if outcome.shortfall else ""
        done += f", short of {'the stop rule' if rules.given else 'enough draws'}{lacking}"
    elif rules.given:
        done += f", the stop rule met after {min(result.steps)} steps per ensemble"
    elif result.open_ended:
        done += f", with enough draws after {min(result.steps)} steps per ensemble"
    if outcome.reason == ALREADY:
        more = "ask for more, as with --until-ess" if result.open_ended else "raise --nsteps"
        done = f"there was nothing to do (to go on, {more})"
    reporter.say(
        f"{done}: {result.ndraws} draws in {shown_path(result.path)}, "
        f"acceptance {summary.acceptance_fraction:.2f}\n\n{summary}\n\n{result.assess(summary)}\n"
    )
    if outcome.elsewhere:
        reporter.say(_elsewhere(outcome.elsewhere, comm.Get_size(), reporter.seconds))
    if not os.environ.get(PROGRESS):  # else Python has the result, and perhaps no file
        _next_steps(bare, result)
        if derived:
            file, model = shlex.quote(shown_path(result.path)), shlex.quote(name)
            streams.tell(
                f"      {', '.join(derived)} of each draw: python -m pmcmc derive {file} {model}"
            )
    return code


def _say_stopped(reporter: ProgressReporter, outcome: Outcome, output: str) -> None:
    """Say why the run stopped, what there is, and how to go on."""
    result = outcome.result
    if result is None:
        there = "no ensemble had begun, and nothing was written; start again when you like"
    else:
        there = (
            f"{steps_done(result)} are safe in {output}; the same command with --resume goes "
            "on from there, on any number of ranks"
        )
    reporter.say(f"stopped by {outcome.reason} after {duration_text(reporter.seconds)}: {there}")


def _elsewhere(others: tuple[tuple[int, float], ...], ranks: int, seconds: float) -> str:
    told = ", ".join(
        f"about {duration_text(float(f'{took:.2g}'))} on {count_text(n, 'rank')}"
        for n, took in others
    )
    return (
        f"the same draws would take {told}, with a core each ({duration_text(seconds)} here, "
        f"on {count_text(ranks, 'rank')})\n"
    )


def _next_steps(bare: bool, result: Result) -> None:
    shown = shown_path(result.path)
    path = shlex.quote(shown)
    if find_spec("corner") is None:
        streams.tell(
            f"next: python -m pmcmc summary {path}  (with pip install 'pmcmc[plot]' also: report)"
        )
    else:
        streams.tell(f"next: python -m pmcmc report {path}  (or: plot, export, summary)")
    streams.tell(f"      in Python: pmcmc.load({shown!r}).get_chain(flat=True)")
    if bare:
        streams.tell("      your own model: python -m pmcmc init model.py writes one to change")
