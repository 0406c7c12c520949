"""What a check decides, from draws that were made up; the runs that end so are in tests/ranks."""

import re

import numpy as np
import pytest

from fake_run import Readable, ar1, header
from pmcmc.diagnostics import burnin
from pmcmc.diagnostics.stopping import FIRST, StopRules, next_check
from pmcmc.engine.convergence import Action, ConvergenceChecks, figures

W = 32
NO_RULES, RULES = StopRules(), StopRules(until_ess=200)
MOST = (900, 900)


def draws(rows, rho=0.5, ensembles=2, apart=0.0, **fields):
    """Return two parameters of each ensemble, with draws of both autocorrelated by ``rho``."""
    rng = np.random.default_rng(3)
    chain = [
        np.stack([ar1(rng, rows, W, rho, apart * e), ar1(rng, rows, W, rho)], axis=2)
        for e in range(ensembles)
    ]
    reader = Readable(chain, [-0.5 * (c**2).sum(axis=2) for c in chain], **fields)
    reader.steps = reader.rows
    return reader


def never():
    """Stand for nothing to do between figures."""


def test_a_run_with_nothing_to_check_has_no_limit():
    checks = ConvergenceChecks(NO_RULES, settled=True, most=MOST)
    assert not checks.needed
    assert checks.next_limit(header(), np.array([0]), np.array([0])) is None


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ((0, 0), FIRST),
        ((FIRST - 1, 3), FIRST),
        ((FIRST, 3), FIRST),  # one is there, the other is not: it is still open
        ((FIRST, FIRST), next_check(FIRST + 1)),  # decided
    ],
)
def test_the_next_limit_of_a_stop_rule_counts_steps_with_burnin_and_thinning(rows, kept):
    head = header(burnin=7, thin_by=3, steps=(900, 900))
    rows = np.array(rows)
    checks = ConvergenceChecks(RULES, settled=True, most=MOST)
    assert checks.next_limit(head, 7 + 3 * rows, rows) == 7 + 3 * kept


def test_no_check_comes_after_the_last_step():
    checks = ConvergenceChecks(RULES, settled=True, most=(FIRST, FIRST - 1))
    assert checks.next_limit(header(), np.zeros(2), np.zeros(2)) is None


def test_enough_draws_finish_and_too_few_go_on_with_a_goal():
    checks = ConvergenceChecks(RULES, settled=True, most=MOST)
    enough = checks.check(draws(600, burnin=5), never)
    assert (enough.action, enough.burnin, enough.shortfall) == (Action.FINISH, 5, "")
    few = ConvergenceChecks(StopRules(until_ess=1e5), settled=True, most=MOST).check(
        draws(600), never
    )
    assert few.action is Action.CONTINUE
    assert "ESS" in few.shortfall
    assert few.goal > 600
    assert few.goal == next_check(few.goal)


@pytest.mark.parametrize(
    ("rows", "has", "gets"),
    [
        (FIRST, (120, 120), (120, 120)),  # the next check's
        (120, (120, 120), (249, 249)),  # twice as many
        (120, (144, 120), (249, 249)),
        (744, (744, 744), (900, 899)),  # and no more than the most
        (744, (900, 899), (900, 899)),
    ],
)
def test_a_file_gets_room_for_the_next_check_as_it_is_needed(rows, has, gets):
    checks = ConvergenceChecks(StopRules(until_ess=1e6), True, most=(900, 899))
    assert checks.check(draws(rows, steps=has), never).steps == gets


def test_without_rules_an_open_ended_run_ends_with_the_verdict_enough():
    rules = StopRules(until_enough=True)
    checks = ConvergenceChecks(rules, True, MOST)
    short = checks.check(draws(FIRST), never)
    assert (short.action, short.goal) == (Action.CONTINUE, 144)
    assert re.fullmatch(r"\d\d of 50 tau for p0", short.shortfall)
    assert checks.check(draws(600), never).action is Action.FINISH
    assert checks.check(draws(600, apart=0.5), never).shortfall.startswith("R-hat")


def test_the_end_of_all_steps_is_decided_by_the_same_rule():
    assert ConvergenceChecks(NO_RULES, True, MOST).final(draws(30)).action is Action.FINISH
    assert ConvergenceChecks(RULES, True, MOST).final(draws(600)).action is Action.FINISH
    short = ConvergenceChecks(StopRules(until_ess=1e5), True, MOST).final(draws(600))
    assert (short.action, bool(short.shortfall)) == (Action.FALL_SHORT, True)


def test_burnin_settles_where_its_second_half_is_stationary_and_long():
    checks = ConvergenceChecks(NO_RULES, settled=False, most=MOST)
    steps = next_check(300)
    decision = checks.check(draws(steps, burnin=steps), never)
    assert (decision.action, decision.burnin, decision.shortfall) == (Action.SETTLE, steps, "")
    assert not checks.needed  # from now on


def test_burnin_that_has_not_settled_goes_on_and_gets_room():
    checks = ConvergenceChecks(NO_RULES, settled=False, most=MOST)
    decision = checks.check(draws(FIRST, rho=0.99, burnin=FIRST), never)
    assert decision.action is Action.CONTINUE
    assert decision.burnin == next_check(2 * FIRST)
    assert re.fullmatch(r"burn-in: \d of 20 tau for p0", decision.shortfall)
    # room that is there already is not asked for
    assert checks.check(draws(FIRST, rho=0.99, burnin=5000), never).burnin == 5000


def test_burnin_ends_at_last_though_it_has_not_settled(monkeypatch):
    most = burnin.MOST_BURNIN
    monkeypatch.setattr(burnin, "MOST_BURNIN", FIRST)
    checks = ConvergenceChecks(NO_RULES, settled=False, most=MOST)
    decision = checks.check(draws(FIRST, rho=0.99, burnin=FIRST), never)
    assert (decision.action, decision.burnin) == (Action.SETTLE, FIRST)
    assert "of 20 tau" in decision.shortfall  # and it is said
    assert most > FIRST


def test_a_check_is_left_where_tick_raises():
    def stop():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        ConvergenceChecks(StopRules(until_rhat=1.01), settled=True, most=MOST).check(
            draws(600), stop
        )


def test_figures_come_with_the_first_check():
    assert figures(draws(FIRST - 1), never) is None
    assert str(figures(draws(FIRST), never)).startswith("ESS ")
