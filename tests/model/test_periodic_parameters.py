"""Parameters on circles: what a model declares, what is wrapped, what is the short way round."""

import numpy as np
import pytest
from scipy import stats

import pmcmc
from pmcmc.errors import ModelError
from pmcmc.model.periodic import Circles

TURN = 2 * np.pi
CIRCLES = Circles({"phase": (0.0, TURN)}, ["a", "phase"])


def log_likelihood(theta):
    assert 0 <= theta[0] < TURN
    return 3 * np.cos(theta[0] - 0.1)


def test_wrapping_leaves_what_is_within_as_it_is():
    inside = np.array([[50.0, 0.0], [-50.0, np.nextafter(TURN, 0)]])
    assert CIRCLES.wrap(inside) is inside
    out = CIRCLES.wrap(np.array([[50.0, -0.5], [0.0, TURN], [0.0, -1e-20], [0.0, 20.0]]))
    np.testing.assert_allclose(out[:, 1], [TURN - 0.5, 0.0, 0.0, 20.0 - 3 * TURN])
    assert (out[:, 1] < TURN).all()


def test_the_short_way_round():
    reference = np.array([9.0, 0.1])
    near = CIRCLES.near(np.array([[0.0, TURN - 0.1], [0.0, 3.0]]), reference)
    np.testing.assert_allclose(near[:, 1], [-0.1, 3.0])
    assert CIRCLES.are_near(near, reference).all()


@pytest.mark.parametrize(
    "table",
    [
        {"phase": pmcmc.periodic(0, TURN)},
        {"phase": pmcmc.periodic(0, TURN, stats.vonmises(2.0, loc=1.0))},
    ],
)
def test_log_prob_is_periodic(table):
    problem = pmcmc.Problem(parameters=table, log_likelihood=log_likelihood)
    problem.probe()
    values = problem.evaluate(np.array([[0.3], [0.3 + TURN], [0.3 - 4 * TURN]])).log_prob
    assert values[0] > -np.inf
    np.testing.assert_allclose(values, values[0])


def test_names_alone_with_turns():
    problem = pmcmc.Problem(
        log_likelihood, ["phase", "b"], initial=[6.2, 0.0], periodic={"phase": (0, TURN)}
    )
    assert problem.settings()["periodic"] == {"phase": [0.0, TURN]}
    np.testing.assert_allclose(
        problem.evaluate(np.array([[-0.1, 0.0], [TURN - 0.1, 0.0]])).log_prob, 3 * np.cos(0.2)
    )


def test_the_function_imported_into_a_model_is_no_setting(tmp_path):
    model = tmp_path / "m.py"
    model.write_text(
        "from pmcmc import periodic\nparameters = {'phase': periodic(0, 6.28)}\n"
        "def log_likelihood(theta): return 0.0\n"
    )
    assert pmcmc.Problem.load(str(model)).parameters.turns == {"phase": (0.0, 6.28)}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: pmcmc.periodic(1, 1), r"turn \(1, 1\): expected two numbers, the lower first"),
        (lambda: pmcmc.periodic(0, np.inf), "expected two numbers"),
        (lambda: pmcmc.periodic(0, "x"), "expected two numbers"),
        (lambda: pmcmc.Problem(len, ["a"], periodic={"b": (0, 1)}), "periodic names 'b'"),
        (
            lambda: pmcmc.Problem(
                parameters={"a": pmcmc.periodic(0, 1, stats.norm(0, 0.2))}, log_likelihood=len
            ),
            "the prior of a has 0.5 of its mass within the turn",
        ),
        (lambda: pmcmc.Problem(len, ["a"], periodic={"a": 3}), r"expected \(low, high\)"),
        (lambda: pmcmc.Problem(len, ["a"], periodic=["a"]), "expected names with their turns"),
        (
            lambda: pmcmc.Problem(
                parameters={"a": stats.norm()}, log_likelihood=len, periodic={"a": (0, 1)}
            ),
            "parameters gives priors: say there",
        ),
        (
            lambda: pmcmc.Problem(parameters={"a": pmcmc.periodic(0, 1, 3.0)}, log_likelihood=len),
            "a",
        ),
    ],
)
def test_what_is_refused(make, said):
    with pytest.raises(ModelError, match=said):
        make()
