"""The options of a run: one table for the command line, the TOML file and Python keywords."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import UsageError
from .moves import check_moves, parse_moves
from .rng import MAX_SEED

Parse = Callable[[str, Any], Any]
CONFIG_FILE = "pmcmc.toml"


@dataclass(frozen=True)
class Option:
    """One option: how to read it, its default, and what to say of it.

    ``parse(name, value)`` takes the text of the command line or a native value.
    """

    name: str
    parse: Parse
    default: Any
    metavar: str | None  # None: a switch
    help: str


def fail(name: str, expected: str, value: Any) -> UsageError:
    """Return the error for a value that cannot be."""
    return UsageError(f"{name}: expected {expected}, got {value!r}")


def whole(least: int, most: int | None = None) -> Parse:
    """Return a reader of whole numbers in [least, most]; ``1e6`` is one."""

    def parse(name: str, value: Any) -> int:
        span = f"from {least} to {most}" if most is not None else f"of at least {least}"
        number = _integer(value)
        if number is None or number < least or (most is not None and number > most):
            raise fail(name, f"a whole number {span}", value)
        return number

    return parse


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, str):
            value = float(value) if set(value) & set(".eE") else int(value)
        return int(value) if value == int(value) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _seconds(name: str, value: Any) -> float:
    try:
        number = float(value) if not isinstance(value, bool) else -1.0
    except (TypeError, ValueError):
        number = -1.0
    if not 0 < number < float("inf"):
        raise fail(name, "a number of seconds above 0", value)
    return number


_UNITS = {"d": 86400, "h": 3600, "m": 60, "min": 60, "s": 1}


def _duration(name: str, value: Any) -> float:
    """Read 3h50m, 90m, 1:30:00 (as Slurm writes it) or a number of seconds."""
    text = str(value).replace(" ", "").lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)(d|h|min|m|s)", text)
    if parts and "".join(n + unit for n, unit in parts) == text:
        return _seconds(name, sum(float(n) * _UNITS[unit] for n, unit in parts))
    clock = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+)(?::(\d+))?", text)
    if clock:
        days, hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        if clock[4] is None and clock[1] is None:  # minutes:seconds, as in Slurm
            hours, minutes, seconds = 0, hours, minutes
        return _seconds(name, ((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    try:
        return _seconds(name, value)
    except UsageError:
        raise fail(name, "a time such as 3h50m, 90m or 1:30:00, above 0", value) from None


def _burnin(name: str, value: Any) -> Any:
    if value == "auto":
        return value
    try:
        return whole(0)(name, value)
    except UsageError:
        raise fail(name, "a whole number of at least 0, or auto", value) from None


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
            raise fail(name, " or ".join(words), value)
        return str(value)

    return parse


def switch(name: str, value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise fail(name, "true or false", value)
    return value


def _moves(name: str, value: Any) -> Any:
    if isinstance(value, str):
        parse_moves(value)
    else:
        check_moves(value)
    return value


def _path(name: str, value: Any) -> str:
    if not isinstance(value, str | Path) or not str(value):
        raise fail(name, "a file name", value)
    return str(value)


_ALL = (
    Option("output", _path, None, "FILE", "HDF5 file (default: the model's name + .h5, here)"),
    Option("nsteps", whole(1), 5000, "N", "kept production steps in total, over all ensembles"),
    Option(
        "burnin",
        _burnin,
        100,
        "B",
        "steps per ensemble before production, in addition; auto: until it has settled",
    ),
    Option("nwalkers", whole(2), None, "W", "walkers per ensemble (default: max(32, 4 ndim))"),
    Option("nensembles", whole(1), None, "K", "independent ensembles (default: one per team)"),
    Option("mode", choice("split", "pool"), "split", "split|pool", "many teams of ranks, or one"),
    Option("teams", whole(1), None, "T", "that many teams, instead of --mode"),
    Option(
        "schedule",
        choice("auto", "static", "demand"),
        "auto",
        "auto|static|demand",
        "how a team shares out evaluations: in equal blocks, or one by one to whoever is free",
    ),
    Option("seed", whole(0, MAX_SEED), None, "S", "for the same draws again (default: drawn)"),
    Option(
        "moves",
        _moves,
        None,
        "SPEC",
        "moves and weights, as in de:0.8,stretch:0.2 (default: stretch)",
    ),
    Option("thin_by", whole(1), 1, "M", "keep every M-th step"),
    Option(
        "until_ess",
        above(0, "an effective number of draws"),
        None,
        "E",
        "stop when every parameter has that many effective draws (exit status 3: nsteps too few)",
    ),
    Option(
        "until_rhat",
        above(1, "an R-hat"),
        None,
        "R",
        "stop when the R-hat of every parameter is that low (exit status 3: nsteps too few)",
    ),
    Option("checkpoint", _seconds, 60.0, "SECONDS", "write the draws at least this often"),
    Option(
        "max_time", _duration, None, "TIME", "commit and stop after that: 3h50m (exit status 75)"
    ),
    Option("resume", switch, False, None, "go on from the file, if there is one, to its target"),
    Option("overwrite", switch, False, None, "replace the file if there is one"),
    Option("break_lock", switch, False, None, "take over a file whose writer is surely gone"),
    Option("progress", switch, None, None, "show how far it is (default: bar or log lines)"),
    Option("dry_run", switch, False, None, "print the plan; sample nothing"),
)
OPTIONS: dict[str, Option] = {option.name: option for option in _ALL}


def unknown(name: str, known: list[str], what: str) -> UsageError:
    """Return the error for a name that is not known: the likely one, and all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return UsageError(f"there is no {what} {name}{hint}; the {what}s are {', '.join(known)}")


def check(values: Mapping[str, Any], what: str = "option") -> dict[str, Any]:
    """Return ``values`` read and checked, options that were not given left out.

    Raises
    ------
    UsageError
        For a name that is no option, a value that cannot be, or two that exclude each other.

    """
    found = {}
    for name, value in values.items():
        if name not in OPTIONS:
            raise unknown(name, list(OPTIONS), what)
        if value is not None:
            found[name] = OPTIONS[name].parse(name, value)
    if "teams" in found and "mode" in found:
        raise UsageError(
            f"teams is {found['teams']} and mode is {found['mode']}: give one of them"
        )
    if found.get("resume") and found.get("overwrite"):
        raise UsageError("resume goes on from the file, overwrite replaces it: give one of them")
    return found


def complete(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``found`` with the default of every option that is not in it."""
    return {name: found.get(name, option.default) for name, option in OPTIONS.items()}


def read_config(path: Path) -> dict[str, Any]:
    """Return the keys of a TOML file; ``model`` is relative to its folder.

    Raises
    ------
    UsageError
        If it cannot be read, or has a key that is no option.

    """
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as exc:
        raise UsageError(f"the config file {path} cannot be read: {exc.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"the config file {path} is not TOML: {exc}") from None
    model = values.pop("model", None)
    if model is not None and not isinstance(model, str):
        raise UsageError(f"{path}: {fail('model', 'the name of a model', model)}")
    try:
        found = check(values, "key")
    except UsageError as exc:
        besides = "; besides, model" if set(values) - set(OPTIONS) else ""
        raise UsageError(f"{path}: {exc}{besides}") from None
    if isinstance(model, str) and model.endswith(".py") and not Path(model).is_absolute():
        model = str(path.parent / model)
    return found if model is None else {"model": model, **found}
