"""Who writes a file, in terms that another process can check: whether it still lives."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from . import job

SILENCE = 300.0  # seconds without a heartbeat, after which a writer is taken to be dead
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Writer:
    """Who writes a file, in terms that another process can check.

    ``machine`` is the boot of the host and its process space, ``born`` when the process began, in
    clock ticks since that boot; both empty where the system does not tell.
    """

    token: str
    host: str
    pid: int
    machine: str
    born: str
    job: str | None
    cluster: str
    restarts: int
    since: str

    @classmethod
    def here(cls) -> Writer:
        """Describe this process."""
        pid, number = os.getpid(), job.job_id()
        if number is not None and job.alive(number) is False:
            number = None  # left over in the environment: its end is not that of this process
        return cls(
            token=secrets.token_hex(8),
            host=socket.gethostname(),
            pid=pid,
            machine=this_machine(),
            born=born(pid),
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

    def dead(self, silent: float) -> str | None:
        """Return why this writer must be gone, None if it may be alive.

        ``silent`` is how long there was no heartbeat, in seconds.
        """
        if self.job and self.job == job.job_id() and self.restarts < job.restarts():
            return "that was before the job was requeued"
        if self.host == socket.gethostname() and self.machine and self.machine == this_machine():
            now = born(self.pid)
            if now and now == self.born:
                return None
            if now or not _hidden(self.pid):
                return "that process is gone"
        # two clusters may share a file system, and count their jobs alike
        asked = self.job and self.job != job.job_id() and self.cluster == job.cluster()
        if asked and job.alive(str(self.job)) is False:
            return "that job has left the queue"
        if silent > SILENCE:
            return f"it gave no sign of life for {silent / 60:.0f} minutes"
        return None


_TYPES = {field.name: str(field.type).replace("None", "NoneType") for field in fields(Writer)}


def read_writer(path: Path) -> Writer | None:
    """Return the writer that a lock tells of, None if there is no such file."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return None
    with contextlib.suppress(ValueError, TypeError):
        writer = Writer(**json.loads(text))
        right = all(type(v).__name__ in _TYPES[k] for k, v in asdict(writer).items())
        if right and writer.token.isalnum():
            return writer
    # not one of ours, of another version, or not yet written whole: judged by its age
    return Writer(UNREADABLE, "?", 0, "", "", None, "", 0, "?")


def this_machine() -> str:
    """Return the boot of this host and its process space."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _hidden(pid: int) -> bool:
    """Tell whether there is a process, of another user, that /proc may not show."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        pass
    return False


def born(pid: int) -> str:
    """Return when a process began; "" if there is none, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
