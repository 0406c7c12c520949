"""Every form of a model gives one posterior; what fails says where, by name."""

import functools
import sys

import dill
import numpy as np
import pytest
from scipy import stats

import pmcmc
from pmcmc.errors import EvaluationError, ModelError, UsageError
from pmcmc.model.problem import Problem

HEAD = """
import numpy as np
from scipy import stats
table = {"a": stats.norm(0, 2), "b": stats.uniform(0, 1)}
calls = []
def like(theta, peak=1.0, scale=1.0):
    calls.append(np.array(theta))
    a, b = np.moveaxis(theta, -1, 0)
    assert np.all((b >= 0) & (b <= 1)), "the likelihood was called where the prior is zero"
    return -((a - peak) ** 2) - scale * (b - 0.5) ** 2
def prior(theta):
    return sum(p.logpdf(theta[..., i]) for i, p in enumerate(table.values()))
def only_b(theta, *args, **kwargs):
    return table["b"].logpdf(theta[..., 1])
def whole(theta, *args, **kwargs):
    total = np.atleast_1d(prior(theta))
    ok = total > -np.inf
    total[ok] += like(np.atleast_2d(theta)[ok], *args, **kwargs)
    return total if np.ndim(theta) > 1 else total[0]
"""
NAMES = 'parameters = ["a", "b"]\ninitial = [0.0, 0.5]\n'
WIDE = 'parameters = {"a": table["a"], "b": stats.uniform(-1, 3)}\n'
FORMS = {
    "log_prob": NAMES + "log_prob = whole",
    "log_prob, names in a tuple": NAMES + 'parameters = "a", "b"\nlog_prob = whole',
    "log_prob and ndim": "ndim = 2\ninitial = [0.0, 0.5]\nlog_prob = whole",
    "lnprob": NAMES + "lnprob = whole",
    "log_prob beside its parts": NAMES + "log_prob = whole\nlog_likelihood = log_prior = like",
    "priors": "parameters = table\nlog_likelihood = like",
    "priors and lnlike": "parameters = table\nlnlike = like",
    "priors and log_prior": WIDE + "log_likelihood = like\n"
    "def log_prior(theta): return only_b(theta) + np.log(3)",
    "log_prior and log_likelihood": NAMES + "log_likelihood = like\nlog_prior = prior",
    "lnprior and lnlike": NAMES + "lnlike = like\nlnprior = prior",
    "args": NAMES + "log_prob = whole\nargs = (1.0, 1.0)",
    "kwargs": NAMES + "log_prob = whole\nargs = [1.0]\nkwargs = dict(scale=1.0)",
    "args of both functions": NAMES + "log_likelihood = like\nargs = (1.0,)\n"
    "kwargs = dict(scale=1.0)\ndef log_prior(theta, peak, scale): return prior(theta)",
}
VECTORIZED = [form for form in FORMS if "ndim" not in form]
ROWS = np.array([[0.3, 0.4], [0.5, 1.5], [-1.0, 0.9], [0.0, -0.5], [7.0, 1.0]])


def posterior(rows):
    a, b = rows.T
    inside = (b >= 0) & (b <= 1)
    values = -((a - 1) ** 2) - (b - 0.5) ** 2 - a * a / 8 - np.log(2) - 0.5 * np.log(2 * np.pi)
    return np.where(inside, values, -np.inf)


def load(tmp_path, text, name="some_model"):
    path = tmp_path / f"{name}.py"
    path.write_text(HEAD + text)
    return Problem.load(str(path))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_model_is_the_same_posterior(form, tmp_path):
    problem = load(tmp_path, FORMS[form])
    assert problem.name == "some_model"
    assert problem.ndim == 2
    assert problem.names == (("theta_0", "theta_1") if "ndim" in form else ("a", "b"))
    assert [p.name for p in problem.priors] == (["a", "b"] if "priors" in form else [])
    problem.probe()
    evaluated = problem.evaluate(ROWS)
    np.testing.assert_allclose(evaluated.log_prob, posterior(ROWS), rtol=1e-13)
    assert evaluated.blobs is None


@pytest.mark.parametrize("form", VECTORIZED)
@pytest.mark.parametrize("rows", [slice(None), slice(0, 1), slice(1, 2), slice(0, None, 2)])
def test_every_form_can_be_vectorized(form, rows, tmp_path):
    problem = load(tmp_path, FORMS[form] + "\nvectorized = True")
    problem.probe()
    evaluated = problem.evaluate(ROWS[rows])
    np.testing.assert_allclose(evaluated.log_prob, posterior(ROWS[rows]), rtol=1e-13)


