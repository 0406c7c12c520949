"""A real Slurm on this machine: slurmctld, munged, and four slurmd as the nodes n1 to n4.

Everything lives in one folder and in one process space, below one process that ends with this one,
however that ends: an earlier session that crashed leaves nothing behind.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "unshare", "setpriv")
NODES = ("n1", "n2", "n3", "n4")
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY"}
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def what_is_missing() -> str | None:
    """Return why there can be no cluster here, or None."""
    lacking = [p for p in PROGRAMS if shutil.which(p, path=_PATH) is None]
    if not list(Path("/usr/lib").glob("*/pmix2/lib/libpmix.so.2")):
        lacking.append("libpmix.so.2")
    if lacking:
        return (
            f"Slurm is not installed ({', '.join(lacking)} missing): as root, apt-get install "
            "slurmctld slurmd slurm-client munge libpmix2"
        )
    if os.geteuid():
        return "a Slurm for the tests is started by root only"
    tried = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "--uts", "true"])
    return "this system allows no namespaces (unshare)" if tried.returncode else None


class Job(dict[str, str]):
    """What Slurm says of a job: JobState, ExitCode, Restarts, ..."""

    @property
    def state(self) -> str:
        """Return its state."""
        return self["JobState"]

    @property
    def status(self) -> int:
        """Return the exit status of its script."""
        return int(self["ExitCode"].partition(":")[0])


class Cluster:
    """The cluster, from ``start`` to ``stop``.

    Parameters
    ----------
    home : Path
        An empty folder for it. Its path must be short: there is a socket in it.

    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._process: subprocess.Popen[bytes] | None = None

    # ---- start and stop

    def start(self) -> None:
        """Write the configuration, start the daemons, wait until all nodes are there."""
        host = socket.gethostname().partition(".")[0]
        (plugins,) = Path("/usr/lib").glob("*/slurm-wlm")
        names = {"HOME": str(self.home), "HOST": host, "PLUGINS": str(plugins)}
        names |= {f"PORT{i}": str(port) for i, port in enumerate(_free_ports(5))}
        text = re.sub(
            r"@(\w+)@", lambda m: names.get(m[1], m[0]), (HERE / "slurm.conf").read_text()
        )
        (self.home / "slurm.conf").write_text(text)
        (self.home / "plugstack.conf").touch()
        for node in NODES:
            (self.home / "spool" / node).mkdir(parents=True)
            (self.home / "tmp" / node).mkdir(parents=True)
        (self.home / "state").mkdir()
        hosts = "".join(f"127.0.0.1 {node}\n" for node in NODES)
        (self.home / "hosts").write_text(Path("/etc/hosts").read_text() + hosts)
        key = self.home / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        with open(self.home / "daemons.log", "wb") as log:
            self._process = subprocess.Popen(
                # whoever ends this process, also by SIGKILL, ends all of them
                [
                    *("setpriv", "--pdeathsig", "KILL"),
                    *("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"),
                    *("bash", HERE / "cluster.sh", self.home, plugins.parent / "pmix2/lib"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.env({}) | {"PATH": _PATH},
            )
        self.wait(self._all_idle, 30, "the nodes to be idle")

    def stop(self) -> None:
        """End everything: the kernel does, when process 1 of the space is killed."""
        if self._process is None:
            return
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        for pid in children.split():
            os.kill(int(pid), signal.SIGKILL)
        self._process.wait(30)
        self._process = None

    def _all_idle(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.home / "daemons.log").read_text()
        return self.run("sinfo", "-h", "-p", "main", "-N", "-o", "%t").split() == ["idle"] * 4

    # ---- jobs

    def env(self, more: dict[str, str]) -> dict[str, str]:
        """Return the environment of somebody who has logged in to this cluster."""
        ours = ("PMI", "OMPI", "PMIX", "PRTE", "SLURM", "SBATCH", "HYDI")
        env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        return env | {"SLURM_CONF": str(self.home / "slurm.conf")} | more

    def run(
        self, *command: str, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> str:
        """Run a command of Slurm and return what it prints, "" if it fails."""
        done = subprocess.run(
            command, env=self.env(env or {}), cwd=cwd, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    def sbatch(self, *arguments: object, cwd: Path, env: dict[str, str]) -> str:
        """Submit a job and return its number."""
        done = subprocess.run(
            ["sbatch", "--parsable", *map(str, arguments)],
            env=self.env(env),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().partition(";")[0]

    def job(self, number: str) -> Job:
        """Return what Slurm says of a job."""
        text = self.run("scontrol", "--oneliner", "show", "job", number)
        return Job(pair.partition("=")[::2] for pair in text.splitlines()[0].split())

    def ended(self, number: str, timeout: float = 60) -> Job:
        """Wait until a job has ended for good, and return what Slurm says of it."""
        self.wait(lambda: self.job(number).state in ENDED, timeout, f"job {number} to end")
        return self.job(number)

    def running(self, number: str, timeout: float = 60) -> Job:
        """Wait until a job runs."""
        self.wait(lambda: self.job(number).state == "RUNNING", timeout, f"job {number} to run")
        return self.job(number)

    def wait(self, ready: Callable[[], bool], timeout: float, what: str) -> None:
        """Wait until ``ready()``."""
        until = time.monotonic() + timeout
        while not ready():
            assert time.monotonic() < until, (
                f"gave up after {timeout} s waiting for {what}\n{self.run('squeue', '-a')}"
            )
            time.sleep(0.1)


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()
