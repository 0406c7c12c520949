"""Where walkers begin: every form of `initial`."""

import numpy as np
import pytest
from scipy import stats

from pmcmc.errors import EvaluationError, ModelError
from pmcmc.model.problem import Problem
from pmcmc.sampler.ball import BALL
from pmcmc.sampler.initial import initial_walkers

PRIORS = {"a": stats.norm(0, 10), "b": stats.uniform(0, 1), "c": stats.lognorm(1.0)}
PEAK, WIDTH = np.array([1.5, 0.3, 2.0]), np.array([0.1, 0.01, 0.05])


def log_likelihood(theta):
    return float(-0.5 * np.sum(((theta - PEAK) / WIDTH) ** 2))


def start(problem, nwalkers, seed=1):
    return initial_walkers(problem, nwalkers, np.random.default_rng(seed), problem.evaluate)[0]


def plain(initial, log_prob=lambda t: -0.5 * float(t @ t)):
    return Problem(log_prob, ["a", "b", "c"], initial=initial)


def with_priors(initial=None, log_likelihood=log_likelihood, **more):
    return Problem(parameters=PRIORS, log_likelihood=log_likelihood, initial=initial, **more)


def test_a_centre_becomes_a_small_ball():
    centre = np.array([1000.0, 0.5, 0.0])
    walkers = start(plain(centre), 400)
    assert walkers.shape == (400, 3)
    width = BALL * np.array([1000.0, 1.0, 1.0])
    np.testing.assert_allclose(walkers.mean(axis=0), centre, rtol=0, atol=5 * width[0] / 20)
    np.testing.assert_allclose(walkers.std(axis=0), width, rtol=0.2)  # 5 standard errors


def test_walkers_are_taken_as_they_are():
    given = np.random.default_rng(3).normal(size=(8, 3))
    problem = plain(given)
    walkers = start(problem, 8)
    np.testing.assert_array_equal(walkers, given)
    walkers[:] = 0
    np.testing.assert_array_equal(problem.initial, given)


def test_a_function_gets_the_number_of_walkers_and_the_stream():
    walkers = start(plain(lambda nwalkers, rng: rng.normal(size=(nwalkers, 3)).tolist()), 10)
    np.testing.assert_array_equal(walkers, np.random.default_rng(1).normal(size=(10, 3)))


def test_prior_draws_the_priors_in_order():
    rng = np.random.default_rng(1)
    expected = [p.rvs(size=12, random_state=rng) for p in PRIORS.values()]
    np.testing.assert_array_equal(start(with_priors("prior"), 12), np.transpose(expected))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("initial", [None, "map"])
def test_map_finds_the_maximum_and_the_local_width(initial, seed):
    walkers = start(with_priors(initial), 400, seed)
    # the priors pull the peak by less than 0.05 widths; 5 standard errors of the mean are 0.25
    np.testing.assert_allclose((walkers.mean(axis=0) - PEAK) / WIDTH, 0, atol=0.3)
    np.testing.assert_allclose(walkers.std(axis=0) / WIDTH, 1, atol=0.5)


def test_map_climbs_the_density_of_the_posterior_not_of_a_transform():
    problem = Problem(
        parameters={"c": stats.gamma(9.0)}, log_likelihood=lambda t: 0.0, initial="map"
    )
    walkers = start(problem, 400)
    assert abs(walkers.mean() - 8.0) < 0.8  # the mode; in the normal scale it would be 8.67
    np.testing.assert_allclose(walkers.std(), np.sqrt(8.0), rtol=0.5)


def test_map_takes_the_higher_of_two_peaks():
    def two_peaks(theta):
        low = -0.5 * np.sum(((theta - PEAK + [20, 0, 0]) / WIDTH) ** 2)
        return float(np.logaddexp(log_likelihood(theta), low - 50))

    for seed in range(5):
        assert start(with_priors("map", two_peaks), 64, seed)[:, 0].mean() > 1


def test_map_with_a_peak_at_the_edge_of_a_prior():
    problem = with_priors("map", lambda t: 5.0 * float(t[1]))
    walkers = start(problem, 64)
    assert (problem.evaluate(walkers).log_prob > -np.inf).all()
    assert walkers[:, 1].mean() > 0.7


OTHER_DIGITS = {
    "map": lambda log_prob: with_priors("map", log_prob),
    "centre": lambda log_prob: plain(np.zeros(3), lambda t: 1e9 * log_prob(t + PEAK)),
}


@pytest.mark.parametrize("form", OTHER_DIGITS)
@pytest.mark.parametrize("seed", range(5))
def test_walkers_are_the_same_where_log_prob_has_other_last_digits(form, seed):
    """As on another kind of CPU, so that a run on unlike hosts has the draws of one host."""

    def other_digits(theta):
        up = int(abs(float(theta.sum())) * 1e9) % 3 - 1
        return log_likelihood(theta) * (1 + 4 * up * np.finfo(float).eps)

    one, other = (start(OTHER_DIGITS[form](f), 32, seed) for f in (log_likelihood, other_digits))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("edge", [1.4999, 1.5001, 1.53, 1.57])
def test_map_at_an_edge_of_the_likelihood(edge):
    def cut(theta):
        return log_likelihood(theta) + 100 * (theta[0] - 1) if theta[0] <= edge else -np.inf

    walkers = start(with_priors("map", cut), 64)
    assert (walkers[:, 0] <= edge).all()
    assert walkers[:, 0].mean() > edge - 0.1


STOCHASTIC = {
    "centre": lambda: plain([1.0, 2.0, 3.0]),
    "function": lambda: plain(lambda n, rng: rng.normal(size=(n, 3))),
    "prior": lambda: with_priors("prior"),
    "map": lambda: with_priors("map"),
}


