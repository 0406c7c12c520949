"""The draws of a run as users get them, against emcee's own reader and numpy."""

import emcee
import h5py
import numpy as np
import pytest
from arviz_stats.base import array_stats

import pmcmc
from pmcmc.diagnostics.estimators import normal_scores
from pmcmc.errors import StoreError, UsageError
from pmcmc.storage.header import Header
from pmcmc.storage.writer import RunWriter
from reference import plain_emcee, streams

W, STEPS = 8, (7, 7, 6)


def log_prob(theta):
    return -0.5 * float(theta @ theta), theta[0] ** 2, theta[1]


def plain_log_prob(theta):
    return log_prob(theta)[0]


def initial(nwalkers, rng):
    return rng.normal(size=(nwalkers, 2))


def sample(output=None, function=log_prob, **options):
    problem = pmcmc.Problem(function, ["a", "b"], initial=initial)
    fixed = {"nsteps": 20, "nensembles": 3, "nwalkers": W, "burnin": 2, "seed": 5}
    fixed["moves"] = "stretch"
    return pmcmc.run(problem, output=output, **fixed | options)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("result") / "x.h5"
    sample(path)
    return path


@pytest.fixture(scope="module", params=["loaded", "in memory"])
def result(request, path):
    return pmcmc.load(str(path)) if request.param == "loaded" else sample()


@pytest.fixture(scope="module")
def backends(path):
    names = [f"ensembles/{e:04d}" for e in range(3)]
    return [emcee.backends.HDFBackend(path, name=name, read_only=True) for name in names]


GETTERS = ["get_chain", "get_log_prob", "get_blobs"]
CUTS = [{}, {"discard": 2}, {"thin": 3}, {"discard": 1, "thin": 2}, {"discard": 5}, {"thin": 6}]


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("getter", GETTERS)
def test_flat_draws_are_those_of_emcee_ensemble_after_ensemble(result, backends, getter, cut):
    expected = [getattr(b, getter)(flat=True, **cut) for b in backends]
    found = getattr(result, getter)(flat=True, **cut)
    np.testing.assert_array_equal(found, np.concatenate(expected), strict=True)


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("getter", GETTERS)
def test_draws_are_those_of_emcee_cut_to_the_shortest_ensemble(result, backends, getter, cut):
    expected = [getattr(b, getter)(**cut) for b in backends]
    shortest = min(map(len, expected))
    found = getattr(result, getter)(**cut)
    np.testing.assert_array_equal(found, np.stack([e[:shortest] for e in expected]), strict=True)
    assert found.shape[:3] == (3, shortest, W)
    assert found.shape[3:] == (() if getter == "get_log_prob" else (2,))


@pytest.mark.parametrize("getter", GETTERS)
def test_flat_takes_what_only_the_longer_ensembles_have(result, backends, getter):
    expected = [getattr(b, getter)()[6:].reshape(W, -1) for b in backends[:2]]
    found = getattr(result, getter)(discard=6, flat=True)
    np.testing.assert_array_equal(found.reshape(2 * W, -1), np.concatenate(expected))
    with pytest.raises(StoreError, match="6 to 7 steps per ensemble: nothing is left with"):
        getattr(result, getter)(discard=6)


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("cut", [{"discard": 7}, {"thin": 8}, {"discard": 3, "thin": 5}], ids=str)
def test_a_cut_that_leaves_nothing_is_said(result, cut, flat):
    with pytest.raises(StoreError, match=r"nothing is left with discard = .* and thin = "):
        result.get_chain(flat=flat, **cut)


@pytest.mark.parametrize("cut", [{"discard": -1}, {"thin": 0}, {"thin": -2}], ids=str)
def test_an_impossible_cut_is_refused(result, cut):
    with pytest.raises(UsageError, match="expected at least 0 and at least 1"):
        result.get_chain(**cut)


