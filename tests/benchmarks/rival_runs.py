"""What `rivals.py` runs: the problems, and each sampler until its draws are enough.

`rivals.py` starts this file, under mpiexec where the sampler needs ranks. The draws of all are
judged alike: the first half of each ensemble is left out, tau is that of ranks about the mean of
the ensemble, and R-hat compares ensembles, or the halves of what is left of a single one. Samplers
that go on from where they are do so by segments, each 1.25 times as long as what there is, until
both goals are reached; the judging is not timed. It prints one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from pmcmc.diagnostics.estimators import autocorrelation_time, normal_scores, r_hat

GOAL_ESS, GOAL_R_HAT, LEAST_TAU = 1000.0, 1.01, 20.0
FIRST, GROWTH = 100, 1.25  # steps
LINE_LOW, LINE_HIGH = np.array([-5.0, 0.0, -10.0]), np.array([0.5, 10.0, 1.0])
INVERSE = np.linalg.inv(0.4 * np.eye(3) + 0.6)
INVERSE_10 = np.linalg.inv(0.4 * np.eye(10) + 0.6)


# ---- problems: module-level functions, so that every rival can pickle them


class Line:
    """The article's line."""

    def __init__(self) -> None:
        random = np.random.RandomState(123)
        self.x = np.sort(10 * random.rand(50))
        self.yerr = 0.1 + 0.5 * random.rand(50)
        y = -0.9594 * self.x + 4.294
        y += np.abs(0.534 * y) * random.randn(50)
        self.y = y + self.yerr * random.randn(50)

    def __call__(self, theta: np.ndarray) -> float:
        m, b, log_f = theta
        model = m * self.x + b
        inverse = 1.0 / (self.yerr**2 + model**2 * np.exp(2 * log_f))
        return float(-0.5 * np.sum((self.y - model) ** 2 * inverse - np.log(inverse)))


LINE = Line()


def line(theta: np.ndarray) -> float:
    if not ((theta > LINE_LOW) & (theta < LINE_HIGH)).all():
        return -np.inf
    return LINE(theta)


def millisecond(theta: np.ndarray) -> float:
    """Sleep 1 ms: what a log_prob in another process or library costs this one."""
    time.sleep(1e-3)
    return -0.5 * float(theta @ INVERSE @ theta)


def uneven(theta: np.ndarray) -> float:
    """Sleep 2 ms on average, with the relative scatter of emcee's example of load balance."""
    z = np.random.RandomState(int(np.abs(theta).sum() * 1e9) % 2**32).standard_normal()
    time.sleep(max(1e-4, 2e-3 * (1.0 + 0.5 * z)))
    return -0.5 * float(theta @ INVERSE @ theta)


def vectorized(theta: np.ndarray) -> np.ndarray:
    theta = np.atleast_2d(theta)
    return -0.5 * np.einsum("ni,ij,nj->n", theta, INVERSE_10, theta)


# function, dimensions, walkers of samplers that ask for them, and the box of nested samplers
PROBLEMS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "line": (line, 3, 100),
    "1 ms": (millisecond, 3, 32),
    "uneven": (uneven, 3, 496),
    "vectorized": (vectorized, 10, 40),
}


def box(name: str) -> tuple[np.ndarray, np.ndarray]:
    ndim = PROBLEMS[name][1]
    return (LINE_LOW, LINE_HIGH) if name == "line" else (np.full(ndim, -8.0), np.full(ndim, 8.0))


