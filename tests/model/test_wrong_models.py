"""Models as people get them wrong: each is refused with one message that says what to do."""

import pytest

from pmcmc.errors import EvaluationError, ModelError
from pmcmc.model.hints import in_package
from pmcmc.model.problem import Problem

HEAD = "import numpy as np\nfrom scipy import stats\n"
TABLE = "parameters = {'a': stats.norm(0, 1), 'b': stats.uniform(0, 1)}\n"
LIKE = "def log_likelihood(theta):\n    return -0.5 * theta[0] ** 2\n"
NAMES = "parameters, initial = ['a', 'b'], [0.0, 0.5]\n"
PROB = "def log_prob(theta):\n    return -0.5 * theta[0] ** 2\n"

# by what is wrong: the model, and parts of its one message
WRONG = {
    # names
    "loglike": (
        TABLE + LIKE.replace("log_likelihood", "loglike"),
        "there is no log_likelihood",
        "model.py:4 has loglike: is it meant to be log_likelihood?",
    ),
    "log_like": (TABLE + LIKE.replace("log_likelihood", "log_like"), "log_like: is it meant to"),
    "lnlikelihood": (
        TABLE + LIKE.replace("log_likelihood", "lnlikelihood"),
        "lnlikelihood: is it meant to be log_likelihood?",
    ),
    "log_probability": (
        NAMES + PROB.replace("log_prob", "log_probability"),
        "there is no log_prob",
        "log_probability: is it meant to be log_prob?",
    ),
    "params": (TABLE.replace("parameters", "params") + LIKE, "params: is it meant to be"),
    "p0": (NAMES.replace("initial", "p0") + PROB, "there is no initial", "p0: is it meant to be"),
    "nothing": ("", "there are no parameters"),
    "two names for one thing": (NAMES + PROB + "lnprob = log_prob", "both log_prob and lnprob"),
    # what is given together
    "the whole and a table": (TABLE + PROB, "would count them twice: name the function log_like"),
    "the whole and a part": (
        TABLE + PROB + LIKE,
        "would count them twice beside log_likelihood: leave log_prob out",
    ),
    "a likelihood alone": (NAMES + LIKE, "log_likelihood alone is not a posterior"),
    "a table alone": (TABLE, "there is no log_likelihood(theta)"),
    # parameters
    "prior not frozen": (TABLE.replace("stats.norm(0, 1)", "stats.norm") + LIKE, "stats.norm("),
    "bounds in place of a prior": (
        TABLE.replace("stats.norm(0, 1)", "(-2, 1)") + LIKE,
        "parameters gives (-2, 1) for a: for bounds write the prior, as stats.uniform(-2, 3)",
    ),
    "discrete prior": (TABLE.replace("stats.norm(0, 1)", "stats.poisson(3)") + LIKE, "discrete"),
    "prior that is a text": (TABLE.replace("stats.norm(0, 1)", "'normal'") + LIKE, "a"),
    "repeated names": (NAMES.replace("'b'", "'a'") + PROB, "name a more than once", "model.py:3"),
    "a name that is a number": (NAMES.replace("'b'", "2") + PROB, "expected one or more names"),
    "all fixed": ("parameters = {'a': 1.0}\n" + LIKE, "all parameters are fixed"),
    "ndim beside": (NAMES + "ndim = 3\n" + PROB, "ndim is 3, but parameters gives 2 names"),
    # the start
    "start of the wrong shape": (
        NAMES.replace("[0.0, 0.5]", "[0.0]") + PROB,
        "initial has shape (1,); expected finite numbers of shape (2,)",
        "model.py:3: parameters, initial = ['a', 'b'], [0.0]",
    ),
    "start with NaN": (NAMES.replace("0.5", "np.nan") + PROB, "values that are not finite"),
    "start by a name too few": (
        NAMES.replace("[0.0, 0.5]", "{'a': 0.0}") + PROB,
        "initial gives no b: expected a value for each of a, b",
    ),
    "start by a wrong name": (
        NAMES.replace("[0.0, 0.5]", "{'a': 0.0, 'b': 1.0, 'c': 0.0}") + PROB,
        "initial gives c, which is not sampled",
    ),
    "a word without priors": (NAMES.replace("[0.0, 0.5]", "'prior'") + PROB, "needs priors"),
    "an unknown word": (TABLE + LIKE + "initial = 'best'", "the words it knows are prior and map"),
    # what does not load
    "syntax error": (NAMES + "def log_prob(theta)\n    return 0", "SyntaxError", "model.py"),
    "import error": ("import no_such_thing\n" + NAMES, "ModuleNotFoundError", "line 3"),
    "raises": (NAMES + "x = 1 / 0\n", "ZeroDivisionError", "x = 1 / 0", "model.py"),
    "exits": (NAMES + "raise SystemExit(2)\n", "sys.exit(2)"),
    "a missing data file": (NAMES + "np.loadtxt('nowhere.txt')\n", "nowhere.txt not found"),
    # other things
    "args that are no tuple": (NAMES + PROB + "args = 3\n", "expected a tuple", "args = 3"),
    "nwalkers no number": (NAMES + PROB + "nwalkers = 'many'\n", "nwalkers is 'many'"),
    "derived that do not fit": (
        NAMES + "derived = 3\n" + PROB,
        "derived",
    ),
    "labels no dict": (NAMES + "labels = ['x', 'y']\n" + PROB, "labels"),
    "no function": (NAMES + "log_prob = 3\n", "log_prob must be a function, not int"),
    "blobs_dtype of objects": (NAMES + "blobs_dtype = object\n" + PROB, "blobs_dtype is object"),
}  # fmt: skip

