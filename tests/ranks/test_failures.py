"""No failure is silent and none hangs: the failure matrix, with exit status and time limit."""

import itertools
import re
import subprocess
import time

import pytest

from conftest import slow_but

HEAD = """
import sys, time
from mpi4py import MPI
rank, size = MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size
calls = 0
def here():
    return {who}
class Odd(Exception):
    def __init__(self, a, b):  # cannot be unpickled
        super().__init__(a)
        self.lock = (x for x in ())
def fail():
    {how}
"""

MODELS = {
    "import": HEAD
    + """
if here(): fail()
parameters = ["a", "b"]
initial = [0.0, 0.0]
def log_prob(theta): return -0.5 * (theta @ theta)
""",
    "probe": HEAD
    + """
parameters = ["a", "b"]
initial = [0.0, 0.0]
def log_prob(theta):
    if here(): return fail()
    return -0.5 * (theta @ theta)
""",
    "start": HEAD
    + """
parameters = ["a", "b"]
def initial(nwalkers, rng):
    if here() and calls > 0: fail()
    return rng.standard_normal((nwalkers, 2))
def log_prob(theta):
    global calls
    calls += 1
    return -0.5 * (theta @ theta)
""",
    "mid-run": HEAD
    + """
parameters = ["a", "b"]
initial = [0.0, 0.0]
began = 0.0
def log_prob(theta):
    global began
    began = began or time.monotonic()
    time.sleep(0.0005)
    if here() and time.monotonic() - began > 0.7: return fail()
    return -0.5 * (theta @ theta)
""",
}
WHO = {"rank 0": "rank == 0", "last rank": "rank == size - 1", "all ranks": "True"}
HOW = {
    "exception": ("raise ValueError('the message')", "the message"),
    "sys.exit": ("sys.exit(0)", "sys.exit"),
    "nan": ("return float('nan')", "NaN"),
    "unpicklable": ("raise Odd('the message', 1)", "the message"),
}
CORNERS = {("mid-run", "last rank", "exception"), ("probe", "all ranks", "nan")}
CORNERS |= {("import", "rank 0", "sys.exit"), ("mid-run", "all ranks", "unpicklable")}
QUICK = {("mid-run", mode) for mode in ("split", "pool", "pool --schedule demand")}
QUICK |= {("probe", "split"), ("import", "split")}