@pytest.mark.parametrize("vectorized", [True, False])
def test_the_likelihood_is_not_called_where_the_prior_is_zero(vectorized, tmp_path):
    problem = load(tmp_path, f"parameters = table\nlnlike = like\nvectorized = {vectorized}")
    calls = sys.modules["_pmcmc_model_some_model"].calls
    problem.evaluate(ROWS)
    np.testing.assert_array_equal(np.vstack(calls), ROWS[[0, 2, 4]])
    problem.evaluate(ROWS[[1, 3]])
    assert len(np.vstack(calls)) == 3


@pytest.mark.parametrize("vectorized", [True, False])
def test_log_prior_need_not_be_defined_outside_the_table(vectorized, tmp_path):
    text = """
parameters = {"a": stats.norm(0, 2), "b": stats.uniform(0, 1)}
log_likelihood = like
def log_prior(theta):
    with np.errstate(invalid="ignore"):
        return 0 * np.sqrt(theta[..., 1])
"""
    problem = load(tmp_path, text + f"vectorized = {vectorized}")
    np.testing.assert_allclose(problem.evaluate(ROWS).log_prob, posterior(ROWS), rtol=1e-13)


BLOBS = {
    "numbers": ("return like(theta), theta[0], 2", "None"),
    "vector": ("return like(theta), theta", "None"),
    "record": (
        'return like(theta), 1.5, b"in", theta',
        '[("r", float), ("s", "S4"), ("v", "f8", 2)]',
    ),
    "bytes": ('return like(theta), b"in"', '"S4"'),
    "integers": ("return like(theta), 3, 4", "int"),
}


@pytest.mark.parametrize("form", BLOBS)
def test_rows_outside_the_priors_have_blank_blobs(form, tmp_path):
    body, dtype = BLOBS[form]
    text = f"parameters = table\ndef log_likelihood(theta): {body}\nblobs_dtype = {dtype}"
    problem = load(tmp_path, text)
    problem.probe()
    log_prob, blobs, _ = problem.evaluate(ROWS)
    np.testing.assert_allclose(log_prob, posterior(ROWS), rtol=1e-13)
    for row in (0, 2, 4):
        np.testing.assert_array_equal(blobs[row], problem.evaluate(ROWS[[row]]).blobs[0])
    blank = {"numbers": np.nan, "vector": np.nan, "bytes": b"", "integers": 0}.get(form)
    for row in (1, 3):
        if form == "record":
            assert blobs[row].tobytes() == bytes(blobs.dtype.itemsize)
        else:
            np.testing.assert_array_equal(blobs[row], np.full(blobs.shape[1:], blank))


def test_a_module_and_the_built_in_example_load_by_name(tmp_path, monkeypatch):
    (tmp_path / "neighbour_of_tests.py").write_text(HEAD + FORMS["priors"])
    monkeypatch.syspath_prepend(tmp_path)
    assert Problem.load("neighbour_of_tests").names == ("a", "b")
    assert Problem.load("line").names == ("m", "b", "log_f")


def test_a_model_imports_its_neighbours(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "its_neighbour.py").write_text("where = [0.25]")
    text = "import its_neighbour\nndim = 1\ninitial = its_neighbour.where\nlog_prob = whole"
    assert load(tmp_path, text).initial == 0.25


def test_old_names_and_the_name_of_a_model_in_a_folder(tmp_path):
    (tmp_path / "mine.py").write_text(
        "parameters, initial = ['x'], [2.0]\ndef lnprob(theta): return -float(theta @ theta)"
    )
    problem = pmcmc.Problem.load(str(tmp_path / "mine.py"))
    assert problem.name == "mine"
    assert problem.probe() == (np.array([[2.0]]), -4.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ValueError('no data')", "ended with ValueError"),
        ("import sys; sys.exit(3)", r"ended with sys\.exit\(3\)"),
        ("this is no Python", "ended with SyntaxError"),
        ("log_prob = lnprob = whole\n" + NAMES, "has both log_prob and lnprob: keep one"),
        ("log_prob = whole", "is not complete: there are no parameters"),
        (
            "log_prob = whole\n" + NAMES + "args = 3",
            "args is int and kwargs NoneType: expected a tuple",
        ),
    ],
)
def test_a_model_that_does_not_load_says_why(text, message, tmp_path):
    with pytest.raises(ModelError, match=message) as caught:
        load(tmp_path, text)
    assert "some_model.py" in str(caught.value)
    if "ended" in message and "Syntax" not in message:
        assert text in str(caught.value)  # the line of the user's file, from the traceback
        assert "importlib" not in str(caught.value)


