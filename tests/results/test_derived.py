"""Scalar blobs are derived parameters, in tables, pictures and exports; and awkward names."""

import csv
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from scipy import stats

import pmcmc
from pmcmc.errors import ModelError, PmcmcError, StoreError, UsageError
from pmcmc.results.exports import export
from pmcmc.results.plots import figures
from pmcmc.results.report import report

RUN = {"nsteps": 60, "nensembles": 2, "nwalkers": 16, "burnin": 4, "seed": 1}
PRIORS = {"h": stats.norm(0, 1), "k": stats.norm(0, 1), "amp": stats.uniform(0, 10)}
# what csv, netCDF, GetDist or matplotlib has a use of its own for
AWKWARD = [
    "chain",
    "draw",
    "log_prob",
    "m/s",
    r"$\frac{a}{b}$",
    "a$",
    "_x",
    "x y",
    "x_y",
    "w*",
    "é%#?",
]
AWKWARD += ["walker", "walker_", "a,b", '"q"']


def orbit(t):
    h, k, amp = t
    return -0.5 * (amp - 3) ** 2, np.arctan2(h, k), h * h + k * k, int(h > 0)


def made(function=orbit, **more):
    given = {"parameters": PRIORS, "initial": "prior"} | more
    return pmcmc.Problem(log_likelihood=function, **given)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Return an orbit with derived angle, eccentricity and a flag."""
    path = tmp_path_factory.mktemp("derived") / "x.h5"
    problem = made(derived=["omega", "ecc", "up"], labels={"amp": "$K$", "ecc": "$e$ (made)"})
    return pmcmc.run(problem, output=path, **RUN)


def expected(result):
    h, k, _ = np.moveaxis(result.get_chain(), -1, 0)
    return np.stack([np.arctan2(h, k), h * h + k * k, h > 0], axis=-1)


def test_they_are_read_by_name(result):
    assert result.derived == ("omega", "ecc", "up")
    assert result.quantities == ("h", "k", "amp", "omega", "ecc", "up")
    truth = expected(result)
    np.testing.assert_array_equal(result.get_derived(), truth)
    np.testing.assert_array_equal(np.stack(result.parameter("ecc")), truth[..., 1])
    flat = result.get_derived(discard=3, thin=2, flat=True)
    assert flat.shape == (len(result.get_chain(discard=3, thin=2, flat=True)), 3)
    with pytest.raises(UsageError, match=r"no parameter e; .*are h, k, amp, omega, ecc, up"):
        result.parameter("e")
    with pytest.raises(UsageError, match="names is 'amp': expected a list"):
        result.plot_corner("amp")


def test_their_figures_are_those_of_a_parameter_with_the_same_draws(result):
    """A parameter's are tested against theory: here the same draws are one, and derived."""
    problem = made(lambda t: (-0.5 * (t[2] - 3) ** 2, *t), derived=["h2", "k2", "amp2"])
    summary = pmcmc.run(problem, **RUN).summary()
    assert [row.name for row in summary.derived] == ["h2", "k2", "amp2"]
    for row, same in zip(summary.rows, summary.derived, strict=True):
        for figure in ("mean", "sd", "q16", "q50", "q84", "tau", "ess_bulk", "ess_tail", "r_hat"):
            assert getattr(same, figure) == pytest.approx(getattr(row, figure), rel=1e-9)


def test_the_verdict_and_walkers_are_of_sampled_parameters_alone():
    """A derived quantity that is stuck, or no number, changes nothing."""
    with_it = pmcmc.run(made(lambda t: (-0.5 * (t[2] - 3) ** 2, 7.0)), **RUN)
    without = pmcmc.run(made(lambda t: -0.5 * (t[2] - 3) ** 2), **RUN)
    assert str(with_it.verdict()) == str(without.verdict())
    np.testing.assert_array_equal(with_it.summary().offsets, without.summary().offsets)


