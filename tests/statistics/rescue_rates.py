"""Does --rescue ever redraw walkers from a mode that has mass, and does it where there is none?

    OMP_NUM_THREADS=1 PYTHONPATH=tests python tests/statistics/rescue_rates.py --runs 500

Two normal modes far apart in 1 to 20 dimensions, widths in each direction that differ by a factor
of up to 10, and 1 to half of 32 walkers (80 in 20 dimensions) that begin in the second. "mass":
it has 1% to 50% of the mass, whatever its depth; no walker may be redrawn. "none": it has less
than exp(-2 ndim - 20) of it; all of them are to be. Burn-in is as `--burnin auto` has it. One
ensemble a run, by plain emcee with the default moves.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
from dataclasses import dataclass

import emcee
import numpy as np

from fake_run import Readable
from pmcmc.diagnostics.burnin import check_burnin
from pmcmc.diagnostics.stopping import checks
from pmcmc.sampler.moves import AUTO, parse_moves

DIMENSIONS = (1, 2, 3, 5, 10, 20)
LIMIT = 5000


@dataclass(frozen=True)
class Outcome:
    """The walkers that are in the second mode at the end of a run, and those to be redrawn."""

    ndim: int
    trapped: frozenset[int]
    redrawn: frozenset[int]
    steps: int


def run(kind: str, seed: int) -> Outcome:
    """Sample one mixture until burn-in is over."""
    rng = np.random.default_rng((seed, kind == "mass"))
    ndim = int(rng.choice(DIMENSIONS))
    nwalkers = max(32, 4 * ndim)
    widths = np.exp(rng.uniform(-1, 1, size=(2, ndim)) * math.log(10) / 2)
    share = math.exp(rng.uniform(math.log(0.01), math.log(0.5)))
    log_share = math.log(share)
    if kind == "none":
        log_share = -2 * ndim - 20 - 100 * rng.random()
    weights = np.array([0.0, log_share]) - np.log(widths).sum(axis=1)
    centres = np.zeros((2, ndim))
    centres[1] = 300 * rng.choice([-1, 1], size=ndim)

    def log_prob(x: np.ndarray) -> np.ndarray:
        modes = [
            -0.5 * (((x - c) / w) ** 2).sum(axis=1) for c, w in zip(centres, widths, strict=True)
        ]
        return np.logaddexp(modes[0] + weights[0], modes[1] + weights[1])

    trapped = rng.choice(nwalkers, size=int(rng.integers(1, nwalkers // 2 + 1)), replace=False)
    mode = np.zeros(nwalkers, dtype=int)
    mode[trapped] = 1
    start = centres[mode] + 0.5 * widths[mode] * rng.normal(size=(nwalkers, ndim))
    sampler = emcee.EnsembleSampler(
        nwalkers, ndim, log_prob, vectorize=True, moves=parse_moves(AUTO)
    )
    sampler.random_state = np.random.RandomState(seed).get_state()
    state = start
    for steps in checks():
        state = sampler.run_mcmc(state, steps - sampler.iteration, skip_initial_state_check=True)
        chain, values = sampler.get_chain(), sampler.get_log_prob()
        accepted = sampler.backend.accepted[None].astype(float)
        found = check_burnin(
            Readable([chain], [values], accepted=accepted, burnin=steps), steps, True
        )
        if found.over or steps > LIMIT:
            redrawn = frozenset(found.massless.get(0, ()))
            # some come by themselves: in 3 dimensions a de move is about the way between modes
            still = np.flatnonzero(np.abs(chain[-1, :, 0] - centres[1, 0]) < 150)
            return Outcome(ndim, frozenset(map(int, still)), redrawn, steps)
    raise AssertionError


def job(what: tuple[str, int]) -> Outcome:
    """Run one; for a pool of processes."""
    return run(*what)


def main() -> None:
    """Print how many were wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="of each kind")
    parser.add_argument("--first", type=int, default=10_000, help="seed")
    args = parser.parse_args()
    seeds = range(args.first, args.first + args.runs)
    with multiprocessing.Pool(2) as pool:
        for kind in ("mass", "none"):
            outcomes = list(pool.imap(job, [(kind, seed) for seed in seeds]))
            for ndim in DIMENSIONS:
                some = [o for o in outcomes if o.ndim == ndim]
                wrong = sum(bool(o.redrawn - o.trapped) for o in some)
                any_ = sum(bool(o.redrawn) for o in some)
                all_ = sum(o.redrawn == o.trapped for o in some)
                steps = np.median([o.steps for o in some]) if some else math.nan
                print(
                    f"{kind}: {ndim:>2} dimensions, {len(some):>3} runs: any redrawn in {any_}, "
                    f"all of the second mode in {all_}, of the first in {wrong}; burn-in "
                    f"{steps:.0f} steps",
                    flush=True,
                )


if __name__ == "__main__":
    main()