def test_a_file_that_is_no_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lc.txt").write_text("1 2\n")
    with pytest.raises(UsageError, match=r"lc\.txt is no model: expected a \.py file"):
        Problem.load("lc.txt")


@pytest.mark.parametrize("name", ["nowhere.py", "folder/nowhere", "no_such_module", "a..b"])
def test_a_model_that_is_not_there(name):
    with pytest.raises(UsageError, match="there is no model"):
        Problem.load(name)


def lp(theta):
    return -0.5 * float(theta @ theta)


TABLE = {"a": stats.norm(0, 2), "b": stats.uniform(0, 1)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"log_prob": lp}, "there are no parameters: give a list of names, a table of priors"),
        ({"log_prob": lp, "ndim": 0}, "there are no parameters"),
        ({"log_prob": lp, "parameters": "ab"}, "'ab': expected a list of names or a dict"),
        ({"log_prob": lp, "parameters": []}, "expected one or more names"),
        ({"log_prob": lp, "parameters": ["a", 3]}, "expected one or more names"),
        ({"log_prob": lp, "parameters": ["a", "b", "a"]}, "name a more than once"),
        ({"log_prob": lp, "parameters": ["a"], "ndim": 2}, "ndim is 2, but parameters gives 1"),
        ({"parameters": ["a"]}, r"there is no log_prob\(theta\)"),
        ({"log_prob": 3, "parameters": ["a"]}, "log_prob must be a function, not int"),
        ({"parameters": TABLE}, r"no log_likelihood\(theta\)"),
        ({"parameters": TABLE, "log_prob": lp}, "would count them twice"),
        ({"parameters": ["a"], "log_likelihood": lp}, "log_likelihood alone is not a posterior"),
        ({"parameters": ["a"], "log_prob": lp}, r"there is no initial: give .* shape \(1,\)"),
        ({"parameters": ["a"], "log_prob": lp, "initial": "map"}, '"map" needs priors'),
        ({"parameters": ["a"], "log_prob": lp, "initial": "prior"}, '"prior" needs priors'),
        ({"parameters": TABLE, "log_likelihood": lp, "initial": "x"}, "are prior and map"),
        ({"parameters": ["a", "b"], "log_prob": lp, "initial": 1.0}, r"shape \(\); expected"),
        ({"parameters": ["a", "b"], "log_prob": lp, "initial": [1.0]}, r"shape \(1,\); expected"),
        (
            {"parameters": ["a", "b"], "log_prob": lp, "initial": np.zeros((8, 3))},
            r"shape \(8, 3\); expected finite numbers of shape \(2,\) or \(nwalkers, 2\)",
        ),
        ({"parameters": ["a"], "log_prob": lp, "initial": [np.nan]}, "values that are not finite"),
        ({"parameters": ["a"], "log_prob": lp, "initial": [[1], [2, 3]]}, "expected numbers"),
    ],
)
def test_what_is_no_problem_is_refused(given, message):
    with pytest.raises(ModelError, match=message):
        Problem(**given)


@pytest.mark.parametrize("nwalkers", [10.5, "many"])
def test_nwalkers_that_is_no_whole_number_is_refused(nwalkers):
    with pytest.raises((ModelError, UsageError), match="nwalkers"):
        pmcmc.run(Problem(lp, ["a"], initial=[0.0], nwalkers=nwalkers), nsteps=1, burnin=0)


