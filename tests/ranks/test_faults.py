"""Full disks, read-only and vanished folders, spoilt and foreign files: said once, nothing lost.

The full disk is a small tmpfs, which only root may mount; elsewhere those tests are skipped, and
RLIMIT_FSIZE alone makes writes fail. A disk that gives EIO is a mock: every write of a commit
fails in turn.
"""

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import emcee
import h5py
import numpy as np
import pytest

import pmcmc
import pmcmc.storage.file
from conftest import clean_env, slow_but
from fake_run import COMMITS, Draws, assert_holds, header, write
from pmcmc.errors import PmcmcError, StoreError
from pmcmc.storage.checkpoint import group_name
from pmcmc.storage.header import PHASES
from pmcmc.storage.reader import RunReader
from pmcmc.storage.writer import RunWriter
from reference import assert_same_files

MODEL = """
import os, resource, sys, time
parameters, initial, calls = [f"p{i}" for i in range(40)], [0.0] * 40, 0
after, size = (int(n) for n in os.environ.get("LIMIT", "0 0").split())
def log_prob(theta):
    global calls
    calls += 1
    if calls == after:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    if "SLEEP" in os.environ:
        time.sleep(float(os.environ["SLEEP"]))
    return -0.5 * float(theta @ theta)
"""
# a row has 26 kB, and there are three ensembles: 2.4 MB of burn-in, then 3.9 MB or 7.9 MB; each of
# three ranks does 6400 evaluations, of them 2400 in burn-in
SIZES = ("--nwalkers", 80, "--nensembles", 3, "--burnin", 30, "--seed", 3)
NSTEPS, MORE = 150, 300
PACE = "0.0002"  # seconds for an evaluation, at least, where commits must come in between


