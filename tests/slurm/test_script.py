"""The Slurm batch script: its text, its refusals, what bash makes of it with stubs for Slurm."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

import pmcmc
from pmcmc import streams
from pmcmc._version import __version__
from pmcmc.cli import main as cli
from pmcmc.cli import parsing
from pmcmc.errors import UsageError
from pmcmc.options import OPTIONS, check
from pmcmc.sampler.rng import MAX_SEED
from pmcmc.slurm import script_options as batch
from pmcmc.slurm.script import script
from pmcmc.slurm.script_options import SCRIPT_OPTIONS, in_seconds, read

GOLDEN = Path(__file__).parent / "golden"
SRUN = ["--mpi=pmi2", "--kill-on-bad-exit=1"]
PYTHON = ["python3", "-m", "pmcmc", "run"]
HOSTILE = [
    "a b.py",
    "it's.py",
    'say "hi".py',
    "$HOME.py",
    "$(touch pwned).py",
    "`touch pwned`.py",
    "back\\slash.py",
    "a;touch pwned;#.py",
    "star*?[a].py",
    "a&b|c>d.py",
    "#comment.py",
    "!history.py",
    "%j%x.py",
    "été/müller.py",
    "~/x.py",
    "--help.py",
    "sub dir/-x.py",
]

# What stands in for Slurm: notes its arguments, and ends with the status $NAME_STATUS.
STUB = """#!/bin/bash
name=$(basename "$0")
printf '%s\\0' "$@" > "$name.argv"
env > "$name.env"
echo "$name" >> calls
status="${name}_status"
exit ${!status:-0}
"""
# A launcher as srun is: it passes USR1 on, and the run needs a moment; TERM kills the run at once.
RUNNING = f"""#!{sys.executable}
import os, signal, sys, time
def usr1(*_):
    print("USR1", file=open("told", "a"), flush=True)
def term(*_):
    os._exit(143)
signal.signal(signal.SIGUSR1, usr1)
signal.signal(signal.SIGTERM, term)
open("ready", "w").close()
while not os.path.exists("told"):
    time.sleep(0.01)
