"""The command line: options, commands, what they print, exit statuses."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import model
from ._version import __version__
from .errors import StoreError, UsageError
from .options import CONFIG_FILE, OPTIONS, check, read_config, unknown
from .problem import Problem
from .result import Result, load
from .summary import Summary
from .talk import Talk, time_text

COMMANDS = ("run", "summary", "status")
STATUS_CODES = {"finished": 0, "running": 75, "stopped": 75}

_EPILOG = """\
`run` is implied: python -m pmcmc model.py --nsteps 1000. Without MODEL it runs pmcmc.toml of this
folder if there is one, else the built-in example `line`. On many ranks: mpiexec -n 16 python -m
pmcmc model.py. Exit status: 0 done, 1 failed, 2 usage.
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
    run.add_argument("model", metavar="MODEL", nargs="?")
    run.add_argument("--config", metavar="FILE.toml", help="the same options as keys, `-` as `_`")
    for option in OPTIONS.values():
        flag = "--" + option.name.replace("_", "-")
        shown = (
            ""
            if option.default in (None, False)
            else f" (default: {option.default:g})"
            if (isinstance(option.default, int | float))
            else f" (default: {option.default})"
        )
        if option.name == "progress":
            action: Any = argparse.BooleanOptionalAction
            run.add_argument(flag, action=action, default=None, help=option.help)
        elif option.metavar is None:
            run.add_argument(flag, action="store_true", default=None, help=option.help)
        else:
            run.add_argument(flag, metavar=option.metavar, help=option.help + shown)
    for name, text in (
        ("summary", "mean, sd, quantiles, acceptance and autocorrelation time of the draws"),
        ("status", "what is in a file (exit status: 0 finished, 75 not, 1 unusable)"),
    ):
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.add_argument("file", metavar="FILE")
        command.add_argument("--json", action="store_true", help="for programs")
    return top


def main(arguments: Sequence[str], comm: Any = None, threads: str | None = None) -> int:
    """Run the command line; return the exit status.

    Parameters
    ----------
    arguments : sequence of str
        Without the program's name.
    comm : MPI communicator
        For `run`; the other commands need none.
    threads : str, optional
        What was done about BLAS threads, to be said.

    """
    command, args = _parse(list(arguments))
    if command == "run":
        return _run(args, comm, threads)
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
    names = ["--json"]
    if command == "run":
        names = ["--config", *("--" + name.replace("_", "-") for name in OPTIONS), "--no-progress"]
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


def _run(args: dict[str, Any], comm: Any, threads: str | None) -> int:
    from .engine import execute  # starts MPI, which the commands that read files do without

    bare = args["model"] is None
    name, options = _settings(args)
    rank = comm.Get_rank()
    if "output" not in options:
        options["output"] = model.stem(name) + ".h5"
        if model.is_builtin(name) and not options.get("overwrite"):
            options["output"] = comm.bcast(_free_name(name) if rank == 0 else None)
    talk = Talk(on=True, progress=options.get("progress"), rank=rank)
    if threads is not None:
        talk.remark(threads)
    result = execute(lambda: Problem.load(name), options, comm, talk)
    if rank > 0 or result is None:
        return 0
    summary = result.summary()
    talk.say(
        f"done in {time_text(talk.seconds)}: {result.ndraws} draws in {result.path}, "
        f"acceptance {summary.acceptance_fraction:.2f}\n\n{_table(summary)}\n"
    )
    _next_steps(bare, result)
    return 0


def _free_name(name: str) -> str:
    """Return line.h5, or line-2.h5 and so on if there is one: for the built-in examples only."""
    output, i = Path(f"{name}.h5"), 1
    while output.exists():
        i += 1
        output = Path(f"{name}-{i}.h5")
    return str(output)


def _next_steps(bare: bool, result: Result) -> None:
    print("next: python -m pmcmc summary", result.path)
    print(f'      in Python: pmcmc.load("{result.path}").get_chain(flat=True)')
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
    try:
        result = load(path)
    except StoreError as exc:
        if as_json:
            print(json.dumps({"file": str(path), "status": "unusable", "reason": str(exc)}))
            return 1
        raise
    done, target = sum(result.steps), result.nsteps
    if as_json:
        values = {
            "file": str(path),
            "status": result.status,
            "steps": done,
            "nsteps": target,
            "burnin_steps": min(result.burnin_steps),
            **{k: getattr(result, k) for k in ("burnin", "nensembles", "nwalkers", "seed")},
        }
        print(json.dumps(values))
    else:
        print(f"{path}: {result.status}, {done} of {target} steps ({result.problem})")
        if not done:
            print(f"burn-in: {min(result.burnin_steps)} of {result.burnin} steps per ensemble")
    return STATUS_CODES[result.status]
