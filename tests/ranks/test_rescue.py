"""--rescue: walkers that are trapped at the end of burn-in are redrawn, alike in every layout."""

import json
import shutil

import emcee
import h5py
import numpy as np
import pytest

import pmcmc
from pmcmc.storage.reader import RunReader
from pmcmc.storage.writer import RunWriter
from reference import assert_same_files, default_moves

MODEL = """
import math
from pmcmc import stats
parameters = {"x": stats.uniform(-20, 40), "y": stats.uniform(-20, 40)}
initial = "prior"
blobs_dtype = [("r", float), ("n", int)]
def log_likelihood(t):
    x, y = map(float, t)
    here = -0.5 * ((x - 8) ** 2 + (y - 8) ** 2) / 0.04
    there = -DEPTH - 0.5 * ((x + 8) ** 2 + (y + 8) ** 2) / 0.04
    high = max(here, there)
    return high + math.log1p(math.exp(min(here, there) - high)), x - y, int(here > there)
"""
SIZES = ["--seed", "3", "--nwalkers", "16"]


def made(depth):
    space: dict = {"__name__": "model"}
    exec(MODEL.replace("DEPTH", str(depth)), space)
    return pmcmc.Problem(
        log_likelihood=space["log_likelihood"],
        parameters=space["parameters"],
        initial="prior",
        blobs_dtype=space["blobs_dtype"],
    )


