"""What a run says of its draws while it goes."""

import re
import time
from dataclasses import replace

import numpy as np
import pytest

import pmcmc
import pmcmc.engine.checking
import pmcmc.engine.convergence
import pmcmc.engine.progress
from pmcmc.diagnostics.burnin import BurninCheck
from pmcmc.engine.pace import Pace
from pmcmc.launch.display import state_text
from pmcmc.storage.progress_record import ProgressRecord

RUN = {"burnin": 10, "nwalkers": 8, "nensembles": 2, "seed": 1, "checkpoint": 0.05}


@pytest.fixture
def problem():
    def log_prob(theta):
        time.sleep(5e-5)
        return -0.5 * float(theta @ theta)

    return pmcmc.Problem(log_prob, ["a", "b"], initial=np.zeros(2))


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(pmcmc.engine.checking, "_FIRST_FIGURES", 0.0)
    monkeypatch.setattr(pmcmc.engine.checking, "_SPARE", 0)
    monkeypatch.setattr(pmcmc.engine.progress, "_FIRST_LINE", 0.2)


@pytest.mark.slow
def test_figures_of_the_draws_so_far(problem, capsys):
    result = pmcmc.run(problem, nsteps=2000, progress=True, **RUN)
    lines = capsys.readouterr().out.splitlines()
    said = re.findall(r"ESS (\d+), R-hat (\d\.\d{3}), tau ([\d.]+)$", "\n".join(lines), re.M)
    assert said
    rows = result.summary().rows
    ess, r_hat, tau = (float(x) for x in said[-1])
    assert 20 < ess <= 1.5 * min(row.ess_bulk for row in rows)
    assert 1 <= r_hat < 1.5
    assert 0.5 < tau / max(row.tau for row in rows) < 2
    assert "left; acceptance 0." in lines[-1]


@pytest.mark.slow
def test_what_is_lacking_and_the_time_to_it(problem, capsys):
    result = pmcmc.run(problem, nsteps=20_000, until_ess=100, progress=True, **RUN)
    lines = capsys.readouterr().out.splitlines()
    assert result.status == "finished"
    assert any(re.search(r"about [\d.]+ m?s to the target; acc", line) for line in lines)
    assert any(re.search(r"of 50 tau for [ab]|ESS \d+ of 100", line) for line in lines)


@pytest.mark.slow
def test_ranks_that_sampled_on_during_a_check_are_not_said_to_be_late():
    pace = Pace()
    pace.open_ended, pace.burnin, pace.goal = True, 100, 500
    pace.began = time.monotonic()
    assert pace.left(550, 10.0) == "enough at about step 500, 5 s left"
    assert pace.left(620, 10.0) == "checking whether step 500 was enough"
    record = ProgressRecord(steps=620, goal=500, seconds_left=0.0)
    assert state_text(record) == "checking whether step 500 was enough"
    assert list(record.lines())[1] == "checking whether step 500 was enough"
    assert "left" not in " ".join(record.lines())
    assert state_text(replace(record, seconds_left=5.0)).endswith("500, 5 s left")


def test_a_burnin_whose_end_nobody_knows_tells_its_step(capsys, monkeypatch):
    monkeypatch.setattr(pmcmc.engine.progress, "_FIRST_LINE", 0.01)
    monkeypatch.setattr(pmcmc.engine.progress, "_MOST", 0.01)

    def log_prob(theta):
        time.sleep(2e-5)
        return -0.5 * float(theta @ theta)

    far = pmcmc.Problem(log_prob, ["a"], initial=lambda n, rng: rng.normal(size=(n, 1)) + 1e4)
    monkeypatch.setattr(
        pmcmc.engine.convergence,
        "check_burnin",
        lambda reader, steps, rescue, tick: BurninCheck(steps > 850, "far"),
    )
    result = pmcmc.run(far, nsteps=50, progress=True, **RUN | {"burnin": "auto"})
    assert result.burnin > 800
    lines = capsys.readouterr().out.splitlines()
    steps = [int(n) for n in re.findall(r"^burn-in, step (\d+) of each", "\n".join(lines), re.M)]
    assert steps == sorted(steps)
    assert 500 < max(steps) < 1500
    assert any(re.search(r"steps/s; acceptance .*; burn-in: far$", line) for line in lines)


def test_without_progress_nothing_is_worked_out(problem, capsys, monkeypatch):
    monkeypatch.setattr(
        pmcmc.engine.convergence, "worst_figures", lambda *_: pytest.fail("worked out")
    )
    pmcmc.run(problem, nsteps=200, **RUN)
    assert capsys.readouterr().out == ""