@pytest.mark.parametrize("burnin", [0, 2])
@pytest.mark.parametrize("thin_by", [1, 3])
def test_draws_are_those_of_plain_emcee(burnin, thin_by):
    result = sample(burnin=burnin, thin_by=thin_by)
    options = {"burnin": burnin, "thin_by": thin_by, "blobs_dtype": float}
    for e, steps in enumerate(STEPS):
        rng, state = streams(5, e)
        sampler = plain_emcee(log_prob, initial(W, rng), state, steps, **options)
        np.testing.assert_array_equal(result.get_chain()[e], sampler.get_chain()[:6])
        np.testing.assert_array_equal(result.get_blobs()[e], sampler.get_blobs()[:6])
        np.testing.assert_allclose(result.acceptance_fraction[e], sampler.acceptance_fraction)


def test_figures_of_the_run(result, path):
    assert (result.status, result.names, result.problem) == ("finished", ("a", "b"), "problem")
    assert (result.seed, result.nensembles, result.nwalkers, result.ndim) == (5, 3, W, 2)
    assert (result.nsteps, result.burnin, result.thin_by) == (20, 2, 1)
    assert (result.steps, result.burnin_steps) == (STEPS, (2, 2, 2))
    assert result.ndraws == 20 * W
    assert result.version == pmcmc.__version__
    assert result.path in (None, path)


def test_burnin_is_kept(result, path):
    with h5py.File(path) as file:
        expected = [file[f"burnin/{e:04d}/chain"][...] for e in range(3)]
    np.testing.assert_array_equal(result.get_burnin(), expected, strict=True)
    assert result.get_burnin().shape == (3, 2, W, 2)


def test_one_parameter(result):
    parts = result.parameter("b")
    assert [p.shape for p in parts] == [(n, W) for n in STEPS]
    flat = np.concatenate([p.ravel() for p in parts])
    np.testing.assert_array_equal(flat, result.get_chain(flat=True)[:, 1])
    with pytest.raises(UsageError, match="there is no parameter c; the parameters are a, b"):
        result.parameter("c")


def test_without_blobs_there_are_none():
    assert sample(function=plain_log_prob).get_blobs() is None


@pytest.mark.parametrize(
    ("function", "dtype", "shape"),
    [
        (lambda t: (-float(t @ t), t), None, (2,)),
        (lambda t: (-float(t @ t), 1), None, ()),
        (lambda t: (-float(t @ t), 1.5, b"in"), [("r", "f4"), ("s", "S2")], ()),
    ],
)
def test_blobs_keep_their_form(function, dtype, shape):
    problem = pmcmc.Problem(function, ["a", "b"], initial=initial, blobs_dtype=dtype)
    result = pmcmc.run(problem, nsteps=5, nensembles=2, nwalkers=W, burnin=1, seed=1)
    assert result.get_blobs().shape == (2, 2, W, *shape)
    assert result.get_blobs(flat=True).shape == (5 * W, *shape)
    assert result.get_blobs().dtype == np.dtype(dtype or float)


def about_the_mean(chain):
    """Return the autocorrelation time of an ensemble about its mean, from sums of products."""
    n, x = len(chain), chain - chain.mean()
    covariance = np.array([(x[: n - k] * x[k:]).sum() for k in range(n)])
    times = 2 * np.cumsum(covariance / covariance[0]) - 1
    window = emcee.autocorr.auto_window(times, 5)
    return times[window] if window > 0 or 5 * times[0] <= 0 else times.max()


@pytest.mark.parametrize("thin_by", [1, 3])
def test_summary_is_that_of_numpy_and_emcee(thin_by):
    result = sample(nsteps=301, thin_by=thin_by)
    summary = result.summary()
    assert [row.name for row in summary.rows] == ["a", "b"]
    for i, row in enumerate(summary.rows):
        flat = result.get_chain(flat=True)[:, i]
        figures = [flat.mean(), flat.std(ddof=1), *np.quantile(flat, [0.16, 0.5, 0.84])]
        np.testing.assert_allclose([row.mean, row.sd, row.q16, row.q50, row.q84], figures)
        chains = result.parameter("ab"[i])
        tau, rank_tau = (
            np.mean([about_the_mean(c if raw else normal_scores(c)) for c in chains])
            for raw in (True, False)
        )
        np.testing.assert_allclose(row.tau, thin_by * tau)
        np.testing.assert_allclose(row.ess_bulk, len(flat) / rank_tau)
        np.testing.assert_allclose(row.mcse, row.sd * np.sqrt(tau / len(flat)))
        stacked = np.stack([p[:100].ravel() for p in result.parameter("ab"[i])])
        np.testing.assert_allclose(row.r_hat, array_stats.rhat(stacked, method="rank"))
    assert (summary.nensembles, summary.ndraws) == (3, 301 * W)
    np.testing.assert_allclose(summary.acceptance_fraction, result.acceptance_fraction.mean())


