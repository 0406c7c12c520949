"""Modes: maxima that no draw came near, and ensembles that are in different ones."""

import json

import numpy as np
import pytest

from fake_run import Readable, ar1
from pmcmc.diagnostics.agreement import separation
from pmcmc.diagnostics.modes import missed_modes
from pmcmc.diagnostics.statistics import ChainStatistics
from pmcmc.diagnostics.summarize import summarize
from pmcmc.diagnostics.verdict import assess

NSTEPS, W = 2000, 16


def optimum(theta, weight, log_prob=-1.0):
    sd = [1.0] * len(theta)
    more = {"log_mass": 0.0, "sd": sd, "width": sd, "found": 3}
    return {"theta": theta, "log_prob": log_prob, "weight": weight} | more


def reader(means, optima=(), rho=0.5, log_probs=(0, 0, 0, 0), nsteps=NSTEPS, **fields):
    """Return draws of ensembles with these means of both parameters."""
    rng = np.random.default_rng(1)
    chains = [
        np.stack([ar1(rng, nsteps, W, rho, m), ar1(rng, nsteps, W, rho)], axis=2) for m in means
    ]
    values = [ar1(rng, nsteps, W, rho, lp) for _, lp in zip(means, log_probs, strict=False)]
    start = json.dumps({"wide": True, "optima": list(optima)})
    origin = {"start": start} if optima else {}
    return Readable(chains, values, origin=origin, **fields)


def found(*args, **kwargs):
    return ChainStatistics(reader(*args, **kwargs))


def test_a_maximum_with_mass_where_no_draw_is_makes_it_not_enough():
    both = optimum([0.0, 0.0], 0.6), optimum([12.0, 0.5], 0.4, -2.5)
    verdict = assess(summarize(found([0.0] * 4, both)))
    assert not verdict.enough
    text = " ".join(verdict.lines)
    assert "a maximum with about 40% of the mass, of log_prob -2.5 at p0 = 12, p1 = 0.5" in text
    assert "run longer" not in text


@pytest.mark.parametrize(
    ("means", "optima"),
    [
        ([0.0] * 4, ()),  # no search
        ([0.0] * 4, (optimum([0.0, 0.0], 1.0),)),
        ([0.0] * 4, (optimum([0.0, 0.0], 0.6), optimum([3.0, 0.0], 0.4))),  # overlap
        ([0.0] * 4, (optimum([0.0, 0.0], 0.96), optimum([12.0, 0.0], 0.04))),  # little mass
        ([0.0, 0.0, 0.0, 12.0], (optimum([0.0, 0.0], 0.6), optimum([12.0, 0.0], 0.4))),
    ],
)
def test_what_is_no_missed_mode(means, optima):
    assert missed_modes(found(means, optima)) == ()


def test_a_maximum_across_the_seam_of_a_circle_is_near():
    there = [optimum([0.0, 0.0], 0.5), optimum([9.9, 0.0], 0.5)]
    assert missed_modes(found([0.0] * 4, there))
    settings = {"parameters": ["p0", "p1"], "periodic": {"p0": [-5.0, 5.0]}}
    assert not missed_modes(found([0.0] * 4, there, settings=settings))


@pytest.mark.parametrize("record", ["", "{}", "[1]", '{"wide": 1, "optima": []}', "x"])
def test_a_record_that_cannot_be_read_tells_nothing(record):
    draws = reader([0.0] * 4)
    draws.header.origin["start"] = record
    assert missed_modes(ChainStatistics(draws)) == ()


def test_an_optimum_of_another_number_of_parameters_tells_nothing():
    assert missed_modes(found([0.0] * 4, (optimum([9.0], 1.0),))) == ()


def test_ensembles_in_two_modes_are_named_and_more_steps_are_not_advised():
    statistics = found([-6.0, 6.0, -6.0, 6.0], log_probs=(-2, -2, -2, -2))
    apart = separation(statistics)
    assert sorted(mode.ensembles for mode in apart.modes) == [(0, 2), (1, 3)]
    assert (apart.parameter, apart.alike) == ("p0", True)
    assert apart.length == pytest.approx(NSTEPS / 3, rel=0.2)  # tau of rho 0.5
    verdict = assess(summarize(statistics))
    text = " ".join(verdict.lines)
    assert "not enough: ensembles are in 2 modes, and have not met for" in text
    assert "of ensembles 0, 2 near -6" in text or "of ensembles 0, 2 near -5.99" in text
    assert "modes that walkers do not cross between" in text
    assert "run longer" not in text


def test_ensembles_in_a_lower_mode_are_to_begin_at_the_best_point():
    statistics = found([-6.0, 6.0, 6.0, 6.0], log_probs=(-20, -2, -2, -2))
    assert not separation(statistics).alike
    assert "Begin again round the best point found" in " ".join(
        assess(summarize(statistics)).lines
    )


@pytest.mark.parametrize(
    ("means", "nsteps"),
    [([0.0] * 4, NSTEPS), ([0.0, 0.5, 1.0, 2.5], NSTEPS), ([-6.0, 6.0], 20), ([0.0], NSTEPS)],
)
def test_what_is_no_separation(means, nsteps):
    assert separation(found(means, nsteps=nsteps, log_probs=(0,) * 4)) is None


def test_json_has_both():
    both = optimum([0.0, 0.0], 0.6), optimum([30.0, 0.0], 0.4)
    record = summarize(found([-6.0, 6.0, -6.0, 6.0], both)).to_dict()
    assert sorted(record["separate_modes"]) == [[0, 2], [1, 3]]
    assert record["missed_modes"] == [[30.0, 0.0]]
