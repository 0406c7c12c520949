"""Forecasts: of a run on other numbers of ranks, and what a doctor's report adds."""

from types import SimpleNamespace

import numpy as np
import pytest

import pmcmc
from pmcmc.mpi.timing import RankTimes, cost_of
from pmcmc.options import RunOptions
from pmcmc.planner.costs import CallCost, SystemCost
from pmcmc.prepare.forecast import Forecaster, on_other_ranks
from pmcmc.prepare.shape import make_plan
from pmcmc.sampler.moves import parse_moves

PROBLEM = pmcmc.Problem(lambda t: -float(t @ t), ["a", "b"], initial=[0.1, 0.2])


def times(ranks, wall, evaluations, each):
    """Return what ranks spent that evaluated one by one, each alike."""
    spent = evaluations * each
    one = RankTimes(
        "n1", wall, spent, 0.0, 0.0, evaluations, evaluations, spent, evaluations * each**2
    )
    return [one] * ranks


def setup(ranks, seconds=0.1, **given):
    options = RunOptions(**{"nsteps": 400, "burnin": 0, **given})
    plan = make_plan(
        ranks, nwalkers=32, nsteps=400, burnin=0, nensembles=given.get("nensembles"),
        seconds=seconds, mode=options.mode,
    )  # fmt: skip
    return SimpleNamespace(plan=plan, options=options, seconds=seconds)


def test_half_and_twice_the_ranks():
    found = on_other_ranks(PROBLEM, setup(4), parse_moves("auto"), times(4, 340.0, 3200, 0.1))
    assert [ranks for ranks, _ in found] == [2, 8]
    assert found[0][1] == pytest.approx(680, rel=0.05)
    assert found[1][1] == pytest.approx(170, rel=0.1)


def test_twice_the_ranks_of_one():
    found = on_other_ranks(PROBLEM, setup(1), parse_moves("auto"), times(1, 1300.0, 12800, 0.1))
    assert [ranks for ranks, _ in found] == [2]


def test_more_ranks_than_there_is_work_for():
    found = on_other_ranks(PROBLEM, setup(64), parse_moves("stretch"), times(64, 21.0, 200, 0.1))
    assert dict(found)[128] == pytest.approx(21.0, rel=0.15)


def test_a_short_run_says_nothing():
    assert not on_other_ranks(PROBLEM, setup(4), parse_moves("auto"), times(4, 5.0, 800, 0.005))


def test_the_draws_are_the_same_ones():
    """In split, twice the ranks would have twice the ensembles by themselves."""
    found = on_other_ranks(
        PROBLEM, setup(4, mode="split"), parse_moves("stretch"), times(4, 340.0, 3200, 0.1)
    )
    assert dict(found)[8] == pytest.approx(170, rel=0.1)


def test_mean_and_spread_of_the_cost():
    rng = np.random.default_rng(1)
    ranks = []
    for _ in range(4):
        drawn = [rng.gamma(4.0, 0.005, size=n) for n in rng.integers(1, 20, size=500)]
        took = [float(d.sum()) for d in drawn]
        ranks.append(
            RankTimes(
                "n", 1.0, sum(took), 0.0, 0.0, sum(map(len, drawn)), len(drawn), sum(took),
                sum(s * s / len(d) for s, d in zip(took, drawn, strict=True)),
            )
        )  # fmt: skip
    mean, sd = cost_of(ranks)
    assert mean == pytest.approx(0.02, rel=0.03)
    assert sd == pytest.approx(0.01, rel=0.1)
    assert np.isnan(cost_of([RankTimes("n", 1.0, 0.0, 0.0, 0.0, 0)])[0])


def test_a_forecast_has_the_plan_of_a_run():
    forecaster = Forecaster(PROBLEM, RunOptions(), CallCost((0.02,)), SystemCost())
    found = forecaster.forecast(16)
    assert found.plan.nensembles == 4
    assert found.plan.open_ended
    assert found.choice.own.efficiency > 0.8
    row = 32 * 8 * 3
    assert found.file_bytes == pytest.approx(4 * found.choice.own.length.total * row, rel=0.05)
    asked = Forecaster(PROBLEM, RunOptions(until_ess=50_000), CallCost((0.02,)), SystemCost())
    assert asked.forecast(16).choice.own.length.steps > found.choice.own.length.steps
