"""A model for pmcmc: a table of priors, and a log-likelihood.

    python -m pmcmc FILE                    one rank
    mpiexec -n 16 python -m pmcmc FILE      sixteen

This is an example that runs: a straight line through ten points. Put your own in its place.
"""

import numpy as np

from pmcmc import stats  # as scipy.stats has them, and quicker to load

# The data. Every rank runs this file: for large data see np.load(..., mmap_mode="r").
x = np.arange(10.0)
y = np.array([1.1, 2.9, 5.2, 6.8, 9.1, 11.2, 12.8, 15.1, 17.0, 18.9])
yerr = 0.2

# Name and prior of each parameter, any frozen scipy.stats distribution. Beside these:
#   "beta": [stats.norm(0, 1)] * 5    a vector: beta[0], ..., beta[4]
#   "h": 0.7                          fixed: it stands in theta, and is not sampled
parameters = {
    "slope": stats.norm(0, 10),
    "intercept": stats.uniform(-5, 10),  # uniform(lower, width): here -5 to 5
}


def log_likelihood(theta):
    """Return the log of the likelihood; theta: float64 array, in the order of `parameters`.

    It may return -inf where a model is impossible, and numbers beside it (blobs), named below.
    """
    slope, intercept = theta
    residuals = (y - (slope * x + intercept)) / yerr
    return -0.5 * np.sum(residuals**2), slope * 100 + intercept


# Names of the numbers that log_likelihood returns beside the first, for tables and plots.
derived = ["at_100"]

# What plots and exports write for a name.
labels = {"slope": "$m$", "intercept": "$b$"}

# More that a model may have:
# def log_prior(theta): ...      what the table of priors cannot say
# initial = "prior"              the start: here draws from the priors; the default is a search for
#                                the maximum ("map"); or {"slope": 2, "intercept": 1}, an array of
#                                walkers, or a function initial(nwalkers, rng)
# args = (x, y); kwargs = {}     passed on to the functions
# nwalkers = 64                  walkers of an ensemble
