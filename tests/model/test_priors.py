"""Priors equal scipy's logpdf; what is no prior is refused."""

import contextlib

import dill
import numpy as np
import pytest
from scipy import stats
from scipy.stats._distr_params import distcont  # what scipy's own tests try

from pmcmc.errors import ModelError
from pmcmc.model.priors import _FORMS, Prior

CLOSED = [
    stats.uniform(-5, 5.5),
    stats.uniform(loc=1e3, scale=1e-3),
    stats.norm(1, 2.5),
    stats.halfnorm(-1, 3),
    stats.truncnorm(-1, 2, 0.5, 2),
    stats.truncnorm(2, np.inf),
    stats.truncnorm(-np.inf, -3),
    stats.truncnorm(8, 12),
    stats.loguniform(1e-3, 10),
    stats.reciprocal(2, 7, 1, 3),
    stats.lognorm(0.7, 1, 2),
    stats.expon(2, 3),
    stats.gamma(0.5),
    stats.gamma(1, 0, 2),
    stats.gamma(3.2, 1, 2),
    stats.invgamma(2.5, 0, 3),
    stats.beta(0.5, 0.5),
    stats.beta(1, 1),
    stats.beta(1, 3),
    stats.beta(3, 1),
    stats.beta(2, 3.5, -1, 4),
    stats.cauchy(1, 2),
    stats.halfcauchy(0, 2.5),
    stats.t(3, 1, 2),
    stats.laplace(1, 2),
    stats.logistic(-1, 0.5),
]


class Ramp(stats.rv_continuous):
    """A user's own family, density 2x on [0, 1]."""

    def _pdf(self, x):
        return 2 * x


OTHERS = [
    stats.weibull_min(1.5, 1, 2),
    stats.skewnorm(4),
    stats.triang(0.3),
    stats.t(np.inf),
    Ramp(a=0, b=1, name="norm")(),  # the name of a closed form, but not that form
]


def points(frozen):
    lo, hi = frozen.support()
    inside = frozen.ppf([1e-9, 0.01, 0.2, 0.5, 0.7, 0.99, 1 - 1e-9])
    around = np.array([lo, hi, lo - 1e-9, lo - 3, hi + 1e-9, hi + 3])
    return np.concatenate([inside, around[np.isfinite(around)]])


def label(frozen):
    return f"{frozen.dist.name}{frozen.args}"


@pytest.mark.parametrize("frozen", [*CLOSED, *OTHERS], ids=label)
def test_log_density_is_that_of_scipy(frozen):
    prior, x = Prior("a", frozen), points(frozen)
    expected = frozen.logpdf(x)
    scalars = [prior.logpdf(v) for v in x.tolist()]
    np.testing.assert_allclose(scalars, expected, rtol=1e-13)
    np.testing.assert_allclose(prior.logpdf_array(x), expected, rtol=1e-13)
    assert {type(v) for v in scalars} == {float}


def test_every_closed_form_is_tried_and_used():
    priors = [Prior("a", frozen) for frozen in CLOSED]
    assert all(p.closed for p in priors)
    names = {p.frozen.dist.name.replace("reciprocal", "loguniform") for p in priors}
    assert names == set(_FORMS)
    assert not any(Prior("a", frozen).closed for frozen in OTHERS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (stats.norm, r"is the family norm.*stats\.norm\(0, 1\)"),
        (stats.poisson(3), "expected a frozen continuous scipy.stats distribution"),
        (stats.multivariate_normal([0, 0]), "expected a frozen continuous"),
        (3.0, r"the prior of slope is 3\.0: expected a frozen continuous"),
        ((0, 1), "expected a frozen continuous"),
        (stats.norm(0, 0), "is not a distribution"),
        (stats.norm(0, -1), "is not a distribution"),
        (stats.uniform(5, -10), r"uniform\(5, -10\).*uniform\(lower, width\)"),
        (stats.gamma(-2), "is not a distribution"),
        (stats.norm(np.nan, 1), "is not a distribution"),
        (stats.norm([0, 1], 1), "array parameters: give one distribution per parameter"),
        (stats.norm(0, [1]), "array parameters"),
    ],
)
def test_what_is_no_prior_is_refused(given, message):
    with pytest.raises(ModelError, match=message) as caught:
        Prior("slope", given)
    assert "the prior of slope" in str(caught.value)


