"""How many ranks pay: from the cost of log_prob, measured in a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import streams
from ..cores import count_cores
from ..model.parcel import TOKEN
from ..model.problem import Problem
from ..model.walkers import default_nwalkers
from ..options import RunOptions
from ..prepare.shape import make_plan
from ..storage.progress_record import ProgressRecord
from ..text import duration_text
from .mpiexec import environment
from .outcome import PROGRESS

_PATIENCE = 10.0  # seconds; a log_prob that takes longer pays for every core


def useful_ranks(problem: Problem, parcel: Path, token: str, found: Mapping[str, Any]) -> int:
    """Return the cores that this process may use, or fewer where more would be idle; say so.

    Parameters
    ----------
    problem : Problem
        What is to be sampled.
    parcel : Path
        The file in which it was written, in a private folder.
    token : str
        What opens that.
    found : mapping
        Options of the run.

    """
    most = count_cores()
    options = RunOptions(**found)
    if options.ranks_per_evaluation is not None:  # costly: each core pays, in whole groups
        width = options.ranks_per_evaluation
        return max(width, most // width * width)
    if most == 1 or options.mode == "split":  # there the ranks decide the number of ensembles
        return most
    seconds = _cost(parcel, token)
    plan = make_plan(
        most,
        seconds=seconds,
        vectorized=problem.vectorized,
        nwalkers=options.nwalkers or problem.nwalkers or default_nwalkers(problem.ndim),
        nsteps=options.nsteps,
        burnin=options.burnin,
        nensembles=options.nensembles,
        mode=options.mode,
        teams=options.teams,
        thin_by=options.thin_by,
    )
    ranks = plan.size - plan.idle
    if ranks < most:
        streams.tell(
            f"pmcmc: {ranks} of {most} cores: log_prob takes {duration_text(seconds)}, and more "
            "ranks would be idle",
            error=True,
        )
    return ranks


def _cost(parcel: Path, token: str) -> float:
    """Return the seconds of a call; what fails is found again, and said, by the run itself."""
    told = parcel.with_name("cost")
    words = ["run", str(parcel), "--dry-run", f"--output={parcel.with_name('none.h5')}"]
    env = environment(os.environ, 1) | {TOKEN: token, PROGRESS: str(told)}
    with contextlib.suppress(subprocess.SubprocessError, OSError):
        subprocess.run(
            [sys.executable, "-m", "pmcmc", *words],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
        )
    record = ProgressRecord.read(told)
    return _PATIENCE if record is None else record.cost
