"""The verdict on draws that were made up, and figures of large files in bounded memory."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

import pmcmc
from pmcmc.diagnostics import values as module
from pmcmc.diagnostics.advice import Continuation
from pmcmc.diagnostics.statistics import ChainStatistics
from pmcmc.diagnostics.summary import Summary
from pmcmc.diagnostics.table import EnsembleRow, Row, text_within
from pmcmc.diagnostics.verdict import assess
from pmcmc.diagnostics.walkers import Division, Group

GOOD = Row("m", 1.0, 2.0, -1.0, 1.0, 3.0, 10.0, 5000.0, 4000.0, 1.002, 0.03)
LOG_PROB = Row("log_prob", -1.0, 1.0, -2.0, -1.0, -0.5, 8.0, 5000.0, 4000.0, 1.001, 0.01)


def summary(*rows, ensembles=4, kept=1000, **changes):
    shape = (ensembles, 8)
    rows = rows or (GOOD,)
    one = EnsembleRow(-1.0, -0.5, (0.25, -3.0), 0.4, 1.0, (), (), ())
    fixed = {
        "log_prob": LOG_PROB,
        "ensembles": (one,) * ensembles,
        "worst": rows[0].name,
        "acceptance": np.full(shape, 0.4),
        "ndraws": ensembles * kept * 8,
        "nsteps": ensembles * kept,
        "kept": kept,
        "steps": kept,
        "rank_taus": tuple(np.full(ensembles, r.tau) for r in (*rows, LOG_PROB)),
        "offsets": np.full(shape, 2.5),
        "farthest_in": np.zeros(shape, dtype=int),
        "divisions": (),
        "low": np.zeros(shape, dtype=int),
        "shift": 0.0,
        "shifted": "",
        "stuck": np.zeros(shape, dtype=bool),
        "rare": np.zeros(shape, dtype=bool),
    }
    return Summary(rows, **fixed | changes)


def row(**changes):
    return Row(**{**GOOD.__dict__, "name": "b", **changes})


def text(verdict):
    return " ".join(verdict.lines)


def test_enough():
    verdict = assess(summary())
    assert verdict.enough
    assert verdict.lines == (
        "enough: ESS at least 4000 (m), R-hat at most 1.002 (m), ensembles of 100 tau (m), all "
        "walkers mix",
    )


@pytest.mark.parametrize(
    ("bad", "words", "nsteps"),
    [
        (row(r_hat=1.08), "R-hat 1.080 for b, above 1.01: ensembles disagree", 40000),
        (row(ess_bulk=100.0), "ESS 100 for b, below 400", 20000),
        (row(ess_tail=200.0), "ESS 200 for b, below 400", 10000),
        (
            row(tau=40.0),
            "ensembles of 1000 steps are short: 25 tau for b (tau 40), and 50 are wanted",
            11000,
        ),
        (row(tau=np.nan, ess_bulk=np.nan), "tau cannot be estimated for b", 10000),
        (row(ess_tail=np.nan), "the tails were too seldom reached", 10000),
    ],
)
def test_too_few_draws_say_what_to_do(bad, words, nsteps):
    verdict = assess(summary(GOOD, bad))

    def again(how):
        return assess(summary(GOOD, bad), how=how)

    assert not verdict.enough
    assert f"not enough: {words}" in text(verdict)
    resumed = f"run longer, {{}} goes on until there are enough, about {nsteps} steps in all"
    assert resumed.format("the same command with --resume --nsteps auto") in text(verdict)
    how = Continuation(open_ended=True)
    assert resumed.format("the same command with --resume") in text(again(how))
    how = Continuation(open_ended=True, at_most=True)
    assert f"the same command with --resume --nsteps {nsteps}" in text(again(how))
    assert max(map(len, str(verdict).splitlines())) <= 80
    assert resumed.format('with nsteps="auto" it') in text(again(Continuation(resumable=False)))


def test_what_was_asked_for_counts():
    assert assess(summary(row(r_hat=1.03)), until_ess=4000).enough
    assert not assess(summary(row(r_hat=1.06)), until_ess=4000).enough
    assert not assess(summary(), until_ess=4001).enough
    assert assess(summary(row(ess_bulk=50.0)), until_rhat=1.01).enough
    assert not assess(summary(row(r_hat=1.006)), until_rhat=1.005).enough


def test_stragglers_count_where_they_move_a_mean():
    low = np.zeros((4, 8), dtype=int)
    low[1, [2, 5]] = 30, 4
    verdict = assess(summary(low=low, shift=3.21, shifted="m"))
    assert not verdict.enough
    assert "2 walkers (2, 5 of ensemble 1) came late from a bad start: 34 draws" in text(verdict)
    assert "move the mean of m by 3.2 standard errors" in text(verdict)
    assert "--burnin auto" in text(verdict)
    assert "--resume" not in text(verdict)
    few = assess(summary(low=low, shift=0.1, shifted="m"))
    assert few.enough
    assert "they are too few to matter" in text(few)


def divided(e, *groups, length=60.0):
    return Division(e, tuple(Group(w, lp) for w, lp in groups), length)


def test_groups_of_walkers_that_do_not_mix_are_named_and_no_longer_run_is_advised():
    low = divided(2, ((1, 3, 4, 5, 7), -158.0), ((0, 2, 6), -262.4))
    offsets = np.full((4, 8), 2.5)
    offsets[2, 0] = 9.0
    far = summary(row(r_hat=1.9, tau=900.0), divisions=(low,), offsets=offsets)
    assert not assess(far).enough
    assert assess(far).lines == (
        "not enough: ensemble 2: 3 of 8 walkers (0, 2, 6) have been at log_prob near -262.4 for "
        "all 60 tau, the rest near -158: they will not come",
        "what to do: running longer will not help. Begin again round the best point found, with "
        "initial = [0.25, -3] (log_prob -0.5), or with --rescue, or try other --moves; where "
        "several modes have mass use a sampler made for that, as the nested samplers dynesty and "
        "UltraNest are",
    )
    alone = divided(2, ((0, 1, 2, 3, 4, 5, 6), -158.0), ((7,), -262.4))
    assert "1 of 8 walkers (7) has been at" in text(
        assess(summary(divisions=(alone,), offsets=offsets))
    )
    alike = divided(2, ((1, 3, 4, 5, 7), -1.0), ((0, 2, 6), -1.5))
    told = text(assess(summary(divisions=(alike,), offsets=offsets)))
    assert (
        "3 of 8 walkers (0, 2, 6) have been in another mode, at log_prob near -1.5, for all 60 tau"
        in told
    )
    assert "modes that walkers do not cross between" in told
    assert "--resume" not in told
    many = tuple(divided(e, ((0, 1), -158.0), ((2,), -262.4)) for e in range(5))
    told = text(assess(summary(divisions=many, offsets=offsets)))
    assert told.count("they will not come") == 3
    assert "not enough: 2 more ensembles likewise" in told


def test_walkers_that_do_not_mix_and_that_move_rarely_are_named():
    offsets = np.full((4, 8), 2.5)
    offsets[1, 4] = 9.4
    told = text(assess(summary(offsets=offsets)))
    assert "not enough: 1 walker (4 of ensemble 1) is not where the others are" in told
    assert "the mean of m of walker 4 is 9 standard errors from that of ensemble 1" in told
    rare, acceptance = np.zeros((4, 8), dtype=bool), np.full((4, 8), 0.4)
    rare[3, [2, 5]], acceptance[3, [2, 5]] = True, 0.02
    told = text(assess(summary(rare=rare, acceptance=acceptance)))
    assert "not enough: 2 walkers (2, 5 of ensemble 3) move rarely: acceptance 0.02" in told
    assert "--resume" not in told


def test_stuck_walkers_and_lost_ensembles_are_named():
    stuck = np.zeros((4, 8), dtype=bool)
    stuck[0, 3] = stuck[2] = True
    low = np.zeros((4, 8), dtype=int)
    low[3] = 900
    verdict = assess(summary(stuck=stuck, low=low, shift=1e9, shifted="m"))
    assert "ensembles 2, 3 are lost" in text(verdict)
    assert "1 walker (3 of ensemble 0) never moved" in text(verdict)


def test_notes_on_one_ensemble_and_low_acceptance():
    verdict = assess(summary(row(r_hat=np.nan), ensembles=1, acceptance=np.full((1, 8), 0.02)))
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
        (0.011917, 8.7e-5, ["0.011917", "0.000087", "0.011830", "0.011917", "0.012004"]),
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
    relative = lines[-1] == "quantiles with a sign: their difference from the mean"
    assert relative == any(cell.startswith("+") for cell in cells)


def test_an_ensemble_without_kept_steps():
    acceptance = np.full((4, 8), 0.4)
    acceptance[2] = np.nan
    verdict = assess(summary(kept=0, nsteps=900, acceptance=acceptance))
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
        assert not result.statistics().stuck.any()

    def walled(theta):
        return -0.5 * float(theta @ theta) if theta[0] < 50 else -1.0 - abs(theta[0] - 99) * 1e9

    start[7, 0] = 99.0
    problem = pmcmc.Problem(walled, ndim=5, initial=start)
    for thin_by in (1, 3):
        result = pmcmc.run(problem, nsteps=200, burnin=0, nensembles=1, seed=3, thin_by=thin_by)
        assert np.flatnonzero(result.statistics().stuck[0]).tolist() == [7]


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
    monkeypatch.setattr(module, "_BLOCK", 500)
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    blocks = result.summary()
    for one, other in zip(whole.rows, blocks.rows, strict=True):
        np.testing.assert_allclose(
            list(one.__dict__.values())[1:], list(other.__dict__.values())[1:]
        )
    monkeypatch.setattr(module, "MOST", 3000)
    some = result.summary()
    assert some.row_stride == 4
    for one, other in zip(whole.rows, some.rows, strict=True):
        assert (one.mean, one.sd) == pytest.approx((other.mean, other.sd), rel=1e-12)
        assert one.tau == pytest.approx(other.tau, rel=0.3)
        assert one.q50 == pytest.approx(other.q50, abs=0.4)
    assert "are those of every 4th kept step" in text(result.assess(some))


def test_first_rows_and_burnin(tmp_path):
    result = sample(tmp_path / "x.h5")
    first = ChainStatistics(result.reader, [100, 100, 100])
    chain = result.get_chain()[:, :100]
    np.testing.assert_array_equal(np.stack(first.values(1)), chain[..., 1])
    np.testing.assert_allclose(first.moments.mean[:3], chain.reshape(-1, 3).mean(axis=0))
    half = ChainStatistics(result.reader, phase="burnin", discard=25)
    np.testing.assert_array_equal(np.stack(half.values(2)), result.get_burnin()[:, 25:, :, 2])


def box():
    """Return the problem of a density that is the same within a square, and 0 outside."""
    return pmcmc.Problem(
        lambda t: np.where((np.abs(t) < 1).all(axis=1), 0.0, -np.inf),
        ["x", "y"],
        vectorized=True,
        initial=lambda n, rng: rng.uniform(-0.5, 0.5, size=(n, 2)),
    )


def test_a_log_prob_that_is_the_same_everywhere_is_no_fault():
    result = pmcmc.run(box(), seed=1)
    assert result.verdict().enough
    assert result.steps[0] < 3000
    assert result.summary().rows[0].sd == pytest.approx(1 / 3**0.5, rel=0.03)


BIG = """
import re, sys
from pathlib import Path
import numpy as np, h5py
import pmcmc
def memory(key):
    # ru_maxrss begins with that of the process that forked this one
    return int(re.search(key + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
result = pmcmc.load(sys.argv[1])
result.cut(890).summary()  # libraries, and what they hold by the core
before = memory("VmRSS")
print(result.summary().row_stride, memory("VmHWM") - before)
"""


@pytest.mark.slow
def test_a_large_file_takes_bounded_memory(tmp_path):
    """A file of 0.15 GB."""
    problem = pmcmc.Problem(
        lambda t: -0.5 * (t**2).sum(axis=1), [f"p{i}" for i in range(10)], vectorized=True,
        initial=lambda n, rng: rng.normal(size=(n, 10)),
    )  # fmt: skip
    path = tmp_path / "big.h5"
    result = pmcmc.run(
        problem,
        nsteps=4 * 900,
        nensembles=4,
        nwalkers=500,
        burnin=10,
        output=path,
        moves="stretch",
    )
    size = path.stat().st_size
    assert size > 1.5e8
    done = subprocess.run(
        [sys.executable, "-c", BIG, str(path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    every, memory = map(float, done.stdout.split())
    assert every > 1
    assert memory < 190, done.stdout  # MB; 230 where all values are read
    path.unlink()
    assert result.ndraws == 4 * 900 * 500


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


def test_many_rejected_evaluations_are_not_enough():
    some = assess(summary(rejected=40, rejected_share=0.08))
    assert some.enough
    assert "note: 40 evaluations rejected in all, 8% of those after burn-in" in text(some)
    many = assess(summary(rejected=400, rejected_share=0.12))
    assert not many.enough
    assert many.lines[0].startswith(
        "not enough: 12.0% of the evaluations after burn-in were rejected"
    )
    assert summary(rejected=40, rejected_share=0.08).to_dict()["rejected"] == 40


@pytest.mark.parametrize(
    ("value", "sd", "shown"),
    [
        (4.25612, 0.1234, "4.256"),
        (2459000.1234567, 0.0123, "2459000.1235"),
        (2459000.1234567, 2e-7, "2.459000123456700e+06"),
        (1.23456e-12, 2.3e-14, "1.2346e-12"),
        (123456.7, 4567.0, "123457"),
        (6.02214e23, 1e21, "6.02214e+23"),
        (0.5, 0.0, "0.5000"),
        (math.nan, 1.0, "-"),
    ],
)
def test_a_figure_of_the_report_is_as_exact_as_its_sd_asks_for(value, sd, shown):
    assert text_within(value, sd) == shown
