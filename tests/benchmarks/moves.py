"""Steps to 50 tau, burn-in included: moves beside emcee's stretch move.

    OMP_NUM_THREADS=1 python tests/benchmarks/moves.py [--moves auto;de] [--seeds 3]

Each target is sampled by an ensemble of pmcmc's default size from a ball round its mode, by
plain emcee. Burn-in ends about as ``--burnin auto`` ends it; then tau (of ranks, about the mean of
the ensemble, the longest of all parameters and log_prob) comes from 200 tau or more, or from what
fits into 1 GB. The ratio is that of burn-in + 50 tau, stretch over the others: above 1 is better.
The default was chosen on all targets but those held out.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass

import emcee
import numpy as np
from scipy import stats
from scipy.special import gammaln, log_expit

from pmcmc.diagnostics.estimators import autocorrelation_time, normal_scores
from pmcmc.diagnostics.stopping import checks
from pmcmc.sampler.moves import parse_moves

Array = np.ndarray


@dataclass(frozen=True)
class Target:
    """A density of rows (n, ndim), a centre to start round, and the ball's width."""

    log_prob: Callable[[Array], Array]
    centre: Array
    width: float = 1e-2


def normal(ndim: int, rho: float = 0.0) -> Target:
    """Equal correlations: ensemble moves are affine invariant, or nearly."""
    inverse = np.linalg.inv((1 - rho) * np.eye(ndim) + rho)
    return Target(lambda x: -0.5 * np.einsum("ni,ij,nj->n", x, inverse, x), np.zeros(ndim))


def student(ndim: int, nu: float) -> Target:
    def log_prob(x: Array) -> Array:
        return -0.5 * (nu + ndim) * np.log1p((x**2).sum(axis=1) / nu)

    return Target(log_prob, np.zeros(ndim))


def banana(ndim: int) -> Target:
    def log_prob(x: Array) -> Array:
        y = x.copy()
        y[:, 1] -= 0.5 * (x[:, 0] ** 2 - 1)
        return -0.5 * (y**2).sum(axis=1)

    return Target(log_prob, np.zeros(ndim))


def funnel(ndim: int) -> Target:
    def log_prob(x: Array) -> Array:
        v, rest = x[:, 0], x[:, 1:]
        scaled = (rest**2).sum(axis=1) * np.exp(-v)
        return -(v**2) / 18 - 0.5 * scaled - 0.5 * (ndim - 1) * v

    return Target(log_prob, np.zeros(ndim))


def rosenbrock() -> Target:
    def log_prob(x: Array) -> Array:
        return -((1 - x[:, 0]) ** 2 + 100 * (x[:, 1] - x[:, 0] ** 2) ** 2) / 20

    return Target(log_prob, np.ones(2))


def box(ndim: int) -> Target:
    def log_prob(x: Array) -> Array:
        return np.where((np.abs(x) < 1).all(axis=1), 0.0, -np.inf)

    return Target(log_prob, np.zeros(ndim))


def exponential(ndim: int) -> Target:
    def log_prob(x: Array) -> Array:
        return np.where((x > 0).all(axis=1), -x.sum(axis=1), -np.inf)

    return Target(log_prob, np.ones(ndim))


def line() -> Target:
    """The built-in example's posterior: m, b, log_f."""
    from pmcmc import Problem

    problem = Problem.load("line")
    return Target(lambda x: problem.evaluate(x).log_prob, np.array([-1.05, 4.5, -0.6]))


def eight_schools(centred: bool) -> Target:
    """Rubin 1981: mu, log tau and eight effects; half-Cauchy(5) for tau."""
    y = np.array([28, 8, -3, 7, -1, 1, 18, 12.0])
    sigma = np.array([15, 10, 16, 11, 9, 11, 10, 18.0])

    def log_prob(x: Array) -> Array:
        mu, log_tau, z = x[:, :1], x[:, 1:2], x[:, 2:]
        tau = np.exp(log_tau)
        theta = z if centred else mu + tau * z
        prior = -0.5 * (((z - mu) / tau) ** 2 + 2 * log_tau if centred else z**2).sum(axis=1)
        hyper = stats.norm.logpdf(mu, 0, 5) + log_tau - np.log1p((tau / 5) ** 2)
        return prior + hyper[:, 0] - 0.5 * (((y - theta) / sigma) ** 2).sum(axis=1)

    return Target(
        log_prob, np.concatenate([[4.0, 1.0], np.full(8, 4.0) if centred else np.zeros(8)])
    )


def logistic() -> Target:
    """Regression of 200 outcomes on five correlated columns."""
    rng = np.random.default_rng(3)
    columns = rng.normal(size=(200, 5)) @ (np.eye(5) + 0.5)
    beta = np.array([0.5, -1, 0.2, 0, 1])
    sign = np.where(rng.random(200) < 1 / (1 + np.exp(-columns @ beta)), 1.0, -1.0)

    def log_prob(x: Array) -> Array:
        return log_expit(sign * (x @ columns.T)).sum(axis=1) - 0.5 * (x**2).sum(axis=1) / 25

    return Target(log_prob, beta)


