"""Signals and time limits end a job in order: status 75, a whole file, an exact resume."""

import os
import re
import signal
import threading
import time

import h5py
import numpy as np
import pytest

import pmcmc
from background_job import MODEL, Job, arguments, left_behind, resume
from pmcmc.signals import SIGNALS, Signalled, SignalWatch
from reference import assert_same_files

SLACK = 2.5  # seconds beyond the second that is promised: for Python's own end, and a busy machine
TERM, INT, USR1 = signal.SIGTERM, signal.SIGINT, signal.SIGUSR1


@pytest.fixture(scope="module")
def undisturbed(launch, tmp_path_factory):
    """Return the file of the run of ``jobs`` that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "model.py").write_text(MODEL)
    done = launch(0, "-m", "pmcmc", *arguments("model.py", "x.h5"), cwd=folder)
    assert done.returncode == 0, done
    return folder / "x.h5"


@pytest.fixture
def start(launch, tmp_path):
    """Start the job of ``jobs`` in the background; end it with the test."""
    started = []

    def begin(n=3, mode="split", *, text=MODEL, more="", sleep=0.02, launcher=None):
        (tmp_path / "model.py").write_text(text)
        args = arguments("model.py", "x.h5", mode, more)
        job = Job(launcher or launch, n, *args, cwd=tmp_path, sleep=sleep)
        started.append(job)
        return job

    yield begin
    for job in started:
        with job:
            pass


def assert_stopped(job, name, tmp_path, within=1.0):
    """Check the end of a job that was sent a signal; ``name`` may be a pattern of several."""
    status, said, seconds = job.end()
    assert status == 75, said
    assert seconds < within + SLACK
    assert said.count("stopped by") == 1
    assert re.search(f"stopped by ({name}) after", said), said
    assert "Traceback" not in said
    assert left_behind(tmp_path) == []
    return said


def assert_resumable(launch, tmp_path, undisturbed, ranks=0, mode="split"):
    """Check that a stopped file is whole, and that it is resumed to the undisturbed end."""
    result = pmcmc.load(tmp_path / "x.h5")
    assert result.status == "stopped"
    with h5py.File(tmp_path / "x.h5") as file:
        assert file.attrs["status"] == "stopped"
    assert sum(result.steps) < result.nsteps
    done = resume(launch, ranks, tmp_path, mode=mode)
    assert done.returncode == 0, done
    assert_same_files(undisturbed, tmp_path / "x.h5")


# signal, whom it reaches, the mode, and how the run goes on; rank 1 is a worker in a pool, rank 2
# the root of the second team
CASES = [
    (TERM, "launcher", "split", 2, "static"),
    (INT, "launcher", "static", 0, "split"),
    (USR1, "launcher", "demand", 2, "teams"),
    (INT, 0, "static", 2, "split"),
    (USR1, 1, "static", 2, "demand"),
    (TERM, 0, "demand", 3, "static"),
    (USR1, 2, "teams", 0, "split"),
    (TERM, 1, "teams", 2, "demand"),
    (TERM, "all", "split", 2, "teams"),
    (INT, "all", "demand", 2, "static"),
    (TERM, "all", "teams", 3, "split"),
]
QUICK = {(TERM, "launcher", "split"), (INT, "all", "demand")}


@pytest.mark.parametrize(
    ("number", "to", "mode", "ranks", "mode_after"),
    [
        pytest.param(
            *case,
            id="-".join([case[0].name, str(case[1]), *map(str, case[2:])]),
            marks=[] if case[:3] in QUICK else pytest.mark.slow,
        )
        for case in CASES
    ],
)
def test_a_signal_commits_and_ends_all(
    launch, start, tmp_path, undisturbed, number, to, mode, ranks, mode_after
):
    job = start(3, mode).begun()
    job.signal(number, to)
    said = assert_stopped(job, number.name, tmp_path)
    assert "steps are safe in x.h5" in said or "burn-in steps per ensemble are safe" in said
    assert "--resume" in said
    assert_resumable(launch, tmp_path, undisturbed, ranks, mode_after)


@pytest.mark.slow
@pytest.mark.parametrize(("to", "mode"), [("launcher", "split"), (1, "static"), (2, "demand")])
def test_a_stop_takes_one_evaluation_and_a_second(start, tmp_path, to, mode):
    slow = MODEL.replace("time.sleep(sleep)", "time.sleep(3 if calls > 36 else sleep)")
    job = start(3, mode, text=slow).begun()
    time.sleep(1.0)  # all are within an evaluation of three seconds
    job.signal(TERM, to)
    assert_stopped(job, "SIGTERM", tmp_path, within=3 + 1)


@pytest.mark.parametrize("mode", [pytest.param("static", marks=pytest.mark.slow), "demand"])
def test_a_rank_that_leaves_early_is_not_forgotten(start, tmp_path, mode):
    uneven = MODEL.replace(
        "time.sleep(sleep)", "time.sleep(2 if calls > 36 and rank > '1' else sleep)"
    )
    job = start(3, mode, text=uneven).begun()
    time.sleep(1.0)
    job.signal(TERM, 1)  # it is at the end while rank 2 still evaluates
    assert_stopped(job, "SIGTERM", tmp_path, within=2 + 1)


@pytest.mark.slow
def test_stopped_again_and_again_it_comes_to_the_same_end(launch, tmp_path, undisturbed):
    (tmp_path / "model.py").write_text(MODEL)
    shapes = [(0, "split"), (3, "demand"), (3, "teams")]
    for ranks, mode in shapes:
        more = [*arguments("model.py", "x.h5", mode), "--resume"]
        with Job(launch, ranks, *more, cwd=tmp_path, sleep=0.01) as job:
            job.begun().signal(TERM)
            assert_stopped(job, "SIGTERM", tmp_path)
    assert_resumable(launch, tmp_path, undisturbed, 2, "split")


@pytest.mark.slow
def test_one_rank_without_a_launcher(launch, start, tmp_path, undisturbed):
    job = start(0).begun()
    job.signal(INT)
    assert_stopped(job, "SIGINT", tmp_path)
    assert_resumable(launch, tmp_path, undisturbed)


@pytest.mark.slow
def test_what_comes_together_is_one_signal(launch, start, tmp_path, undisturbed):
    job = start(0).begun()
    for number in (INT, INT, TERM, USR1):
        job.signal(number)
    # of signals that wait for a process, the kernel gives each to any of its threads
    assert_stopped(job, "SIGINT|SIGTERM|SIGUSR1", tmp_path)
    assert_resumable(launch, tmp_path, undisturbed)


STUCK = MODEL.replace("time.sleep(sleep)", "time.sleep(20 if calls > 60 else sleep)")


@pytest.mark.parametrize("ranks", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_second_interrupt_ends_the_wait(launch, start, tmp_path, undisturbed, ranks):
    job = start(ranks, text=STUCK, more="--checkpoint 0.1", sleep=0.01).begun()
    time.sleep(1.5)
    job.signal(INT, "all")
    time.sleep(1.2)
    job.signal(INT, "all")
    assert_stopped(job, "SIGINT", tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    assert resume(launch, 0, tmp_path).returncode == 0
    assert_same_files(undisturbed, tmp_path / "x.h5")


def test_an_interrupt_after_another_signal_does_not_cut_the_commit_short(start, tmp_path):
    slow = MODEL.replace("time.sleep(sleep)", "time.sleep(2.5 if calls > 36 else sleep)")
    job = start(0, text=slow).begun()
    time.sleep(0.3)
    job.signal(USR1)
    time.sleep(1.2)
    job.signal(INT)
    assert_stopped(job, "SIGUSR1", tmp_path, within=2.5 + 1)


# ---- before the sampling


EARLY = {
    "import": MODEL.replace("calls = 0", "calls = 0\nhere()"),
    "probe": MODEL.replace("    calls += 1", "    calls += 1\n    here()"),
}
HERE = """
def here():
    Path(f"part.{rank}").write_text(str(os.getpid()))
    Path(f"part.{rank}").rename(f"rank.{rank}")
    time.sleep(30)
