"""What shared cores do to the figures of the cost model."""

import pytest

from pmcmc.planner.costs import SystemCost, slowdown


def test_a_core_of_its_own_slows_nothing_down():
    for seconds in (0.0, 1e-6, 1e-3, 10.0):
        for busy in (0.0, 0.5, 1.0):
            assert slowdown(1.0, seconds, busy) == 1.0


@pytest.mark.parametrize("seconds", [1e-6, 1e-3, 10.0])
def test_ranks_that_compute_are_slowed_down_by_as_many_as_share_a_core(seconds):
    assert slowdown(8.0, seconds, 1.0) == 8.0
    assert slowdown(8.0, seconds, 1 / 8) == 8.0  # of the wall time, the other seven having theirs


def test_ranks_that_sleep_are_slowed_down_by_the_load_of_the_core():
    """A load of r makes 1 / (1 - r); at 0.1 ms for each evaluation 4 ranks of 0.5 ms make 0.8."""
    assert slowdown(4.0, 5e-4, 0.0) == pytest.approx(4.0)  # 5, and no more than 4
    assert slowdown(4.0, 1e-3, 0.0) == pytest.approx(1 / 0.6)
    assert slowdown(4.0, 1.0, 0.1) == pytest.approx(1 / (1 - 4 * 0.1001))
    found = [slowdown(8.0, seconds, 0.0) for seconds in (1e-4, 1e-3, 3e-3, 1e-2, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 1.01


def test_messages_and_emcee_take_so_much_longer():
    before, after = SystemCost(), SystemCost().slowed(3.0)
    assert after.message == 3 * before.message
    assert after.step(16) == pytest.approx(3 * before.step(16))
    assert (after.latency, after.look, after.commit) == (
        before.latency,
        before.look,
        before.commit,
    )
