"""Hares and lynxes: a differential equation whose cost depends on where it is solved.

Lotka and Volterra's equations are integrated with an adaptive step, so that some parameters take
several times as long as others. That is what tasks on demand are for: see `--schedule`.

    mpiexec -n 4 python -m pmcmc examples/lotka_volterra.py --nensembles 2
"""

import numpy as np
from scipy.integrate import odeint

from pmcmc import stats

years = np.arange(21.0)
truth = np.array([0.55, 0.028, 0.84, 0.026])  # alpha, beta, gamma, delta
start = np.array([33.0, 6.0])  # thousands of hares and lynxes in the first year


def populations(alpha, beta, gamma, delta):
    """Return hares and lynxes, (2, year), or None where the integration fails."""

    def change(n, _):
        hares, lynxes = n.item(0), n.item(1)
        return [(alpha - beta * lynxes) * hares, (delta * hares - gamma) * lynxes]

    found, about = odeint(change, start, years, rtol=1e-5, atol=1e-5, full_output=True)
    return found.T if about["message"] == "Integration successful." else None


random = np.random.default_rng(5)
data = populations(*truth) * np.exp(0.2 * random.standard_normal((2, 21)))

parameters = {
    "alpha": stats.lognorm(0.5, scale=0.6),
    "beta": stats.lognorm(0.5, scale=0.03),
    "gamma": stats.lognorm(0.5, scale=0.8),
    "delta": stats.lognorm(0.5, scale=0.03),
    "log_sigma": stats.norm(-1.5, 0.5),
}
nwalkers = 16
labels = {n: rf"$\{n}$" for n in ("alpha", "beta", "gamma", "delta")}


def log_likelihood(theta):
    *rates, log_sigma = theta
    expected = populations(*rates)
    if expected is None or (expected <= 0).any():
        return -np.inf
    residuals = np.log(data / expected) / np.exp(log_sigma)
    return -0.5 * np.sum(residuals**2) - data.size * log_sigma
