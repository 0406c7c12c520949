"""Going on with a run, from any state and anywhere, to the end that it would have had."""

import os
import signal
import time
import warnings

import emcee
import h5py
import numpy as np
import pytest
from scipy import stats

import pmcmc
from background_job import MODEL, Job, arguments, left_behind, resume
from pmcmc.storage.reader import RunReader
from reference import assert_same_files

BURNIN, STEPS, THIN = 6, 60, 2
OPTIONS = {
    "seed": 5,
    "nwalkers": 8,
    "nensembles": 3,
    "burnin": BURNIN,
    "nsteps": STEPS,
    "thin_by": THIN,
    "moves": "de,stretch",
}
ROUND = OPTIONS["nensembles"] * OPTIONS["nwalkers"]  # evaluations of a step of all ensembles


def value(theta):
    r = float(theta @ theta)
    return -0.5 * r, r, int(10 * r)


class Interrupting:
    """A Problem's functions, which ask for a stop once the sampling has come so far."""

    def __init__(self, after=None, function=value):
        self.after, self.function, self.calls, self.starts = after, function, 0, 0

    def log_prob(self, theta):
        if self.starts > 1:  # the first is the probe's
            self.calls += 1
        if self.calls == self.after:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.03)
        return self.function(theta)

    def initial(self, nwalkers, rng):
        self.starts += 1
        return rng.normal(size=(nwalkers, 2))


def problem(after=None, function=value, **changes):
    """Return the problem of ``jobs.MODEL``; stopped after so many evaluations of the sampling."""
    acting = Interrupting(after, function)
    options = {"parameters": ["a", "b"], "initial": acting.initial}
    options["blobs_dtype"] = [("r", float), ("n", int)]
    return pmcmc.Problem(acting.log_prob, **options | changes)


def stop(path, steps, extra=12, **more):
    """Run until every ensemble has done ``steps`` steps, and one or the other the next."""
    result = pmcmc.run(problem((1 + steps) * ROUND + extra), output=path, **OPTIONS | more)
    assert result.status == "stopped"
    assert set(RunReader(path).steps) <= {steps, steps + 1}
    assert left_behind(path.parent) == []