# what log_prob may return, and what is said of it
RETURNS = {
    "None": ("None", "returned None", "is a return statement missing?"),
    "array": ("-theta**2", "an array of shape (2,)", "is a sum missing?"),
    "complex": ("1j * theta[0]", "returned", "j", "expected one number"),
    "complex of numpy": (
        "np.sqrt(np.complex128(-1))",
        "returned complex128",
        "expected one number",
    ),
    "bool": ("True", "returned True", "expected one number"),
    "bool of numpy": ("theta[0] < 1", "returned bool True", "expected one number"),
    "text": ("'-3.5'", "returned '-3.5'", "expected one number"),
    "NaN": ("np.nan", "returned NaN"),
    "+inf": ("np.inf", "returned +inf"),
    "a dict": ("{'log_prob': 0.0}", "returned {'log_prob': 0.0}", "expected one number"),
    "ragged blobs": ("(0.0, [1, 2], [1])", "not numbers of one shape", "give a blobs_dtype"),
    "another argument": ("0.0 + missing", "NameError", "return 0.0 + missing", "model.py"),
}


def load(folder, text):
    path = folder / "model.py"
    path.write_text(HEAD + text)
    return Problem.load(str(path))


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_model_is_refused(what, tmp_path, monkeypatch):
    text, *said = WRONG[what]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert message.count("the model ") == 1
    for part in said:
        assert part in message
    assert "/pmcmc/model/" not in message  # no frames of ours


@pytest.mark.parametrize("table", [False, True], ids=["whole", "with priors"])
@pytest.mark.parametrize("what", RETURNS)
def test_what_log_prob_may_not_return(what, table, tmp_path):
    value, *said = RETURNS[what]
    text = (TABLE + LIKE) if table else (NAMES + PROB)
    problem = load(tmp_path, text.replace("-0.5 * theta[0] ** 2", value))
    with pytest.raises(EvaluationError) as caught:
        problem.probe()
    for part in (*said, "at a = 0.0, b = 0.5"):
        assert part in str(caught.value)


@pytest.mark.parametrize("value", ["complex(theta[0])", "np.complex64(1)", "theta[0] > 0", "True"])
def test_what_it_may_not_return_later_on(value, tmp_path):
    body = f"    if theta[0] > 1:\n        return {value}\n    return -1.0\n"
    problem = load(tmp_path, NAMES + "def log_prob(theta):\n" + body)
    problem.probe()
    with pytest.raises(EvaluationError, match="expected one number"):
        problem.evaluate([[0.0, 0.0], [2.0, 0.0], [0.0, 0.0]])


def test_a_start_by_name(tmp_path):
    problem = load(tmp_path, NAMES.replace("[0.0, 0.5]", "{'b': 0.5, 'a': 2}") + PROB)
    assert problem.initial.tolist() == [2.0, 0.5]
    text = "parameters = {'a': stats.norm(0, 1), 'v': [stats.norm(0, 1)] * 2}\n" + LIKE
    problem = load(tmp_path, text + "initial = {'v': [1, 2], 'a': 0}")
    assert problem.initial.tolist() == [0.0, 1.0, 2.0]
    problem = load(
        tmp_path, NAMES.replace("[0.0, 0.5]", "{'b': np.ones(8), 'a': np.zeros(8)}") + PROB
    )
    assert problem.initial.shape == (8, 2)
    with pytest.raises(ModelError, match="initial gives 1 for the vector v: expected a list"):
        load(tmp_path, text + "initial = {'v': 1, 'a': 0}")


def test_a_name_that_is_likely_meant_for_an_option_is_noted(tmp_path, capsys):
    load(tmp_path, NAMES + PROB + "vectorised = True\nn_walkers = 8\nname = 'x'\np0 = 3\n")
    noted = capsys.readouterr().err.splitlines()
    assert [line.partition(" has ")[2] for line in noted] == [
        "vectorised: is it meant to be vectorized?",
        "n_walkers: is it meant to be nwalkers?",
    ]


def test_helpers_of_a_whole_posterior_are_no_fault(tmp_path, capsys):
    text = "def lnprior(t):\n    return 0.0\ndef lnlike(t):\n    return -t[0] ** 2\n"
    whole = "def lnprob(t):\n    return lnprior(t) + lnlike(t)\n"
    assert load(tmp_path, NAMES + text + whole).log_prob([3.0, 0.0]) == -9.0
    assert capsys.readouterr().err == ""


def test_a_model_of_a_package_hears_how_it_is_run(tmp_path, monkeypatch):
    package = tmp_path / "survey"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "data.py").write_text("start = [0.0, 0.5]\n")
    model = package / "fit.py"
    model.write_text(NAMES + "from .data import start as initial\n" + PROB)
    with pytest.raises(ModelError, match=r"part of a package: python -m pmcmc survey\.fit"):
        Problem.load(str(model))
    monkeypatch.syspath_prepend(tmp_path)
    assert Problem.load("survey.fit").initial.tolist() == [0.0, 0.5]
    assert in_package(tmp_path / "alone.py") is None