time.sleep(0.3)
open("saved", "w").close()
sys.exit(int(os.environ.get("srun_status", 75)))
"""


class Bash:
    """Runs batch scripts in a folder, with stubs in place of Slurm and the launchers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        stubs = folder / "stubs"
        stubs.mkdir()
        for name in ("srun", "mpiexec", "scontrol", "sbatch", "module"):
            self.stub(name, STUB)
        self.stub("python3", '#!/bin/sh\necho "$*" > python3.argv; exit ${python3_status:-0}\n')
        self.stub("squeue", '#!/bin/sh\necho "$*" > squeue.argv; echo "${reason:-None}"\n')
        self.env = {"PATH": f"{stubs}:/usr/bin:/bin", "SLURM_JOB_ID": "7", "SLURM_NTASKS": "16"}

    def stub(self, name: str, text: str) -> None:
        path = self.folder / "stubs" / name
        path.write_text(text)
        path.chmod(0o755)

    def start(self, text: str, *args: str, **env: object) -> subprocess.Popen[str]:
        """Start a script as Slurm does, as a process of its own."""
        (self.folder / "job.sh").write_text(text)
        pipe = subprocess.PIPE
        return subprocess.Popen(
            ["bash", "job.sh", *args],
            cwd=self.folder,
            env=self.env | {k: str(v) for k, v in env.items()},
            stdout=pipe,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, text: str, *args: str, **env: object) -> int:
        """Run a script and return its exit status; ``said`` is what it printed."""
        job = self.start(text, *args, **env)
        self.said, _ = job.communicate(timeout=30)
        return job.returncode

    def signalled(self, text: str, *signals: int, **env: object) -> int:
        """Run a script and send it signals once the launcher runs."""
        self.stub("srun", RUNNING)
        job = self.start(text, **env)
        end = time.monotonic() + 20
        while not (self.folder / "ready").exists() and time.monotonic() < end:
            time.sleep(0.01)
        for number in signals:
            os.kill(job.pid, number)
            time.sleep(0.1)
        self.said, _ = job.communicate(timeout=30)
        return job.returncode

    def argv(self, name: str = "srun") -> list[str]:
        """Return the arguments that a stub got."""
        return (self.folder / f"{name}.argv").read_text().split("\0")[:-1]

    def given(self, name: str = "srun") -> dict[str, str]:
        """Return the environment that a stub got."""
        lines = (self.folder / f"{name}.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def calls(self) -> list[str]:
        """Return which stubs were called, in order."""
        path = self.folder / "calls"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def bash(tmp_path):
    return Bash(tmp_path)


def for_sbatch(text):
    """Return the options in #SBATCH lines, read by the rules of sbatch: quotes, backslash, #."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#SBATCH"):
            (word,) = shlex.split(line.removeprefix("#SBATCH"), comments=True)
            name, _, value = word.removeprefix("--").partition("=")
            found[name] = value
    return found


# ---- the text

CASES = {
    "plain": ("model.py", {}, {}),
    "requeue": (
        "runs/model.py",
        {
            "ranks": 64,
            "nodes": 2,
            "ntasks_per_node": 32,
            "time": "1-12:00:00",
            "partition": "long",
            "account": "astro",
            "mem_per_cpu": "2G",
            "venv": "/home/me/.venv",
            "requeue": True,
        },
        {"nsteps": "20000", "seed": 3, "max_time": "3h50m", "progress": False},
    ),
    "chain_of_arrays": (
        "package.model",
        {
            "array": "0-9%3",
            "chain": 4,
            "launcher": "mpiexec",
            "mpi": "openmpi",
            "modules": "gcc/12, openmpi/5",
            "cpus_per_task": 4,
            "constraint": "skylake|icelake",
            "mail_user": "me@example.org",
            "time": 90,
        },
        {"seed": 5, "output": "out/draws.h5", "moves": "de:0.8,stretch:0.2"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name):
    model, settings, run = CASES[name]
    text = script(model, settings, run).replace(f"pmcmc {__version__};", "pmcmc VERSION;")
    assert text == (GOLDEN / f"{name}.sh").read_text()


def test_the_same_settings_give_the_same_text_and_stay_as_they_are():
    model, settings, run = CASES["requeue"]
    before = (dict(settings), dict(run))
    assert script(model, settings, run) == script(model, settings, run)
    assert (settings, run) == before


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["srun", *SRUN]),
        ({"mpi": "openmpi"}, ["srun", "--mpi=pmix", *SRUN[1:]]),
        ({"mpi": "module"}, ["srun", *SRUN[1:]]),
        # srun takes this from the job no more
        ({"cpus_per_task": 2}, ["srun", SRUN[0], "--cpus-per-task=2", *SRUN[1:]]),
        ({"launcher": "mpiexec"}, ["mpiexec", "-n", "16"]),
        (
            {"launcher": "mpiexec", "mpi": "openmpi"},
            ["mpiexec", "--bind-to", "none", "-n", "16"],
        ),
        ({"launcher": "mpiexec", "mpi": "module"}, ["mpiexec", "-n", "16"]),
    ],
)
def test_launchers(bash, settings, expected):
    assert bash(script("model.py", settings)) == 0
    assert bash.calls() == expected[:1]
    command = [*PYTHON, "model.py", "--output", "model.h5", "--resume"]
    assert bash.argv(expected[0]) == [*expected[1:], *command]


def test_threads_are_those_of_a_rank(bash):
    for settings, threads in (({}, "1"), ({"cpus_per_task": 4}, "4")):
        assert bash(script("model.py", settings), OMP_NUM_THREADS=9) == 0
        assert bash.given()["OMP_NUM_THREADS"] == threads


def test_a_job_is_told_before_its_end_only_where_that_leaves_time_and_helps():
    for settings, expected in (
        ({"requeue": True}, "B:USR1@60"),
        ({"chain": 2}, "B:USR1@60"),
        ({"requeue": True, "time": "10:00"}, None),
        ({"requeue": True, "time": "10:01"}, "B:USR1@60"),
        ({}, None),
    ):
        assert for_sbatch(script("model.py", settings)).get("signal") == expected


# ---- names that a shell would take apart


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_arrive_as_they_are(bash, name):
    settings = {"venv": "-my $(touch pwned) 'env\"", "output_log": name.replace("$", "S")[1:]}
    activate = bash.folder / settings["venv"] / "bin"
    activate.mkdir(parents=True)
    (activate / "activate").write_text("export ACTIVE=yes\n")
    output = name.removesuffix(".py") + ".h5"
    assert bash(script(name, settings, {"output": output})) == 0, bash.said
    model = f"./{name}" if name.startswith("-") else name
    words = bash.argv()[len(SRUN) + len(PYTHON) - 1 :]
    assert words[:2] == ["run", model]
    command, args = parsing.parse(words)  # and pmcmc understands them
    assert (command, args["model"], args["output"]) == ("run", model, output)
    assert bash.given()["ACTIVE"] == "yes"
    assert bash.said == ""
    assert not list(bash.folder.rglob("pwned"))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_in_lines_for_sbatch(name):
    text = script(name, {"output_log": "log " + name.replace("$", "S")})
    found = for_sbatch(text)
    assert found["job-name"] == Path(name).stem
    assert found["output"] == "log " + name.replace("$", "S")
    assert for_sbatch(script("model.py", {"job_name": Path(name).stem})) == {
        **for_sbatch(script("model.py", {})),
        "job-name": Path(name).stem,
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_with_an_array(bash, name):
    text = script(name, {"array": "0-3"}, {"seed": MAX_SEED - 3, "output": name})
    assert bash(text, SLURM_ARRAY_TASK_ID=3) == 0
    root, ending = os.path.splitext(name)
    assert f"--output={root}-3{ending}" in bash.argv()
    assert bash.argv()[-3:] == ["--seed", str(MAX_SEED), "--resume"]
    assert not list(bash.folder.rglob("pwned"))


@pytest.mark.parametrize(
    "bad", ["a\nrm -rf x", "a\rb", "a\tb", "a\0b", "\x1b[31m", "\udcff", "", " "]
)
def test_what_does_not_stay_on_its_line_is_refused(bad):
    for name in ("job_name", "output_log", "venv", "modules", "partition", "constraint", "time"):
        with pytest.raises(UsageError, match=f"{name}: expected text on one line"):
            script("model.py", {name: bad})
    with pytest.raises(UsageError, match="model: expected text on one line"):
        script(f"{bad}.py" if bad.strip() else bad, {})
    with pytest.raises(UsageError, match="output: expected "):
        script("model.py", {}, {"output": bad})


def test_a_module_that_begins_with_a_dash_is_refused():
    with pytest.raises(UsageError, match="model: expected a name that does not begin with a dash"):
        script("-model", {})


def test_modules_are_loaded_or_nothing_is_run(bash):
    text = script("model.py", {"modules": "gcc/12,openmpi/5 hdf5"})
    assert text.startswith("#!/bin/bash -l\n")  # the login shell knows `module`
    assert bash(text) == 0
    assert bash.argv("module") == ["load", "gcc/12", "openmpi/5", "hdf5"]
    assert bash.calls() == ["module", "srun"]
    assert bash(text, module_status=1) == 1
    assert bash.calls() == ["module", "srun", "module"]


def test_without_its_virtual_environment_nothing_is_run(bash):
    assert bash(script("model.py", {"venv": "none"})) == 1
    assert bash.calls() == []


def packed(folder):
    """Write an environment as a tar file, whose activation is seen in the run's environment."""
    env = folder / "env" / "bin"
    env.mkdir(parents=True)
    (env / "activate").write_text('export ACTIVATED="$(dirname "${BASH_SOURCE[0]}")"\n')
    subprocess.run(["tar", "-cf", folder / "my env.tar", "-C", folder / "env", "bin"], check=True)


SRUN_ONCE = """#!/bin/bash
case "$*" in
    *pmcmc*run*) printf '%s\\0' "$@" > srun.argv; env > srun.env; exit 0;;
    *) echo "$@" >> on_nodes; while [[ $1 = --* ]]; do shift; done; exec "$@";;
esac
"""


def test_an_environment_is_unpacked_on_each_node_and_removed(bash):
    packed(bash.folder)
    bash.stub("srun", SRUN_ONCE)
    text = script("model.py", {"unpack": "my env.tar", "nodes": "2"})
    status = bash(text, SLURM_NNODES=2, TMPDIR=bash.folder / "local")
    assert status == 0, bash.said
    local = bash.folder / "local" / "pmcmc-env-7"
    assert bash.given()["ACTIVATED"] == f"{local}/bin"
    assert not local.exists()
    calls = (bash.folder / "on_nodes").read_text().splitlines()
    assert len(calls) == 3
    assert all(c.startswith("--nodes=2 --ntasks=2 --ntasks-per-node=1") for c in calls)


def test_without_its_packed_environment_nothing_is_run(bash):
    bash.stub("srun", SRUN_ONCE)
    text = script("model.py", {"unpack": "none.tar"})
    assert bash(text, SLURM_NNODES=1, TMPDIR=bash.folder / "local") == 1
    assert not (bash.folder / "srun.argv").exists()


def test_an_environment_is_named_once():
    with pytest.raises(UsageError, match="venv and unpack exclude each other"):
        script("model.py", {"venv": "a", "unpack": "b.tar"})
    assert "venv" not in batch.with_here({"unpack": "b.tar"})


# ---- options of the run


def test_options_of_the_run_are_passed_on(bash):
    run = {
        "nsteps": "2e4",
        "seed": 3,
        "moves": "de:0.8,stretch:0.2",
        "checkpoint": 0.5,
        "max_time": "3h50m",
        "teams": 4,
        "progress": False,
        "resume": True,
        "overwrite": False,
        "output": "-x.h5",
    }
    assert bash(script("model.py", {}, run)) == 0
    command, args = parsing.parse(bash.argv()[len(SRUN) + len(PYTHON) - 1 :])
    given = {name: value for name, value in args.items() if value is not None}
    assert (command, given.pop("model")) == ("run", "model.py")
    assert check(given) == check({k: v for k, v in run.items() if k != "overwrite"})


@pytest.mark.parametrize("value", [True, None])
def test_progress_is_a_switch_both_ways(value):
    assert ("--progress" in script("model.py", {}, {"progress": value})) is bool(value)


@pytest.mark.parametrize("name", ["overwrite", "break_lock", "dry_run"])
def test_what_must_not_happen_at_each_start_is_refused(name):
    with pytest.raises(UsageError, match=f"{name} is not for a job that may begin again"):
        script("model.py", {}, {name: True})


def test_a_wrong_option_of_the_run_is_refused_as_the_run_would():
    with pytest.raises(UsageError, match=r"no option nstep \(did you mean nsteps\?\)"):
        script("model.py", {}, {"nstep": 3})
    with pytest.raises(UsageError, match="nsteps: expected a whole number"):
        script("model.py", {}, {"nsteps": "many"})


# ---- what comes after the run


@pytest.mark.parametrize("status", [1, 4, 75])
def test_a_launcher_s_0_counts_only_where_the_file_says_so_too(bash, status):
    text = script("model.py", {"array": "0-3"})
    assert bash(text, srun_status=0, python3_status=status, SLURM_ARRAY_TASK_ID=2) == status
    asked = (bash.folder / "python3.argv").read_text().split()
    assert asked == ["-m", "pmcmc", "status", "model-2.h5"]


@pytest.mark.parametrize("settings", [{}, {"requeue": True}, {"chain": 3}])
@pytest.mark.parametrize("status", [0, 1, 2, 3, 74, 75, 76, 137, 143])
def test_only_status_75_goes_on_and_every_status_is_kept(bash, settings, status):
    assert bash(script("model.py", settings), srun_status=status) == status
    after = {"requeue": ["scontrol"], "chain": ["sbatch"]}
    expected = after[next(iter(settings))] if settings and status == 75 else []
    assert bash.calls() == ["srun", *expected]


def test_requeue(bash):
    assert bash(script("model.py", {"requeue": True}), srun_status=75) == 75
    assert bash.argv("scontrol") == ["requeue", "7"]
    assert for_sbatch(script("model.py", {"requeue": True}))["requeue"] == ""


def test_requeue_has_an_end(bash):
    text = script("model.py", {"requeue": True, "max_requeues": 5})
    assert bash(text, srun_status=75, SLURM_RESTART_COUNT=4) == 75
    assert bash.calls()[-2:] == ["srun", "scontrol"]
    assert bash(text, srun_status=75, SLURM_RESTART_COUNT=5) == 75
    assert bash.calls()[-1] == "srun"
    assert "not requeued again after 5 times" in bash.said


def test_requeue_that_is_forbidden_is_said(bash):
    text = script("model.py", {"requeue": True})
    assert bash(text, srun_status=75, scontrol_status=1) == 75
    assert "not requeued; sbatch goes on" in bash.said


def test_chain(bash):
    text = script("model.py", {"chain": 3})
    for link, args in ((1, []), (2, ["2"])):
        assert bash(text, *args, srun_status=75) == 75
        assert bash.argv("sbatch") == ["--dependency=afterany:7", "job.sh", str(link + 1)]
    assert bash(text, "3", srun_status=75) == 75
    assert bash.calls() == ["srun", "sbatch"] * 2 + ["srun"]


def test_chain_that_cannot_go_on_is_said(bash):
    assert bash(script("model.py", {"chain": 3}), srun_status=75, sbatch_status=1) == 75
    assert "the chain ends here" in bash.said


def test_one_job_of_an_array_goes_on_alone(bash):
    # the job 7 is one of the array 7, whose name would mean them all
    env = {"srun_status": 75, "SLURM_ARRAY_JOB_ID": 7, "SLURM_ARRAY_TASK_ID": 3}
    assert bash(script("model.py", {"requeue": True, "array": "0-3"}), **env) == 75
    assert bash.argv("scontrol") == ["requeue", "7_3"]
    assert bash(script("model.py", {"chain": 2, "array": "0-3"}), **env) == 75
    assert bash.argv("sbatch") == ["--dependency=afterany:7_3", "--array=3", "job.sh", "2"]


@pytest.mark.parametrize("settings", [{}, {"requeue": True}, {"chain": 3}])
@pytest.mark.parametrize("signals", [["USR1"], ["TERM"], ["USR1", "USR1"], ["USR1", "TERM"]])
def test_signals_reach_the_run_which_is_waited_for(bash, settings, signals):
    numbers = [getattr(signal, f"SIG{name}") for name in signals]
    status = bash.signalled(script("model.py", settings), *numbers)
    assert status == 75, bash.said
    assert (bash.folder / "saved").exists()
    assert (bash.folder / "told").read_text().split() == ["USR1"] * len(signals)
    # who cancels a job does not want it back
    after = {"requeue": ["scontrol"], "chain": ["sbatch"]}
    on = settings and "TERM" not in signals
    assert bash.calls() == (after[next(iter(settings))] if on else [])


@pytest.mark.parametrize("settings", [{"requeue": True}, {"chain": 3}])
def test_time_that_was_up_before_the_ranks_had_stopped_is_no_cancel(bash, settings):
    text = script("model.py", settings)
    assert bash.signalled(text, signal.SIGTERM, reason="TimeLimit") == 75
    assert bash.calls() == {"requeue": ["scontrol"], "chain": ["sbatch"]}[next(iter(settings))]
    assert (bash.folder / "squeue.argv").read_text() == "-h -j 7 -o %r\n"


@pytest.mark.parametrize(
    ("settings", "steps"),
    [({}, 3), ({"mpi": "openmpi"}, 0), ({"launcher": "mpiexec"}, 0)],
)
def test_the_step_of_a_job_that_begins_again_has_another_number(bash, settings, steps):
    assert bash(script("model.py", settings), SLURM_RESTART_COUNT=23) == 0
    assert bash.calls() == ["srun"] * steps + [settings.get("launcher", "srun")]


@pytest.mark.parametrize("status", [0, 1, 143])
def test_a_signal_does_not_change_the_status_of_the_run(bash, status):
    text = script("model.py", {"requeue": True})
    assert bash.signalled(text, signal.SIGUSR1, srun_status=status) == status
    assert bash.calls() == []


# ---- what is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ranks": 0}, "ranks: expected a whole number of at least 1, got 0"),
        ({"ranks": "x"}, "ranks: expected a whole number of at least 1, got 'x'"),
        ({"time": "4w"}, "time: expected a time such as 3h50m, .* got '4w'"),
        ({"time": "4.5"}, "time: expected a time such as 4:00:00, 4h, 1-12:00:00 .* got '4.5'"),
        ({"time": "0:00"}, "time: expected .* above 0, got '0:00'"),
        ({"time": True}, "time: expected text on one line.*got True"),
        ({"partition": "a b"}, "partition: expected a name, without spaces or quotes, got 'a b'"),
        ({"account": "$A"}, r"account: expected a name.*got '\$A'"),
        ({"qos": "'"}, "qos: expected a name"),
        ({"nodes": "0"}, "nodes: expected a number of nodes such as 4 or 2-4, got '0'"),
        ({"nodes": "4-2"}, "nodes is 4-2; expected the smaller number first: 2-4"),
        ({"nodes": "17"}, "nodes is 17, but ranks is 16: use --nodes 16 or fewer"),
        (
            {"ranks": 64, "nodes": 2, "ntasks_per_node": 24},
            "ranks is 64, but nodes 2 with ntasks_per_node 24 has room for 48: use --nodes 3 or",
        ),
        ({"ntasks_per_node": 0}, "ntasks_per_node: expected a whole number of at least 1"),
        ({"cpus_per_task": 1.5}, "cpus_per_task: expected a whole number"),
        ({"mem": "16GB"}, "mem: expected a size such as 16G or 2000M, got '16GB'"),
        ({"mem": "1G", "mem_per_cpu": "1G"}, "mem and mem_per_cpu exclude each other"),
        ({"constraint": "a b"}, "constraint: expected features of nodes such as"),
        ({"array": "0-"}, "array: expected indices such as 0-9, .* got '0-'"),
        ({"array": "1,2%0"}, "array: expected indices"),
        ({"job_name": "a/b"}, "job_name: expected a name without /, got 'a/b'"),
        ({"output_log": "$HOME/x"}, r"output_log: expected a path in full.*got '\$HOME/x'"),
        ({"output_log": "~/x"}, "output_log: expected a path in full"),
        ({"venv": "~/x"}, "venv: expected a path in full"),
        ({"mail_user": "me you"}, "mail_user: expected a name"),
        ({"requeue": "yes"}, "requeue: expected true or false, got 'yes'"),
        ({"requeue": True, "chain": 2}, "requeue and chain exclude each other: give one"),
        ({"chain": 1}, "chain: expected a whole number of at least 2, got 1"),
        ({"max_requeues": 3}, "max_requeues is for requeue: give --requeue too"),
        ({"requeue": True, "max_requeues": 0}, "max_requeues: expected a whole number"),
        ({"launcher": "mpirun"}, "launcher: expected srun or mpiexec, got 'mpirun'"),
        ({"mpi": "intel"}, "mpi: expected mpich, openmpi or module, got 'intel'"),
        ({"modules": "-x"}, "modules: expected names of modules"),
        ({"modules": ","}, "modules: expected names of modules"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(UsageError, match=message) as caught:
        script("model.py", settings)
    assert "\n" not in str(caught.value)


def test_a_seed_that_an_array_would_push_too_far():
    expected = f"seed: expected with the array at most {MAX_SEED - 9}, got {MAX_SEED - 8}"
    with pytest.raises(UsageError, match=expected):
        script("model.py", {"array": "9,0-3%2"}, {"seed": MAX_SEED - 8})


def test_an_unknown_setting_names_the_likely_one_or_all():
    with pytest.raises(UsageError) as caught:
        script("model.py", {"node": 3})
    assert str(caught.value) == "there is no setting node (did you mean nodes?)"
    with pytest.raises(UsageError) as caught:
        script("model.py", {"zzz": 3})
    text = str(caught.value)
    assert text.startswith("there is no setting zzz; the settings are ")
    assert text.rpartition("are ")[2].split(", ") == list(SCRIPT_OPTIONS)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("10:30", 630),
        ("4:00:00", 14400),
        ("1-12", 129600),
        ("1-12:30", 131400),
        ("1-12:00:05", 129605),
        ("0-0", 0),
        ("4h", 0),
        ("1:2:3:4", 0),
        ("-5", 0),
        ("1-2:3:4:5", 0),
        ("٣", 0),
        ("1.5", 0),
    ],
)
def test_times_as_slurm_writes_them(text, seconds):
    assert in_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "time"), [("4h", "4:00:00"), ("3h50m", "3:50:00"), ("90m", "1:30:00"), ("90", "90")]
)
def test_times_in_words_are_written_as_slurm_wants_them(text, time):
    assert for_sbatch(script("model.py", {"time": text}))["time"] == time


