"""What macOS does not have is not needed: ranks from Python where those calls are hidden.

No Mac can be had here. A sitecustomize, which every process of the run loads, takes away what
Linux and glibc have alone: /proc, some calls of `os`, a handler at exit that is taken back.
"""

import os
import signal
import subprocess
import time

import numpy as np
import pytest
from processes import started, wait_until_gone

import pmcmc
from conftest import clean_env, slow_but

HIDING = """
import builtins, errno, io, os, select

def hide(module, name):
    real = getattr(module, name)
    def call(path=".", *args, **kwargs):
        if isinstance(path, (str, bytes, os.PathLike)):
            text = os.fsdecode(path)
            if text == "/proc" or text.startswith("/proc/"):
                raise FileNotFoundError(errno.ENOENT, "hidden", text)
        return real(path, *args, **kwargs)
    setattr(module, name, call)

for module, names in (
    (os, ["open", "stat", "lstat", "readlink", "listdir", "scandir", "access"]),
    (builtins, ["open"]),
):
    for name in names:
        hide(module, name)
io.open = builtins.open
ONLY_LINUX = [
    "sched_getaffinity", "sched_setaffinity", "memfd_create", "pidfd_open", "eventfd", "fdatasync",
    "posix_fadvise", "posix_fallocate", "splice", "copy_file_range", "getrandom", "sendfile",
    "getxattr", "setxattr", "listxattr", "setresuid", "getresuid", "pipe2", "dup3",
    "O_PATH", "O_TMPFILE", "O_DIRECT", "O_NOATIME",
]
for name in ONLY_LINUX:
    if hasattr(os, name):
        delattr(os, name)
if hasattr(select, "epoll"):
    del select.epoll
os.confstr_names = {k: v for k, v in os.confstr_names.items() if "GNU" not in k}
"""
SCRIPT = """
import os, time
import numpy as np
import pmcmc

assert not os.path.isdir("/proc") and not hasattr(os, "sched_getaffinity")

def log_prob(theta):
    time.sleep(SLEEP)
    return -0.5 * float(theta @ theta)

parameters, initial = ["a", "b"], [0.0, 0.0]
problem = pmcmc.Problem(log_prob, parameters, initial=initial, name="problem")
"""
RUN = {"nsteps": 240, "burnin": 5, "nensembles": 6, "nwalkers": 8, "seed": 1}


def log_prob(theta):
    return -0.5 * float(theta @ theta)


@pytest.fixture
def hidden(launch, tmp_path):
    """Return a function that begins a process from which those calls are hidden."""
    (tmp_path / "hiding").mkdir()
    (tmp_path / "hiding" / "sitecustomize.py").write_text(HIDING)
    env = clean_env() | {"TMPDIR": str(tmp_path)}
    env["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(tmp_path / "hiding"), env.get("PYTHONPATH")])
    )

    def start(*words):
        return subprocess.Popen(
            [launch.python, *words],
            cwd=tmp_path,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    before = started()
    yield start
    wait_until_gone(started() - before, 20)


def end(process, timeout=60):
    """Wait for it, and return status, stdout and stderr."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


@pytest.mark.slow
def test_run_start_and_the_command_line(hidden, tmp_path):
    script = SCRIPT.replace("SLEEP", "0.0005") + (
        f"result = pmcmc.run(problem, ranks=2, progress=False, **{RUN})\n"
        "np.save('run.npy', result.get_chain())\n"
        f"with pmcmc.start(problem, ranks=2, output='s.h5', progress=False, **{RUN}) as run:\n"
        "    run.wait()\n"
        "print(run.result().status, pmcmc.is_root())\n"
    )
    (tmp_path / "script.py").write_text(script)
    assert end(hidden("script.py")) == (0, "finished True\n", "")
    here = pmcmc.Problem(log_prob, ["a", "b"], initial=[0.0, 0.0], name="problem")
    expected = pmcmc.run(here, **RUN).get_chain()
    np.testing.assert_array_equal(np.load(tmp_path / "run.npy"), expected)
    np.testing.assert_array_equal(pmcmc.load(tmp_path / "s.h5").get_chain(), expected)

    (tmp_path / "model.py").write_text(SCRIPT.replace("SLEEP", "0.0005"))
    words = [word for k, v in RUN.items() for word in (f"--{k}", str(v))]
    done = end(hidden("-m", "pmcmc", "model.py", "--ranks", "2", "--output", "c.h5", *words))
    assert done[0] == 0, done
    np.testing.assert_array_equal(pmcmc.load(tmp_path / "c.h5").get_chain(), expected)
    for command in (["status", "c.h5", "--follow"], ["summary", "c.h5"], ["doctor"]):
        done = end(hidden("-m", "pmcmc", *command))
        assert "Traceback" not in done[2], done
        assert done[0] == (1 if command == ["doctor"] and "error" in done[1] else 0), done


@pytest.mark.parametrize("how", slow_but([signal.SIGKILL], [signal.SIGKILL, signal.SIGINT]))
def test_ranks_end_with_who_started_them(hidden, tmp_path, how):
    script = SCRIPT.replace("SLEEP", "0.002") + (
        "pmcmc.run(problem, ranks=2, output='x.h5', checkpoint=0.5, progress=False, seed=1,\n"
        "          nsteps=10**5, burnin=5, nensembles=2, nwalkers=8)\n"
    )
    (tmp_path / "script.py").write_text(script)
    process = hidden("script.py")
    limit = time.monotonic() + 40
    while not (tmp_path / "x.h5").exists() or sum(pmcmc.load(tmp_path / "x.h5").steps) < 20:
        assert process.poll() is None, end(process)
        assert time.monotonic() < limit
        time.sleep(0.1)
    ranks = started(process.pid)
    assert len(ranks) >= 3  # mpiexec and two ranks
    process.send_signal(how)
    wait_until_gone(ranks, 15)
    end(process)
    assert pmcmc.load(tmp_path / "x.h5").status == "stopped"


def test_the_calls_are_hidden(hidden):
    code = "import os, pathlib as p; print(os.path.isdir('/proc'), [*p.Path('/proc').glob('*')])"
    assert end(hidden("-c", code)) == (0, "False []\n", "")
