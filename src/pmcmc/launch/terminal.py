"""``--ranks N``: this process starts the ranks, passes signals on, and ends with their status."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from types import FrameType

from .. import streams
from ..signals import SIGNALS
from .local import LocalJob, private_folder
from .mpiexec import refuse_under_a_launcher

_LOOK = 0.05  # seconds


def run_on_ranks(ranks: int, arguments: Sequence[str]) -> int:
    """Run the command line on so many ranks; return the exit status, as mpiexec would.

    Parameters
    ----------
    ranks : int
        How many.
    arguments : sequence of str
        The command line.

    Raises
    ------
    UsageError
        Under a launcher.
    LaunchError
        If they cannot be started.

    """
    refuse_under_a_launcher(os.environ, f"--ranks {ranks}")
    env = {}
    if streams.is_terminal():
        size = shutil.get_terminal_size()
        env = {streams.TERMINAL: "1", "COLUMNS": str(size.columns), "LINES": str(size.lines)}
    job: LocalJob | None = None
    early: list[str] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if job is None:
            early.append(name)
        else:
            job.signal(name)

    before = {number: signal.signal(number, pass_on) for number in SIGNALS}
    with private_folder() as folder:
        try:
            job = LocalJob(folder, ranks, arguments, env=env)
            for name in early:
                job.signal(name)
            while (ended := job.wait(_LOOK)) is None:
                pass
            if not ended.told:
                streams.tell(f"pmcmc: error: {ended.error}", error=True)
            return ended.status
        finally:
            if job is not None:
                job.end()
            for number, handler in before.items():
                signal.signal(number, handler)
