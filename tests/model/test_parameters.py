"""What a model may give as parameters: priors, vectors of them, fixed numbers, names."""

import numpy as np
import pytest
from scipy import stats

import pmcmc
from pmcmc.errors import ModelError
from pmcmc.model.parameters import Parameters

N = stats.norm(0, 1)
TABLE = {"a": N, "c": 2.5, "beta": [N] * 3, "gamma": (stats.norm(3, 1), -1), "d": np.float64(7)}
RUN = {"nsteps": 40, "burnin": 2, "nwalkers": 16, "nensembles": 1, "seed": 1}


def test_the_table():
    table = Parameters.read(TABLE, None)
    assert table.names == ("a", "beta[0]", "beta[1]", "beta[2]", "gamma[0]")
    assert table.fixed == {"c": 2.5, "gamma[1]": -1.0, "d": 7.0}
    assert [prior.name for prior in table.priors] == list(table.names)
    assert table.all_names[:3] == ("a", "c", "beta[0]")
    whole = table.with_fixed(np.arange(10.0).reshape(2, 5))
    np.testing.assert_array_equal(whole[1], [5, 2.5, 6, 7, 8, 9, -1, 7])


def test_without_fixed_ones_theta_is_left_alone():
    theta = np.zeros(2)
    assert Parameters.read(["a", "b"], None).with_fixed(theta) is theta


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": 1.0}, "all parameters are fixed"),
        ({"a": N, "b": np.nan}, "parameters fixes b at nan"),
        ({"a": N, "b": True}, "the prior of b is True"),
        ({"a": N, "b": "1"}, "the prior of b is '1'"),
        ({"a": N, "b": []}, "an empty list for b"),
        ({"a": [[N, N], [N, N]]}, "lists within the list for a"),
        ({"a": [N, N], "a[1]": N}, r"name a\[1\] more than once"),
        ({"a": [N, stats.norm]}, r"the prior of a\[1\] is the family norm"),
        ({}, "expected one or more names"),
        ({3: N}, "expected one or more names"),
    ],
)
def test_what_cannot_be(given, message):
    with pytest.raises(ModelError, match=message):
        Parameters.read(given, None)


def test_ndim_counts_those_that_are_sampled():
    assert len(Parameters.read(TABLE, 5).names) == 5
    with pytest.raises(ModelError, match="ndim is 8, but parameters gives 5 names"):
        Parameters.read(TABLE, 8)


@pytest.mark.parametrize("vectorized", [False, True])
def test_functions_get_fixed_parameters_at_their_places(vectorized):
    seen = []

    def log_likelihood(theta):
        seen.append(theta.copy())
        return -0.5 * ((theta - 1) ** 2).sum(axis=-1)

    def log_prior(theta):
        assert theta.shape[-1] == 4
        return np.where(theta[..., 1] == 3, 0.0, -np.inf)[()]

    problem = pmcmc.Problem(
        log_likelihood=log_likelihood,
        log_prior=log_prior,
        parameters={"x": N, "f": 3, "v": [N, N]},
        vectorized=vectorized,
        initial="prior",
    )
    result = pmcmc.run(problem, **RUN)
    assert all((np.atleast_2d(theta)[:, 1] == 3).all() for theta in seen)
    assert result.names == ("x", "v[0]", "v[1]")
    assert result.fixed == {"f": 3.0}
    chain = result.get_chain()
    prior = stats.norm(0, 1).logpdf(chain).sum(axis=-1)
    whole = np.insert(chain, 1, 3, axis=-1)
    expected = prior - 0.5 * ((whole - 1) ** 2).sum(axis=-1)
    np.testing.assert_allclose(result.get_log_prob(), expected, rtol=1e-13)


def test_another_fixed_value_is_another_problem(tmp_path):
    def problem(value):
        return pmcmc.Problem(
            log_likelihood=lambda t: 0.0, parameters={"x": N, "f": value}, initial="prior"
        )

    pmcmc.run(problem(3), output=tmp_path / "x.h5", **RUN)
    with pytest.raises(ModelError, match=r"fixed: {'f': 3\.0} in the file, {'f': 4\.0} now"):
        pmcmc.run(problem(4), output=tmp_path / "x.h5", resume=True, **(RUN | {"nsteps": 60}))
