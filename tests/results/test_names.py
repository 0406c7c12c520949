"""Which names are meant, and which are elements of one vector."""

import numpy as np
import pytest
from scipy import stats

import pmcmc
from pmcmc.errors import UsageError
from pmcmc.results.exports import export
from pmcmc.results.names import choose, vectors

NAMES = ("a", "beta[0]", "beta[1]", "g[0]", "g[2]", "w*", "wide", "h[1]", "h[0]", "k", "k[0]")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, NAMES),
        (["beta[*]"], ("beta[0]", "beta[1]")),
        (["wide", "beta[1]", "beta[*]"], ("wide", "beta[1]", "beta[0]")),
        (["w*"], ("w*",)),  # a name comes before a pattern
        (["*d*"], ("wide",)),
    ],
)
def test_choice(given, expected):
    assert choose(given, NAMES) == expected


@pytest.mark.parametrize("given", [["beta"], ["x*"], ["beta[2]"], [""]])
def test_what_is_not_there(given):
    with pytest.raises(UsageError, match=r"there is no parameter .*the parameters are a, beta"):
        choose(given, NAMES)


def test_vectors():
    found = list(vectors(NAMES))
    assert found[:2] == [("a", [0]), ("beta", [1, 2])]
    # elements are missing or out of order, or another parameter has the name
    assert [name for name, _ in found[2:]] == list(NAMES[3:])


def test_a_vector_is_one_variable_of_arviz(tmp_path):
    import arviz

    n = stats.norm(0, 1)
    problem = pmcmc.Problem(
        log_likelihood=lambda t: (0.0, t[1:3] * 2),
        parameters={"a": n, "beta": [n, n], "c/d": 3.5, "g": [n, 1]},
        blobs_dtype=[("beta", float, (2,))],
        initial="prior",
    )
    result = pmcmc.run(problem, nsteps=30, burnin=2, nwalkers=16, nensembles=2, seed=1)
    [path] = export(result, "netcdf", tmp_path / "x.nc")
    back = arviz.from_netcdf(path)
    assert set(back.posterior.data_vars) == {"a", "beta", "g[0]", "beta_blob"}
    assert back.posterior["beta"].dims == ("chain", "draw", "beta_dim_0")
    chain = np.moveaxis(result.get_chain(), 2, 1).reshape(32, -1, 4)
    np.testing.assert_array_equal(back.posterior["beta"], chain[..., 1:3])
    np.testing.assert_array_equal(back.posterior["beta_blob"], 2 * chain[..., 1:3])
    assert float(back.constant_data["c_d"]) == 3.5
    assert float(back.constant_data["g[1]"]) == 1.0


@pytest.mark.parametrize("form", ["csv", "getdist", "npz"])
def test_names_beyond_ascii_in_a_plain_locale(launch, tmp_path, form):
    (tmp_path / "m.py").write_text(
        "parameters, initial = ['a', '\u03c9'], [0.0, 0.0]\n"
        "labels = {'\u03c9': '\u03c9 (rad)'}\n"
        "def log_prob(t):\n    return -float(t @ t)\n",
        encoding="utf-8",
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run = ["-m", "pmcmc", "m.py", "--nsteps", 20, "--burnin", 0, "--no-progress"]
    done = launch(0, *run, cwd=tmp_path, env=plain)
    assert done.returncode == 0, done.stderr
    done = launch(0, "-m", "pmcmc", "export", "m.h5", "--format", form, cwd=tmp_path, env=plain)
    assert done.returncode == 0, done.stderr
    if form != "npz":
        texts = [
            p.read_text("utf-8") for p in tmp_path.glob("m*.*") if p.suffix not in (".h5", ".py")
        ]
        assert any("\u03c9" in text for text in texts)
