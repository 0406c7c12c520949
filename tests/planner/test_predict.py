"""From shapes to wall times: what is known by hand, and which shape wins."""

import pytest

from pmcmc.diagnostics.stopping import CHECKS
from pmcmc.planner.choose import choose, most_ranks_worth
from pmcmc.planner.costs import Batches, CallCost, SystemCost, lognormal
from pmcmc.planner.predict import Predictor, Shape
from pmcmc.planner.steps import Length, expected_tau, length_of

IDLE = SystemCost(latency=0, message=0, look=0, batch=0, walker=0, commit=0)


def predictor(cost=0.01, sd=0.0, system=IDLE):
    return Predictor(Batches(32), CallCost(lognormal(cost, sd)), system)


def test_work_over_ranks():
    found = predictor().predict(Shape(4, ((1, 1),) * 4), Length(100, 200, checks=False))
    assert found.seconds == pytest.approx(300 * 32 * 0.01)
    assert found.efficiency == pytest.approx(1.0)
    assert found.evaluations == 4 * 32 * 300
    assert found.core_hours == pytest.approx(4 * found.seconds / 3600)


def test_ranks_that_idle_count():
    found = predictor().predict(Shape(8, ((1, 1),) * 4), Length(100, 200, checks=False))
    assert found.efficiency == pytest.approx(0.5)


def test_teams_of_uneven_costs_wait_for_each_other_at_checks():
    length = Length(100, 1000)
    together = predictor(sd=0.01).predict(Shape(1, ((1, 1),)), length).seconds
    apart = predictor(sd=0.01).predict(Shape(16, ((1, 1),) * 16), length).seconds
    assert 1.01 * together < apart < 1.1 * together


def test_commits_of_many_ensembles_take_time():
    system = SystemCost(commit=4e-3, checkpoint=5.0)
    few = predictor(system=system).predict(Shape(4, ((1, 1),) * 4), Length(0, 100))
    many = predictor(system=system).predict(Shape(500, ((1, 1),) * 500), Length(0, 100))
    assert many.seconds > 1.3 * few.seconds


def test_the_best_shape_has_as_many_ensembles():
    wide, split = Shape(4, ((4, 4),)), Shape(4, ((1, 1),) * 4)
    quick = predictor(1e-5, system=SystemCost())
    found = choose(quick, wide, [split], Length(100, 100))
    assert found.best.shape == split
    assert found.better
    slow = predictor(1.0, system=SystemCost())
    assert not choose(slow, wide, [split], Length(100, 100)).better


def test_where_more_ranks_stop_paying():
    times = {1: 100.0, 2: 50.0, 4: 26.0, 8: 24.0, 16: 24.0}
    assert most_ranks_worth(times.__getitem__, [1, 2, 4, 8]) == 4
    assert most_ranks_worth(times.__getitem__, [1, 2]) is None


def test_enough_takes_50_tau_or_its_draws():
    found = length_of(tau=20, nwalkers=32, nensembles=4)
    assert found.steps >= 50 * 20
    assert found.burnin >= 40 * 20
    assert {found.steps, found.burnin} <= CHECKS
    more = length_of(tau=20, nwalkers=32, nensembles=4, target_ess=50_000)
    assert 1.2 * 50_000 / 128 * 20 >= more.steps >= 50_000 / 128 * 20
    given = length_of(tau=20, nwalkers=32, nensembles=4, burnin=7, steps=11)
    assert (given.burnin, given.steps, given.checks) == (7, 11, False)


def test_tau_grows_with_the_dimensions():
    assert expected_tau(1) == 5.0
    assert expected_tau(20) == pytest.approx(135, rel=0.1)
