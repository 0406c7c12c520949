"""Every example is really run."""

import re

import numpy as np
import pytest
from scipy import optimize

import pmcmc
from conftest import ROOT


def article():
    """Return x, y and yerr of the article, made as there."""
    random = np.random.RandomState(123)  # the stream of np.random.seed(123)
    x = np.sort(10 * random.rand(50))
    yerr = 0.1 + 0.5 * random.rand(50)
    y = -0.9594 * x + 4.294
    y += np.abs(0.534 * y) * random.randn(50)
    y += yerr * random.randn(50)
    return x, y, yerr


@pytest.mark.parametrize("model", ["line", ROOT / "examples/line.py"], ids=["built in", "example"])
def test_the_line_is_that_of_the_article(model):
    problem = pmcmc.Problem.load(str(model))
    assert (problem.name, problem.nwalkers) == ("line", 100)
    assert problem.names == ("m", "b", "log_f")
    x, y, yerr = article()

    def log_prob(theta):
        m, b, log_f = theta
        variance = yerr**2 + np.exp(2 * log_f) * (m * x + b) ** 2
        return -0.5 * np.sum((y - m * x - b) ** 2 / variance + np.log(variance))

    for theta in ([-0.9594, 4.294, np.log(0.534)], [-1.2, 5.0, -2.0], [0.49, 0.1, 0.9]):
        expected = log_prob(theta) - np.log(5.5 * 10.0 * 11.0)
        assert problem.log_prob(np.array(theta)) == pytest.approx(expected, rel=1e-12)
    for theta in ([0.51, 4, -1], [-5.1, 4, -1], [-1, 10.1, -1], [-1, -0.1, -1], [-1, 4, 1.1]):
        assert problem.log_prob(np.array(theta, dtype=float)) == -np.inf
    start = problem.initial(100, np.random.default_rng(1))
    best = optimize.minimize(lambda t: -log_prob(t), start[0], method="Nelder-Mead", tol=1e-8).x
    np.testing.assert_allclose(start.mean(axis=0), best, atol=1e-4)
    np.testing.assert_allclose(start.std(axis=0), 1e-4, rtol=0.3)


def test_the_built_in_examples_are_those_of_the_folder():
    # a copy, and no link: links get lost in archives, and `pmcmc run line` with them
    for built_in in (ROOT / "src/pmcmc/model/examples").glob("[!_]*.py"):
        assert not built_in.is_symlink()
        assert built_in.read_text() == (ROOT / "examples" / built_in.name).read_text()


def test_line_example_runs(launch, tmp_path):
    done = launch(
        2, "-m", "pmcmc", ROOT / "examples/line.py", "--nsteps", 200, "--burnin", 20, cwd=tmp_path
    )
    assert done.returncode == 0, done
    assert (tmp_path / "line.h5").exists()


@pytest.mark.slow
def test_python_api_example_runs(launch, tmp_path):
    done = launch(3, ROOT / "examples/line_python_api.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "\nenough: " in done.stdout
    assert re.search(r"^\d+ draws; P\(m < -1\) = 0\.5", done.stdout, re.M)
