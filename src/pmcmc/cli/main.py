"""The command line: hands what was typed to the function that does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..mpi.shared import work_alone
from .arguments import COMMANDS
from .parsing import parse

if TYPE_CHECKING:
    from .._types import Comm
    from ..signals import SignalWatch


@dataclass(frozen=True)
class Launch:
    """What the process began with, for the commands that work on ranks.

    Attributes
    ----------
    comm : MPI communicator or None
    threads : str, optional
        What was done about BLAS threads, to be said.
    watch : SignalWatch, optional
        Notes signals since the process began.
    error : str, optional
        Why there is no communicator, for `doctor`.

    """

    comm: Comm | None
    threads: str | None = None
    watch: SignalWatch | None = None
    error: str | None = None


def main(arguments: Sequence[str], launch: Launch | None = None) -> int:
    """Run the command line, without the program's name; return the exit status."""
    name, values = parse(arguments)
    command = COMMANDS[name]
    handler = command.handler(name)
    if command.ranks:
        return handler(launch, **values)
    work_alone()
    return handler(**values)
