"""The script of docs/tasks/grid_engine.md, word for word, on a real Grid Engine of two hosts.

One file, so that one worker of pytest-xdist has them all: there is one cluster. Its fixtures have
names of their own: those of Slurm are asked for by name, for the whole session.
"""

import re
import time
from pathlib import Path

import pytest

import pmcmc
from conftest import ROOT, missing
from reference import assert_same_files

from .conftest import MODEL, SAMPLING, pmcmc_status
from .grid_engine import GridEngine, what_is_missing

pytestmark = pytest.mark.slow

STEPS = 60
RUN = ("model.py", *SAMPLING, "--nsteps", STEPS, "--seed", 1)
MORE_STEPS = 400  # with COST 0.02 and two ranks: 34 s
LONGER = ("model.py", *SAMPLING, "--nsteps", MORE_STEPS, "--checkpoint", 1)
SEED = ("--seed", 1)
COST = ("-v", "COST=0.02")
WENT_ON = "h5, which has "
TWO = ("-pe", "mpi", 2)  # both on one host
FOUR = ("-pe", "mpi", 4)  # two on each


@pytest.fixture(scope="module")
def sge(pytestconfig, tmp_path_factory):
    """Start a real Grid Engine of two hosts."""
    reason = what_is_missing()
    if reason and reason.startswith("this system"):
        pytest.skip(reason)
    if reason:
        missing(pytestconfig, reason)
    grid_engine = GridEngine(tmp_path_factory.mktemp("sge"))
    try:
        grid_engine.start()
        yield grid_engine
    finally:
        grid_engine.stop()


@pytest.fixture
def folder(tmp_path, sge):
    """Return a folder with the model and the page's script; what is left of a job is deleted."""
    page = (ROOT / "docs/tasks/grid_engine.md").read_text()
    (script,) = re.findall(r"^```bash\n(#!/bin/bash\n.*?)^```", page, re.M | re.S)
    (tmp_path / "job.sh").write_text(script)
    (tmp_path / "model.py").write_text(MODEL)
    yield tmp_path
    sge.run("qdel", "-u", "nobody")
    sge.wait(lambda: not sge.run("qstat"), 30, "an empty queue")


@pytest.fixture
def sge_mpich(launch, sge):
    """Let ~/venv of the job's user be this interpreter's environment, with MPICH."""
    if launch.openmpi:
        pytest.skip("this interpreter's MPI is Open MPI")
    return activate(launch, sge)


@pytest.fixture
def sge_openmpi(launch_openmpi, sge):
    """Let ~/venv of the job's user be one with Open MPI."""
    return activate(launch_openmpi, sge)


@pytest.fixture(params=["mpich", "openmpi"])
def sge_mpi(request):
    """Take each MPI in turn."""
    return request.getfixturevalue(f"sge_{request.param}")


def activate(launcher, sge):
    bin = sge.home / "login/venv/bin"
    bin.mkdir(parents=True, exist_ok=True)
    more = "PYTHONDONTWRITEBYTECODE=1 PRTE_MCA_hwloc_default_binding_policy=none"
    path = f"{Path(launcher.python).parent}:$PATH"
    (bin / "activate").write_text(f"export PATH={path} {more}\n")
    return launcher


def log(folder, number):
    """Return what a job has printed."""
    path = folder / f"pmcmc.o{number}"
    return path.read_text(errors="replace") if path.exists() else ""


def committed(sge, output, steps=5):
    """Wait until a run has got somewhere."""

    def ready():
        if not output.exists():
            return False
        result = pmcmc.load(output)
        return min(result.burnin_steps) + min(result.steps) >= steps

    sge.wait(ready, 60, f"draws in {output}")


def starts_again(sge, folder, *numbers):
    """Wait until jobs have stopped and are put back into the queue, and let them be quick then."""
    told = "the same command with --resume goes on"
    sge.wait(lambda: all(told in log(folder, n) for n in numbers), 60, "the runs to stop")
    (folder / "fast").touch()


def test_one_run(sge_mpi, sge, folder, undisturbed):
    job = sge.qsub(*TWO, "job.sh", *RUN, cwd=folder)
    assert sge.ended(job) == [0], log(folder, job)
    assert "2 (split): 2 teams of 1 rank, on 1 host" in log(folder, job)
    assert "OMP_NUM_THREADS" not in log(folder, job)
    assert_same_files(folder / "model.h5", undisturbed(STEPS))


def test_two_hosts(sge_mpich, sge, folder, undisturbed):
    """MPICH's mpiexec starts ranks on the other host through Grid Engine."""
    job = sge.qsub(*FOUR, "job.sh", *RUN, "--mode", "pool", cwd=folder)
    assert sge.ended(job) == [0], log(folder, job)
    assert "on 2 hosts" in log(folder, job)
    assert_same_files(folder / "model.h5", undisturbed(STEPS))


def test_stopped_before_its_time_is_up(sge_mpi, sge, folder, undisturbed):
    """It ends with 99, is put back into the queue under its own number, and goes on."""
    limit = ("--max-time", 5)  # after the script's own
    job = sge.qsub(*COST, *TWO, "job.sh", *LONGER, *SEED, *limit, cwd=folder)
    starts_again(sge, folder, job)
    first, *others = sge.ended(job)
    assert (first, others[-1:]) == (99, [0]), log(folder, job)
    assert "stopped by --max-time" in log(folder, job)
    assert WENT_ON in log(folder, job)
    assert_same_files(folder / "model.h5", undisturbed(MORE_STEPS))


