"""``pmcmc.run(problem, ranks=...)`` and ``pmcmc.start``, where no launcher started the process."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import pytest
from processes import started, wait_until_gone

import pmcmc
from conftest import clean_env, slow_but
from reference import assert_same_files

RUN = {"nsteps": 240, "burnin": 5, "nensembles": 6, "nwalkers": 8, "seed": 1}


@pytest.fixture(autouse=True)
def alone(launch, monkeypatch, tmp_path):
    """Take the environment of no job; at the end nothing runs, and no folder is left."""
    for name in set(os.environ) - set(clean_env()):
        monkeypatch.delenv(name)
    for name, value in clean_env().items():
        monkeypatch.setenv(name, value)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = started()
    yield
    wait_until_gone(started() - before, 10)
    assert not list(scratch.iterdir())


def problem(sleep=0.0, **changes):
    """Return one with a function that no other process can import."""

    def log_prob(theta):
        if sleep:
            time.sleep(sleep)
        return -0.5 * float(theta @ theta)

    given = {"parameters": ["a", "b"], "initial": [0.0, 0.0]} | changes
    return pmcmc.Problem(log_prob, **given)


def test_the_draws_are_those_of_every_other_way(tmp_path):
    result = pmcmc.run(problem(), ranks=3, output=tmp_path / "ranks.h5", **RUN)
    assert (result.status, result.ndraws) == ("finished", 240 * 8)
    pmcmc.run(problem(), output=tmp_path / "here.h5", **RUN)
    assert_same_files(tmp_path / "ranks.h5", tmp_path / "here.h5")


def test_without_an_output_the_draws_come_back_in_memory():
    result = pmcmc.run(problem(), ranks=2, **RUN)
    assert result.path is None
    expected = pmcmc.run(problem(), **RUN)
    np.testing.assert_array_equal(result.get_chain(), expected.get_chain())
    assert str(result).splitlines()[-1]  # a verdict


@pytest.mark.slow
def test_what_a_closure_holds_goes_along():
    data = np.arange(2_000_000.0)

    class Model:
        def __init__(self, at):
            self.at = at

        def log_prob(self, theta):
            return -0.5 * float(((theta - self.at) ** 2).sum()) + 0 * data[-1]

    given = pmcmc.Problem(Model(data[3]).log_prob, ["x"], initial=[3.0])
    result = pmcmc.run(given, ranks=2, **RUN)
    assert abs(result.get_chain(flat=True).mean() - 3) < 0.3


def test_a_failure_has_rank_host_parameters_and_traceback():
    def log_prob(theta):
        if theta[0] > 0.5:
            raise ZeroDivisionError("here it is")
        return -0.5 * float(theta @ theta)

    given = pmcmc.Problem(log_prob, ["a", "b"], initial=[0.0, 0.0])
    with pytest.raises(pmcmc.EvaluationError) as caught:
        pmcmc.run(given, ranks=2, **RUN)
    error = caught.value
    assert error.rank in (0, 1)
    assert error.host
    assert error.parameters["a"] > 0.5
    assert 'raise ZeroDivisionError("here it is")' in str(error) or "line" in str(error)
    assert "log_prob raised ZeroDivisionError: here it is on rank" in str(error)


def test_a_module_that_a_function_uses_goes_by_name(tmp_path, monkeypatch):
    """Dill would take it in whole, with all that it imports."""
    (tmp_path / "helper.py").write_text(
        "import struct\nimport numpy as np\nimport pmcmc\npacked = struct.Struct('d')\n"
        "def value(theta):\n    pmcmc.rank_info()\n    return -0.5 * float(np.sum(theta**2))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import helper

    def log_prob(theta):
        return helper.value(theta)

    given = pmcmc.Problem(log_prob, parameters=["a", "b"], initial=[0.0, 0.0])
    assert pmcmc.run(given, ranks=2, **RUN).status == "finished"


def test_errors_speak_python_and_end_in_one_frame_of_ours(tmp_path):
    cases = [
        (lambda: pmcmc.run(problem(), ranks=2, nwalkers=7), "nwalkers is 7"),
        (lambda: pmcmc.run(problem(), ranks=0), "ranks: expected a whole number"),
        (lambda: pmcmc.run(problem(), ranks=2, comm=1), "ranks starts ranks, comm names"),
        (lambda: pmcmc.run(problem(), launcher="srun"), "launcher is for ranks="),
        (lambda: pmcmc.run(problem(), ranks=2, launcher="no-such"), "program 'no-such'"),
        (lambda: pmcmc.run(lambda t: 0.0, ranks=2), "expected a pmcmc.Problem, got function"),
        (lambda: pmcmc.run(problem(), ranks=2, nstep=5), "did you mean nsteps?"),
        (lambda: pmcmc.run(problem(), 2), "comm is 2: expected an MPI communicator; did you mean"),
        (lambda: pmcmc.run(problem(), ranks="many"), 'expected a whole number, or "auto"'),
        (lambda: pmcmc.run(problem(), ncores=4), "did you mean ranks?"),
        (lambda: problem(args=3), "args is int and kwargs NoneType: expected a tuple"),
        (lambda: pmcmc.run(problem(), resume=True), "resume needs an output"),
        (lambda: pmcmc.start(problem(), ranks=2, mode="fast"), "mode: expected"),
    ]
    for call, text in cases:
        with pytest.raises(pmcmc.PmcmcError) as caught:
            call()
        assert text in str(caught.value)
        assert "--" not in str(caught.value)
        ours = [
            frame
            for frame in traceback.extract_tb(caught.value.__traceback__)
            if "/pmcmc/" in frame.filename
        ]
        assert len(ours) <= 2, ours  # run, and start within it
    (tmp_path / "x.h5").write_text("mine")
    with pytest.raises(pmcmc.UsageError, match="overwrite"):
        pmcmc.run(problem(), ranks=2, output=tmp_path / "x.h5", **RUN)
    assert (tmp_path / "x.h5").read_text() == "mine"


def test_a_run_under_way(tmp_path):
    given = {"output": tmp_path / "x.h5", "checkpoint": 0.1, **RUN}
    with pmcmc.start(problem(0.002), ranks=2, **given) as run:
        assert run.status == "running"
        assert run.wait(timeout=0.01) is None
        while run.result() is None or not run.progress.steps:
            assert not run.over(0.05), run.log
        assert repr(run).startswith("<pmcmc.Run of problem on 2 ranks: running, ")
        assert "6 of 8 walkers" in run.log
        assert run.progress.rate > 0
        run.stop()
        result = run.wait(30)
        assert (run.status, result.status) == ("stopped", "stopped")
        assert "stopped by SIGINT" in run.log
    result = pmcmc.run(problem(), ranks=2, output=tmp_path / "x.h5", resume=True)
    assert (result.status, sum(result.steps)) == ("finished", 240)
    pmcmc.run(problem(), output=tmp_path / "y.h5", **RUN)
    assert_same_files(tmp_path / "x.h5", tmp_path / "y.h5")


@pytest.mark.slow
def test_a_run_whose_name_is_gone_can_be_stopped(monkeypatch, tmp_path):
    monkeypatch.setattr("pmcmc.launch.handle.count_cores", lambda: 2)
    run = pmcmc.start(problem(0.01), 2, **RUN | {"nsteps": 10**5})
    with pytest.warns(
        RuntimeWarning, match=r"is at work beside this run.*pmcmc.runs\(\) has both"
    ):
        run = pmcmc.start(problem(), 2, output=tmp_path / "x.h5", **RUN)
    assert len(pmcmc.runs()) == 2
    assert run.wait(60).status == "finished"
    assert "next: " not in run.log
    (left,) = pmcmc.runs()
    left.stop()
    left.wait(60)
    assert pmcmc.runs() == ()


@pytest.mark.slow
def test_a_process_that_ends_tells_of_its_run(tmp_path):
    text = (
        "import pmcmc, time\n"
        "problem = pmcmc.Problem(lambda t: -float(t @ t), ['a'], initial=[0.0])\n"
        "run = pmcmc.start(problem, 2, output='x.h5', nsteps=10**6, checkpoint=0.1)\n"
        "while run.result() is None: time.sleep(0.1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "note: problem stops, as this process ends: what is committed is in x.h5" in done.stderr


@pytest.mark.slow
def test_modules_are_found_though_the_working_directory_changed(tmp_path):
    (tmp_path / "beside.py").write_text("def log_prob(t):\n    return -0.5 * float(t @ t)\n")
    text = (
        "import sys; sys.path.insert(0, '.')\n"
        "import os, pmcmc, beside\n"
        "os.mkdir('data'); os.chdir('data')\n"
        "problem = pmcmc.Problem(beside.log_prob, ['a'], initial=[0.0])\n"
        "print(pmcmc.run(problem, ranks=2, nsteps=20, burnin=5).status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "finished\n"), done.stderr


@pytest.mark.slow
def test_two_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr("pmcmc.launch.handle.count_cores", lambda: 4)
    runs = [pmcmc.start(problem(), 2, output=tmp_path / f"{k}.h5", **RUN) for k in range(2)]
    for run in runs:
        assert run.wait().status == "finished"
    assert_same_files(tmp_path / "0.h5", tmp_path / "1.h5")


@pytest.mark.slow
def test_the_block_ends_the_run():
    with pmcmc.start(problem(0.01), ranks=2, **RUN):
        time.sleep(0.1)
    # the fixture sees whether anything runs on


SCRIPT = """
import sys, time, pmcmc
print("here", flush=True)
SLEEP, OUTPUT = float(sys.argv[1]), sys.argv[2]
def log_prob(theta):
    time.sleep(SLEEP)
    return -0.5 * float(theta @ theta)
