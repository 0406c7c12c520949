"""Nested sampling with dynesty, its likelihoods evaluated by all ranks through pmcmc's MPIPool.

    mpiexec -n 4 python examples/dynesty_pool.py

needs `pip install dynesty`. `queue_size` is fixed, so that the result is the same on any number of
ranks. The posterior is the bimodal one of examples/bimodal.py: nested sampling finds both modes,
and their masses.
"""

import sys

import numpy as np

from pmcmc import MPIPool

modes = np.array([[6.0, 6.0], [-6.0, -6.0]])
masses = np.array([2 / 3, 1 / 3])
width = 0.3


def log_likelihood(theta):
    apart = ((theta - modes) ** 2).sum(axis=1)
    return np.logaddexp(*(np.log(masses) - 0.5 * apart / width**2))


def prior_transform(u):
    return 40 * u - 20


def main(nlive=400):
    with MPIPool() as pool:
        if not pool.is_master():
            pool.wait()
            sys.exit(0)
        import dynesty

        sampler = dynesty.NestedSampler(
            log_likelihood,
            prior_transform,
            ndim=2,
            nlive=nlive,
            pool=pool,
            queue_size=16,
            rstate=np.random.default_rng(1),
        )
        sampler.run_nested(dlogz=0.1, print_progress=False)
        found = sampler.results
    weights = np.exp(found.logwt - found.logz[-1])
    first = weights[found.samples[:, 0] > 0].sum() / weights.sum()
    print(f"log evidence {found.logz[-1]:.3f} +- {found.logzerr[-1]:.3f}")
    print(f"mass of the first mode {first:.4f}, where {masses[0]:.4f} is right")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
