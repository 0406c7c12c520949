"""What shared cores do to the figures of the cost model."""

import pytest

from pmcmc.planner.costs import SystemCost, slowdown


def test_a_core_of_its_own_slows_nothing_down():
    for seconds in (0.0, 1e-6, 1e-3, 10.0):
        for busy in (0.0, 0.5, 1.0):
            assert slowdown(1.0, seconds, busy) == 1.0


@pytest.mark.parametrize("busy", [1.0, 4.0])
@pytest.mark.parametrize("seconds", [1e-6, 1e-3, 10.0])
def test_ranks_that_compute_are_slowed_down_by_as_many_as_share_a_core(seconds, busy):
    assert slowdown(8.0, seconds, busy) == pytest.approx(8.0)


def by_mean_value_analysis(ranks, away):
    """The recursion itself, exact for services of exponential length; in units of a service."""
    queue, response = 0.0, 1.0
    for n in range(1, ranks + 1):
        response = 1 + queue
        queue = n * response / (response + away)
    return response


@pytest.mark.parametrize("ranks", [2, 4, 8, 64])
def test_ranks_that_sleep_queue_for_their_core(ranks):
    """At 0.13 ms of CPU time for each evaluation; the closed form is near the recursion."""
    found = []
    for seconds in (1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 1e-1, 10.0):
        found.append(slowdown(float(ranks), seconds, 0.0))
        exact = by_mean_value_analysis(ranks, seconds / 1.3e-4)
        assert 1 <= found[-1] <= ranks
        assert found[-1] == pytest.approx(exact, rel=0.2)
    assert found == sorted(found, reverse=True)
    assert found[-1] < 1.001


def test_messages_and_emcee_take_so_much_longer():
    before, after = SystemCost(), SystemCost().slowed(3.0)
    assert after.message == 3 * before.message
    assert after.step(16) == pytest.approx(3 * before.step(16))
    assert (after.latency, after.look, after.commit) == (
        before.latency,
        before.look,
        before.commit,
    )
