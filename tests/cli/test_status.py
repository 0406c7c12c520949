"""What `status` says of a file, and its exit status, for a requeue loop to rely on."""

import json
import signal

import h5py
import pytest

from background_job import MODEL, Job, arguments, left_behind, resume
from fake_run import COMMITS, write
from pmcmc.cli import main as cli
from pmcmc.errors import StoreError
from pmcmc.storage.lock import Lock


def status(path, capsys):
    """Return the exit status, the JSON and the plain words for a file."""
    code = cli.main(["status", str(path), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert cli.main(["status", str(path)]) == code
    return code, told, capsys.readouterr().out


def made(tmp_path, last):
    """Make a file whose last commit has that status."""
    path = tmp_path / "x.h5"
    store, draws = write(path, commits=COMMITS[:4], finish=False)
    if last != "running":
        blocks = [draws.block(e, a, b) for e, (a, b) in enumerate(((5, 8), (6, 7)))]
        store.commit(blocks, last)
    return path


@pytest.mark.parametrize(
    ("last", "code", "word"),
    [("finished", 0, "finished"), ("stopped", 75, "stopped"), ("running", 75, "interrupted")],
)
def test_files_that_nobody_writes(tmp_path, capsys, last, code, word):
    path = made(tmp_path, last)
    got, told, said = status(path, capsys)
    assert got == told["exit_status"] == code
    assert told["status"] == word
    assert told["writer"] is None
    assert told["nsteps"] == 9
    assert f"{path}: {word}, {told['steps']} of 9 steps" in said
    assert ("--resume" in said) == (code == 75)


@pytest.mark.parametrize(
    ("last", "code", "word"),
    [("finished", 0, "finished"), ("stopped", 4, "running"), ("running", 4, "running")],
)
def test_files_that_a_job_has(tmp_path, capsys, last, code, word):
    """A stopped one is about to go on: a second job would be refused."""
    path = made(tmp_path, last)
    lock = Lock(path)
    lock.acquire()
    got, told, said = status(path, capsys)
    assert got == told["exit_status"] == code
    assert told["status"] == word
    if code == 4:
        assert told["writer"] == str(lock.writer)
        assert f"being written by {lock.writer}" in said
    lock.release()


def test_a_job_that_has_not_made_its_file_yet(tmp_path, capsys):
    path = tmp_path / "x.h5"
    lock = Lock(path)
    lock.acquire()
    code, told, said = status(path, capsys)
    assert code == told["exit_status"] == 4
    assert told["status"] == "running"
    assert "not there yet" in said
    lock.release()
    with pytest.raises(StoreError, match="there is no file"):
        cli.main(["status", str(path)])


def foreign(path):
    with h5py.File(path, "w") as file:
        file["x"] = 1


def garbled(path):
    path.write_bytes(b"garbage")


def cut(path):
    write(path)
    path.write_bytes(path.read_bytes()[:3000])


def missing(path):
    pass


def folder(path):
    path.mkdir()


@pytest.mark.parametrize("kind", [foreign, garbled, cut, missing, folder])
def test_files_that_are_of_no_use(tmp_path, capsys, kind):
    path = tmp_path / "x.h5"
    kind(path)
    assert cli.main(["status", str(path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == "unusable"
    assert told["exit_status"] == 1
    assert str(path) in told["reason"]
    with pytest.raises(StoreError):  # exit status 1, as any error
        cli.main(["status", str(path)])


@pytest.mark.slow
def test_a_job_from_start_to_end(launch, tmp_path):
    """Running, refused to a second job, killed, failed, stopped, finished."""
    (tmp_path / "model.py").write_text(MODEL)
    path = tmp_path / "x.h5"

    def told():
        done = launch(0, "-m", "pmcmc", "status", "x.h5", "--json", cwd=tmp_path)
        words = json.loads(done.stdout)
        assert words["exit_status"] == done.returncode
        return done.returncode, words["status"]

    def job(more="", sleep=0.05):
        args = arguments("model.py", "x.h5", "split", "--checkpoint 0.1 --resume " + more)
        return Job(launch, 2, *args, cwd=tmp_path, sleep=sleep)

    with job() as first:
        first.begun().until(path.exists)
        assert told() == (4, "running")
        second = resume(launch, 0, tmp_path)
        assert second.returncode == 2
        assert f"is being written by process {first.pid(0)} on host" in second.stderr
        first.signal(signal.SIGKILL, 0)
        assert first.end()[0] == launch.killed_by(9)
    assert told() == (75, "interrupted")

    failing = MODEL.replace("time.sleep(sleep)", "time.sleep(1 / (calls < 40) * sleep)")
    (tmp_path / "model.py").write_text(failing)
    with job() as second:
        second.at = 0
        code, said, _ = second.end()
        assert code == 1
        assert "ZeroDivisionError" in said
    assert told() == (75, "interrupted")
    assert left_behind(tmp_path) == []

    (tmp_path / "model.py").write_text(MODEL)
    with job() as third:
        third.begun().signal(signal.SIGTERM)
        assert third.end()[0] == 75
    assert told() == (75, "stopped")
    assert resume(launch, 2, tmp_path).returncode == 0
    assert told() == (0, "finished")
    path.write_bytes(b"garbage")
    assert told() == (1, "unusable")


def test_the_file_of_a_run_with_these_words(launch, tmp_path, model):
    name = model("parameters, initial = ['a'], [0.0]\ndef log_prob(t): return -float(t @ t)")
    words = [name, "--nsteps", "40", "--burnin", "5", "--seed", "1"]
    assert launch(0, "-m", "pmcmc", *words, cwd=tmp_path).returncode == 0
    for more in ([], ["--resume"], ["--output", "model.h5"]):
        told = launch(0, "-m", "pmcmc", "status", "--of-run", *words, *more, cwd=tmp_path)
        assert (told.returncode, told.stdout[:19]) == (0, "model.h5: finished,"), told
    none = launch(0, "-m", "pmcmc", "status", "--of-run", *words, "--output=x.h5", cwd=tmp_path)
    assert none.returncode == 1
    assert launch(0, "-m", "pmcmc", "status", cwd=tmp_path).returncode == 2
