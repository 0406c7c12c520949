"""Evaluations to 50 tau, burn-in included, by the number of walkers of an ensemble.

    OMP_NUM_THREADS=1 python tests/benchmarks/walkers.py [--seeds 3] [--only normal]

As moves.py, with the default moves. "evaluations" are walkers * (burn-in + 50 tau), of one
ensemble: what "enough" takes, as long as there are 400 effective draws then (8 walkers in all).
The steps tell how soon it can come where there are ranks for all walkers.
"""

from __future__ import annotations

import argparse
import multiprocessing

import numpy as np
from moves import measure

NAMES = ("normal 2", "normal 5", "normal 10", "normal 20", "banana 4", "line", "eight schools")
DIMENSIONS = {"banana 4": 4, "line": 3, "eight schools": 10}


def job(what: tuple[str, int, int]) -> tuple[float, float]:
    """Measure one; for a pool of processes."""
    name, nwalkers, seed = what
    return measure((name, "auto", seed), nwalkers)


def main() -> None:
    """Print the curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--names", default="", help="more targets of moves.py, as normal 50")
    args = parser.parse_args()
    print("target          ndim  walkers  burn-in   tau   steps  evaluations  of the default")
    with multiprocessing.Pool(2) as pool:
        for name in (n for n in (*NAMES, *filter(None, [args.names])) if args.only in n):
            ndim = DIMENSIONS.get(name) or int(name.split()[1])
            default = max(32, 4 * ndim)
            least = max(8, 2 * ndim + 2 * (ndim % 2))
            counts = sorted(
                {least, 16, 3 * ndim // 2 * 2, default, 2 * default} - set(range(least))
            )
            jobs = [(name, n, seed) for n in counts for seed in range(args.seeds)]
            found = dict(zip(jobs, pool.map(job, jobs, 1), strict=True))
            steps = {
                n: np.mean([b + 50 * t for b, t in (found[name, n, s] for s in range(args.seeds))])
                for n in counts
            }
            for n in counts:
                burnin, tau = np.mean([found[name, n, s] for s in range(args.seeds)], axis=0)
                share = n * steps[n] / (default * steps[default])
                mark = "  default" if n == default else ""
                print(
                    f"{name:<15} {ndim:>4}  {n:>7}  {burnin:>7.0f}  {tau:>5.1f}  {steps[n]:>6.0f}"
                    f"  {n * steps[n]:>11.0f}  {share:>8.2f}{mark}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
