"""The command line: options, commands, what they print, exit statuses."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import batch, model, slurm
from ._version import __version__
from .errors import STOPPED, StoreError, UsageError
from .lock import Writer, being_written
from .options import CONFIG_FILE, OPTIONS, Option, check, read_config, unknown
from .problem import Problem
from .result import Result, load
from .summary import Summary
from .talk import Talk, time_text

if TYPE_CHECKING:
    from .engine import Outcome

COMMANDS = ("run", "summary", "status", "slurm", "doctor")
EXIT_CODES = {"finished": 0, "planned": 0, "stopped": STOPPED}
WRITING = 4  # status of a file that a job is writing now

_EPILOG = """\
`run` is implied: python -m pmcmc model.py --nsteps 1000. Without MODEL it runs pmcmc.toml of this
folder if there is one, else the built-in example `line`. On many ranks: mpiexec -n 16 python -m
pmcmc model.py. Exit status: 0 done, 1 failed, 2 usage, 75 stopped
early by a signal or for lack of time, to be resumed with --resume.
"""


class _Parser(argparse.ArgumentParser):
    """argparse, with errors as exceptions: one message, from rank 0 only."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (python -m pmcmc {self.prog.split()[-1]} --help)")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = _Parser(
        prog="pmcmc",
        description="Run emcee on any number of MPI ranks.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"pmcmc {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run",
        help="sample a model",
        description="Sample MODEL: a .py file, a module, or a built-in example "
        f"({', '.join(model.BUILTIN)}).",
        allow_abbrev=False,
    )
    _add_options(run, OPTIONS.values())
    script = commands.add_parser(
        "slurm",
        help="print a Slurm batch script",
        description="Print a batch script that samples MODEL: pmcmc slurm MODEL > job.sh, then "
        "sbatch job.sh. Options of `run` are passed on to it.",
        allow_abbrev=False,
    )
    _add_options(script.add_argument_group("options of the job"), batch.SETTINGS.values())
    _add_options(script.add_argument_group("options of the run"), OPTIONS.values())
    for command in (run, script):
        command.add_argument("model", metavar="MODEL", nargs="?")
        text = "the options of the run as keys, `-` as `_`"
        command.add_argument("--config", metavar="FILE.toml", help=text)
    for name, text in (
        ("summary", "mean, sd, quantiles, acceptance and autocorrelation time of the draws"),
        (
            "status",
            "what is in a file (exit status: 0 finished, 4 a job is writing it, 75 to be "
            "resumed, 1 unusable)",
        ),
    ):
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.add_argument("file", metavar="FILE")
        command.add_argument("--json", action="store_true", help="for programs")
    text = "examine MPI, ranks, cores, threads and the output folder; start it as you would a run"
    doctor = commands.add_parser(
        "doctor",
        help=text,
        description=f"{text[0].upper()}{text[1:]}: mpiexec -n 16 python -m pmcmc doctor. Exit "
        "status: 1 if something is wrong, else 0.",
        allow_abbrev=False,
    )
    doctor.add_argument(
        "--output",
        metavar="FOLDER",
        default=".",
        help="where output is to go, or a file there (default: the current folder)",
    )
    doctor.add_argument("--json", action="store_true", help="for programs")
    return top


def _add_options(where: Any, options: Iterable[Option]) -> None:
    for option in options:
        flag = "--" + option.name.replace("_", "-")
        shown = (
            ""
            if option.default in (None, False)
            else f" (default: {option.default:g})"
            if (isinstance(option.default, int | float))
            else f" (default: {option.default})"
        )
        text = option.help.replace("%", "%%")
        if option.name == "progress":
            where.add_argument(
                flag, action=argparse.BooleanOptionalAction, default=None, help=text
            )
        elif option.metavar is None:
            where.add_argument(flag, action="store_true", default=None, help=text)
        else:
            where.add_argument(flag, metavar=option.metavar, help=text + shown)


def main(
    arguments: Sequence[str],
    comm: Any = None,
    threads: str | None = None,
    watch: Any = None,
    launch_error: str | None = None,
) -> int:
    """Run the command line; return the exit status.

    Parameters
    ----------
    arguments : sequence of str
        Without the program's name.
    comm : MPI communicator
        For `run` and `doctor`; the other commands need none.
    threads : str, optional
        What was done about BLAS threads, to be said.
    watch : Watch, optional
        Notes signals since the process began.
    launch_error : str, optional
        Why there is no communicator, for `doctor`.

    """
    command, args = _parse(list(arguments))
    if command == "run":
        return _run(args, comm, threads, watch)
    if command == "slurm":
        return _slurm(args)
    if command == "doctor":
        from .doctor import doctor

        return doctor(comm, args["output"], args["json"], launch_error, threads)
    if command == "summary":
        return _summary(Path(args["file"]), args["json"])
    return _status(Path(args["file"]), args["json"])


def _parse(arguments: list[str]) -> tuple[str, dict[str, Any]]:
    first = next((a for a in arguments if not a.startswith("-")), None)
    asks = {"-h", "--help", "--version"} & set(arguments[:1])
    if first not in COMMANDS or arguments[0] != first:
        arguments = arguments if asks else ["run", *arguments]
    known, rest = parser().parse_known_args(arguments)
    values = vars(known)
    command = values.pop("command")
    if rest:
        _refuse_rest(command, rest, values.get("model"))
    return command, values


def _refuse_rest(command: str, rest: list[str], name: str | None) -> NoReturn:
    flags = [r for r in rest if r.startswith("-")]
    if not flags:
        if name is not None and name.isidentifier() and not model.is_builtin(name):
            raise unknown(name, list(COMMANDS), "command")
        raise UsageError(f"one argument too many: {rest[0]}")
    names = ["--output", "--json"] if command == "doctor" else ["--json"]
    if command in ("run", "slurm"):
        tables = OPTIONS if command == "run" else {**batch.SETTINGS, **OPTIONS}
        names = ["--config", *("--" + name.replace("_", "-") for name in tables), "--no-progress"]
    raise unknown(flags[0].partition("=")[0], names, "option")


def _settings(args: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the model and the options, from the command line over the config file."""
    name, config = args.pop("model"), args.pop("config")
    given = check(args)
    found: dict[str, Any] = {}
    if config is not None:
        found = read_config(Path(config))
    elif name is None and Path(CONFIG_FILE).is_file():
        config = CONFIG_FILE
        found = read_config(Path(config))
    from_file = found.pop("model", None)
    name = name or from_file
    if name is None:
        if config is not None:
            raise UsageError(f'{config} names no model: add a line such as model = "model.py"')
        name = "line"
    if "teams" in given:
        found.pop("mode", None)
    if "mode" in given:
        found.pop("teams", None)
    found.update(given)
    model.find(name)
    return name, found


def _slurm(args: dict[str, Any]) -> int:
    given = {name: args.pop(name) for name in batch.SETTINGS}
    given = {name: value for name, value in given.items() if value is not None}
    name, options = _settings(args)
    print(slurm.script(name, {**batch.here(), **given}, options), end="")
    return 0


def _run(args: dict[str, Any], comm: Any, threads: str | None, watch: Any) -> int:
    from .engine import (
        ALREADY,
        execute,
    )  # starts MPI, which the commands that read files do without

    bare = args["model"] is None
    name, options = _settings(args)
    rank = comm.Get_rank()
    if "output" not in options:
        options["output"] = model.stem(name) + ".h5"
        if model.is_builtin(name) and not options.get("overwrite"):
            resume = bool(options.get("resume"))
            options["output"] = comm.bcast(_free_name(name, resume) if rank == 0 else None)
    talk = Talk(on=True, progress=options.get("progress"), rank=rank)
    if threads is not None:
        talk.remark(threads)
    outcome = execute(lambda: Problem.load(name), options, comm, talk, watch)
    code = EXIT_CODES[outcome.status]
    if rank > 0 or outcome.status == "planned":
        return code
    if outcome.status == "stopped":
        _say_stopped(talk, outcome, options["output"])
        return code
    result = outcome.result
    assert result is not None
    summary = result.summary()
    done = f"done in {time_text(talk.seconds)}"
    if outcome.reason == ALREADY:
        done = "there was nothing to do (to go on, raise --nsteps)"
    talk.say(
        f"{done}: {result.ndraws} draws in {result.path}, "
        f"acceptance {summary.acceptance_fraction:.2f}\n\n{_table(summary)}\n"
    )
    _next_steps(bare, result)
    return code


def _say_stopped(talk: Talk, outcome: Outcome, output: str) -> None:
    """Say why the run stopped, what there is, and how to go on."""
    result = outcome.result
    if result is None:
        there = "no ensemble had begun, and nothing was written; start again when you like"
    else:
        there = (
            f"{_steps_done(result)} are safe in {output}; the same command with --resume goes on "
            "from there, on any number of ranks"
        )
    talk.say(f"stopped by {outcome.reason} after {time_text(talk.seconds)}: {there}")


def _steps_done(result: Result) -> str:
    if sum(result.steps):
        return f"{sum(result.steps)} of {result.nsteps} steps"
    return f"{min(result.burnin_steps)} of {result.burnin} burn-in steps per ensemble"


def _free_name(name: str, resume: bool) -> str:
    """Return line.h5, or line-2.h5 and so on if there is one: for the built-in examples only.

    To resume, the last that is there.
    """
    output, i = Path(f"{name}.h5"), 1
    last = output
    while output.exists():
        i += 1
        last, output = output, Path(f"{name}-{i}.h5")
    return str(last if resume else output)


def _next_steps(bare: bool, result: Result) -> None:
    print("next: python -m pmcmc summary", shlex.quote(str(result.path)))
    print(f"      in Python: pmcmc.load({str(result.path)!r}).get_chain(flat=True)")
    if bare:
        print("      your own model: mpiexec -n 4 python -m pmcmc model.py (see the README)")


def _summary(path: Path, as_json: bool) -> int:
    result = load(path)
    summary = result.summary()
    if as_json:
        print(json.dumps({"file": str(path), "status": result.status, **summary.to_dict()}))
        return 0
    steps = sorted(set(result.steps))
    span = str(steps[0]) if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
    print(f"{path}: {result.problem}, {result.status}, {summary.ndraws} draws")
    print(
        f"{result.nensembles} ensembles of {result.nwalkers} walkers, {span} steps each after "
        f"{result.burnin} of burn-in; acceptance {summary.acceptance_fraction:.2f}\n"
    )
    print(_table(summary))
    return 0


def _table(summary: Summary) -> str:
    remark = summary.remark()
    return f"{summary}\n\n{remark}" if remark else str(summary)


def _status(path: Path, as_json: bool) -> int:
    writer = being_written(path)
    try:
        result = load(path)
    except StoreError as exc:
        if writer and not path.exists():
            return _status_of_none(path, writer, as_json)
        if as_json:
            values = {"file": str(path), "status": "unusable", "exit_status": 1}
            print(json.dumps({**values, "reason": str(exc)}))
            return 1
        raise
    if result.status == "finished":
        writer = None
    status = result.status
    if writer:
        status = "running"
    elif status == "running":
        status = "interrupted"
    code = WRITING if writer else 0 if status == "finished" else STOPPED
    if as_json:
        values = {
            "file": str(path),
            "status": status,
            "exit_status": code,
            "writer": None if writer is None else str(writer),
            "steps": sum(result.steps),
            "nsteps": result.nsteps,
            "burnin_steps": min(result.burnin_steps),
            **{k: getattr(result, k) for k in ("burnin", "nensembles", "nwalkers", "seed")},
        }
        print(json.dumps(values))
        return code
    print(f"{path}: {status}, {_steps_done(result)} ({result.problem})")
    if writer:
        print(f"it is being written by {writer}, since {writer.since}")
    elif code:
        print("to go on: the command that made it, with --resume, on any number of ranks")
    return code


def _status_of_none(path: Path, writer: Writer, as_json: bool) -> int:
    """Say that a job is at work that has not made its file yet."""
    if as_json:
        values = {"file": str(path), "status": "running", "exit_status": WRITING}
        print(json.dumps({**values, "writer": str(writer)}))
    else:
        print(f"{path}: not there yet; {writer} began with it, {writer.since}")
    return WRITING
