"""--nsteps auto: a bare run ends with enough draws, the same ones on any ranks."""

import signal

import h5py
import pytest

import pmcmc
from background_job import Job
from pmcmc.diagnostics.statistics import ChainStatistics
from pmcmc.diagnostics.stopping import CHECKS, StopRules
from pmcmc.engine import coordinator
from pmcmc.prepare import shape
from pmcmc.storage.reader import RunReader
from reference import assert_same_as_plain, assert_same_files, default_moves, plain_emcee, streams

MODEL = """
import os, time
import numpy as np
parameters = ["a", "b"]
sleep = float(os.environ.get("SLEEP", "0"))
def log_prob(theta):
    if sleep:
        time.sleep(sleep)
    return -0.5 * (theta[0] ** 2 + (theta[1] - theta[0]) ** 2)
def initial(nwalkers, rng):
    return rng.normal(size=(nwalkers, 2))
"""
SIZES = "--seed 3 --nwalkers 16"


def log_prob(theta):
    return -0.5 * (theta[0] ** 2 + (theta[1] - theta[0]) ** 2)


def initial(nwalkers, rng):
    return rng.normal(size=(nwalkers, 2))


def problem(function=log_prob):
    return pmcmc.Problem(function, ["a", "b"], initial=initial)


def plain(result):
    """Return the plain samplers of the burn-in and the steps that the file records."""
    samplers = []
    for e in range(4):
        rng, state = streams(3, e)
        options = {"burnin": result.burnin, "moves": default_moves()}
        samplers.append(plain_emcee(log_prob, initial(16, rng), state, result.steps[e], **options))
    return samplers


