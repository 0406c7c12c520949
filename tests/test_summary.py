"""The verdict on draws that were made up, and figures of large files in bounded memory."""

import json
import subprocess
import sys

import numpy as np
import pytest

import pmcmc
from pmcmc import survey as survey_module
from pmcmc.summary import Row, Summary
from pmcmc.survey import Survey
from pmcmc.verdict import judge

GOOD = Row("m", 1.0, 2.0, -1.0, 1.0, 3.0, 10.0, 5000.0, 4000.0, 1.002, 0.03)


def summary(*rows, ensembles=4, kept=1000, **changes):
    shape = (ensembles, 8)
    fixed = {
        "acceptance": np.full(shape, 0.4),
        "ndraws": ensembles * kept * 8,
        "nsteps": ensembles * kept,
        "kept": kept,
        "steps": kept,
        "low": np.zeros(shape, dtype=int),
        "stuck": np.zeros(shape, dtype=bool),
    }
    return Summary(rows or (GOOD,), **fixed | changes)


def row(**changes):
    return Row(**{**GOOD.__dict__, "name": "b", **changes})


def text(verdict):
    return " ".join(verdict.lines)


def test_enough():
    verdict = judge(summary())
    assert verdict.enough
    assert verdict.lines == (
        "enough: ESS at least 4000 (m), R-hat at most 1.002 (m), ensembles of 100 tau (m), no "
        "straggling walkers",
    )


@pytest.mark.parametrize(
    ("bad", "words", "nsteps"),
    [
        (row(r_hat=1.08), "R-hat 1.080 for b, above 1.01: ensembles disagree", 36000),
        (row(ess_bulk=100.0), "ESS 100 for b, below 400", 18000),
        (row(ess_tail=200.0), "ESS 200 for b, below 400", 8800),
        (row(tau=40.0), "ensembles of 1000 steps are short: 25 tau for b (tau 40)", 8800),
        (row(tau=np.nan, ess_bulk=np.nan), "tau cannot be estimated for b", 8800),
        (row(ess_tail=np.nan), "the tails were too seldom reached", 8800),
    ],
)
def test_too_few_draws_say_what_to_do(bad, words, nsteps):
    verdict = judge(summary(GOOD, bad))
    assert not verdict.enough
    assert f"not enough: {words}" in text(verdict)
    assert f"run longer, the same command with --resume --nsteps {nsteps}" in text(verdict)
    assert max(map(len, str(verdict).splitlines())) <= 80
    assert f"nsteps={nsteps}" in text(judge(summary(GOOD, bad), resumable=False))


def test_what_was_asked_for_counts():
    assert judge(summary(row(r_hat=1.03)), until_ess=4000).enough
    assert not judge(summary(row(r_hat=1.06)), until_ess=4000).enough
    assert not judge(summary(), until_ess=4001).enough
    assert judge(summary(row(ess_bulk=50.0)), until_rhat=1.01).enough
    assert not judge(summary(row(r_hat=1.006)), until_rhat=1.005).enough


def test_stragglers_count_where_they_move_a_mean():
    low = np.zeros((4, 8), dtype=int)
    low[1, [2, 5]] = 30, 4
    verdict = judge(summary(low=low, shift=3.21, shifted="m"))
    assert not verdict.enough
    assert "2 walkers (2, 5 of ensemble 1) came late from a bad start: 34 draws" in text(verdict)
    assert "move the mean of m by 3.2 standard errors" in text(verdict)
    assert "--burnin auto" in text(verdict)
    assert "--resume" not in text(verdict)
    few = judge(summary(low=low, shift=0.1, shifted="m"))
    assert few.enough
    assert "they are too few to matter" in text(few)


def test_stuck_walkers_and_lost_ensembles_are_named():
    stuck = np.zeros((4, 8), dtype=bool)
    stuck[0, 3] = stuck[2] = True
    low = np.zeros((4, 8), dtype=int)
    low[3] = 900
    verdict = judge(summary(stuck=stuck, low=low, shift=1e9, shifted="m"))
    assert "ensembles 2, 3 are lost" in text(verdict)
    assert "1 walker (3 of ensemble 0) never moved" in text(verdict)


