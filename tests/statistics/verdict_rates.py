"""How often the verdict is wrong: false alarms on walkers that mix, and what it sees of others.

``OMP_NUM_THREADS=1 PYTHONPATH=tests python tests/statistics/verdict_rates.py --runs 2000`` prints
both tables. Plain emcee makes the draws; figures and criteria are those of the verdict.
"""

import argparse
import itertools
import multiprocessing
import time

import emcee
import numpy as np

from fake_run import Readable
from pmcmc.diagnostics.criteria import length, shortfalls
from pmcmc.diagnostics.limits import Limits
from pmcmc.diagnostics.statistics import ChainStatistics
from pmcmc.diagnostics.stopping import checks
from pmcmc.sampler.moves import parse_moves

W = 32
TAIL = 3.0  # degrees of freedom of "t"


class Target:
    """A density and draws from it."""

    def __init__(self, kind, ndim):
        self.kind, self.ndim = kind, ndim

    def log_prob(self, x):
        if self.kind == "t":
            q = (x**2).sum(axis=1) / TAIL
            return -0.5 * (TAIL + self.ndim) * np.log1p(q)
        if self.kind == "banana":
            rest = x.copy()
            rest[:, 1] = x[:, 1] - 0.5 * (x[:, 0] ** 2 - 1)
            return -0.5 * (rest**2).sum(axis=1)
        if self.kind == "funnel":
            v, rest = x[:, 0], x[:, 1:]
            return (
                -(v**2) / 18 - 0.5 * (rest**2).sum(axis=1) * np.exp(-v) - 0.5 * (self.ndim - 1) * v
            )
        return -0.5 * (x**2).sum(axis=1)

    def draws(self, rng, n):
        x = rng.normal(size=(n, self.ndim))
        if self.kind == "t":
            x /= np.sqrt(rng.chisquare(TAIL, size=(n, 1)) / TAIL)
        if self.kind == "banana":
            x[:, 1] += 0.5 * (x[:, 0] ** 2 - 1)
        if self.kind == "funnel":
            x[:, 0] *= 3
            x[:, 1:] *= np.exp(x[:, :1] / 2)
        return x


def sample(log_prob, start, nsteps, seed, moves):
    """Return the chain and the log_prob of an emcee run, and accepted moves."""
    sampler = emcee.EnsembleSampler(
        *start.shape, log_prob, vectorize=True, moves=parse_moves(moves)
    )
    sampler.random_state = np.random.RandomState(seed).get_state()
    sampler.run_mcmc(start, nsteps, skip_initial_state_check=True)
    return sampler.get_chain(), sampler.get_log_prob(), sampler.backend.accepted


def reader_of(runs):
    chains, log_probs, accepted = zip(*runs, strict=True)
    return Readable(list(chains), list(log_probs), accepted=np.stack(accepted))


# ---- false alarms


def mixed(job):
    """Return when walkers that mix are long enough, in true tau, and what objects there."""
    kind, ndim, nwalkers, ntau, tau, seed, moves = job
    target, rng = Target(kind, ndim), np.random.default_rng(seed)
    nsteps = int(ntau * tau)
    chain, log_prob, accepted = sample(
        target.log_prob, target.draws(rng, nwalkers), nsteps, seed, moves
    )
    passed, alarms = None, set()
    for n in [*itertools.takewhile(lambda c: c < nsteps, checks()), nsteps]:
        if n < 20 * tau or (passed and n < nsteps):
            continue
        moves_to_n = accepted[None] * (n / nsteps)
        reader = Readable([chain[:n]], [log_prob[:n]], accepted=moves_to_n)
        statistics = ChainStatistics(reader)
        if any(length(statistics, i, Limits(0, np.inf)) for i in range(ndim + 1)):
            continue
        passed = passed or n / tau
        short = {s.criterion for s in shortfalls(statistics, Limits(0, np.inf))}
        alarms |= short - {"length"}
    return passed, alarms


def true_tau(job):
    """Return the longest tau of ranks of a target, from one long run."""
    kind, ndim, nwalkers, moves = job
    target, rng = Target(kind, ndim), np.random.default_rng(1)
    runs = [
        sample(target.log_prob, target.draws(rng, nwalkers), 15000 + 400 * ndim, seed, moves)
        for seed in (1, 2)
    ]
    statistics = ChainStatistics(reader_of(runs))
    return float(max(statistics.rank_tau(i).mean() for i in range(ndim + 1)))