problem = pmcmc.Problem(log_prob, ["a", "b"], initial=[0.0, 0.0])
result = pmcmc.run(problem, ranks=2, nsteps=240, burnin=5, nensembles=6, nwalkers=8, seed=1,
                   output=OUTPUT, checkpoint=0.1, resume=True)
print(result.status, sum(result.steps) > 0, flush=True)
"""


def script(tmp_path, *args):
    """Start a script that has no `if __name__ == "__main__"`."""
    (tmp_path / "script.py").write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, "script.py", *map(str, args)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_env() | {"TMPDIR": tempfile.gettempdir()},
    )


def begun(process, path):
    limit = time.monotonic() + 60
    while not (path.exists() and sum(pmcmc.load(path).steps)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.05)
    return started(process.pid)


def test_a_script_is_not_run_again_in_the_ranks(tmp_path):
    process = script(tmp_path, 0, "x.h5")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "here\nfinished True\n", "")


def test_ctrl_c_gives_what_there_is_and_the_script_goes_on(tmp_path):
    process = script(tmp_path, 0.02, "x.h5")
    begun(process, tmp_path / "x.h5")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "here\nstopped True\n", "")
    process = script(tmp_path, 0, "x.h5")
    out, _ = process.communicate(timeout=60)
    assert out == "here\nfinished True\n"
    pmcmc.run(problem(), output=tmp_path / "y.h5", **RUN)
    assert_same_files(tmp_path / "x.h5", tmp_path / "y.h5")


def test_ctrl_c_before_the_first_commit_is_told(monkeypatch):
    """The ranks are real; that they have committed nothing is not left to chance."""
    begun = pmcmc.start(problem(0.02), 2, **RUN)
    over, presses = begun.over, [KeyboardInterrupt]

    def press_once(timeout=0.0):
        if presses:
            raise presses.pop()
        return over(timeout)

    monkeypatch.setattr(begun, "over", press_once)
    monkeypatch.setattr(begun, "wait", lambda: None)
    with pytest.warns(RuntimeWarning, match="interrupted before the first commit"):
        assert pmcmc.api._attend(begun, False) is None


def test_the_ranks_of_a_process_that_was_killed_end_with_a_commit(tmp_path):
    process = script(tmp_path, 0.002, "x.h5")
    ranks = begun(process, tmp_path / "x.h5")
    assert len(ranks) >= 3
    process.kill()
    process.communicate()
    wait_until_gone(ranks, 10)
    assert pmcmc.load(tmp_path / "x.h5").status == "stopped"


@pytest.mark.slow
def test_it_is_refused_in_a_job_of_ranks(launch, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = launch(2, "script.py", 0, "x.h5", cwd=tmp_path)
    assert done.returncode != 0
    assert "a launcher has started this process already" in done.stderr


@pytest.mark.slow
def test_a_large_problem_is_there_once_in_each_rank(tmp_path):
    data = np.ones(12_500_000)

    def log_prob(theta):
        time.sleep(0.001)
        return -0.5 * float(theta @ theta) * data[0]

    given = pmcmc.Problem(log_prob, ["a", "b"], initial=[0.0, 0.0])
    began = time.monotonic()
    with pmcmc.start(given, 2, **RUN) as run:
        assert time.monotonic() - began < 2  # to write it
        while not run.progress.steps:
            assert not run.over(0.05), run.log
        memory = sorted(p.memory_info().rss for p in started())[-2:]
        assert all(100e6 < rss < 320e6 for rss in memory), memory


def test_a_problem_of_a_model_file(tmp_path):
    (tmp_path / "a_model.py").write_text(
        "from pmcmc import stats\nSCALE = 2.0\nclass Width:\n    value = SCALE\n"
        "parameters = {'a': stats.norm(0, 1)}\n"
        "def log_likelihood(theta): return -0.5 * theta[0] ** 2 / Width().value\n"
    )
    problem = pmcmc.Problem.load(str(tmp_path / "a_model.py"))
    many = pmcmc.run(problem, ranks=2, nsteps=40, burnin=5, seed=1)
    np.testing.assert_array_equal(
        many.get_chain(), pmcmc.run(problem, nsteps=40, burnin=5, seed=1).get_chain()
    )


def test_a_problem_that_cannot_be_sent_says_so():
    def log_prob(theta, numbers):
        return 0.0

    numbers = (x for x in range(3))

    def uses_it(theta):
        return float(next(numbers))

    class Model:
        def __init__(self):
            self.numbers = numbers

        def log_prob(self, theta):
            return 0.0

    for function, more, what in (
        (log_prob, {"args": (numbers,)}, r"args\[0\]"),
        (uses_it, {}, "numbers in uses_it"),
        (Model().log_prob, {}, "Model.numbers"),
    ):
        given = pmcmc.Problem(function, ["a"], initial=[0.0], **more)
        with pytest.raises(pmcmc.ModelError, match=rf"be sent to other .*: {what} \(of type gen"):
            pmcmc.run(given, ranks=2, **RUN)


def test_the_file_of_a_problem_is_for_its_job_alone(tmp_path, monkeypatch):
    from pmcmc.model.parcel import TOKEN, read_problem, write_problem

    path = tmp_path / "x.problem"
    token = write_problem(problem(), path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_problem(path, {TOKEN: token}).names == ("a", "b")
    with pytest.raises(pmcmc.ModelError, match="that of another job"):
        read_problem(path, {})
    path.chmod(0o644)
    with pytest.raises(pmcmc.ModelError, match="others cannot read"):
        read_problem(path, {TOKEN: token})
    path.chmod(0o600)
    data = path.read_bytes()
    for spoilt in (b"", b"nothing", data[:40], data[: len(data) // 2]):
        path.write_bytes(spoilt)
        with pytest.raises(pmcmc.ModelError):
            read_problem(path, {TOKEN: token})
    link = Path(tmp_path / "link.problem")
    link.symlink_to(path)
    with pytest.raises(pmcmc.ModelError, match="cannot be read"):
        read_problem(link, {TOKEN: token})


@pytest.mark.slow
def test_auto_takes_as_many_ranks_as_pay(monkeypatch, capfd):
    monkeypatch.setattr("pmcmc.launch.measure.count_cores", lambda: 6)
    with pmcmc.start(problem(), "auto", **RUN | {"nensembles": 2}) as run:
        assert run.ranks == 2
        assert run.wait().status == "finished"
    assert "pmcmc: 2 of 6 cores: log_prob takes" in capfd.readouterr().err
    with pmcmc.start(problem(0.002), "auto", **RUN | {"nensembles": 2}) as run:
        assert run.ranks == 6
    given = {**RUN, "mode": "split"}
    with pmcmc.start(problem(), "auto", **given) as run:
        assert run.ranks == 6


@pytest.mark.parametrize("delay", slow_but([0.1], [0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9]))
def test_a_stop_before_the_ranks_have_begun(delay):
    """Rank 0 may hear of it before MPI has begun: the others wait for it there."""
    run = pmcmc.start(problem(0.002), 4, **RUN)
    time.sleep(delay)
    run.stop()
    result = run.wait(30)
    assert run.status == "stopped", run.log
    assert result is None or result.status == "stopped"


@pytest.mark.slow
def test_a_block_that_fails_hides_no_failure_of_the_run():
    given = pmcmc.Problem(lambda theta: 1 / 0, ["a"], initial=[0.0])

    def block():
        with pmcmc.start(given, 2, **RUN) as run:
            while not run.over(0.1):
                pass
            raise KeyError("of the block")

    with pytest.raises(KeyError) as caught:
        block()
    assert "the run failed, too: log_prob raised ZeroDivisionError" in caught.value.__notes__[0]