def test_tables_mark_them(result):
    text = str(result.summary()).splitlines()
    at = text.index("derived:")
    assert [line.split()[0] for line in text[at + 1 :]] == ["omega", "ecc", "up"]
    assert all(len(line) <= 80 for line in text)
    told = result.summary().to_dict()
    assert [row["name"] for row in told["derived"]] == ["omega", "ecc", "up"]
    assert [row["name"] for row in told["parameters"]] == ["h", "k", "amp"]
    page = result._repr_html_()
    assert "<td>derived:</td>" in page
    assert page.index("<td>amp</td>") < page.index("<td>ecc</td>")
    json.dumps(told)


def test_every_picture_shows_them_with_labels(result):
    drawn = dict(figures(result, ["amp", "ecc"]))
    texts = {t.get_text() for ax in drawn["corner"].axes for t in (ax.xaxis.label, ax.yaxis.label)}
    assert {"$K$", "$e$ (made)"} <= texts
    for name in ("trace", "autocorrelation"):
        assert {"$K$", "$e$ (made)"} <= {ax.get_ylabel() for ax in drawn[name].axes}
    legend = drawn["running"].axes[0].get_legend().get_texts()
    assert [text.get_text() for text in legend] == ["$K$", "$e$ (made)"]


def test_exports_have_them(result, tmp_path):
    import arviz
    import getdist

    truth = expected(result)
    [path] = export(result, "netcdf", tmp_path / "x.nc")
    back = arviz.from_netcdf(path).posterior
    np.testing.assert_array_equal(back["ecc"].values[16 + 3], truth[1, :, 3, 1])
    assert (back["ecc"].attrs["long_name"], back["ecc"].attrs["derived"]) == ("$e$ (made)", 1)
    assert "derived" not in back["h"].attrs
    export(result, "getdist", tmp_path / "x")
    samples = getdist.loadMCSamples(str(tmp_path / "x"), settings={"ignore_rows": 0})
    names = samples.getParamNames()
    assert names.list() == ["h", "k", "amp", "omega", "ecc", "up"]
    assert [n.name for n in names.names if n.isDerived] == ["omega", "ecc", "up"]
    assert names.parWithName("amp").label == "K"
    assert names.parWithName("ecc").label == r"e\text{ (made)}"
    np.testing.assert_array_equal(samples.samples[:, 3:6], truth.reshape(-1, 3))
    ranges = (tmp_path / "x.ranges").read_text().splitlines()
    assert [line.split() for line in ranges] == [
        ["h", "N", "N"], ["k", "N", "N"], ["amp", "0.0", "10.0"]
    ]  # fmt: skip
    [path] = export(result, "npz", tmp_path / "x.npz")
    with np.load(path) as data:
        assert data["derived_names"].tolist() == ["omega", "ecc", "up"]
        np.testing.assert_array_equal(data["derived"], truth)
        assert json.loads(str(data["about"]))["seed"] == 1
    frame = result.to_dataframe()
    assert list(frame) == [*result.quantities, "log_prob", "ensemble", "step", "walker"]
    np.testing.assert_array_equal(frame["ecc"], truth.reshape(-1, 3)[:, 1])
    last = frame.iloc[-1][["ensemble", "step", "walker"]]
    assert last.tolist() == [1, 29, 15]


