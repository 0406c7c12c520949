"""What log_prob returned becomes the arrays that emcee would make; the rest is refused."""

import ast
import re

import emcee
import numpy as np
import pytest

import pmcmc
from pmcmc.errors import EvaluationError, ModelError
from pmcmc.model.outputs import BadOutput, OutputFormat

COORDS = np.random.default_rng(1).normal(size=(8, 3))
RECORD = [("r", float), ("n", int), ("tag", "S4"), ("v", float, (2,))]


def lp(theta):
    return -0.5 * float(theta @ theta)


# name: (log_prob, blobs_dtype)
AS_EMCEE = {
    "number": (lp, None),
    "array of one number": (lambda t: np.array([lp(t)]), None),
    "array without axes": (lambda t: np.array(lp(t)), None),
    "one blob": (lambda t: (lp(t), t[0]), None),
    "two blobs": (lambda t: (lp(t), t[0], t[1] > 0), None),
    "list": (lambda t: [lp(t), t[0], 3], None),
    "log_prob as an array": (lambda t: (np.array([lp(t)]), t[0]), None),
    "vector blob": (lambda t: (lp(t), t), None),
    "vector blob of one": (lambda t: (lp(t), t[:1]), None),
    "two vector blobs": (lambda t: (lp(t), t, 2 * t), None),
    "axes of length one": (lambda t: (lp(t), t.reshape(1, 3, 1)), None),
    "matrix blob": (lambda t: (lp(t), np.outer(t, t)), None),
    "array with blobs": (lambda t: np.array([lp(t), *t]), float),
    "single precision": (lambda t: (lp(t), t[0]), "f4"),
    "integers": (lambda t: (lp(t), int(9 * t[0]), 2), int),
    "record": (lambda t: (lp(t), t[0], 7, b"word", t[:2]), RECORD),
    "record of one field": (lambda t: (lp(t), t[0]), [("r", float)]),
    "bytes": (lambda t: (lp(t), b"in" if t[0] > 0 else b"out"), "S3"),
    "two byte strings": (lambda t: (lp(t), b"a", b"bc"), "S3"),
}


def pack(function, dtype=None, coords=COORDS):
    """Learn from the first row, then pack all."""
    returns = OutputFormat(dtype, vectorized=False)
    returns.infer_from(function(coords[0]))
    return returns.to_arrays([function(theta) for theta in coords], len(coords))


@pytest.mark.parametrize("form", AS_EMCEE)
@pytest.mark.parametrize("rows", [8, 1])
def test_arrays_are_those_of_emcee(form, rows):
    function, dtype = AS_EMCEE[form]
    sampler = emcee.EnsembleSampler(8, 3, function, blobs_dtype=dtype)
    log_prob, blobs = sampler.compute_log_prob(COORDS[:rows])
    ours = pack(function, dtype, COORDS[:rows])
    assert ours.log_prob.dtype == np.float64
    np.testing.assert_array_equal(ours.log_prob, log_prob, strict=True)
    np.testing.assert_array_equal(ours.blobs, blobs)
    if blobs is not None:
        assert ours.blobs.shape == blobs.shape
        assert ours.blobs.dtype == (np.float64 if dtype is None else blobs.dtype)


def test_integer_blobs_at_first_do_not_truncate_later_ones():
    values = iter([0, 0.5, 1.25])
    ours = pack(lambda t: (lp(t), next(values)), coords=COORDS[:2])
    np.testing.assert_array_equal(ours.blobs, [0.5, 1.25])


def test_records_may_come_in_lists():
    ours = pack(lambda t: [lp(t), 1.5, 2], [("a", float), ("b", int)])
    assert ours.blobs.tolist() == [(1.5, 2)] * 8


def test_vectorized_results_are_one_column():
    returns = OutputFormat(None, vectorized=True)
    for values in (np.arange(3), [0.0, 1.0, 2.0], np.arange(3.0)[:, None]):
        np.testing.assert_array_equal(
            returns.to_arrays(values, 3).log_prob, np.arange(3.0), strict=True
        )


SUGGESTED = {
    "string": lambda t: (lp(t), "a long word of more than sixteen letters"),
    "bytes": lambda t: (lp(t), b"in"),
    "object": lambda t: (lp(t), {"a": 1}),
    "None": lambda t: (lp(t), None),
    "ragged": lambda t: (lp(t), 1.0, t),
    "ragged vectors": lambda t: (lp(t), t, t[:2]),
    "number and string": lambda t: (lp(t), 1.5, "in"),
    "complex": lambda t: (lp(t), complex(t[0], t[1])),
}


@pytest.mark.parametrize("form", SUGGESTED)
def test_other_blobs_are_refused_with_a_dtype_that_works(form):
    function = SUGGESTED[form]

    def problem(**more):
        return pmcmc.Problem(function, ["a", "b", "c"], initial=[0.1, 0.2, 0.3], **more)

    with pytest.raises(EvaluationError, match="not numbers of one shape") as caught:
        problem().probe()
    dtype = ast.literal_eval(re.search(r"blobs_dtype = (.*)", str(caught.value))[1])
    result = pmcmc.run(problem(blobs_dtype=dtype), nsteps=2, burnin=0, nwalkers=6, seed=1)
    theta, kept = result.get_chain(flat=True)[-1], result.get_blobs(flat=True)[-1]
    for blob, value in zip(function(theta)[1:], kept, strict=True):
        if isinstance(blob, str | bytes):
            assert value == (blob.encode() if isinstance(blob, str) else blob)
        elif np.asarray(blob).dtype.kind in "fc":
            np.testing.assert_array_equal(value, blob)


