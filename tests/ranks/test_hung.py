"""A log_prob that does not return: commits go on, a stop leaves it, and no draw is lost."""

import json
import signal
import subprocess
import sys
import time

import pytest

from background_job import Job, left_behind, resume
from conftest import clean_env
from reference import assert_same_files

# rank HANG hangs for good in its call number AT; the file `free` lets a resumed run go by
MODEL = """
import ctypes, itertools, os, time
from pathlib import Path
import pmcmc.engine.coordinator, pmcmc.engine.late
pmcmc.engine.late._LONG = 1.5  # seconds; 60 are too long for a test
pmcmc.engine.coordinator._LATE = 2.0
import numpy as np
parameters = ["a", "b"]
rank = next((os.environ[k] for k in ("PMI_RANK", "OMPI_COMM_WORLD_RANK") if k in os.environ), "0")
calls = 0
def loop():
    while True:
        pass
def in_c():
    while True:
        ctypes.CDLL(None).sleep(1000)
HANG = {
    "sleep": lambda: time.sleep(1e6),
    "python": loop,
    "c": in_c,
    "comes back": lambda: [ctypes.PyDLL(None).sleep(1) for _ in range(6)],
    "holding the lock": lambda: sum(itertools.repeat(0)),
}
def log_prob(theta):
    global calls
    calls += 1
    time.sleep(float(os.environ.get("SLEEP", "0")))
    if rank == os.environ.get("HANG") and calls == 150:
        Path("hangs").touch()
        HANG[os.environ["KIND"]]()
    return -0.5 * float(theta @ theta)
def initial(nwalkers, rng):
    return rng.normal(size=(nwalkers, 2))
"""
SIZES = "--nwalkers 8 --nensembles 3 --burnin 5 --nsteps 120 --seed 3 --checkpoint 0.5"
SHAPES = {
    "split": "--mode split",
    "static": "--mode pool --schedule static",
    "demand": "--mode pool --schedule demand",
}


def job(launch, n, tmp_path, shape, kind, hang, *more):
    (tmp_path / "model.py").write_text(MODEL)
    args = [
        "model.py",
        *SIZES.split(),
        *SHAPES[shape].split(),
        "--output",
        "x.h5",
        "--stop-grace",
        "1",
    ]
    env = {"KIND": kind, "HANG": str(hang)}
    return Job(launch, n, *args, *more, cwd=tmp_path, env=env, sleep=0.003)


def status(launch, tmp_path):
    done = launch(0, "-m", "pmcmc", "status", "x.h5", "--json", cwd=tmp_path)
    return json.loads(done.stdout)


def goes_on_as_if_never_stopped(launch, tmp_path, shape):
    """Resume, and compare with a run that had no rank that hangs."""
    assert left_behind(tmp_path) == []
    assert resume(launch, 2, tmp_path, *SHAPES[shape].split()).returncode == 0
    args = ["model.py", *SIZES.split(), "--output", "y.h5"]
    assert launch(0, "-m", "pmcmc", *args, cwd=tmp_path).returncode == 0
    assert_same_files(tmp_path / "x.h5", tmp_path / "y.h5")


def test_the_others_are_committed_and_the_rank_is_named(launch, tmp_path):
    with job(launch, 3, tmp_path, "split", "sleep", 1) as running:
        running.until((tmp_path / "hangs").exists)
        running.until(lambda: status(launch, tmp_path).get("notes"))
        told = status(launch, tmp_path)
        assert "rank 1 of 3" in told["notes"][0]
        assert "at a = " in told["notes"][0]
        # the two others have all their steps, though the hung one has joined no gather by itself
        running.until(lambda: status(launch, tmp_path)["steps"] >= 80)
        running.signal(signal.SIGTERM)
        code, said, seconds = running.end()
    assert code == 75, said
    assert seconds < 15
    assert "note: log_prob has been at work on rank 1 of 3" in said
    goes_on_as_if_never_stopped(launch, tmp_path, "split")


CASES = [  # shape, how it hangs, on which rank
    ("split", "python", 0),
    ("split", "c", 1),
    ("split", "holding the lock", 1),
    ("static", "sleep", 0),
    ("static", "holding the lock", 1),
    ("demand", "c", 0),
    ("demand", "python", 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "kind", "hang"), CASES)
def test_a_stop_leaves_it(launch, tmp_path, shape, kind, hang):
    with job(launch, 3, tmp_path, shape, kind, hang) as running:
        running.until((tmp_path / "hangs").exists)
        running.signal(signal.SIGTERM)
        code, said, seconds = running.end()
    assert code == 75, said
    assert seconds < 20
    if kind == "holding the lock":
        assert "log_prob has not returned, and is left: rank 1" in said
    goes_on_as_if_never_stopped(launch, tmp_path, shape)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["split", "static"])
