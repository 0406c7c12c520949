"""A likelihood that several ranks work out together: six transits of a planet.

Each rank of comm has some of the transits, works out its light curves, and the first one adds up.
What each transit gives is added in the order of the transits, so that the value, and with it the
draws, are the same on any number of ranks, to the last bit. If one rank raises, the others would
wait for it in comm for ever: let all raise, or return -inf on the first.

    mpiexec -n 4 python -m pmcmc examples/transits_mpi.py --ranks-per-evaluation 2
"""

import numpy as np

from pmcmc import stats

parameters = {
    "k": stats.uniform(0.02, 0.2),  # radius of the planet, in radii of the star
    "duration": stats.uniform(0.05, 0.3),  # days, from first to last contact
    "first": stats.norm(0.0, 0.02),  # days: the middle of the first transit
    "period": stats.norm(3.5, 0.003),  # days
    "b": 0.35,  # impact parameter, and linear limb darkening: known
    "u": 0.5,
}
nwalkers = 12
labels = {"k": "$R_p/R_*$", "duration": "$T_{14}$ [d]"}

TRANSITS, NOISE = 6, 3e-4
WITHIN = (np.arange(5) + 0.5) / 5 - 0.5  # an exposure takes half an hour: times in it
EXPOSURE = 0.02  # days


def covered(d, k):
    """Return the part of the star's disc that a planet covers at distance d of the centres."""
    inside = np.clip((d**2 + k**2 - 1) / (2 * d * k), -1.0, 1.0)
    beyond = np.clip((d**2 + 1 - k**2) / (2 * d), -1.0, 1.0)
    kite = np.clip((1 + k) ** 2 - d**2, 0, None) * np.clip(d**2 - (1 - k) ** 2, 0, None)
    return (k**2 * np.arccos(inside) + np.arccos(beyond) - 0.5 * np.sqrt(kite)) / np.pi


def light_curve(t, k, duration, b, u):
    """Return the flux in exposures round times t from the middle of a transit."""
    speed = 2 * np.sqrt((1 + k) ** 2 - b**2) / duration
    d = np.hypot(b, speed * (t[:, None] + EXPOSURE * WITHIN))
    light = (1 - u * (1 - np.sqrt(1 - np.minimum(d, 1) ** 2))) / (1 - u / 3)
    return 1 - (covered(d, k) * light).mean(axis=1)


def observe():
    random = np.random.default_rng(5)
    for _ in range(TRANSITS):
        t = np.sort(random.uniform(-0.12, 0.12, 60))
        yield t, light_curve(t, 0.1, 0.15, 0.35, 0.5) + random.normal(0, NOISE, 60)


data = list(observe())


def chi_squared(n, theta):
    k, duration, first, period, b, u = theta
    t, flux = data[n]  # t: from the middle that the catalogue gives, 3.5 n
    middle = first + (period - 3.5) * n
    return float((((flux - light_curve(t - middle, k, duration, b, u)) / NOISE) ** 2).sum())


def log_likelihood(theta, comm):
    mine = {n: chi_squared(n, theta) for n in range(comm.Get_rank(), TRANSITS, comm.Get_size())}
    found = comm.gather(mine)
    if found is None:
        return None  # the value of the first rank counts
    of_all = {n: value for part in found for n, value in part.items()}
    return -0.5 * sum(of_all[n] for n in range(TRANSITS))