def orbit() -> Target:
    """Radial velocities of one planet on a circle: period, amplitude, phase, offset, jitter."""
    rng = np.random.default_rng(4)
    t = np.sort(rng.uniform(0, 90, 40))
    v = 30 * np.sin(2 * np.pi * t / 11.3 + 1) + rng.normal(0, 3, 40)

    def log_prob(x: Array) -> Array:
        period, amplitude, phase, offset, log_s = x.T[:, :, None]
        model = amplitude * np.sin(2 * np.pi * t / period + phase) + offset
        s = np.exp(log_s)
        value = -0.5 * (((v - model) / s) ** 2 + 2 * log_s).sum(axis=1)
        fine = (np.abs(x[:, 0] - 11.3) < 2) & (x[:, 1] > 0) & (np.abs(x[:, 4]) < 5)
        return np.where(fine, value, -np.inf)

    return Target(log_prob, np.array([11.3, 30, 1, 0, 1.1]), 1e-3)


def poisson() -> Target:
    """A spectrum of counts: a power law and a line on it."""
    rng = np.random.default_rng(5)
    e = np.linspace(1, 10, 80)

    def rate(x: Array) -> Array:
        norm, slope, height, place, log_w = x.T[:, :, None]
        width = np.exp(log_w)
        return np.exp(norm) * e**-slope + height * np.exp(-0.5 * ((e - place) / width) ** 2)

    truth = np.array([4.0, 1.5, 12.0, 6.4, np.log(0.3)])
    counts = rng.poisson(rate(truth[None])[0])

    def log_prob(x: Array) -> Array:
        fine = (x[:, 2] > 0) & (np.abs(x[:, 3] - 6) < 2) & (np.abs(x[:, 4] + 1) < 2)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            mean = rate(x)
            value = (counts * np.log(mean) - mean - gammaln(counts + 1)).sum(axis=1)
        return np.where(fine & np.isfinite(value), value, -np.inf)

    return Target(log_prob, truth, 1e-3)


def mixture() -> Target:
    """Two overlapping modes, three sd apart."""

    def log_prob(x: Array) -> Array:
        far = np.array([3.0, 0, 0])
        return np.logaddexp(
            -0.5 * (x**2).sum(axis=1), np.log(0.5) - 0.5 * ((x - far) ** 2).sum(axis=1)
        )

    return Target(log_prob, np.zeros(3))


def radon() -> Target:
    """Varying intercepts of 12 groups, centred: held out."""
    rng = np.random.default_rng(6)
    group = rng.integers(12, size=150)
    y = rng.normal(1.3, 0.4, 12)[group] + rng.normal(0, 0.8, 150)
    counts = np.bincount(group, minlength=12)
    means = np.bincount(group, y, 12) / counts
    rest = ((y - means[group]) ** 2).sum()

    def log_prob(x: Array) -> Array:
        mu, log_tau, log_s, a = x[:, 0], x[:, 1], x[:, 2], x[:, 3:]
        inner = -0.5 * ((a - mu[:, None]) ** 2).sum(axis=1) * np.exp(-2 * log_tau) - 12 * log_tau
        squares = rest + (counts * (a - means) ** 2).sum(axis=1)
        outer = -0.5 * squares * np.exp(-2 * log_s) - len(y) * log_s
        prior = -0.5 * (mu**2 / 25 + log_tau**2 + log_s**2)
        return inner + outer + prior

    return Target(log_prob, np.concatenate([[1.3, -0.9, -0.2], means]))


def kernel() -> Target:
    """Hyperparameters of a Gaussian process of 30 points: held out."""
    rng = np.random.default_rng(7)
    t = np.sort(rng.uniform(0, 10, 30))
    y = np.sin(t) + 0.2 * rng.normal(size=30)
    apart = (t[:, None] - t) ** 2

    def log_prob(x: Array) -> Array:
        amplitude, scale, noise = np.exp(x.T[:, :, None, None])
        cov = amplitude**2 * np.exp(-0.5 * apart / scale**2) + noise**2 * np.eye(30)
        sign, det = np.linalg.slogdet(cov)
        fit = np.linalg.solve(cov, np.broadcast_to(y, (len(x), 30))[..., None])[..., 0]
        value = -0.5 * (fit @ y + det) - 0.5 * ((x - [0, 0, -1]) ** 2).sum(axis=1)
        return np.where((np.abs(x) < 5).all(axis=1) & (sign > 0), value, -np.inf)

    return Target(log_prob, np.array([0.0, 0.3, -1.6]))


