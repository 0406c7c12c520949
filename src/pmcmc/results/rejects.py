"""Evaluations that a run has rejected: what its file, and the text beside it, tell of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..model.rejects import KINDS
from ..storage.place import shown_path
from ..storage.reject_log import log_path
from ..text import count_text, printable

if TYPE_CHECKING:
    from .._types import AnyArray
    from ..storage.reader import RunReader

_KEYS = {"ensemble", "step", "kind", "message", "where", "parameters"}
_SHOWN = 10  # kinds of message
_NUMBER = r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?"


def read_rejects(reader: RunReader) -> tuple[list[dict[str, Any]], bool]:
    """Return the rejects that a file counts, as the text file has them, and whether they are all.

    Parameters
    ----------
    reader : RunReader
        Of the file of the run.

    Returns
    -------
    list of dict
        ``ensemble``, ``step``, ``kind``, ``message``, ``where`` and ``parameters``.
    bool
        False where the text file is not there, or not whole: the first 1000 then.

    """
    count = int(reader.rejected.sum())
    if count and reader.path is not None:
        lines = _lines(log_path(reader.path), reader.reject_bytes)
        if len(lines) == count:
            return lines, True
    rows = reader.reject_rows()
    return [_plain(row, reader.header.names) for row in rows], len(rows) == count


def _lines(path: Path, size: int) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            text = file.read(size)
        found = [json.loads(line) for line in text.splitlines()]
    except (OSError, ValueError, RecursionError):
        return []
    return found if all(isinstance(one, dict) and one.keys() >= _KEYS for one in found) else []


def _plain(row: AnyArray, names: Sequence[str]) -> dict[str, Any]:
    """Return a row of the file as the text has it."""
    about: dict[str, Any] = {key: int(row[key]) for key in ("ensemble", "step")}
    for key in ("kind", "message", "where"):
        about[key] = printable(bytes(row[key]).decode(errors="replace"), 1000)
    if about["kind"] not in KINDS:
        about["kind"] = "exception"
    return about | {"parameters": dict(zip(names, map(float, row["theta"]), strict=True))}


@dataclass(frozen=True)
class RejectGroup:
    """Evaluations that were rejected for the same reason.

    Attributes
    ----------
    count : int
        How many.
    message : str
        Of the first.
    number : int
        Of the first, among all.
    place : str
        Its ensemble and step, rank and host.
    at : str
        Its parameters, by name.

    """

    count: int
    message: str
    number: int
    place: str
    at: str


def group_rejects(rejects: Sequence[dict[str, Any]]) -> tuple[list[RejectGroup], int]:
    """Return rejected evaluations by reason, and how many reasons more there are.

    Parameters
    ----------
    rejects : sequence of dict
        As ``read_rejects`` returns them.

    Returns
    -------
    list of RejectGroup
        The most frequent ten.
    int

    """
    alike = Counter(map(_cause, rejects))
    first: dict[str, tuple[int, dict[str, Any]]] = {}
    for number, one in enumerate(rejects):
        first.setdefault(_cause(one), (number, one))
    groups = []
    for cause, count in alike.most_common(_SHOWN):
        number, one = first[cause]
        message = str(one["message"])
        if one["kind"] == "exception":
            message = f"log_prob raised {message}"
        at = ", ".join(f"{name} = {value!r}" for name, value in one["parameters"].items())
        place = f"ensemble {one['ensemble']}, step {one['step']}, {printable(str(one['where']))}"
        groups.append(
            RejectGroup(count, printable(message, 1000), number, place, printable(at, 2000))
        )
    return groups, max(0, len(alike) - _SHOWN)


def rejects_text(rejects: Sequence[dict[str, Any]]) -> str:
    """Return each reason, how often it came, and where first, as text."""
    groups, more = group_rejects(rejects)
    lines = [
        f"{g.count} times: {g.message}\n  first, number {g.number}: {g.place}\n  at {g.at}"
        for g in groups
    ]
    if more:
        lines.append(f"and {count_text(more, 'other message')}: see --json")
    return "\n".join(lines)


def _cause(one: dict[str, Any]) -> str:
    """Return what evaluations that failed in the same way have in common: no numbers."""
    return f"{one['kind']}: {re.sub(_NUMBER, '#', str(one['message']))}"


def find_reject(path: Path, number: int) -> tuple[dict[str, Any], Path]:
    """Return one rejected evaluation, and the file of its run.

    Parameters
    ----------
    path : Path
        The file of a run, or its FILE.rejects.jsonl.
    number : int
        Its place among them, from 0.

    Raises
    ------
    UsageError
        If there is none of that number, or the text cannot be read.

    """
    from ..storage.reader import RunReader

    output = path
    if path.name.endswith(".rejects.jsonl"):
        output = path.with_name(path.name.removesuffix(".rejects.jsonl"))
        try:
            lines = path.read_bytes().splitlines()
            rejects = [json.loads(line) for line in lines]
            if not all(isinstance(one, dict) and one.keys() >= _KEYS for one in rejects):
                raise ValueError
        except (OSError, ValueError, RecursionError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else "it is no text of pmcmc's"
            raise UsageError(f"{shown_path(path)} cannot be read: {why}") from None
    else:
        rejects, _ = read_rejects(RunReader(path))
    if not rejects:
        raise UsageError(f"{shown_path(path)} has no rejected evaluations")
    if number >= len(rejects):
        raise UsageError(
            f"{shown_path(path)} has {count_text(len(rejects), 'rejected evaluation')}: expected "
            f"a number below {len(rejects)}, got {number}"
        )
    return rejects[number], output