def go_on(path, **more):
    return pmcmc.run(more.pop("problem", None) or problem(), output=path, resume=True, **more)


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return the file of the run that nobody disturbs."""
    path = tmp_path_factory.mktemp("undisturbed") / "x.h5"
    assert pmcmc.run(problem(), output=path, **OPTIONS).status == "finished"
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.h5"


# ---- from every state


def test_where_there_is_no_file_it_begins(path, undisturbed):
    assert go_on(path, **OPTIONS).status == "finished"
    assert_same_files(path, undisturbed)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(0, id="just begun"),
        pytest.param(3, id="in burn-in"),
        pytest.param(BURNIN - 1, id="the last of burn-in"),
        pytest.param(BURNIN, id="the end of burn-in"),
        pytest.param(BURNIN + 1, id="before the first kept"),
        pytest.param(BURNIN + THIN, id="after the first kept"),
        pytest.param(BURNIN + 7 * THIN + 1, id="between kept ones"),
        pytest.param(BURNIN + STEPS // 3 * THIN - 1, id="before the last"),
    ],
)
@pytest.mark.parametrize("extra", [4, 20])
def test_from_any_state_it_comes_to_the_same_end(path, undisturbed, steps, extra):
    stop(path, steps, extra)
    result = go_on(path)
    assert result.status == "finished"
    assert result.nsteps == STEPS
    assert_same_files(path, undisturbed)


def test_stopped_many_times(path, undisturbed):
    stop(path, 0)
    for _ in range(20):
        before = RunReader(path).steps.sum()
        if go_on(path, problem=later(9 * ROUND // 2)).status == "finished":
            break
        assert RunReader(path).steps.sum() > before
    assert_same_files(path, undisturbed)


def later(after):
    """Return the problem, stopped after so many evaluations of a run that goes on."""
    began, calls = time.monotonic(), 0

    def log_prob(theta):
        nonlocal calls
        calls += time.monotonic() - began > 0.15  # what comes before is the probe's
        if calls == after:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.03)
        time.sleep(3e-4)
        return value(theta)

    return problem(None, log_prob)


def test_a_finished_run_is_left_as_it_is(launch, tmp_path, path, undisturbed):
    (tmp_path / "model.py").write_text(MODEL)
    path.write_bytes(undisturbed.read_bytes())
    os.utime(path, (1, 1))
    assert go_on(path).status == "finished"
    done = resume(launch, 2, tmp_path)
    assert done.returncode == 0, done
    assert "there was nothing to do" in done.stdout
    assert "--nsteps" in done.stdout
    assert path.stat().st_mtime == 1
    assert path.read_bytes() == undisturbed.read_bytes()
    assert left_behind(tmp_path) == []


# ---- another target


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    path = tmp_path_factory.mktemp("longer") / "x.h5"
    pmcmc.run(problem(), output=path, **OPTIONS | {"nsteps": 100})
    return path


@pytest.mark.parametrize("steps", [2, BURNIN + 9, None])
def test_a_target_that_grows(path, undisturbed, longer, steps):
    if steps is None:
        path.write_bytes(undisturbed.read_bytes())
    else:
        stop(path, steps)
    result = go_on(path, nsteps=100)
    assert (result.status, result.nsteps, sum(result.steps)) == ("finished", 100, 100)
    assert_same_files(path, longer)
    with h5py.File(path) as file, h5py.File(longer) as other:
        assert file.attrs["nsteps"] == 100
        for name in set(other.attrs) - {"config", "timings", "writer"}:
            assert file.attrs[name] == other.attrs[name]


def test_a_target_that_grew_is_kept(path, longer):
    stop(path, 4)
    assert go_on(path, problem=later(2 * ROUND), nsteps=100).status == "stopped"
    assert go_on(path).nsteps == 100
    assert_same_files(path, longer)


@pytest.mark.parametrize(("extra", "rows"), [(3, (11, 11, 11)), (12, (12, 11, 11))])
def test_a_target_below_what_there_is(path, undisturbed, extra, rows):
    stop(path, BURNIN + 12 * THIN - 1, extra)
    assert tuple(RunReader(path).rows) == rows
    before, least = path.read_bytes(), sum(rows)
    for nsteps in (10, least - 1):
        message = (
            rf"nsteps is {nsteps}, but .*x\.h5 already holds {least} steps, up to {rows[0]} in an "
            rf"ensemble: use nsteps={least} or more"
        )
        with pytest.raises(pmcmc.UsageError, match=message):
            go_on(path, nsteps=nsteps)
    assert path.read_bytes() == before
    assert left_behind(path.parent) == []
    result = go_on(path, nsteps=least)
    assert (result.status, result.steps) == ("finished", rows)
    for e, n in enumerate(rows):
        with h5py.File(path) as file, h5py.File(undisturbed) as other:
            name = f"ensembles/{e:04d}/chain"
            np.testing.assert_array_equal(file[name][...], other[name][:n])


def test_a_target_that_is_lower_but_possible(path, tmp_path):
    stop(path, BURNIN + 5 * THIN)
    assert go_on(path, nsteps=40).steps == (14, 13, 13)
    pmcmc.run(problem(), output=tmp_path / "y.h5", **OPTIONS | {"nsteps": 40})
    assert_same_files(path, tmp_path / "y.h5")


# ---- elsewhere


@pytest.mark.parametrize(
    ("ranks", "mode", "more"),
    [
        (3, "demand", ""),
        pytest.param(2, "split", "", marks=pytest.mark.slow),
        pytest.param(5, "teams", "--schedule static", marks=pytest.mark.slow),
        pytest.param(0, "split", "--nsteps 100", marks=pytest.mark.slow),
    ],
)
def test_other_ranks_and_modes(launch, tmp_path, path, undisturbed, longer, ranks, mode, more):
    (tmp_path / "model.py").write_text(MODEL)
    stop(path, BURNIN + 3)
    done = resume(launch, ranks, tmp_path, *more.split(), mode=mode)
    assert done.returncode == 0, done
    assert f"which has {sum(RunReader(undisturbed).steps)}" not in done.stdout
    assert "of 138 steps" in done.stdout or "of 218 steps" in done.stdout
    assert_same_files(path, longer if "nsteps" in more else undisturbed)


@pytest.mark.slow
def test_another_mpi(launch, launch_openmpi, tmp_path, path, undisturbed):
    (tmp_path / "model.py").write_text(MODEL)
    args = arguments("model.py", "x.h5", "teams", "--checkpoint 0.1")
    with Job(launch, 3, *args, cwd=tmp_path, sleep=0.02) as job:
        job.begun().signal(signal.SIGTERM)
        assert job.end()[0] == 75
    done = resume(launch_openmpi, 2, tmp_path, mode="demand")
    assert done.returncode == 0, done
    assert_same_files(path, undisturbed)


def test_what_a_killed_writer_left(launch, tmp_path, path, undisturbed):
    (tmp_path / "model.py").write_text(MODEL)
    args = arguments("model.py", "x.h5", "split", "--checkpoint 0.05")
    for _ in range(2):
        with Job(launch, 0, *args, "--resume", cwd=tmp_path, sleep=0.003) as job:
            job.begun()
            job.until(lambda: path.exists())
            time.sleep(0.2)
            job.signal(signal.SIGKILL)
            job.end()
        assert left_behind(tmp_path) == [".x.h5.lock"]
        args = ["model.py", "--output", "x.h5"]
    assert pmcmc.load(path).status == "running"
    (tmp_path / ".x.h5.4711.part").write_bytes(b"half a file")
    with pytest.warns(RuntimeWarning, match=r"took over x\.h5 from process .*: that process is"):
        go_on(path)
    assert_same_files(path, undisturbed)
    assert left_behind(tmp_path) == []


# ---- other problems


def rosenbrock(theta):
    return -((1 - theta[:, 0]) ** 2) - 10 * (theta[:, 1] - theta[:, 0] ** 2) ** 2


def test_a_vectorized_problem(tmp_path):
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path, after in zip(paths, (None, 30), strict=True):
        acting = Interrupting(after, rosenbrock)
        vectorized = pmcmc.Problem(
            acting.log_prob, ["a", "b"], initial=acting.initial, vectorized=True
        )
        result = pmcmc.run(vectorized, output=path, **OPTIONS)
        assert result.status == ("stopped" if after else "finished")
    acting = Interrupting(None, rosenbrock)
    again = pmcmc.Problem(acting.log_prob, ["a", "b"], initial=acting.initial, vectorized=True)
    go_on(paths[1], problem=again)
    assert_same_files(*paths)


@pytest.mark.parametrize("blobs", ["none", "floats", "strings", "arrays"])
def test_kinds_of_blobs(tmp_path, blobs):
    parts, dtype = {
        "none": ((), None),
        "floats": ((0.5, 2), None),
        "strings": ((b"text",), "S6"),
        "arrays": ((1, [1.0, 2.0]), [("n", "i4"), ("v", float, (2,))]),
    }[blobs]

    def function(theta):
        lp = -0.5 * float(theta @ theta)
        return (lp, *parts) if parts else lp

    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path, after in zip(paths, (None, 15 * ROUND), strict=True):
        made = problem(after, function, blobs_dtype=dtype)
        pmcmc.run(made, output=path, **OPTIONS)
    go_on(paths[1], problem=problem(None, function, blobs_dtype=dtype))
    assert_same_files(*paths)


def moves(weight=0.5):
    return [(emcee.moves.DEMove(), 1 - weight), (emcee.moves.StretchMove(a=3), weight)]


def test_moves_as_objects_of_the_model(tmp_path):
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    given = {k: v for k, v in OPTIONS.items() if k != "moves"}
    for path, after in zip(paths, (None, 15 * ROUND), strict=True):
        pmcmc.run(problem(after, moves=moves()), output=path, **given)
    go_on(paths[1], problem=problem(moves=moves()))
    assert_same_files(*paths)
    for other in (moves(0.3), None):
        with pytest.raises(pmcmc.ModelError, match=r"(?s)with another problem.*moves: .*in the"):
            go_on(paths[1], problem=problem(moves=other))


def test_moves_as_objects_of_the_caller(tmp_path):
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    for path, after in zip(paths, (None, 15 * ROUND), strict=True):
        pmcmc.run(problem(after), output=path, **OPTIONS | {"moves": moves()})
    with pytest.raises(pmcmc.ModelError, match="moves: "):
        go_on(paths[1])
    go_on(paths[1], moves=moves())
    assert_same_files(*paths)


# ---- what must not change


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 6}, "seed is 6, and 5 in the file"),
        ({"nwalkers": 10}, "nwalkers is 10, and 8 in the file"),
        ({"nensembles": 2}, "nensembles is 2, and 3 in the file"),
        ({"burnin": 7}, "burnin is 7, and 6 in the file"),
        ({"thin_by": 1}, "thin_by is 1, and 2 in the file"),
        ({"seed": 6, "thin_by": 1}, "seed is 6.*; thin_by is 1.*output"),
    ],
)
def test_settings_that_must_stay(path, changes, message):
    stop(path, 8)
    before = path.read_bytes()
    with pytest.raises(pmcmc.UsageError, match=f"nothing was changed: .*{message}"):
        go_on(path, **changes)
    assert path.read_bytes() == before
    assert left_behind(path.parent) == []


OTHERS = {
    "names": ({"parameters": ["a", "c"]}, value, r"parameters: \['a', 'b'\] in the file, \['a'"),
    "order": ({"parameters": ["b", "a"]}, value, "parameters: "),
    "vectorized": (
        {"vectorized": True, "blobs_dtype": None},
        rosenbrock,
        "vectorized: False in the file, True now",
    ),
    "blobs": ({"blobs_dtype": [("r", float), ("n", float)]}, value, "blobs: "),
    "no blobs": ({"blobs_dtype": None}, lambda t: value(t)[0], "blobs: "),
    "data": ({}, lambda t: (value(t)[0] - 0.001, 0.0, 0), "data changed"),
    "out of bounds": ({}, lambda t: (-np.inf, 0.0, 0), "data changed"),
    "a little": ({}, lambda t: (value(t)[0] * (1 + 3e-8), 0.0, 0), "data changed"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_another_problem(path, kind):
    changes, function, message = OTHERS[kind]
    stop(path, 8)
    before = path.read_bytes()
    with pytest.raises(pmcmc.ModelError, match=f"(?s)nothing was changed.*{message}"):
        go_on(path, problem=problem(None, function, **changes))
    with pytest.raises(pmcmc.ModelError):  # also where it is finished or grows
        go_on(path, problem=problem(None, function, **changes), nsteps=100)
    assert path.read_bytes() == before
    assert left_behind(path.parent) == []


def test_another_moves_option(path):
    stop(path, 8)
    with pytest.raises(pmcmc.ModelError, match=r"(?s)nothing was changed.*moves: "):
        go_on(path, moves="stretch")
    assert go_on(path, moves="de,stretch").status == "finished"


@pytest.mark.parametrize("prior", ["other bounds", "another kind", "none"])
def test_other_priors(path, prior):
    table = {"a": stats.uniform(-5, 10), "b": stats.norm(0, 2)}

    def made(table):
        return pmcmc.Problem(
            log_likelihood=value0,
            parameters=table,
            initial=np.random.default_rng(1).normal(size=(8, 2)),
        )

    def value0(theta):
        return -0.5 * float(theta @ theta)

    pmcmc.run(made(table), output=path, **OPTIONS)
    others = {
        "other bounds": {"a": stats.uniform(-5, 11), "b": stats.norm(0, 2)},
        "another kind": {"a": stats.uniform(-5, 10), "b": stats.cauchy(0, 2)},
    }
    if prior in others:
        with pytest.raises(pmcmc.ModelError, match=r"(?s)nothing was changed.*priors: "):
            go_on(path, problem=made(others[prior]), nsteps=100)
    assert go_on(path, problem=made(table), nsteps=63).nsteps == 63


@pytest.mark.slow
def test_a_tiny_difference_is_a_warning(launch, tmp_path, path, undisturbed):
    stop(path, 8)

    def shifted(theta):
        return value(theta)[0] * (1 + 1e-13), *value(theta)[1:]

    with pytest.warns(RuntimeWarning, match="differs from the file's by .*not bit for bit"):
        go_on(path, problem=problem(None, shifted))
    path.unlink()
    stop(path, 8)
    (tmp_path / "model.py").write_text(
        MODEL.replace("return -0.5 * r", "return -0.5 * r * (1 + 1e-13)")
    )
    done = resume(launch, 0, tmp_path)
    assert done.returncode == 0, done
    assert "note: log_prob at a stored point differs from the file's" in done.stdout


@pytest.mark.slow
def test_no_difference_no_warning(launch, tmp_path, path, undisturbed):
    stop(path, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert go_on(path).status == "finished"
    assert_same_files(path, undisturbed)
    path.unlink()
    stop(path, 8)
    (tmp_path / "model.py").write_text(MODEL)
    done = resume(launch, 0, tmp_path)
    assert done.returncode == 0, done
    assert "differs" not in done.stdout
    assert done.stderr == ""
    assert_same_files(path, undisturbed)


# ---- what comes from the file


def test_options_come_from_the_file_and_can_be_given_anew(launch, tmp_path, path):
    (tmp_path / "model.py").write_text(MODEL)
    stop(path, 8, mode="pool", schedule="static", checkpoint=7.5)
    done = resume(launch, 2, tmp_path, "--dry-run")
    assert done.returncode == 0, done
    assert "(pool)" in done.stdout
    assert "3 of 8 walkers" in done.stdout
    assert "moves      de,stretch" in done.stdout
    done = resume(launch, 2, tmp_path, "--dry-run", mode="split")
    assert "(split)" in done.stdout
    before = path.read_bytes()
    assert go_on(path, teams=1, checkpoint=3.0, mode=None).status == "finished"
    assert path.read_bytes() != before


def test_moves_and_sizes_that_are_given_again(path, undisturbed):
    stop(path, 8)
    assert go_on(path, **OPTIONS).status == "finished"
    assert_same_files(path, undisturbed)


@pytest.mark.slow
def test_the_built_in_example_goes_on_with_its_last_file(launch, tmp_path):
    def run(*more):
        args = ["-m", "pmcmc", "line", "--nsteps", 20, "--burnin", 2, *more]
        done = launch(0, *args, cwd=tmp_path)
        assert done.returncode == 0, done
        return done.stdout

    assert "line.h5" in run()
    assert "line-2.h5" in run()
    assert "line-2.h5" in run("--resume", "--nsteps", 30)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["line-2.h5", "line.h5"]
    assert pmcmc.load(tmp_path / "line-2.h5").nsteps == 30


# ---- what cannot be resumed


def refused(launch, tmp_path, status, *args):
    (tmp_path / "model.py").write_text(MODEL)
    done = resume(launch, 0, tmp_path, *args)
    assert done.returncode == status, done
    assert done.stderr.count("pmcmc: error:") == 1
    assert "Traceback" not in done.stderr
    assert left_behind(tmp_path) == []
    return done.stderr


def test_resume_and_overwrite_exclude_each_other(launch, tmp_path):
    assert "give one of them" in refused(launch, tmp_path, 2, "--overwrite")
    with pytest.raises(pmcmc.UsageError, match="give one of them"):
        pmcmc.run(problem(), output=tmp_path / "x.h5", resume=True, overwrite=True)


def test_resume_needs_an_output():
    with pytest.raises(pmcmc.UsageError, match="resume needs an output"):
        pmcmc.run(problem(), resume=True)


def test_without_resume_the_file_is_refused(launch, tmp_path, path, undisturbed):
    path.write_bytes(undisturbed.read_bytes())
    with pytest.raises(pmcmc.UsageError, match="exists, and nothing was changed"):
        pmcmc.run(problem(), output=path, **OPTIONS)
    assert path.read_bytes() == undisturbed.read_bytes()


def foreign(path, undisturbed):
    with h5py.File(path, "w") as file:
        file["x"] = 1


def garbled(path, undisturbed):
    path.write_bytes(b"not an HDF5 file")


def empty(path, undisturbed):
    path.touch()


def cut(path, undisturbed):
    data = undisturbed.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def no_record(path, undisturbed):
    path.write_bytes(undisturbed.read_bytes())
    with h5py.File(path, "r+") as file:
        state = file["state"][...]
        state["crc"] += 1
        file["state"][...] = state


def no_state(path, undisturbed):
    path.write_bytes(undisturbed.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["state"]


def no_version(path, undisturbed):
    path.write_bytes(undisturbed.read_bytes())
    with h5py.File(path, "r+") as file:
        del file.attrs["format_version"]


def newer(path, undisturbed):
    path.write_bytes(undisturbed.read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99


UNFIT = {
    foreign: "not one that pmcmc wrote",
    garbled: "cannot be read as an HDF5 file",
    empty: "cannot be read as an HDF5 file",
    cut: "cannot be read as an HDF5 file",
    no_record: "none of its records is whole",
    no_state: "is damaged",
    no_version: "is damaged",
    newer: "use a newer pmcmc",
}


@pytest.mark.parametrize("damage", UNFIT)
def test_files_that_cannot_be_resumed(path, undisturbed, damage):
    damage(path, undisturbed)
    before = path.read_bytes()
    with pytest.raises(pmcmc.StoreError, match=UNFIT[damage]):
        go_on(path)
    assert path.read_bytes() == before
    assert left_behind(path.parent) == []


def test_a_foreign_file_on_the_command_line(launch, tmp_path, path, undisturbed):
    foreign(path, undisturbed)
    assert "not one that pmcmc wrote" in refused(launch, tmp_path, 1)


def test_one_damaged_record_costs_one_commit(path, undisturbed):
    stop(path, 30, checkpoint=0.001)
    reader = RunReader(path)
    with h5py.File(path, "r+") as file:
        state = file["state"][...]
        state["crc"][reader.sequence % 2] += 1
        file["state"][...] = state
    assert RunReader(path).sequence == reader.sequence - 1
    go_on(path)
    assert_same_files(path, undisturbed)
