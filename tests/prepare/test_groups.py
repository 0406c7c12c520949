"""Which ranks evaluate log_prob together."""

import pytest

import pmcmc
from pmcmc.errors import ModelError, UsageError
from pmcmc.prepare.groups import check_function, form_groups
from pmcmc.prepare.shape import make_plan


def test_groups_of_neighbours():
    found = form_groups(["n1"] * 6, 2)
    assert found.ranks == ((0, 1), (2, 3), (4, 5))
    assert found.remark == ""


def test_a_group_is_within_a_host_whatever_the_order_of_the_ranks():
    found = form_groups(["n1", "n2"] * 4, 2)
    assert found.ranks == ((0, 2), (1, 3), (4, 6), (5, 7))
    assert found.remark == ""


def test_what_is_left_over_on_hosts_is_put_together_and_said():
    found = form_groups(["n1"] * 3 + ["n2"] * 3, 2)
    assert found.ranks == ((0, 1), (2, 5), (3, 4))
    assert "1 of 3 groups of 2 ranks are spread over hosts" in found.remark


@pytest.mark.parametrize(
    ("hosts", "width"), [("abbaaa", 3), ("ababaa", 3), ("abaa", 2), ("cabcab", 2)]
)
def test_the_first_of_a_group_is_its_lowest_rank(hosts, width):
    groups = form_groups(list(hosts), width).ranks
    assert all(list(group) == sorted(group) for group in groups)
    assert sorted(rank for group in groups for rank in group) == list(range(len(hosts)))
    assert groups[0][0] == 0


def test_a_width_that_does_not_divide_the_ranks_is_refused():
    with pytest.raises(
        UsageError, match=r"use 6 or 9 ranks, or --ranks-per-evaluation 1, 2, 4, 8"
    ):
        form_groups(["n1"] * 8, 3)


def test_the_plan_counts_groups():
    groups = form_groups(["n1"] * 8, 2).ranks
    plan = make_plan(8, nwalkers=32, mode="pool", nensembles=1, seconds=1.0, groups=groups)
    assert [list(team.ranks) for team in plan.teams] == [[0, 2, 4, 6]]
    assert plan.idle == 0
    assert plan.evaluations_at_once == 4
    assert [plan.number_of_team(rank) for rank in range(8)] == [0] * 8
    assert plan.team_of(1) is None
    assert (
        "1 team of 8 ranks; 2 ranks evaluate log_prob together" in dict(plan.describe())["ranks"]
    )
    split = make_plan(8, nwalkers=32, mode="split", seconds=1.0, groups=groups)
    assert split.nensembles == 4
    assert split.mode() == "split"
    assert [split.number_of_team(rank) for rank in range(8)] == [0, 0, 1, 1, 2, 2, 3, 3]


def with_comm(theta, x, comm):
    """Take part of the work."""


def without(theta):
    """Do all of it."""


def test_who_takes_comm():
    def problem(function, **more):
        return pmcmc.Problem(function, ndim=1, initial=[0.0], **more)

    assert problem(with_comm, args=(1,)).posterior.takes_comm
    assert problem(with_comm, kwargs={"x": 1}).posterior.needs_comm
    assert not problem(with_comm, args=(1,), kwargs={"comm": 2}).posterior.takes_comm
    assert not problem(without).posterior.takes_comm
    check_function(problem(without), None)
    check_function(problem(with_comm, args=(1,)), 1)
    with pytest.raises(UsageError, match="say how many"):
        check_function(problem(with_comm, args=(1,)), None)
    optional = problem(lambda theta, comm=None: 0.0)
    assert not optional.posterior.needs_comm
    check_function(optional, None)
    with pytest.raises(ModelError, match="log_prior takes comm"):
        problem(None, log_likelihood=without, log_prior=lambda theta, comm: 0.0)
