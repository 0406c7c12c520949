"""The start "map": optima that ensembles find, their masses, and where each ensemble begins."""

import json

import numpy as np
import pytest
from scipy import stats

import pmcmc
from pmcmc.model.periodic import Circles
from pmcmc.sampler.climb import NormalScale
from pmcmc.sampler.optima import Optimum, Pool, pool_optima
from pmcmc.sampler.rng import streams
from pmcmc.sampler.search import MapSearch, search_alone, search_evaluations, search_widely

NONE = Circles({}, ["a", "b"])
WIDE = {"x": stats.uniform(-20, 40), "y": stats.uniform(-20, 40)}


def optimum(theta, log_mass, sd=0.1, log_prob=None, found=1):
    n = len(theta)
    return Optimum(
        tuple(theta), log_mass if log_prob is None else log_prob, log_mass, (sd,) * n, (sd,) * n,
        found,
    )  # fmt: skip


def two_modes(theta):
    here = -0.5 * ((theta - 6) ** 2).sum() / 0.25
    there = -0.5 * ((theta + 6) ** 2).sum() / 0.25
    return float(np.logaddexp(np.log(2) + here, there))


def test_the_same_optimum_counts_once():
    found = {
        0: [optimum((0.0, 1.0), 5.0)],
        1: [optimum((0.1, 1.1), 5.1), optimum((9.0, 1.0), 0.0)],
    }
    pool = pool_optima(found, NONE)
    assert [one.theta for one in pool.optima] == [(0.1, 1.1), (9.0, 1.0)]
    assert [one.found for one in pool.optima] == [2, 1]
    assert pool.weights == pytest.approx((1 / (1 + np.exp(-5.1)), 1 / (1 + np.exp(5.1))))
    assert not pool.is_plain
    more = {2: [optimum((0.0, 1.0), 5.0, found=3)], **found}
    assert pool_optima(more, NONE).is_plain
    assert pool == pool_optima(dict(reversed(found.items())), NONE)


def test_an_optimum_without_mass_gets_no_ensemble():
    pool = pool_optima({0: [optimum((0.0, 0.0), 0.0), optimum((5.0, 0.0), -8.0)]}, NONE)
    assert pool.weights == (1.0, 0.0)
    rng = np.random.default_rng(1)
    assert {pool.draw(rng).theta for _ in range(50)} == {(0.0, 0.0)}


def test_a_wide_low_optimum_beside_a_narrow_high_one():
    wide, narrow = optimum((0.0, 0.0), 3.0, log_prob=0.0), optimum((5.0, 0.0), 0.0, log_prob=10.0)
    assert pool_optima({0: [narrow], 1: [wide]}, NONE).optima[0] == wide


def test_one_optimum_on_both_sides_of_a_seam():
    circles = Circles({"b": (0.0, 1.0)}, ["a", "b"])
    found = {0: [optimum((0.0, 0.02), 0.0)], 1: [optimum((0.0, 0.98), 0.0)]}
    assert len(pool_optima(found, circles).optima) == 1
    assert len(pool_optima(found, NONE).optima) == 2


@pytest.mark.parametrize("more", [-1e-9, 0.0, 1e-9])
def test_last_digits_do_not_order_modes_that_are_alike(more):
    """Else ensembles would begin at the other one on another kind of CPU."""
    here, there = optimum((more, 5.0), 1.0 + more), optimum((0.0, -5.0), 1.0)
    assert pool_optima({0: [here], 1: [there]}, NONE).optima == (there, here)


def test_searches_that_mostly_end_elsewhere_are_not_plain():
    found = {0: [optimum((0.0, 0.0), 9.0), optimum((5.0, 0.0), 0.0), optimum((8.0, 0.0), 0.0)]}
    assert not pool_optima(found, NONE).is_plain


