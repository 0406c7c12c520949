"""Options of a run as words of a command line, and messages about them in Python's terms."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any

from .errors import UsageError
from .options import OPTIONS, Option


def words(found: Mapping[str, Any]) -> list[str]:
    """Return options, as ``options.check`` gave them, as they are typed.

    Parameters
    ----------
    found : mapping
        Values by name.

    Returns
    -------
    list of str

    """
    typed = []
    for name, value in found.items():
        flag = f"--{name.replace('_', '-')}"
        if OPTIONS[name].metavar is not None:
            typed += [f"{flag}={value}"]
        elif value:
            typed += [flag]
        elif OPTIONS[name].default is None:
            typed += [f"--no-{flag[2:]}"]
    return typed


_FREE = ("output", "moves")  # whose value may be any word


def _fits(option: Option, value: str) -> bool:
    """Tell whether a word after an option is its value."""
    with contextlib.suppress(UsageError):
        option.parse(option.name, value)
        return option.name not in _FREE
    return False


_FLAG = re.compile(r"--([a-z]+(?:-[a-z]+)*)\b(?:[ =](\w[\w.:*+-]*))?")


def in_python(text: str) -> str:
    """Return a message that names options of the command line with keywords of Python instead.

    Parameters
    ----------
    text : str
        As in "the same command with --resume --nsteps auto goes on".

    Returns
    -------
    str
        As in "the same call with resume=True, nsteps="auto" goes on".

    """

    def keyword(found: re.Match[str]) -> str:
        name, value = found[1].replace("-", "_"), found[2]
        option = OPTIONS.get(name.removeprefix("no_") if name not in OPTIONS else name)
        if option is None:
            return found[0]
        if option.metavar is None:
            rest = f" {value}" if value else ""
            return f"{option.name}={name == option.name}{rest}"
        if value is None or not _fits(option, value):
            return option.name + (f" {value}" if value else "")
        number = re.fullmatch(r"\d+(\.\d+)?", value)
        return f"{option.name}={value}" if number else f'{option.name}="{value}"'

    text = text.replace("the same command with", "the same call with")
    return re.sub(r"(=True|=False) (?=\w+=)", r"\1, ", _FLAG.sub(keyword, text))
