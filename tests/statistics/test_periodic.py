"""Moves on a circle leave the posterior invariant; plain emcee with them makes the same draws."""

import emcee
import numpy as np
import pytest
from scipy.special import ive

import pmcmc
from pmcmc.results.tables import comparison
from pmcmc.sampler import periodic as moves_module
from pmcmc.sampler.rng import streams
from reference import plain_emcee

TURN, MIDDLE, KAPPA, PULL, SCATTER = 2 * np.pi, 6.2, 0.8, 0.7, 0.5
SEED, W, STEPS, ENSEMBLES = 20261130, 12, 12, 800
LIMIT = 5.0


def log_prob(theta):
    phase, a = theta
    return (
        KAPPA * np.cos(phase - MIDDLE) - 0.5 * ((a - PULL * np.sin(phase - MIDDLE)) / SCATTER) ** 2
    )


def initial(nwalkers, rng):
    """Draw from the posterior itself."""
    phase = MIDDLE + rng.vonmises(0, KAPPA, nwalkers)
    return np.stack(
        [phase, PULL * np.sin(phase - MIDDLE) + SCATTER * rng.normal(size=nwalkers)], 1
    )


def problem():
    return pmcmc.Problem(log_prob, ["phase", "a"], initial=initial, periodic={"phase": (0, TURN)})


def sample(moves, n):
    return pmcmc.run(
        problem(), seed=SEED, moves=moves, nwalkers=W, burnin=0, nensembles=n, nsteps=n * STEPS
    )


def assert_exact(result):
    """Check moments after the last step against those of the von Mises distribution."""
    x = result.get_chain()[:, -1]
    phase, a = x[..., 0] - MIDDLE, x[..., 1]
    mean = [ive(n, KAPPA) / ive(0, KAPPA) for n in (1, 2, 3)]
    sin2 = (1 - mean[1]) / 2
    values = [np.cos(n * phase) - mean[n - 1] for n in (1, 2, 3)]
    values += [np.sin(n * phase) for n in (1, 2, 3)]
    values += [a, a**2 - SCATTER**2 - PULL**2 * sin2, a * np.sin(phase) - PULL * sin2]
    each = np.array([v.mean(axis=1) for v in values])
    z = each.mean(axis=1) / (each.std(axis=1, ddof=1) / np.sqrt(each.shape[1]))
    assert np.abs(z).max() < LIMIT, z
    assert (x[..., 0] >= 0).all()
    assert (x[..., 0] < TURN).all()
    seam = np.abs(np.diff(result.get_chain()[..., 0], axis=1)) > TURN / 2
    assert seam.mean() > 0.01  # walkers go through the seam


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stretch", "walk", "de", "desnooker", "kde", "auto"])
def test_every_move_leaves_the_posterior_as_it_is(name):
    n = {"walk": 200, "kde": 100}.get(name, ENSEMBLES)
    assert_exact(sample(name, n))


@pytest.mark.slow
def test_a_move_of_each_walker_by_itself():
    assert_exact(sample([emcee.moves.GaussianMove(0.8)], ENSEMBLES))


@pytest.mark.slow
def test_a_stretch_that_goes_round_would_be_found_out(monkeypatch):
    monkeypatch.setattr(
        "pmcmc.model.periodic.Circles.are_near", lambda self, q, c: np.ones(len(q), dtype=bool)
    )
    with pytest.raises(AssertionError):
        assert_exact(sample("stretch", ENSEMBLES))


def test_plain_emcee_makes_the_same_draws():
    result, given = sample("auto", 2), problem()
    for e in range(2):
        rng, state = streams(SEED, e)
        start = given.parameters.circles.wrap(initial(W, rng))
        sampler = plain_emcee(
            log_prob, start, state, STEPS, burnin=0, moves=pmcmc.emcee_moves(given)
        )
        np.testing.assert_array_equal(result.get_chain()[e], sampler.get_chain())


def test_far_from_the_seam_a_turn_changes_nothing():
    rng = np.random.default_rng(1)
    s, c = rng.normal(3, 0.1, (6, 2)), rng.normal(3, 0.1, (6, 2))
    circles = problem().parameters.circles
    plain = emcee.moves.DEMove()
    ((ours, _),) = moves_module.on_circles([(plain, 1.0)], circles)
    for move in (plain, ours):
        move.setup(s)
    q = ours.get_proposal(s, [c], np.random.RandomState(5))[0]
    again = np.random.RandomState(5)
    again.randint(len(c))  # the walker that all are near to
    np.testing.assert_array_equal(q, plain.get_proposal(s, [c], again)[0])


def test_the_figures_of_a_phase_at_the_seam():
    result = pmcmc.run(problem(), seed=2, nsteps=4000, burnin=200, nwalkers=32)
    summary = result.summary()
    row = summary.rows[0]
    assert 0 <= row.mean < TURN
    assert abs(np.angle(np.exp(1j * (row.mean - MIDDLE)))) < 5 * row.mcse
    assert row.q16 < row.mean < row.q84
    assert row.r_hat < 1.05
    assert "periodic: phase (0 to 6.28319)" in str(summary)
    assert summary.to_dict()["periodic"] == {"phase": [0.0, TURN]}


def test_a_cut_and_a_comparison_of_a_phase(tmp_path):
    one, two = (
        pmcmc.run(problem(), seed=s, nsteps=800, burnin=100, output=tmp_path / f"{s}.h5")
        for s in (2, 3)
    )
    assert one.cut(discard=20).summary().rows[0].q16 < TURN
    assert one.cut(discard=20).summary().acceptance.min() > 0
    found = comparison([one, two])["parameters"][0]
    assert abs(found["in_mcse"][1]) < 6


def test_the_error_of_a_mean_direction_that_little_is_known_of():
    given = pmcmc.Problem(
        parameters={"phase": pmcmc.periodic(0, TURN)}, log_likelihood=lambda t: 0.1 * np.cos(t[0])
    )
    rows = [pmcmc.run(given, nsteps=400, burnin=50, seed=s).summary().rows[0] for s in range(8)]
    off = [abs((row.mean + np.pi) % TURN - np.pi) / row.mcse for row in rows]
    assert max(off) < 5
    assert rows[0].mcse > 0.1 * rows[0].sd / np.sqrt(rows[0].ess_bulk)
