"""The start that ensembles find together is the same in every layout."""

import pytest

from conftest import slow_but
from reference import assert_same_draws

MODEL = """
import numpy as np
from scipy import stats
parameters = {"x": stats.uniform(-20, 40), "y": stats.uniform(-20, 40)}
nwalkers = 8
def log_likelihood(t):
    wells = [-0.5 * ((t - k) ** 2).sum() / 0.25 for k in (-12.0, -4.0, 4.0, 12.0)]
    return float(np.logaddexp.reduce(wells))
"""
ARGS = ["--nsteps", 60, "--burnin", 5, "--seed", 4, "--nensembles", 5, "--no-progress"]
SHAPES = {
    "split": (3, ["--mode", "split"]),
    "static": (3, ["--mode", "pool", "--schedule", "static"]),
    "demand": (3, ["--mode", "pool", "--schedule", "demand"]),
    "teams": (4, ["--teams", "2", "--schedule", "demand"]),
}


@pytest.mark.parametrize("shape", slow_but(["split", "demand"], SHAPES))
def test_the_same_start_in_every_layout(launch, tmp_path, shape):
    (tmp_path / "m.py").write_text(MODEL)
    ranks, more = SHAPES[shape]
    for n, name, given in [(0, "alone.h5", []), (ranks, "x.h5", more)]:
        line = ["-m", "pmcmc", "m.py", *ARGS, *given, "--output", name]
        done = launch(n, *line, cwd=tmp_path, timeout=90)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "more where the searches disagree" in done.stdout
        assert "the searches disagree: each ensemble searches widely" in done.stdout
        assert "searches ended at 4 optima" in done.stdout
    assert_same_draws(tmp_path / "x.h5", tmp_path / "alone.h5")


def test_a_stop_while_some_ensembles_have_begun(launch, tmp_path):
    """The others begin, after the resume, at what had been found."""
    text = MODEL.replace(
        "def log_likelihood(t):",
        "import os, signal\nfrom pmcmc.sampler import ball\n"
        "if os.environ.get('STOP'):\n"
        "    plain, calls = ball.ball, []\n"
        "    def stops(*args):\n"
        "        calls.append(0)\n"
        "        if len(calls) == 3: os.kill(os.getpid(), signal.SIGTERM)\n"
        "        return plain(*args)\n"
        "    import pmcmc.sampler.initial\n"
        "    pmcmc.sampler.initial.ball = stops\n"
        "def log_likelihood(t):",
    )
    (tmp_path / "m.py").write_text(text)
    line = ["-m", "pmcmc", "m.py", *ARGS, "--output"]
    done = launch(0, *line, "whole.h5", cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    done = launch(0, *line, "x.h5", cwd=tmp_path, timeout=60, env={"STOP": "1"})
    assert done.returncode == 75, done.stderr
    done = launch(2, *line, "x.h5", "--resume", cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    assert_same_draws(tmp_path / "x.h5", tmp_path / "whole.h5")


TWO_MODES = """
import numpy as np
from pmcmc import stats
parameters = {"x": stats.uniform(-10, 20), "y": stats.uniform(-10, 20)}
nwalkers = 16
vectorized = True
def log_likelihood(t):
    left, right = (-0.5 * ((t - k) ** 2).sum(axis=1) / 0.09 for k in (-6.0, 6.0))
    return np.logaddexp(np.log(1 / 3) + left, np.log(2 / 3) + right)
"""


@pytest.mark.parametrize(
    ("seed", "told"),
    [
        (1, "ensembles are in 2 modes, and have not met for"),
        (2, "the search for a start found a maximum with about 33% of the mass"),
    ],
)
def test_modes_that_ensembles_cannot_cross_are_never_enough(launch, tmp_path, seed, told):
    """All begin in the heavier mode, or some in each: a default run ends soon, and says so."""
    (tmp_path / "m.py").write_text(TWO_MODES)
    done = launch(2, "-m", "pmcmc", "m.py", "--seed", seed, cwd=tmp_path, timeout=120)
    assert done.returncode == 3, done.stdout + done.stderr
    text = " ".join(done.stdout.split())
    assert "enough: ESS" not in text
    assert f"not enough: {told}" in text
    assert "run longer" not in text
