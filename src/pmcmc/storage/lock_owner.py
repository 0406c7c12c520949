"""Who writes a file, in terms that another process can check: whether it still lives."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import stat
import subprocess
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..slurm import job
from ..text import printable

_PROC = Path("/proc")  # Linux; elsewhere programs of the system are asked
_ENDED = "ended"  # a process of which only the remains are left
SILENCE = 300.0  # seconds without a heartbeat, after which a writer is taken to be dead
UNREADABLE = "unreadable"
_LONGEST = 2**16  # bytes of a lock


@dataclass(frozen=True)
class LockOwner:
    """Who writes a file, in terms that another process can check.

    Where the system does not tell of ``machine`` or ``process_start``, it is empty, and only the
    heartbeat counts.

    Attributes
    ----------
    token : str
        Random: names this lock.
    host : str
    pid : int
    machine : str
        The boot of the host and its process space.
    process_start : str
        When the process began.
    job : str or None
        Number of its Slurm job.
    cluster : str
        The Slurm cluster; "" where Slurm does not tell.
    restarts : int
        How often the job was requeued.
    since : str
        When the lock was made, local time.

    """

    token: str
    host: str
    pid: int
    machine: str
    process_start: str
    job: str | None
    cluster: str
    restarts: int
    since: str

    @classmethod
    def here(cls) -> LockOwner:
        """Describe this process."""
        pid, number = os.getpid(), job.job_id()
        if number is not None and job.alive(number) is False:
            number = None  # left over in the environment: its end is not that of this process
        return cls(
            token=secrets.token_hex(8),
            host=socket.gethostname(),
            pid=pid,
            machine=this_machine(),
            process_start=process_start(pid),
            job=number,
            cluster=job.cluster(),
            restarts=job.restarts(),
            since=time.strftime("%Y-%m-%d %H:%M:%S %z"),
        )

    def text(self) -> str:
        """Return what stands in the lock."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        """Return host, process and job."""
        if self.token == UNREADABLE:
            return "an unknown writer (its lock cannot be read)"
        text = f"process {self.pid} on host {self.host}"
        return text + (f", Slurm job {self.job}" if self.job else "")

    def why_dead(self, silent: float) -> str | None:
        """Return why this writer must be gone.

        Parameters
        ----------
        silent : float
            Seconds without a heartbeat; above 300 it is dead if nothing says that it lives.

        Returns
        -------
        str or None
            None if it may be alive.

        """
        if self.job and self.job == job.job_id() and self.restarts < job.restarts():
            return "that was before the job was requeued"
        told = self.machine and self.process_start and self.host == socket.gethostname()
        if told and self.machine == this_machine():
            now = process_start(self.pid)
            if now == self.process_start:
                return None
            if now or not _exists(self.pid):
                return "that process is gone"
        # two clusters may share a file system, and count their jobs alike
        asked = self.job and self.job != job.job_id() and self.cluster == job.cluster()
        queued = job.alive(str(self.job)) if asked else None
        if queued is False:
            return "that job has left the queue"
        if queued:
            return None  # it may be suspended: then it gives no sign of life
        if silent > SILENCE:
            return f"it gave no sign of life for {silent / 60:.0f} minutes"
        return None


_TYPES = {field.name: str(field.type).replace("None", "NoneType") for field in fields(LockOwner)}


def read_owner(path: Path) -> LockOwner | None:
    """Return the writer that a lock tells of.

    Parameters
    ----------
    path : Path
        The lock.

    Returns
    -------
    LockOwner or None
        None if there is no such file; with the token ``UNREADABLE`` if it is no lock of ours.

    """
    try:
        text = read_start(path)
    except OSError:
        return None
    with contextlib.suppress(ValueError, TypeError, AttributeError, RecursionError):
        told: dict[str, Any] = {
            k: printable(v) if isinstance(v, str) else v for k, v in json.loads(text).items()
        }
        writer = LockOwner(**told)
        right = all(type(v).__name__ in _TYPES[k] for k, v in asdict(writer).items())
        if right and writer.token.isalnum():
            return writer
    # not one of ours, of another version, or not yet written whole: judged by its age
    return LockOwner(UNREADABLE, "?", 0, "", "", None, "", 0, "?")


def read_start(path: Path) -> str:
    """Return the start of a file; of what is no regular file nothing, without waiting for it."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        regular = stat.S_ISREG(os.fstat(handle).st_mode)
        return os.read(handle, _LONGEST).decode(errors="replace") if regular else ""
    finally:
        os.close(handle)


def this_machine() -> str:
    """Return the boot of this host and its process space; "" where the system does not tell."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink(_PROC / 'self/ns/pid')}"
    except OSError:
        return _ask("sysctl", "-n", "kern.bootsessionuuid")  # macOS, whose processes share a space


def process_start(pid: int) -> str:
    """Return when a process began, as text that differs between processes of one number.

    Parameters
    ----------
    pid : int
        Its number, on this host.

    Returns
    -------
    str
        "ended" for one that has; "" where there is none, or the system does not tell.

    """
    if not (_PROC / "self/stat").exists():
        state, _, began = _ask("ps", "-o", "state=", "-o", "lstart=", "-p", str(pid)).partition(
            " "
        )
        return _ENDED if state[:1] == "Z" else began.strip()
    try:
        fields = (_PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return _ENDED if fields[0] in "ZX" else fields[19]


def _exists(pid: int) -> bool:
    """Tell whether there is a process, though the system may not say when it began."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        pass
    return True


def _ask(*command: str) -> str:
    """Return what a program of the system says, the same in all countries; "" if it does not."""
    env = os.environ | {"LC_ALL": "C", "TZ": "UTC0"}
    try:
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
