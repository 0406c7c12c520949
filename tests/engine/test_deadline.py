"""When a run stops for lack of time, by a clock that the test moves."""

import time

import pytest

import pmcmc
from pmcmc.engine import deadline
from pmcmc.engine.deadline import _MARGIN, Deadline


@pytest.fixture
def clock(monkeypatch):
    """Let a test set the time, and the end of the job; None for no job."""

    class RankTimer:
        now, end, asked = 1000.0, None, 0

        def end_time(self):
            self.asked += 1
            return self.end

    clock = RankTimer()
    monkeypatch.setattr(deadline.time, "time", lambda: clock.now)
    monkeypatch.setattr(deadline.job, "end_time", clock.end_time)
    return clock


def test_without_limits_there_is_time(clock):
    limit = Deadline(None, 1000.0)
    clock.now = 1e12
    assert limit.passed(1e6) is None


def test_max_time_counts_from_the_beginning(clock):
    limit = Deadline(30.0, 990.0)
    for now, passed in ((1000.0, False), (1019.9, False), (1020.0, True), (5000.0, True)):
        clock.now = now
        assert (limit.passed(0.0) == "--max-time") is passed


def test_a_jobs_end_leaves_a_margin_and_what_it_takes_to_stop(clock):
    clock.end = 2000.0
    limit = Deadline(None, 1000.0)
    needed = 50.0
    clock.now = 2000.0 - _MARGIN - needed - 0.1
    assert limit.passed(needed) is None
    clock.now += 0.2
    assert limit.passed(needed) == "the end of the Slurm job's time"
    assert limit.passed(0.0) is None


def test_slurm_is_asked_at_the_beginning_and_near_the_end_only(clock):
    clock.end = 2000.0
    limit = Deadline(None, 1000.0)
    for _ in range(5):
        assert limit.passed(0.0) is None
    assert clock.asked == 1


def test_a_job_that_was_extended_goes_on(clock):
    clock.end = 2000.0
    limit = Deadline(None, 1000.0)
    clock.now, clock.end = 1999.0, 3000.0
    assert limit.passed(0.0) is None
    assert clock.asked == 2
    clock.now = 2500.0
    assert limit.passed(0.0) is None
    assert clock.asked == 2
    clock.now = 2999.0
    assert limit.passed(0.0) is not None


def test_where_slurm_is_gone_at_the_end_what_it_said_before_counts(clock):
    clock.end = 2000.0
    limit = Deadline(None, 1000.0)
    clock.now, clock.end = 1999.0, None
    assert limit.passed(0.0) is not None


def test_the_nearer_of_both_counts(clock):
    clock.end = 2000.0
    limit = Deadline(5000.0, 1000.0)
    clock.now = 1999.0
    assert limit.passed(0.0) == "the end of the Slurm job's time"
    limit = Deadline(100.0, 1000.0)
    clock.now = 1100.0
    assert limit.passed(0.0) == "--max-time"


def test_there_is_room_for_a_whole_vectorized_call(monkeypatch, tmp_path):
    """The probe is one row, which says little of how long a call for all rows takes."""

    def log_prob(theta):
        time.sleep(0.005 * len(theta))
        return -0.5 * (theta**2).sum(axis=1)

    problem = pmcmc.Problem(log_prob, parameters=["a"], initial=[0.0], vectorized=True)
    args = {"burnin": 0, "nwalkers": 32, "seed": 1, "output": tmp_path / "x.h5"}
    pmcmc.run(problem, nsteps=2, **args)
    needed = []
    monkeypatch.setattr(Deadline, "passed", lambda self, seconds: needed.append(seconds))
    pmcmc.run(problem, nsteps=5, resume=True, **args)
    assert max(needed) >= 2 * 16 * 0.005
