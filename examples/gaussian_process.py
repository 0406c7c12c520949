"""A Gaussian process fitted to 40 points, for many walkers in one call.

`vectorized = True`: the function takes all rows that a rank has at a time, and stacks their
covariance matrices, which numpy factorises in one go. JAX's vmap fits in here as well.

    mpiexec -n 4 python -m pmcmc examples/gaussian_process.py
"""

import numpy as np

from pmcmc import stats

random = np.random.default_rng(11)
x = np.sort(random.uniform(0, 10, 40))
y = np.sin(1.3 * x) + 0.3 * x + 0.15 * random.standard_normal(40)
apart = (x[:, None] - x) ** 2

parameters = {
    "log_amplitude": stats.norm(0.0, 1.5),
    "log_length": stats.norm(0.0, 1.0),
    "log_noise": stats.norm(-2.0, 1.0),
    "slope": stats.norm(0.0, 1.0),
}
vectorized = True


def log_likelihood(theta):
    log_amplitude, log_length, log_noise, slope = (column[:, None, None] for column in theta.T)
    amplitude, noise = np.exp(2 * log_amplitude), np.exp(2 * log_noise)
    covariance = amplitude * np.exp(-0.5 * apart / np.exp(2 * log_length))
    covariance = covariance + (noise + 1e-8 * amplitude) * np.eye(len(x))
    factor = np.linalg.cholesky(covariance)  # (n, 40, 40)
    residuals = (y - slope[:, 0] * x)[:, :, None]
    white = np.linalg.solve(factor, residuals)[:, :, 0]
    log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    return -0.5 * (white**2).sum(axis=1) - log_det
