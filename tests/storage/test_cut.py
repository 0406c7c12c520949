"""A file read without some of its steps: as if they had never been there."""

import json

import numpy as np
import pytest

import pmcmc
from pmcmc.errors import UsageError
from pmcmc.results.exports import export
from pmcmc.storage import cut


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    problem = pmcmc.Problem(
        lambda t: (-0.5 * float(t @ t), t[0] * 2),
        ["a", "b"],
        initial=lambda n, rng: rng.normal(size=(n, 2)),
    )
    path = tmp_path_factory.mktemp("cut") / "x.h5"
    options = {"nsteps": 902, "nensembles": 3, "nwalkers": 8, "burnin": 20, "seed": 2}
    return pmcmc.run(problem, output=path, moves="stretch", **options)


@pytest.mark.parametrize(("discard", "thin"), [(0, 3), (50, 1), (50, 3), (299, 1)])
def test_rows_are_those_of_emcee(result, discard, thin, monkeypatch):
    monkeypatch.setattr(cut, "_BLOCK", 8 * 2 * 7)
    part = result.cut(discard, thin)
    for name in ("get_chain", "get_log_prob", "get_blobs"):
        for flat in (False, True):
            whole = getattr(result, name)(discard, thin, flat)
            np.testing.assert_array_equal(getattr(part, name)(flat=flat), whole)
            if part.steps[0] > 8:
                again = getattr(result.cut(discard), name)(0, thin, flat)
                np.testing.assert_array_equal(again, whole)
    assert part.thin_by == thin
    np.testing.assert_array_equal(part.get_burnin(), result.get_burnin())
    for e in range(3):
        chain = result.reader.values("chain", e, slice(0, result.steps[e]))
        moved = np.diff(chain[discard + thin - 1 :: thin], axis=0) != 0
        expected = moved.any(axis=2).sum(axis=0).astype(float)
        if first := discard + thin - 1:
            expected += (chain[first] != chain[first - 1]).any(axis=1)
        np.testing.assert_array_equal(part.reader.accepted[e], expected)


def test_nothing_left_out_is_the_same(result):
    assert result.cut() is result
    one = cut.CutReader(result.reader, 0, 1)
    np.testing.assert_array_equal(one.rows, result.reader.rows)
    assert one.header == result.reader.header


def test_figures_plots_and_exports_are_those_of_what_is_left(result, tmp_path):
    part = result.cut(60, 2)
    summary = part.summary()
    flat = result.get_chain(60, 2, flat=True)
    np.testing.assert_allclose([row.mean for row in summary.rows], flat.mean(axis=0))
    assert (summary.ndraws, summary.steps) == (len(flat), 2 * min(part.steps))
    [path] = export(part, "npz", tmp_path / "x.npz")
    np.testing.assert_array_equal(np.load(path)["chain"], result.get_chain(60, 2))
    verdict = str(part.verdict())
    target = int(" ".join(verdict.split()).split("enough, about ")[1].split()[0])
    assert target > 902  # of all steps, those left out included
    assert target < 60 * 3 + 2 * summary.nsteps * 30


@pytest.mark.parametrize(
    ("discard", "thin", "message"),
    [
        (-1, 1, "expected at least 0 and at least 1"),
        (0, 0, "expected at least 0 and at least 1"),
        (301, 1, "expected less than the 301 steps that the longest ensemble has"),
        (0, 302, "expected less than the 301 steps"),
    ],
)
def test_what_cannot_be_left_out_is_refused(result, discard, thin, message):
    with pytest.raises(UsageError, match=message):
        result.cut(discard, thin)


def test_on_the_command_line(result, launch, tmp_path):
    args = ["summary", str(result.path), "--discard", "60", "--thin", "2"]
    done = launch(0, "-m", "pmcmc", *args, "--json", cwd=tmp_path)
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    assert found["ndraws"] == result.cut(60, 2).ndraws
    assert len(found["ensembles"]) == 3
    done = launch(0, "-m", "pmcmc", *args, "--ensembles", cwd=tmp_path)
    assert "20 of burn-in and 60 left out, every 2nd" in done.stdout
    assert "ensemble" in done.stdout
    for wrong in ("-3", "x", "1.5"):
        done = launch(0, "-m", "pmcmc", "summary", "x.h5", f"--discard={wrong}", cwd=tmp_path)
        assert done.returncode == 2
        assert "expected a whole number of at least 0" in done.stderr
