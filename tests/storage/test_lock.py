"""One writer: who has the lock, when it is dead, and that only one of many takes it over."""

import contextlib
import errno
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import pmcmc
from fake_run import Draws, header
from pmcmc.errors import StoreError, UsageError
from pmcmc.mpi.timing import RankTimer
from pmcmc.options import RunOptions
from pmcmc.prepare.output import OutputClaim
from pmcmc.slurm import job
from pmcmc.storage import lock
from pmcmc.storage import lock_owner as writer
from pmcmc.storage.lock import SILENCE, Lock, being_written, holder, lock_path
from pmcmc.storage.lock_owner import LockOwner
from pmcmc.storage.writer import RunWriter


@pytest.fixture(autouse=True)
def no_job(monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(job, "alive", lambda number: None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.h5"


def held_by(path, silent=0.0, **changes):
    """Leave the lock of another writer, alive here if nothing is changed; return the writer."""
    writer = replace(LockOwner.here(), **changes)
    lock_path(path).write_text(writer.text())
    then = time.time() - silent
    os.utime(lock_path(path), (then, then))
    return writer


def files(path):
    return sorted(p.name for p in path.parent.iterdir())


# ---- take, refuse, release


def test_a_lock_is_taken_and_released(path):
    mine = Lock(path)
    assert mine.acquire() is None
    mine.check()
    assert being_written(path) == mine.writer
    assert files(path) == [".x.h5.lock"]
    mine.release()
    assert files(path) == []
    assert being_written(path) is None
    mine.release()  # again does no harm
    assert Lock(path).acquire() is None


def test_the_second_is_refused_and_told_who_has_it(path):
    writer = held_by(path, host="n7", machine="", pid=4711, job="99", since="2026-01-02 03:04:05")
    with pytest.raises(UsageError) as refused:
        Lock(path).acquire()
    for part in ("x.h5", "process 4711 on host n7", "Slurm job 99", "2026-01-02 03:04:05"):
        assert part in str(refused.value)
    for what_to_do in ("wait", "--output", "--break-lock"):
        assert what_to_do in str(refused.value)
    assert holder(path)[0] == writer


def test_another_process_is_refused(path):
    mine = Lock(path)
    mine.acquire()
    code = (
        f"from pathlib import Path; from pmcmc.storage.lock import Lock; Lock(Path({str(path)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + ".acquire()"], capture_output=True, text=True
    )
    assert f"process {os.getpid()} on host" in done.stderr
    mine.check()


def test_one_output_has_one_lock_whatever_it_is_called(path, tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link.h5").symlink_to(path)
    (tmp_path / "other").symlink_to(tmp_path)
    Lock(path).acquire()
    monkeypatch.chdir(tmp_path / "folder")
    for name in ("link.h5", "../x.h5", "../other/x.h5", tmp_path / "folder" / ".." / "x.h5"):
        with pytest.raises(UsageError, match=r"x\.h5 is being written by process"):
            Lock(Path(name)).acquire()


def test_names_that_mean_something_to_the_shell(tmp_path):
    path = tmp_path / "a [1] *?.h5"
    mine = Lock(path)
    mine.acquire()
    with pytest.raises(UsageError):
        Lock(path).acquire()
    mine.release()
    assert files(path) == []


# ---- dead locks


def test_a_process_that_is_gone(path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    held_by(path, pid=done.pid)
    assert being_written(path) is None
    mine = Lock(path)
    remark = mine.acquire()
    assert f"took over x.h5 from process {done.pid}" in remark
    assert "that process is gone" in remark
    mine.check()
    assert files(path) == [".x.h5.lock"]


def test_another_process_with_the_same_number(path):
    held_by(path, process_start="1")
    assert "that process is gone" in Lock(path).acquire()


def test_the_remains_of_a_process(path):
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    held_by(path, pid=child.pid, process_start=writer.process_start(child.pid))
    assert being_written(path) is not None
    child.stdin.close()
    limit = time.monotonic() + 10
    while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert being_written(path) is None
    assert "that process is gone" in Lock(path).acquire()
    child.wait()


def test_a_process_here_that_gives_no_sign_of_life_is_alive(path):
    held_by(path, silent=10 * SILENCE)  # stopped, say: it may go on
    with pytest.raises(UsageError):
        Lock(path).acquire()


@pytest.mark.parametrize(
    ("before", "now", "taken"), [(0, 1, True), (2, 3, True), (1, 1, False), (2, 1, False)]
)
def test_the_same_job_requeued(path, monkeypatch, before, now, taken):
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(now))
    held_by(path, host="n7", job="12", restarts=before)
    if taken:
        assert "before the job was requeued" in Lock(path).acquire()
    else:
        with pytest.raises(UsageError):
            Lock(path).acquire()


@pytest.mark.parametrize("mine", ["13", None])
@pytest.mark.parametrize(("alive", "taken"), [(True, False), (False, True), (None, False)])
def test_a_job_that_left_the_queue(path, monkeypatch, mine, alive, taken):
    if mine:
        monkeypatch.setenv("SLURM_JOB_ID", mine)
    monkeypatch.setattr(job, "alive", lambda number: alive if number == "12" else True)
    held_by(path, host="n7", job="12")
    if taken:
        assert "that job has left the queue" in Lock(path).acquire()
    else:
        with pytest.raises(UsageError):
            Lock(path).acquire()


def test_a_job_of_another_cluster_is_not_asked_for(path, monkeypatch):
    """Its squeue does not know the other's jobs."""
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "blue")
    monkeypatch.setattr(job, "alive", lambda number: False)
    held_by(path, host="n7", job="12", cluster="red")
    with pytest.raises(UsageError):
        Lock(path).acquire()
    held_by(path, host="n7", job="12", cluster="blue")
    assert "that job has left the queue" in Lock(path).acquire()


@pytest.mark.parametrize("alive", [True, False, None])
def test_a_number_left_over_in_the_environment_is_not_this_job(monkeypatch, alive):
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setattr(job, "alive", lambda number: alive)
    assert LockOwner.here().job == (None if alive is False else "12")


def test_a_process_that_is_hidden_is_alive(path, monkeypatch):
    """Where /proc is mounted with hidepid, other users' processes are not to be seen."""
    monkeypatch.setattr(writer, "process_start", lambda pid: "")
    held_by(path, pid=1, process_start="1")

    def kill(pid, number):
        raise PermissionError

    monkeypatch.setattr(writer.os, "kill", kill)
    with pytest.raises(UsageError):
        Lock(path).acquire()
    held_by(path, pid=1, process_start="1", silent=SILENCE + 20)
    assert "no sign of life" in Lock(path).acquire()


@pytest.fixture
def tools(monkeypatch, tmp_path):
    """Hide /proc, and have no programs but those that are put into a folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(writer, "_PROC", tmp_path / "nothing")
    monkeypatch.setenv("PATH", str(folder))
    return folder


def boots(tools):
    """Say what boot this is, as macOS does."""
    sysctl = tools / "sysctl"
    sysctl.write_text('#!/bin/sh\n[ "$*" = "-n kern.bootsessionuuid" ] && echo 2F0C-11\n')
    sysctl.chmod(0o755)


def judged_by_the_heartbeat(path, **changes):
    held_by(path, silent=SILENCE - 20, **changes)
    with pytest.raises(UsageError):
        Lock(path).acquire()
    held_by(path, silent=SILENCE + 20, **changes)
    assert "no sign of life for 5 minutes" in Lock(path).acquire()


@pytest.mark.parametrize("told", ["nothing", "the boot alone"])
def test_where_the_system_does_not_tell_of_processes_the_heartbeat_counts(path, tools, told):
    if told != "nothing":
        boots(tools)
    here = LockOwner.here()
    assert (here.machine, here.process_start) == ("" if told == "nothing" else "2F0C-11", "")
    judged_by_the_heartbeat(path)  # alive, as this process is
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    judged_by_the_heartbeat(path, pid=done.pid)


def test_where_the_system_does_not_tell_any_more_the_heartbeat_counts(path, tools):
    boots(tools)
    judged_by_the_heartbeat(path, process_start="Tue Nov 24 19:06:45 2026")


def test_without_proc_ps_tells_of_processes(path, tools):
    boots(tools)
    (tools / "ps").symlink_to(shutil.which("ps", path=os.defpath))
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    began = writer.process_start(child.pid)
    alive = {"silent": 10 * SILENCE, "pid": child.pid, "process_start": began}
    held_by(path, **alive)
    assert being_written(path) is not None
    with pytest.raises(UsageError):
        Lock(path).acquire()
    held_by(path, **alive | {"process_start": "Tue Nov 24 19:06:45 2015"})
    assert being_written(path) is None
    held_by(path, **alive | {"silent": 0.0})
    child.stdin.close()
    limit = time.monotonic() + 10
    while writer.process_start(child.pid) == began:
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert being_written(path) is None  # its remains are there
    child.wait()
    assert writer.process_start(child.pid) == ""
    assert "that process is gone" in Lock(path).acquire()


@pytest.mark.parametrize("how", ["another host", "the same name, another boot"])
def test_no_heartbeat(path, how):
    changes = {"host": "n7"} if how == "another host" else {"machine": "boot-1 pid:[1]"}
    held_by(path, silent=SILENCE - 20, **changes)
    with pytest.raises(UsageError):
        Lock(path).acquire()
    assert being_written(path) is not None
    held_by(path, silent=SILENCE + 20, **changes)
    assert being_written(path) is None
    assert "it gave no sign of life for 5 minutes" in Lock(path).acquire()


def test_age_is_told_by_the_clock_of_the_file_system(path, monkeypatch):
    held_by(path, host="n7")
    monkeypatch.setattr(lock.time, "time", lambda: 1e10)  # this host's clock is wrong
    assert being_written(path) is not None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"garbage",
        b"\xff\xfe\x00",
        b"[]",
        b"{}",
        b'"text"',
        b"null",
        b'{"token": "1", "host": "n7", "version": 9}',
    ]
    + [
        json.dumps({**json.loads(LockOwner.here().text()), name: value}).encode()
        for name, value in {"token": "../x", "host": [1], "pid": "1", "job": 5, "more": 1}.items()
    ],
)
def test_a_lock_that_cannot_be_read_is_judged_by_its_age(path, text, monkeypatch):
    monkeypatch.setattr(lock, "_PATIENCE", 1.0)
    lock_path(path).write_bytes(text)
    with pytest.raises(UsageError, match="an unknown writer"):
        Lock(path).acquire()
    old = time.time() - SILENCE - 20
    os.utime(lock_path(path), (old, old))
    mine = Lock(path)
    assert "no sign of life for 5 minutes" in mine.acquire()
    mine.check()
    mine.release()
    assert files(path) == []


# ---- heartbeat


def test_the_heartbeat_touches_the_lock_until_it_is_released(path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.02)
    mine = Lock(path)
    mine.acquire()

    def beaten():
        os.utime(lock_path(path), (1, 1))
        time.sleep(0.2)
        return lock_path(path).stat().st_mtime > 1

    assert beaten()
    other = Lock(path)
    other.acquire(force=True)
    other._stop.set()
    time.sleep(0.1)
    assert not beaten()  # it is another's now


def test_a_lock_that_was_released_is_touched_no_more(path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.02)
    mine = Lock(path)
    mine.acquire()
    mine.release()
    held_by(path, silent=1000)
    time.sleep(0.1)
    assert holder(path)[1] > 900


# ---- taking over


ROUNDS, MANY = 12, 6


def contend(path, barrier, results):
    for _ in range(ROUNDS):
        barrier.wait()  # the lock is as the test wants it
        mine = Lock(path)
        try:
            mine.acquire()
            time.sleep(0.02)
            mine.check()
            results.put("won")
        except UsageError:
            results.put("refused")
        except Exception as exc:
            results.put(repr(exc))
        barrier.wait()  # all have tried


@pytest.mark.parametrize("dead", [True, False])
@pytest.mark.parametrize("links", [True, False])
def test_of_many_exactly_one_gets_it(path, dead, links, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", no_links(errno.EPERM))
    context = multiprocessing.get_context("fork")
    results, barrier = context.Queue(), context.Barrier(MANY + 1, timeout=30)
    processes = [
        context.Process(target=contend, args=(path, barrier, results)) for _ in range(MANY)
    ]
    for process in processes:
        process.start()
    for _ in range(ROUNDS):
        lock_path(path).unlink(missing_ok=True)
        if dead:
            held_by(path, process_start="1")
        barrier.wait()
        said = [results.get(timeout=30) for _ in processes]
        assert sorted(said) == ["refused"] * (MANY - 1) + ["won"]
        barrier.wait()
        assert files(path) == [".x.h5.lock"]
    for process in processes:
        process.join()


def test_a_takeover_cannot_hit_the_lock_of_one_who_came_first(path, monkeypatch):
    """A slow process sees a dead lock, and acts only when another has taken it over."""
    held_by(path, process_start="1")
    first, slow = Lock(path), Lock(path)
    dead = LockOwner.why_dead

    def late(writer, silent):
        monkeypatch.setattr(LockOwner, "why_dead", dead)
        first.acquire()
        return "it is dead"

    monkeypatch.setattr(LockOwner, "why_dead", late)
    with pytest.raises(UsageError):
        slow.acquire()
    first.check()


def test_one_who_was_killed_while_taking_over_stops_nobody(path):
    writer = held_by(path, process_start="1")
    killed = replace(LockOwner.here(), token="c0ffee", process_start="1")
    key = path.with_name(f".x.h5.lock.{writer.token}.key")
    key.write_text(killed.text())
    assert "took over" in Lock(path).acquire()
    assert files(path) == [".x.h5.lock"]


def test_one_who_is_taking_over_is_waited_for(path, monkeypatch):
    monkeypatch.setattr(lock, "_PATIENCE", 0.3)
    writer = held_by(path, process_start="1")
    path.with_name(f".x.h5.lock.{writer.token}.key").write_text(LockOwner.here().text())
    with pytest.raises(StoreError, match="others take it at the same time"):
        Lock(path).acquire()
    assert holder(path)[0] == writer


def test_break_lock_takes_it_from_the_living(path):
    held_by(path)
    mine = Lock(path)
    assert "--break-lock was given" in mine.acquire(force=True)
    mine.check()
    assert Lock(path.with_name("y.h5")).acquire(force=True) is None  # nothing to break


def test_who_lost_the_lock_commits_no_more_and_leaves_the_others_alone(path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    mine = OutputClaim(path)
    mine.claim(RunOptions(output=str(path)))
    draws = Draws(header())
    store = RunWriter(path, draws.head, allowed=mine.allowed)
    store.create([draws.block(0, 0, 2), draws.block(1, 0, 1)])
    before = path.read_bytes()
    other = Lock(path)
    other.acquire(force=True)
    with pytest.raises(StoreError, match=r"x\.h5 was taken over by process \d+ on host"):
        store.commit([draws.block(1, 1, 2)])
    again = RunWriter(path, draws.head, overwrite=True, allowed=mine.allowed)
    with pytest.raises(StoreError, match="taken over"):
        again.create([draws.block(0, 0, 2), draws.block(1, 0, 1)])
    assert path.read_bytes() == before
    mine.release()
    other.check()
    assert files(path) == [".x.h5.lock", "x.h5"]
    lock_path(path).unlink()
    with pytest.raises(StoreError, match=r"the lock .* is gone"):
        other.check()


def test_who_lost_the_lock_after_the_last_commit_writes_no_times(path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    read, others, found = RankTimer.read, [], []

    def late(clock):
        others.append(Lock(path))
        others[0].acquire(force=True)
        found.append(path.read_bytes())
        return read(clock)

    monkeypatch.setattr(RankTimer, "read", late)
    problem = pmcmc.Problem(lambda t: -float(t @ t), ["a"], initial=[0.0])
    with pytest.raises(StoreError, match=r"x\.h5 was taken over by process \d+ on host"):
        pmcmc.run(problem, nsteps=4, burnin=2, nwalkers=8, output=path)
    assert pmcmc.load(path).status == "finished"
    assert [path.read_bytes()] == found
    others[0].check()


# ---- file systems


def no_links(number):
    def link(*args):
        raise OSError(number, os.strerror(number))

    return link


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_without_hard_links(path, monkeypatch, number):
    monkeypatch.setattr(os, "link", no_links(number))
    mine = Lock(path)
    assert mine.acquire() is None
    assert being_written(path) == mine.writer
    with pytest.raises(UsageError, match=f"process {os.getpid()} on host"):
        Lock(path).acquire()
    assert "took over" in Lock(path).acquire(force=True)
    mine.release()
    assert files(path) == [".x.h5.lock"]


def test_a_lock_that_is_just_being_written_is_waited_for(path, monkeypatch):
    """Without links it is empty for an instant."""
    lock_path(path).touch()
    real = lock.read_owner
    looks = []

    def read(where):
        looks.append(where)
        if len(looks) == 3:
            held_by(path, process_start="1")
        return real(where)

    monkeypatch.setattr(lock, "read_owner", read)
    assert "that process is gone" in Lock(path).acquire()


def test_a_link_that_was_made_though_it_seemed_to_fail(path, monkeypatch):
    """NFS may lose the answer, ask again, and be told that the file is there."""
    real = os.link

    def link(*args):
        real(*args)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", link)
    mine = Lock(path)
    assert mine.acquire() is None
    mine.check()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO, errno.EROFS])
def test_a_lock_that_cannot_be_written(path, monkeypatch, number):
    monkeypatch.setattr(os, "link", no_links(number))
    with pytest.raises(
        StoreError, match=rf"\.x\.h5\.lock cannot be written: .*{os.strerror(number)}"
    ):
        Lock(path).acquire()
    assert files(path) == []


def test_a_folder_that_vanishes(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    output = OutputClaim(folder / "x.h5")
    output.claim(RunOptions(output=str(folder / "x.h5")))
    shutil.rmtree(folder)
    with pytest.raises(StoreError, match=r"the lock .* is gone"):
        output.allowed()
    output.release()
    assert being_written(folder / "x.h5") is None
    with pytest.raises(StoreError, match="cannot be written: No such file"):
        Lock(folder / "x.h5").acquire()


def test_what_killed_ones_left_is_swept_and_what_is_at_work_is_not(path):
    names = ["old.new", "old.key", "new.new", "new.key"]
    for name in names:
        left = path.with_name(f".x.h5.lock.{name}")
        left.touch()
        if name.startswith("old"):
            os.utime(left, (1, 1))
    path.with_name(".x.h5.77.part").touch()
    path.with_name(".y.h5.77.part").touch()
    output = OutputClaim(path)
    output.claim(RunOptions(output=str(path)))
    expected = [".x.h5.lock", ".x.h5.lock.new.key", ".x.h5.lock.new.new", ".y.h5.77.part"]
    assert files(path) == expected


# ---- the output as a whole


def test_an_output_that_is_refused_keeps_no_lock(path):
    path.touch()
    for options in ({}, {"resume": True}):
        output = OutputClaim(path)
        with pytest.raises((UsageError, StoreError)):
            output.claim(RunOptions(output=str(path), **options))
        output.release()
        assert files(path) == ["x.h5"]


def test_a_dry_run_takes_no_lock(path):
    held_by(path)
    OutputClaim(path).claim(RunOptions(output=str(path), dry_run=True))
    lock_path(path).unlink()
    OutputClaim(path).claim(RunOptions(output=str(path), dry_run=True))
    assert files(path) == []


def test_an_interrupt_while_the_lock_is_taken_leaves_none(path, monkeypatch):
    def interrupted(self, remark):
        raise KeyboardInterrupt

    monkeypatch.setattr(Lock, "_hold", interrupted)
    output = OutputClaim(path)
    with contextlib.suppress(KeyboardInterrupt):
        output.claim(RunOptions(output=str(path)))
    output.release()
    assert files(path) == []
