"""Dark energy from supernova distances: a flat LambdaCDM universe.

The distance moduli are made up, with the redshifts and errors of a survey of 600 supernovae. H0
and the absolute magnitude cannot be told apart, so that their sum, an offset, is sampled.

    mpiexec -n 4 python -m pmcmc examples/supernovae.py
"""

import numpy as np

from pmcmc import stats

omega_m_true = 0.31

# numerical integral of 1/E(z), by the trapezoidal rule on a fine grid
grid = np.linspace(0.0, 1.5, 1501)


def distance_modulus(z, omega_m):
    """Return 5 log10 of the luminosity distance in units of c / H0."""
    inverse = 1 / np.sqrt(omega_m * (1 + grid) ** 3 + 1 - omega_m)
    steps = 0.5 * (inverse[1:] + inverse[:-1]) * np.diff(grid)
    comoving = np.interp(z, grid, np.concatenate([[0.0], np.cumsum(steps)]))
    return 5 * np.log10((1 + z) * comoving)


random = np.random.default_rng(3)
z = np.sort(np.concatenate([random.uniform(0.01, 0.1, 180), random.uniform(0.1, 1.2, 420)]))
error = 0.1 + 0.08 * z
mu = distance_modulus(z, omega_m_true) + 43.1 + np.hypot(error, 0.05) * random.standard_normal(600)

parameters = {
    "Omega_m": stats.uniform(0.0, 1.0),
    "offset": stats.norm(43.0, 1.0),
    "log_scatter": stats.uniform(-6.0, 5.0),  # log of the intrinsic scatter, in magnitudes
}
labels = {"Omega_m": r"$\Omega_m$", "log_scatter": r"$\ln \sigma_\mathrm{int}$"}


def log_likelihood(theta):
    omega_m, offset, log_scatter = theta
    variance = error**2 + np.exp(2 * log_scatter)
    residuals = mu - distance_modulus(z, omega_m) - offset
    return -0.5 * np.sum(residuals**2 / variance + np.log(2 * np.pi * variance))