def test_notes_on_one_ensemble_and_low_acceptance():
    verdict = judge(summary(row(r_hat=np.nan), ensembles=1, acceptance=np.full((1, 8), 0.02)))
    assert verdict.enough
    assert "one ensemble has no R-hat" in text(verdict)
    assert "acceptance 0.02 is low" in text(verdict)


def test_a_wide_table_fits_80_columns():
    rows = [
        Row("a_long_name_of_a_parameter", -12345.678, 0.001234, *[-12345.678] * 3, 1234.5, 1e7,
            1e7, 12.345, 1e-6),
        row(mean=1e300, sd=1e290, q16=1e300, q50=1e300, q84=1e300),
        row(mean=np.nan, sd=np.nan, tau=np.nan, ess_bulk=np.nan, r_hat=np.nan, mcse=np.nan),
    ]  # fmt: skip
    lines = str(summary(*rows)).splitlines()
    assert len(lines) == 5
    assert max(map(len, lines)) <= 80
    assert len({len(line) for line in lines[:4]}) == 1


@pytest.mark.parametrize(
    ("mean", "sd", "shown"),
    [
        (3.52474859, 3.8e-7, ["3.52474859", "3.8e-07", "-3.8e-07", "+0.0e+00", "+3.8e-07"]),
        (2454833.1234, 5e-4, ["2454833.12340", "5.0e-04", "-5.0e-04", "+0.0e+00", "+5.0e-04"]),
        (-1.5e-9, 2e-13, ["-1.50000e-09", "2.0e-13"]),
        (1.5, 0.02, ["1.5000", "0.0200", "1.4800", "1.5000", "1.5200"]),
        (3e-9, 1e-9, ["3.00e-09", "1.00e-09", "2.00e-09", "3.00e-09", "4.00e-09"]),
    ],
)
def test_the_digits_that_matter_are_shown(mean, sd, shown):
    period = row(mean=mean, sd=sd, q16=mean - sd, q50=mean, q84=mean + sd, tau=999.7)
    lines = str(summary(period)).splitlines()
    cells = lines[1].split()[1:]
    assert cells[: len(shown)] == shown
    assert cells[5] == "1000"
    assert max(map(len, lines)) <= 80
    relative = lines[-1] == "quantiles with a sign: less the mean"
    assert relative == (abs(mean) > 50 * sd and sd < 1e-3)


def test_an_ensemble_without_kept_steps():
    acceptance = np.full((4, 8), 0.4)
    acceptance[2] = np.nan
    verdict = judge(summary(kept=0, nsteps=900, acceptance=acceptance))
    assert "an ensemble has no kept step yet" in text(verdict)
    assert summary(acceptance=acceptance).acceptance_fraction == pytest.approx(0.4)


def test_a_walker_that_has_not_moved_yet_is_not_stuck(tmp_path):
    """Few steps are too few to move for some, and moves between kept steps are not counted."""
    import emcee

    def never(theta):
        return -0.5 * float(theta @ theta)

    start = np.random.default_rng(0).normal(size=(20, 5))
    moves = [(emcee.moves.StretchMove(a=40.0), 1.0)]
    problem = pmcmc.Problem(never, ndim=5, initial=start, moves=moves)
    for options in ({"nsteps": 10}, {"nsteps": 60, "thin_by": 50}):
        result = pmcmc.run(problem, burnin=100, nensembles=1, seed=3, **options)
        assert (result.reader.accepted == 0).any()
        assert not result.survey().stuck.any()

    def walled(theta):
        return -0.5 * float(theta @ theta) if theta[0] < 50 else -1.0 - abs(theta[0] - 99) * 1e9

    start[7, 0] = 99.0
    problem = pmcmc.Problem(walled, ndim=5, initial=start)
    for thin_by in (1, 3):
        result = pmcmc.run(problem, nsteps=200, burnin=0, nensembles=1, seed=3, thin_by=thin_by)
        assert np.flatnonzero(result.survey().stuck[0]).tolist() == [7]


