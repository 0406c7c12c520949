"""Figures of draws against emcee's and ArviZ's own on the same arrays, and known answers."""

import emcee
import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy import stats

from fake_run import ar1
from pmcmc.diagnostics import estimators


@pytest.fixture
def chains(rng):
    return [ar1(rng, n, 6, 0.8) for n in (3000, 3000, 2999)]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_tau_is_emcee_s_but_about_the_mean_of_the_ensemble(chains):
    """As emcee's of one walker, and of walkers whose own means are all that of the ensemble."""
    one = chains[0][:, :1]
    assert estimators.autocorrelation_time(one) == pytest.approx(
        emcee.autocorr.integrated_time(one, tol=0)[0], rel=1e-12
    )
    centred = chains[0] - chains[0].mean(axis=0)
    centred /= centred.std(axis=0)
    expected = emcee.autocorr.integrated_time(centred, tol=0)[0]
    assert estimators.autocorrelation_time(centred) == pytest.approx(expected, rel=1e-12)
    assert estimators.autocorrelation_time(chains[0]) == pytest.approx(1.8 / 0.2, rel=0.15)


@pytest.mark.parametrize("at_once", [1, 2**21])
def test_tau_is_unbiased_at_50_tau(rng, monkeypatch, at_once):
    """And emcee's is not: 17 to 20% low."""
    monkeypatch.setattr(estimators, "_AT_ONCE", at_once)
    tau = 1.9 / 0.1
    runs = [ar1(rng, int(50 * tau), 32, 0.9) for _ in range(60)]
    found = np.mean([estimators.autocorrelation_time(c) for c in runs]) / tau
    emcees = np.mean([emcee.autocorr.integrated_time(c[:, :, None], tol=0)[0] for c in runs]) / tau
    assert 0.95 < found < 1.03
    assert emcees < 0.9


def test_a_trapped_walker_lengthens_tau(rng):
    chain = ar1(rng, 2000, 32, 0.9)
    apart = chain.copy()
    apart[:, 3] += 10
    scores, far = (estimators.normal_scores(c) for c in (chain, apart))
    tau, long = (estimators.autocorrelation_time(s) for s in (scores, far))
    assert tau < 25
    assert 2000 / long < 20
    assert np.abs(estimators.walker_offsets(scores, tau)).max() < 5
    assert np.argmax(np.abs(estimators.walker_offsets(far, tau))) == 3


@pytest.mark.parametrize("n", [2, 3, 127, 129, 500])
def test_autocorrelation_is_the_sum_over_rows_of_all_walkers(n, rng):
    chain = rng.normal(size=(n, 5)).cumsum(axis=0)
    centred = chain - chain.mean()
    sums = np.array([(centred[: n - k] * centred[k:]).sum() for k in range(n)])
    np.testing.assert_allclose(estimators.autocorrelation(chain), sums / sums[0], atol=1e-12)


def test_no_window_fits_walkers_that_never_mix(rng):
    """The window of emcee is 0 there, and its tau 1."""
    chain = rng.normal(size=(400, 8)) + 100 * (np.arange(8) < 4)
    function = estimators.autocorrelation(chain)
    assert emcee.autocorr.auto_window(2 * np.cumsum(function) - 1, 5) == 0
    assert 400 / estimators.integrated_time(function) < 2


def test_scores_are_the_normal_quantiles_of_ranks(rng):
    scores = estimators.normal_scores(rng.standard_cauchy(size=(500, 4)))
    assert scores.std() == pytest.approx(1, abs=0.01)
    assert stats.kstest(scores.ravel(), "norm").pvalue > 0.99
    tied = estimators.normal_scores(np.array([[1.0, 2.0], [2.0, 3.0]]))
    assert tied[0, 1] == tied[1, 0] == 0
    assert tied[0, 0] == pytest.approx(stats.norm.ppf(0.625 / 4.25))


def test_tail_times_are_those_of_the_indicators(chains):
    bounds = estimators.quantiles(chains, estimators.TAILS)
    expected = [
        estimators.autocorrelation_time((chains[1] <= bound).astype(float)) for bound in bounds
    ]
    assert estimators.tail_times(chains[1], bounds) == tuple(expected)
    assert np.isnan(estimators.tail_times(chains[1], [99.0])).all()


def test_r_hat_is_arviz_s_of_ensembles(chains):
    stacked = np.stack([c[:2999].ravel() for c in chains])
    expected = array_stats.rhat(stacked, method="rank")
    assert estimators.r_hat(chains) == pytest.approx(expected, rel=1e-12)
    assert expected < 1.01


def test_r_hat_sees_ensembles_that_differ_in_place_or_width(rng):
    a, b = (ar1(rng, 500, 4, 0.5) for _ in range(2))
    assert estimators.r_hat([a, b]) < 1.01
    assert estimators.r_hat([a, b + 1]) > 1.1
    assert estimators.r_hat([a, 3 * b]) > 1.1


@pytest.mark.parametrize("count", [1, 0])
def test_no_r_hat_without_several_ensembles(rng, count):
    assert np.isnan(estimators.r_hat([rng.normal(size=(50, 4))] * count))


def test_no_r_hat_of_few_steps_or_constants():
    assert np.isnan(estimators.r_hat([np.ones((3, 4)), np.zeros((3, 4))]))
    assert np.isnan(estimators.r_hat([np.ones((9, 4)), np.ones((9, 4))]))


@pytest.mark.parametrize("chain", [np.zeros((0, 4)), np.zeros((1, 4)), np.ones((9, 4))], ids=str)
def test_no_tau_of_a_chain_that_tells_nothing(chain):
    assert np.isnan(estimators.autocorrelation_time(chain))


def test_effective_size():
    assert estimators.effective_size(1000, 4.0) == 250
    assert np.isnan(estimators.effective_size(1000, np.nan))


# ---- which log_prob is too low to be the posterior's


def log_probs(kind, rng, n=400_000):
    if kind.startswith("normal"):
        return -0.5 * rng.chisquare(int(kind.split()[1]), size=n)
    if kind == "cauchy":
        return -np.log1p(rng.standard_cauchy(n) ** 2)
    if kind == "cauchy 20":
        x = rng.normal(size=(n // 10, 20)) / np.abs(rng.normal(size=(n // 10, 1)))
        return -10.5 * np.log1p((x**2).sum(axis=1))
    if kind == "funnel":
        v = rng.normal(0, 3, size=n)
        return -(v**2) / 18 - 4.5 * v - 0.5 * rng.chisquare(9, size=n)
    if kind == "weak mode":
        return -0.5 * rng.chisquare(2, size=n) - 12 * (rng.random(n) < 0.3)
    return np.zeros(n)


@pytest.mark.parametrize(
    "kind",
    ["normal 1", "normal 3", "normal 50", "cauchy", "cauchy 20", "funnel", "weak mode", "flat"],
)
def test_no_draw_of_a_posterior_is_taken_for_a_straggler(kind, rng):
    values = log_probs(kind, rng)
    assert values.min() > estimators.low_bound(np.split(values.reshape(-1, 8), 4))


def test_a_straggler_is_seen_and_a_lost_ensemble_does_not_hide_it(rng):
    values = [log_probs("normal 3", rng, 8000).reshape(-1, 8) for _ in range(4)]
    values[2] -= 1e6
    bound = estimators.low_bound(values)
    assert values[2].max() < bound < min(values[e].min() for e in (0, 1, 3))
    assert bound > -100
