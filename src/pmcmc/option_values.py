"""How the value of an option is read: the text of the command line, or a native value.

A reader takes the option's name, for the error, and the value; it returns what the run takes, or
raises UsageError.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import UsageError

Parse = Callable[[str, Any], Any]


def fail(name: str, expected: str, value: Any) -> UsageError:
    """Return the error for a value that cannot be."""
    return UsageError(f"{name}: expected {expected}, got {value!r}")


MOST = 10**15  # steps: what is more cannot be meant


def whole(least: int, most: int = MOST) -> Parse:
    """Return a reader of whole numbers in [least, most]; ``1e6`` is one."""

    def parse(name: str, value: Any) -> int:
        number = _integer(value)
        if number is None or not least <= number <= most:
            raise fail(name, f"a whole number {_span(number, least, most)}", value)
        return number

    return parse


def _span(number: int | None, least: int, most: int) -> str:
    """Return what a number must be, as far as this one is not."""
    if most != MOST:
        return f"from {least} to {most}"
    return f"of at least {least}" if number is None or number < least else f"of at most {most}"


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, str):
            value = float(value) if set(value) & set(".eE") else int(value)
        return int(value) if value == int(value) else None
    except (TypeError, ValueError, OverflowError):
        return None


def number_of_seconds(name: str, value: Any) -> float:
    """Read a number of seconds."""
    try:
        number = float(value) if not isinstance(value, bool) else -1.0
    except (TypeError, ValueError):
        number = -1.0
    if not 0 < number < float("inf"):
        raise fail(name, "a number of seconds above 0", value)
    return number


_UNITS = {"d": 86400, "h": 3600, "m": 60, "min": 60, "s": 1}


def duration(name: str, value: Any) -> float:
    """Read 3h50m, 90m, 1:30:00 (as Slurm writes it) or a number of seconds."""
    text = str(value).replace(" ", "").lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)(d|h|min|m|s)", text)
    if parts and "".join(n + unit for n, unit in parts) == text:
        return number_of_seconds(name, sum(float(n) * _UNITS[unit] for n, unit in parts))
    clock = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+)(?::(\d+))?", text)
    if clock:
        days, hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        if clock[4] is None and clock[1] is None:  # minutes:seconds, as in Slurm
            hours, minutes, seconds = 0, hours, minutes
        return number_of_seconds(name, ((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    try:
        return number_of_seconds(name, value)
    except UsageError:
        raise fail(name, "a time such as 3h50m, 90m or 1:30:00, above 0", value) from None


def or_auto(least: int) -> Parse:
    """Return a reader of whole numbers of at least ``least``, or auto."""

    def parse(name: str, value: Any) -> int | str:
        if isinstance(value, str) and value == "auto":
            return value
        number = _integer(value)
        if number is None or not least <= number <= MOST:
            raise fail(name, f"a whole number {_span(number, least, MOST)}, or auto", value)
        return number

    return parse


def above(least: float, what: str) -> Parse:
    """Return a reader of numbers above ``least``; ``what`` says what they are."""

    def parse(name: str, value: Any) -> float:
        try:
            number = float(value) if not isinstance(value, bool) else least
        except (TypeError, ValueError):
            number = least
        if not least < number < float("inf"):
            raise fail(name, f"{what} above {least:g}", value)
        return number

    return parse


def choice(*words: str) -> Parse:
    """Return a reader of one of ``words``."""

    def parse(name: str, value: Any) -> str:
        if value not in words:
            raise fail(name, f"{', '.join(words[:-1])} or {words[-1]}", value)
        return str(value)

    return parse


def devices(name: str, value: Any) -> int | str:
    """Read auto, none or a number of devices."""
    if isinstance(value, str) and value in ("auto", "none"):
        return value
    number = _integer(value)
    if number is None or not 1 <= number <= 1024:
        raise fail(name, "auto, none, or a number of devices", value)
    return number


def switch(name: str, value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise fail(name, "true or false", value)
    return value


def names(name: str, value: Any) -> str:
    """Read names: a text with commas between them, or a list."""
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(x, str) and x for x in texts):
        raise fail(name, "parameters, derived, or names with commas between", value)
    return ",".join(text.strip() for text in texts)


def file_name(name: str, value: Any) -> str:
    """Read the name of a file."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise fail(name, "a file name", value)
    return str(value)
