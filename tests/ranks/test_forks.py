"""Models that fork, or start threads: children are no ranks, and no thread keeps a job alive."""

import subprocess
import sys
import time

import pytest

import pmcmc
from conftest import slow_but

START = """
import multiprocessing, os, sys, threading, time
ndim = 2
initial = [0.0, 0.0]
calls = 0
def square(x): return x * x
def log_prob(theta):
    global calls
    calls += 1
    FIRST
    return -0.5 * float(theta @ theta)
"""
ARGS = ["--nsteps", "200", "--burnin", "10", "--seed", "1", "--output", "x.h5"]


def run(launch, tmp_path, model, first, ranks=2, head="", args=ARGS):
    text = START.replace("FIRST", first) + head
    return launch(ranks, "-m", "pmcmc", model(text), *args, cwd=tmp_path, timeout=60)


CHILDREN = {
    "a pool of processes": """
    if calls % 100 == 50:
        with multiprocessing.Pool(2) as pool:
            assert pool.map(square, range(10)) == [x * x for x in range(10)]""",
    "a fork that raises": """
    if calls == 50:
        pid = os.fork()
        if pid == 0:
            raise KeyError("in the child")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1""",
    "a fork that leaves by sys.exit": """
    if calls == 50:
        pid = os.fork()
        if pid == 0:
            sys.exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5""",
    "a fork that comes back": """
    if calls == 50:
        pid = os.fork()
        assert pid == 0 or os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1""",
    "a child ended by SIGTERM": """
    if calls == 50:
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        process.start()
        process.terminate()
        process.join()
        assert process.exitcode == -15""",
}
SAYS = {
    "a fork that raises": "KeyError: 'in the child'",
    "a fork that comes back": "a forked child came back from the model's code",
}


QUICK = ("a pool of processes", "a fork that raises")


@pytest.mark.parametrize(
    "what",
    slow_but(QUICK, CHILDREN),
)
def test_children_are_no_ranks(launch, tmp_path, model, what):
    done = run(launch, tmp_path, model, CHILDREN[what].strip())
    assert done.returncode == 0, done
    assert SAYS.get(what, "") in done.stderr
    assert bool(done.stderr) == (what in SAYS), done.stderr
    assert not list(tmp_path.glob(".x.h5*"))
    plain = pmcmc.run(
        pmcmc.Problem(lambda t: -0.5 * float(t @ t), ndim=2, initial=[0.0, 0.0]),
        nsteps=200,
        burnin=10,
        seed=1,
    )
    assert (pmcmc.load(tmp_path / "x.h5").get_chain() == plain.get_chain()).all()


@pytest.mark.slow
@pytest.mark.parametrize("what", list(CHILDREN)[:2])
def test_children_are_no_ranks_under_open_mpi(launch_openmpi, tmp_path, model, what):
    done = run(launch_openmpi, tmp_path, model, CHILDREN[what].strip())
    assert done.returncode == 0, done


def test_a_pool_of_processes_as_the_model_is_loaded(launch, tmp_path, model):
    head = """
with multiprocessing.Pool(2) as pool:
    assert pool.map(square, range(4)) == [0, 1, 4, 9]
pid = os.fork()
if pid == 0:
    raise KeyError("in the child")
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
"""
    done = run(launch, tmp_path, model, "pass", head=head)
    assert done.returncode == 0, done
    assert done.stderr.count("raise KeyError") >= 2


@pytest.mark.parametrize("where", ["load", "first"])
def test_a_fork_that_comes_back_before_the_work(launch, tmp_path, model, where):
    forks = "pid = os.fork()\nif pid == 0: time.sleep(0.2)\n"
    body = "if calls == 1:\n        " + forks.replace("\nif", "\n        if")
    done = run(
        launch, tmp_path, model, *("pass" if where == "load" else body,),
        head=forks if where == "load" else "",
    )  # fmt: skip
    assert done.returncode == 0, done
    assert "a forked child came back from the model's code" in done.stderr


@pytest.mark.parametrize("ranks", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_a_thread_of_the_model_keeps_no_job_alive(launch, tmp_path, model, ranks):
    head = """
import atexit
atexit.register(lambda: open(f"ended-{os.getpid()}", "w").close())
threading.Thread(target=time.sleep, args=(1000,), name="watcher").start()
"""
    times = 5 if ranks else 1  # a rank that leaves too early is a failure now and then
    for _ in range(times):
        began = time.monotonic()
        args = [*ARGS, "--overwrite"]
        done = run(launch, tmp_path, model, "pass", ranks, head, args)
        assert time.monotonic() - began < 30
        assert done.returncode == 0, done
        assert done.stderr == "pmcmc: a thread of the model runs on (watcher): it is left\n"
    assert len(list(tmp_path.glob("ended-*"))) == times * max(1, ranks)
    assert pmcmc.load(tmp_path / "x.h5").status == "finished"


def test_a_process_of_the_model_that_runs_on_is_named(launch, tmp_path, model):
    """MPICH's mpiexec waits for it: it has the rank's streams."""
    text = (
        "import subprocess\nndim, initial, child = 2, [0.0, 0.0], []\n"
        "def log_prob(theta):\n"
        "    if not child:\n"
        "        child.append(subprocess.Popen(['sleep', '2']))\n"
        "    return -float(theta @ theta)\n"
    )
    args = [model(text), "--nsteps", "40", "--burnin", "0", "--mode", "split", "--output", "x.h5"]
    done = launch(1, "-m", "pmcmc", *args, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done
    assert "a process that the model started runs on (" in done.stderr
    assert ", sleep): the launcher may wait for it" in done.stderr


def test_a_task_of_the_pool_that_forks(launch, tmp_path):
    (tmp_path / "script.py").write_text("""
import os
from pmcmc import MPIPool
def task(x):
    pid = os.fork()
    if pid == 0:
        raise KeyError(x)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    return 2 * x
with MPIPool() as pool:
    assert pool.map(task, range(5)) == [0, 2, 4, 6, 8]
    print("fine")
""")
    done = launch(2, "script.py", cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stdout) == (0, "fine\n"), done
    assert done.stderr.count("\nKeyError") == 5


def test_a_child_may_have_a_run_of_its_own(tmp_path):
    script = """
import multiprocessing, pmcmc
def work(seed):
    problem = pmcmc.Problem(lambda t: -float(t @ t), ndim=2, initial=[0.0, 0.0])
    return pmcmc.run(problem, nsteps=20, burnin=0, seed=seed).ndraws
pmcmc.run(pmcmc.Problem(lambda t: -float(t @ t), ndim=1, initial=[0.0]), nsteps=8, burnin=0)
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(work, [1, 2]) == [640, 640]
    print("fine")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