"""


@pytest.mark.parametrize(
    ("ranks", "to", "stage", "number", "there"),
    [
        (0, 0, "import", INT, False),
        (0, 0, "probe", TERM, True),
        (2, "launcher", "import", TERM, False),
        pytest.param(2, "all", "probe", USR1, True, marks=pytest.mark.slow),
        pytest.param(2, "launcher", "probe", INT, False, marks=pytest.mark.slow),
        pytest.param(3, 0, "import", TERM, True, marks=pytest.mark.slow),
        pytest.param(3, 2, "probe", TERM, False, marks=pytest.mark.slow),
    ],
)
def test_before_the_sampling_there_is_nothing_to_lose(
    start, tmp_path, undisturbed, ranks, to, stage, number, there
):
    head, tail = EARLY[stage].split("calls = 0", 1)
    if there:
        (tmp_path / "x.h5").write_bytes(undisturbed.read_bytes())
    text = head + HERE + "calls = 0" + tail
    job = start(ranks, text=text, more="--resume" if there else "").begun()
    job.signal(number, to)
    status, said, seconds = job.end()
    assert status == 75, said
    assert seconds < 7 + SLACK  # a rank that does not answer is waited for
    assert f"stopped by {number.name}" in said
    assert "before the" in said
    assert "Traceback" not in said
    assert left_behind(tmp_path) == []
    if there:
        assert (tmp_path / "x.h5").read_bytes() == undisturbed.read_bytes()
    else:
        assert not (tmp_path / "x.h5").exists()


START = MODEL.replace("time.sleep(sleep)", "time.sleep(1.5)").replace(
    'int(os.environ["BEGUN"])', "2"
)


@pytest.mark.parametrize("ranks", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_before_all_ensembles_have_begun_nothing_is_written(start, tmp_path, ranks):
    job = start(ranks, text=START).begun()
    job.signal(TERM)
    said = assert_stopped(job, "SIGTERM", tmp_path, within=1.5 + 1)
    assert "no ensemble had begun, and nothing was written" in said
    assert not (tmp_path / "x.h5").exists()


def test_a_signal_within_the_decision_is_not_lost(launch, start, tmp_path, undisturbed):
    """The lock is taken, the file read: from here on a signal ends the work in order."""
    # rank 0 gets it as the last thing before its decision: a slow squeue, asked for the deadline
    squeue = tmp_path / "squeue"
    squeue.write_text(
        f"#!/bin/sh\necho $PPID >{tmp_path}/rank.part\nmv {tmp_path}/rank.part "
        f"{tmp_path}/rank.0\nsleep 1\necho '7 1:00:00'\n"
    )
    squeue.chmod(0o755)
    (tmp_path / "model.py").write_text(MODEL)
    env = {"SLURM_JOB_ID": "7", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    args = arguments("model.py", "x.h5")
    with Job(launch, 0, *args, cwd=tmp_path, env=env, sleep=0.02) as job:
        job.begun().signal(TERM)
        said = assert_stopped(job, "SIGTERM", tmp_path, within=2)
    assert "nothing was written" in said


FAILS_AT_A_STOP = """
import os, signal, time
from mpi4py import MPI
parameters, initial, calls = ["a", "b"], [0.0, 0.0], 0
def log_prob(theta):
    global calls
    calls += 1
    time.sleep(0.001)
    if calls == 300 and MPI.COMM_WORLD.rank == 0:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)
        raise ValueError("the message")
    return -0.5 * float(theta @ theta)
