"""Reads the command line by the table of commands.

This module loads no numpy, as `arguments` does not: `python -m pmcmc` reads here whether a command
needs ranks, and has to set the number of BLAS threads before numpy loads.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from .._version import __version__
from ..errors import UsageError
from ..options import unknown
from .arguments import COMMANDS

_EPILOG = """\
`run` is implied: python -m pmcmc model.py --nsteps 1000. Without MODEL it runs pmcmc.toml of this
folder if there is one, else the built-in example `line`. On many ranks: mpiexec -n 16 python -m
pmcmc model.py. Exit status: 0 done, 1 failed, 2 usage, 3 done but short of its goal (that of
--until-ess and --until-rhat, else enough draws; --nsteps alone has none), 75 stopped early by a
signal or for lack of time, to be resumed with --resume.
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
    parsers = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        sentence = f"{command.help[0].upper()}{command.help[1:]}. {command.more}"
        one = parsers.add_parser(
            name, help=command.help, description=sentence.strip(), allow_abbrev=False
        )
        for heading, arguments in command.groups().items():
            where = one.add_argument_group(heading) if heading else one
            for argument in arguments:
                where.add_argument(*argument.flags, **argument.about)
    return top


def needs_ranks(arguments: Sequence[str]) -> bool:
    """Tell whether the command line asks for work on MPI ranks; `run` is implied."""
    if {"-h", "--help"} & set(arguments) or "--version" in arguments[:1]:
        return False
    command = COMMANDS.get(arguments[0]) if arguments else None
    return command is None or command.ranks


_GOING_ON = ("resume", "restart", "continue")  # commands of others


def parse(arguments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the command and its arguments, by name.

    Raises
    ------
    UsageError
        If there is no such command or option.
    SystemExit
        After --help and --version.

    """
    words = list(arguments)
    if not words or (words[0] not in COMMANDS and words[0] not in ("-h", "--help", "--version")):
        words = ["run", *words]
    known, rest = parser().parse_known_args(words)
    values = vars(known)
    command = values.pop("command")
    if rest:
        _refuse(command, rest, values.get("model"))
    return command, values


def _refuse(command: str, rest: list[str], model: str | None) -> NoReturn:
    """Refuse words that are no argument of the command."""
    from ..model.load import is_builtin

    flags = [word for word in rest if word.startswith("-")]
    if flags:
        known = [f for a in COMMANDS[command].arguments() for f in a.long_flags()]
        raise unknown(flags[0].partition("=")[0], known, "option")
    if model is not None and model.isidentifier() and not is_builtin(model):
        if model in _GOING_ON:
            raise UsageError(
                f"there is no command {model}: the command that began a run goes on with it, with "
                "--resume besides"
            )
        raise unknown(model, list(COMMANDS), "command")
    raise UsageError(f"one argument too many: {rest[0]}")
