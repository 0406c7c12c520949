"""What is imported when: reading a file must be quick, on a login node, in every job script."""

import subprocess
import sys

import pytest

from fake_run import write

HEAVY = ("emcee", "scipy", "schwimmbad", "mpi4py", "dill", "matplotlib", "arviz")
LOADED = f"import sys; print([m for m in {HEAVY} if m in sys.modules], 'numpy' in sys.modules)"
COMMAND = "import sys; from pmcmc.cli.main import main; main({}); " + LOADED


def loaded(code, cwd):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "code",
    [
        "import pmcmc; pmcmc.load('x.h5').get_chain(); " + LOADED,
        COMMAND.format(["status", "x.h5"]),
    ],
)
def test_reading_a_file_loads_nothing_that_samples(tmp_path, code):
    write(tmp_path / "x.h5")
    assert loaded(code, tmp_path) == "[] True"


@pytest.mark.parametrize("code", ["import pmcmc", "import pmcmc.__main__"])
def test_numpy_is_not_loaded_before_threads_are_set(tmp_path, code):
    assert loaded(f"{code}; {LOADED}", tmp_path) == "[] False"
