"""Models that change what the whole process has: the run goes on, and ends as it would."""

import signal
import subprocess
import time

import pytest

import pmcmc
from background_job import Job
from conftest import slow_but

MODEL = """
import os, signal, sys, time, warnings
parameters = ["m", "\u03c9"]
initial = [0.0, 0.0]
calls = 0
def disturb():
    DISTURB
if WHEN == 0:
    disturb()
def log_prob(theta):
    global calls
    calls += 1
    if calls == WHEN:
        disturb()
    time.sleep(SLEEP)
    return -0.5 * float(theta @ theta)
"""
DISTURB = {
    "closed stdout": "sys.stdout.close()",
    "closed descriptors": "os.close(1); os.close(2)",
    "no stdout": "sys.stdout = None",
    "another stdout": "sys.stdout = object()",
    "no stderr": "sys.stderr = None",
    "warnings as errors": "warnings.simplefilter('error')",
    "recursion limit": "sys.setrecursionlimit(60)",
    "timer": "signal.signal(signal.SIGALRM, lambda *a: None); "
    "signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)",
    "sys.path": "sys.path[:] = []",
}
ARGS = ["--nsteps", "400", "--burnin", "20", "--seed", "1", "--output", "x.h5"]
QUICK = ("closed descriptors", "sys.path")


def text(disturb, when, sleep=0.0):
    made = MODEL.replace("DISTURB", disturb).replace("WHEN", str(when))
    return made.replace("SLEEP", str(sleep))


@pytest.mark.parametrize("when", slow_but([100], [0, 100]))
@pytest.mark.parametrize("what", slow_but(QUICK, DISTURB))
def test_the_run_goes_on(launch, tmp_path, model, what, when):
    done = launch(2, "-m", "pmcmc", model(text(DISTURB[what], when)), *ARGS, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    result = pmcmc.load(tmp_path / "x.h5")
    assert (result.status, result.ndraws) == ("finished", 400 * 32)


@pytest.mark.parametrize("ranks", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_names_that_stdout_cannot_show(launch, tmp_path, model, ranks):
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = launch(ranks, "-m", "pmcmc", model(text("pass", 0)), *ARGS, cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "\\u03c9" in done.stdout


def test_handlers_of_a_model_do_not_hide_a_stop(launch, tmp_path, model):
    disturb = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    name = model(text(disturb, 0, 0.001))
    args = [name, "--nsteps", "40000", "--checkpoint", "0.1", "--output", "x.h5"]
    with Job(launch, 2, *args, cwd=tmp_path) as job:
        job.until((tmp_path / "x.h5").exists)
        time.sleep(0.5)
        job.signal(signal.SIGTERM, "launcher")
        status, said, _ = job.end()
    assert status == 75, said
    assert "stopped by SIGTERM" in said


@pytest.mark.slow
def test_nobody_reads_on(launch, tmp_path, model):
    """As by `| head -1`: the run goes on to its end."""
    command = f"{launch.python} -m pmcmc {model(text('pass', 0))} {' '.join(ARGS)} | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    assert pmcmc.load(tmp_path / "x.h5").status == "finished"
