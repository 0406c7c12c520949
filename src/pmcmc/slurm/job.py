"""The Slurm job around this process: its number, its end; whether another job still lives."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping

from ..errors import LaunchError

_PATIENCE = 5.0  # seconds for squeue to answer
_TO_TAKE = 60.0  # and for sbatch to take a job
# squeue lists a job for some minutes after its end, if asked for all states
_ENDED = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "TIMEOUT",
}


def job_id(env: Mapping[str, str] = os.environ) -> str | None:
    """Return the number of the job that this process belongs to, or None."""
    return env.get("SLURM_JOB_ID") or None


def cluster(env: Mapping[str, str] = os.environ) -> str:
    """Return the name of the cluster that this job runs on, "" where Slurm does not tell."""
    return env.get("SLURM_CLUSTER_NAME", "")


def restarts(env: Mapping[str, str] = os.environ) -> int:
    """Return how often this job was requeued and started again."""
    text = env.get("SLURM_RESTART_COUNT", "0")
    return int(text) if text.isdigit() else 0


def end_time(env: Mapping[str, str] = os.environ) -> float | None:
    """Return when the job will be ended, in seconds since the epoch; None if nothing says so.

    Slurm is asked first: the limit may have been changed since the job began.
    """
    job = job_id(env)
    if job is None:
        return None
    answer = _squeue(job, "%L")
    left = parse_left(answer) if answer else None
    if left is not None:
        return time.time() + left
    text = env.get("SLURM_JOB_END_TIME", "")
    return float(text) if text.isdigit() else None


def alive(job: str) -> bool | None:
    """Tell whether a job is in the queue; None where Slurm cannot be asked."""
    state = _squeue(job, "%T")
    return None if state is None else bool(state) and state not in _ENDED


def state(job: str) -> str | None:
    """Return a job's state as Slurm names it, "" for one that is not in the queue any more.

    None where Slurm cannot be asked.
    """
    return _squeue(job, "%T")


def send(script: str) -> str:
    """Hand a batch script to sbatch; return the number of the job.

    Parameters
    ----------
    script : str
        The file.

    Raises
    ------
    LaunchError
        If sbatch is not there, or refuses it.

    """
    answer = _ask("sbatch", "--parsable", script)
    number = answer.strip().partition(";")[0]
    if not number.isdigit():
        raise LaunchError(f"sbatch answered {answer.strip()!r}, which is no number of a job")
    return number


def cancel(job: str) -> None:
    """Have Slurm end a job; one that has ended is left alone.

    Raises
    ------
    LaunchError
        If scancel is not there, or refuses.

    """
    _ask("scancel", job)


def _ask(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TO_TAKE)
    except FileNotFoundError:
        raise LaunchError(
            f"there is no {command[0]} here: on a cluster with Slurm, log in to a node that has it"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise LaunchError(f"{command[0]} does not answer: {exc}") from None
    if done.returncode:
        raise LaunchError(f"{command[0]} refuses: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def parse_left(text: str) -> float | None:
    """Return the seconds of squeue's time left, ``1-02:03:04`` or ``4:05``; None for no limit."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text.strip())
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _squeue(job: str, what: str) -> str | None:
    """Return what squeue prints of a job, "" if there is no such job, None if it does not say."""
    # the number again: for the first job of an array squeue lists all its tasks
    command = ["squeue", "--noheader", f"--jobs={job}", f"--format=%A {what}"]
    try:
        # a session of its own: a Ctrl-C is for us, and all that a hanging script started can end
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as squeue:
            try:
                out, err = squeue.communicate(timeout=_PATIENCE)
            except BaseException:
                os.killpg(squeue.pid, signal.SIGKILL)
                raise
    except (OSError, subprocess.SubprocessError):
        return None
    if squeue.returncode:
        return "" if "nvalid job id" in err else None
    lines = [line.split(None, 1) for line in out.splitlines()]
    return next((line[1].strip() for line in lines if line[:1] == [job] and line[1:]), "")
