"""Evaluations that fail and count as -inf, and those that take too long; in one process."""

import subprocess
import sys
import time

import numpy as np
import pytest

from pmcmc.errors import EvaluationError
from pmcmc.model.problem import Problem
from pmcmc.model.rejects import Reject, TookTooLong
from pmcmc.model.timeout import TimeLimit
from pmcmc.processes import _younger

ROWS = np.array([[0.0, 0.0], [2.0, 0.5], [-1.0, 0.5], [3.0, 0.0]])


def log_prob(theta):
    if theta[0] == 2.0:
        raise ValueError("no such orbit")
    if theta[0] == 3.0:
        return np.nan
    return np.inf if theta[0] < -5 else -0.5 * float(theta @ theta)


def vectorized(theta):
    if (theta[:, 0] == 2.0).any():
        raise ValueError("no such orbit")
    return np.where(theta[:, 0] == 3.0, np.nan, -0.5 * (theta**2).sum(axis=1))


def with_blobs(theta):
    return log_prob(theta), 1.0, 2.0


def made(function, **more):
    problem = Problem(function, ["a", "b"], initial=[0.0, 0.0], **more)
    problem.limit("reject", more.pop("timeout", None))
    problem.probe()
    return problem


@pytest.mark.parametrize(
    "problem",
    [made(log_prob), made(vectorized, vectorized=True), made(with_blobs)],
    ids=["one by one", "vectorized", "blobs"],
)
def test_what_fails_counts_as_minus_infinity(problem):
    before = ROWS.copy()
    log_probs, blobs, rejects = problem.evaluate(ROWS, where=" on rank 3 of 4")
    np.testing.assert_array_equal(log_probs, [0.0, -np.inf, -0.625, -np.inf])
    np.testing.assert_array_equal(ROWS, before)
    assert [(one.row, one.kind, one.theta) for one in rejects] == [
        (1, "exception", (2.0, 0.5)),
        (3, "NaN", (3.0, 0.0)),
    ]
    assert rejects[0].message.startswith("ValueError: no such orbit (test_rejects.py:")
    assert 'raise ValueError("no such orbit")' in rejects[0].message
    assert rejects[0].where == "on rank 3 of 4"
    if blobs is not None:
        assert np.isnan(blobs[1]).all()
        np.testing.assert_array_equal(blobs[0], [1.0, 2.0])


def test_infinity_is_told_apart():
    (one,) = made(log_prob).evaluate(np.array([[-6.0, 0.0]])).rejects
    assert (one.kind, one.message) == ("+inf", "log_prob returned +inf")


@pytest.mark.parametrize("value", [None, 1j, "text", np.zeros(3)])
def test_a_wrong_form_is_an_error_all_the_same(value):
    problem = made(lambda theta: -1.0 if theta[0] < 1 else value)
    with pytest.raises(EvaluationError, match="log_prob returned"):
        problem.evaluate(ROWS)


def test_leaving_is_an_error_all_the_same():
    problem = made(lambda theta: -1.0 if theta[0] < 1 else sys.exit(3))
    with pytest.raises(EvaluationError, match=r"sys\.exit\(3\)"):
        problem.evaluate(ROWS)


def test_the_probe_goes_on_to_a_point_that_does():
    function = {"n": 0}

    def first_fail(theta):
        function["n"] += 1
        return 1 / 0 if function["n"] < 3 else -1.0

    problem = Problem(first_fail, ["a"], initial=np.zeros((8, 1)) + np.arange(8)[:, None])
    problem.limit("reject", None)
    points, value = problem.probe()
    assert (len(points), value) == (3, -1.0)
    problem = Problem(lambda theta: 1 / 0, ["a"], initial=[0.0])
    problem.limit("reject", None)
    with pytest.raises(EvaluationError, match="ZeroDivisionError"):
        problem.probe()


# ---- time


def loop(theta):
    while theta[0] == 2.0:
        pass
    return -1.0


def swallow(theta):
    while theta[0] == 2.0:
        try:
            time.sleep(60)
        except Exception:  # not what interrupts it
            pass
    return -1.0


def swallow_all(theta):
    heard = 0
    while theta[0] == 2.0:
        try:
            time.sleep(60)
        except BaseException:
            heard += 1
            if heard > 1:
                raise
    return -1.0


def child(theta):
    if theta[0] == 2.0:
        subprocess.run(["sh", "-c", "trap '' TERM; sleep 61 & sleep 62; sleep 63"], check=False)
    return -1.0


@pytest.mark.parametrize("function", [loop, swallow, swallow_all, child])
def test_one_that_takes_too_long(function):
    problem = made(function)
    problem.limit("reject", 0.2)
    began = time.monotonic()
    found = problem.evaluate(ROWS)
    assert time.monotonic() - began < 5
    np.testing.assert_array_equal(found.log_prob, [-1, -np.inf, -1, -1])
    (one,) = found.rejects
    assert (one.row, one.kind) == (1, "timeout")
    assert one.message == "log_prob took longer than 200 ms"
    assert _younger(began) == []
    problem.limit("abort", 0.2)
    with pytest.raises(EvaluationError, match=r"took longer than 200 ms") as caught:
        problem.evaluate(ROWS)
    assert "at a = 2.0, b = 0.5" in str(caught.value)


def test_what_was_started_before_is_left_alone():
    with subprocess.Popen(["sleep", "64"]) as process:
        time.sleep(0.1)
        problem = made(loop)
        problem.limit("reject", 0.2)
        problem.evaluate(ROWS)
        assert process.poll() is None
        process.kill()


def test_an_alarm_of_the_model_s_is_given_back():
    import signal

    def mine(number, frame):
        pass

    before = signal.signal(signal.SIGALRM, mine)
    try:
        with TimeLimit(0.2) as limit:
            with pytest.raises(TookTooLong):
                limit.call(loop, ROWS[1])
            assert limit.call(loop, ROWS[0]) == -1.0
        assert signal.getsignal(signal.SIGALRM) is mine
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_message_is_one_line_of_bounded_length():
    try:
        raise RuntimeError("a\nb " * 1000)
    except RuntimeError as exc:
        one = Reject.of(exc, np.zeros(1), "", 0)
    assert "\n" not in one.message
    assert len(one.message) <= 500
