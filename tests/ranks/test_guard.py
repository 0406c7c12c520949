"""A rank that leaves in a way of its own, even with status 0: the job fails and says how."""

import subprocess
import sys

import pytest

import pmcmc
from conftest import slow_but

MODEL = """
import atexit, ctypes, os, sys, threading
from mpi4py import MPI
from mpi4py.MPI import COMM_WORLD
ndim = 2
initial = [0.0, 0.0]
calls, rank = 0, COMM_WORLD.Get_rank()
library = ctypes.CDLL(MPI.__file__)
def leave():
    WAY
if WHEN == "import" and rank == RANK:
    leave()
def log_prob(theta):
    global calls
    calls += 1
    if rank == RANK and calls == WHEN:
        leave()
    return -0.5 * float(theta @ theta)
"""
WAYS = {  # and what the message says
    "os._exit(0)": "the job was left by os._exit(0)",
    "MPI.COMM_WORLD.Abort(0)": "the job was left by MPI.COMM_WORLD.Abort(0)",
    "COMM_WORLD.Abort(0)": "the job was left by MPI.COMM_WORLD.Abort(0)",
    "ctypes.CDLL(None).exit(0)": "the job was left by an exit in C (exit(), Fortran's STOP)",
    "library.MPI_Finalize()": "the job was left by MPI_Finalize",
    "MPI.Finalize()": "MPI.Finalize() was called",
    "sys.exit(0)": "sys.exit(0)",
    "threading.Thread(target=MPI.Finalize).start(); threading.Event().wait(9)": "the job was left",
}
CASES = [
    (way, when, rank)
    for k, way in enumerate(WAYS)
    for when in ("import", 1, 200)
    for rank in (0, 1)
    if (when == 200 and rank == 1) or k < 4
]


def fails(launch, tmp_path, model, way, when, rank):
    text = MODEL.replace("WAY", way).replace("WHEN", repr(when)).replace("RANK", str(rank))
    args = [
        model(text),
        "--nsteps",
        "400",
        "--burnin",
        "10",
        "--mode",
        "split",
        "--output",
        "x.h5",
    ]
    done = launch(3, "-m", "pmcmc", *args, cwd=tmp_path, timeout=60)
    assert done.returncode not in (0, 75), done
    assert WAYS[way] in done.stderr, done
    assert f"on rank {rank} of 3, host " in done.stderr
    if when == 200 and "theta" not in done.stderr:
        pytest.fail(f"no parameters: {done.stderr}")


QUICK = [(way, 200, 1) for way in (*list(WAYS)[::3], list(WAYS)[-1])]


@pytest.mark.parametrize(
    ("way", "when", "rank"),
    slow_but(QUICK, CASES),
)
def test_leaving_is_a_failure(launch, tmp_path, model, way, when, rank):
    fails(launch, tmp_path, model, way, when, rank)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_leaving_is_a_failure_under_open_mpi(launch_openmpi, tmp_path, model, way):
    fails(launch_openmpi, tmp_path, model, way, 200, 1)


def test_a_forked_child_leaves_as_it_likes(launch, tmp_path, model):
    way = (
        "pid = os.fork()\n"
        "    if pid == 0:\n"
        "        os._exit(7)\n"
        "    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7"
    )
    text = MODEL.replace("WAY", way).replace("WHEN", "200").replace("RANK", "1")
    args = [model(text), "--nsteps", "400", "--burnin", "10", "--output", "x.h5"]
    done = launch(3, "-m", "pmcmc", *args, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert pmcmc.load(tmp_path / "x.h5").status == "finished"


def test_what_was_replaced_is_put_back(tmp_path):
    script = """
import os, faulthandler
from mpi4py import MPI
import pmcmc
before = os._exit, MPI.Finalize, MPI.COMM_WORLD
during = []
def log_prob(theta):
    if not during:
        during.extend([os._exit, MPI.Finalize, MPI.COMM_WORLD])
        assert MPI.COMM_WORLD == before[2] and faulthandler.is_enabled()
    return -float(theta @ theta)
problem = pmcmc.Problem(log_prob, ndim=2, initial=[0.0, 0.0])
pmcmc.run(problem, nsteps=40, burnin=0)
assert all(a is not b for a, b in zip(before, during))
assert all(a is b for a, b in zip(before, (os._exit, MPI.Finalize, MPI.COMM_WORLD)))
assert not faulthandler.is_enabled()
print("fine")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_alone_too(tmp_path, model, launch):
    way, text = "os._exit(0)", MODEL
    text = text.replace("WAY", way).replace("WHEN", "5").replace("RANK", "0")
    done = launch(0, "-m", "pmcmc", model(text), "--nsteps", "400", cwd=tmp_path, timeout=60)
    assert done.returncode == 1, done
    assert "the job was left by os._exit(0) on rank 0 of 1" in done.stderr


CRASH = """
import ctypes, time
parameters = ["m", "b"]
initial = [0.0, 1.0]
calls = 0
def log_prob(theta):
    global calls
    calls += 1
    if calls == 300:
        ctypes.string_at(0)
    time.sleep(SECONDS)
    return -0.5 * float(theta @ theta)
"""


@pytest.mark.parametrize("seconds", [0, 3e-4])
def test_a_crash_in_c_names_rank_host_and_parameters(launch, tmp_path, model, seconds):
    """The parameters where a call takes 0.1 ms or more."""
    args = [model(CRASH.replace("SECONDS", str(seconds))), "--output", "x.h5"]
    done = launch(2, "-m", "pmcmc", *args, cwd=tmp_path, timeout=60)
    assert done.returncode not in (0, 75), done
    assert "Segmentation fault" in done.stderr
    assert "model.py" in done.stderr
    frame = next(line for line in done.stderr.splitlines() if "of 2, host " in line)
    assert " in log_prob on rank " in frame or not seconds
    assert ("at m = " in frame and "b = " in frame) or not seconds


@pytest.mark.parametrize("way", ["os._exit(0)", "ctypes.CDLL(None).exit(0)"])
@pytest.mark.parametrize("rank", [0, 1])
def test_leaving_within_a_map_is_a_failure(launch, tmp_path, way, rank):
    (tmp_path / "script.py").write_text(f"""
import ctypes, os, time
from mpi4py import MPI
from pmcmc import MPIPool
def task(x):
    if MPI.COMM_WORLD.Get_rank() == {rank}:
        {way}
    time.sleep(0.01)
    return x
with MPIPool() as pool:
    pool.map(task, range(20))
print("on")
""")
    done = launch(2, "script.py", cwd=tmp_path, timeout=60)
    assert done.returncode not in (0, 75), done
    assert "on" not in done.stdout.split()
    assert f"{WAYS[way]} on rank {rank} of 2, host " in done.stderr
