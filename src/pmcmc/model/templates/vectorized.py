"""A model for pmcmc whose log-likelihood takes many points at once, as numpy or JAX do well.

    python -m pmcmc FILE                    one rank
    mpiexec -n 16 python -m pmcmc FILE      sixteen

This is an example that runs: a straight line through ten points. Put your own in its place.
"""

import numpy as np

from pmcmc import stats  # as scipy.stats has them, and quicker to load

x = np.arange(10.0)
y = np.array([1.1, 2.9, 5.2, 6.8, 9.1, 11.2, 12.8, 15.1, 17.0, 18.9])
yerr = 0.2

parameters = {
    "slope": stats.norm(0, 10),
    "intercept": stats.uniform(-5, 10),  # uniform(lower, width): here -5 to 5
}

vectorized = True


def log_likelihood(theta):
    """Return the log of the likelihood of each row.

    theta has the shape (n, 2), and what is returned (n,); n is not always the same. A row's value
    must not depend on the other rows. There are no blobs.
    """
    slope, intercept = theta.T
    model = slope[:, None] * x + intercept[:, None]  # (n, 10)
    return -0.5 * np.sum(((y - model) / yerr) ** 2, axis=1)