def test_qdel(sge_mpi, sge, folder, undisturbed):
    """USR2, 10 s before the kill here: the run commits, and is not put back."""
    job = sge.qsub(*COST, *TWO, "job.sh", *LONGER, *SEED, cwd=folder)
    committed(sge, folder / "model.h5")
    began = time.monotonic()
    sge.run("qdel", job)
    assert sge.ended(job) == [99], log(folder, job)
    assert time.monotonic() - began < 9
    assert "stopped by SIGUSR1" in log(folder, job)
    assert pmcmc_status(sge_mpi, folder / "model.h5") == 75
    (folder / "fast").touch()
    again = sge.qsub(*TWO, "job.sh", *LONGER, *SEED, cwd=folder)
    assert sge.ended(again) == [0], log(folder, again)
    assert WENT_ON in log(folder, again)
    assert_same_files(folder / "model.h5", undisturbed(MORE_STEPS))


def test_hard_limit(sge_mpich, sge, folder, undisturbed):
    """USR2 too; Grid Engine does not put the job back, whatever its status."""
    limit = ("-l", "h_rt=8")
    job = sge.qsub(*COST, *TWO, *limit, "job.sh", *LONGER, *SEED, cwd=folder)
    assert sge.ended(job) == [99], log(folder, job)
    assert "stopped by SIGUSR1" in log(folder, job)
    assert pmcmc_status(sge_mpich, folder / "model.h5") == 75


def test_soft_limit(sge_mpi, sge, folder, undisturbed):
    """USR1; its second start has that limit for a hard one, in Grid Engine 8.1.9."""
    limit = ("-l", "s_rt=10")
    job = sge.qsub(*COST, *TWO, *limit, "job.sh", *LONGER, *SEED, cwd=folder)
    starts_again(sge, folder, job)
    assert sge.ended(job) == [99, 0], log(folder, job)
    assert "stopped by SIGUSR1" in log(folder, job)
    assert_same_files(folder / "model.h5", undisturbed(MORE_STEPS))


def test_suspended(sge_mpi, sge, folder, undisturbed):
    """USR1 before the job would be stopped: it gives its slots up, and goes on elsewhere."""
    job = sge.qsub(*COST, *TWO, "job.sh", *LONGER, *SEED, cwd=folder)
    committed(sge, folder / "model.h5")
    sge.run("qmod", "-sj", job)
    starts_again(sge, folder, job)
    assert sge.ended(job) == [99, 0], log(folder, job)
    assert_same_files(folder / "model.h5", undisturbed(MORE_STEPS))


@pytest.mark.parametrize(
    ("slots", "warned"), [(TWO, False), (FOUR, False), (FOUR, True)], ids=["one", "two", "warned"]
)
def test_killed(sge_mpich, slots, warned, sge, folder, undisturbed):
    """What was committed goes on, at once on the host that wrote it.

    On two hosts a warning may be no better: USR2 ends MPICH's own processes on the other host.
    """
    if not warned:
        text = (folder / "job.sh").read_text()
        (folder / "job.sh").write_text(text.replace("#$ -notify\n", ""))
    run = (*slots, "-masterq", "main@n1", "job.sh", *LONGER, *SEED)
    job = sge.qsub(*COST, *run, cwd=folder)
    committed(sge, folder / "model.h5")
    sge.run("qdel", job)
    assert sge.ended(job)[0] not in (0, 99), log(folder, job)
    sge.end_ranks()
    (folder / "fast").touch()
    again = sge.qsub(*run, cwd=folder)
    assert sge.ended(again) == [0], log(folder, again)
    assert WENT_ON in log(folder, again)
    assert_same_files(folder / "model.h5", undisturbed(MORE_STEPS))


def test_array(sge_mpich, sge, folder, undisturbed):
    """Two tasks, each with its seed and its file; each is put back until it is finished."""
    limit = ("--max-time", 5)
    job = sge.qsub("-t", "1-2", *COST, *TWO, "job.sh", *LONGER, *limit, cwd=folder)
    starts_again(sge, folder, f"{job}.1", f"{job}.2")
    sge.ended(job, 120)
    # the accounting comes some seconds after the end
    sge.wait(lambda: sge.ended(job).count(0) == 2, 60, "both tasks to be finished")
    assert set(sge.ended(job)) == {0, 99}
    for task in (1, 2):
        assert_same_files(folder / f"model-{task}.h5", undisturbed(MORE_STEPS, task))


def test_chain_on_two_hosts(sge_mpich, sge, folder, undisturbed):
    """Each job waits for the one before; one that stops ends with 75, one too many with 0."""
    run = ("-hold_jid", "pmcmc", *COST, *FOUR, "job.sh", *LONGER, *SEED, "--max-time", 5)
    first, second, third = (sge.qsub(*run, cwd=folder) for _ in range(3))
    starts_again(sge, folder, first)
    assert sge.ended(first) == [75], log(folder, first)
    assert sge.ended(second) == [0], log(folder, second)
    assert sge.ended(third) == [0], log(folder, third)
    assert WENT_ON in log(folder, second)
    assert_same_files(folder / "model.h5", undisturbed(MORE_STEPS))


def test_a_failure_is_not_put_back(sge_mpich, sge, folder):
    (folder / "model.py").write_text(MODEL + "raise ValueError('no such data')\n")
    job = sge.qsub(*TWO, "job.sh", *RUN, cwd=folder)
    assert sge.ended(job) == [1], log(folder, job)
    assert "no such data" in log(folder, job)