def test_the_others_are_committed_though_rank_0_is_lost(launch, tmp_path, shape):
    """Nothing of its process can write: another rank takes the file over."""
    args = ["model.py", *SIZES.split(), "--nsteps", "900", "--output"]
    mode = SHAPES["split"] if shape == "split" else "--teams 2 --schedule static"
    (tmp_path / "model.py").write_text(MODEL)
    given = [*args, "x.h5", *mode.split(), "--checkpoint", "0.1", "--stop-grace", "1"]
    env = {"KIND": "holding the lock", "HANG": "0"}
    with Job(launch, 4, *given, cwd=tmp_path, env=env, sleep=0.003) as running:
        running.until((tmp_path / "hangs").exists)
        before = status(launch, tmp_path)["steps"]
        time.sleep(2)
        running.signal(signal.SIGTERM)
        code, said, seconds = running.end()
    assert code in (75, launch.killed_by(9)), said  # mpiexec kills rank 0, which cannot leave
    assert pmcmc_status(launch, tmp_path) == 75
    assert seconds < 80
    assert "keeps Python's own lock there" in said
    assert "steps of other ranks are committed" in said
    assert status(launch, tmp_path)["steps"] > before
    assert left_behind(tmp_path) == []
    assert resume(launch, 2, tmp_path, "--nsteps", "900").returncode == 0
    assert launch(0, "-m", "pmcmc", *args, "y.h5", cwd=tmp_path).returncode == 0
    assert_same_files(tmp_path / "x.h5", tmp_path / "y.h5")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sleep", "holding the lock"])
def test_commits_go_on_though_a_gather_does_not_end(launch, tmp_path, kind):
    with job(launch, 3, tmp_path, "split", kind, 1) as running:
        running.until(lambda: (tmp_path / "x.h5").exists())
        running.until(lambda: status(launch, tmp_path)["steps"] >= 80)
    assert status(launch, tmp_path)["status"] == "interrupted"
    (tmp_path / ".x.h5.lock").unlink()
    (tmp_path / ".x.h5.notes").unlink(missing_ok=True)
    goes_on_as_if_never_stopped(launch, tmp_path, "split")


@pytest.mark.slow
def test_a_rank_that_comes_back_goes_on_where_the_messages_ended(launch, tmp_path):
    """What it and the others sent meanwhile is written once, and in order."""
    with job(launch, 3, tmp_path, "split", "comes back", 1, "--nsteps", "900") as running:
        running.signal(0)
        code, said, _ = running.end()
    assert code == 0, said
    args = ["model.py", *SIZES.split(), "--nsteps", "900", "--output", "y.h5"]
    assert launch(0, "-m", "pmcmc", *args, cwd=tmp_path).returncode == 0
    assert pmcmc_status(launch, tmp_path) == 0
    assert_same_files(tmp_path / "x.h5", tmp_path / "y.h5")


def pmcmc_status(launch, tmp_path):
    return launch(0, "-m", "pmcmc", "status", "x.h5", "--verify", cwd=tmp_path).returncode


@pytest.mark.slow
def test_it_is_left_at_the_end_of_the_time(launch, tmp_path):
    with job(launch, 2, tmp_path, "split", "c", 1, "--max-time", "6") as running:
        running.signal(0)
        code, said, _ = running.end()
    assert code == 75, said
    assert "stopped by --max-time" in said


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sleep", "c"])
def test_a_second_interrupt_ends_the_wait(launch, tmp_path, kind):
    more = ("--stop-grace", "300")
    with job(launch, 0, tmp_path, "split", kind, 0, *more) as running:
        running.until((tmp_path / "hangs").exists)
        running.signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(4)
        running.signal(signal.SIGINT)
        code, said, seconds = running.end()
    assert code == 75, said
    assert seconds < 10
    assert "stopping (SIGINT): waiting up to 5 min for log_prob: rank 0 of 1" in said
    goes_on_as_if_never_stopped(launch, tmp_path, "split")


@pytest.mark.slow
def test_under_open_mpi(launch_openmpi, tmp_path):
    with job(launch_openmpi, 3, tmp_path, "split", "holding the lock", 1) as running:
        running.until((tmp_path / "hangs").exists)
        running.signal(signal.SIGUSR1)
        code, said, _ = running.end()
    assert code == 75, said


IN_PYTHON = """
import pmcmc, numpy as np, signal, sys, threading, time, os
state = {"calls": 0}
def log_prob(theta):
    state["calls"] += 1
    time.sleep(0.001)
    if state["calls"] == 400:
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        time.sleep(1e6)
    return -0.5 * float(theta @ theta)
start = lambda nwalkers, rng: rng.normal(size=(nwalkers, 2))
problem = pmcmc.Problem(log_prob, parameters=["a", "b"], initial=start)
result = pmcmc.run(problem, nsteps=10000, burnin=5, nwalkers=8, nensembles=1, stop_grace=1)
print(result.status, result.ndraws > 0, signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""


@pytest.mark.slow
def test_from_python_a_stopped_result_comes_back(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IN_PYTHON],
        cwd=tmp_path,
        env=clean_env(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["stopped", "True", "True"], done
