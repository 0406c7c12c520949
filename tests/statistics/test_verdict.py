"""What must never be called enough, and what must: walkers trapped in other modes, or mixed."""

import numpy as np
import pytest

import pmcmc

BIMODAL = """
import numpy as np
from scipy import stats
parameters = {"x": stats.uniform(-20, 40), "y": stats.uniform(-20, 40)}
def log_likelihood(t):
    near, far = (-0.5 * ((t - a) ** 2).sum() / 0.04 for a in (8, -8))
    return np.logaddexp(near, far - 100)
initial = "prior"
"""


@pytest.mark.slow
def test_half_of_the_walkers_100_below_the_others(launch, tmp_path, model):
    """The means of x and y come out as -1.2, and R-hat as 1.01: the truth is 8."""
    args = ["--burnin", "500", "--nsteps", "8000", "--seed", "3", "--until-ess", "100"]
    done = launch(4, "-m", "pmcmc", model(BIMODAL), *args, "--output", "x.h5", cwd=tmp_path)
    assert done.returncode == 3, done
    result = pmcmc.load(tmp_path / "x.h5")
    summary = result.summary()
    assert summary.rows[0].mean < 7
    assert [d.ensemble for d in summary.divisions] == [0, 1, 2, 3]
    chain = result.get_chain()
    for division in summary.divisions:
        low = np.flatnonzero((chain[division.ensemble, :, :, 0] < 0).all(axis=0))
        assert division.trapped == tuple(low)
    told = " ".join(done.stdout.split())
    assert told.count("they will not come") == 3
    assert "1 more ensemble likewise" in told
    assert "with initial = [8.0" in told or "with initial = [7.9" in told
    assert "run longer" not in told


def two_modes(share, depth, seed, ndim=2, ensembles=(0, 1, 2, 3)):
    """Return a Problem of two modes, in some ensembles ``share`` of 32 walkers in the lower."""
    starts = [np.random.SeedSequence(seed, spawn_key=(e,)).spawn(2)[0] for e in ensembles]
    states = [np.random.PCG64(start).state for start in starts]

    def initial(nwalkers, rng):
        here = rng.bit_generator.state in states
        start = 0.2 * rng.normal(size=(nwalkers, ndim)) + 8
        if here:
            start[:share] -= 16
        return start

    def log_prob(x):
        near, far = (-0.5 * ((x - a) ** 2).sum(axis=1) / 0.04 for a in (8, -8))
        return np.logaddexp(near, far - depth)

    names = [f"x{i}" for i in range(ndim)]
    return pmcmc.Problem(log_prob, names, initial=initial, vectorized=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "ensembles"), [(0, (0, 1, 2, 3)), (5, (2,)), (100, (0, 1, 2, 3))]
)
def test_any_share_of_trapped_walkers_is_seen(depth, ensembles):
    for share in (1, 8, 16, 24) if depth == 100 else (1, 16):
        problem = two_modes(share, depth, share, ensembles=ensembles)
        options = {"nsteps": 8000, "nensembles": 4, "nwalkers": 32, "seed": share, "burnin": 10}
        result = pmcmc.run(problem, moves="stretch", until_ess=100, until_rhat=10.0, **options)
        assert result.short
        verdict, summary = result.verdict(), result.summary()
        assert not verdict.enough, share
        assert "run longer" not in str(verdict)
        found = {d.ensemble: d for d in summary.divisions}
        assert sorted(found) == list(ensembles)
        lower = set(range(share))
        for division in found.values():
            groups = [set(group.walkers) for group in division.groups]
            assert lower in groups
            assert len(groups) == 2
            if depth:
                assert set(division.trapped) == lower


@pytest.mark.slow
def test_burnin_does_not_settle_on_trapped_walkers():
    problem = two_modes(8, 100, 1)
    options = {"nsteps": 8000, "nensembles": 4, "nwalkers": 32, "seed": 1, "moves": "stretch"}
    mixed = pmcmc.run(two_modes(0, 100, 1), **options)
    result = pmcmc.run(problem, rescue=False, **options)
    assert result.burnin > 3 * mixed.burnin  # it waits for 50 tau, and ends because it is in vain
    assert not result.verdict().enough
    assert "they will not come" in str(result.verdict())


@pytest.mark.slow
def test_an_orbit_from_a_bad_start_is_not_enough():
    """Radial velocities with a wide prior of the period: walkers end at aliases of it."""
    from scipy import stats

    rng = np.random.default_rng(4)
    t = np.sort(rng.uniform(0, 90, 25))
    v = 30 * np.sin(2 * np.pi * t / 11.3 + 1) + rng.normal(0, 3, 25)

    def log_likelihood(theta):
        period, amplitude, phase, offset = theta
        model = amplitude * np.sin(2 * np.pi * t / period + phase) + offset
        return -0.5 * (((v - model) / 3) ** 2).sum()

    parameters = {
        "period": stats.uniform(1, 60),
        "amplitude": stats.uniform(0, 100),
        "phase": stats.uniform(0, 2 * np.pi),
        "offset": stats.uniform(-50, 100),
    }
    problem = pmcmc.Problem(log_likelihood=log_likelihood, parameters=parameters, initial="prior")
    result = pmcmc.run(problem, nsteps=8000, burnin=1000, nensembles=4, nwalkers=32, seed=5)
    assert not result.verdict().enough
    assert result.summary().divisions