@pytest.mark.parametrize("frozen", [stats.lognorm(0.7, 1, 2), stats.skewnorm(4)], ids=label)
def test_dill_keeps_a_prior(frozen):
    prior = Prior("a", frozen)
    kept = dill.loads(dill.dumps(prior, recurse=True))
    assert (kept.name, kept.closed, kept.support) == (prior.name, prior.closed, prior.support)
    assert kept.logpdf(2.5) == prior.logpdf(2.5)
    x = points(frozen)
    np.testing.assert_array_equal(kept.logpdf_array(x), prior.logpdf_array(x))


def test_description_tells_distributions_apart():
    described = {Prior("a", f).describe() for f in (*CLOSED, *OTHERS)}
    assert len(described) == len(CLOSED) + len(OTHERS)
    assert Prior("a", stats.norm(scale=2)).describe() == "stats.norm(0, 2)"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # scipy integrates some numerically
def test_every_continuous_distribution_of_scipy():
    for family, shapes in distcont:
        family = getattr(stats, family) if isinstance(family, str) else family
        frozen = family(*shapes, loc=1.5, scale=2.0)
        prior, x = Prior("a", frozen), float(frozen.median())
        assert prior.logpdf(x) == pytest.approx(float(frozen.logpdf(x)), rel=1e-12), family.name
        assert prior.logpdf_array(np.array([x]))[0] == pytest.approx(prior.logpdf(x), rel=1e-12)
        draws = prior.frozen.rvs(size=3, random_state=np.random.default_rng(1))
        if family.name != "wrapcauchy":  # scipy's own draws of it leave its support
            assert (prior.logpdf_array(draws) > -np.inf).all(), family.name
        assert family.name in prior.describe()


def test_histograms_are_told_apart():
    made = [stats.rv_histogram((np.array(n), np.array([0, 1, 2])))() for n in ([1, 2], [1, 3])]
    first, second = (Prior("a", frozen).describe() for frozen in made)
    assert first != second
    assert first.startswith("stats.rv_histogram[2 bins, ")


def test_newer_distributions():
    new, old = stats.Normal(mu=1.0, sigma=2.0), Prior("a", stats.norm(1, 2))
    prior = dill.loads(dill.dumps(Prior("a", new)))
    assert prior.describe() == "stats.Normal(mu=1.0, sigma=2.0)"
    x = np.linspace(-3, 4, 9)
    np.testing.assert_allclose(prior.logpdf_array(x), old.logpdf_array(x))
    assert prior.logpdf(0.3) == pytest.approx(old.logpdf(0.3))
    draws = prior.frozen.rvs(size=5, random_state=np.random.default_rng(1))
    again = prior.frozen.rvs(size=5, random_state=np.random.default_rng(1))
    np.testing.assert_array_equal(draws, again)
    assert prior.frozen.std() == pytest.approx(2.0)
    assert prior.frozen.ppf(prior.frozen.cdf(0.7)) == pytest.approx(0.7)
    half = Prior("a", stats.truncate(new, 0, np.inf))
    with contextlib.suppress(ModelError):  # scipy 1.17 does not restore it, and that is said
        assert dill.loads(dill.dumps(half)).logpdf(1.0) == half.logpdf(1.0)
    assert half.support == (0.0, np.inf)
    assert half.logpdf(-1.0) == -np.inf
    for wrong in (stats.Normal(mu=[0, 1], sigma=1), stats.Binomial(n=3, p=0.2)):
        with pytest.raises(ModelError, match="expected a frozen continuous"):
            Prior("a", wrong)
