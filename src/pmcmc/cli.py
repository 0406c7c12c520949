"""The command line: options, commands, what they print, exit statuses."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import batch, model, settings, show, slurm
from ._version import __version__
from .errors import STOPPED, UsageError
from .export import FORMATS
from .options import OPTIONS, Option, unknown
from .problem import Problem
from .result import Result
from .rules import Rules
from .talk import Talk, time_text

if TYPE_CHECKING:
    from .engine import Outcome

COMMANDS = ("run", "summary", "plot", "report", "export", "status", "slurm", "doctor")
EXIT_CODES = {"finished": 0, "planned": 0, "short": show.SHORT, "stopped": STOPPED}

_FLAGS = {
    "doctor": ["--output", "--json"],
    "plot": ["--output", "--parameters"],
    "report": ["--output"],
    "export": ["--format", "--output", "--overwrite"],
}

_EPILOG = """\
`run` is implied: python -m pmcmc model.py --nsteps 1000. Without MODEL it runs pmcmc.toml of this
folder if there is one, else the built-in example `line`. On many ranks: mpiexec -n 16 python -m
pmcmc model.py. Exit status: 0 done, 1 failed, 2 usage, 3 done but short of --until-ess or
--until-rhat, 75 stopped early by a signal or for lack of time, to be resumed with --resume.
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
    _add_readers(commands)
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


def _add_readers(commands: Any) -> None:
    """Add the commands that read a file."""

    def add(name: str, text: str) -> Any:
        described = f"{text[0].upper()}{text[1:]}."
        command = commands.add_parser(name, help=text, description=described, allow_abbrev=False)
        command.add_argument("file", metavar="FILE")
        return command

    command = add("summary", "figures of the draws, and whether there are enough of them")
    command.add_argument("--json", action="store_true", help="for programs")
    command = add("plot", "corner, trace, autocorrelation, running figures, acceptance, as PNG")
    command.add_argument("-o", "--output", metavar="FOLDER", default=".", help="(default: here)")
    text = "these only, as in m,b (default: all)"
    command.add_argument("--parameters", metavar="NAMES", help=text)
    command = add("report", "one HTML page with the verdict, figures, plots and times")
    command.add_argument(
        "-o", "--output", metavar="FILE.html", help="(default: FILE's stem, here)"
    )
    command = add("export", "the draws in another format")
    words = "|".join(FORMATS)
    command.add_argument("--format", metavar=words, required=True, choices=list(FORMATS))
    text = "the file, or GetDist's root (default: FILE's stem, here)"
    command.add_argument("-o", "--output", metavar="OUTPUT", help=text)
    command.add_argument("--overwrite", action="store_true", help="replace files that are there")
    command = add(
        "status",
        "what is in a file (exit status: 0 finished, 3 finished short of its stop rule, 4 a job "
        "is writing it, 75 to be resumed, 1 unusable)",
    )
    command.add_argument("--json", action="store_true", help="for programs")


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
    return _show(command, Path(args["file"]), args)


def _show(command: str, path: Path, args: dict[str, Any]) -> int:
    output = None if args.get("output") is None else Path(args["output"])
    if command == "summary":
        return show.summary(path, args["json"])
    if command == "plot":
        names = args["parameters"]
        return show.plot(path, output or Path(), None if names is None else names.split(","))
    if command == "report":
        return show.report(path, output)
    if command == "export":
        return show.export(path, args["format"], output, args["overwrite"])
    return show.status(path, args["json"])


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
    names = _FLAGS.get(command, ["--json"])
    if command in ("run", "slurm"):
        tables = OPTIONS if command == "run" else {**batch.SETTINGS, **OPTIONS}
        names = ["--config", *("--" + name.replace("_", "-") for name in tables), "--no-progress"]
    raise unknown(flags[0].partition("=")[0], names, "option")


def _slurm(args: dict[str, Any]) -> int:
    given = {name: args.pop(name) for name in batch.SETTINGS}
    given = {name: value for name, value in given.items() if value is not None}
    name, options = settings.read(args)
    print(slurm.script(name, {**batch.here(), **given}, options), end="")
    return 0


def _run(args: dict[str, Any], comm: Any, threads: str | None, watch: Any) -> int:
    # these start MPI, which the commands that read files do without
    from .control import Control
    from .engine import ALREADY, execute

    bare, rank = args["model"] is None, comm.Get_rank()
    name, options = settings.agree(args, Control(comm))
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
    if outcome.status == "short":
        done += f", short of the stop rule ({talk.lack})"
    elif Rules.of(result.config).given:
        done += f", the stop rule met after {min(result.steps)} steps per ensemble"
    if outcome.reason == ALREADY:
        done = "there was nothing to do (to go on, raise --nsteps)"
    talk.say(
        f"{done}: {result.ndraws} draws in {result.path}, "
        f"acceptance {summary.acceptance_fraction:.2f}\n\n{summary}\n\n{result.judge(summary)}\n"
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
            f"{show.steps_done(result)} are safe in {output}; the same command with --resume goes "
            "on from there, on any number of ranks"
        )
    talk.say(f"stopped by {outcome.reason} after {time_text(talk.seconds)}: {there}")


def _next_steps(bare: bool, result: Result) -> None:
    path = shlex.quote(str(result.path))
    if find_spec("corner") is None:
        print(
            f"next: python -m pmcmc summary {path}  (with pip install 'pmcmc[plot]' also: report)"
        )
    else:
        print(f"next: python -m pmcmc report {path}  (or: plot, export, summary)")
    print(f"      in Python: pmcmc.load({str(result.path)!r}).get_chain(flat=True)")
    if bare:
        print("      your own model: mpiexec -n 4 python -m pmcmc model.py (see the README)")
