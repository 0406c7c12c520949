"""What errors carry besides their text, and the exit statuses."""

import copy
import pickle
import socket

import numpy as np
import pytest

import pmcmc
from pmcmc import errors
from pmcmc.errors import EvaluationError, ExitStatus, PmcmcError, exit_status

KINDS = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, PmcmcError)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_errors_keep_what_they_carry(kind, again):
    data = {"rank": 3, "host": "n1", "parameters": {"a": 1.5}}
    other = again(kind("what happened\nat a", **data))
    assert (type(other), str(other), vars(other)) == (kind, "what happened\nat a", data)
    assert vars(again(kind("nothing besides"))) == dict.fromkeys(data)


def values(theta):
    return np.where(theta[:, 0] > 1, np.nan, -0.5 * (theta**2).sum(axis=1))


def failing(theta):
    if theta[0] > 1:
        raise ValueError("too high")
    return -0.5 * float(theta @ theta)


@pytest.mark.parametrize(
    ("log_prob", "vectorized"),
    [(failing, False), (lambda t: values(t[None])[0], False), (values, True)],
)
def test_a_failure_of_log_prob_carries_rank_host_and_parameters(log_prob, vectorized):
    problem = pmcmc.Problem(log_prob, ["a", "b"], initial=[0.0, 0.0], vectorized=vectorized)
    with pytest.raises(EvaluationError) as caught:
        pmcmc.run(problem, nsteps=10**5, seed=1)
    error = caught.value
    assert (error.rank, error.host) == (0, socket.gethostname())
    assert error.parameters["a"] > 1
    assert all(f"{name} = {value!r}" in str(error) for name, value in error.parameters.items())


def test_a_batch_that_raises_is_no_point():
    def log_prob(theta):
        if len(theta) > 1:
            raise ValueError("one at a time")
        return -0.5 * (theta**2).sum(axis=1)

    problem = pmcmc.Problem(log_prob, ["a"], initial=[0.0], vectorized=True)
    with pytest.raises(EvaluationError, match="in a batch of ") as caught:
        pmcmc.run(problem, nsteps=10)
    assert (caught.value.rank, caught.value.parameters) == (0, None)


def test_a_start_where_there_is_no_mass_is_carried():
    def log_prob(theta):
        return 0.0 if theta[0] == 1.0 else -np.inf

    problem = pmcmc.Problem(log_prob, ["a", "b"], initial=[1.0, 2.0])
    with pytest.raises(EvaluationError, match="log_prob is -inf round the start") as caught:
        pmcmc.run(problem, nsteps=10)
    assert caught.value.parameters == {"a": 1.0, "b": 2.0}


def test_exit_statuses_are_those_that_are_promised():
    assert {s.name: s.value for s in ExitStatus} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "SHORT": 3,
        "BEING_WRITTEN": 4,
        "STOPPED": 75,
    }
    found = {kind.__name__: exit_status(kind("x")) for kind in KINDS}
    assert {name for name, status in found.items() if status != 1} == {"UsageError", "Interrupted"}
    assert (found["UsageError"], found["Interrupted"]) == (2, 75)
    assert f"{ExitStatus.STOPPED}" == "75"  # as it stands in a batch script
