"""How far a run is, in numbers: what rank 0 tells of it to those who watch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..text import duration_text, printable
from .file import replace_whole
from .lock_owner import read_start


def goal_text(goal: int, seconds: float) -> str:
    """Say at which kept step the draws may be enough, and in how many seconds.

    Where that is past, ranks sample on while a check is worked out.
    """
    if not seconds:
        return f"checking whether step {goal} was enough"
    return f"enough at about step {goal}, {duration_text(seconds)} left"


@dataclass(frozen=True)
class ProgressRecord:
    """How far a run is.

    Attributes
    ----------
    steps : int
        Steps of all ensembles so far, burn-in and steps between kept ones included.
    total : int or None
        Of how many; None while nobody knows.
    step : int
        Kept steps of each ensemble so far; in burn-in its steps.
    in_burnin : bool
        Whether burn-in is not over.
    goal : int or None
        The kept step of each ensemble at which there may be enough.
    rate : float
        Steps of all ensembles per second.
    seconds_left : float or None
        None while nobody knows.
    acceptance : float or None
        The accepted share of the moves.
    ess, r_hat, tau : float or None
        The worst of all parameters, of the draws so far: effective draws, R-hat, and the
        autocorrelation time in steps.
    lacking : str
        What the draws lack, as the last check found; "" for nothing.
    waiting : tuple of str
        Calls of log_prob that last, in words.
    slowest : str
        The rank on which an evaluation takes longest, and the team root whose ensembles are
        behind, in words; "" for one rank.
    remarks : tuple of str
        Notes of the run.
    cost : float
        Seconds of a call of log_prob, in a first try.
    useful : int
        Ranks that have work.

    """

    steps: int = 0
    total: int | None = None
    step: int = 0
    in_burnin: bool = False
    goal: int | None = None
    rate: float = 0.0
    seconds_left: float | None = None
    acceptance: float | None = None
    ess: float | None = None
    r_hat: float | None = None
    tau: float | None = None
    lacking: str = ""
    waiting: tuple[str, ...] = ()
    slowest: str = ""
    remarks: tuple[str, ...] = ()
    cost: float = 0.0
    useful: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """Return it in words, for those who look at the run."""
        of = "" if self.total is None else f" of {self.total}"
        left = f"; {duration_text(self.seconds_left)} left" if self.seconds_left else ""
        accepted = "" if self.acceptance is None else f"; acceptance {self.acceptance:.2f}"
        yield f"{self.steps}{of} steps, {self.rate:.3g} steps/s{left}{accepted}"
        if self.goal is not None and self.seconds_left == 0:
            yield goal_text(self.goal, 0.0)
        elif self.goal is not None:
            yield f"enough at about step {self.goal} of each ensemble"
        if self.lacking:
            yield f"lacking: {self.lacking}"
        if self.slowest:
            yield f"slowest: {self.slowest}"
        yield from self.waiting

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> ProgressRecord:
        """Return what ``to_dict`` gave; what is not of its type is left out, text is made safe."""
        known: dict[str, Any] = {}
        for field in fields(cls):
            value, kind = told.get(field.name), str(field.type)
            if kind.startswith("tuple"):
                if isinstance(value, list | tuple):
                    known[field.name] = tuple(printable(str(one)) for one in value[:20])
            elif kind == "str":
                known[field.name] = printable(str(value or ""))
            elif kind == "bool":
                known[field.name] = value is True
            elif value is not None and type(value) in (int, float) and math.isfinite(value):
                known[field.name] = int(value) if kind.startswith("int") else float(value)
        return cls(**known)

    def write(self, path: Path) -> None:
        """Write it to a file, whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written.

        """
        replace_whole(path, json.dumps(self.to_dict()).encode())

    @classmethod
    def read(cls, path: Path) -> ProgressRecord | None:
        """Return what ``write`` wrote; None if there is nothing of the kind."""
        try:
            told = json.loads(read_start(path))
        except (OSError, ValueError, RecursionError):
            return None
        return cls.from_dict(told) if isinstance(told, dict) else None
