"""The standard error of a mean is how far means of many runs are apart.

``OMP_NUM_THREADS=1 PYTHONPATH=tests python tests/statistics/test_mcse.py 1000`` prints the ratios.
"""

import sys

import emcee
import numpy as np
import pytest

from fake_run import Readable
from pmcmc.diagnostics.statistics import ChainStatistics
from pmcmc.sampler.moves import AUTO, parse_moves

W, NTAU = 32, 50


def normal(x):
    return -0.5 * (x**2).sum(axis=1)


def gamma(x):
    values = (np.log(np.where(x > 0, x, 1.0)) - x).sum(axis=1)
    return np.where((x > 0).all(axis=1), values, -np.inf)


KNOWN = {  # log_prob, mean, draws, and tau in steps
    "normal": (normal, 0.0, lambda rng: rng.normal(size=(W, 2)), 10.5),
    "gamma": (gamma, 2.0, lambda rng: rng.gamma(2.0, size=(W, 2)), 14.0),
}


def ratio(name, runs, first=0):
    """Return the mean of mcse over the root mean square error of the mean."""
    log_prob, mean, draws, tau = KNOWN[name]
    errors, told = [], []
    for seed in range(first, first + runs):
        sampler = emcee.EnsembleSampler(W, 2, log_prob, vectorize=True, moves=parse_moves(AUTO))
        sampler.random_state = np.random.RandomState(seed).get_state()
        sampler.run_mcmc(draws(np.random.default_rng(seed)), int(NTAU * tau))
        accepted = sampler.backend.accepted[None]
        reader = Readable([sampler.get_chain()], [sampler.get_log_prob()], accepted=accepted)
        statistics = ChainStatistics(reader)
        for i in range(2):
            errors.append(statistics.moments.mean[i] - mean)
            told.append(statistics.mcse(i))
    return float(np.mean(told) / np.sqrt(np.mean(np.square(errors))))


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_it_is_right_at_50_tau(name):
    """Of 80 figures: their root mean square is known within 8%."""
    assert ratio(name, 40) == pytest.approx(1.0, abs=0.24)


if __name__ == "__main__":
    for name in KNOWN:
        print(f"{name}: mcse / error {ratio(name, int(sys.argv[1]), first=10_000):.3f}")
