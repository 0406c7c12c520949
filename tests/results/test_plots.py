"""Pictures: pages, truths, names, digits, comparisons, PDF; and what draws them."""

import numpy as np
import pytest
from scipy import stats

import pmcmc
from pmcmc.errors import UsageError
from pmcmc.results import html
from pmcmc.results.files import write_file
from pmcmc.results.plots import comparison, figures, pictures
from pmcmc.results.plots.rendering import render
from pmcmc.results.plots.style import folded
from pmcmc.results.uncertain import Uncertain

RUN = {"nsteps": 60, "nensembles": 2, "burnin": 4}


def made(n=14, output=None, seed=1, **more):
    problem = pmcmc.Problem(
        log_likelihood=lambda t: 0.0, parameters={"b": [stats.norm(0, 1)] * n}, initial="prior"
    )
    return pmcmc.run(problem, output=output, seed=seed, nwalkers=2 * n + 4, **RUN | more)


@pytest.fixture(scope="module")
def many():
    return made()


def test_nothing_is_cut_pages_are_added(many, capsys):
    drawn = dict(pictures(many))
    assert {"trace", "trace-2", "autocorrelation-2", "ranks-2", "running"} <= set(drawn)
    shown = [ax.get_ylabel() for name in ("trace", "trace-2") for ax in drawn[name]().axes]
    assert shown == [*(f"b[{k}]" for k in range(14)), "log_prob"]
    one = dict(pictures(many, page=100))
    assert "trace-2" not in one
    assert len(one["trace"]().axes) == 15


def test_parameters_by_pattern_are_all_in_the_corner(many, capsys):
    drawn = dict(pictures(many, ["b[1*]"]))
    assert capsys.readouterr().err == ""
    labels = [ax.get_xlabel() for ax in drawn["corner"]().axes if ax.get_xlabel()]
    assert labels == ["b[1]", "b[10]", "b[11]", "b[12]", "b[13]"]


def test_truths_are_marked():
    result = made(2)
    drawn = dict(figures(result, truths={"b[0]": 0.25}))
    lines = [line.get_xdata() for line in drawn["corner"].axes[0].get_lines()]
    assert any(np.allclose(x, 0.25) for x in lines)
    lines = [line.get_ydata() for line in drawn["trace"].axes[0].get_lines()]
    assert any(np.allclose(y, 0.25) for y in lines)
    assert not any(np.allclose(line.get_ydata(), 0.25) for line in drawn["trace"].axes[1].lines)
    low, high = dict(figures(result, truths={"b[0]": 50.0}))["trace"].axes[0].get_ylim()
    assert low < 50 < high
    with pytest.raises(UsageError, match="there is no parameter c"):
        result.plot_corner(truths={"c": 1.0})
    assert result.plot_trace(["b[1]"], truths={"b[1]": 0.0}).axes


@pytest.mark.parametrize(
    ("given", "text", "latex"),
    [
        ((0.4859, 0.49, 0.502), "0.4900 +0.012 -0.0041", r"0.4900^{+0.012}_{-0.0041}"),
        ((1.0, 2.0, 3.0), "2.0 +- 1.0", r"2.0 \pm 1.0"),
        ((-0.996, -0.001, 0.994), "-0.00 +- 0.99", r"-0.00 \pm 0.99"),
        ((11800, 12345, 13000), "12340 +660 -540", "12340^{+660}_{-540}"),
        ((2.0e10, 2.2e10, 2.5e10), "(2.20 +0.30 -0.20)e10", None),
        ((1e-9, 2e-9, 4e-9), "(2.0 +2.0 -1.0)e-9", r"(2.0^{+2.0}_{-1.0}) \times 10^{-9}"),
        ((3.0, 3.0, 3.0), "3 +- 0", r"3 \pm 0"),
        ((0.0, 0.0, 0.5), "0.00 +0.50 -0", None),
        ((np.nan, 1.0, 2.0), "1 +1 -nan", None),
        ((0.0, 1.0, np.inf), "1 +inf -1", None),
    ],
)
def test_digits_are_those_of_the_uncertainty(given, text, latex):
    found = Uncertain.of(*given)
    assert str(found).replace("-0.00 ", "0.00 ") == text.replace("-0.00 ", "0.00 ")
    if latex is not None:
        assert found.latex().replace("-0.00 ", "0.00 ") == latex.replace("-0.00 ", "0.00 ")