def sample(output, **options):
    problem = pmcmc.Problem(
        lambda t: -0.5 * float(t @ t),
        ["a", "b", "c"],
        initial=lambda n, rng: rng.normal(size=(n, 3)),
    )
    fixed = {"nsteps": 600, "nensembles": 3, "nwalkers": 16, "burnin": 50, "seed": 2}
    return pmcmc.run(problem, output=output, **fixed | options)


def test_blocks_and_groups_change_no_figure(tmp_path, monkeypatch):
    result = sample(tmp_path / "x.h5")
    whole = result.summary()
    monkeypatch.setattr(survey_module, "_BLOCK", 500)
    monkeypatch.setattr(survey_module, "_AT_ONCE", 1)
    blocks = result.summary()
    for one, other in zip(whole.rows, blocks.rows, strict=True):
        np.testing.assert_allclose(
            list(one.__dict__.values())[1:], list(other.__dict__.values())[1:]
        )
    monkeypatch.setattr(survey_module, "MOST", 2000)
    some = result.summary()
    assert some.every == 5
    for one, other in zip(whole.rows, some.rows, strict=True):
        assert (one.mean, one.sd) == pytest.approx((other.mean, other.sd), rel=1e-12)
        assert one.tau == pytest.approx(other.tau, rel=0.3)
        assert one.q50 == pytest.approx(other.q50, abs=0.4)
    assert "every 5-th walker" in text(result.judge(some))


def test_first_rows_and_burnin(tmp_path):
    result = sample(tmp_path / "x.h5")
    first = Survey(result.reader, [100, 100, 100])
    chain = result.get_chain()[:, :100]
    np.testing.assert_array_equal(np.stack(first.values(1)), chain[..., 1])
    np.testing.assert_allclose(first.moments.mean, chain.reshape(-1, 3).mean(axis=0))
    half = Survey(result.reader, phase="burnin", start=25)
    np.testing.assert_array_equal(np.stack(half.values(2)), result.get_burnin()[:, 25:, :, 2])


BIG = """
import resource, sys, time
import numpy as np, h5py
import pmcmc
result = pmcmc.load(sys.argv[1])
began = time.perf_counter()
summary = result.summary()
took = time.perf_counter() - began
print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, summary.every)
"""


@pytest.mark.slow
def test_a_large_file_takes_bounded_memory(tmp_path):
    """A file of 1 GB, most of it a hole: its reading is the same."""
    problem = pmcmc.Problem(
        lambda t: -0.5 * (t**2).sum(axis=1), [f"p{i}" for i in range(10)], vectorized=True,
        initial=lambda n, rng: rng.normal(size=(n, 10)),
    )  # fmt: skip
    path = tmp_path / "big.h5"
    result = pmcmc.run(
        problem, nsteps=4 * 6000, nensembles=4, nwalkers=500, burnin=10, output=path
    )
    size = path.stat().st_size
    assert size > 1e9
    done = subprocess.run(
        [sys.executable, "-c", BIG, str(path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    _, memory, every = map(float, done.stdout.split())
    assert every > 1
    assert memory < 900, done.stdout  # MB; libraries take 150
    path.unlink()
    assert result.ndraws == 4 * 6000 * 500


def test_summary_in_json(launch, tmp_path):
    sample(tmp_path / "x.h5", until_ess=100000)
    done = launch(0, "-m", "pmcmc", "summary", "x.h5", "--json", cwd=tmp_path)
    values = json.loads(done.stdout)
    assert done.returncode == 0
    assert values["enough"] is False
    assert any("below 100000" in line for line in values["verdict"])
    assert {"tau", "ess_bulk", "ess_tail", "r_hat", "mcse"} < set(values["parameters"][0])
    shown = launch(0, "-m", "pmcmc", "summary", "x.h5", cwd=tmp_path)
    assert "r_hat" in shown.stdout
    assert "not enough: ESS" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
