"""The first evaluation: what it costs."""

import time
from dataclasses import replace

import numpy as np
import pytest

import pmcmc
from pmcmc.prepare.probe import probe, probe_of_member, slowest_host


def test_a_first_call_that_compiles_is_not_taken_for_the_cost():
    calls = []

    def log_prob(theta):
        calls.append(time.sleep(0.3 if not calls else 0.002))
        return -0.5 * float(theta @ theta)

    found = probe(pmcmc.Problem(log_prob, ["a"], initial=np.zeros(1)), "")
    assert len(calls) == 2
    assert 0.002 <= found.seconds < 0.1
    assert found.busy < 0.5  # it sleeps


def test_one_that_computes_is_busy():
    def log_prob(theta):
        until = time.process_time() + 0.01
        while time.process_time() < until:
            pass
        return -0.5 * float(theta @ theta)

    found = probe(pmcmc.Problem(log_prob, ["a"], initial=np.zeros(1)), "")
    assert found.busy == pytest.approx(0.01 / found.seconds, rel=0.1)


def test_a_quick_one_is_tried_more_often():
    calls = []

    def log_prob(theta):
        calls.append(1)
        return -0.5 * float(theta @ theta)

    assert probe(pmcmc.Problem(log_prob, ["a"], initial=np.zeros(1)), "").seconds < 1e-3
    assert len(calls) > 10


def test_the_cost_is_that_of_the_slowest_host_and_not_of_a_rank_that_was_held_up():
    problem = pmcmc.Problem(lambda theta: -0.5 * float(theta @ theta), ["a"], initial=np.zeros(1))
    known = probe_of_member(problem)
    probes = [known] + [
        replace(known, host=host, seconds=seconds, follows=False)
        for host, seconds in (("a", 9.0), ("a", 1.0), ("a", 1.1), ("b", 2.0), ("b", 2.1))
    ]
    assert slowest_host(probes).seconds == 2.0
    assert slowest_host(probes[1:4]).seconds == 1.1
    assert slowest_host(probes[1:2]).seconds == 9.0
