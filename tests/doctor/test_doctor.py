"""The doctor: what it makes of facts, what it finds in a folder, and on real ranks."""

import json
import os
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import slow_but
from pmcmc.doctor import probes as measure
from pmcmc.doctor.examine import report
from pmcmc.doctor.findings import exit_status, find
from pmcmc.doctor.probes import Trial, blas_threads, read_token
from pmcmc.doctor.records import Facts, FolderFacts, Link, RankFacts
from pmcmc.mpi.startup import OVERRIDE
from pmcmc.storage.lock import Lock
from pmcmc.storage.reader import RunReader

STEPS = ("folder", "write", "fsync", "rename", "lock", "hard link", "HDF5")
VERSIONS = {
    "pmcmc": "0.1.0",
    "Python": "3.11.7",
    "emcee": "3.1.6",
    "numpy": "2.0.0",
    "h5py": "3.10",
    "MPI library": "MPICH Version: 5.0",
}
RANK = RankFacts("n1", "/v/bin/python", VERSIONS, "multiple", (0, 1, 2, 3), "1", 1)
FOLDER = FolderFacts("/scratch", dict.fromkeys(STEPS, ""), None, 2**40, 0.004)


def facts(ranks=4, hosts=2, every=None, one=None, **changes):
    """Return healthy facts, with changes; of every rank, or of the last ``one``."""
    rank = replace(RANK, **(every or {}))
    by = {r: replace(rank, host=f"n{1 + r * hosts // ranks}") for r in range(ranks)}
    by[ranks - 1] = replace(by[ranks - 1], **(one or {}))
    healthy = {
        "size": ranks,
        "ranks": by,
        "env": {"PMI_SIZE": str(ranks)},
        "links": (Link(1, "n1", 2e-6, 5e9), Link(2, "n2", 3e-6, 2e9)),
        "clocks": {"n2": 1e-4},
        "folder": FOLDER,
        "job": "7",
        "time_left": 3600.0,
        "mpiexec": "/v/bin/mpiexec",
        "patience": 30.0,
    }
    return Facts(**healthy | changes)


def folder(**changes):
    return facts(folder=replace(FOLDER, **changes))


def failing(step, error="Operation not permitted"):
    return folder(errors={**dict.fromkeys(STEPS, ""), step: error})


def odd(name, value="9.9"):
    return facts(one={"versions": {**VERSIONS, name: value}})


ALONE = "4 ranks were started (PMI_SIZE=4), but\n  MPI library: x\n  Use the mpiexec"
TYPE = "type: /v/bin/mpiexec -n {} /v/bin/python -m pmcmc doctor"


def test_healthy_facts_are_all_ok():
    findings = find(facts())
    assert {f.level for f in findings} == {"ok"}, findings
    assert exit_status(findings) == 0
    wanted = "versions MPI Slurm ranks cores threads messages messages clocks output"
    assert [f.check for f in findings] == wanted.split()
    assert not any(f.advice for f in findings)
    text = report(facts(), findings)
    for part in ("emcee 3.1.6", "thread level multiple", "4 ranks on 2 hosts", "2 us, 5e+03 MB/s"):
        assert part in text
    assert text.endswith("0 wrong, 0 warnings, 10 ok")


