"""A job that is stopped in its tracks (SIGSTOP), taken over, and woken: it spoils nothing."""

import os
import signal
import time

import pytest

import pmcmc
from background_job import Job
from reference import assert_same_files

MODEL = """
import os, time
from pathlib import Path
parameters, initial = ["a", "b"], [0.0, 0.0]
sleep = float(os.environ.get("SLEEP", "0"))
if sleep:
    Path("rank." + os.environ.get("PMI_RANK", "0")).write_text(str(os.getpid()))
def log_prob(theta):
    time.sleep(sleep)
    return -0.5 * float(theta @ theta)
"""
ARGS = ["model.py", "--nsteps", "240", "--burnin", "5", "--nensembles", "6", "--nwalkers", "8"]
ARGS += ["--seed", "2", "--output"]


@pytest.fixture(scope="module")
def undisturbed(launch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "model.py").write_text(MODEL)
    done = launch(0, "-m", "pmcmc", *ARGS, "x.h5", cwd=folder)
    assert done.returncode == 0, done
    return folder / "x.h5"


def steps(path):
    try:
        return sum(pmcmc.load(path).steps)
    except pmcmc.PmcmcError:
        return 0


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.09, 0.14, 0.2, 0.27])
def test_a_stopped_job_that_wakes(launch, tmp_path, undisturbed, delay):
    (tmp_path / "model.py").write_text(MODEL)
    path = tmp_path / "x.h5"
    with Job(
        launch, 2, *ARGS, "x.h5", "--checkpoint", "0.0001", cwd=tmp_path, sleep=0.0005
    ) as job:
        job.until(lambda: steps(path) > 20)
        time.sleep(delay)
        job.signal(signal.SIGSTOP, "all")
        refused = launch(0, "-m", "pmcmc", *ARGS, "x.h5", "--resume", cwd=tmp_path)
        assert refused.returncode == 2, refused
        assert "is being written by process" in refused.stderr
        again = [*ARGS, "x.h5", "--resume", "--break-lock"]
        second = launch(0, "-m", "pmcmc", *again, cwd=tmp_path)
        assert second.returncode == 0, second
        before, inode = path.read_bytes(), path.stat().st_ino
        job.signal(signal.SIGCONT, "all")
        status, said, _ = job.end()
    assert status not in (0, 75), said
    assert "the lock" in said
    assert (path.read_bytes(), path.stat().st_ino) == (before, inode)
    assert set(os.listdir(tmp_path)) - {"__pycache__"} == {"model.py", "rank.0", "rank.1", "x.h5"}
    assert_same_files(path, undisturbed)