# what log_prob does once a > 1, and what is said of it
FAILURES = {
    "None": ("return None", "log_prob returned None", "is a return statement missing?"),
    "NaN": ("return np.nan", "log_prob returned NaN", ""),
    "infinity": ("return np.inf", "log_prob returned +inf", ""),
    "array": ("return -np.arange(5.0)", "log_prob returned array", "expected one number"),
    "text": ("return 'low'", "log_prob returned 'low'", "expected one number"),
    "raise": ("raise ValueError('bad luck')", "log_prob raised ValueError: bad luck", ""),
    "division": ("return 1 / 0", "log_prob raised ZeroDivisionError", ""),
    "exit": ("raise SystemExit(3)", "log_prob called sys.exit(3)", ""),
}
SHAPES = {"log_prob": (NAMES, "log_prob"), "priors": ("parameters = table\n", "log_likelihood")}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_names_the_parameters_and_the_line(failure, shape, tmp_path):
    body, message, hint = FAILURES[failure]
    head, name = SHAPES[shape]
    function = (
        f"def {name}(theta):\n    if theta[0] > 1:\n        {body}\n    return -theta[0] ** 2"
    )
    problem = load(tmp_path, head + function)
    problem.probe()
    with pytest.raises(EvaluationError) as caught:
        problem.evaluate(np.array([[0.25, 0.5], [1.25, 0.75]]), where=" on rank 3 of 4")
    text = str(caught.value)
    assert message in text
    assert " on rank 3 of 4\n  at a = 1.25, b = 0.75" in text
    assert hint in text
    if "raise" in body or "/" in body:
        assert 'some_model.py", line' in text
        assert body in text
        assert "problem.py" not in text


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_at_the_start_is_refused(failure, shape, tmp_path):
    body, message, hint = FAILURES[failure]
    head, name = SHAPES[shape]
    problem = load(tmp_path, head + f"def {name}(theta):\n    {body}")
    message = "an array of shape (5,)" if failure == "array" else message
    with pytest.raises(EvaluationError) as caught:
        problem.probe()
    text = str(caught.value)
    assert message in text
    assert "  at a = 0.0, b = 0.5" in text
    assert hint in text or "is a sum missing" in text