@pytest.mark.parametrize(
    ("made", "check", "level", "expected"),
    [
        (odd("pmcmc"), "versions", "wrong", "pmcmc: 0.1.0: rank 0 (n1) and 2 more; 9.9: rank 3"),
        (odd("emcee"), "versions", "wrong", "same environment on every host"),
        (odd("numpy"), "versions", "wrong", "9.9: rank 3 (n2)"),
        (odd("Python"), "versions", "wrong", "versions of Python"),
        (odd("MPI library"), "versions", "wrong", "versions of MPI library"),
        (odd("h5py"), "versions", "warning", "versions of h5py"),
        (facts(one={"executable": "/usr/bin/python3"}), "versions", "warning", "its full path"),
        (facts(one={"thread_level": "funneled"}), "MPI", "warning", "MPI4PY_RC_THREAD_LEVEL"),
        (facts(launch_error=ALONE, size=1), "launcher", "wrong", TYPE.format(4)),
        (facts(launch_error="no MPI library\n  Do x", env={}), "launcher", "wrong", "-> Do x"),
        (facts(env={"PMI_SIZE": "8"}), "launcher", "wrong", TYPE.format(8)),
        (facts(env={"OMPI_COMM_WORLD_SIZE": "2"}), "launcher", "wrong", "2 ranks (OMPI_COMM"),
        (facts(env={"SLURM_STEP_NUM_TASKS": "8"}), "launcher", "warning", "MPI sees 4"),
        (
            facts(1, 1, env={"PMI_SIZE": "4", OVERRIDE: "1"}),
            "launcher",
            "warning",
            f"unset {OVERRIDE}",
        ),
        (facts(env={"SLURM_NTASKS": "16"}), "Slurm", "warning", "srun --mpi=pmi2 -n 16 /v/bin"),
        (facts(time_left=None), "Slurm", "warning", "--max-time"),
        (facts(silent={2: "asked for it"}), "ranks", "wrong", "1 rank did not answer within 30 s"),
        (facts(silent={2: "asked for it"}), "ranks", "wrong", "asked for it: rank 2 (n2)"),
        (facts(9, 2), "cores", "warning", "n1 has 5 ranks on 4 cores"),
        (facts(9, 2), "cores", "warning", "at most 4 ranks per host"),
        (facts(every={"cores": (1,)}), "cores", "warning", "n1 has 2 ranks on 1 core, n2"),
        (facts(every={"omp": "4,2"}), "threads", "warning", "OMP_NUM_THREADS=2,"),
        (facts(every={"omp": None, "blas": 4}), "threads", "warning", "BLAS takes 4 threads"),
        (facts(one={"omp": "4"}), "threads", "warning", "n2 has 2 ranks of up to 4 threads"),
        (facts(4, 4, one={"omp": "2", "cores": (3,)}), "threads", "warning", "export OMP"),
        (facts(links=(Link(2, "n2", 6e-4, 2e9),)), "messages", "warning", "600 us"),
        (facts(links=(Link(2, "n2", 3e-6, 1e7),)), "messages", "warning", "10 MB/s"),
        (facts(clocks={"n2": 0.1, "n3": -90.0}), "clocks", "warning", "90 s (n3)"),
        (failing("folder", "there is no such folder"), "output", "wrong", "mkdir -p"),
        (failing("write"), "output", "wrong", "/scratch: write: Operation not permitted"),
        (failing("fsync"), "output", "wrong", "power loss"),
        (failing("rename"), "output", "wrong", "rename over a file"),
        (failing("lock"), "output", "wrong", "keeps other writers out"),
        (failing("hard link"), "output", "warning", "start no two jobs"),
        (failing("HDF5"), "output", "wrong", "read it back"),
        (folder(stuck="fsync", commit=None), "output", "wrong", "fsync: no end after 30 s"),
        (folder(commit=2.5), "output", "warning", "--checkpoint 600"),
        (folder(free=2**29), "output", "warning", "512 MiB are free"),
        (folder(free=2**20), "output", "wrong", "1 MiB are free"),
        (folder(unseen={2: "No such file"}), "output", "warning", "No such file: rank 2 (n2)"),
        (folder(unseen={2: "No such file"}), "output", "warning", "all hosts share"),
    ],
)
def test_each_trouble_is_found_with_what_to_do(made, check, level, expected):
    findings = find(made)
    bad = [f for f in findings if f.level != "ok"]
    assert {(f.check, f.level) for f in bad} == {(check, level)}, bad
    assert all(f.advice for f in bad)
    assert expected in report(made, findings)
    assert exit_status(findings) == (level == "wrong")


@pytest.mark.parametrize(
    "made",
    [
        facts(env={}),
        facts(env={"PMI_SIZE": "4", "OMPI_COMM_WORLD_SIZE": "9"}),  # one of a job around this one
        facts(env={"SLURM_NTASKS": "4"}),
        facts(4, 4, one={"omp": "4", "blas": 4}),
        facts(every={"cores": tuple(range(8)), "omp": "2"}),
        facts(links=()),
        facts(1, 1, clocks={}, links=(), env={}, job=None, time_left=None),
        folder(free=None),
    ],
)
def test_these_are_no_trouble(made):
    assert {f.level for f in find(made)} == {"ok"}, find(made)


def test_slow_messages_are_no_news_where_ranks_share_cores():
    found = find(facts(9, 2, links=(Link(1, "n1", 9e-4, 2e9),)))
    assert [f.check for f in found if f.level != "ok"] == ["cores"]
    assert "as ranks share cores" in report(facts(), found)


