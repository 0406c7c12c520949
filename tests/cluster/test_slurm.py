"""The scripts of slurm/ on a real Slurm: launching, time limits, preemption, kills, scancel.

One file, so that one worker of pytest-xdist has them all: there is one cluster.
"""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import ipyparallel
import pytest

import pmcmc
from reference import assert_same_files

from .conftest import LONG, SAMPLING, SCRIPTS, log, pmcmc_status

pytestmark = pytest.mark.slow

STEPS = 60
RUN = ("model.py", *SAMPLING, "--nsteps", STEPS)
MORE_STEPS = 400  # with COST 0.02 and two ranks: 34 s
LONGER = ("model.py", *SAMPLING, "--seed", 1, "--nsteps", MORE_STEPS, "--checkpoint", 1)
COST = {"COST": "0.02"}
WENT_ON = "h5, which has "


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("script", ["srun", "mpiexec"])
def test_one_run(mpi, script, nodes, folder, undisturbed):
    job = mpi.submit(folder, "--nodes", nodes, SCRIPTS / f"{script}.sh", *RUN, "--seed", 1)
    done = mpi.cluster.ended(job)
    assert (done.state, done.status) == ("COMPLETED", 0), log(folder, job)
    assert "2 (split): 2 teams of 1 rank" in log(folder, job)
    assert ("on 2 hosts" in log(folder, job)) == (nodes == 2)
    assert_same_files(folder / "model.h5", undisturbed(STEPS))


@pytest.mark.parametrize(("launcher", "nodes"), [("srun", 1), ("mpiexec", 2)])
@pytest.mark.parametrize("script", ["requeue", "array"])
def test_undisturbed(mpi, script, launcher, nodes, folder, undisturbed):
    """The scripts that requeue, where there is no need to; the array's are in two seeds."""
    env = {"LAUNCH": mpi.srun} if launcher == "srun" else {}
    given = ("--nodes", nodes, SCRIPTS / f"{script}.sh", *RUN)
    if script == "requeue":
        job = mpi.submit(folder, *given, "--seed", 1, **env)
        outputs = {job: (folder / "model.h5", 1)}
    else:
        job = mpi.submit(folder, "--array=1-2", *given, **env)
        outputs = {f"{job}_{n}": (folder / f"model-{n}.h5", n) for n in (1, 2)}
    for number, (output, seed) in outputs.items():
        done = mpi.cluster.ended(number)
        assert (done.state, done.status) == ("COMPLETED", 0), log(folder, number)
        assert done["Restarts"] == "0"
        assert_same_files(output, undisturbed(STEPS, seed))


def test_array_over_several_problems(mpich, folder, undisturbed):
    common = " ".join(map(str, RUN))
    (folder / "runs.txt").write_text(
        f"{common} --seed 1 --output a.h5\n{common} --seed 2 --output b.h5"
    )
    job = mpich.submit(folder, "--array=1-2", SCRIPTS / "array.sh", "runs.txt")
    for n, name in ((1, "a.h5"), (2, "b.h5")):
        assert mpich.cluster.ended(f"{job}_{n}").status == 0, log(folder, f"{job}_{n}")
        assert_same_files(folder / name, undisturbed(STEPS, n))


@pytest.mark.parametrize(
    ("mpi", "script", "nodes"),
    [("mpich", "srun", 2), ("openmpi", "mpiexec", 1)],
    indirect=["mpi"],
)
def test_chain(mpi, script, nodes, folder, undisturbed):
    """A first job that stops for lack of time, one that finishes, none after it."""
    command = ["bash", str(SCRIPTS / "chain.sh"), "4", "--ntasks=2", f"--nodes={nodes}"]
    run = ("model.py", *SAMPLING, "--nsteps", "100", "--seed", "1", "--max-time", "4")
    numbers = mpi.cluster.run(
        *command,
        str(SCRIPTS / f"{script}.sh"),
        *map(str, run),
        cwd=folder,
        env=mpi.env(COST="0.01"),
    ).split()  # 60 steps of 8 walkers: 4.8 s a run of two ranks
    assert len(numbers) == 4
    first, *others = (mpi.cluster.ended(number) for number in numbers)
    assert (first.state, first.status) == ("FAILED", 75), log(folder, numbers[0])
    assert "stopped by --max-time" in log(folder, numbers[0])
    assert first["Requeue"] == "0"
    states = [job.state for job in others]
    assert states in (["COMPLETED", *["CANCELLED"] * 2], ["FAILED", "COMPLETED", "CANCELLED"])
    assert_same_files(folder / "model.h5", undisturbed(100))