class Run:
    """Runs the model with an output anywhere."""

    def __init__(self, launch, folder, shared):
        self.launch, self.folder, self.shared = launch, folder, shared
        (folder / "model.py").write_text(MODEL)

    def __call__(self, output, *more, ranks=3, nsteps=NSTEPS, **env):
        args = ["--nsteps", nsteps, *SIZES, "--checkpoint", "0.03", "--output", output, *more]
        return self.launch(ranks, "-m", "pmcmc", "model.py", *args, cwd=self.folder, env=env)

    def undisturbed(self, nsteps=NSTEPS):
        path = self.shared / f"undisturbed-{nsteps}.h5"
        if not path.exists():
            assert self(path, ranks=0, nsteps=nsteps).returncode == 0
        return path

    def start(self, output, *more, ranks=2, sleep="0.0005"):
        """Start in the background, and wait for the first commit."""
        launch, extra = self.launch, []
        if launch.openmpi:
            extra = ["--oversubscribe", "--bind-to", "none"]
        args = ["--nsteps", NSTEPS, *SIZES, "--checkpoint", "0.03", "--output", output, *more]
        command = [launch.mpiexec, *extra, "-n", ranks, launch.python, "-m", "pmcmc", "model.py"]
        process = subprocess.Popen(
            [*map(str, command), *map(str, args)],
            cwd=self.folder,
            env=clean_env() | {"SLEEP": sleep},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        limit = time.monotonic() + 60
        while not output.exists() or not RunReader(output).steps.any():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < limit
            time.sleep(0.02)
        return process


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Return a folder for files that tests only read."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def run(launch, tmp_path, shared):
    """Run the model."""
    return Run(launch, tmp_path, shared)


@pytest.fixture
def small(tmp_path):
    """Give a function (KiB) that mounts, or changes, a small disk, and returns its folder."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = []

    def disk(size, *options):
        what = ",".join([f"size={size}k", *mounted, *options])
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", what, "tmpfs", str(folder)], capture_output=True
        )
        if done.returncode:
            pytest.skip("no tmpfs can be mounted here: only the tests of RLIMIT_FSIZE are run")
        mounted[:] = ["remount"]
        return folder

    yield disk
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def assert_one_message(done, *texts, status=1):
    """Check exit status and message: one, in words, with no traceback, ours or of HDF5."""
    assert done.returncode == status, done
    assert done.stderr.count("pmcmc: error:") == 1, done.stderr
    for text in texts:
        assert text in done.stderr
    for noise in ("Traceback", "errno", "H5F", "TERMINATION", "Segmentation", "Exception"):
        assert noise not in done.stderr
    assert "TERMINATION" not in done.stdout


def assert_nothing_left(folder):
    left = [p.name for p in folder.iterdir() if p.name.startswith(".")]
    assert left == []


def assert_prefix(path, whole):
    """Check that a file holds the first rows of an undisturbed run; return a reader."""
    reader, truth = RunReader(path), RunReader(whole)
    for phase in PHASES:
        rows = reader.burnin_rows if phase == "burnin" else reader.rows
        for e, n in enumerate(rows):
            backend = emcee.backends.HDFBackend(path, name=group_name(phase, e), read_only=True)
            assert backend.iteration <= n
            for name in ("chain", "log_prob"):
                expected = truth.values(name, e, slice(0, n), phase)
                np.testing.assert_array_equal(reader.values(name, e, slice(0, n), phase), expected)
                if backend.iteration:
                    found = getattr(backend, f"get_{name}")()
                    np.testing.assert_array_equal(found, expected[: backend.iteration])
    return reader


# ---- ENOSPC


@pytest.mark.parametrize(
    ("stage", "size", "mode"),
    [("burn-in", 1300, "split"), ("production", 4200, "pool")],
)
@pytest.mark.slow
def test_a_disk_that_fills_up_loses_nothing(stage, size, mode, run, small):
    path = small(size) / "x.h5"
    done = run(path, "--mode", mode, SLEEP=PACE)
    assert_one_message(done, "x.h5 cannot be written: No space left on device", "--resume")
    assert_nothing_left(path.parent)
    reader = assert_prefix(path, run.undisturbed())
    assert reader.status == "running"
    assert (reader.rows.max() == 0) == (stage == "burn-in")
    small(40000)
    done = run(path, "--mode", mode, "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_files(path, run.undisturbed())
    assert_nothing_left(path.parent)


@pytest.mark.slow
@pytest.mark.parametrize("free", [0, 40])
def test_a_disk_that_is_full_at_creation(free, run, small):
    folder = small(1000)
    (folder / "junk").write_bytes(bytes((1000 - free) * 1024))
    done = run(folder / "x.h5")
    assert_one_message(done, "cannot be written: No space left on device")
    assert [p.name for p in folder.iterdir()] == ["junk"]
    small(40000)
    assert run(folder / "x.h5", "--resume").returncode == 0
    assert_same_files(folder / "x.h5", run.undisturbed())


@pytest.mark.slow
def test_a_disk_that_is_full_at_growth(run, small):
    folder = small(8000)
    shutil.copy(run.undisturbed(), folder / "x.h5")
    done = run(folder / "x.h5", "--resume", "--mode", "pool", nsteps=MORE)
    assert_one_message(done, "x.h5 cannot be written: No space left on device")
    assert_nothing_left(folder)
    assert_same_files(folder / "x.h5", run.undisturbed())
    small(40000)
    assert run(folder / "x.h5", "--resume", "--mode", "pool", nsteps=MORE).returncode == 0
    assert_same_files(folder / "x.h5", run.undisturbed(MORE))


# ---- EFBIG, by RLIMIT_FSIZE: Python ignores SIGXFSZ


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "mode"), [("creation", "split"), ("burn-in", "pool"), ("production", "split")]
)
def test_a_file_that_grows_too_large_loses_nothing(stage, mode, run, tmp_path):
    path = tmp_path / "x.h5"
    done = run(path, "--mode", mode, LIMIT="1 20000")
    assert_one_message(done, "x.h5 cannot be written: File too large")
    assert not path.exists()
    if stage != "creation":
        # by a rank's own count of calls: well into the stage
        limit = f"{ {'burn-in': 1200, 'production': 4000}[stage] } 5000"
        done = run(path, "--mode", mode, "--schedule", "static", LIMIT=limit, SLEEP=PACE)
        assert_one_message(done, "x.h5 cannot be written: File too large", "--resume")
        reader = assert_prefix(path, run.undisturbed())
        assert reader.status == "running"
        assert reader.rows.max() == 0 or stage == "production"
    assert_nothing_left(tmp_path)
    done = run(path, "--mode", mode, "--resume")
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_files(path, run.undisturbed())


@pytest.mark.slow
def test_growth_that_gets_too_large_leaves_the_old_file(run, tmp_path):
    path = tmp_path / "x.h5"
    shutil.copy(run.undisturbed(), path)
    before = path.read_bytes()
    limit = path.stat().st_size
    done = run(path, "--resume", nsteps=MORE, LIMIT=f"1 {limit}")
    assert_one_message(done, "x.h5 cannot be written: File too large")
    assert path.read_bytes() == before
    assert_nothing_left(tmp_path)
    assert run(path, "--resume", nsteps=MORE).returncode == 0
    assert_same_files(path, run.undisturbed(MORE))


# ---- EIO: a mock


def blocks(draws, before, after):
    steps = enumerate(zip(before, after, strict=True))
    return [draws.block(e, a, b) for e, (a, b) in steps if b > a]


def spoil(monkeypatch, name, at):
    """Let the ``at``-th call of a function of os, and all after it, give EIO."""
    real, calls = getattr(os, name), []

    def fail(*args):
        calls.append(name)
        if len(calls) > at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*args)

    monkeypatch.setattr(pmcmc.storage.file.os, name, fail)
    return calls


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pwrite", "fsync", "preadv"])
def test_an_error_at_any_call_of_a_commit_is_said_and_leaves_it_whole(name, tmp_path, monkeypatch):
    at, status = 0, "finished"
    while True:
        path = tmp_path / f"{at}.h5"
        store, draws = write(path, "number", COMMITS[:-1], finish=False)
        with monkeypatch.context() as patch:
            calls = spoil(patch, name, at)
            try:
                store.commit(blocks(draws, COMMITS[-2], COMMITS[-1]), status)
                break
            except StoreError as exc:
                text = str(exc)
        assert len(calls) > at
        assert f"{at}.h5 cannot be written: Input/output error" in text
        reader = RunReader(path)
        assert_holds(reader, draws, COMMITS[-1] if reader.sequence == 5 else COMMITS[-2])
        with h5py.File(path) as file:
            assert "chain" in file["ensembles/0000"]
        at += 1 + at // 5  # all of the first, then fewer
    assert at > {"pwrite": 12, "fsync": 0, "preadv": 5}[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pwrite", "fsync", "ftruncate"])
@pytest.mark.parametrize("grow", [False, True])
def test_an_error_at_creation_or_growth_leaves_what_was_there(grow, name, tmp_path, monkeypatch):
    path, more = tmp_path / "x.h5", header("number", steps=(8, 7))
    at = 0
    while True:
        path.unlink(missing_ok=True)
        draws = Draws(more)
        if grow:
            _, draws = write(path, "number")
        store = RunWriter(path, more)
        with monkeypatch.context() as patch:
            spoil(patch, name, at)
            try:
                if grow:
                    store.reopen(RunReader(path))
                else:
                    store.create([draws.block(0, 0, 2), draws.block(1, 0, 2)])
                break
            except StoreError as exc:
                text = str(exc)
        assert "x.h5 cannot be written: Input/output error" in text
        assert [p.name for p in tmp_path.iterdir()] in ([], ["x.h5"])
        if grow:
            assert_holds(RunReader(path), draws, COMMITS[-1])
        elif path.exists():  # in place, though the folder was not synced
            assert_holds(RunReader(path), draws, (2, 2))
        at += 1 + at // 5
    assert at or name == "ftruncate"  # the size may be right by itself


# ---- what happens to folders and files while a job runs


def end(process):
    """Wait for the end of a job; return it as ``subprocess.run`` does."""
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_a_folder_that_is_removed(run, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    process = run.start(folder / "x.h5")
    folder.rename(tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")
    assert_one_message(end(process), "x.h5")
    assert not folder.exists()


@pytest.mark.slow
def test_a_folder_that_is_renamed_is_still_served(run, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    process = run.start(folder / "x.h5")
    folder.rename(tmp_path / "other")
    done = end(process)
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_files(tmp_path / "other" / "x.h5", run.undisturbed())
    assert_nothing_left(tmp_path / "other")


@pytest.mark.slow
def test_a_folder_that_becomes_read_only(run, small):
    path = small(40000) / "x.h5"
    process = run.start(path)
    for _ in range(2000):  # until no commit is under way
        done = subprocess.run(
            ["mount", "-o", "remount,ro", str(path.parent)], capture_output=True, text=True
        )
        if not done.returncode:
            break
        time.sleep(0.001)
    assert not done.returncode, done
    assert_one_message(end(process), "x.h5 cannot be written: Read-only file system")
    assert_prefix(path, run.undisturbed())
    assert_one_message(run(path, "--resume"), "Read-only file system", status=2)
    small(40000, "rw")
    assert run(path, "--resume").returncode == 0
    assert_same_files(path, run.undisturbed())
    assert_nothing_left(path.parent)


def test_a_file_that_is_read_only(run, tmp_path):
    path = tmp_path / "x.h5"
    shutil.copy(run.undisturbed(), path)
    before = path.read_bytes()
    if os.geteuid() == 0:  # for whom modes do not count
        if subprocess.run(["chattr", "+i", str(path)], capture_output=True).returncode:
            pytest.skip("this file system knows no immutable files")
    else:
        path.chmod(0o444)
    try:
        assert_one_message(run(path, "--resume", nsteps=MORE), "x.h5", "not permitted")
    finally:
        if os.geteuid() == 0:
            subprocess.run(["chattr", "-i", str(path)], check=True)
    assert path.read_bytes() == before
    assert_nothing_left(tmp_path)


WAYS = ("deleted", "text", "foreign", "another run", "older copy")


@pytest.mark.parametrize("how", slow_but(("deleted", "another run"), WAYS))
def test_a_file_that_is_deleted_or_replaced_while_it_is_written(how, run, tmp_path):
    path, other = tmp_path / "x.h5", tmp_path / "other.h5"
    if how == "another run":
        shutil.copy(run.undisturbed(), other)
    process = run.start(path)
    if how == "text":
        other.write_text("a text, of no use to HDF5\n")
    elif how == "foreign":
        with h5py.File(other, "w") as file:
            file["chain"] = np.zeros(3)
    elif how == "older copy":
        shutil.copy(path, other)
        time.sleep(0.5)
    content = None if how == "deleted" else other.read_bytes()
    if how == "deleted":
        path.unlink()
    else:
        other.rename(path)
    expected = {
        "deleted": "x.h5 was removed or renamed while the run wrote it: what it held is lost",
        "text": "x.h5 cannot be written: ",
    }
    assert_one_message(end(process), expected.get(how, "x.h5 is no longer the file that this job"))
    assert (path.read_bytes() if path.exists() else None) == content
    assert_nothing_left(tmp_path)


# ---- files that are damaged, or not pmcmc's


def garble(path, how):
    with h5py.File(path) as file:
        state = file["state"]
        size, start = state.dtype.itemsize, state.id.get_offset()
        newest = int(np.argmax(state["sequence"]))
    data = bytearray(path.read_bytes())
    if how == "header":
        data[:8] = b"garbage!"
    elif how == "truncated":
        data = data[: len(data) // 2]
    elif how == "empty":
        data = bytearray()
    else:
        for slot in {"newest": [newest], "both": [0, 1]}[how]:
            data[start + slot * size + size // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("header", "cannot be read as an HDF5 file"),
        pytest.param("truncated", "cannot be read as an HDF5 file", marks=pytest.mark.slow),
        pytest.param("empty", "cannot be read as an HDF5 file", marks=pytest.mark.slow),
        ("both", "is damaged: none of its records is whole"),
    ],
)
def test_a_damaged_file_is_not_resumed(how, message, run, tmp_path):
    path = tmp_path / "x.h5"
    shutil.copy(run.undisturbed(), path)
    garble(path, how)
    before = path.read_bytes()
    assert_one_message(run(path, "--resume", nsteps=MORE), f"x.h5 {message}")
    assert path.read_bytes() == before
    assert_nothing_left(tmp_path)


@pytest.mark.slow
def test_with_one_bad_record_the_one_before_is_resumed(run, tmp_path):
    path = tmp_path / "x.h5"
    process = run.start(path)
    process.terminate()  # the launcher passes it on, or kills
    end(process)
    assert_prefix(path, run.undisturbed())
    steps = RunReader(path).steps.sum()
    garble(path, "newest")
    assert RunReader(path).steps.sum() <= steps
    assert_prefix_of_chain(path, run.undisturbed())
    assert run(path, "--resume").returncode == 0
    assert_same_files(path, run.undisturbed())


def assert_prefix_of_chain(path, whole):
    """As above, without emcee, which knows no records: it sees the rows that are too many."""
    reader, truth = RunReader(path), RunReader(whole)
    for e, n in enumerate(reader.rows):
        found = reader.values("chain", e, slice(0, n))
        np.testing.assert_array_equal(found, truth.values("chain", e, slice(0, n)))


ATTRIBUTES = (
    "format_version",
    "pmcmc_version",
    "problem",
    "fingerprint",
    "settings",
    "seed",
    "nensembles",
    "nwalkers",
    "burnin",
    "thin_by",
    "config",
)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_attribute_that_is_gone_or_nonsense_is_said(name, tmp_path):
    # bytes spoilt inside HDF5's own structures are its own affair: it may crash over them
    path = tmp_path / "x.h5"
    write(path, "number")
    for value in (None, [np.inf, 1.0]):
        with h5py.File(path, "r+") as file:
            file.attrs.pop(name, None)
            if value is not None:
                file.attrs[name] = value
        if value is None or name not in ("pmcmc_version", "problem", "fingerprint"):
            with pytest.raises(StoreError, match=r"x\.h5 is damaged"):
                pmcmc.load(path)


@pytest.mark.parametrize("kind", slow_but(["emcee"], ["text", "hdf5", "emcee"]))
def test_a_file_of_another_program_is_left_alone(kind, run, tmp_path):
    path = tmp_path / "x.h5"
    if kind == "text":
        path.write_text("m b f\n1 2 3\n")
    elif kind == "hdf5":
        with h5py.File(path, "w") as file:
            file["chain"] = np.zeros(3)
    else:
        emcee.backends.HDFBackend(path).reset(8, 3)
    before = path.read_bytes()
    message = "cannot be read as an HDF5 file" if kind == "text" else "not one that pmcmc wrote"
    done = run(path, "--resume", ranks=2)
    assert done.returncode == 1, done
    assert done.stderr.count("pmcmc: error:") == 1
    assert message in done.stderr
    assert_one_message(run(path, ranks=2), "x.h5 exists, and nothing was changed", status=2)
    assert path.read_bytes() == before
    assert_nothing_left(tmp_path)


# ---- others at the same file


@pytest.mark.slow
def test_a_second_job_is_refused_and_the_first_goes_on(run, tmp_path):
    path = tmp_path / "x.h5"
    process = run.start(path, sleep="0.0002")
    for more, ranks in ((["--resume"], 2), (["--overwrite"], 0), ([], 0)):
        done = run(path, *more, ranks=ranks)
        assert_one_message(done, "x.h5 is being written by process", "--break-lock", status=2)
    done = end(process)
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_files(path, run.undisturbed())
    assert_nothing_left(tmp_path)


POLL = """
import sys, time
import emcee, h5py
from pathlib import Path
from pmcmc.storage.reader import RunReader
path, looks, last = sys.argv[1], 0, 0
held = h5py.File(path)  # for as long as this lives, with HDF5's own lock
began = time.monotonic()
while not Path("enough").exists():
    with h5py.File(path) as file:
        rows = file["ensembles/0000"].attrs["iteration"]
        file["ensembles/0000/chain"][:rows]
    emcee.backends.HDFBackend(path, name="ensembles/0001", read_only=True).get_last_sample \\
        if rows == 0 else emcee.backends.HDFBackend(
            path, name="ensembles/0000", read_only=True).get_last_sample()
    now = RunReader(Path(path)).sequence
    assert now >= last, (now, last)
    looks, last = looks + 1, now
    time.sleep(max(0.0, began + looks / 50 - time.monotonic()))
print(looks, last)
"""


@pytest.mark.slow
def test_readers_disturb_no_commit(run, tmp_path):
    path = tmp_path / "x.h5"
    process = run.start(path)
    poller = subprocess.Popen(
        [sys.executable, "-c", POLL, str(path)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    done = end(process)
    (tmp_path / "enough").touch()
    out, err = poller.communicate(timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert poller.returncode == 0, err
    looks, commits = map(int, out.split())
    assert looks > 50
    assert commits > 20
    assert_same_files(path, run.undisturbed())


def test_a_broken_disk_raises_in_python_too(tmp_path, monkeypatch):
    problem = pmcmc.Problem(lambda t: -float(t @ t), ["a"], initial=[0.0])
    spoil(monkeypatch, "fsync", 0)
    with pytest.raises(PmcmcError, match=r"x\.h5 cannot be written: Input/output error"):
        pmcmc.run(problem, nsteps=5, burnin=1, output=tmp_path / "x.h5")
    assert list(Path(tmp_path).iterdir()) == []
