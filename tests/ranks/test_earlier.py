"""A run that begins where an earlier one ended."""

import numpy as np
import pytest

import pmcmc
from pmcmc.errors import PmcmcError, UsageError

MODEL = """
ndim, initial, nwalkers = 2, [0.0, 0.0], 8
def log_prob(theta):
    return -0.5 * float(theta @ theta)
"""
ARGS = ["-m", "pmcmc", "m.py", "--burnin", 0, "--nensembles", 2, "--seed", 1, "--no-progress"]


@pytest.fixture
def earlier(launch, tmp_path):
    (tmp_path / "m.py").write_text(MODEL)
    done = launch(0, *ARGS, "--nsteps", 40, "--output", "one.h5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_as_many_walkers_go_on_from_where_they_were(launch, earlier):
    last = pmcmc.load(earlier / "one.h5").get_chain()[:, -1]
    done = launch(
        2, *ARGS, "--nsteps", 2, "--output", "two.h5", "--initial", "one.h5", cwd=earlier
    )
    assert done.returncode == 0, done.stderr
    first = pmcmc.load(earlier / "two.h5").get_chain()[:, 0]
    stayed = (first == last).all(axis=2)
    assert 0 < stayed.sum() < stayed.size
    assert pmcmc.load(earlier / "two.h5").config["initial"] == "one.h5"


@pytest.mark.parametrize("nwalkers", [6, 24, 100])
def test_another_number_of_walkers_is_drawn_from_it(launch, earlier, nwalkers):
    known = pmcmc.load(earlier / "one.h5").get_chain(flat=True)
    draws = []
    for ranks in (0, 3):
        more = ["--nsteps", 2, "--nwalkers", nwalkers, "--initial", "one.h5"]
        done = launch(ranks, *ARGS, *more, "--output", f"{ranks}.h5", cwd=earlier)
        assert done.returncode == 0, done.stderr
        draws.append(pmcmc.load(earlier / f"{ranks}.h5").get_chain()[:, 0])
    np.testing.assert_array_equal(*draws)
    at = {tuple(row) for row in known}
    stayed = [tuple(row) in at for ensemble in draws[0] for row in ensemble]
    assert np.mean(stayed) > 0.2
    assert len({tuple(row) for row in draws[0][0]}) == nwalkers


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"initial": "one.h5", "output": "one.h5", "overwrite": True},
            "are both one.h5",
        ),
        ({"initial": "one.h5", "nwalkers": 5000}, "different points, and 5000 walkers"),
        ({"initial": "nowhere.h5"}, "there is no file nowhere.h5"),
    ],
)
def test_what_cannot_be(earlier, monkeypatch, given, message):
    monkeypatch.chdir(earlier)
    problem = pmcmc.Problem.load("m.py")
    with pytest.raises(PmcmcError, match=message):
        pmcmc.run(problem, nsteps=2, burnin=0, seed=1, **given)


def test_another_model(earlier, monkeypatch):
    monkeypatch.chdir(earlier)
    other = pmcmc.Problem(lambda t: 0.0, ["a"], initial=[0.0])
    with pytest.raises(UsageError, match="has the parameters theta_0, theta_1, and this model a"):
        pmcmc.run(other, initial="one.h5", nsteps=2, burnin=0)