"""


@pytest.mark.parametrize("schedule", ["static", "demand"])
def test_a_failure_at_the_time_of_a_stop_is_told(launch, model, tmp_path, schedule):
    args = [model(FAILS_AT_A_STOP), "--nsteps", 10**6, "--mode", "pool", "--schedule", schedule]
    done = launch(2, "-m", "pmcmc", *args, cwd=tmp_path, timeout=60)
    assert done.returncode == 1, done
    assert "the message" in done.stderr


# ---- time


@pytest.mark.parametrize(
    ("ranks", "mode"), [(0, "split"), pytest.param(3, "demand", marks=pytest.mark.slow)]
)
def test_max_time(launch, start, tmp_path, undisturbed, ranks, mode):
    job = start(ranks, mode, more="--max-time 3s", sleep=0.05)
    job.at = time.monotonic()
    status, said, seconds = job.end()
    assert status == 75, said
    assert 3 < seconds < 3 + 5 + SLACK  # from its start, Python's own included
    assert "stopped by --max-time after" in said
    assert_resumable(launch, tmp_path, undisturbed, 2, "static")
    assert left_behind(tmp_path) == []


@pytest.mark.slow
def test_the_end_of_a_slurm_job(launch, tmp_path, undisturbed):
    (tmp_path / "model.py").write_text(MODEL)
    args = arguments("model.py", "x.h5")
    end = int(time.time()) + 15 + 7
    env = {"SLURM_JOB_ID": "7", "SLURM_JOB_END_TIME": str(end)}
    with Job(launch, 0, *args, cwd=tmp_path, env=env, sleep=0.05) as job:
        job.at = time.monotonic()
        status, said, _ = job.end()
    assert time.time() < end - 5  # there is a margin for the commit
    assert status == 75, said
    assert "stopped by the end of the Slurm job's time" in said
    assert_resumable(launch, tmp_path, undisturbed)


# ---- Open MPI


@pytest.mark.slow
@pytest.mark.parametrize(("to", "mode"), [("launcher", "demand"), (1, "split")])
def test_open_mpi(launch_openmpi, launch, start, tmp_path, undisturbed, to, mode):
    """Its mpiexec passes SIGUSR1 on; SIGTERM and SIGINT it answers itself."""
    job = start(3, mode, launcher=launch_openmpi).begun()
    job.signal(USR1, to)
    assert_stopped(job, "SIGUSR1", tmp_path)
    assert_resumable(launch, tmp_path, undisturbed, 2, "split")


# ---- from Python


def problem(act, after=200):
    """Return a Problem that acts within one of its first evaluations."""
    calls = []

    def log_prob(theta):
        calls.append(1)
        if len(calls) == after:
            act()
        return -0.5 * float(theta @ theta)

    return pmcmc.Problem(log_prob, ["a", "b"], initial=np.zeros(2))


def late(act, seconds=0.5):
    """Return a log_prob that acts once, when the sampling is under way."""
    began = time.monotonic()

    def log_prob(theta):
        nonlocal began
        if time.monotonic() - began > seconds:
            began = float("inf")
            act()
        return -0.5 * float(theta @ theta)

    return log_prob


def killing(number):
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("output", ["x.h5", None])
def test_python_returns_what_there_is_and_restores_handlers(tmp_path, number, output):
    path = None if output is None else tmp_path / output
    before = [signal.signal(s, lambda number, frame: None) for s in SIGNALS]
    mine = [signal.getsignal(s) for s in SIGNALS]
    act = pmcmc.Problem(late(killing(number)), ["a", "b"], initial=np.zeros(2))
    try:
        result = pmcmc.run(act, nsteps=10**5, nwalkers=8, burnin=0, seed=1, output=path)
        assert [signal.getsignal(s) for s in SIGNALS] == mine
    finally:
        for s, handler in zip(SIGNALS, before, strict=True):
            signal.signal(s, handler)
    assert result.status == "stopped"
    assert 0 < sum(result.steps) < 10**5
    assert np.isfinite(result.get_chain()).all()
    assert (result.path is None) == (output is None)


def test_python_before_the_sampling_raises(tmp_path):
    path = tmp_path / "x.h5"
    with pytest.raises(pmcmc.Interrupted, match=r"stopped by SIGTERM on rank 0 of 1.*before"):
        pmcmc.run(problem(killing(TERM), after=1), nsteps=10, seed=1, output=path)
    assert list(tmp_path.iterdir()) == []


def test_python_handlers_are_restored_after_a_failure():
    before = [signal.getsignal(s) for s in SIGNALS]

    def fail():
        raise ValueError

    with pytest.raises(pmcmc.EvaluationError):
        pmcmc.run(problem(fail), nsteps=1000, seed=1)
    assert [signal.getsignal(s) for s in SIGNALS] == before


def test_python_in_another_thread_leaves_the_handlers_alone():
    before, seen, results = [signal.getsignal(s) for s in SIGNALS], [], []

    def work():
        asking = problem(lambda: seen.append([signal.getsignal(s) for s in SIGNALS]))
        results.append(pmcmc.run(asking, nsteps=100, nwalkers=8, burnin=0, seed=1))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert results[0].status == "finished"
    assert seen == [before]


# ---- the watch itself


def test_a_watch_raises_at_first_and_notes_later():
    with SignalWatch() as watch:
        with pytest.raises(Signalled, match="SIGUSR1"):
            os.kill(os.getpid(), USR1)
        assert watch.caught == "SIGUSR1"
        os.kill(os.getpid(), TERM)
        assert watch.caught == "SIGUSR1"
    with SignalWatch() as watch:
        watch.quiet = True
        os.kill(os.getpid(), TERM)
        assert watch.caught == "SIGTERM"