def test_titles_have_them():
    result = made(1)
    title = result.plot_corner().axes[0].get_title()
    row = result.summary().rows[0]
    assert title == f"b[0]\n${Uncertain.of(row.q16, row.q50, row.q84).latex()}$"


def test_long_names_are_folded():
    name = "stellar_mass_to_light_ratio[12]"
    assert folded(name).replace("\n", "") == name
    assert max(map(len, folded(name).splitlines())) <= 16
    assert folded("short") == "short"
    assert (
        folded(r"$\frac{a_{long}}{b_{longer}}$ and more")
        == r"$\frac{a_{long}}{b_{longer}}$ and more"
    )


def test_ranks_show_an_ensemble_that_is_elsewhere(monkeypatch):
    result = made(1, nsteps=400)
    reader = type(result.reader)
    whole = reader.values

    def shifted(self, name, e, rows, phase="ensembles"):
        found = whole(self, name, e, rows, phase)
        return found + 5 if (name, e, phase) == ("chain", 1, "ensembles") else found

    apart = dict(figures(result))["ranks"].axes[0]
    heights = [patch.get_data().values for patch in apart.patches if hasattr(patch, "get_data")]
    assert max(h.max() for h in heights) < 1.9
    monkeypatch.setattr(reader, "values", shifted)
    apart = dict(figures(result))["ranks"].axes[0]
    heights = [patch.get_data().values for patch in apart.patches if hasattr(patch, "get_data")]
    assert [round(float(h[0])) for h in heights] == [2, 0]


def test_comparison_of_runs(capsys):
    first, second = made(2), made(3, seed=2)
    figure = comparison([first, second], truths={"b[1]": 0.0})
    assert "b[2] not shown" in capsys.readouterr().err
    assert len(figure.axes) == 4
    assert len(figure.legends[0].get_texts()) == 2
    with pytest.raises(UsageError, match="there is no parameter"):
        comparison([first, second], ["b[2]"])
    other = pmcmc.run(pmcmc.Problem(lambda t: 0.0, ["z"], initial=[0.0]), seed=1, **RUN)
    with pytest.raises(UsageError, match="no parameter in common"):
        comparison([first, other])


def test_pdf_is_ours_to_replace(tmp_path):
    figure = made(1).plot_corner()
    data = html.pdf(figure)
    assert data.startswith(b"%PDF")
    write_file(tmp_path / "x.pdf", data)
    write_file(tmp_path / "x.pdf", data)  # it says that pmcmc made it
    (tmp_path / "y.pdf").write_bytes(data.replace(b"pmcmc", b"other"))
    with pytest.raises(UsageError, match=r"y\.pdf was not made by pmcmc"):
        write_file(tmp_path / "y.pdf", data)


@pytest.mark.parametrize("parallel", [False, True])
def test_pictures_come_in_order_whoever_draws_them(parallel, monkeypatch):
    monkeypatch.setattr("pmcmc.results.plots.rendering.count_cores", lambda: 3)
    drawn = [(str(k), lambda k=k: k) for k in range(7)]
    found = list(render(drawn, lambda figure: bytes([figure]), parallel))
    assert found == [(str(k), bytes([k])) for k in range(7)]


def test_what_a_process_raises_comes_out(monkeypatch):
    monkeypatch.setattr("pmcmc.results.plots.rendering.count_cores", lambda: 2)

    def fails():
        raise UsageError("no such thing")

    with pytest.raises(UsageError, match="no such thing"):
        list(render([("a", fails), ("b", fails)], bytes, parallel=True))