# ---- a folder


def tried(output, seconds=20):
    trial = Trial(str(output))
    trial.start()
    trial.tried.wait(seconds)
    ended = trial.close(seconds)
    return trial.facts({}), ended


def test_a_good_folder_is_left_as_it_was(tmp_path):
    for output in (tmp_path, tmp_path / "x.h5"):
        found, ended = tried(output)
        assert ended
        assert found.path == str(tmp_path)
        assert found.errors == dict.fromkeys(STEPS, "")
        assert found.stuck is None
        assert found.free > 0
        assert 0 < found.commit < 10
    assert list(tmp_path.iterdir()) == []


def test_the_token_is_there_until_the_end(tmp_path):
    trial = Trial(str(tmp_path))
    trial.start()
    assert trial.tried.wait(20)
    assert read_token(str(trial.token), 1) == trial.TOKEN
    assert trial.close(20)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        read_token(str(trial.token), 0.1)


def test_a_file_that_shows_late_is_seen(tmp_path):
    path = tmp_path / "token"
    timer = threading.Timer(0.3, path.write_text, ["text"])
    timer.start()
    assert read_token(str(path), 20) == "text"
    timer.join()


def refuse(*args, **kwargs):
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize(
    ("output", "step", "error"),
    [
        ("file/x.h5", "folder", "not a folder"),
        ("file/", "folder", "not a folder"),
        ("none/x.h5", "folder", "no such folder"),
        ("none/", "folder", "no such folder"),
        ("/proc", "write", ""),
    ],
)
def test_no_place_to_write(output, step, error, tmp_path):
    (tmp_path / "file").touch()
    found, _ = tried(f"{tmp_path}/{output}" if output[0] != "/" else output)
    assert list(found.errors)[-1] == step
    assert found.errors[step]
    assert error in found.errors[step]
    assert found.commit is None
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("name", "step"),
    [("mkdir", "write"), ("fsync", "fsync"), ("replace", "rename")],
)
def test_what_a_file_system_lacks_is_named(name, step, tmp_path, monkeypatch):
    monkeypatch.setattr(os, name, refuse)
    found, _ = tried(tmp_path)
    assert [s for s, error in found.errors.items() if error] == [step]
    assert "Operation not permitted" in found.errors[step]
    assert found.commit is None
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_cannot_be_taken_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(Lock, "acquire", refuse)
    found, _ = tried(tmp_path)
    assert [s for s, error in found.errors.items() if error] == ["lock"]
    assert found.commit is None


