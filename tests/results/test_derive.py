"""Quantities that are worked out after the run: in every output, and no draw is touched."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from scipy import stats

import pmcmc
from conftest import clean_env
from pmcmc.errors import EvaluationError, ModelError, StoreError, UsageError
from pmcmc.results.exports import export
from pmcmc.storage import added
from pmcmc.storage.lock import Lock
from pmcmc.storage.verify import verify

RUN = {"nsteps": 60, "nensembles": 2, "nwalkers": 16, "burnin": 4, "seed": 1}
PRIORS = {"h": stats.norm(0, 1), "P": 12.5, "k": stats.norm(0, 1)}
MODEL = """
import numpy as np
from scipy import stats
parameters = {"h": stats.norm(0, 1), "P": 12.5, "k": stats.norm(0, 1)}
initial = "prior"
args = (2.0,)
def log_likelihood(t, scale):
    return 0.0
def ecc(t, scale):
    return np.hypot(t[0], t[2]) / scale
derived = {"ecc": ecc, "P2": lambda t, scale: t[1] ** 2}
labels = {"ecc": "$e$", "h": "$h$"}
"""


def made(output=None):
    problem = pmcmc.Problem(
        log_likelihood=lambda t: (0.0, t[0] + 1), parameters=PRIORS, initial="prior"
    )
    return pmcmc.run(problem, output=output, **RUN)


def ecc(theta):
    assert theta.shape == (3,)
    assert theta[1] == 12.5
    return np.hypot(theta[0], theta[2])


@pytest.mark.parametrize("memory", [False, True])
def test_they_stand_beside_the_others(tmp_path, memory):
    result = made(None if memory else tmp_path / "x.h5")
    chain, digest = result.get_chain(), result.get_log_prob().tobytes()
    calls = []

    def counted(theta):
        calls.append(1)
        return ecc(theta)

    result.add_derived("ecc", counted, label="$e$")
    result.add_derived("e2", lambda t: t[:, 0] ** 2 + t[:, 2] ** 2, vectorized=True)
    assert result.derived == ("blob_0", "ecc", "e2")
    assert result.labels == {"ecc": "$e$"}
    truth = np.hypot(chain[..., 0], chain[..., 1])
    np.testing.assert_array_equal(result.get_derived()[..., 1], truth)
    np.testing.assert_array_equal(result.get_derived(discard=3, thin=2)[..., 1], truth[:, 4::2])
    np.testing.assert_array_equal(np.stack(result.parameter("ecc")), truth)
    np.testing.assert_allclose(result.parameter("e2")[1], truth[1] ** 2)
    assert len(calls) < 0.9 * truth.size  # a walker that stays is not evaluated again
    rows = {row.name: row for row in result.summary().derived}
    assert rows["ecc"].mean == pytest.approx(truth.mean())
    assert result.cut(10).summary().derived[1].mean == pytest.approx(truth[:, 10:].mean())
    assert (result.get_chain() == chain).all()
    assert result.get_log_prob().tobytes() == digest
    result.add_derived("ecc", lambda t: 1.0)  # in the place of the first
    assert result.derived == ("blob_0", "e2", "ecc")
    assert (np.stack(result.parameter("ecc")) == 1).all()
    if not memory:
        again = pmcmc.load(tmp_path / "x.h5")
        assert again.derived == result.derived
        assert verify(again.reader) == []
        assert sorted(os.listdir(tmp_path)) == ["x.h5"]
        [path] = export(again, "npz", tmp_path / "x.npz")
        with np.load(path) as data:
            np.testing.assert_array_equal(data["derived"], again.get_derived())


@pytest.mark.parametrize(
    ("name", "function", "error", "message"),
    [
        ("h", ecc, ModelError, "derived names h, and there is a h already"),
        ("P", ecc, ModelError, "derived names P, and there is"),
        ("blob_0", ecc, ModelError, "derived names blob_0, and there is"),
        ("e", 3, ModelError, "derived gives no functions"),
        ("e", lambda t: t, EvaluationError, r"quantity e returned .*expected a real number"),
        ("e", lambda t: 1j, EvaluationError, r"returned 1j: expected a real number\n  at h = .*P"),
        ("e", lambda t: 1 / 0, EvaluationError, r"(?s)raised ZeroDivisionError.*at h = .*, P = 1"),
    ],
)
def test_what_cannot_be_changes_nothing(tmp_path, name, function, error, message):
    result = made(tmp_path / "x.h5")
    before = (tmp_path / "x.h5").read_bytes()
    with pytest.raises(error, match=message):
        result.add_derived(name, function)
    assert (tmp_path / "x.h5").read_bytes() == before
    assert os.listdir(tmp_path) == ["x.h5"]


def test_vectorized_shapes_are_checked():
    with pytest.raises(EvaluationError, match=r"returned float64 of shape \(\d+, 3\): expected"):
        made().add_derived("e", lambda t: t, vectorized=True)


def test_draws_that_were_cut_and_files_that_are_written_are_refused(tmp_path):
    result = made(tmp_path / "x.h5")
    with pytest.raises(UsageError, match="these are some draws of a run"):
        result.cut(5).add_derived("ecc", ecc)
    lock = Lock(tmp_path / "x.h5")
    lock.acquire()
    before = (tmp_path / "x.h5").read_bytes()
    with pytest.raises(UsageError, match="is being written by"):
        result.add_derived("ecc", ecc)
    assert (tmp_path / "x.h5").read_bytes() == before
    lock.release()
    result.add_derived("ecc", ecc)


def test_a_full_disk_leaves_the_file(tmp_path, monkeypatch):
    result = made(tmp_path / "x.h5")
    before = (tmp_path / "x.h5").read_bytes()

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(added, "sync", full)
    with pytest.raises(StoreError, match="is as it was: No space left"):
        result.add_derived("ecc", ecc)
    assert (tmp_path / "x.h5").read_bytes() == before
    assert os.listdir(tmp_path) == ["x.h5"]


def test_a_copy_keeps_holes_and_permissions(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    with old.open("wb") as file:
        file.write(b"start")
        file.seek(50 * 2**20)
        file.write(b"middle")
        file.truncate(90 * 2**20)
    old.chmod(0o640)
    added._copy(old, new)
    assert new.read_bytes() == old.read_bytes()
    assert new.stat().st_mode & 0o777 == 0o640
    assert new.stat().st_blocks * 512 < 2**20


def pmcmc_command(folder, *arguments, status=0):
    run = subprocess.run(
        [sys.executable, "-m", "pmcmc", *arguments],
        cwd=folder,
        env=clean_env(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == status, run.stderr
    return run.stdout + run.stderr


def test_the_command(tmp_path):
    (tmp_path / "orbit.py").write_text(MODEL)
    given = ["orbit.py", "--nsteps", "60", "--burnin", "3", "--nwalkers", "16", "--no-progress"]
    told = pmcmc_command(tmp_path, *given)
    assert "ecc, P2 of each draw: python -m pmcmc derive orbit.h5 orbit.py" in told
    told = pmcmc_command(tmp_path, "derive", "orbit.h5", "orbit.py")
    assert "orbit.h5: worked out for 960 draws: ecc, P2" in told
    result = pmcmc.load(tmp_path / "orbit.h5")
    chain = result.get_chain()
    np.testing.assert_array_equal(
        result.get_derived()[..., 0], np.hypot(chain[..., 0], chain[..., 1]) / 2
    )
    assert (result.get_derived()[..., 1] == 12.5**2).all()
    assert result.labels == {"ecc": "$e$", "h": "$h$"}
    told = pmcmc_command(tmp_path, "summary", "orbit.h5")
    assert "fixed: P = 12.5" in told
    assert "\nderived:\necc " in told
    # after more steps they are of an earlier state
    pmcmc_command(tmp_path, *given[:1], "--nsteps", "80", "--resume", "--no-progress")
    assert pmcmc.load(tmp_path / "orbit.h5").derived == ()
    told = pmcmc_command(tmp_path, "summary", "orbit.h5")
    assert "note: ecc, P2 are of an earlier state of orbit.h5, and left out" in told
    pmcmc_command(tmp_path, "derive", "orbit.h5", "orbit.py")
    assert pmcmc.load(tmp_path / "orbit.h5").derived == ("ecc", "P2")
    (tmp_path / "nan.py").write_text("derived = {'n': lambda t: float('nan')}\n")
    told = pmcmc_command(tmp_path, "derive", "orbit.h5", "nan.py")
    assert "note: n is NaN or infinite at 1280 of 1280 draws" in told


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("x = 1", "gives no functions to work out"),
        ("derived = ['a']", "gives no functions to work out"),
        ("derived = {'a': lambda t: 1}\nparameters = ['z']", "is it the model of this run"),
    ],
)
def test_models_that_do_not_fit(tmp_path, model, message):
    made(tmp_path / "x.h5")
    (tmp_path / "m.py").write_text(model)
    told = pmcmc_command(tmp_path, "derive", "x.h5", "m.py", status=1 if "gives" in message else 2)
    assert message in told


@pytest.mark.parametrize("damage", ["names", "shape", "text", "twice"])
def test_a_damaged_group_is_said(tmp_path, damage):
    made(tmp_path / "x.h5").add_derived("ecc", ecc)
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        group = file["derived"]
        if damage == "names":
            del group.attrs["names"]
        elif damage == "text":
            group.attrs["names"] = "[1"
        elif damage == "twice":
            group.attrs["names"] = '["h"]'
        else:
            del group["0001"]
            group["0001"] = np.zeros((3, 3))
    with pytest.raises(StoreError, match=r"x\.h5 is damaged"):
        pmcmc.load(tmp_path / "x.h5")
