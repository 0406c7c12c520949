"""What Slurm says of jobs, through a squeue that is a script of ours."""

import stat
import time

import pytest

from pmcmc.slurm import job


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Put a squeue with the given script on PATH; it is called as real ones are."""

    def put(script):
        path = tmp_path / "bin" / "squeue"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n{script}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
        return tmp_path / "asked"

    return put


INVALID = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
DOWN = "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo '7 RUNNING'", True),
        ("echo '7 PENDING'", True),
        ("echo '7 COMPLETING'", True),
        ("echo '7 SUSPENDED'", True),
        ("echo '   7   RUNNING  '", True),
        ("echo '7 COMPLETED'", False),
        ("echo '7 TIMEOUT'", False),
        ("echo '7 CANCELLED'", False),
        ("true", False),
        ("echo", False),
        # the first task of an array has the number of the array: others may go on without it
        ("echo '9 RUNNING'; echo '7 RUNNING'", True),
        ("echo '9 RUNNING'; echo '8 RUNNING'", False),
        (INVALID, False),
        (DOWN, None),
        ("exit 127", None),
    ],
)
def test_whether_a_job_lives(squeue, script, expected):
    asked = squeue(script)
    assert job.alive("7") is expected
    assert "--jobs=7" in asked.read_text()


def test_without_slurm_nothing_is_known(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert job.alive("7") is None
    assert job.end_time({"SLURM_JOB_ID": "7"}) is None
    assert job.end_time({}) is None


def test_a_squeue_that_hangs_is_left_behind(squeue, monkeypatch):
    monkeypatch.setattr(job, "_PATIENCE", 0.3)
    squeue("sleep 20\nsleep 20")  # a child of the script holds its output open
    began = time.monotonic()
    assert job.alive("7") is None
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4:05", 245),
        ("0:00", 0),
        ("1:02:03", 3723),
        ("1-00:00:00", 86400),
        ("2-03:04:05", 183845),
        (" 10:00 ", 600),
        ("UNLIMITED", None),
        ("NOT_SET", None),
        ("INVALID", None),
        ("", None),
    ],
)
def test_time_left(text, seconds):
    assert job.parse_left(text) == seconds


@pytest.mark.parametrize(
    ("script", "variable", "left"),
    [
        ("echo '7 10:00'", "", 600),
        ("echo '9 1:00'; echo '7 10:00'", "", 600),
        ("echo '7 10:00'", "1000", 600),  # the limit was changed since
        ("echo '7 UNLIMITED'", "", None),
        (DOWN, "", None),
        (DOWN, "x", None),
    ],
)
def test_end_of_a_job(squeue, script, variable, left):
    squeue(script)
    env = {"SLURM_JOB_ID": "7", "SLURM_JOB_END_TIME": variable}
    end = job.end_time(env)
    assert (end is None) == (left is None)
    if left is not None:
        assert end == pytest.approx(time.time() + left, abs=5)


@pytest.mark.parametrize("script", [DOWN, INVALID, "true", "echo '7 INVALID'"])
def test_where_squeue_does_not_say_the_environment_does(squeue, script):
    squeue(script)
    assert job.end_time({"SLURM_JOB_ID": "7", "SLURM_JOB_END_TIME": "1900000000"}) == 1.9e9


def test_outside_a_job_nobody_is_asked(squeue):
    asked = squeue("echo '7 10:00'")
    assert job.end_time({"SLURM_JOB_END_TIME": "1900000000"}) is None
    assert not asked.exists()


@pytest.mark.parametrize(("text", "count"), [("2", 2), ("0", 0), ("", 0), ("x", 0), (None, 0)])
def test_restarts(text, count):
    assert job.restarts({} if text is None else {"SLURM_RESTART_COUNT": text}) == count


@pytest.mark.parametrize(("env", "number"), [({"SLURM_JOB_ID": "7"}, "7"), ({}, None)])
def test_number(env, number):
    assert job.job_id(env) == number