def false_alarms(pool, runs, moves, seed, targets=""):
    plan = [("normal", d) for d in (2, 3, 5, 10)] + [("t", d) for d in (2, 5, 10)]
    plan += [("banana", d) for d in (2, 5, 10)] + [("funnel", 5)]
    plan += [("normal", 50), ("t", 50)]
    each = -(-runs // len(plan))
    if targets:
        named = [name.split() for name in targets.split(",")]
        plan = [(kind, d) for kind, d in plan if [kind, str(d)] in named]
    shapes = [(kind, d, max(W, 4 * d), moves) for kind, d in plan]
    taus = dict(zip(shapes, pool.map(true_tau, shapes, 1), strict=True))
    rows, total, false = [], 0, 0
    for shape in shapes:
        kind, d, nwalkers, _ = shape
        longest = 120 if d == 50 else 500
        count = each // 4 if d == 50 else each
        jobs = [
            (kind, d, nwalkers, longest if i % 8 == 0 else 80, taus[shape], seed + i, moves)
            for i in range(count)
        ]
        found = pool.map(mixed, jobs, 4)
        at = np.array([p for p, _ in found if p is not None])
        alarmed = [a for _, a in found if a]
        rows.append((kind, d, taus[shape], len(found), len(at), at, alarmed))
        if kind != "funnel":
            total, false = total + len(found), false + len(alarmed)
        low, mid, high = np.quantile(at, (0.01, 0.5, 0.99)) if len(at) else (np.nan,) * 3
        print(
            f"{kind:>8} {d:>3}  tau {taus[shape]:6.1f}  runs {len(found):5}  long enough at "
            f"{low:5.1f} {mid:5.1f} {high:5.1f} tau (1, 50, 99%)  never {len(found) - len(at):3}  "
            f"false alarms {len(alarmed)} {sorted(set().union(*alarmed))}",
            flush=True,
        )
    print(f"false alarms without the funnel: {false} of {total}")
    return false, total


# ---- power


def trapped(job):
    """Return what sees walkers in a lower mode, and how far they move a figure."""
    ndim, share, depth, ntau, tau, seed, moves = job
    rng, far = np.random.default_rng(seed), 12.0

    def log_prob(x):
        a, b = x.copy(), x.copy()
        a[:, 0] -= far
        b[:, 0] += far
        return np.logaddexp(-0.5 * (a**2).sum(axis=1), -depth - 0.5 * (b**2).sum(axis=1))

    start = rng.normal(size=(W, ndim))
    start[:, 0] += far
    start[:share, 0] -= 2 * far
    chain, values, accepted = sample(log_prob, start, int(ntau * tau), seed, moves)
    still = int((chain[-1, :, 0] < 0).sum())
    statistics = ChainStatistics(Readable([chain], [values], accepted=accepted[None]))
    short = {s.criterion for s in shortfalls(statistics, Limits(0, np.inf))}
    return still, short


def power(pool, runs, moves, seed):
    shares, depths = (1, 2, 4, 8, 16), (0, 5, 20, 100)
    worst = 1.0
    for ndim in (2, 5, 10):
        tau = true_tau(("normal", ndim, W, moves))
        for depth in depths:
            for share in shares:
                jobs = [
                    (ndim, share, depth, ntau, tau, seed + i, moves)
                    for i, ntau in enumerate([55, 200] * (runs // 2))
                ]
                found = pool.map(trapped, jobs, 4)
                stay = [short for still, short in found if still]
                seen = [short for short in stay if short]
                rate = len(seen) / len(stay) if stay else np.nan
                worst = np.fmin(worst, rate)
                by = {c: sum(c in s for s in stay) for c in sorted(set().union(*stay))}
                print(
                    f"{ndim:>3} dimensions, depth {depth:>3}, {share:>2} of {W}: seen in "
                    f"{len(seen)} of {len(stay)} runs (of {len(found)}), by {by}",
                    flush=True,
                )
    print(f"least power: {worst:.4f}")
    return worst


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1_000_000)
    parser.add_argument("--moves", default="auto")
    parser.add_argument("--only", choices=("alarms", "power"))
    parser.add_argument("--targets", default="", help="of the alarms: 'banana 2,normal 50', say")
    args = parser.parse_args()
    began = time.time()
    with multiprocessing.Pool(2) as workers:
        if args.only != "power":
            false_alarms(workers, args.runs, args.moves, args.seed, args.targets)
        if args.only != "alarms":
            power(workers, max(10, args.runs // 100), args.moves, args.seed)
    print(f"{time.time() - began:.0f} s")