def test_the_mass_of_a_normal_posterior():
    cov = np.array([[2.0, 0.9], [0.9, 0.5]]) * 0.04
    inverse = np.linalg.inv(cov)
    problem = pmcmc.Problem(
        parameters=WIDE, log_likelihood=lambda t: float(-0.5 * (t - 1) @ inverse @ (t - 1))
    )
    problem.probe()
    pool = search_alone(problem, 32, np.random.default_rng(1), problem.evaluate)
    (one,) = pool.optima
    assert one.found == 3
    exact = 0.5 * np.linalg.slogdet(2 * np.pi * cov)[1] - 2 * np.log(40)
    assert one.log_mass == pytest.approx(exact, abs=0.1)
    np.testing.assert_allclose(one.sd, np.sqrt(np.diag(cov)), rtol=0.1)


def test_two_modes_are_found_with_their_masses():
    problem = pmcmc.Problem(parameters=WIDE, log_likelihood=two_modes)
    problem.probe()
    found = {}
    for e in range(8):
        search = MapSearch(problem, 32, streams(1, e)[0], problem.evaluate)
        search.go_on()
        found[e] = search.found
    pool = pool_optima(found, NONE)
    np.testing.assert_allclose(pool.weights, (2 / 3, 1 / 3), atol=0.02)
    np.testing.assert_allclose([one.theta for one in pool.optima], [(6, 6), (-6, -6)], atol=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_both_of_two_modes_are_seen_over_16_ensembles(seed):
    problem = pmcmc.Problem(parameters=WIDE, log_likelihood=two_modes)
    result = pmcmc.run(problem, nensembles=16, nsteps=16, burnin=0, seed=seed)
    right = (result.get_chain()[:, 0, :, 0] > 0).all(axis=1).sum()
    left = (result.get_chain()[:, 0, :, 0] < 0).all(axis=1).sum()
    assert right + left == 16
    assert right >= 3
    assert left >= 1
    told = json.loads(result.reader.header.origin["start"])["optima"]
    assert [round(one["weight"], 1) for one in told] == [0.7, 0.3]


def test_a_phase_has_no_edge_where_a_search_ends():
    problem = pmcmc.Problem(
        parameters={"phase": pmcmc.periodic(0, 2 * np.pi)},
        log_likelihood=lambda t: 50 * np.cos(t[0] + 0.3),
    )
    problem.probe()
    scale = NormalScale(problem)
    theta = np.array([[0.1], [3.0], [6.2]])
    np.testing.assert_allclose(scale.theta(scale.z(theta)), theta)
    for seed in range(4):
        pool = search_alone(problem, 8, np.random.default_rng(seed), problem.evaluate)
        assert pool.optima[0].theta[0] == pytest.approx(2 * np.pi - 0.3, abs=0.01)
        assert len(pool.optima) == 1


def test_the_mass_of_a_mode_near_a_bound():
    """Correlations count also where one parameter's bound is nearer than its width."""
    cov = np.array([[1.0, 0.95, 0.0], [0.95, 1.0, 0.0], [0.0, 0.0, 1.0]]) * 0.01
    inverse, middle = np.linalg.inv(cov), np.array([1.0, 1.0, 0.05])
    priors = {"a": stats.uniform(-5, 10), "b": stats.uniform(-5, 10), "c": stats.uniform(0, 5)}
    problem = pmcmc.Problem(
        parameters=priors,
        log_likelihood=lambda t: float(-0.5 * (t - middle) @ inverse @ (t - middle)),
    )
    problem.probe()
    one = search_alone(problem, 32, np.random.default_rng(1), problem.evaluate).optima[0]
    exact = 0.5 * np.linalg.slogdet(2 * np.pi * cov)[1] - np.log(10 * 10 * 5)
    assert one.log_mass == pytest.approx(exact, abs=0.3)


def test_a_wide_search_that_finds_nothing_adds_nothing():
    def nowhere(theta):
        return 0.0 if abs(theta[0] - 3.0) < 1e-9 else -np.inf

    problem = pmcmc.Problem(parameters=WIDE, log_likelihood=nowhere)
    draws = np.random.default_rng(1).uniform(-10, 0, (40, 2))
    problem.returns.infer_from(0.0)
    assert search_widely(problem, draws, np.random.default_rng(1), problem.evaluate) == []


def test_a_pool_is_read_as_it_was_written():
    pool = pool_optima({0: [optimum((0.0, 0.0), 0.0), optimum((5.0, 0.0), -1.0)]}, NONE)
    assert Pool.read(pool.record(True)) == (pool, True)
    for text in ("", "[]", "{}", '{"wide": 1, "optima": []}', '{"wide": true, "optima": [1]}'):
        assert Pool.read(text) is None


# ---- an orbit with a wide prior of its period


def anomaly(mean, e):
    E = mean + e * np.sin(mean)
    for _ in range(8):
        E = E - (E - e * np.sin(E) - mean) / (1 - e * np.cos(E))
    return 2 * np.arctan2(np.sqrt(1 + e) * np.sin(E / 2), np.sqrt(1 - e) * np.cos(E / 2))


def velocity(t, log_period, K, h, k, M0, offset):
    e, omega = h * h + k * k, np.arctan2(k, h)
    nu = anomaly(2 * np.pi * t / np.exp(log_period) + M0, e)
    return offset + K * (np.cos(nu + omega) + e * np.cos(omega))


def orbit(seed):
    rng = np.random.default_rng(seed)
    period = rng.uniform(20, 60)
    t = np.sort(rng.uniform(0, 300, 40))
    h, k = 0.5 * rng.uniform(-1, 1, 2)
    truth = np.log(period), rng.uniform(15, 40), h, k, rng.uniform(0, 2 * np.pi), 3.0
    rv = velocity(t, *truth) + rng.normal(0, 3, 40)

    def log_likelihood(theta):
        if theta[2] ** 2 + theta[3] ** 2 >= 0.9:
            return -np.inf
        variance = 9.0 + np.exp(2 * theta[6])
        return -0.5 * np.sum((rv - velocity(t, *theta[:6])) ** 2 / variance + np.log(variance))

    priors = {
        "log_period": stats.uniform(np.log(2), np.log(250)),  # 2 to 500 days
        "K": stats.uniform(0, 100),
        "h": stats.uniform(-1, 2),
        "k": stats.uniform(-1, 2),
        "M0": pmcmc.periodic(0, 2 * np.pi),
        "offset": stats.norm(0, 20),
        "log_jitter": stats.norm(0, 1),
    }
    return pmcmc.Problem(parameters=priors, log_likelihood=log_likelihood), truth


@pytest.mark.slow
def test_all_ensembles_of_an_orbit_begin_at_the_right_period():
    right = 0
    for seed in range(20):
        problem, truth = orbit(seed)
        result = pmcmc.run(problem, nsteps=4, burnin=0, seed=seed)
        right += np.abs(result.get_chain()[..., 0] - truth[0]).max() < 0.05
    assert right >= 19


@pytest.mark.parametrize("ndim", [1, 2, 5, 10])
def test_a_search_takes_about_what_is_told(ndim):
    problem = pmcmc.Problem(
        log_likelihood=lambda t: -float((100 * (t[1:] - t[:-1] ** 2) ** 2).sum() + (t**2).sum()),
        parameters={f"p{i}": stats.norm(0, 3) for i in range(ndim)},
        initial="map",
    )
    taken = [0]

    def evaluate(rows):
        taken[-1] += len(rows)
        return problem.evaluate(rows)

    told = search_evaluations(problem, 64)
    search = MapSearch(problem, 64, np.random.default_rng(1), evaluate)
    search.go_on()
    taken.append(0)
    search.go_on()
    assert 0.1 < taken[0] / told[0] < 2.5  # a long valley takes most
    assert taken[1] < 1.1 * told[1]
    plain = pmcmc.Problem(lambda t: -float(t @ t), ["a"], initial=[0.0])
    assert search_evaluations(plain, 64) == (0, 0)