def test_chain_without_a_number(folder):
    done = subprocess.run(
        ["bash", SCRIPTS / "chain.sh", "mpiexec.sh"], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 2
    assert "usage: bash" in done.stderr


def test_the_wrong_language_is_refused(mpi, folder):
    job = mpi.submit(folder, SCRIPTS / "srun.sh", *RUN, SLURM_MPI_TYPE="none")
    done = mpi.cluster.ended(job)
    assert done.state == "FAILED"
    assert done.status not in (0, 75)
    text = log(folder, job)
    assert text.count("pmcmc: error:") == 1
    assert "2 ranks were started (SLURM_STEP_NUM_TASKS=2)" in text
    assert "--mpi=pmi2 (MPICH) or --mpi=pmix (Open MPI)" in text
    assert not (folder / "model.h5").exists()


CRASH = """\
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from cluster.cluster import Cluster
Cluster(Path(sys.argv[2])).start()
print("up", flush=True)
time.sleep(60)
"""


def test_a_session_that_crashes_leaves_no_process(cluster, tmp_path_factory):
    """Beside the cluster of this session, which it does not disturb."""
    home = tmp_path_factory.mktemp("crash")
    command = [sys.executable, "-c", CRASH, str(Path(__file__).parents[1]), str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout.readline() == "up\n"
        assert len(_processes(home)) > 6
        os.kill(session.pid, signal.SIGKILL)
    until = time.monotonic() + 10
    while _processes(home):
        assert time.monotonic() < until, _processes(home)
        time.sleep(0.05)
    assert cluster.run("scontrol", "ping")


def _processes(home):
    """Return the processes that know of a cluster's home."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ = (process / "environ").read_bytes()
        except OSError:
            continue
        if f"SLURM_CONF={home}/".encode() in environ:
            found.append(process.name)
    return found


# ---- until it is finished


def committed(cluster, output, steps=5):
    """Wait until a run has got somewhere."""

    def ready():
        if not output.exists():
            return False
        result = pmcmc.load(output)
        return min(result.burnin_steps) + min(result.steps) >= steps

    cluster.wait(ready, 60, f"draws in {output}")


def launching(mpi, launcher):
    return {"LAUNCH": mpi.srun} if launcher == "srun" else {}


@pytest.mark.parametrize("mpi", ["mpich", "openmpi"], indirect=True)
@pytest.mark.parametrize("launcher", ["srun", "mpiexec"])
def test_scancel_and_submit_again(mpi, launcher, folder, undisturbed):
    """A job that its user has ended is not put back into the queue by its own script."""
    submit = (folder, SCRIPTS / "requeue.sh", *LONGER)
    first = mpi.submit(*submit, **COST, **launching(mpi, launcher))
    committed(mpi.cluster, folder / "model.h5")
    mpi.cluster.run("scancel", first)
    done = mpi.cluster.ended(first)
    assert (done.state, done["Restarts"]) == ("CANCELLED", "0"), log(folder, first)
    assert pmcmc_status(mpi.launcher, folder / "model.h5") == 75
    assert pmcmc.load(folder / "model.h5").status == "stopped"
    (folder / "fast").touch()
    second = mpi.submit(*submit, **launching(mpi, launcher))
    done = mpi.cluster.ended(second)
    assert done.status == 0, log(folder, second)
    assert WENT_ON in log(folder, second)
    assert_same_files(folder / "model.h5", undisturbed(MORE_STEPS))


@pytest.mark.parametrize("mpi", ["mpich", "openmpi"], indirect=True)
def test_a_killed_rank_under_srun(mpi, folder, undisturbed):
    """The job ends; requeued by hand, it takes over the lock of its own first start."""
    kill = folder / "kill"
    job = mpi.submit(folder, SCRIPTS / "srun.sh", *LONGER, **COST)
    committed(mpi.cluster, folder / "model.h5")
    kill.touch()
    began = time.monotonic()
    done = mpi.cluster.ended(job)
    assert time.monotonic() - began < 25
    assert not kill.exists()
    assert done.state == "FAILED"
    assert done.status not in (0, 75), log(folder, job)
    assert "Killed" in log(folder, job)
    (folder / "fast").touch()
    mpi.cluster.run("scontrol", "requeue", job)
    done = mpi.cluster.ended(job)
    assert (done.status, done["Restarts"]) == (0, "1"), log(folder, job)
    assert f"Slurm job {job}: that was before the job was requeued" in log(folder, job)
    assert_same_files(folder / "model.h5", undisturbed(MORE_STEPS))


def test_two_jobs_with_one_output(mpich, folder, undisturbed):
    cluster, script = mpich.cluster, SCRIPTS / "srun.sh"
    first = mpich.submit(folder, "--nodelist=n1", script, *LONGER, **COST)
    committed(cluster, folder / "model.h5")
    second = mpich.submit(folder, "--nodelist=n2", script, *LONGER)
    assert cluster.ended(second).status == 2, log(folder, second)
    text = log(folder, second)
    assert "pmcmc: error: model.h5 is being written by process " in text
    assert f" on host n1, Slurm job {first}, since " in text
    # it leaves the queue without a chance to give its lock up: dead, seen from another host
    (folder / "kill").touch()
    assert cluster.ended(first).state == "FAILED"
    (folder / "fast").touch()
    third = mpich.submit(folder, "--nodelist=n2", script, *LONGER)
    assert cluster.ended(third).status == 0, log(folder, third)
    assert f"Slurm job {first}: that job has left the queue" in log(folder, third)
    assert_same_files(folder / "model.h5", undisturbed(MORE_STEPS))


# partition, MPI, launcher
PREEMPTED = [
    ("low", "mpich", "mpiexec"),
    ("low", "mpich", "srun"),
    ("low", "openmpi", "mpiexec"),
    ("low", "openmpi", "srun"),
    ("grace", "mpich", "mpiexec"),
    ("grace", "mpich", "srun"),
    ("grace", "openmpi", "srun"),
]


def test_preemption(cluster, mpich, openmpi, folder, undisturbed):
    """All at once: a job with more right to the nodes comes, and goes."""
    mpis, jobs = {"mpich": mpich, "openmpi": openmpi}, {}
    for case in PREEMPTED:
        partition, name, launcher = case
        mpi, output = mpis[name], folder / ("-".join(case) + ".h5")
        job = mpi.submit(
            *(folder, f"--partition={partition}"),
            *("--nodelist=n1" if partition == "low" else "--nodelist=n2",),
            *(SCRIPTS / "requeue.sh", *LONGER, "--output", output.name),
            **COST | launching(mpi, launcher),
        )
        jobs[job] = output
    for output in jobs.values():
        committed(cluster, output, 2)
    high = ("--partition=high", "--nodes=2", "--nodelist=n1,n2", "--exclusive")
    cluster.running(mpich.submit(folder, *high, "--output=high.log", "--wrap", "sleep 2"))
    (folder / "fast").touch()
    for job, output in jobs.items():
        done = cluster.ended(job, 120)
        assert done.status == 0, log(folder, job)
        assert int(done["Restarts"]) >= 1, output
        assert WENT_ON in log(folder, job), output
        assert_same_files(output, undisturbed(MORE_STEPS))


@pytest.fixture
def logged_in(mpich, folder, monkeypatch):
    """Let this process be that of somebody who has logged in, in a folder of theirs."""
    env = mpich.cluster.env(mpich.env())
    for name in set(os.environ) - set(env):
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.chdir(folder)
    return mpich.cluster


def sent(fast, seconds=0.02):
    """Return a problem that only this process knows."""

    def log_prob(theta):
        if not fast.exists():
            time.sleep(seconds)
        return -0.5 * float(theta @ theta)

    return pmcmc.Problem(log_prob, ndim=2, initial=[0.0, 0.0], name="sent")


SENT = {"nwalkers": 8, "nensembles": 2, "burnin": 10, "seed": 1, "time": "2", "ranks": 2}


def same_draws(output, nsteps, fast):
    """Compare a file with a run in this process."""
    fast.touch()
    given = {name: SENT[name] for name in ("nwalkers", "nensembles", "burnin", "seed")}
    pmcmc.run(sent(fast), nsteps=nsteps, output="alone.h5", **given)
    assert_same_files(output, "alone.h5")


def test_submit_from_python(logged_in, folder):
    (folder / "fast").touch()
    job = pmcmc.submit(sent(folder / "fast"), output="x.h5", nsteps=STEPS, **SENT)
    assert job.state in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "COMPLETED")
    result = job.wait(60)
    assert result.status == "finished", job.log
    assert "2 (split): 2 teams of 1 rank" in job.log
    assert not job.in_queue
    for found in (pmcmc.load_job(folder), pmcmc.load_job(job.id), pmcmc.load_job("x.h5")):
        assert (found.id, found.output) == (job.id, folder / "x.h5")
    assert repr(job).startswith(f"<pmcmc.Job {job.id} of sent: ")
    assert "draws" in job._repr_html_()
    (problem,) = folder.glob(".x.h5.*.problem")
    assert problem.stat().st_mode & 0o777 == 0o600
    same_draws(folder / "x.h5", STEPS, folder / "fast")


def test_cancel_and_resubmit_from_python(logged_in, folder):
    given = {"output": "x.h5", "nsteps": MORE_STEPS, "checkpoint": 1}
    job = pmcmc.submit(sent(folder / "fast"), **given, **SENT)
    assert job.wait(0.2) is None
    committed(logged_in, folder / "x.h5")
    with pytest.raises(pmcmc.LaunchError, match="is in the queue"):
        job.resubmit()
    assert sum(job.result().steps) < MORE_STEPS
    job.cancel()
    assert job.wait(60).status == "stopped", job.log
    (folder / "fast").touch()
    again = pmcmc.load_job(folder).resubmit()
    assert again.id != job.id
    assert again.wait(60).status == "finished", again.log
    same_draws(folder / "x.h5", MORE_STEPS, folder / "fast")


def test_preemption_of_a_job_from_python(logged_in, mpich, folder):
    given = {"output": "x.h5", "nsteps": MORE_STEPS, "checkpoint": 1, "partition": "low"}
    job = pmcmc.submit(sent(folder / "fast"), requeue=True, nodes="1", **given, **SENT)
    committed(logged_in, folder / "x.h5", 2)
    node = logged_in.job(job.id)["NodeList"]
    high = ("--partition=high", f"--nodelist={node}", "--exclusive")
    logged_in.running(mpich.submit(folder, *high, "--output=high.log", "--wrap", "sleep 2"))
    assert job.in_queue
    (folder / "fast").touch()
    assert job.wait(120).status == "finished", job.log
    assert logged_in.job(job.id)["Restarts"] != "0"
    same_draws(folder / "x.h5", MORE_STEPS, folder / "fast")


def test_submit_from_the_command_line(logged_in, mpich, folder, undisturbed):
    words = [*map(str, SAMPLING), "--nsteps", str(STEPS), "--seed", "1", "--ranks", "2"]
    command = [mpich.launcher.python, "-m", "pmcmc", "slurm", "model.py", "--submit", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done
    job = pmcmc.load_job(folder)
    assert done.stdout.startswith(f"job {job.id}: model.h5, script model.job.sh\n")
    assert job.wait(60).status == "finished", job.log
    assert_same_files(folder / "model.h5", undisturbed(STEPS))


def test_an_environment_that_is_unpacked_on_each_node(mpich, folder, undisturbed):
    """Made by hand here: it has the python3 that pmcmc is in, as conda-pack's would."""
    env = folder / "env" / "bin"
    env.mkdir(parents=True)
    python = mpich.launcher.python
    (env / "python3").write_text(f'#!/bin/sh\necho "$0" >> "{folder}/used"\nexec {python} "$@"\n')
    (env / "python3").chmod(0o755)
    (env / "activate").write_text('PATH="$(dirname "${BASH_SOURCE[0]}"):$PATH"\n')
    subprocess.run(["tar", "-czf", "env.tar.gz", "-C", "env", "bin"], cwd=folder, check=True)
    words = [*map(str, SAMPLING), "--nsteps", str(STEPS), "--seed", "1", "--ranks", "2"]
    text = subprocess.run(
        [python, "-m", "pmcmc", "slurm", "model.py", "--unpack", "env.tar.gz", *words],
        capture_output=True, text=True, check=True, cwd=folder,
    ).stdout  # fmt: skip
    (folder / "job.sh").write_text(text)
    job = mpich.submit(folder, "--nodes", 2, "job.sh")
    done = mpich.cluster.ended(job)
    assert (done.state, done.status) == ("COMPLETED", 0), log(folder, job)
    used = set((folder / "used").read_text().split())
    assert len(used) == 1
    assert not Path(used.pop()).exists()
    assert_same_files(folder / "model.h5", undisturbed(STEPS))


def test_one_digest_through_every_door(logged_in, mpich, folder):
    """mpiexec, --ranks, ranks=, submit, and the engines of ipyparallel."""
    (folder / "fast").touch()
    given = {name: SENT[name] for name in ("nwalkers", "nensembles", "burnin", "seed")}
    given |= {"nsteps": STEPS, "nensembles": 3}
    words = [str(w) for k, v in given.items() for w in (f"--{k}", v)]
    launch, problem = mpich.launcher, sent(folder / "fast")
    run = ("-m", "pmcmc", "model.py", *words)
    assert launch(3, *run, "--output", "mpiexec.h5", cwd=folder).returncode == 0
    assert launch(0, *run, "--ranks", "3", "--output", "option.h5", cwd=folder).returncode == 0
    pmcmc.run(problem, ranks=3, output="python.h5", **given)
    job = pmcmc.submit(problem, ranks=3, time=2, output="job.h5", **given)
    assert job.wait(60).status == "finished", job.log
    home = str(folder / "home")
    os.environ["IPYTHONDIR"] = home  # logged_in puts it back
    with ipyparallel.Cluster(
        engines="mpi", n=3, log_level=40, profile_dir=f"{home}/profile"
    ) as client:
        client[:].apply_sync(os.chdir, str(folder))
        client[:].push({"given": given}, block=True)
        client[:].execute("import pmcmc; exec(open('model.py').read())", block=True)
        client[:].execute(
            "problem = pmcmc.Problem(log_prob, ndim=ndim, initial=initial)\n"
            "pmcmc.run(problem, output='engines.h5', **given)",
            block=True,
        )
    doors = ("mpiexec", "option", "python", "job", "engines")
    assert len({digest(folder / f"{door}.h5") for door in doors}) == 1


def digest(path):
    """Return a digest of all draws and their log_prob."""
    result = pmcmc.load(path)
    assert result.status == "finished"
    data = result.get_chain().tobytes() + result.get_log_prob().tobytes()
    return hashlib.sha256(data).hexdigest()


def test_time_limit(cluster, long_jobs, undisturbed):
    """Submitted when the session began: they stop before their minute is over, and go on."""
    for job, output in long_jobs.items():
        cluster.wait(lambda job=job: cluster.job(job)["Restarts"] != "0", 90, "a requeue")
        (output.parent / "fast").touch()
    for job, output in long_jobs.items():
        done = cluster.ended(job, 180)
        text = log(output.parent, job)
        assert (done.state, done.status) == ("COMPLETED", 0), text
        assert int(done["Restarts"]) >= 1, output
        assert "stopped by the end of the Slurm job's time" in text
        assert "TIME LIMIT" not in text
        seed = 2 if output.name.endswith("-2.h5") else 1
        assert_same_files(output, undisturbed(LONG, seed))