def without_blobs(depth):
    """Return the same posterior, for many walkers at once."""

    def log_likelihood(t):
        here = -0.5 * ((t - 8) ** 2).sum(axis=1) / 0.04
        there = -depth - 0.5 * ((t + 8) ** 2).sum(axis=1) / 0.04
        return np.logaddexp(here, there)

    return pmcmc.Problem(
        log_likelihood=log_likelihood,
        parameters={prior.name: prior.frozen for prior in made(depth).priors},
        initial="prior",
        vectorized=True,
    )


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Return a default run of a mode that is 100 deep and one that has no mass."""
    path = tmp_path_factory.mktemp("reference") / "x.h5"
    return pmcmc.run(made(100), seed=3, nwalkers=16, output=path)


def test_trapped_walkers_are_redrawn_and_the_answer_is_right():
    result = pmcmc.run(without_blobs(100), seed=3, nwalkers=16)
    summary = result.summary()
    assert sum(map(len, summary.redrawn.values())) > 10
    assert result.verdict().enough
    for row in summary.rows:
        assert abs(row.mean - 8) < 5 * row.mcse
        assert row.sd == pytest.approx(0.2, rel=0.05)
    text = " ".join(result.verdict().lines)
    assert "were trapped after burn-in where the posterior has no mass, and were" in text
    pairs = summary.to_dict()["redrawn_walkers"]
    assert pairs == [[e, w] for e, walkers in summary.redrawn.items() for w in walkers]


@pytest.mark.slow
def test_they_are_those_that_were_in_the_lower_mode_and_go_to_points_of_the_others(reference):
    with h5py.File(reference.path) as file:
        for e in range(4):
            burnin, start = file[f"burnin/{e:04d}"], file[f"start/{e:04d}"]
            last, half = burnin["chain"][-1], burnin["chain"][reference.burnin // 2 :]
            low = np.flatnonzero(last[:, 0] < 0)
            assert start["redrawn"][...].tolist() == low.tolist()
            coords = start["chain"][0]
            high = np.setdiff1d(np.arange(16), low)
            np.testing.assert_array_equal(coords[high], last[high])
            points = half[:, high].reshape(-1, 2)
            for w in low:
                (rows,) = np.nonzero((points == coords[w]).all(axis=1))
                assert rows.size
                values = burnin["log_prob"][reference.burnin // 2 :][:, high].ravel()
                assert start["log_prob"][0, w] == values[rows[0]]
                assert start["blobs"][0, w]["r"] == coords[w, 0] - coords[w, 1]
            assert len(np.unique(coords, axis=0)) == 16


@pytest.mark.slow
def test_plain_emcee_makes_the_draws_from_the_start_in_the_file(reference):
    problem, kinds = made(100), [("r", float), ("n", int)]
    problem.probe("")
    moves = default_moves()

    def log_prob(theta):
        evaluated = problem.evaluate(theta[None])
        return evaluated.log_prob[0], *evaluated.blobs[0]

    for e in (0, 3):
        start = emcee.backends.HDFBackend(reference.path, name=f"start/{e:04d}", read_only=True)
        sampler = emcee.EnsembleSampler(16, 2, log_prob, moves=moves, blobs_dtype=kinds)
        sampler.run_mcmc(start.get_last_sample(), reference.steps[e])
        np.testing.assert_array_equal(sampler.get_chain(), reference.get_chain()[e])
        np.testing.assert_array_equal(sampler.get_blobs()["r"], reference.get_blobs()[e]["r"])


@pytest.mark.parametrize(
    ("ranks", "more"),
    [
        pytest.param(3, "--teams 1 --nensembles 4 --schedule demand", marks=pytest.mark.slow),
    ],
)
def test_every_layout_redraws_the_same(launch, tmp_path, model, reference, ranks, more):
    args = [model(MODEL.replace("DEPTH", "100")), *SIZES, *more.split(), "--output", "x.h5"]
    done = launch(ranks, "-m", "pmcmc", *args, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "were trapped after burn-in" in done.stdout.split("done in")[0]  # and at the end
    assert_same_files(tmp_path / "x.h5", reference.path)


@pytest.mark.slow
def test_killed_before_and_after_it_comes_to_the_same_end(tmp_path, monkeypatch, reference):
    """The file as a kill would leave it, about the commit that redraws."""
    resize, copies = RunWriter.resize, []

    def copied(self, header, status="running", starts=()):
        if starts:
            copies.append(tmp_path / "before.h5")
            shutil.copy(self.path, copies[-1])
        resize(self, header, status, starts)
        if starts:
            copies.append(tmp_path / "after.h5")
            shutil.copy(self.path, copies[-1])

    monkeypatch.setattr(RunWriter, "resize", copied)
    pmcmc.run(made(100), seed=3, nwalkers=16, output=tmp_path / "x.h5")
    monkeypatch.undo()
    assert_same_files(tmp_path / "x.h5", reference.path)
    before, after = (RunReader(path) for path in copies)
    assert (len(before.starts), len(after.starts)) == (0, 4)
    for path in copies:
        result = pmcmc.run(made(100), resume=True, output=path)
        assert result.burnin == reference.burnin
        assert_same_files(path, reference.path)


@pytest.mark.slow
def test_burnin_of_given_length_rescues_where_it_is_asked_to(tmp_path):
    given = {"seed": 3, "nwalkers": 16, "burnin": 800, "nsteps": 800}
    assert not pmcmc.run(made(100), **given).summary().redrawn
    result = pmcmc.run(made(100), rescue=True, output=tmp_path / "x.h5", **given)
    assert (result.burnin, result.steps) == (800, (200,) * 4)
    assert len(result.summary().redrawn) == 4
    assert result.get_chain()[..., 0].min() > 0
    longer = pmcmc.run(made(100), resume=True, nsteps=1000, output=result.path)
    assert longer.steps == (250,) * 4
    np.testing.assert_array_equal(longer.get_chain()[:, :200], result.get_chain())
    assert longer.summary().redrawn == result.summary().redrawn


@pytest.mark.slow
def test_a_mode_that_has_mass_is_left_alone():
    result = pmcmc.run(without_blobs(3), seed=3, nwalkers=16, nsteps=1000)
    assert not result.summary().redrawn
    assert result.get_chain()[..., 0].min() < 0 < result.get_chain()[..., 0].max()
    assert not result.verdict().enough
    assert result.burnin < 6000  # and burn-in does not wait for ever


@pytest.mark.slow
def test_a_run_whose_walkers_never_mix_does_not_go_on_for_ever(tmp_path):
    given = {"seed": 3, "nwalkers": 16, "rescue": False}
    problem = without_blobs(100)
    result = pmcmc.run(problem, output=tmp_path / "x.h5", **given)
    assert (result.status, result.short, result.open_ended) == ("finished", True, True)
    assert max(result.steps) < 10_000
    assert "they will not come" in str(result.verdict())
    divided = result.summary().divisions
    assert min(division.length for division in divided) >= 100
    more = pmcmc.run(problem, resume=True, nsteps=sum(result.steps) + 40, output=result.path)
    assert more.steps == tuple(n + 10 for n in result.steps)


@pytest.mark.slow
def test_without_rescue_burnin_ends_and_says_what_stays_apart(launch, tmp_path, model):
    args = [model(MODEL.replace("DEPTH", "100")), *SIZES, "--no-rescue", "--nsteps", "1600"]
    done = launch(0, "-m", "pmcmc", *args, "--output", "x.h5", cwd=tmp_path)
    assert done.returncode == 0, done
    assert "burn-in    ends, but has not settled, after" in done.stdout
    assert "walkers of 4 ensembles stay apart from the others" in done.stdout
    assert "they will not come" in done.stdout
    config = json.loads(h5py.File(tmp_path / "x.h5").attrs["config"])
    assert config["rescue"] is False
    again = [*args[:1], "--resume", "--rescue", "--output", "x.h5"]
    refused = launch(0, "-m", "pmcmc", *again, cwd=tmp_path)
    assert refused.returncode == 2
    assert "rescue is True, and False in the file" in refused.stderr
