"""How tasks are shared out: the choice from measured seconds."""

import numpy as np
import pytest

from pmcmc.pool.schedule import Scheduler


def measured(scheduler, seconds, chunk=1):
    blocks = np.reshape(seconds[: len(seconds) // chunk * chunk], (-1, chunk))
    scheduler.observe([(chunk, block.sum()) for block in blocks])
    return scheduler


def test_mean_and_variance_of_a_task_come_from_chunks_of_any_size():
    draws = np.random.default_rng(1).gamma(4.0, 0.5, size=40000)  # mean 2, variance 1
    for chunk in (1, 5, 20):
        scheduler = measured(Scheduler(4), draws, chunk)
        assert scheduler.mean == pytest.approx(2.0, rel=0.06)
        assert scheduler.variance == pytest.approx(1.0, rel=0.3)


@pytest.mark.parametrize("size", [2, 9, 64])
def test_quick_tasks_go_out_in_blocks(size):
    draws = np.random.default_rng(1).lognormal(-12, 1, size=500)  # about 10 us, very uneven
    assert not measured(Scheduler(size), draws).choose(50).demand


def test_long_uneven_tasks_go_out_on_demand():
    draws = np.random.default_rng(1).lognormal(-4, 1, size=500)
    assert measured(Scheduler(9), draws).choose(16).demand


def test_where_ranks_share_cores_fewer_tasks_go_out_on_demand():
    """Messages are slower there, and tasks of a millisecond are uneven for no other reason."""
    draws = np.random.default_rng(1).lognormal(-7, 0.9, size=500)
    assert measured(Scheduler(4), draws).choose(16).demand
    assert not measured(Scheduler(4, slowdown=8), draws).choose(16).demand
    longer = 50 * draws
    assert measured(Scheduler(4, slowdown=8), longer).choose(16).demand


def test_long_even_tasks_go_out_in_blocks_unless_ranks_would_be_left_over():
    even = [0.02] * 100
    assert not measured(Scheduler(4), even).choose(16).demand
    assert not measured(Scheduler(4), even).choose(18).demand
    assert not measured(Scheduler(4, several=True), even).choose(16).demand
    assert measured(Scheduler(4, several=True), even).choose(18).demand


def test_only_short_tasks_are_queued_ahead():
    assert measured(Scheduler(4, "demand"), [0.0005] * 9).choose(99).depth == 2
    assert measured(Scheduler(4, "demand"), [0.05] * 9).choose(99).depth == 1
    # even ones of several batches: nobody waits for a second one behind a long first
    several = Scheduler(4, "demand", several=True)
    assert measured(several, [0.005] * 9).choose(99).depth == 2
    uneven = Scheduler(4, "demand", several=True)
    assert measured(uneven, [0.001, 0.009] * 9).choose(99).depth == 1


def test_the_choice_can_be_fixed():
    assert not measured(Scheduler(4, "static"), [1.0, 9.0]).choose(9).demand
    assert measured(Scheduler(4, "demand"), [1e-6] * 9).choose(9).demand
    assert not Scheduler(1, "demand").choose(9).demand


def test_nothing_known_is_on_demand():
    assert Scheduler(4).choose(9).demand