def test_awkward_names_come_back_through_every_form(tmp_path):
    import arviz
    import getdist
    import pandas

    given = {"parameters": AWKWARD, "initial": lambda n, rng: rng.normal(size=(n, len(AWKWARD)))}
    problem = pmcmc.Problem(lambda t: -0.5 * float(t @ t), labels={"m/s": r"$\frac{"}, **given)
    result = pmcmc.run(problem, **RUN | {"nwalkers": 32}, output=tmp_path / "x.h5")
    assert pmcmc.load(tmp_path / "x.h5").names == tuple(AWKWARD)
    chain, flat = result.get_chain(), result.get_chain(flat=True)

    [path] = export(result, "netcdf", tmp_path / "x.nc")
    back = arviz.from_netcdf(path).posterior
    named = {v.attrs.get("pmcmc_name", name): v for name, v in back.data_vars.items()}
    assert set(named) == set(AWKWARD)
    for i, name in enumerate(AWKWARD):
        np.testing.assert_array_equal(named[name].values[32 + 5], chain[1, :, 5, i])

    path, beside = export(result, "csv", tmp_path / "x.csv")
    columns = json.loads(beside.read_text())["columns"]
    frame = pandas.read_csv(path)
    assert len(set(frame.columns)) == len(AWKWARD) + 4
    for i, name in enumerate(AWKWARD):
        np.testing.assert_array_equal(frame[columns[name]], flat[:, i])
    with path.open(newline="") as file:
        assert next(csv.reader(file)) == list(frame.columns)
    assert set(result.to_dataframe().columns) == set(frame.columns)

    export(result, "getdist", tmp_path / "g")
    columns = json.loads((tmp_path / "g.about.json").read_text())["columns"]
    samples = getdist.loadMCSamples(str(tmp_path / "g"), settings={"ignore_rows": 0})
    names = samples.getParamNames().list()
    assert not [n for n in samples.getParamNames().names if n.isDerived]
    for i, name in enumerate(AWKWARD):
        assert names.index(columns[name]) == i
    np.testing.assert_array_equal(samples.samples[:, : len(AWKWARD)], flat)


def test_names_are_drawn_as_they_are_typed(tmp_path, capsys):
    names = ["a$b$", r"$\frac{", "_x", "m"]
    problem = pmcmc.Problem(
        lambda t: -0.5 * float(t @ t),
        names,
        labels={"m": r"$\frac{$", "_x": "$x$"},
        initial=lambda n, rng: rng.normal(size=(n, 4)),
    )
    result = pmcmc.run(problem, **RUN)
    for _, figure in figures(result):
        figure.savefig(tmp_path / "x.png")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(r"note: the label '$\\frac{$' of m cannot be drawn: ")
    drawn = dict(figures(result, names))
    assert [ax.get_ylabel() for ax in drawn["autocorrelation"].axes] == [
        r"a\$b\$", r"\$\frac{", "$x$", "m"
    ]  # fmt: skip


