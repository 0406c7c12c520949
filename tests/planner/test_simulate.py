"""Simulated teams: what is known by hand, and what the scheduler's own code decides."""

import pytest

from pmcmc.planner.costs import Batches, CallCost, SystemCost, lognormal
from pmcmc.planner.simulate import simulate

NOTHING = SystemCost(latency=0.0, message=0.0, look=0.0, batch=0.0, walker=0.0)
HALVES, QUARTERS = Batches(32), Batches(32, ((1.0, 4),))


def test_one_rank_takes_what_log_prob_takes():
    found = simulate(1, 3, HALVES, CallCost((0.01,)), NOTHING, steps=5)
    assert found.per_step == pytest.approx(3 * 32 * 0.01)
    assert found.work == pytest.approx(found.seconds)


@pytest.mark.parametrize(
    ("width", "batches", "rounds"), [(4, HALVES, 8), (16, HALVES, 2), (16, QUARTERS, 4)]
)
def test_equal_blocks_of_even_costs(width, batches, rounds):
    found = simulate(width, 1, batches, CallCost((0.01,)), NOTHING, "static", steps=5)
    assert found.per_step == pytest.approx(rounds * 0.01)
    assert found.demand == 0


def test_tasks_of_several_ensembles_fill_the_gaps():
    call = CallCost((0.01,))
    blocks = simulate(12, 4, HALVES, call, NOTHING, "static", steps=60)
    demand = simulate(12, 4, HALVES, call, NOTHING, "demand", steps=60)
    assert blocks.per_step == pytest.approx(4 * 2 * 2 * 0.01)  # 16 over 12 ranks: two rounds
    assert demand.per_step == pytest.approx(4 * 32 * 0.01 / 12, rel=0.05)
    assert simulate(12, 4, HALVES, call, NOTHING, steps=60).demand == 1.0


@pytest.mark.parametrize("schedule", ["static", "demand"])
def test_uneven_costs_wait_for_the_slowest(schedule):
    call = CallCost(lognormal(0.02, 0.02))
    found = simulate(16, 1, HALVES, call, NOTHING, schedule, steps=200)
    # the mean of the largest of 16 values of this cost is 3.3 of its mean, by simulation
    assert found.per_step == pytest.approx(2 * 3.3 * 0.02, rel=0.1)


def test_messages_cost_the_root_its_time():
    call = CallCost((1e-4,))
    free = simulate(64, 8, HALVES, call, NOTHING, "demand", steps=20)
    dear = simulate(64, 8, HALVES, call, SystemCost(), "demand", steps=20)
    assert dear.seconds > 3 * free.seconds
    # each evaluation is a message there and one back, of chunks of one
    assert dear.seconds > 20 * 8 * 32 * 2e-5


def test_a_vectorized_batch_is_cut_into_blocks():
    call = CallCost((1e-3,), row=1e-4)
    found = simulate(4, 1, HALVES, call, NOTHING, steps=5)
    assert found.per_step == pytest.approx(2 * (1e-3 + 4 * 1e-4))
    assert call.work(16) == pytest.approx(2.6e-3)


def test_a_seed_gives_the_same_seconds():
    call = CallCost(lognormal(0.02, 0.02))
    runs = [simulate(8, 4, HALVES, call, SystemCost(), seed=s).seconds for s in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_a_lognormal_cost_has_its_mean():
    values = lognormal(0.5, 0.25)
    assert sum(values) / len(values) == pytest.approx(0.5)
    assert CallCost(values).variation == pytest.approx(0.5, abs=0.01)
    assert lognormal(0.5, 0) == (0.5,)
