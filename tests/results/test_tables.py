"""Intervals, tables to be pasted, correlations, comparisons, the best draw, methods."""

import json
import math
import re

import numpy as np
import pytest
from scipy import stats

import pmcmc
from pmcmc.diagnostics.intervals import highest_density, mode
from pmcmc.errors import UsageError
from pmcmc.results import tables
from pmcmc.results.methods import methods_text
from pmcmc.results.report import report

N = stats.norm(0, 1)


def made(seed=1, shift=0.0, nsteps=400, **more):
    def log_likelihood(t):
        return -0.5 * ((t[0] - shift) ** 2 + (t[1] - 0.9 * t[0]) ** 2 / 0.19), t[0] + 1

    given = {"parameters": {"x_1": N, "y": N, "f": 2.5}, "derived": ["s"], "labels": {"y": "$y$"}}
    problem = pmcmc.Problem(log_likelihood=log_likelihood, initial="prior", **given | more)
    return pmcmc.run(problem, nsteps=nsteps, burnin=20, nwalkers=32, nensembles=2, seed=seed)


@pytest.fixture(scope="module")
def result():
    return made()


@pytest.mark.parametrize(
    ("frozen", "low", "high", "top"),
    [
        (stats.norm(3, 2), 1.0, 5.0, 3.0),
        (stats.expon(), 0.0, -math.log(1 - 0.6827), None),
        (stats.gamma(3), 0.86, 3.91, 2.0),
    ],
    ids=["normal", "exponential", "gamma"],
)
def test_intervals_and_modes_of_known_densities(frozen, low, high, top):
    draws = frozen.rvs(size=(20000, 8), random_state=np.random.default_rng(1))
    found = highest_density([draws[:5000], draws[5000:]])
    assert found == pytest.approx((low, high), abs=0.15 * frozen.std())
    if top is not None:
        assert mode([draws]) == pytest.approx(top, abs=0.35 * frozen.std())


def test_intervals_of_nothing_and_of_one_value():
    empty, same = [np.empty((0, 4))], [np.full((3, 4), 7.0)]
    assert all(map(math.isnan, (*highest_density(empty), mode(empty))))
    assert (*highest_density(same), mode(same)) == (7.0, 7.0, 7.0)


def test_kinds(result):
    hdi, top = result.summary("hdi"), result.summary("mode")
    assert "hdi from" in str(hdi).splitlines()[0]
    assert " mode " in str(top).splitlines()[0]
    assert all(len(line) <= 80 for line in str(top).splitlines())
    row = top.rows[0]
    assert row.hdi_low < row.mode < row.hdi_high
    assert math.isnan(result.summary().rows[0].hdi_low)
    assert json.loads(json.dumps(top.to_dict()))["parameters"][0]["mode"] == row.mode
    with pytest.raises(UsageError, match="kind is 'mean': expected one of quantiles, hdi, mode"):
        result.summary("mean")


def test_some_rows(result):
    text = result.summary().table(("y", "s"))
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["y", "derived:", "s"]
    assert "fixed: f = 2.5" in str(result.summary())


def test_latex_can_be_set(result):
    """Matplotlib sets the cells: what it can, LaTeX can."""
    from matplotlib.mathtext import MathTextParser

    summary = result.summary("mode")
    text = tables.latex_table(result, [*summary.rows, *summary.derived], "mode")
    lines = text.splitlines()
    assert lines[0].startswith("% problem, seed 1, pmcmc ")
    assert lines[1] == r"\begin{tabular}{lc}"
    cells = [line.removesuffix(r" \\").split(" & ") for line in lines if line.startswith("$")]
    assert [left for left, _ in cells] == [
        r"$\mathrm{x\_1}$", "$y$", r"$\mathrm{s}$", r"$\mathrm{f}$"]  # fmt: skip
    for pair in cells:
        for cell in pair:
            MathTextParser("path").parse(cell.replace(" (fixed)", ""))
    assert cells[-1][1] == "$2.5$ (fixed)"


def test_markdown(result):
    summary = result.summary()
    lines = tables.markdown_table(result, summary.rows).splitlines()
    assert {line.count("|") for line in lines} == {7}
    assert lines[2].startswith("| x_1 | ")
    assert lines[-1].startswith("| f | 2.5 (fixed) |")


def test_the_best_draw_is_a_start(result):
    text = tables.best_draw(result.summary())
    given = {}
    exec(text.split("\n", 1)[1], given)
    at = np.unravel_index(np.argmax(result.get_log_prob()), result.get_log_prob().shape)
    np.testing.assert_allclose(given["initial"], result.get_chain()[at], rtol=1e-9)
    assert f"log_prob {result.get_log_prob().max():.6g}" in text