def cases():
    """Give the corners of the matrix in every mode, and with the slow tests half of the rest.

    Of the rest each stage meets each kind and each rank, in one mode. Before the run nobody waits
    on demand; before a mode is known, there is none; rank 0 alone makes the start of a pool.
    """
    for (i, stage), (j, who), (k, how) in itertools.product(*map(enumerate, (MODELS, WHO, HOW))):
        corner = (stage, who, how) in CORNERS
        never = how == "nan" and stage in ("import", "start")
        if never or not (corner or (i + j + k) % 2):
            continue
        modes = ["split", "pool", "pool --schedule demand"]
        modes = modes[: {"import": 1, "probe": 2, "start": 2, "mid-run": 3}[stage]]
        if stage == "start" and who == "last rank":
            modes = ["split"]
        for mode in modes if corner else [modes[(j + k // 2) % len(modes)]]:
            case = (stage, who, how, mode)
            quick = corner and (stage, mode) in QUICK and (how != "unpicklable" or mode == "pool")
            yield pytest.param(*case, id="-".join(case), marks=[] if quick else pytest.mark.slow)


@pytest.mark.parametrize(("stage", "who", "how", "mode"), list(cases()))
def test_a_failure_ends_the_job_with_one_message(launch, model, tmp_path, stage, who, how, mode):
    code, expected = HOW[how]
    name = model(MODELS[stage].format(who=WHO[who], how=code))
    args = [
        "-m",
        "pmcmc",
        name,
        "--nsteps",
        10**8,
        "--mode",
        *mode.split(),
        "--seed",
        1,
        "--nwalkers",
        8,
    ]
    began = time.monotonic()
    done = launch(3, *args, cwd=tmp_path, timeout=30)
    assert time.monotonic() - began < 15
    assert done.returncode == 1, done
    assert done.stderr.count("pmcmc: error:") == 1, done.stderr
    assert expected in done.stderr
    if stage != "import":
        assert " on rank " in done.stderr
        assert ", host " in done.stderr
    if stage in ("probe", "mid-run"):
        assert "a = " in done.stderr
        assert "b = " in done.stderr
    if how in ("exception", "unpicklable"):
        assert "Traceback" in done.stderr
        assert "model.py" in done.stderr


@pytest.mark.slow
def test_a_rank_that_hangs_after_a_failure_elsewhere_is_aborted(launch, model, tmp_path):
    text = MODELS["mid-run"].replace("return -0.5", "time.sleep(60 * (rank == 0)); return -0.5")
    name = model(text.format(who="rank == 1", how="raise ValueError('the message')"))
    text = (tmp_path / name).read_text().replace("began > 0.7", "began > 0.5")
    # quick at the probe, stuck in the run
    text = text.replace("time.sleep(60 *", "time.sleep(60 * (time.monotonic() - began > 0.4) *")
    (tmp_path / name).write_text(text)
    began = time.monotonic()
    done = launch(2, "-m", "pmcmc", name, "--nsteps", 10**7, cwd=tmp_path, timeout=40)
    assert time.monotonic() - began < 15
    assert done.returncode == 1, done
    assert done.stderr.count("pmcmc: error:") == 1
    assert "the message on rank 1 of 2" in done.stderr


def test_a_killed_rank_ends_the_job(launch, model, tmp_path):
    text = MODELS["mid-run"].format(who="rank == 1", how="import os; os.kill(os.getpid(), 9)")
    name = model(text)
    began = time.monotonic()
    done = launch(3, "-m", "pmcmc", name, "--nsteps", 10**8, cwd=tmp_path, timeout=60)
    assert time.monotonic() - began < 15
    assert done.returncode == launch.killed_by(9), done


ALIKE = """
import numpy as np
from mpi4py import MPI
from pmcmc import stats
rank = MPI.COMM_WORLD.rank
parameters, initial = ["a", "b"], [[0.25, 0.5], [0.75, 1.0], [1.25, 1.5], [1.75, 2.0]]
def log_prob(theta): return -0.5 * float(theta @ theta)
"""
# what one rank has otherwise, and what is said of it, after "pmcmc: error: "
OTHERS = {
    "data": (
        "def log_prob(theta): return -3.0 - 0.25 * rank",
        r"log_prob differs between ranks at the same point: -3\.0 on rank 0 \(host \S+\), -3\.25 "
        r"on rank 1 \(host \S+\)\n  at a = 0\.25, b = 0\.5\n.* read the same data",
    ),
    "-inf on rank 1": (
        "def log_prob(theta): return -np.inf if rank == 1 else -3.0",
        r"log_prob differs .*: -3\.0 on rank 0 \(host \S+\), -inf on rank 1 \(host \S+\)\n"
        r"  at a = 0\.25, b = 0\.5\n",
    ),
    "-inf on rank 0": (
        "def log_prob(theta): return -np.inf if rank == 0 and theta[0] < 1 else -3.0",
        r"log_prob differs .*: -inf on rank 0 \(host \S+\), -3\.0 on rank 1 \(host \S+\)\n"
        r"  at a = 0\.25, b = 0\.5\n",
    ),
    "-inf at the second point": (
        "def log_prob(theta): return -np.inf if theta[0] < 0.5 + rank / 2 else -3.0",
        r"log_prob differs .*: -3\.0 on rank 0 \(host \S+\), -inf on rank 1 \(host \S+\)\n"
        r"  at a = 0\.75, b = 1\.0\n",
    ),
    "walkers from np.random": (
        "initial = np.random.randn(8, 2)",
        r"initial differs between ranks: it gives a start\n  at a = \S+, b = \S+ on rank 0 "
        r"\(host \S+\)\n  at a = \S+, b = \S+ on rank 1 \(host \S+\)\n"
        r"(?s:.*)np\.random\.seed\(42\)(?s:.*)initial\(nwalkers, rng\)",
    ),
    "a function that draws from np.random": (
        "def initial(nwalkers, rng): return np.random.randn(nwalkers, 2)",
        r"initial differs between ranks: it gives a start\n  at a = ",
    ),
    "walkers beside priors": (
        """
parameters = {"a": stats.norm(), "b": stats.norm()}
log_likelihood = log_prob
del log_prob
initial = np.random.randn(8, 2)
""",
        r"initial differs between ranks: on rank 0 \(host \S+\), and on rank 1 \(host \S+\)\n",
    ),
    "priors": (
        """
parameters = {"a": stats.norm(), "b": stats.norm(0, 1 + rank)}
log_likelihood, initial = log_prob, "prior"
del log_prob
""",
        r"rank 1 \(host \S+\) has another problem than rank 0: other parameters, priors",
    ),
    "blobs": (
        "def log_prob(theta): return (-3.0, *[1.0] * rank)",
        r"log_prob returns other blobs on some ranks: null on rank 0 \(host \S+\), ",
    ),
}


QUICK_OTHERS = ("data", "-inf on rank 0", "walkers from np.random", "priors")


@pytest.mark.parametrize("what", slow_but(QUICK_OTHERS, OTHERS))
def test_ranks_that_are_not_alike_are_refused(launch, model, tmp_path, what):
    text, message = OTHERS[what]
    done = launch(2, "-m", "pmcmc", model(ALIKE + text), cwd=tmp_path, timeout=60)
    assert done.returncode == 1, done
    assert re.search("pmcmc: error: " + message, done.stderr), done.stderr
    assert done.stderr.count("pmcmc: error:") == 1
    assert list(tmp_path.glob("*.h5")) == []


GO_ON = [
    ("def log_prob(theta): return -np.inf if theta[0] < 1 else -3.0", False),  # at first
    ("np.random.seed(42)\ninitial = np.random.randn(8, 2)", False),
    ("def log_prob(theta): return -3.0 * (1 + 1e-14 * rank)", True),
    ("def log_prob(theta): return 1e-17 * rank", True),
]


@pytest.mark.parametrize(("text", "noted"), slow_but(GO_ON[1:3], GO_ON))
def test_ranks_that_are_alike_go_on_and_rounding_is_noted(launch, model, tmp_path, text, noted):
    name = model(ALIKE + text)
    done = launch(2, "-m", "pmcmc", name, "--dry-run", cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done
    assert ("log_prob differs by" in done.stdout) == noted, done.stdout


def test_a_dry_run_tells_where_priors_begin_and_end(launch, model, tmp_path):
    name = model(
        "from pmcmc import stats\n"
        "parameters = {'a': stats.uniform(0.02, 0.05), 'b': stats.norm(0, 2)}\n"
        "parameters |= {f'c{i}': stats.expon(1) for i in range(40)}\n"
        "def log_likelihood(theta): return 0.0\n"
    )
    done = launch(1, "-m", "pmcmc", name, "--dry-run", cwd=tmp_path, timeout=60)
    assert "  prior      a: stats.uniform(0.02, 0.05), from 0.02 to 0.07\n" in done.stdout, done
    assert "  prior      b: stats.norm(0, 2)\n" in done.stdout
    assert "  prior      c37: stats.expon(1, 1), from 1\n" in done.stdout
    assert "  prior      ... and 2 more\n" in done.stdout


def test_a_failed_run_leaves_no_file_behind(launch, model, tmp_path):
    name = model(MODELS["start"].format(who="True", how="raise ValueError('no')"))
    done = launch(2, "-m", "pmcmc", name, cwd=tmp_path, timeout=60)
    assert done.returncode == 1, done
    assert "ValueError: no on rank " in done.stderr
    assert {p.name for p in tmp_path.iterdir()} <= {name, "__pycache__"}


def test_python_raises_on_every_rank(launch, model, tmp_path):
    name = model(
        """
import pmcmc
from mpi4py import MPI
rank = MPI.COMM_WORLD.rank
def log_prob(theta):
    if rank == 1 and theta[0] > 1: raise ValueError("the message")
    return -0.5 * float(theta @ theta)
problem = pmcmc.Problem(log_prob, ["a", "b"], initial=[0.0, 0.0])
try:
    pmcmc.run(problem, nsteps=100000, seed=1)
except pmcmc.EvaluationError as exc:
    assert "the message on rank 1 of 3" in str(exc), exc
    assert (exc.rank, exc.host) == (1, MPI.Get_processor_name()), vars(exc)
    assert set(exc.parameters) == {"a", "b"} and exc.parameters["a"] > 1, vars(exc)
    assert f"a = {exc.parameters['a']!r}, b = {exc.parameters['b']!r}" in str(exc)
    import sys; sys.stdout.write("raised\\n")
# and the ranks are still there for another run
result = pmcmc.run(pmcmc.Problem(lambda t: -0.5 * float(t @ t), ["a"], initial=[0.0]), nsteps=30,
    burnin=0)
import sys; sys.stdout.write(f"second {(result is not None) == (rank == 0)}\\n")
"""
    )
    done = launch(3, name, cwd=tmp_path, timeout=40)
    assert done.returncode == 0, done
    assert done.stdout.count("raised") == 3
    assert done.stdout.count("second True") == 3


@pytest.mark.slow
def test_separate_worlds_are_refused(launch, tmp_path):
    def alone(**env):
        return launch(0, "-m", "pmcmc", "--nsteps", "10", "--burnin", "1", cwd=tmp_path, env=env)

    for variable in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"):
        if variable == "PMI_SIZE" and not launch.openmpi:
            continue  # MPICH would look for the process manager behind it
        done = alone(**{variable: "4"})
        assert done.returncode == 1, done
        assert f"{variable}=4" in done.stderr
        assert "--mpi=pmi2" in done.stderr
    assert alone(SLURM_STEP_NUM_TASKS="4", PMCMC_ALLOW_SINGLE_RANKS="1").returncode == 0
    assert alone(SLURM_NTASKS="4").returncode == 0


def test_a_foreign_mpiexec_is_refused(launch, launch_openmpi, tmp_path):
    if launch.openmpi:
        pytest.skip("needs MPICH beside Open MPI")
    command = [launch.mpiexec, "-n", "2", launch_openmpi.python, "-m", "pmcmc"]
    from conftest import clean_env

    done = subprocess.run(
        command, cwd=tmp_path, env=clean_env(), capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1, done
    assert done.stderr.count("pmcmc: error: 2 ranks were started (PMI_SIZE=2)") == 1
    assert list(tmp_path.iterdir()) == []