@pytest.mark.parametrize("array", ["0", "0-9", "1,3,5-7", "0-15:4", "0-15%4", "1,2-8:2%10"])
def test_arrays_as_slurm_writes_them(array):
    assert for_sbatch(script("model.py", {"array": array}))["array"] == array


def test_settings_do_not_hide_options_of_the_run():
    assert not set(SCRIPT_OPTIONS) & set(OPTIONS)
    assert read({})["mpi"] == "mpich"


# ---- the command


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text("")

    def run(*args):
        assert cli.main(["slurm", *args]) == 0
        return capsys.readouterr().out

    return run


def test_the_command_prints_the_script(command, monkeypatch):
    monkeypatch.setattr(batch, "here", lambda: {"mpi": "openmpi", "venv": "/e"})
    expected = script("model.py", {"ranks": 4, "mpi": "openmpi", "venv": "/e"}, {"nsteps": 50})
    assert command("model.py", "--ranks", "4", "--nsteps", "50") == expected
    text = command("model.py", "--mpi", "mpich", "--venv", "mine")
    assert text == script("model.py", {"mpi": "mpich", "venv": "mine"})


@pytest.mark.parametrize(
    ("seed", "told"),
    [("3", "model.h5 is there: the job goes on from it"), ("4", "would fail: .*seed is 4, and 3")],
)
def test_a_file_that_is_there_is_told_of_at_the_terminal(
    tmp_path, monkeypatch, capsys, seed, told
):
    def log_prob(theta):
        return -0.5 * float(theta @ theta)

    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text("")
    problem = pmcmc.Problem(log_prob, parameters=["a"], initial=[0.1])
    pmcmc.run(problem, nsteps=20, nensembles=1, burnin=0, nwalkers=8, seed=3, output="model.h5")
    monkeypatch.setattr(streams, "is_terminal", lambda error=True: True)
    cli.main(["slurm", "model.py", "--seed", seed])
    assert re.search(told, capsys.readouterr().err)
    if "fail" in told:
        with pytest.raises(UsageError, match="seed is 4, and 3 in the file"):
            pmcmc.submit("model.py", seed=4)
        assert not (tmp_path / "model.job.sh").exists()


