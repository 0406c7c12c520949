"""Each second of a rank counts once: as waiting, as log_prob or as writing."""

import contextlib
import threading
import time

import numpy as np
import pytest

import pmcmc
from pmcmc.mpi.timing import RankTimer
from pmcmc.mpi.waiting import Backoff

SOME = 0.05  # seconds


@pytest.fixture
def patience():
    return Backoff()


@pytest.fixture
def clock(patience):
    return RankTimer(patience)


def shares(clock):
    """Return seconds in log_prob, waiting and writing, which the seconds in all must cover."""
    told = clock.read()
    spent = [told.log_prob, told.waiting, told.writing]
    assert sum(spent) <= told.wall
    return spent


def waited(clock, seconds):
    """Return the condition that so many more seconds of waiting are told."""
    before = shares(clock)[1]
    return lambda: shares(clock)[1] >= before + seconds


@contextlib.contextmanager
def beside(function):
    """Run a function in another thread, from its first step to the end of the block."""
    begun, end = threading.Event(), threading.Event()

    def run():
        function(begun, end)

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(10)
    yield
    end.set()
    thread.join()


def test_a_wait_within_a_wait_counts_once(clock, patience):
    patience.wait(waited(clock, 2 * SOME), lambda: patience.wait(waited(clock, SOME)))
    log_prob, waiting, writing = shares(clock)
    assert log_prob == writing == 0
    assert waiting >= 2 * SOME


def test_a_wait_that_fails_is_over(clock, patience):
    with pytest.raises(ZeroDivisionError):
        patience.wait(lambda: False, lambda: 1 / 0)
    before = shares(clock)[1]
    time.sleep(SOME)
    assert shares(clock)[1] == before


def test_a_wait_elsewhere_does_not_count(clock, patience):
    def wait(begun, end):
        patience.wait(end.is_set, begun.set)

    with beside(wait):
        with clock.at("log_prob"):
            time.sleep(SOME)
        assert shares(clock)[1] == 0
        patience.wait(waited(clock, SOME))
    before = shares(clock)
    time.sleep(SOME)
    assert shares(clock) == before
    assert before[0] >= SOME


def test_what_is_done_within_a_wait_is_not_waiting(clock, patience):
    def write():
        before = shares(clock)[1]
        with clock.at("writing"):
            time.sleep(SOME)
            assert shares(clock)[1] - before < SOME

    patience.wait(waited(clock, SOME), write)
    log_prob, _, writing = shares(clock)
    assert log_prob == 0
    assert writing >= SOME


def test_what_is_done_within_log_prob_is_not_log_prob(clock, patience):
    with clock.at("log_prob"):
        patience.wait(waited(clock, SOME))
        with clock.at("writing"):
            time.sleep(SOME)
    _, waiting, writing = shares(clock)
    assert waiting >= SOME
    assert writing >= SOME


def test_writing_elsewhere_counts_while_this_thread_waits(clock, patience):
    def write(begun, end):
        with clock.at("writing"):
            begun.set()
            end.wait(10)

    with beside(write):
        with clock.at("log_prob"):
            time.sleep(SOME)
        patience.wait(lambda: shares(clock)[2] >= SOME)
        assert shares(clock)[1] == 0
    patience.wait(waited(clock, SOME))
    assert all(seconds >= SOME for seconds in shares(clock))


def test_what_was_before_a_clock_is_not_its_own(clock, patience):
    patience.wait(waited(clock, SOME))
    assert shares(RankTimer(patience)) == [0, 0, 0]
    assert shares(clock)[1] >= SOME


def test_looks_are_cut_short_where_they_were_in_vain(patience):
    longest, clock = patience.look, RankTimer(patience)
    patience.wait(waited(clock, 10 * longest))
    patience.wait(waited(clock, 10 * longest))
    assert patience.look == longest / 4
    assert Backoff().look == longest
    patience.wait(iter([False, True]).__next__)
    assert patience.look in (longest, longest / 8)  # the latter on a busy machine


# commits without end, in ticks of the root, within log_prob, waits, and in the helper thread
MODEL = """
import time
parameters, initial = ["a", "b"], [0.0, 0.0]
def log_prob(theta):
    time.sleep(0.001)
    return -0.5 * float(theta @ theta)
"""


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param("--mode split", marks=pytest.mark.slow),
        pytest.param("--schedule static", marks=pytest.mark.slow),
        "--schedule demand",
    ],
)
def test_no_second_of_a_run_counts_twice(launch, tmp_path, model, shape):
    args = f"-m pmcmc {model(MODEL)} --nsteps 30 --burnin 3 --nensembles 3 --nwalkers 8"
    args += f" --mode pool {shape} --checkpoint 0.02 --seed 1 --output x.h5"
    assert launch(3, *args.split(), cwd=tmp_path).returncode == 0
    times = pmcmc.load(tmp_path / "x.h5").reader.timings()
    assert len(times) == 3
    total = times["log_prob"] + times["waiting"] + times["writing"]
    assert (total <= times["wall"]).all(), times
    assert (times["log_prob"] >= 0.001 * times["evaluations"]).all()
    np.testing.assert_array_equal(times["writing"] > 0, [True, False, False])