@pytest.mark.parametrize("dtype", [object, "U8", [("a", object)], [("a", float), ("b", "U4")]])
def test_a_blobs_dtype_that_needs_pickle_is_refused(dtype):
    with pytest.raises(ModelError, match='byte strings of fixed length such as "S16"'):
        OutputFormat(dtype, vectorized=False)


@pytest.mark.parametrize("dtype", [[("a", [("b", object)])], "M8[s]"])
def test_a_blobs_dtype_that_hdf5_cannot_hold_is_refused(dtype):
    with pytest.raises(ModelError, match="blobs_dtype"):
        OutputFormat(dtype, vectorized=False)


def test_a_blobs_dtype_that_is_none_is_refused():
    with pytest.raises(ModelError, match="blobs_dtype is 'nonsense'"):
        OutputFormat("nonsense", vectorized=False)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.arange(5.0), "is a sum missing"),
        ((np.arange(3.0), 1.0), "expected one number"),
        ("x", "expected one number"),
        (1j, "expected one number"),
    ],
)
def test_a_first_result_that_is_no_number_is_refused(result, message):
    returns = OutputFormat(None, vectorized=False)

    def take():
        returns.infer_from(result)
        returns.to_arrays([result], 1)

    with pytest.raises(BadOutput) as caught:
        take()
    assert message in caught.value.hint


@pytest.mark.parametrize("result", [1.0, np.array([1.0])])
def test_blobs_that_were_announced_must_come(result):
    with pytest.raises(BadOutput) as caught:
        OutputFormat(float, vectorized=False).infer_from(result)
    assert "blobs_dtype is given" in caught.value.hint


def test_a_vectorized_log_prob_cannot_have_blobs():
    with pytest.raises(BadOutput) as caught:
        OutputFormat(float, vectorized=True).infer_from(np.zeros(1))
    assert "vectorized log_prob cannot have blobs" in caught.value.hint


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (1.0, np.nan, "NaN"),
        (1.0, np.inf, "+inf"),
        (1.0, None, "None"),
        (1.0, "x", "'x'"),
        (1.0, [1.0, 2.0], "[1.0, 2.0]"),
        ((1.0, 2.0), (np.nan, 2.0), "NaN"),
        ((1.0, 2.0), 1.0, "1.0 without blobs"),
        ((1.0, 2.0), (1.0, 2.0, 3.0), "2 blobs"),
        ((1.0, 2.0), (1.0,), "0 blobs"),
    ],
)
def test_a_later_result_of_another_form_is_refused_with_its_row(first, second, what):
    returns = OutputFormat(None, vectorized=False)
    returns.infer_from(first)
    with pytest.raises(BadOutput) as caught:
        returns.to_arrays([first, first, second, first], 4)
    assert (caught.value.row, caught.value.what) == (2, what)


@pytest.mark.parametrize("value", [-np.inf, np.float64(-np.inf), np.array(-np.inf)])
def test_blobs_are_not_asked_of_a_model_that_is_impossible(value):
    returns = OutputFormat([("a", float), ("n", int)], vectorized=False)
    returns.infer_from((1.0, 2.0, 3))
    found = returns.to_arrays([(1.0, 2.0, 3), value], 2)
    assert found.log_prob.tolist() == [1.0, -np.inf]
    assert found.blobs[1].tolist() == (0.0, 0)
    plain = OutputFormat(None, vectorized=False)
    plain.infer_from((1.0, 2.0, 3.0))
    assert np.isnan(plain.to_arrays([value, (1.0, 2.0, 3.0)], 2).blobs[0]).all()


@pytest.mark.parametrize("rest", [[np.zeros(2), np.zeros(3)], [np.zeros(3), np.zeros(3)]])
def test_vector_blobs_of_another_length_are_refused(rest):
    returns = OutputFormat(None, vectorized=False)
    returns.infer_from((1.0, np.zeros(2)))
    with pytest.raises(BadOutput, match="blobs"):
        returns.to_arrays([(1.0, blob) for blob in rest], 2)


@pytest.mark.parametrize(
    "values", [0.5, np.zeros(2), np.zeros((3, 2)), np.zeros((1, 3)), np.zeros((2, 3))]
)
def test_a_vectorized_result_of_another_shape_is_refused(values):
    with pytest.raises(BadOutput, match=r"^shape .* for theta of 3 rows"):
        OutputFormat(None, vectorized=True).to_arrays(values, 3)


def test_a_vectorized_result_with_blobs_is_refused_even_where_it_is_ragged():
    with pytest.raises(BadOutput):
        OutputFormat(None, vectorized=True).to_arrays((np.zeros(3), np.zeros((3, 2))), 3)


@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN"), (np.inf, "+inf")])
def test_a_vectorized_nan_is_refused_with_its_row(value, what):
    with pytest.raises(BadOutput) as caught:
        OutputFormat(None, vectorized=True).to_arrays(np.array([0.0, -np.inf, value]), 3)
    assert (caught.value.row, caught.value.what) == (2, what)


def test_minus_infinity_is_a_number():
    np.testing.assert_array_equal(
        OutputFormat(None, False).to_arrays([-np.inf, 0], 2).log_prob, [-np.inf, 0]
    )
