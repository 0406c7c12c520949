"""The cluster, started once, and how to run pmcmc there under one MPI or the other."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import ROOT, Launcher, clean_env, missing

from .cluster import Cluster, what_is_missing

SCRIPTS = ROOT / "slurm"
# Each evaluation takes $COST seconds, until there is a file "fast"; once there is a file "kill",
# the last rank removes it and kills itself.
MODEL = """\
import os, signal, time
from mpi4py import MPI
ndim = 2
initial = [0.0, 0.0]
last = MPI.COMM_WORLD.Get_rank() == MPI.COMM_WORLD.Get_size() - 1
def log_prob(theta):
    if not os.path.exists("fast"):
        time.sleep(float(os.environ.get("COST", "0")))
    if last and os.path.exists("kill"):
        os.unlink("kill")
        os.kill(os.getpid(), signal.SIGKILL)
    return -0.5 * float(theta @ theta)
"""
SAMPLING = ("--nwalkers", 8, "--nensembles", 2, "--burnin", 10)
LONG = 1700  # steps: with COST 0.01 and two ranks, 69 s
# the same, known to one interpreter alone, which hands it to Slurm
FROM_PYTHON = f"""\
import os, time
import pmcmc
def log_prob(theta):
    if not os.path.exists("fast"):
        time.sleep(float(os.environ["COST"]))
    return -0.5 * float(theta @ theta)
problem = pmcmc.Problem(log_prob, ndim=2, initial=[0.0, 0.0], name="model")
sampling = dict(nwalkers=8, nensembles=2, burnin=10, nsteps={LONG}, seed=1)
job = dict(ranks=2, time=1, partition="last", requeue=True, output_log="model-%j.log")
print(pmcmc.submit(problem, output="x.h5", **job, **sampling).id)
"""


@dataclass(frozen=True)
class Mpi:
    """An interpreter with pmcmc, on PATH as in an activated environment, and its MPI."""

    launcher: Launcher
    cluster: Cluster

    @property
    def pmi(self) -> str:
        """Return what srun must speak."""
        return "pmix" if self.launcher.openmpi else "pmi2"

    @property
    def srun(self) -> str:
        """Return the launcher for LAUNCH."""
        return f"srun --mpi={self.pmi} --kill-on-bad-exit=1"

    def env(self, **more: str) -> dict[str, str]:
        """Return the environment of somebody who submits a job."""
        path = f"{Path(self.launcher.python).parent}:{os.environ['PATH']}"
        env = {k: v for k, v in clean_env().items() if k != "OMP_NUM_THREADS"}
        # the nodes claim more cores than there are
        return env | {"PATH": path, "PRTE_MCA_hwloc_default_binding_policy": "none"} | more

    def submit(self, cwd: Path, *arguments: object, **env: str) -> str:
        """Submit a job of two ranks with sbatch, and return its number."""
        return self.cluster.sbatch("--ntasks=2", *arguments, cwd=cwd, env=self.env(**env))


@pytest.fixture(scope="session")
def cluster(pytestconfig, tmp_path_factory):
    """Start a real Slurm of four nodes, for the whole session."""
    reason = what_is_missing()
    if reason:
        missing(pytestconfig, reason)
    slurm = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()


@pytest.fixture(scope="session")
def mpich(launch, cluster):
    """Return this interpreter's MPI, which is MPICH."""
    if launch.openmpi:
        pytest.skip("this interpreter's MPI is Open MPI")
    return Mpi(launch, cluster)


@pytest.fixture(scope="session")
def openmpi(launch_openmpi, cluster):
    """Return Open MPI."""
    return Mpi(launch_openmpi, cluster)


@pytest.fixture(params=["mpich", "openmpi"])
def mpi(request):
    """Return each MPI in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def undisturbed(launch, tmp_path_factory):
    """Return the file of a run of one rank that nobody disturbs, by its steps and seed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "model.py").write_text(MODEL)

    def path(nsteps: int, seed: int = 1) -> Path:
        output = folder / f"{nsteps}-{seed}.h5"
        if not output.exists():
            args = ("--nsteps", nsteps, "--seed", seed, "--output", output)
            done = launch(0, "-m", "pmcmc", "model.py", *SAMPLING, *args, cwd=folder)
            assert done.returncode == 0, done.stderr
        return output

    return path


@pytest.fixture(scope="session", autouse=True)
def long_jobs(request, tmp_path_factory):
    """Start the jobs that meet a time limit, on a node of their own: Slurm's least is a minute.

    Returns
    -------
    dict
        The output of each, by its number.

    """
    if not any("time_limit" in item.name for item in request.session.items):
        return {}
    jobs = {}
    for name in ("mpich", "openmpi"):
        mpi = request.getfixturevalue(name)
        for script, launcher in (
            ("requeue", "srun"),
            ("requeue", "mpiexec"),
            ("array", "mpiexec"),
        ):
            if (name, script) == ("openmpi", "array"):
                continue
            folder = tmp_path_factory.mktemp(f"{name}-{script}-{launcher}")
            (folder / "model.py").write_text(MODEL)
            env = {"COST": "0.01"} | ({"LAUNCH": mpi.srun} if launcher == "srun" else {})
            given = ["--time=1", "--nodelist=n4"] + ["--array=1-2"] * (script == "array")
            run = ["model.py", *SAMPLING, "--nsteps", LONG]
            run += ["--seed", 1] * (script == "requeue")
            job = mpi.submit(folder, *given, SCRIPTS / f"{script}.sh", *run, **env)
            if script == "requeue":
                jobs[job] = folder / "model.h5"
            else:
                jobs |= {f"{job}_{n}": folder / f"model-{n}.h5" for n in (1, 2)}
    folder = tmp_path_factory.mktemp("python")
    mpi = request.getfixturevalue("mpich")
    env = mpi.cluster.env(mpi.env(COST="0.01", XDG_STATE_HOME=str(folder)))
    done = subprocess.run(
        [mpi.launcher.python, "-c", FROM_PYTHON], cwd=folder, env=env, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    jobs[done.stdout.decode().strip()] = folder / "x.h5"
    return jobs


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the model."""
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def log(folder: Path, number: str) -> str:
    """Return what a job has printed."""
    (path,) = folder.glob(f"*-{number.replace('_', '-')}.log")
    return path.read_text(errors="replace")


def pmcmc_status(launcher: Launcher, path: Path) -> int:
    """Return what `pmcmc status` makes of a file, outside any job."""
    command = [launcher.python, "-m", "pmcmc", "status", str(path)]
    return subprocess.run(command, env=clean_env(), capture_output=True).returncode
