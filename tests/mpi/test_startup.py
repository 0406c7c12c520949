"""The pure parts of comm: is this one job, which rank am I, how many threads."""

import subprocess
import sys
import time

import pytest

from conftest import clean_env
from pmcmc.errors import LaunchError
from pmcmc.mpi.startup import (
    OVERRIDE,
    THREAD_VARIABLES,
    check_launch,
    check_launcher,
    launched,
    launcher_rank,
    limit_threads,
)
from pmcmc.mpi.waiting import wait_until

VARIABLES = ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"]


@pytest.mark.parametrize("variable", VARIABLES)
def test_worlds_of_one_rank_are_refused(variable):
    with pytest.raises(LaunchError) as caught:
        check_launch({variable: "4"}, 1)
    message = str(caught.value)
    assert message.startswith(f"4 ranks were started ({variable}=4)")
    for part in ("MPI library: ", "--mpi=pmi2", "--mpi=pmix", f"{OVERRIDE}=1"):
        assert part in message


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize(
    ("size", "more"), [(4, {}), (2, {}), (1, {OVERRIDE: "1"})], ids=["world", "part", "override"]
)
def test_one_world_or_the_override_is_accepted(variable, size, more):
    check_launch({variable: "4", **more}, size)


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"PMI_SIZE": "1"},
        {"SLURM_NTASKS": "4"},  # an allocation: nothing was launched in it yet
        {"SLURM_STEP_NUM_TASKS": ""},
        {"SLURM_STEP_NUM_TASKS": "4(x2)"},
        {"PMI_SIZE": "1", "SLURM_STEP_NUM_TASKS": "4"},  # mpiexec -n 1; the step is its proxies
    ],
    ids=str,
)
def test_one_rank_is_accepted(env):
    check_launch(env, 1)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, {}),
        ({"PMI_SIZE": "4"}, {"PMI_SIZE": 4}),
        ({"SLURM_STEP_NUM_TASKS": "3"}, {"SLURM_STEP_NUM_TASKS": 3}),
        ({"SLURM_STEP_NUM_TASKS": "4(x2)"}, {}),
        ({"PMI_SIZE": "2", "SLURM_STEP_NUM_TASKS": "3"}, {"PMI_SIZE": 2}),
    ],
    ids=str,
)
def test_what_the_launcher_says(env, expected):
    assert launched(env) == expected


def test_the_launcher_of_another_mpi_is_refused():
    with pytest.raises(LaunchError, match=r"Open MPI's launcher .*_SIZE=2.* MPICH Version: 5"):
        check_launcher({"OMPI_COMM_WORLD_SIZE": "2"}, "MPICH Version: 5")
    check_launcher({"OMPI_COMM_WORLD_SIZE": "2"}, "Open MPI v5.0.1")
    check_launcher({"PMI_SIZE": "2", "PMI_RANK": "0"}, "MPICH Version: 5")
    # left over from outside: mpiexec of MPICH inside a job of Open MPI
    check_launcher({"OMPI_COMM_WORLD_SIZE": "2", "PMI_RANK": "0"}, "MPICH Version: 5")
    check_launcher({}, "MPICH Version: 5")


def test_a_wait_with_an_end():
    assert wait_until(lambda: True, 0)
    began = time.monotonic()
    assert not wait_until(lambda: False, 0.05)
    assert 0.05 <= time.monotonic() - began < 2
    assert wait_until(lambda: time.monotonic() - began > 0.1, 5)


@pytest.mark.parametrize(
    ("env", "rank"),
    [
        ({}, 0),
        ({"PMI_RANK": "3"}, 3),
        ({"OMPI_COMM_WORLD_RANK": "2"}, 2),
        ({"PMIX_RANK": "5"}, 5),
        ({"SLURM_PROCID": "7"}, 7),
        ({"PMI_RANK": "1", "SLURM_PROCID": "0"}, 1),
        ({"PMI_RANK": "", "OMPI_COMM_WORLD_RANK": "4"}, 4),
        ({"PMI_RANK": "none"}, 0),
    ],
    ids=str,
)
def test_rank_by_the_launcher(env, rank):
    assert launcher_rank(env) == rank


