"""What log_prob costs, as `plan` times it."""

import time

import numpy as np
import pytest
from scipy import stats

import pmcmc
from pmcmc.prepare.timing import time_log_prob


def test_an_even_cost():
    def log_prob(theta):
        time.sleep(0.005)
        return -float(theta @ theta)

    call = time_log_prob(pmcmc.Problem(log_prob, ["a"], initial=[0.1]), 32)
    assert 0.005 <= call.mean < 0.02
    assert not call.vectorized


def test_the_first_call_is_not_the_cost():
    calls = []

    def log_prob(theta):
        calls.append(1)
        time.sleep(0.3 if len(calls) == 1 else 0.001)
        return -float(theta @ theta)

    assert time_log_prob(pmcmc.Problem(log_prob, ["a"], initial=[0.1]), 32).mean < 0.1


def test_points_outside_count_only_where_there_are_no_others():
    def log_likelihood(theta):
        if theta[0] > 0:
            return -np.inf
        time.sleep(0.003)
        return 0.0

    problem = pmcmc.Problem(
        log_likelihood=log_likelihood, parameters={"a": stats.norm(0, 1)}, initial="prior"
    )
    assert min(time_log_prob(problem, 32).seconds) >= 0.003


def test_a_slow_one_is_called_once_more():
    calls = []

    def log_prob(theta):
        calls.append(1)
        time.sleep(0.2)
        return -float(theta @ theta)

    time_log_prob(pmcmc.Problem(log_prob, ["a"], initial=[0.1]), 32, seconds=0.1)
    assert len(calls) == 2


def test_a_vectorized_cost_has_two_parts():
    def log_prob(theta):
        time.sleep(0.002 + 0.001 * len(theta))
        return -(theta**2).sum(axis=1)

    problem = pmcmc.Problem(log_prob, ["a"], initial=[0.1], vectorized=True)
    call = time_log_prob(problem, 32, seconds=1.0)
    assert call.vectorized
    assert call.row == pytest.approx(0.001, rel=0.5)
    assert call.work(16) == pytest.approx(0.018, rel=0.5)


def test_one_that_costs_nothing_has_a_cost():
    call = time_log_prob(pmcmc.Problem(lambda t: 0.0, ["a"], initial=[0.1]), 32, seconds=0.2)
    assert 0 < call.mean < 1e-3
