"""A straight line through 50 points whose error bars are too small.

The problem of emcee's quickstart: slope m, intercept b, and log_f, the log of the fraction by
which the error bars are underestimated. Run it with

    mpiexec -n 4 python -m pmcmc examples/line.py

It is also built in: `python -m pmcmc line`.
"""

import numpy as np

from pmcmc import stats  # as scipy's, which takes a second to load

m_true, b_true, f_true = -0.9594, 4.294, 0.534

# The data. A seeded stream of its own: every rank makes the same points.
random = np.random.RandomState(123)
N = 50
x = np.sort(10 * random.rand(N))
yerr = 0.1 + 0.5 * random.rand(N)
y = m_true * x + b_true
y += np.abs(f_true * y) * random.randn(N)
y += yerr * random.randn(N)

parameters = {
    "m": stats.uniform(-5.0, 5.5),  # uniform(lower, width), here -5 to 0.5
    "b": stats.uniform(0.0, 10.0),
    "log_f": stats.uniform(-10.0, 11.0),
}
nwalkers = 100


def log_likelihood(theta):
    m, b, log_f = theta
    model = m * x + b
    inv_sigma2 = 1.0 / (yerr**2 + model**2 * np.exp(2 * log_f))
    return -0.5 * np.sum((y - model) ** 2 * inv_sigma2 - np.log(inv_sigma2))


def initial(nwalkers, rng):
    """A small ball of walkers round the maximum of the likelihood."""
    from scipy import optimize  # slow to load, and needed here alone

    guess = [m_true, b_true, np.log(f_true)]
    best = optimize.minimize(lambda theta: -log_likelihood(theta), guess).x
    best = np.round(best, 4)  # a search's last digits differ on another kind of CPU
    return best + 1e-4 * rng.standard_normal((nwalkers, 3))