VECTORIZED_FAILURES = {
    "forgotten axis": "np.sum(-theta**2)",
    "two columns": "-theta**2",
    "None": "None",
    "blobs": "np.zeros(len(theta)), np.zeros((len(theta), 3))",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("failure", VECTORIZED_FAILURES)
def test_a_vectorized_function_of_the_wrong_shape_is_refused_at_the_start(
    failure, shape, tmp_path
):
    head, name = SHAPES[shape]
    text = f"vectorized = True\ndef {name}(theta): return {VECTORIZED_FAILURES[failure]}"
    problem = load(tmp_path, head + text)
    with pytest.raises(EvaluationError, match=r"\(n,\)"):
        problem.probe()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_vectorized_column_is_taken_with_rows_in_and_out_of_the_priors(shape, tmp_path):
    head, name = SHAPES[shape]
    text = f"vectorized = True\ndef {name}(theta): return -np.sum(theta**2, axis=1)[:, None]"
    problem = load(tmp_path, head + text)
    problem.probe()
    for rows in (ROWS, ROWS[[0, 2]]):
        assert problem.evaluate(rows).log_prob.shape == (len(rows),)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_vectorized_nan_names_its_row(value, tmp_path):
    text = NAMES + "vectorized = True\ndef log_prob(theta):"
    problem = load(tmp_path, text + f" return np.where(theta[:, 0] > 1, np.{value}, 0.0)")
    with pytest.raises(EvaluationError, match=r"  at a = 1\.25, b = 0\.75"):
        problem.evaluate(np.array([[0.25, 0.5], [1.25, 0.75]]))


def test_an_interrupt_passes_through(tmp_path):
    problem = load(tmp_path, NAMES + "def log_prob(theta): raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        problem.evaluate(ROWS)


@pytest.mark.parametrize("vectorized", [True, False])
def test_log_prob_may_write_into_theta(vectorized, tmp_path):
    text = f"{NAMES}vectorized = {vectorized}\ndef log_prob(theta):\n"
    text += "    theta += 99\n    return -np.sum((theta - 99) ** 2, axis=-1)"
    problem, rows = load(tmp_path, text), ROWS.copy()
    point, _ = problem.probe()
    np.testing.assert_array_equal(point, [[0.0, 0.5]])
    evaluated = problem.evaluate(rows)
    np.testing.assert_array_equal(rows, ROWS)
    np.testing.assert_allclose(evaluated.log_prob, -np.sum(ROWS**2, axis=1), rtol=1e-9)
    np.testing.assert_array_equal(problem.initial, [0.0, 0.5])


def test_a_failure_shows_theta_as_it_was_before_log_prob_wrote_into_it(tmp_path):
    text = NAMES + "def log_prob(theta):\n    theta[:] = 99\n    return np.nan"
    with pytest.raises(EvaluationError, match=r"at a = 0\.3, b = 0\.4"):
        load(tmp_path, text).evaluate(ROWS)


def test_theta_is_a_float64_vector():
    seen = []
    problem = Problem(lambda t: seen.append(t) or 0.0, ["a", "b"], initial=[0.0, 0.5])
    problem.evaluate(np.array([[1, 2], [3, 4]]))
    assert [(t.dtype, t.shape) for t in seen] == [(np.float64, (2,))] * 2


def test_tick_is_called_after_each_evaluation():
    ticks = []
    problem = Problem(lp, ["a", "b"], initial=[0.0, 0.5])
    problem.evaluate(ROWS, tick=lambda: ticks.append(1))
    assert len(ticks) == len(ROWS)


def test_the_probe_finds_blobs_beyond_a_bare_minus_infinity():
    def log_prob(theta):
        return -np.inf if theta[0] < 3 else (lp(theta), theta[0])

    walkers = np.arange(8.0).reshape(4, 2)
    problem = Problem(log_prob, ["a", "b"], initial=walkers)
    tried, value = problem.probe()
    np.testing.assert_array_equal(tried, walkers[:3])
    assert value == lp(walkers[2])
    assert problem.returns.has_blobs


def test_dill_sends_a_problem_made_of_a_closure():
    peak = 1.5
    problem = Problem(
        parameters=TABLE, log_likelihood=lambda t: -((t[0] - peak) ** 2), initial=lambda n, rng: n
    )
    problem.probe()
    sent = dill.loads(dill.dumps(problem, recurse=True))
    np.testing.assert_array_equal(sent.evaluate(ROWS)[0], problem.evaluate(ROWS)[0])
    assert sent.fingerprint() == problem.fingerprint()


def test_fingerprint_tells_problems_apart():
    make = functools.partial(Problem, log_likelihood=lp)
    same = {make(parameters=dict(TABLE)).fingerprint() for _ in range(2)}
    others = {
        make(parameters={"a": TABLE["a"], "c": TABLE["b"]}).fingerprint(),
        make(parameters={"a": TABLE["a"], "b": stats.uniform(0, 2)}).fingerprint(),
        make(parameters={"b": TABLE["b"], "a": TABLE["a"]}).fingerprint(),
        make(parameters=TABLE, vectorized=True).fingerprint(),
    }
    assert len(same) == 1
    assert len(same | others) == 5


def test_why_log_prob_is_minus_infinity():
    table = {"a": stats.uniform(0, 1), "b": stats.norm(0, 1)}

    def log_likelihood(theta):
        return -np.inf

    def log_prior(theta):
        return -np.inf if theta[1] > 5 else 0.0

    made = Problem(parameters=table, log_likelihood=log_likelihood, log_prior=log_prior)
    assert made.why_excluded(np.array([2.0, 0.0])) == "the prior is zero at a = 2.0"
    assert made.why_excluded(np.array([0.5, 6.0])) == "log_prior returned it"
    said = made.why_excluded(np.array([0.5, 0.0]))
    assert said == "the prior is not zero there: log_likelihood returned it"
    whole = Problem(lambda t: -np.inf, ["a"], initial=[0.0])
    assert whole.why_excluded(np.zeros(1)) == "log_prob returned it"
    rows = Problem(
        parameters=table, log_likelihood=lambda t: np.full(len(t), -np.inf), vectorized=True
    )
    assert "log_likelihood returned it" in rows.why_excluded(np.array([0.5, 0.0]))


def test_a_notebook_shows_priors_and_the_start():
    flat = Problem(lambda t: 0.0, ["a<b", "c"], initial=[1.0, 2e-9])
    html = flat._repr_html_()
    assert "<th>parameter</th><th>start</th>" in html
    assert "<td>a&lt;b</td><td>1</td>" in html
    assert "<td>2e-09</td>" in html
    given = Problem(log_likelihood=lambda t: 0.0, parameters={"x": stats.norm(0, 2)})
    assert "<th>parameter</th><th>prior</th></tr>" in given._repr_html_()
    assert "norm" in given._repr_html_()


def test_log_prob_takes_a_list():
    problem = Problem(lambda theta: -float(theta @ theta), ndim=2, initial=[0.0, 0.0])
    assert problem.log_prob([1, 2]) == -5.0