@pytest.mark.parametrize("form", STOCHASTIC)
def test_a_start_depends_on_its_stream_alone(form):
    one, again = start(STOCHASTIC[form](), 16), start(STOCHASTIC[form](), 16)
    np.testing.assert_array_equal(one, again)
    other = start(STOCHASTIC[form](), 16, seed=2)
    assert not np.isin(other, one).any()


@pytest.mark.parametrize("form", STOCHASTIC)
def test_a_start_does_not_touch_global_random_numbers(form):
    before = np.random.get_state()
    start(STOCHASTIC[form](), 16)
    np.testing.assert_equal(np.random.get_state(), before)


@pytest.mark.parametrize(
    "problem",
    [
        plain([0.0, 0.0, 0.0], lambda t: -float(t[0]) if t[0] >= 0 else -np.inf),
        with_priors([1.0, 1.0, 1.0], lambda t: 0.0),
        with_priors("map", lambda t: 0.0 if t[0] > 1 else -np.inf),
    ],
    ids=["centre on an edge", "centre on an edge of a prior", "map"],
)
def test_a_ball_has_no_walker_where_log_prob_is_minus_infinity(problem):
    walkers = start(problem, 40)
    assert np.isfinite(problem.evaluate(walkers).log_prob).all()
    assert len(np.unique(walkers[:, 0])) == 40


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_centre_in_a_corner_of_the_support_is_a_start_for_every_seed(seed):
    problem = plain([0.0, 0.0, 0.0], lambda t: 0.0 if (t >= 0).all() else -np.inf)
    assert (start(problem, 32, seed) >= 0).all()


def test_a_centre_amid_minus_infinity_is_refused():
    problem = plain([1.0, 2.0, 3.0], lambda t: -np.inf)
    with pytest.raises(
        EvaluationError, match=r"-inf at the start.*\n.*a = 1\.0, b = 2\.0, c = 3\.0"
    ):
        start(problem, 8)


def test_map_without_a_finite_draw_is_refused():
    problem = with_priors("map", lambda t: -np.inf)
    with pytest.raises(EvaluationError, match="-inf at all of 8 draws from the priors"):
        start(problem, 8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda n: np.zeros((n, 2)), r"initial\(8, rng\) returned shape \(8, 2\)"),
        (lambda n: np.zeros((n - 1, 3)), r"returned shape \(7, 3\)"),
        (lambda n: np.zeros(3), r"returned shape \(3,\)"),
        (lambda n: 1.0, "returned one number"),
        (lambda n: None, r"expected finite numbers of shape \(8, 3\)"),
        (lambda n: np.full((n, 3), np.nan), "returned values that are not finite"),
        (lambda n: [[1.0], [1.0, 2.0]], r"expected finite numbers of shape \(8, 3\)"),
        (lambda n: "walkers", r"expected finite numbers of shape \(8, 3\)"),
    ],
    ids=["ndim", "nwalkers", "one walker", "number", "None", "NaN", "ragged", "text"],
)
def test_a_function_that_returns_no_walkers_is_refused(given, message):
    with pytest.raises(ModelError, match=message):
        start(plain(lambda nwalkers, rng: given(nwalkers)), 8)


def test_walkers_of_another_number_are_refused():
    with pytest.raises(ModelError, match="initial has 8 walkers, but nwalkers is 10"):
        start(plain(np.random.default_rng(3).normal(size=(8, 3))), 10)


LINE = np.outer(np.arange(8.0), [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    "walkers",
    [np.ones((8, 3)), LINE, np.random.default_rng(1).normal(size=(8, 3)) * [1, 1, 0]],
    ids=["one point", "a line", "a plane"],
)
@pytest.mark.parametrize("form", ["array", "function"])
def test_walkers_that_do_not_span_the_space_are_refused(walkers, form):
    problem = plain(walkers if form == "array" else lambda n, rng: walkers)
    with pytest.raises(ModelError, match="do not span the parameter space"):
        start(problem, 8)


@pytest.mark.parametrize("form", ["prior", "function"])
def test_walkers_at_minus_infinity_are_drawn_again(form):
    table = {"a": stats.norm(0, 1), "b": stats.uniform(0, 1)}

    def half(theta):
        return -np.inf if theta[0] < 0 else -theta[0]

    def mine(nwalkers, rng):
        return np.stack([p.rvs(nwalkers, random_state=rng) for p in table.values()], axis=1)

    problem = Problem(
        log_likelihood=half, parameters=table, initial="prior" if form == "prior" else mine
    )
    found = start(problem, 16)
    assert (found[:, 0] > 0).all()
    np.testing.assert_array_equal(found, start(problem, 16))
    nowhere = Problem(log_likelihood=lambda t: -np.inf, parameters=table, initial=problem.initial)
    with pytest.raises(
        EvaluationError, match="at 16 of 16 starting walkers, and at as many again"
    ):
        start(nowhere, 16)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6, 1e12])
@pytest.mark.parametrize("centre", [0.0, 0.5, 1e3])
def test_a_ball_fits_the_scale_of_each_parameter(scale, centre):
    scales = np.array([scale, 1.0])
    at = np.array([centre * scale, 0.0])
    problem = Problem(
        lambda t: -0.5 * float((((t - at) / scales) ** 2).sum()), ["a", "b"], initial=at
    )
    calls = []

    def evaluate(rows):
        calls.append(len(rows))
        return problem.evaluate(rows)

    walkers, _ = initial_walkers(problem, 32, np.random.default_rng(1), evaluate)
    spread = walkers.std(axis=0) / scales
    assert (spread < 3).all()
    assert (spread > 1e-7).all()
    assert sum(calls) < 150
