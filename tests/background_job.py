"""Real jobs in the background, and one problem for all tests that stop, kill and resume them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from conftest import clean_env

# sleeps as the environment says, so that a run can be caught in the middle and resumed quickly;
# leaves rank.N with the pid of rank N once the sampling has begun there
MODEL = """
import os, time
from pathlib import Path
import numpy as np
sleep = float(os.environ.get("SLEEP", "0"))
rank = next((os.environ[k] for k in ("PMI_RANK", "OMPI_COMM_WORLD_RANK") if k in os.environ), "0")
parameters, blobs_dtype = ["a", "b"], [("r", float), ("n", int)]
calls = 0
def log_prob(theta):
    global calls
    calls += 1
    if sleep:
        time.sleep(sleep)
        if calls == int(os.environ["BEGUN"]):
            Path(f"part.{rank}").write_text(str(os.getpid()))
            Path(f"part.{rank}").rename(f"rank.{rank}")
    r = float(theta @ theta)
    return -0.5 * r, r, int(10 * r)
def initial(nwalkers, rng):
    return rng.normal(size=(nwalkers, 2))
"""
SIZES = (
    "--seed 5 --nwalkers 8 --nensembles 3 --burnin 6 --nsteps 60 --thin-by 2 --moves de,stretch"
)
MODES = {
    "split": "--mode split",
    "static": "--mode pool --schedule static",
    "demand": "--mode pool --schedule demand",
    "teams": "--teams 2",
}


class Job:
    """A job in the background; ``signal`` reaches its launcher, or ranks of it."""

    def __init__(self, launcher, n, *args, cwd, env=None, sleep=0.0):
        command = [launcher.python, "-m", "pmcmc", *args]
        if n:
            extra = ["--oversubscribe", "--bind-to", "none"] if launcher.openmpi else []
            command = [launcher.mpiexec, *extra, "-n", str(n), *command]
        self.cwd, self.n = Path(cwd), max(n, 1)
        for left in self.cwd.glob("rank.*"):
            left.unlink()
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            # of the calls some are the probe's, some for the start of up to three ensembles
            env=clean_env() | {"SLEEP": str(sleep), "BEGUN": "16" if n else "34"} | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # its own session: no other's process
        self.process.communicate()

    def until(self, ready, timeout=120):
        """Wait for something to be there."""
        limit = time.monotonic() + timeout
        while not ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the job has ended: {self.process.communicate()}")
            assert time.monotonic() < limit, "the job does not come so far"
            time.sleep(0.01)
        return self

    def begun(self):
        """Wait until every rank samples."""
        return self.until(lambda: len(list(self.cwd.glob("rank.*"))) == self.n)

    def pid(self, rank):
        return int((self.cwd / f"rank.{rank}").read_text())

    def signal(self, number, to="launcher"):
        """Send a signal to "launcher", "all" ranks or the rank of that number; note the time."""
        self.at = time.monotonic()
        if to == "launcher":
            self.process.send_signal(number)
        else:
            for rank in range(self.n) if to == "all" else [to]:
                os.kill(self.pid(rank), number)

    def end(self, timeout=120):
        """Wait for the end; return the exit status, what was said, and the seconds it took."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out + err, time.monotonic() - self.at


def arguments(model, output, mode="split", more=""):
    return [model, *SIZES.split(), "--output", str(output), *MODES[mode].split(), *more.split()]


def resume(launcher, n, tmp_path, *args, mode=None, output="x.h5"):
    """Resume a run; return the finished process."""
    mode = MODES[mode].split() if mode else []
    args = ["model.py", "--output", output, "--resume", *mode, *args]
    return launcher(n, "-m", "pmcmc", *args, cwd=tmp_path)


def left_behind(folder):
    """Return names of files that a job made for itself: locks, and files in the making."""
    return [p.name for p in Path(folder).iterdir() if p.name.startswith(".")]
