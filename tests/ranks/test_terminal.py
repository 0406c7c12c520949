"""The bar is where people look: on the terminal behind a launcher; in a log there are lines."""

import os
import pty
import subprocess
import termios
import threading

import pytest

from conftest import clean_env

MODEL = """
import time
ndim, initial = 2, [0.0, 0.0]
def log_prob(theta):
    time.sleep(0.0005)
    return -0.5 * float(theta @ theta)
"""
RUN = ["model.py", "--nsteps", "400", "--burnin", "5", "--nensembles", "4", "--nwalkers", "8"]


def on_a_terminal(command, cwd):
    """Run a command whose stderr is a terminal; return its status and what came there."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (40, 120))
    said = bytearray()

    def listen():
        try:
            while some := os.read(master, 4096):
                said.extend(some)
        except OSError:  # nobody has the other end any more
            pass

    reader = threading.Thread(target=listen)
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=clean_env() | {"TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=slave,
    )
    os.close(slave)
    reader.start()
    status = process.wait(60)
    reader.join(10)
    os.close(master)
    return status, said.decode(errors="replace")


def words(launcher, way):
    if way == "--ranks":
        return [launcher.python, "-m", "pmcmc", *RUN, "--ranks", "2"]
    extra = ["--oversubscribe", "--bind-to", "none"] if launcher.openmpi else []
    start = [launcher.mpiexec, *extra, "-n", "2"] if way == "mpiexec" else []
    return [*start, launcher.python, "-m", "pmcmc", *RUN]


@pytest.mark.parametrize("way", ["mpiexec", "--ranks", "alone"])
def test_a_bar_on_the_terminal(launch, tmp_path, model, way):
    model(MODEL)
    status, said = on_a_terminal(words(launch, way), tmp_path)
    assert status == 0, said
    assert " steps/s" in said
    assert "acceptance 0." in said
    assert said.count("\r") > 3


@pytest.mark.slow
@pytest.mark.parametrize("way", ["mpiexec", "--ranks"])
def test_a_bar_under_open_mpi(launch_openmpi, tmp_path, model, way):
    model(MODEL)
    status, said = on_a_terminal(words(launch_openmpi, way), tmp_path)
    assert status == 0, said
    assert " steps/s" in said


@pytest.mark.parametrize(("asked", "bar"), [(None, False), ("--progress", True)])
def test_in_a_pipe_only_where_it_is_asked_for(launch, tmp_path, model, asked, bar):
    model(MODEL)
    done = launch(2, "-m", "pmcmc", *RUN, *([asked] if asked else []), cwd=tmp_path)
    assert done.returncode == 0, done
    assert (" steps/s" in done.stderr) == bar


def test_in_a_file_there_are_lines(launch, tmp_path, model):
    model(MODEL)
    with (tmp_path / "log").open("w") as log:
        command = [*words(launch, "mpiexec"), "--progress"]
        # mpiexec makes a pipe of it: only without a launcher a rank sees the file
        subprocess.run(command[3:], cwd=tmp_path, env=clean_env(), stderr=log, check=True)
    assert (tmp_path / "log").read_text() == ""
