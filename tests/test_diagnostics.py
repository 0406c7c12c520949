"""Figures of draws against emcee's and ArviZ's own on the same arrays, and known answers."""

import emcee
import numpy as np
import pytest
from arviz_stats.base import array_stats

from pmcmc import diagnostics


def ar1(rng, steps, walkers, rho, mean=0.0):
    """Return walkers of an autoregression with variance 1, (step, walker)."""
    x = np.empty((steps, walkers))
    x[0] = rng.normal(size=walkers)
    for t in range(1, steps):
        x[t] = rho * x[t - 1] + np.sqrt(1 - rho**2) * rng.normal(size=walkers)
    return x + mean


@pytest.fixture
def chains(rng):
    return [ar1(rng, n, 6, 0.8) for n in (3000, 3000, 2999)]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_tau_is_emcee_s_averaged_over_ensembles(chains):
    expected = np.mean([emcee.autocorr.integrated_time(c, tol=0)[0] for c in chains])
    assert diagnostics.autocorrelation_time(chains) == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(1.8 / 0.2, rel=0.15)  # (1 + rho) / (1 - rho)


def test_tail_time_is_the_longer_of_both_indicators(chains):
    flat = np.concatenate([c.ravel() for c in chains])
    expected = []
    for level in (0.05, 0.95):
        below = [(c <= np.quantile(flat, level)).astype(float) for c in chains]
        expected.append(np.mean([emcee.autocorr.integrated_time(b, tol=0)[0] for b in below]))
    assert diagnostics.tail_time(chains) == pytest.approx(max(expected), rel=1e-12)


def test_tail_time_leaves_out_walkers_that_never_crossed(rng):
    chain = ar1(rng, 3000, 6, 0.5)
    still = np.zeros((3000, 1))
    alone, both = (diagnostics.tail_time([c]) for c in (chain, np.hstack([chain, still])))
    assert both == pytest.approx(alone, rel=0.2)
    assert np.isnan(diagnostics.tail_time([np.zeros((50, 3))]))


def test_r_hat_is_arviz_s_of_ensembles(chains):
    stacked = np.stack([c[:2999].ravel() for c in chains])
    expected = array_stats.rhat(stacked, method="rank")
    assert diagnostics.r_hat(chains) == pytest.approx(expected, rel=1e-12)
    assert expected < 1.01


def test_r_hat_sees_ensembles_that_differ_in_place_or_width(rng):
    a, b = (ar1(rng, 500, 4, 0.5) for _ in range(2))
    assert diagnostics.r_hat([a, b]) < 1.01
    assert diagnostics.r_hat([a, b + 1]) > 1.1
    assert diagnostics.r_hat([a, 3 * b]) > 1.1


@pytest.mark.parametrize("count", [1, 0])
def test_no_r_hat_without_several_ensembles(rng, count):
    assert np.isnan(diagnostics.r_hat([rng.normal(size=(50, 4))] * count))


def test_no_r_hat_of_few_steps_or_constants():
    assert np.isnan(diagnostics.r_hat([np.ones((3, 4)), np.zeros((3, 4))]))
    assert np.isnan(diagnostics.r_hat([np.ones((9, 4)), np.ones((9, 4))]))


@pytest.mark.parametrize(
    "chains", [[], [np.zeros((0, 4))], [np.zeros((1, 4))], [np.ones((9, 4))]], ids=str
)
def test_no_tau_of_chains_that_tell_nothing(chains):
    assert np.isnan(diagnostics.autocorrelation_time(chains))


def test_no_tau_where_one_walker_never_moved(rng):
    chain = rng.normal(size=(200, 4))
    chain[:, 2] = 1.0
    assert np.isnan(diagnostics.autocorrelation_time([chain]))


def test_effective_size():
    assert diagnostics.effective_size(1000, 4.0) == 250
    assert np.isnan(diagnostics.effective_size(1000, np.nan))


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
    assert values.min() > diagnostics.low_bound(np.split(values.reshape(-1, 8), 4))


def test_a_straggler_is_seen_and_a_lost_ensemble_does_not_hide_it(rng):
    values = [log_probs("normal 3", rng, 8000).reshape(-1, 8) for _ in range(4)]
    values[2] -= 1e6
    bound = diagnostics.low_bound(values)
    assert values[2].max() < bound < min(values[e].min() for e in (0, 1, 3))
    assert bound > -100
