"""``status --follow``: a view of a run under way, until it ends."""

import subprocess
import time

import pytest

from background_job import Job
from conftest import clean_env

MODEL = """
import time
from mpi4py import MPI
parameters, initial = ["slope", "offset"], [0.0, 0.0]
seconds = 0.002 + 0.004 * (MPI.COMM_WORLD.Get_rank() == 1)
def log_prob(theta):
    time.sleep(seconds)
    return -0.5 * float(theta @ theta)
"""
RUN = ["model.py", "--nsteps", "1000", "--burnin", "5", "--mode", "pool", "--nwalkers", "8"]


@pytest.mark.slow
def test_a_run_is_followed_to_its_end(launch, tmp_path, model):
    model(MODEL)
    command = [launch.python, "-m", "pmcmc", "status", "x.h5", "--follow"]
    with Job(launch, 2, *RUN, "--output", "x.h5", "--checkpoint", "0.5", cwd=tmp_path) as job:
        job.until((tmp_path / "x.h5").exists)
        once = launch(0, *command[1:-1], cwd=tmp_path)
        while "slowest" not in once.stdout:  # written now and then
            once = launch(0, *command[1:-1], cwd=tmp_path)
            assert once.returncode == 4, once
        assert "slowest: rank 1, " in once.stdout  # of the two of one team
        assert " ms an evaluation (median rank: " in once.stdout
        assert " steps/s; " in once.stdout
        done = subprocess.run(
            command, cwd=tmp_path, env=clean_env(), capture_output=True, text=True, timeout=90
        )
        job.at = time.monotonic()
        assert job.end()[0] == 0
    assert (done.returncode, done.stderr) == (0, ""), done
    lines = done.stdout.splitlines()
    assert "x.h5 (model): " in lines[0]
    assert "steps committed" in lines[0]
    assert lines[-1].startswith("x.h5: finished, 1000 of 1000 steps")


def test_one_that_is_over_is_shown_at_once(launch, tmp_path, model):
    model(MODEL.replace("time.sleep(seconds)", "pass"))
    run = [*RUN, "--output", "x.h5"]
    assert launch(0, "-m", "pmcmc", *run, cwd=tmp_path).returncode == 0
    done = launch(0, "-m", "pmcmc", "status", "x.h5", "--follow", cwd=tmp_path, timeout=20)
    assert done.returncode == 0, done
    assert done.stdout.startswith("x.h5: finished")
