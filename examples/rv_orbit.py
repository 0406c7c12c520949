"""A planet's orbit from radial velocities, with what is published of it as derived parameters.

Sampled are what the data constrain well: period, semi-amplitude, sqrt(e) cos(omega),
sqrt(e) sin(omega), the mean anomaly at the middle of the data, and the jitter. Eccentricity,
argument of periastron and m sin(i) come out as derived parameters.

    mpiexec -n 4 python -m pmcmc examples/rv_orbit.py
    python -m pmcmc report rv_orbit.h5
"""

import numpy as np

from pmcmc import periodic, stats

STAR = 1.0  # mass of the star in solar masses
truth = {"period": 41.4, "K": 27.0, "e": 0.31, "omega": 1.1, "M0": 0.6, "offset": -3.0}

random = np.random.default_rng(7)
t = np.sort(random.uniform(-200, 200, 60))  # days from the middle
error = random.uniform(1.5, 4.0, 60)  # m/s


def true_anomaly(mean_anomaly, e):
    """Solve Kepler's equation by Newton's method; it converges within a few steps for e < 0.95."""
    M = np.mod(mean_anomaly, 2 * np.pi)
    E = M + e * np.sin(M) / (1 - np.sin(M + e) + np.sin(M) + 1e-9)
    E = np.clip(E, M - e, M + e)
    for _ in range(8):
        E = E - (E - e * np.sin(E) - M) / (1 - e * np.cos(E))
    return 2 * np.arctan2(np.sqrt(1 + e) * np.sin(E / 2), np.sqrt(1 - e) * np.cos(E / 2))


def velocity(period, K, e, omega, M0, offset):
    nu = true_anomaly(2 * np.pi * t / period + M0, e)
    return offset + K * (np.cos(nu + omega) + e * np.cos(omega))


rv = velocity(*truth.values()) + np.hypot(error, 1.5) * random.standard_normal(60)

parameters = {
    "period": stats.uniform(40.5, 2.0),  # days, from the peak of a periodogram
    "K": stats.uniform(0.0, 100.0),  # m/s
    "h": stats.uniform(-1.0, 2.0),  # sqrt(e) cos(omega)
    "k": stats.uniform(-1.0, 2.0),  # sqrt(e) sin(omega)
    "M0": periodic(-np.pi, np.pi),  # an angle: walkers on both sides of the seam belong together
    "offset": stats.norm(0.0, 30.0),
    "log_jitter": stats.norm(0.0, 1.0),
}
derived = ["e", "omega", "m_sin_i"]
labels = {
    "period": "$P$ (d)",
    "K": "$K$ (m/s)",
    "h": r"$\sqrt{e}\,\cos\omega$",
    "k": r"$\sqrt{e}\,\sin\omega$",
    "M0": "$M_0$",
    "e": "$e$",
    "omega": r"$\omega$",
    "m_sin_i": r"$m \sin i$ ($M_\mathrm{J}$)",
}


def log_likelihood(theta):
    period, K, h, k, M0, offset, log_jitter = theta
    e, omega = h * h + k * k, np.arctan2(k, h)
    if e >= 0.95:
        return -np.inf, np.nan, np.nan, np.nan
    variance = error**2 + np.exp(2 * log_jitter)
    residuals = rv - velocity(period, K, e, omega, M0, offset)
    value = -0.5 * np.sum(residuals**2 / variance + np.log(2 * np.pi * variance))
    # in masses of Jupiter, for a planet much lighter than its star
    mass = 4.919e-3 * K * np.sqrt(1 - e * e) * period ** (1 / 3) * STAR ** (2 / 3)
    return value, e, omega, mass