def test_what_corner_leaves_out_is_said(capsys):
    names = [f"p{i}" for i in range(14)]
    problem = pmcmc.Problem(
        lambda t: -0.5 * float(t @ t), names, initial=lambda n, rng: rng.normal(size=(n, 14))
    )
    result = pmcmc.run(problem, **RUN | {"nwalkers": 32})
    next(figures(result))
    assert (
        "corner shows 8 of 14 parameters, not p8, p9, p10, p11, p12, p13: name"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("more", "returned", "names"),
    [
        ({}, (1.0, 2), ("blob_0", "blob_1")),
        ({}, (1.0,), ("blob_0",)),
        ({}, (np.arange(3.0),), ()),  # one vector
        ({}, (np.arange(60.0),), ()),
        ({}, tuple(range(60)), ()),  # too many to be worked out unasked
        ({"blobs_dtype": [("a", float), ("v", float, 2), ("t", "S3"), ("h", int)]},
         (1.0, [2, 3], b"abc", 4), ("a", "h_blob")),
        ({"derived": ["p"], "blobs_dtype": [("a", float), ("v", float, 2)]},
         (1.0, [2, 3]), ("p",)),
        ({"blobs_dtype": bool}, (True,), ("blob_0",)),
        ({"blobs_dtype": complex}, (1j,), ()),
    ],
    ids=str,
)  # fmt: skip
def test_which_blobs_are_derived(more, returned, names):
    result = pmcmc.run(made(lambda t: (-t[2], *returned), **more), **RUN)
    assert result.derived == names
    assert result.get_derived().shape[-1] == len(names)
    blobs = result.get_blobs()
    if "a" in names:
        np.testing.assert_array_equal(result.get_derived()[..., 0], blobs["a"])
    result.summary()
    assert set(result.to_arviz().posterior.data_vars) >= set(PRIORS)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"derived": ["a"]},
            r"derived gives 1 name \(a\), and log_prob returns 3 blobs of single",
        ),
        ({"derived": "abc"}, "derived is 'abc': expected a list of names"),
        ({"derived": ["a", "h", "c"]}, "derived names h, and there is a h already"),
        ({"derived": ["a", "a", "c"]}, "derived names a, and there is a a already"),
        ({"derived": ["a", "b\nc", "d"]}, "without line breaks"),
        ({"labels": {"x": "$x$"}}, "labels gives one for x; there are h, k, amp, blob_0"),
        ({"labels": ["$x$"]}, "expected text by name"),
        ({"labels": {"h": 3}}, "expected text by name"),
        ({"labels": {"h": "a\nb"}}, "empty or has a line break"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(more, said):
    with pytest.raises(ModelError, match=said):
        pmcmc.run(made(**more), **RUN)


@pytest.mark.parametrize("more", [{"derived": ["a"]}, {"blobs_dtype": [("a", float)]}])
def test_a_prior_that_is_zero_wherever_it_is_tried_is_told_as_that(more):
    def log_prior(theta):
        return -np.inf

    with pytest.raises(PmcmcError, match=r"wherever it was tried first.*log_prior"):
        pmcmc.run(made(lambda t: (-t[2], 1.0), log_prior=log_prior, **more), **RUN)


def test_derived_without_blobs_is_refused():
    with pytest.raises(ModelError, match=r"derived gives 1 name \(a\), and log_prob returns none"):
        pmcmc.run(made(lambda t: -t[2], derived=["a"]), **RUN)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("derived", '[["x", 7]]'),
        ("derived", '[["x", true]]'),
        ("derived", '[["x", "field"]]'),
        ("derived", '["x"]'),
        ("derived", "[["),
        ("derived", 7),
        ("labels", "[]"),
        ("bounds", "[[1, 2]]"),
        ("bounds", '[["a", 2], [0, 1], [0, 1]]'),
    ],
)
def test_a_file_that_says_something_else_is_refused(result, tmp_path, name, value):
    path = tmp_path / "y.h5"
    path.write_bytes(result.path.read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs[name] = value
    with pytest.raises(StoreError, match=r"y\.h5"):
        pmcmc.load(path)


def test_a_file_of_before_has_none(result, tmp_path):
    path = tmp_path / "y.h5"
    path.write_bytes(result.path.read_bytes())
    with h5py.File(path, "r+") as file:
        for name in ("derived", "labels", "bounds"):
            del file.attrs[name]
    old = pmcmc.load(path)
    assert (old.derived, old.labels, old.bounds) == ((), {}, ())
    np.testing.assert_array_equal(old.get_blobs(), result.get_blobs())
    assert old.summary().derived == ()


@pytest.mark.slow
def test_the_report_has_them(result):
    assert "<td>derived:</td>" in report(result)


@pytest.mark.slow
def test_the_command_line_takes_their_names(result, tmp_path):
    command = [sys.executable, "-m", "pmcmc", "plot", str(result.path), "--parameters", "amp,ecc"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_stop_rules_and_verdict_look_at_them_where_asked(tmp_path):
    """The derived quantity forgets where it was as soon as a walker moves: it is soon enough."""
    given = {"nwalkers": 16, "nensembles": 2, "burnin": 50, "until_ess": 1500, "seed": 1}

    def quick(t):
        return -0.5 * float(t @ t), float(np.sin(1e6 * t[0]))

    problem = pmcmc.Problem(
        quick, ["a", "b"], initial=[0.0, 0.0], derived=["s"], blobs_dtype=float
    )
    usual = pmcmc.run(problem, **given)
    asked = pmcmc.run(problem, until_of="derived", output=tmp_path / "x.h5", **given)
    assert asked.config["until_of"] == "derived"
    assert usual.steps > asked.steps
    told = " ".join(asked.verdict().lines)
    assert told.startswith("enough: ESS at least")
    assert "(s)" in told
    again = pmcmc.run(problem, output=tmp_path / "x.h5", resume=True)
    assert again.steps == asked.steps
    both = pmcmc.run(problem, until_of=["a", "s"], **given)
    assert both.config["until_of"] == "a,s"
    for wrong, message in (("z", "until_of names 'z'"), (3, "until_of: expected parameters")):
        with pytest.raises(UsageError, match=message):
            pmcmc.run(problem, until_of=wrong, **given)
