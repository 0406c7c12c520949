"""A lesson: two modes that no walker crosses between, and what tells that they are there.

Two thirds of the mass are in one mode, one third in the other, far away. The walkers of one
ensemble that starts in one of them find that one alone, all mix, and look converged; nothing in it
tells of the other. Several ensembles that begin in different places disagree, and R-hat says so:

    python -m pmcmc examples/bimodal.py --nensembles 1 --seed 1
    python -m pmcmc examples/bimodal.py --nensembles 4 --seed 1 --output four.h5 --nsteps 8000

The first ends with "enough", and is wrong; the second does not. What to do then: a sampler made
for many modes, as dynesty (examples/dynesty_pool.py), or a start in each mode and their evidences.
"""

import numpy as np

from pmcmc import stats

parameters = {"x": stats.uniform(-20, 40), "y": stats.uniform(-20, 40)}
modes = np.array([[6.0, 6.0], [-6.0, -6.0]])
masses = np.array([2 / 3, 1 / 3])
width = 0.3


def log_likelihood(theta):
    apart = ((theta - modes) ** 2).sum(axis=1)
    return np.logaddexp(*(np.log(masses) - 0.5 * apart / width**2))


def initial(nwalkers, rng):
    """All walkers of an ensemble begin round one point: an honest guess, and a wrong one."""
    guess = rng.uniform(-10, 10, size=2)
    return guess + 0.1 * rng.standard_normal((nwalkers, 2))
