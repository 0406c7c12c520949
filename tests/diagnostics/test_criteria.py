"""The one list of what draws have to reach: the stop rule and the verdict never disagree on it."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fake_run import Readable, ar1
from pmcmc.diagnostics import estimators
from pmcmc.diagnostics.criteria import (
    Shortfall,
    length,
    lost_ensembles,
    shortfalls,
    stuck,
)
from pmcmc.diagnostics.limits import Limits, looked_at
from pmcmc.diagnostics.statistics import ChainStatistics
from pmcmc.diagnostics.stopping import StopRules
from pmcmc.diagnostics.summarize import summarize
from pmcmc.diagnostics.verdict import assess
from pmcmc.errors import UsageError

GOOD = {
    "seed": 1, "nensembles": 4, "nwalkers": 8, "ndim": 2, "rows": 900, "uneven": 0, "rho": 0.5,
    "apart": 0.0, "narrow": 1.0, "frozen": 0, "late": 0, "low": 0.0, "thin_by": 1, "most": None,
    "until": (None, None),
}  # fmt: skip


def made_up(case):
    """Return a reader of draws with the faults that a case names."""
    rng = np.random.default_rng(case["seed"])
    w, chains, log_probs = case["nwalkers"], [], []
    accepted = np.ones((case["nensembles"], w))
    for e in range(case["nensembles"]):
        n = case["rows"] + (case["uneven"] if e else 0)
        columns = [ar1(rng, n, w, case["rho"]) for _ in range(case["ndim"])]
        chain = np.stack(columns, axis=2)
        log_prob = -0.5 * (chain**2).sum(axis=2)
        if e == case["nensembles"] - 1:
            chain *= case["narrow"]
            chain[..., 0] += case["apart"]
            chain[:, : case["frozen"]] = chain[:1, : case["frozen"]]
            accepted[e, : case["frozen"]] = 0
            chain[: case["late"], -1, 0] += 5.0
            log_prob[: case["late"], -1] -= 1e4
            log_prob -= case["low"]
        chains.append(chain)
        log_probs.append(log_prob)
    accepted *= [[0.4 * len(c)] for c in chains]
    return Readable(chains, log_probs, case["thin_by"], accepted)


def both(case):
    """Return what the stop rule says of a case, its summary, and the verdict."""
    reader, until = made_up(case), case["until"]
    lack = StopRules(*until).lacks(ChainStatistics(reader, most=case["most"]))
    summary = summarize(ChainStatistics(reader, most=case["most"]))
    return lack, summary, assess(summary, *until)


def agree(case):
    lack, summary, verdict = both(case)
    found = list(shortfalls(summary, Limits.of(*case["until"])))
    assert verdict.enough == (lack is None) == (not found)
    assert repr(lack) in [*map(repr, found), "None"]  # NaN is as good as NaN here
    assert verdict.lines[0].startswith("enough: " if verdict.enough else "not enough: ")
    return lack


CASES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "nensembles": st.sampled_from([1, 2, 4]),
        "nwalkers": st.sampled_from([4, 8, 20]),
        "ndim": st.integers(1, 3),
        "rows": st.sampled_from([0, 1, 2, 3, 5, 20, 100, 400, 900]),
        "uneven": st.sampled_from([0, 0, 1, 50]),
        "rho": st.sampled_from([0.0, 0.5, 0.9, 0.99]),
        "apart": st.sampled_from([0.0, 0.0, 0.3, 5.0]),
        "narrow": st.sampled_from([1.0, 1.0, 0.01, 0.0]),
        "frozen": st.sampled_from([0, 0, 0, 1, 4]),
        "late": st.sampled_from([0, 0, 1, 20]),
        "low": st.sampled_from([0.0, 0.0, 1e4]),
        "thin_by": st.sampled_from([1, 3]),
        "most": st.sampled_from([None, 1000, 5000]),
        "until": st.sampled_from(
            [(None, None), (300, None), (None, 1.02), (None, 50.0), (1, 50.0), (2000, 1.01)]
        ),
    }
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CASES)
@example(GOOD)
@example(GOOD | {"narrow": 0.01, "until": (None, 50.0)})  # one ensemble is in no tail
@example(GOOD | {"low": 1e4})  # one is in another place that looks the same, lower in log_prob
@example(GOOD | {"narrow": 0.0, "frozen": 8})
@example(GOOD | {"rows": 0, "uneven": 50, "late": 1})
@example(GOOD | {"seed": 3, "nensembles": 1, "ndim": 3, "rows": 2, "rho": 0.9})  # a tau of 0
def test_the_stop_rule_and_the_verdict_agree(case):
    if case["rows"] + case["uneven"] * (case["nensembles"] > 1) > 0:
        agree(case)


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        ({}, None),
        ({"nensembles": 1}, None),
        ({"thin_by": 3}, None),
        ({"rows": 2000, "most": 20_000}, None),
        ({"until": (2000, 1.02)}, None),
        ({"until": (None, 1.02)}, None),
        ({"late": 1}, None),
        ({"until": (1e6, None)}, "ess_bulk"),
        ({"rho": 0.99}, "length"),
        ({"rows": 1}, "length"),
        ({"frozen": 1}, "stuck"),
        ({"apart": 1.0}, "r_hat"),
        ({"late": 20}, "stragglers"),
        ({"narrow": 0.01}, "ess_tail"),
        ({"narrow": 0.01, "until": (None, 50.0)}, "ess_tail"),
        ({"low": 1e4}, "lost"),
    ],
)
def test_each_criterion_is_one_for_both(change, lacks):
    lack = agree(GOOD | change)
    assert lacks == (lack and lack.criterion)


def test_what_cannot_be_told_is_short_though_no_number_is_asked_for():
    lack, summary, verdict = both(GOOD | {"narrow": 0.01, "until": (None, 50.0)})
    assert math.isnan(summary.rows[0].ess_tail)
    assert lack.text == "no ESS in the tails for p0"
    assert "the tails were too seldom reached" in str(verdict)


def test_an_ensemble_elsewhere_is_short_though_it_moves_no_mean():
    lack, summary, verdict = both(GOOD | {"low": 1e4, "nensembles": 4})
    assert summary.shift <= 0.25
    assert lack.text == "ensembles far below the others in log_prob"
    assert "ensemble 3 is lost" in str(verdict)


class Told:
    """Figures that are given, as few as a test needs."""

    names, nensembles, kept, steps = ("a", "b"), 4, 1000, 1000
    quantities = (*names, "log_prob")
    stuck, low = np.zeros((4, 8), dtype=bool), np.zeros((4, 8), dtype=int)
    shift, shifted, rejected_share, missed = 0.0, "", 0.0, ()
    rare, offsets = np.zeros((4, 8), dtype=bool), np.full((4, 8), 6.0)
    farthest_in = np.ones((4, 8), dtype=int)

    def __init__(self, **changes):
        self.asked = []
        self._figures = {
            "rank_tau": (20.0,) * 3,
            "ess_bulk": 400.0,
            "ess_tail": 400.0,
            "r_hat": 1.01,
        }
        for name, value in changes.items():
            if name in self._figures:
                self._figures[name] = value
            else:
                setattr(self, name, value)

    def _figure(self, name, i):
        self.asked.append((name, i))
        value = self._figures[name]
        return value[i] if isinstance(value, tuple) else value

    def rank_tau(self, i):
        return np.broadcast_to(self._figure("rank_tau", i), 4)

    def ess_bulk(self, i):
        return self._figure("ess_bulk", i)

    def ess_tail(self, i):
        return self._figure("ess_tail", i)

    def r_hat(self, i):
        return self._figure("r_hat", i)


def some(count):
    which = np.zeros((4, 8), dtype=bool)
    which.flat[:count] = True
    return which


@pytest.mark.parametrize(
    ("changes", "words", "share"),
    [
        ({"rank_tau": (20.0, 20.1, 1.0)}, "49 of 50 tau for b", 1000 / 20.1 / 50),
        ({"rank_tau": (20.0, 20.0, 20.1)}, "49 of 50 tau for log_prob", 1000 / 20.1 / 50),
        ({"rank_tau": (np.nan, 1.0, 1.0)}, "no tau for a", np.nan),
        ({"rank_tau": (0.0, 1.0, 1.0)}, "no tau for a", np.nan),
        (
            {"rank_tau": (1.0, [5.0, 5.0, 40.1, 5.0], 1.0)},
            "24 of 50 tau for b in ensemble 2",
            1000 / 40.1 / 50,
        ),
        ({"rare": some(1)}, "walkers that move rarely", np.nan),
        ({"offsets": 6.1 * some(1)}, "walkers that do not mix in b", np.nan),
        ({"offsets": np.nan * some(1)}, "walkers that do not mix in b", np.nan),
        ({"ess_bulk": (399.9, 400.0)}, "ESS 399 of 400 for a", 399.9 / 400),
        ({"ess_tail": (400.0, 100.0)}, "ESS 100 of 400 in the tails for b", 0.25),
        ({"ess_tail": np.nan}, "no ESS in the tails for a", np.nan),
        ({"r_hat": (1.01, 1.0123)}, "R-hat 1.012, above 1.01, for b", np.nan),
        ({"r_hat": np.nan}, "no R-hat for a", np.nan),
        ({"stuck": some(1)}, "walkers that never moved", np.nan),
        ({"low": 501 * some(8)}, "ensembles far below the others in log_prob", np.nan),
        ({"shift": 0.3, "shifted": "b"}, "stragglers that move the mean of b", np.nan),
        ({"shift": np.nan, "shifted": "b"}, "stragglers that move the mean of b", np.nan),
        ({"missed": ("one",)}, "a maximum with mass that no walker has come near", np.nan),
    ],
)
def test_what_is_short_in_words(changes, words, share):
    assert not list(shortfalls(Told(), Limits.of(None, None)))
    short = next(shortfalls(Told(**changes), Limits.of(None, None)))
    assert short.text == words
    assert short.share == pytest.approx(share, nan_ok=True)


def test_one_ensemble_has_no_r_hat_and_is_not_lost():
    one = {"stuck": some(0)[:1], "low": 1000 * np.ones((1, 8), dtype=int)}
    one |= {"rare": some(0)[:1], "offsets": np.zeros((1, 8)), "farthest_in": np.zeros((1, 8), int)}
    figures = Told(nensembles=1, r_hat=np.nan, **one)
    assert not list(shortfalls(figures, Limits.of(None, None)))
    assert lost_ensembles(figures) == []


def test_limits():
    assert Limits.of(None, None) == Limits(400, 1.01, 50)
    assert Limits.of(1000, None) == Limits(1000, 1.05, 50)
    assert Limits.of(None, 1.02) == Limits(0, 1.02, 50)
    assert length(Told(), 0, Limits(0, math.inf, 50)) is None
    assert length(Told(), 0, Limits(0, math.inf, 51)).share == pytest.approx(50 / 51)
    assert stuck(Told(stuck=some(3))) == Shortfall("stuck", value=3, wanted=0)


def test_all_is_found_the_cheapest_first_and_each_figure_is_asked_for_in_order():
    figures, ticks = Told(ess_bulk=1.0, ess_tail=1.0, r_hat=2.0, rank_tau=(30.0, 40.0, 1.0)), []
    found = shortfalls(figures, Limits.of(None, None), [1, 0], lambda: ticks.append(1))
    assert (next(found).parameter, figures.asked) == ("b", [("rank_tau", 1)])
    assert [(s.criterion, s.parameter) for s in found] == [
        ("length", "a"),
        *((c, p) for c in ("ess_bulk", "ess_tail", "r_hat") for p in "ba"),
    ]
    assert len(ticks) == 8


def test_most_checks_of_a_run_cost_one_autocorrelation_time(monkeypatch):
    calls = []
    scores = estimators.normal_scores
    monkeypatch.setattr(estimators, "normal_scores", lambda c: calls.append(1) or scores(c))
    reader = made_up(GOOD | {"rows": 4000, "ndim": 3, "nensembles": 1})
    reader.chain = [
        np.concatenate([c[..., :2], c[:, :, 2:].cumsum(axis=0)], 2) for c in reader.chain
    ]
    rules = StopRules(until_ess=1000)
    assert "tau for p2" in rules.lacks(ChainStatistics(reader, [1000])).text
    assert len(calls) == 3
    assert "tau for p2" in rules.lacks(ChainStatistics(reader)).text
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, None), ("parameters", None), ("derived", ("d", "e")), ("b,d,b", ("b", "d"))],
)
def test_what_is_looked_at(given, expected):
    assert looked_at(given, ("a", "b"), ("d", "e")) == expected


def test_what_cannot_be_looked_at():
    with pytest.raises(UsageError, match="until_of names 'c': expected parameters, derived, or"):
        looked_at("a,c", ("a", "b"), ("d",))
    with pytest.raises(UsageError, match="log_prob returns no derived parameters"):
        looked_at("derived", ("a", "b"), ())
    assert looked_at("derived", ("derived",), ()) == ("derived",)
    # the default is all of them, though one is called so
    assert looked_at("parameters", ("a", "parameters"), ()) is None
    assert looked_at(None, ("a", "parameters"), ()) is None