def test_a_file_system_without_hard_links_will_do(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", refuse)
    found, _ = tried(tmp_path)
    assert [s for s, error in found.errors.items() if error] == ["hard link"]
    assert found.commit is not None
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_syncs_files_but_no_folders(tmp_path, monkeypatch):
    def fsync(handle, really=os.fsync):
        return refuse() if stat.S_ISDIR(os.fstat(handle).st_mode) else really(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    found, _ = tried(tmp_path)
    assert [s for s, error in found.errors.items() if error] == ["fsync"]


def test_a_file_that_reads_otherwise_than_written_is_found(tmp_path, monkeypatch):
    values = RunReader.values
    monkeypatch.setattr(RunReader, "values", lambda *args: values(*args) + 1)
    found, _ = tried(tmp_path)
    assert found.errors["HDF5"] == "what was read back is not what was written"


def test_a_folder_that_hangs_is_left_behind(tmp_path, monkeypatch):
    free = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda handle: free.wait())
    try:
        found, ended = tried(tmp_path, seconds=0.5)
        assert not ended
        assert found.stuck == "fsync"
    finally:
        free.set()


def test_blas_threads_are_those_in_use():
    code = "import numpy, pmcmc.doctor.probes; print(pmcmc.doctor.probes.blas_threads())"

    def told(threads):
        return subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    if blas_threads() is None and "openblas" not in Path("/proc/self/maps").read_text():
        pytest.skip("this BLAS does not tell")
    assert told("1") == "1"
    assert told("2") == str(min(2, len(os.sched_getaffinity(0))))


# ---- real ranks


def test_a_system_that_tells_less(monkeypatch, tmp_path):
    """MacOS binds no process to cores, and does not list its libraries."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(measure, "_MAPS", tmp_path / "nothing")
    facts = measure.own_facts()
    assert facts.cores == tuple(range(os.cpu_count()))
    assert facts.blas is None


@pytest.fixture(params=["own", "openmpi"])
def start(request):
    """Start ranks under this MPI and under Open MPI."""
    return request.getfixturevalue("launch" if request.param == "own" else "launch_openmpi")


def doctor(start, n, tmp_path, *args, **options):
    done = start(n, "-m", "pmcmc", "doctor", *args, cwd=tmp_path, timeout=60, **options)
    assert "Traceback" not in done.stderr, done
    return done


def examined(start, n, tmp_path, *args, **options):
    """Return the exit status and the JSON of a doctor."""
    done = doctor(start, n, tmp_path, "--json", *args, **options)
    made = json.loads(done.stdout)
    assert made["exit_status"] == done.returncode, done
    return done.returncode, made


def bad(made):
    return [f for f in made["findings"] if f["level"] != "ok" and f["check"] != "cores"]


@pytest.mark.parametrize("n", slow_but([3], [0, 1, 3]))
def test_healthy_ranks(start, n, tmp_path):
    status, made = examined(start, n, tmp_path)
    assert status == 0
    assert [f for f in bad(made) if f["check"] != "messages"] == []
    facts = made["facts"]
    size = max(n, 1)
    assert facts["size"] == len(facts["ranks"]) == size
    assert facts["silent"] == {}
    assert all(f["thread_level"] == "multiple" for f in facts["ranks"].values())
    assert all(f["omp"] == "1" for f in facts["ranks"].values())
    assert ("Open MPI" in facts["ranks"]["0"]["versions"]["MPI library"]) == start.openmpi
    assert [link["rank"] for link in facts["links"]] == ([1] if size > 1 else [])
    for link in facts["links"]:
        assert 1e-8 < link["latency"] < 1
        assert 1e5 < link["bandwidth"] < 1e12
    assert facts["folder"]["errors"] == dict.fromkeys(STEPS, "")
    assert facts["folder"]["path"] == str(tmp_path)
    assert facts["folder"]["unseen"] == {}
    cores = [f for f in made["findings"] if f["check"] == "cores"]
    shared = size > len(facts["ranks"]["0"]["cores"])
    assert [f["level"] for f in cores] == ["warning" if shared else "ok"]
    assert list(tmp_path.iterdir()) == []


def test_the_report_is_printed_once(launch, tmp_path):
    done = doctor(launch, 3, tmp_path)
    assert done.returncode == 0, done
    assert done.stdout.count("pmcmc 0.") == 2  # the head, and the versions
    assert done.stdout.count("3 ranks on 1 host") == 1
    assert done.stderr == ""


def test_every_rank_leaves_with_the_same_status(start, tmp_path):
    (tmp_path / "file").touch()
    code = """
import sys
from pmcmc.__main__ import main
sys.argv[1:] = ["doctor", "--output", "file/x.h5"]
status = main()
sys.stderr.write(f"status {status}\\n")
sys.exit(status)
"""
    (tmp_path / "script.py").write_text(code)
    done = start(3, "script.py", cwd=tmp_path, timeout=60)
    assert done.returncode == 1, done
    assert done.stderr.count("status 1\n") == 3
    assert done.stdout.count("  wrong    output    ") == 1
    assert "file: folder: it is not a folder" in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "script.py"]


@pytest.mark.parametrize("variable", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_worlds_of_one_rank_are_a_finding(start, variable, tmp_path):
    if variable == "PMI_SIZE" and not start.openmpi:
        pytest.skip("MPICH would look for the process manager behind it")
    status, made = examined(start, 0, tmp_path, env={variable: "4"})
    assert status == 1
    (finding,) = bad(made)
    assert (finding["check"], finding["level"]) == ("launcher", "wrong")
    assert f"{variable}=4" in finding["text"]
    assert f"type: {start.mpiexec} -n 4 {start.python} -m pmcmc" in finding["advice"]


@pytest.mark.slow
def test_foreign_launchers_are_a_finding_once(launch, launch_openmpi, tmp_path):
    if launch.openmpi:
        pytest.skip("needs MPICH beside Open MPI")
    for foreign in (
        replace(launch, mpiexec=launch_openmpi.mpiexec, openmpi=True),
        replace(launch_openmpi, mpiexec=launch.mpiexec, openmpi=False),
    ):
        status, made = examined(foreign, 2, tmp_path)
        assert status == 1
        (finding,) = bad(made)
        assert (finding["check"], finding["level"]) == ("launcher", "wrong")
        own = Path(foreign.python).parent / "mpiexec"
        assert f"type: {own} -n 2 {foreign.python} -m pmcmc" in finding["advice"]


def test_no_mpi_library_is_a_finding(launch, tmp_path):
    code = "import sys; sys.modules['mpi4py.MPI'] = None\n"
    code += "from pmcmc.__main__ import main; sys.argv[1:] = ['doctor']; sys.exit(main())"
    done = launch(0, "-c", code, cwd=tmp_path, timeout=60)
    assert done.returncode == 1, done
    assert "wrong    launcher  no MPI library can be loaded" in done.stdout
    assert "pip install 'pmcmc[mpich]'" in done.stdout


def test_a_low_thread_level_and_idle_tasks_are_warnings(launch, tmp_path):
    env = {"MPI4PY_RC_THREAD_LEVEL": "funneled", "SLURM_NTASKS": "9", "OMP_NUM_THREADS": "999"}
    status, made = examined(launch, 2, tmp_path, env=env)
    assert status == 0
    assert all(f["thread_level"] == "funneled" for f in made["facts"]["ranks"].values())
    found = {f["check"] for f in bad(made)} - {"messages"}
    assert found == {"MPI", "threads"}  # SLURM_NTASKS counts inside a job only


def test_inside_a_slurm_job(launch, tmp_path):
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text("#!/bin/sh\necho 77 5:00\n")
    squeue.chmod(0o755)
    env = {"PATH": f"{squeue.parent}:{os.environ['PATH']}", "SLURM_JOB_ID": "77"}
    status, made = examined(launch, 2, tmp_path, env=env | {"SLURM_NTASKS": "9"})
    assert status == 0
    assert made["facts"]["job"] == "77"
    assert 200 < made["facts"]["time_left"] <= 300
    texts = [f["text"] for f in made["findings"] if f["check"] == "Slurm"]
    assert texts[0].startswith("job 77, 5 min left")
    assert "9 tasks (SLURM_NTASKS), 2 of them run" in texts[1]


def test_bad_usage(launch, tmp_path):
    for args, text in ((["--jso"], "did you mean --json?"), (["x.h5"], "one argument too many")):
        done = doctor(launch, 2, tmp_path, *args)
        assert done.returncode == 2, done
        assert done.stderr.count("pmcmc: error:") == 1
        assert text in done.stderr


TROUBLE = """
import os, socket, sys, time
from mpi4py import MPI
from pmcmc.doctor import examine as doctor, probes as measure
comm, out, really = MPI.COMM_WORLD, "{output}", time.time
rank = comm.rank
{trouble}
sys.exit(doctor.doctor(comm, out, True, patience={patience}))
"""


def troubled(start, n, tmp_path, trouble, patience=20):
    """Return status and JSON of a doctor of ranks that something was done to before."""
    folder = tmp_path / "out"
    folder.mkdir()
    text = TROUBLE.format(output=folder, trouble=trouble, patience=patience)
    (tmp_path / "script.py").write_text(text)
    done = start(n, "script.py", cwd=tmp_path, timeout=50)
    assert "Traceback" not in done.stderr, done
    return done.returncode, json.loads(done.stdout.splitlines()[0])


TWO_HOSTS = "socket.gethostname = lambda: f'n{rank // 2}'\n"


@pytest.mark.slow
def test_two_hosts(start, tmp_path):
    status, made = troubled(start, 4, tmp_path, TWO_HOSTS)
    facts = made["facts"]
    assert status == 0
    assert [(k["rank"], k["host"]) for k in facts["links"]] == [(1, "n0"), (2, "n1")]
    assert list(facts["clocks"]) == ["n1"]
    assert abs(facts["clocks"]["n1"]) < 0.5
    assert facts["folder"]["unseen"] == {}
    assert "4 ranks on 2 hosts: 2 on each of n0, n1" in [f["text"] for f in made["findings"]]


@pytest.mark.slow
def test_a_folder_of_one_host_and_a_clock_that_is_off(launch, tmp_path):
    trouble = TWO_HOSTS + (
        "if rank > 1:\n"
        "    time.time = lambda: really() - 100\n"
        "    read = measure.read_token\n"
        "    measure.read_token = lambda path, seconds: read('/none' + path, 0.1)\n"
    )
    status, made = troubled(launch, 4, tmp_path, trouble)
    assert status == 0
    assert made["facts"]["clocks"]["n1"] == pytest.approx(-100, abs=1)
    assert set(made["facts"]["folder"]["unseen"]) == {"2", "3"}
    found = [f for f in bad(made) if f["check"] != "messages"]
    assert [(f["check"], f["level"]) for f in found] == [
        ("clocks", "warning"),
        ("output", "warning"),
    ]
    assert "No such file or directory: rank 2 (n1) and 1 more" in found[1]["text"]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", slow_but(["emcee"], ["pmcmc", "emcee", "numpy"]))
def test_different_versions_are_wrong(launch, name, tmp_path):
    what = "measure" if name == "pmcmc" else name
    trouble = "import emcee, numpy\nif rank == 1: " + f"{what}.__version__ = '0.0'"
    status, made = troubled(launch, 3, tmp_path, trouble)
    assert status == 1
    (finding,) = [f for f in bad(made) if f["level"] == "wrong"]
    assert f"different versions of {name}: " in finding["text"]
    assert "0.0: rank 1" in finding["text"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "asked"),
    [
        ("if rank == 2: time.sleep(60)", "asked about itself: rank 2"),
        ("if rank == 1: doctor._echo = lambda *args: time.sleep(60)", "sent a message of 8 bytes"),
        ("if rank == 2: measure.read_token = lambda *args: time.sleep(60)", "output folder"),
    ],
    ids=["late", "no echo", "hung file system"],
)
def test_a_rank_that_does_not_answer_is_a_finding(start, trouble, asked, tmp_path):
    status, made = troubled(start, 3, tmp_path, trouble, patience=8)
    assert status == 1
    assert made["exit_status"] == 1
    (finding,) = [f for f in bad(made) if f["level"] == "wrong"]
    assert finding["check"] == "ranks"
    assert "1 rank did not answer within 8 s" in finding["text"]
    assert asked in finding["text"]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("n", [0, 3])
def test_a_file_system_that_hangs_is_a_finding(start, n, tmp_path):
    trouble = "if rank == 0: os.fsync = lambda handle: time.sleep(60)"
    status, made = troubled(start, n, tmp_path, trouble, patience=6)
    assert status == 1
    (finding,) = [f for f in bad(made) if f["level"] == "wrong"]
    assert "fsync: no end after 6 s" in finding["text"]


def test_a_signal_leaves_no_file(start, tmp_path):
    (tmp_path / "out").mkdir()
    code = """
import os, signal, sys, time
from mpi4py import MPI
from pmcmc.doctor import probes as measure
from pmcmc.__main__ import main
pids = MPI.COMM_WORLD.allgather(os.getpid())
def read(path, seconds):
    if MPI.COMM_WORLD.rank == 1:
        for pid in (pids[2], pids[0], pids[1]):  # as a launcher does
            os.kill(pid, signal.SIGUSR1)
    time.sleep(60)
measure.read_token = read
sys.argv[1:] = ["doctor", "--output", "out"]
sys.exit(main())
"""
    (tmp_path / "script.py").write_text(code)
    done = start(3, "script.py", cwd=tmp_path, timeout=40)
    assert done.returncode == 75, done
    assert "stopped by SIGUSR1" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_a_rank_0_that_falls_silent_ends_the_job(launch, tmp_path):
    code = TROUBLE.format(output=tmp_path, trouble="if rank == 0: time.sleep(60)", patience=1)
    (tmp_path / "script.py").write_text(code)
    done = launch(2, "script.py", cwd=tmp_path, timeout=40)
    assert done.returncode == 1, done
    assert "rank 0 gave no word for 4 s on rank 1 of 2" in done.stderr


def test_an_error_on_one_rank_ends_the_job(launch, tmp_path):
    trouble = "def own(): raise ValueError('boom')\nif rank == 1: measure.own_facts = own"
    code = TROUBLE.format(output=tmp_path, trouble=trouble, patience=20)
    (tmp_path / "script.py").write_text(code)
    done = launch(2, "script.py", cwd=tmp_path, timeout=40)
    assert done.returncode == 1, done
    assert "pmcmc: error: ValueError: boom on rank 1 of 2" in done.stderr
