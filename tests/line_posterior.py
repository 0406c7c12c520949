"""The example line's posterior: by quadrature, and its likelihood for many rows at once."""

import functools

import numpy as np

from pmcmc.model.examples import line


@functools.cache
def exact():
    """Means, sds and the m-b correlation by quadrature on a grid of the posterior's bulk."""
    axes = [np.linspace(*r) for r in ((-1.6, -0.4, 121), (2.4, 7.0, 121), (-1.7, 0.4, 91))]
    m, b, log_f = np.meshgrid(*axes, indexing="ij")
    log_p = np.zeros(m.shape)
    for x, y, yerr in zip(line.x, line.y, line.yerr, strict=True):
        model = m * x + b
        s2 = yerr**2 + model**2 * np.exp(2 * log_f)
        log_p -= 0.5 * ((y - model) ** 2 / s2 + np.log(s2))
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    edges = max(p[0].sum(), p[-1].sum(), p[:, 0].sum(), p[:, -1].sum(), p[:, :, 0].sum())
    assert edges < 1e-6
    return figures(np.stack([g.ravel() for g in (m, b, log_f)], axis=1), p.ravel())


def figures(draws, weights=None):
    """Return the means, sds and the m-b correlation of draws (n, 3)."""
    mean = np.average(draws, axis=0, weights=weights)
    cov = np.cov(draws.T, aweights=weights)
    sd = np.sqrt(np.diag(cov))
    return np.array([*mean, *sd, cov[0, 1] / sd[0] / sd[1]])


def many_rows(theta):
    """Return the line's log-likelihood for theta (n, 3)."""
    m, b, log_f = theta.T[:, :, None]
    model = m * line.x + b
    s2 = line.yerr**2 + model**2 * np.exp(2 * log_f)
    return -0.5 * np.sum((line.y - model) ** 2 / s2 + np.log(s2), axis=1)