def start(name: str, nwalkers: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if name == "line":
        return np.array([-1.0, 4.5, -0.8]) + 1e-4 * rng.standard_normal((nwalkers, 3))
    return 0.1 * rng.standard_normal((nwalkers, PROBLEMS[name][1]))


# ---- the common judge


def judge(chains: list[np.ndarray]) -> tuple[float, float]:
    """Return ESS and R-hat of ensembles (step, walker, ndim), without their first halves."""
    kept = [c[len(c) // 2 :] for c in chains]
    ess, worst = math.inf, 1.0
    for i in range(kept[0].shape[2]):
        values = [np.ascontiguousarray(c[:, :, i]) for c in kept]
        taus = [autocorrelation_time(normal_scores(v)) for v in values]
        if min(len(v) / t for v, t in zip(values, taus, strict=True)) < LEAST_TAU:
            return 0.0, math.inf
        ess = min(ess, sum(v.size / t for v, t in zip(values, taus, strict=True)))
        middle = len(values[0]) // 2
        halves = values if len(values) > 1 else [values[0][:middle], values[0][middle:]]
        worst = max(worst, r_hat([h[: min(map(len, halves))] for h in halves]))
    return ess, worst


def segments() -> Iterator[int]:
    """Give the steps of each segment."""
    total = 0
    while True:
        more = max(FIRST, math.ceil(total * (GROWTH - 1)))
        total += more
        yield more


def until_enough(
    more: Callable[[int], list[np.ndarray]], evaluations: Callable[[int], int], seconds: float
) -> dict[str, Any]:
    """Sample by segments until both goals are reached, or the time is over."""
    spent, steps = 0.0, 0
    found: dict[str, Any] = {"ess_seconds": None, "r_hat_seconds": None}
    for n in segments():
        began = time.perf_counter()
        chains = more(n)
        spent += time.perf_counter() - began
        steps += n
        ess, worst = judge(chains)
        if ess >= GOAL_ESS and found["ess_seconds"] is None:
            found |= {"ess_seconds": spent, "ess_evaluations": evaluations(steps)}
        if worst <= GOAL_R_HAT and found["r_hat_seconds"] is None:
            found |= {"r_hat_seconds": spent, "r_hat_evaluations": evaluations(steps)}
        if (found["ess_seconds"] and found["r_hat_seconds"]) or spent > seconds:
            break
    return found | {"seconds": spent, "ess": ess, "r_hat": worst}


# ---- the samplers


def emcee_with(pool: Any, name: str, seconds: float) -> dict[str, Any]:
    import emcee

    function, ndim, nwalkers = PROBLEMS[name]
    sampler = emcee.EnsembleSampler(
        nwalkers, ndim, function, pool=pool, vectorize=name == "vectorized"
    )
    state: Any = start(name, nwalkers)

    def more(n: int) -> list[np.ndarray]:
        nonlocal state
        state = sampler.run_mcmc(state, n)
        return [sampler.get_chain()]

    return until_enough(more, lambda steps: steps * nwalkers, seconds)


def emcee_serial(name: str, ranks: int, seconds: float) -> dict[str, Any] | None:
    return emcee_with(None, name, seconds)


def emcee_schwimmbad(name: str, ranks: int, seconds: float) -> dict[str, Any] | None:
    from schwimmbad import MPIPool

    with MPIPool() as pool:
        if not pool.is_master():
            pool.wait()
            return None
        return emcee_with(pool, name, seconds)


def emcee_futures(name: str, ranks: int, seconds: float) -> dict[str, Any] | None:
    from mpi4py.futures import MPICommExecutor

    with MPICommExecutor() as executor:
        if executor is None:
            return None

        class Pool:
            def map(self, function: Any, tasks: Any) -> list[Any]:
                return list(executor.map(function, tasks))

        return emcee_with(Pool(), name, seconds)


def emcee_multiprocessing(name: str, ranks: int, seconds: float) -> dict[str, Any] | None:
    import multiprocessing

    with multiprocessing.Pool(ranks) as pool:
        return emcee_with(pool, name, seconds)


_engine: dict[str, Any] = {}


def engine_more(name: str, seed: int, n: int) -> np.ndarray:
    """Go on with the sampler of this engine."""
    import emcee

    function, ndim, nwalkers = PROBLEMS[name]
    if not _engine:
        _engine["sampler"] = emcee.EnsembleSampler(
            nwalkers, ndim, function, vectorize=name == "vectorized"
        )
        _engine["state"] = start(name, nwalkers, seed)
    _engine["state"] = _engine["sampler"].run_mcmc(_engine["state"], n)
    return _engine["sampler"].get_chain()


def ipyparallel(name: str, ranks: int, seconds: float) -> dict[str, Any] | None:
    """As in the article: each engine runs its own share of the chain."""
    import ipyparallel as ipp
    import rival_runs  # by its name, as the engines know it

    with ipp.Cluster(n=ranks, log_level=40) as client:
        view = client[:]
        view.apply_sync(sys.path.insert, 0, os.path.dirname(__file__))

        def more(n: int) -> list[np.ndarray]:
            jobs = [
                client[e].apply_async(rival_runs.engine_more, name, seed, n)
                for seed, e in enumerate(client.ids)
            ]
            return [job.get() for job in jobs]

        return until_enough(more, lambda steps: steps * PROBLEMS[name][2] * ranks, seconds)


def zeus(name: str, ranks: int, seconds: float) -> dict[str, Any] | None:
    import zeus as library
    from schwimmbad import MPIPool

    function, ndim, nwalkers = PROBLEMS[name]

    def sample(pool: Any) -> dict[str, Any]:
        sampler = library.EnsembleSampler(
            nwalkers, ndim, function, pool=pool, verbose=False, vectorize=name == "vectorized"
        )
        at: Any = start(name, nwalkers)

        def more(n: int) -> list[np.ndarray]:
            nonlocal at
            sampler.run_mcmc(at, n, progress=False)
            at = None
            return [sampler.get_chain()]

        return until_enough(more, lambda steps: int(sampler.ncall), seconds)

    if ranks == 1:
        return sample(None)
    with MPIPool() as pool:
        if not pool.is_master():
            pool.wait()
            return None
        return sample(pool)


def autoemcee(
    name: str, ranks: int, seconds: float, least_tau: float = 0.0
) -> dict[str, Any] | None:
    """Its own stop, R-hat of its chains and chains of so many tau; one ensemble a rank."""
    import autoemcee as library
    from mpi4py import MPI

    # it prints what this returns as a number, which numpy 2.4 refuses of an array of one
    measured = library.emcee.autocorr.integrated_time
    library.emcee.autocorr.integrated_time = lambda *args, **how: measured(*args, **how).item()

    function, ndim, _ = PROBLEMS[name]
    low, high = box(name)
    many = name == "vectorized"
    sampler = library.ReactiveAffineInvariantSampler(
        [f"p{i}" for i in range(ndim)],
        function if many else lambda theta: max(float(function(theta)), -1e100),
        transform=lambda u: low + (high - low) * u,
        vectorized=many,
        sampler="goodman-weare",
    )
    began = time.perf_counter()
    sampler.run(
        num_global_samples=2000, num_chains=max(2, -(-4 // ranks)), rhat_max=GOAL_R_HAT,
        max_ncalls=10**7, min_autocorr_times=least_tau, progress=False,
    )  # fmt: skip
    spent = time.perf_counter() - began
    chains = [low + (high - low) * s.get_chain() for s in sampler.samplers]
    every = MPI.COMM_WORLD.gather(chains)
    if every is None:
        return None
    flat = [c for some in every for c in some]
    ess, worst = judge([c[: min(map(len, flat))] for c in flat])
    return at_the_end(spent, sampler.ncall, ess, worst)


def at_the_end(spent: float, calls: int, ess: float, worst: float | None) -> dict[str, Any]:
    """Return what is known of a sampler that ends by itself."""
    enough = ess >= GOAL_ESS
    found: dict[str, Any] = {"seconds": spent, "ess": ess, "r_hat": worst}
    found["ess_seconds"] = spent if enough else None
    found["ess_evaluations"] = calls if enough else None
    agree = worst is None or worst <= GOAL_R_HAT
    found["r_hat_seconds"] = spent if agree and worst is not None else None
    return found


def dynesty(name: str, ranks: int, seconds: float) -> dict[str, Any] | None:
    import multiprocessing

    import dynesty as library

    function, ndim, _ = PROBLEMS[name]
    with multiprocessing.Pool(ranks) if ranks > 1 else contextlib.nullcontext() as pool:
        sampler = library.DynamicNestedSampler(
            function, Cube(name), ndim, pool=pool, queue_size=ranks if ranks > 1 else None,
            rstate=np.random.default_rng(1),
        )  # fmt: skip
        began = time.perf_counter()
        sampler.run_nested(
            n_effective=int(GOAL_ESS), print_progress=False, wt_kwargs={"pfrac": 1.0}
        )
        spent = time.perf_counter() - began
    weights = sampler.results.importance_weights()
    size = float(weights.sum() ** 2 / (weights**2).sum())
    return at_the_end(spent, int(np.sum(sampler.results.ncall)), size, None)


class Cube:
    """The prior transform of a box."""

    def __init__(self, name: str) -> None:
        self.low, self.high = box(name)

    def __call__(self, u: np.ndarray) -> np.ndarray:
        return self.low + (self.high - self.low) * u


def nautilus(name: str, ranks: int, seconds: float) -> dict[str, Any] | None:
    import nautilus as library

    function, ndim, _ = PROBLEMS[name]
    sampler = library.Sampler(
        Cube(name), function, n_dim=ndim, pool=ranks if ranks > 1 else None, seed=1,
        pass_dict=False, vectorized=name == "vectorized",
    )  # fmt: skip
    began = time.perf_counter()
    sampler.run(n_eff=int(GOAL_ESS), verbose=False)
    spent = time.perf_counter() - began
    return at_the_end(spent, int(sampler.n_like), float(sampler.n_eff), None)


SAMPLERS = {
    "emcee": emcee_serial,
    "emcee + schwimmbad": emcee_schwimmbad,
    "emcee + mpi4py.futures": emcee_futures,
    "emcee + multiprocessing": emcee_multiprocessing,
    "emcee + ipyparallel": ipyparallel,
    "zeus": zeus,
    "autoemcee": autoemcee,
    "autoemcee, 40 tau": partial(autoemcee, least_tau=2 * LEAST_TAU),
    "dynesty": dynesty,
    "nautilus": nautilus,
}


if __name__ == "__main__":
    found = SAMPLERS[sys.argv[1]](sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    if found is not None:
        print("\n" + json.dumps(found))
