"""A model for pmcmc: the log of the whole posterior, as emcee takes it.

    python -m pmcmc FILE                    one rank
    mpiexec -n 16 python -m pmcmc FILE      sixteen

This is an example that runs: a straight line through ten points. Put your own in its place.
"""

import numpy as np

# The data. Every rank runs this file: for large data see np.load(..., mmap_mode="r").
x = np.arange(10.0)
y = np.array([1.1, 2.9, 5.2, 6.8, 9.1, 11.2, 12.8, 15.1, 17.0, 18.9])
yerr = 0.2

parameters = ["slope", "intercept"]

# Where to begin: near the bulk of the posterior. Walkers start in a small ball round it; or give
# an array (nwalkers, 2), or a function initial(nwalkers, rng) that returns one.
initial = {"slope": 1.0, "intercept": 0.0}


def log_prob(theta):
    """Return log prior + log likelihood, without a constant; -inf where the prior is zero."""
    slope, intercept = theta
    if not -100 < slope < 100 or not -5 < intercept < 5:
        return -np.inf
    residuals = (y - (slope * x + intercept)) / yerr
    return -0.5 * np.sum(residuals**2)


# More that a model may have:
# args = (x, y, yerr)            passed on to log_prob: log_prob(theta, x, y, yerr)
# blobs: `return lp, a, b`, named by derived = ["a", "b"]
# labels = {"slope": "$m$"}      for plots and exports
# nwalkers = 64                  walkers of an ensemble
