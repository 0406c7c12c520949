"""A real Grid Engine on this machine: sge_qmaster, and two sge_execd as the hosts n1 and n2.

As with Slurm (cluster.py), everything lives in one folder and in one process space, below one
process that ends with this one. It has a network of its own too, so that each host has an address.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
LIB = Path("/usr/lib/gridengine")
PROGRAMS = ("qsub", "qconf", "ip", "unshare", "setpriv", "nsenter")
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
# the user whose jobs run, who may open any file: the tests and their Python may be for root alone
_CAN = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
_USER = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *_CAN)
_SPACES = ("--net", "--uts", "--mount")


def what_is_missing() -> str | None:
    """Return why there can be no Grid Engine here, or None."""
    lacking = [p for p in PROGRAMS if shutil.which(p, path=_PATH) is None]
    lacking += [p for p in ("sge_qmaster", "sge_execd") if not (LIB / p).exists()]
    if lacking:
        return (
            f"Grid Engine is not installed ({', '.join(lacking)} missing): as root, "
            "apt-get install gridengine-master gridengine-exec gridengine-client iproute2"
        )
    if os.geteuid():
        return "a Grid Engine for the tests is started by root only"
    bridge = ("ip", "link", "add", "bridge", "type", "bridge")
    tried = subprocess.run(["unshare", "--pid", "--fork", *_SPACES, *bridge], env=_env())
    return "this system allows no networks of one's own (unshare)" if tried.returncode else None


def _env() -> dict[str, str]:
    return {"PATH": _PATH, "LANG": "C.UTF-8"}


class GridEngine:
    """The cluster, from ``start`` to ``stop``.

    Parameters
    ----------
    home : Path
        An empty folder for it; ``home/login`` is the home of the user whose jobs run.

    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._process: subprocess.Popen[bytes] | None = None

    # ---- start and stop

    def start(self) -> None:
        """Start the daemons, and wait until both hosts take jobs."""
        with open(self.home / "daemons.log", "wb") as log:
            self._process = subprocess.Popen(
                # whoever ends this process, also by SIGKILL, ends all of them
                [
                    *("setpriv", "--pdeathsig", "KILL"),
                    *("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *_SPACES),
                    *("bash", HERE / "grid_engine.sh", self.home),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_env(),
            )
        try:
            self.wait((self.home / "up").exists, 60, "the hosts to be there")
        except AssertionError as error:
            raise AssertionError((self.home / "daemons.log").read_text()) from error

    def stop(self) -> None:
        """End everything: the kernel does, when process 1 of the space is killed."""
        if self._process is None:
            return
        os.kill(self._first(), signal.SIGKILL)
        self._process.wait(30)
        self._process = None

    def _first(self) -> int:
        """Return the number of process 1 of the space."""
        assert self._process is not None
        assert self._process.poll() is None, (self.home / "daemons.log").read_text()
        pid = self._process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())

    def end_ranks(self) -> None:
        """End the ranks that a kill has left: Grid Engine may miss some of those of MPICH."""
        space = os.readlink(f"/proc/{self._first()}/ns/pid")
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                ours = os.readlink(process / "ns/pid") == space
                if ours and b"\0-m\0pmcmc\0" in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)

    # ---- jobs

    def run(self, *command: object, cwd: Path | None = None) -> str:
        """Run a command of Grid Engine on the master, as nobody, and return what it prints."""
        enter = ["nsenter", f"--target={self._first()}", *_SPACES, *_USER, "env", "-C"]
        sge = {"SGE_ROOT": self.home, "SGE_CELL": "cell"}
        ports = {"SGE_QMASTER_PORT": "6444", "SGE_EXECD_PORT": "6445"}
        done = subprocess.run(
            [*enter, *map(str, (cwd or self.home, *command))],
            env=_env() | {k: str(v) for k, v in (sge | ports).items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        return done.stdout

    def qsub(self, *arguments: object, cwd: Path) -> str:
        """Submit a job and return its number."""
        told = self.run("qsub", *arguments, cwd=cwd)
        found = re.search(r"^Your job(?:-array)? (\d+)", told, re.M)
        assert found, told
        return found[1]

    def state(self, number: str) -> str:
        """Return the letters that qstat has for a job, "" where it is not in the queue."""
        rows = [line.split() for line in self.run("qstat").splitlines()]
        return " ".join(row[4] for row in rows if row and row[0] == number)

    def running(self, number: str, timeout: float = 60) -> None:
        """Wait until a job runs."""
        self.wait(lambda: "r" in self.state(number), timeout, f"job {number} to run")

    def ended(self, number: str, timeout: float = 60) -> list[int]:
        """Wait until a job has left the queue; return the exit status of each of its starts."""
        self.wait(lambda: not self.state(number), timeout, f"job {number} to leave the queue")
        self.wait(lambda: bool(self._statuses(number)), 60, f"the account of job {number}")
        return self._statuses(number)

    def _statuses(self, number: str) -> list[int]:
        rows = (self.home / "cell/common/accounting").read_text().splitlines()
        own = [r.split(":") for r in rows if not r.startswith("#")]
        # ranks on other hosts have rows of their own, with a task's name fourth from the end
        return [int(row[12]) for row in own if row[5] == number and row[-4] == "NONE"]

    def wait(self, ready: Callable[[], bool], timeout: float, what: str) -> None:
        """Wait until ``ready()``."""
        until = time.monotonic() + timeout
        while not ready():
            assert self._process is None or self._process.poll() is None, "it has ended"
            assert time.monotonic() < until, f"gave up after {timeout} s waiting for {what}"
            time.sleep(0.1)