def test_the_command_reads_the_config_file(command, tmp_path):
    (tmp_path / "pmcmc.toml").write_text('model = "model.py"\nnsteps = 70\nmax_time = "90m"\n')
    text = command("--ranks", "3")
    assert "run model.py --output model.h5 --nsteps 70 --max-time 5400 --resume" in text
    assert "--nsteps 80" in command("--config", "pmcmc.toml", "--nsteps", "80")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["model.py", "--rank", "3"], r"no option --rank \(did you mean --ranks\?\)"),
        (["none.py"], "there is no model file none.py"),
        (["model.py", "--time", "4w"], "time: expected"),
        (["model.py", "other.py"], "one argument too many: other.py"),
    ],
)
def test_the_command_refuses(command, args, message):
    with pytest.raises(UsageError, match=message):
        command(*args)


def test_help_tells_every_setting(command, capsys):
    with pytest.raises(SystemExit):
        cli.main(["slurm", "--help"])
    text = capsys.readouterr().out
    for name in {**SCRIPT_OPTIONS, **OPTIONS}:
        assert "--" + name.replace("_", "-") in text


def test_what_this_python_suggests(monkeypatch, tmp_path):
    there = set()

    def version(name):
        if name not in there:
            raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert batch.here() == {"mpi": "module"}
    for name in ("mpich", "openmpi"):
        there = {name}
        assert batch.here() == {"mpi": name}
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert "venv" not in batch.here()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/activate").touch()
    assert batch.here()["venv"] == str(tmp_path)


def test_the_command_needs_no_mpi_and_rank_0_alone_prints(tmp_path):
    (tmp_path / "model.py").write_text("")
    code = (
        "import sys; sys.modules['mpi4py'] = None; sys.argv[1:] = ['slurm', 'model.py']; "
        "from pmcmc.__main__ import main; sys.exit(main())"
    )
    for rank, lines in (("0", True), ("1", False)):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=os.environ | {"PMI_RANK": rank},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        assert bool(done.stdout) is lines
