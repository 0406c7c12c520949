"""What an argument and a command are, of which `arguments` makes its table. It loads no numpy."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..options import Option


@dataclass(frozen=True)
class Argument:
    """One argument of a command: its flags, or its name if it has none, as argparse takes it."""

    flags: tuple[str, ...]
    about: Mapping[str, Any]

    def long_flags(self) -> list[str]:
        """Return the flags that begin with two dashes."""
        flags = [flag for flag in self.flags if flag.startswith("--")]
        if self.about.get("action") is argparse.BooleanOptionalAction:
            flags += ["--no-" + flag[2:] for flag in flags]
        return flags


Groups = Mapping[str, Iterable[Argument]]  # by the heading in the help, "" for none


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes
    ----------
    help : str
        What it does.
    groups : callable
        Returns its arguments; what these need is imported then.
    more : str
        What its own help says besides.
    module : str
        Where the function of its name is: the modules of this folder, each imported when one of
        its commands is used, so that reading a file loads neither MPI, emcee nor scipy.
    ranks : bool
        Whether it works on MPI ranks; the others need no MPI.

    """

    help: str
    groups: Callable[[], Groups]
    more: str = ""
    module: str = "commands"
    ranks: bool = False

    def handler(self, name: str) -> Callable[..., int]:
        """Return the function that does it: of a Launch where it works on ranks, and arguments."""
        module = importlib.import_module(f".{self.module}", __package__)
        handler: Callable[..., int] = getattr(module, "try_again" if name == "try" else name)
        return handler

    def arguments(self) -> list[Argument]:
        """Return the arguments of all groups."""
        return [argument for group in self.groups().values() for argument in group]


def argument(*flags: str, **about: Any) -> Argument:
    """Return the argument with these flags, or this name, as argparse takes it."""
    return Argument(flags, about)


def option_argument(option: Option) -> Argument:
    """Return the argument for an option; if it is not given, its value is None."""
    flag, text = "--" + option.name.replace("_", "-"), option.help.replace("%", "%%")
    if option.metavar is None:  # a switch; one that is neither on nor off by itself has a --no-
        action = argparse.BooleanOptionalAction if option.default is None else "store_true"
        return argument(flag, action=action, default=None, help=text)
    if option.default is not None:
        number = isinstance(option.default, int | float)
        text += f" (default: {option.default:g})" if number else f" (default: {option.default})"
    return argument(flag, metavar=option.metavar, help=text)