def test_correlations(result):
    lines = tables.correlations(result).splitlines()
    flat = result.get_chain(flat=True)
    expected = np.corrcoef(flat.T)[0, 1]
    assert lines[2].split() == ["y", f"{expected:.2f}", "1.00"]
    assert lines[3].split()[:2] == ["s", "1.00"]  # x_1 + 1


def test_the_strongest_of_many():
    def log_likelihood(t):
        return -50 * (t[3] - t[7]) ** 2

    problem = pmcmc.Problem(
        log_likelihood=log_likelihood, parameters={"b": [N] * 10}, initial="prior"
    )
    result = pmcmc.run(problem, nsteps=2000, burnin=200, nwalkers=40, nensembles=1, seed=1)
    lines = tables.correlations(result).splitlines()
    assert lines[0] == "the strongest of 45 pairs:"
    assert lines[1].endswith("b[3], b[7]")
    assert len(lines) == 21


def test_comparison_of_runs(result):
    same = tables.comparison([result, made(seed=2)])
    assert [one["name"] for one in same["parameters"]] == ["x_1", "y", "s"]
    assert all(abs(one["in_mcse"][1]) < 4 for one in same["parameters"])
    apart = tables.comparison([result, made(shift=3.0)])
    gap = apart["parameters"][0]
    means = [float(r.get_chain()[..., 0].mean()) for r in (result, made(shift=3.0))]
    assert gap["difference"] == [0.0, pytest.approx(means[1] - means[0])]
    assert gap["in_mcse"][1] > 4
    text = tables.comparison_table(apart)
    assert "beyond 4: the runs do not agree" in text
    assert max(map(len, text.splitlines())) <= 80, text
    json.dumps(apart)


def test_methods(result):
    summary = result.summary()
    text = methods_text(result, summary, enough=False)
    assert "2 parameters (and 1 fixed)" in text
    assert "2 independent ensembles of 32 walkers" in " ".join(text.split())
    assert "NOT ENOUGH" in " ".join(text.split())
    assert "ENOUGH" not in methods_text(result, summary, enough=True)
    moves = "stretch (20%), differential evolution (40%), snooker (40%)"
    assert moves in " ".join(text.split())
    for source in ("CAMCoS", "ter Braak 2006", "ter Braak and Vrugt 2008", "Vehtari"):
        assert text.count(source) == 1 + (source == "Vehtari"), source
    assert max(map(len, text.splitlines())) <= 80


def test_methods_of_moves_that_are_not_the_default():
    circle = {"a": pmcmc.periodic(0, 6.28), "b": pmcmc.stats.norm(0, 1)}
    problem = pmcmc.Problem(log_likelihood=lambda t: np.cos(t[0]), parameters=circle)
    result = pmcmc.run(problem, nsteps=40, burnin=10, nensembles=1, seed=1, moves="de")
    text = methods_text(result, result.summary(), enough=True)
    assert "differential evolution (100%)" in " ".join(text.split())
    assert "CAMCoS" not in text


def test_the_report_tells_how_the_run_was_made(result):
    page = report(result)
    for told in ("stats.norm(0, 1)", "fixed at 2.5", "core-hours", "command", "StretchMove",
                 "begin{tabular}", "def log_likelihood(t):", "initial = [",
                 "Foreman-Mackey"):  # fmt: skip
        assert told in page, told
    assert "http://" not in page
    assert "<script" not in page


def test_the_report_tells_of_rejects_circles_and_the_start(tmp_path):
    def log_likelihood(theta):
        if theta[1] > 1.0:
            raise ValueError("too <large>")
        return 3 * np.cos(theta[0])

    priors = {"phase": pmcmc.periodic(0, 2 * np.pi), "a": stats.norm(0, 1)}
    problem = pmcmc.Problem(parameters=priors, log_likelihood=log_likelihood)
    output = tmp_path / "x.h5"
    done = pmcmc.run(problem, output=output, nsteps=80, burnin=10, seed=1, on_error="reject")
    page = report(done)
    assert "<h2>Rejected evaluations</h2>" in page
    assert "log_prob raised ValueError: too &lt;large&gt;" in page
    assert "periodic: phase (0 to 6.28319)" in page
    assert re.search(r"1 optimum found; begun at log_prob -?[\d.]+ \(mass 1\)", page)
