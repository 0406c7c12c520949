"""Large data, of which the ranks of a node hold one copy together.

A catalogue of 100,000 stars is read (here: made) once on each node, and every rank fits the same
arrays. The first advice stays np.load("stars.npy", mmap_mode="r"), which does the same for a
file of this kind; pmcmc.shared is for what has to be parsed or worked out.

    mpiexec -n 4 python -m pmcmc examples/shared_data.py
"""

import numpy as np

import pmcmc
from pmcmc import stats


def load():
    """Return the parallaxes and their errors, in mas; called by one rank of each node."""
    random = np.random.default_rng(17)
    error = random.uniform(0.05, 0.5, 100_000)
    true = random.normal(7.35, 0.12, 100_000)  # a cluster, as far as the Pleiades
    return true + error * random.standard_normal(100_000), error


parallax, error = pmcmc.shared(load)  # read-only

parameters = {
    "mean": stats.uniform(5.0, 5.0),  # mas
    "spread": stats.uniform(0.01, 1.0),
}
nwalkers = 16


def log_likelihood(theta):
    mean, spread = theta
    variance = error**2 + spread**2
    return -0.5 * np.sum((parallax - mean) ** 2 / variance + np.log(variance))