def test_summary_for_programs_has_none_where_a_figure_cannot_be_told():
    summary = sample(nsteps=3).summary()
    values = summary.to_dict()
    assert [row["tau"] for row in values["parameters"]] == [None, None]
    assert values["parameters"][0]["mean"] == summary.rows[0].mean
    assert values["ndraws"] == 3 * W


def test_summary_prints_a_table_that_fits_a_terminal():
    long = "a_parameter_with_a_name_that_goes_on"
    problem = pmcmc.Problem(
        lambda t: -0.5 * (t[0] / 1e-9) ** 2 - 0.5 * (t[1] / 1e9) ** 2,
        [long, "b"],
        initial=lambda n, rng: rng.normal(size=(n, 2)) * [1e-9, 1e9],
    )
    lines = str(
        pmcmc.run(problem, nsteps=50, burnin=10, nwalkers=W, nensembles=1, seed=1).summary()
    ).splitlines()
    assert [len(lines), max(map(len, lines)) <= 80] == [3, True]
    heads = ["mean", "sd", "16%", "50%", "84%", "tau", "ess", "mcse"]  # no R-hat of one ensemble
    assert lines[0].split() == heads
    assert "e-" in lines[1]
    assert "e+" in lines[2]


def test_a_file_without_draws_yet(tmp_path):
    store = RunWriter(
        tmp_path / "x.h5",
        Header(
            problem="demo",
            names=("a", "b"),
            fingerprint="",
            settings={},
            seed=1,
            nwalkers=W,
            burnin=10,
            thin_by=1,
            steps=(3, 3),
            config={},
            blobs_dtype=np.dtype(float),
        ),
    )
    store.create()
    result = pmcmc.load(tmp_path / "x.h5")
    assert (result.status, result.ndraws, result.steps) == ("running", 0, (0, 0))
    message = (
        r"x\.h5 holds no draws yet: it is in burn-in, at step \d+( to \d+)? of 10 per ensemble"
    )
    for call in (result.summary, *(getattr(result, name) for name in GETTERS)):
        with pytest.raises(StoreError, match=message):
            call()
    with pytest.raises(StoreError, match=message):
        result.get_chain(flat=True)


def test_without_output_the_draws_stay_in_memory(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    one, two = sample(seed=6), sample()
    assert list(tmp_path.iterdir()) == []
    assert (two.path, two.status) == (None, "finished")
    np.testing.assert_array_equal(two.get_chain(), pmcmc.load(path).get_chain())
    assert not np.isin(one.get_chain(), two.get_chain()).any()


def test_a_run_is_quiet_and_leaves_the_global_random_state_alone(capfd):
    before = np.random.get_state()
    sample()
    np.testing.assert_equal(np.random.get_state(), before)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nstep": 3}, "there is no option nstep"),
        ({"nwalkers": 2}, "nwalkers is 2; .* needs at least 4 .*: use nwalkers=4 or more"),
        ({"nwalkers": 7}, "nwalkers is 7; expected an even number"),
        ({"nsteps": 2}, "nsteps is 2, .* nensembles is 3"),
        ({"teams": 2, "mode": "pool"}, "teams is 2 and mode is pool"),
        ({"dry_run": True}, "dry_run is for the command line"),
    ],
)
def test_a_run_that_cannot_work_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        sample(**options)


def test_a_function_is_no_problem():
    with pytest.raises(UsageError, match=r"expected a pmcmc\.Problem, got function: wrap"):
        pmcmc.run(plain_log_prob, nsteps=3)


def test_advice_names_keywords(result):
    cure = 'nsteps="auto"' if result.path is None else "resume=True"
    assert cure in str(result)
    assert cure.replace('"', "&quot;") in result._repr_html_()
    assert "--" not in str(result)