@pytest.fixture
def without_numpy(monkeypatch):
    monkeypatch.delitem(sys.modules, "numpy", raising=False)


@pytest.fixture
def with_numpy(monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", object())


@pytest.mark.usefixtures("without_numpy")
@pytest.mark.parametrize(("env", "threads"), [({}, "1"), ({"SLURM_CPUS_PER_TASK": "6"}, "6")])
def test_several_ranks_get_their_share_of_threads(env, threads):
    said = limit_threads(4, env=env)
    assert said.startswith(f"OMP_NUM_THREADS={threads} ")
    assert {env[v] for v in THREAD_VARIABLES} == {threads}
    assert "OPENBLAS_NUM_THREADS" in THREAD_VARIABLES
    assert "MKL_NUM_THREADS" in THREAD_VARIABLES


@pytest.mark.usefixtures("without_numpy")
@pytest.mark.parametrize(("size", "env"), [(1, {}), (4, {"OMP_NUM_THREADS": "8"})])
def test_threads_are_left_alone(size, env):
    before = dict(env)
    assert limit_threads(size, env=env) is None
    assert env == before


@pytest.mark.usefixtures("without_numpy")
def test_a_variable_that_the_user_set_stays():
    env = {"MKL_NUM_THREADS": "3"}
    limit_threads(4, env=env)
    assert (env["MKL_NUM_THREADS"], env["OMP_NUM_THREADS"]) == ("3", "1")


@pytest.mark.usefixtures("with_numpy")
@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ({"openblas": 16, "openmp": 8}, "OPENBLAS_NUM_THREADS=1, OMP_NUM_THREADS=1"),
        ({"mkl": 4, "openmp": 1}, "set MKL_NUM_THREADS=1 before"),
        ({"openblas": 1}, None),
        ({}, None),
    ],
    ids=str,
)
def test_libraries_that_take_more_threads_are_named(monkeypatch, recwarn, counts, named):
    """Libraries that cannot be had here are put in the place of threadpoolctl's."""
    told = [{"internal_api": api, "num_threads": n} for api, n in counts.items()]
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: told)
    assert limit_threads(4, env={}) is None
    assert [named in str(w.message) for w in recwarn] == ([] if named is None else [True])


def test_threads_of_the_library_that_is_loaded():
    """In a process of its own: numpy's BLAS is asked for its threads."""
    code = (
        "import os\n"
        "os.environ |= {'OPENBLAS_NUM_THREADS': '2'}\n"
        "import numpy, pmcmc.mpi.startup as s\n"
        "s.limit_threads(4, env={})\n"
    )
    for several, said in (("2", "each of 4 ranks starts 2 threads of openblas"), ("1", "")):
        done = subprocess.run(
            [sys.executable, "-c", code.replace("'2'", f"'{several}'")],
            env=clean_env(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stderr
        assert bool(said) == bool(done.stderr)


@pytest.mark.usefixtures("with_numpy")
def test_numpy_loaded_too_early_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)  # as where it is not installed
    env: dict[str, str] = {}
    with pytest.warns(RuntimeWarning, match="numpy was loaded before.*OMP_NUM_THREADS=1"):
        assert limit_threads(4, rank=0, env=env) is None
    assert limit_threads(4, rank=3, env=env) is None  # once is enough
    assert env == {}


ABORT = """
import time
from pmcmc.mpi.startup import abort_with, world
comm = world().Dup()
comm.barrier()
if comm.rank == 0:
    abort_with(75)
time.sleep(60)
"""


def test_a_job_that_is_aborted_ends_with_its_status(launch, tmp_path):
    """Again and again: MPI_Abort on a communicator of its own gave 9 in one of three."""
    (tmp_path / "abort.py").write_text(ABORT)
    for _ in range(12):
        assert launch(3, "abort.py", cwd=tmp_path).returncode == 75
