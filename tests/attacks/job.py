"""A job that is attacked: started, ended with all its processes, and judged."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import psutil

from conftest import Launcher, _launcher, clean_env
from pmcmc.storage.checkpoint import group_name
from pmcmc.storage.header import PHASES
from pmcmc.storage.reader import RunReader
from reference import assert_same_files

SECONDS = 90.0  # beyond which a small job hangs, on a busy machine
OURS = re.compile(r'File "[^"]*/pmcmc/(?!model/calls)[^"]*", line')
FORKED = re.compile("Fatal Python error: (init_threadstate|PyGILState_Ensure)")


@dataclass(frozen=True)
class Ended:
    """How a job ended; ``status`` is None if it had to be killed."""

    status: int | None
    out: str
    err: str


def launcher(python: str = sys.executable) -> Launcher:
    """Return what starts ranks with an interpreter's MPI."""
    found = _launcher(python)
    if found is None:
        raise SystemExit("there is no mpiexec: pip install '.[mpich,test]'")
    return found


def ranks_of(start: Launcher, ranks: int) -> list[str]:
    """Return the beginning of a command on so many ranks; none: without mpiexec."""
    extra = ["--oversubscribe", "--bind-to", "none"] if start.openmpi else []
    return [start.mpiexec, *extra, "-n", str(ranks), start.python] if ranks else [start.python]


def run(command: list[str], folder: Path, **env: str) -> Ended:
    """Run a command in a session of its own, and end what is left of that session."""
    with (folder / ".out").open("w+b") as out, (folder / ".err").open("w+b") as err:
        job = subprocess.Popen(
            command,
            cwd=folder,
            env=clean_env() | env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        status: int | None
        try:
            status = job.wait(SECONDS)
        except subprocess.TimeoutExpired:
            status = None
            for rank in psutil.Process(job.pid).children(recursive=True):  # sessions of their own
                with contextlib.suppress(psutil.NoSuchProcess):
                    rank.kill()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, number)
        job.wait()
        out.seek(0)
        err.seek(0)
        return Ended(status, *(f.read(1 << 20).decode(errors="replace") for f in (out, err)))


def complaint(ended: Ended, crash: bool = False) -> str:
    """Return what is wrong with how a job ended; "" if nothing. A crash may show its stacks."""
    if ended.status is None:
        return "hangs"
    # A child that the model forks while a thread of it starts dies so in CPython 3.11 itself. In a
    # job that ended with 0 it was no rank: a fatal error in one ends the job with another.
    child = ended.status == 0 and FORKED.search(ended.err)
    if not crash and OURS.search(ended.err) and not child:
        return "frames of ours"
    if ended.status and not crash and not ended.err.strip() and "stopped by" not in ended.out:
        return "fails without a word"
    return "control characters" if "\x1b" in ended.out + ended.err else ""


def same_files(path: Path, truth: Path) -> str:
    """Return in what a file differs from that of a run that nobody disturbed."""
    try:
        assert_same_files(path, truth)
    except Exception as exc:
        return f"another file than undisturbed: {type(exc).__name__}: {str(exc)[:300]}"
    return ""


def wrong_draws(path: Path, truth: Path) -> str:
    """Return which rows of a file are not the first of an undisturbed run's."""
    try:
        reader = RunReader(path)
    except Exception as exc:
        return f"unreadable: {exc}"
    with h5py.File(truth) as file:
        for phase, counts in zip(PHASES, (reader.burnin_rows, reader.rows), strict=True):
            for e, rows in enumerate(counts):
                for name in ("chain", "log_prob"):
                    expected = file[group_name(phase, e)][name][:rows]
                    if not np.array_equal(reader.values(name, e, slice(0, rows), phase), expected):
                        return f"wrong draws: {name} of {phase} {e}"
    return ""