TARGETS: dict[str, Callable[[], Target]] = {
    **{f"normal {d}": lambda d=d: normal(d, 0.5) for d in (2, 5, 10, 20, 50)},
    "t, 3 degrees, 5": lambda: student(5, 3),
    "banana 4": lambda: banana(4),
    "funnel 5": lambda: funnel(5),
    "Rosenbrock": rosenbrock,
    "box 4": lambda: box(4),
    "exponential 4": lambda: exponential(4),
    "line": line,
    "eight schools, centred": lambda: eight_schools(True),
    "eight schools": lambda: eight_schools(False),
    "logistic": logistic,
    "orbit": orbit,
    "spectrum": poisson,
    "two modes": mixture,
}
HELD_OUT: dict[str, Callable[[], Target]] = {"radon": radon, "kernel": kernel}


def longest_tau(chain: Array, log_prob: Array) -> float:
    """Return the longest tau of ranks, in rows."""
    columns = [*np.moveaxis(chain, 2, 0), log_prob]
    return max(autocorrelation_time(normal_scores(c)) for c in columns)


def settled(chain: Array, log_prob: Array, before: int = 0) -> int:
    """Return the check at which burn-in is over, about as ``--burnin auto`` ends it, else 0.

    Up to ``before`` there is none.
    """
    for n in checks():
        if n > len(chain):
            break
        if n <= before:
            continue
        half = slice(n // 2, n)
        if (n - n // 2) / longest_tau(chain[half], log_prob[half]) >= 20:
            return n
    return 0


def measure(job: tuple[str, str, int], nwalkers: int | None = None) -> tuple[float, float]:
    """Return steps of burn-in and tau."""
    name, moves, seed = job
    target = (TARGETS | HELD_OUT)[name]()
    ndim = len(target.centre)
    nwalkers = nwalkers or max(32, 4 * ndim)
    rng = np.random.default_rng(seed)
    start = target.centre + target.width * rng.normal(size=(nwalkers, ndim))
    sampler = emcee.EnsembleSampler(
        nwalkers, ndim, target.log_prob, vectorize=True, moves=parse_moves(moves)
    )
    sampler.random_state = np.random.RandomState(seed).get_state()
    thin = 10 if ndim >= 50 else 1  # tau is hundreds of steps there, and memory ends
    nsteps, seen, burnin, tau = 2000, 0, 0, math.inf
    state = start
    while True:
        state = sampler.run_mcmc(
            state, nsteps - sampler.iteration, thin_by=thin, skip_initial_state_check=True
        )
        chain, log_prob = sampler.get_chain(), sampler.get_log_prob()
        burnin = burnin or settled(chain, log_prob, seen)
        seen = nsteps
        if burnin:
            tau = longest_tau(chain[burnin:], log_prob[burnin:])
            if nsteps - burnin >= 200 * tau:
                return thin * burnin, thin * tau
        nsteps *= 2
        if nsteps * nwalkers * ndim > 1.7e8:  # 1.4 GB
            return thin * (burnin or nsteps), thin * tau


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", default="auto;de;de:0.8,desnooker:0.2;stretch:0.3,de:0.7")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="parts of names of targets, between ;")
    args = parser.parse_args()
    some = args.only.split(";")
    names = [n for n in (*TARGETS, *HELD_OUT) if any(part in n for part in some)]
    moves = ["stretch", *args.moves.split(";")]
    jobs = [(n, m, seed) for n in names for m in moves for seed in range(args.seeds)]
    began, found = time.time(), {}
    with multiprocessing.Pool(2) as pool:
        for job, result in zip(jobs, pool.imap(measure, jobs), strict=True):
            found[job] = result
            name, move, seed = job
            if seed < args.seeds - 1 or move == "stretch":
                continue
            ratios, taus = [], []
            for k in range(args.seeds):
                (b0, t0), (b1, t1) = found[name, "stretch", k], found[name, move, k]
                ratios.append(math.log((b0 + 50 * t0) / (b1 + 50 * t1)))
                taus.append((t0, t1))
            error = np.std(ratios, ddof=1) / math.sqrt(args.seeds) if args.seeds > 1 else math.nan
            t0, t1 = np.mean(taus, axis=0)
            print(
                f"{name:<24}{move:<34}tau {t0:7.1f} {t1:7.1f}   "
                f"ratio {math.exp(np.mean(ratios)):5.2f} +- {error:4.0%}",
                flush=True,
            )
    for move in moves[1:]:
        for label, some in (("chosen on", TARGETS), ("held out", HELD_OUT)):
            logs = [
                np.mean(
                    [
                        math.log(
                            (found[n, "stretch", k][0] + 50 * found[n, "stretch", k][1])
                            / (found[n, move, k][0] + 50 * found[n, move, k][1])
                        )
                        for k in range(args.seeds)
                    ]
                )
                for n in names
                if n in some
            ]
            if logs:
                print(
                    f"{move:<34}{label:<10}{len(logs):>3} targets: geometric mean "
                    f"{math.exp(np.mean(logs)):.2f}, least {math.exp(min(logs)):.2f}"
                )
    print(f"{time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
