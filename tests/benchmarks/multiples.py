"""At which multiple of emcee's own tau a default run says "enough", for ten posteriors.

    OMP_NUM_THREADS=1 python tests/benchmarks/multiples.py [--seed 1]

Each posterior of moves.py is run with the defaults until "enough", and then goes on to ten times
as many steps, from which emcee's estimate of tau (``emcee.autocorr.integrated_time``: about each
walker's mean, the longest of the parameters) is near its true value. 50 to 80 is what is wanted:
less would be too few draws, more wastes evaluations.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import emcee
import numpy as np
from moves import HELD_OUT, TARGETS

import pmcmc

NAMES = (
    "normal 5",
    "t, 3 degrees, 5",
    "banana 4",
    "box 4",
    "exponential 4",
    "line",
    "eight schools",
    "logistic",
    "spectrum",
    "kernel",
)


def multiple(name: str, seed: int) -> tuple[int, int, float]:
    """Return burn-in, steps of an ensemble to "enough", and emcee's tau."""
    target = (TARGETS | HELD_OUT)[name]()
    ndim = len(target.centre)

    def initial(nwalkers: int, rng: np.random.Generator) -> np.ndarray:
        return target.centre + target.width * rng.normal(size=(nwalkers, ndim))

    problem = pmcmc.Problem(target.log_prob, ndim=ndim, initial=initial, vectorized=True)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "x.h5")
        first = pmcmc.run(problem, output=output, seed=seed, progress=False)
        assert first is not None
        assert first.verdict().enough, name
        steps = first.steps[0]
        total = 10 * sum(first.steps)
        more = pmcmc.run(problem, output=output, resume=True, nsteps=total, progress=False)
        assert more is not None
        chains = more.get_chain()
    taus = [emcee.autocorr.integrated_time(chain, quiet=True) for chain in chains]
    return first.burnin, steps, float(np.mean(taus, axis=0).max())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print("target                burn-in  steps  emcee's tau  steps / tau")
    for name in NAMES:
        burnin, steps, tau = multiple(name, args.seed)
        print(f"{name:<22}{burnin:>7}  {steps:>5}  {tau:>11.1f}  {steps / tau:>11.0f}", flush=True)


if __name__ == "__main__":
    main()
