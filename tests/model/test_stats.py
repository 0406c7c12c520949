"""pmcmc.stats: the distributions of scipy.stats, to the bit, without loading it."""

import copy
import pickle
import subprocess
import sys

import dill
import numpy as np
import pytest
import scipy.stats

import pmcmc
from pmcmc import stats
from pmcmc.errors import ModelError
from pmcmc.model.priors import Prior

CASES = [
    ("uniform", (), {}),
    ("uniform", (-5, 5.5), {}),
    ("uniform", (), {"loc": 1e3, "scale": 1e-3}),
    ("norm", (1, 2.5), {}),
    ("norm", (), {"scale": 1e-12}),
    ("loguniform", (1e-3, 10), {}),
    ("loguniform", (2, 7, 1, 3), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES)
def test_they_are_scipys(name, args, kwargs):
    ours, theirs = (getattr(m, name)(*args, **kwargs) for m in (stats, scipy.stats))
    for make in (np.random.RandomState, np.random.default_rng):
        for size in (None, 5, (2, 3)):
            a, b = (d.rvs(size=size, random_state=make(3)) for d in (ours, theirs))
            np.testing.assert_array_equal(a, b)
            assert np.shape(a) == np.shape(b)
    assert ours.support() == theirs.support()
    assert ours.median() == theirs.median()
    assert ours.std() == pytest.approx(theirs.std(), rel=1e-12)
    q = np.array([-0.1, 0.0, 1e-9, 0.3, 0.5, 1.0, 1.1, np.nan])
    np.testing.assert_array_equal(ours.ppf(q), theirs.ppf(q))
    assert ours.ppf(0.16) == theirs.ppf(0.16)
    x = np.concatenate([theirs.ppf(q[1:-2]), [-1e9, 1e9]])
    np.testing.assert_allclose(ours.cdf(x), theirs.cdf(x), rtol=1e-15)
    np.testing.assert_array_equal(ours.logpdf(x), theirs.logpdf(x))  # asks scipy's
    a, b = Prior("a", ours), Prior("a", theirs)
    assert (a.describe(), a.support, a.own, a.closed) == (b.describe(), b.support, False, True)
    np.testing.assert_array_equal(a.logpdf_array(x), b.logpdf_array(x))
    assert [a.logpdf(v) for v in x] == [b.logpdf(v) for v in x]


def test_they_travel():
    for distribution in (stats.norm(1, 2), stats.loguniform(1, 2)):
        for copied in (
            pickle.loads(pickle.dumps(distribution)),
            dill.loads(dill.dumps(distribution)),
            copy.deepcopy(distribution),
        ):
            assert copied == distribution
            assert copied.ppf(0.3) == distribution.ppf(0.3)


def test_other_names_are_scipys_own():
    assert stats.gamma is scipy.stats.gamma
    assert stats.norm(1, 2).interval(0.5) == scipy.stats.norm(1, 2).interval(0.5)
    with pytest.raises(AttributeError, match="gauss"):
        stats.gauss  # noqa: B018


@pytest.mark.parametrize(
    ("prior", "text"),
    [
        (stats.uniform(0, -1), r"stats.uniform\(0, -1\), is not a distribution"),
        (stats.norm(np.nan), "is not a distribution"),
        (stats.norm(0, np.inf), "is not a distribution"),
        (stats.loguniform(0, 1), "is not a distribution"),
        (stats.loguniform(2, 1), "is not a distribution"),
        (stats.uniform([0, 1], 1), "array parameters: give one distribution per parameter"),
        (stats.norm("a"), "array parameters"),
        (stats.uniform, "is the family uniform, not a distribution: call it"),
    ],
)
def test_what_is_no_prior_is_refused(prior, text):
    with pytest.raises(ModelError, match=text):
        Prior("a", prior)


def test_the_line_starts_without_scipy_stats():
    code = (
        "import sys, numpy as np\nfrom pmcmc import Problem\np = Problem.load('line')\n"
        "p.probe(); p.evaluate(np.zeros((3, 3)))\n"
        "loaded = [m for m in sys.modules if m in ('scipy.stats', 'scipy.optimize', 'emcee')]\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_has_the_draws_of_scipys_priors():
    def log_likelihood(t):
        return -0.5 * float(t @ t)

    chains = []
    for library in (stats, scipy.stats):
        priors = {"a": library.uniform(-3, 5), "b": library.norm(0.1, 9)}
        problem = pmcmc.Problem(log_likelihood=log_likelihood, parameters=priors)
        result = pmcmc.run(problem, nsteps=20, burnin=5, nwalkers=8, nensembles=2, seed=1)
        chains.append(result.get_chain())
    np.testing.assert_array_equal(*chains)
