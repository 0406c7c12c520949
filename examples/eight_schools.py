"""Eight schools (Rubin 1981): a hierarchical model, its effects as one vector parameter.

The effects are written as mu + tau * eta, with eta standard normal: so the funnel between tau and
the effects is gone, which no sampler likes. The effects themselves are derived parameters.

    mpiexec -n 4 python -m pmcmc examples/eight_schools.py
    python -m pmcmc summary eight_schools.h5 --parameters mu,tau,"effect_*"
"""

import numpy as np

from pmcmc import stats

effects = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
errors = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])

parameters = {
    "mu": stats.norm(0.0, 5.0),
    "tau": stats.halfnorm(0.0, 10.0),
    "eta": [stats.norm(0.0, 1.0)] * 8,
}
derived = [f"effect_{school}" for school in "ABCDEFGH"]
labels = {"mu": r"$\mu$", "tau": r"$\tau$"}


def log_likelihood(theta):
    mu, tau, eta = theta[0], theta[1], theta[2:]
    theirs = mu + tau * eta
    return -0.5 * np.sum(((effects - theirs) / errors) ** 2), *theirs