ROOMS: list[tuple[int, int]] = []  # steps of burn-in and production that the file is made for


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Return a bare run on one rank, and note in ROOMS how its file grows."""
    resize = coordinator.RunWriter.resize

    def noted(self, header, status="running", starts=()):
        ROOMS.append((header.burnin, header.steps[0]))
        resize(self, header, status, starts)

    path = tmp_path_factory.mktemp("reference") / "x.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coordinator.RunWriter, "resize", noted)
        return pmcmc.run(problem(), seed=3, nwalkers=16, output=path)


def test_a_bare_run_ends_with_enough_and_is_plain_emcee(reference):
    assert (reference.status, reference.short, reference.nensembles) == ("finished", False, 4)
    (steps,) = set(reference.steps)
    assert steps in CHECKS
    assert reference.burnin in CHECKS
    verdict = reference.verdict()
    assert verdict.enough, verdict
    assert min(row.ess for row in reference.summary().rows) >= 400
    assert_same_as_plain(reference.path, plain(reference))
    earlier = max(c for c in CHECKS if c < steps)
    at_the_check_before = ChainStatistics(reference.reader, [earlier] * 4)
    assert StopRules(until_enough=True).lacks(at_the_check_before) is not None
    with h5py.File(reference.path) as file:
        assert file.attrs["nsteps"] == 4 * steps
        assert file["ensembles/0000/chain"].shape[0] == steps


@pytest.mark.parametrize(
    ("ranks", "more", "teams"),
    [
        pytest.param(1, "", "1 (split): 1 team of 1 rank, 4 ensembles", marks=pytest.mark.slow),
        pytest.param(
            3, "", "3 (", marks=pytest.mark.slow
        ),  # split or pool, by the time that log_prob takes
        pytest.param(6, "", "6 (", marks=pytest.mark.slow),
    ],
)
def test_the_same_end_and_draws_on_any_ranks(
    launch, tmp_path, model, reference, ranks, more, teams
):
    args = [model(MODEL), *SIZES.split(), *more.split(), "--output", "x.h5"]
    done = launch(ranks, "-m", "pmcmc", *args, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert teams in done.stdout
    assert "until the draws are enough, at most 200000 steps" in done.stdout
    steps = reference.steps[0]
    assert f"with enough draws after {steps} steps per ensemble" in done.stdout
    assert f"settled after {reference.burnin} steps" in done.stdout
    assert "\nenough: " in done.stdout
    assert ("note: 2 of 6 ranks are idle" in done.stdout) == ("; 2 idle" in done.stdout)
    assert_same_files(tmp_path / "x.h5", reference.path)


@pytest.mark.slow
def test_dear_evaluations_are_shared_by_all_ranks(launch, tmp_path, model, reference):
    args = [model(MODEL), *SIZES.split(), "--output", "x.h5"]
    done = launch(3, "-m", "pmcmc", *args, cwd=tmp_path, env={"SLEEP": "0.0005"})
    assert done.returncode == 0, done
    assert "3 (pool): 1 team of 3 ranks, 4 ensembles" in done.stdout
    assert "idle" not in done.stdout
    assert_same_files(tmp_path / "x.h5", reference.path)


@pytest.mark.slow
def test_stopped_and_killed_it_comes_to_the_same_end(launch, tmp_path, model, reference):
    args = [model(MODEL), *SIZES.split(), "--output", "x.h5", "--checkpoint", "0.05"]
    path, kinds = tmp_path / "x.h5", [signal.SIGTERM, signal.SIGKILL]
    for ranks, kind in zip((3, 2), kinds, strict=True):
        more = ["--resume"] if path.exists() else []
        with Job(launch, ranks, *args, *more, cwd=tmp_path, env={"SLEEP": "0.0003"}) as job:
            before = sum(RunReader(path).steps) if path.exists() else 0
            job.until(lambda b=before: path.exists() and sum(RunReader(path).steps) > b + 200)
            job.signal(kind)
            job.end()
    result = pmcmc.load(path)
    assert result.status == "running"
    told = launch(0, "-m", "pmcmc", "status", "x.h5", cwd=tmp_path)
    assert told.returncode == 75
    assert " of " not in told.stdout.splitlines()[0]  # nobody knows of how many
    done = launch(2, "-m", "pmcmc", *args, "--resume", cwd=tmp_path)
    assert done.returncode == 0, done
    assert_same_files(path, reference.path)


def test_a_finished_run_has_nothing_to_do(reference, tmp_path):
    path = tmp_path / "x.h5"
    path.write_bytes(reference.path.read_bytes())
    again = pmcmc.run(problem(), output=path, resume=True)
    assert (again.status, again.steps) == ("finished", reference.steps)
    assert_same_files(path, reference.path)


@pytest.mark.slow
def test_a_run_of_given_length_goes_on_until_it_is_enough(reference, tmp_path):
    path, given = tmp_path / "x.h5", {"seed": 3, "nwalkers": 16, "output": tmp_path / "x.h5"}
    short = pmcmc.run(problem(), nsteps=4 * 90 + 1, **given)
    assert (short.status, short.steps) == ("finished", (91, 90, 90, 90))
    assert not short.verdict().enough
    longer = pmcmc.run(problem(), resume=True, nsteps="auto", output=path)
    assert longer.steps == reference.steps
    assert_same_files(path, reference.path)
    more = pmcmc.run(problem(), resume=True, nsteps=4 * (reference.steps[0] + 7), output=path)
    assert more.steps == tuple(n + 7 for n in reference.steps)


@pytest.mark.slow
def test_at_the_most_it_is_short_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shape, "MOST_STEPS", 4 * 130 + 1)
    path = tmp_path / "x.h5"
    result = pmcmc.run(problem(), seed=3, nwalkers=16, output=path)
    assert (result.status, result.short, result.steps) == ("finished", True, (131, 130, 130, 130))
    assert not result.verdict().enough
    again = pmcmc.run(problem(), output=path, resume=True)
    assert (again.short, again.steps) == (True, result.steps)
    monkeypatch.undo()
    assert pmcmc.run(problem(), output=path, resume=True).verdict().enough


@pytest.mark.slow
def test_a_stop_rule_alone_has_the_same_most(tmp_path):
    given = {"seed": 3, "nwalkers": 16, "output": tmp_path / "x.h5"}
    result = pmcmc.run(problem(), until_ess=200, until_rhat=1.05, **given)
    assert (result.short, result.open_ended) == (False, True)
    assert min(row.ess for row in result.summary().rows) >= 200
    further = pmcmc.run(problem(), output=given["output"], resume=True, until_ess=4000)
    assert min(row.ess for row in further.summary().rows) >= 4000


def test_the_file_grows_as_the_run_does(reference):
    production = [steps for _, steps in ROOMS]
    assert production == [*sorted(production[:-1]), reference.steps[0]]
    assert max(production) <= 2.1 * reference.steps[0]
    assert 2 <= len(ROOMS) <= 6
