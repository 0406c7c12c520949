"""What the pool's benchmark runs: the problems, and each contender in a process tree of its own.

`pool.py` starts this file, under mpiexec where the contender needs ranks. It prints one line of
JSON: the seconds of sampling (start-up apart), and when they ended.
"""

from __future__ import annotations

import argparse
import atexit
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

NDIM = 3
MEAN, SIGMA = 0.02, 1.0  # of the lognormal cost, seconds


# ---- problems: module-level functions, so that every rival can pickle them


class Busy:
    """When this rank was in log_prob: (end, seconds), saved when the process ends."""

    spans: ClassVar[list[tuple[float, float]]] = []

    @classmethod
    def save(cls) -> None:
        """Write the spans into the current folder, which is the contender's own."""
        np.save(f"busy-{os.getpid()}.npy", np.reshape(cls.spans, (-1, 2)))


def trivial(theta: np.ndarray) -> float:
    """Cost next to nothing."""
    return -0.5 * float(theta @ theta)


def with_data(theta: np.ndarray, data: np.ndarray) -> float:
    """Cost next to nothing, with 800 kB bound to the function."""
    return -0.5 * float(theta @ theta) * data[0]


def one_ms(theta: np.ndarray) -> float:
    """Cost one millisecond of the CPU, in pure Python."""
    total = 0
    for i in range(int(os.environ["BENCHMARK_LOOPS"])):
        total += i
    return -0.5 * float(theta @ theta)


def asleep(theta: np.ndarray, seconds: float) -> float:
    """Sleep: what a log_prob in another process or library costs this one."""
    began = time.time()
    time.sleep(seconds)
    Busy.spans.append((time.time(), time.time() - began))
    return -0.5 * float(theta @ theta)


def lognormal(theta: np.ndarray) -> float:
    """Cost a lognormal time that follows from theta alone."""
    seed = int(np.abs(theta).sum() * 1e9) % 2**32
    z = np.random.RandomState(seed).standard_normal()
    return asleep(theta, MEAN * math.exp(SIGMA * z - SIGMA**2 / 2))


def even(theta: np.ndarray) -> float:
    """Cost 20 ms, always."""
    return asleep(theta, 0.02)


class Line:
    """The article's line, one point at a time and many at once."""

    def __init__(self) -> None:
        random = np.random.RandomState(123)
        self.x = np.sort(10 * random.rand(50))
        self.yerr = 0.1 + 0.5 * random.rand(50)
        y = -0.9594 * self.x + 4.294
        y += np.abs(0.534 * y) * random.randn(50)
        self.y = y + self.yerr * random.randn(50)

    def one(self, theta: np.ndarray) -> float:
        """Return the log posterior at theta (3,)."""
        m, b, log_f = theta
        if not (-5 < m < 0.5 and 0 < b < 10 and -10 < log_f < 1):
            return -np.inf
        model = m * self.x + b
        inv_sigma2 = 1.0 / (self.yerr**2 + model**2 * np.exp(2 * log_f))
        return -0.5 * np.sum((self.y - model) ** 2 * inv_sigma2 - np.log(inv_sigma2))

    def many(self, theta: np.ndarray) -> np.ndarray:
        """Return the log posterior at rows theta (n, 3)."""
        m, b, log_f = theta.T
        model = m[:, None] * self.x + b[:, None]
        inv_sigma2 = 1.0 / (self.yerr**2 + model**2 * np.exp(2 * log_f)[:, None])
        value = -0.5 * np.sum((self.y - model) ** 2 * inv_sigma2 - np.log(inv_sigma2), axis=1)
        inside = (m > -5) & (m < 0.5) & (b > 0) & (b < 10) & (log_f > -10) & (log_f < 1)
        return np.where(inside, value, -np.inf)


LINE = Line()


def line(theta: np.ndarray) -> float:
    """Cost some 15 us."""
    return LINE.one(theta)


def p0(nwalkers: int, problem: str = "") -> np.ndarray:
    """Return the start."""
    noise = np.random.RandomState(1).standard_normal((nwalkers, NDIM))
    return np.array([-1.0, 4.5, -0.8]) + 1e-4 * noise if problem == "line" else noise


# ---- contenders: each samples and returns seconds, None on ranks that do not time


def emcee_with(pool: Any, function: Any, args: Any, walkers: int, steps: int) -> float:
    """Time emcee with a pool, or serially."""
    import emcee

    sampler = emcee.EnsembleSampler(walkers, NDIM, function, pool=pool, args=args)
    state = sampler.run_mcmc(p0(walkers, function.__name__), 1)
    began = time.perf_counter()
    sampler.run_mcmc(state, steps)
    return time.perf_counter() - began


def over_multiprocessing(*job: Any) -> float:
    """Time emcee over multiprocessing.Pool."""
    import multiprocessing

    with multiprocessing.Pool(int(os.environ["BENCHMARK_RANKS"])) as pool:
        return emcee_with(pool, *job)


def over_schwimmbad(*job: Any) -> float:
    """Time emcee over schwimmbad's MPIPool."""
    from schwimmbad import MPIPool

    with MPIPool() as pool:
        return emcee_with(pool, *job)


def over_pmcmc(*job: Any) -> float:
    """Time emcee over pmcmc's MPIPool: the import is the only change."""
    from pmcmc import MPIPool

    with MPIPool() as pool:
        return emcee_with(pool, *job)


def over_futures(function: Any, args: Any, walkers: int, steps: int) -> float | None:
    """Time emcee over mpi4py's MPICommExecutor, one chunk per worker and half-step."""
    from mpi4py import MPI
    from mpi4py.futures import MPICommExecutor

    with MPICommExecutor(MPI.COMM_WORLD) as executor:
        if executor is None:
            return None
        chunk = -(-walkers // 2 // max(1, MPI.COMM_WORLD.size - 1))

        class Pool:
            def map(self, function: Any, tasks: Any) -> Any:
                return executor.map(function, tasks, chunksize=chunk)

        return emcee_with(Pool(), function, args, walkers, steps)


def over_zeus(function: Any, args: Any, walkers: int, steps: int, ensembles: int) -> float | None:
    """Time emcee in each of zeus's parallel chains, until the last is done."""
    from mpi4py import MPI
    from zeus import ChainManager

    with ChainManager(ensembles, MPI.COMM_WORLD) as manager:
        began = time.perf_counter()
        emcee_with(manager.get_pool, function, args, walkers, steps)
        manager.allgather(0)
        return time.perf_counter() - began if manager.get_rank == 0 else None


def over_ipyparallel(chains: bool, *job: Any) -> float:
    """Time the article's two ways: a view as the pool, or a share of the chain per engine."""
    import ipyparallel as ipp

    ranks = int(os.environ["BENCHMARK_RANKS"])
    function, args, walkers, steps = job
    with ipp.Cluster(n=ranks, log_level=40) as client:
        view = client[:]
        view.block = True
        view.execute(f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})")
        if not chains:
            return emcee_with(view, *job)
        view.apply(emcee_with, None, function, args, walkers, 1)
        began = time.perf_counter()
        view.apply(emcee_with, None, function, args, walkers, steps // ranks)
        return time.perf_counter() - began


def engine(
    function: Any, args: Any, walkers: int, steps: int, ensembles: int = 1, **options: Any
) -> float | None:
    """Time pmcmc.run, less a run of one step; steps are per ensemble."""
    from mpi4py import MPI

    import pmcmc

    if function is line and options.pop("vectorized", False):
        function, options["vectorized"] = LINE.many, True
    vectorized = options.pop("vectorized", False)
    initial = p0(walkers, "line" if vectorized or function is line else "")
    problem = pmcmc.Problem(
        function, ndim=NDIM, initial=initial, args=args or (), vectorized=vectorized
    )
    same = {"burnin": 0, "seed": 1, "mode": "pool", "moves": "stretch"}  # as emcee's
    options = same | {"nensembles": ensembles} | options

    def timed(nsteps: int) -> float:
        began = time.perf_counter()
        pmcmc.run(problem, nsteps=nsteps, **options)
        return time.perf_counter() - began

    start = timed(ensembles)
    took = timed((steps + 1) * ensembles) - start
    return took if MPI.COMM_WORLD.rank == 0 else None


CONTENDERS: dict[str, Any] = {
    "serial": lambda *job, ensembles: emcee_with(None, *job),
    "multiprocessing": lambda *job, ensembles: over_multiprocessing(*job),
    "ipyparallel pool": lambda *job, ensembles: over_ipyparallel(False, *job),
    "ipyparallel chains": lambda *job, ensembles: over_ipyparallel(True, *job),
    "schwimmbad": lambda *job, ensembles: over_schwimmbad(*job),
    "mpi4py.futures": lambda *job, ensembles: over_futures(*job),
    "zeus ChainManager": lambda *job, ensembles: over_zeus(*job, ensembles),
    "pmcmc.MPIPool": lambda *job, ensembles: over_pmcmc(*job),
    "pmcmc": lambda *job, ensembles: engine(*job, ensembles),
    "pmcmc on demand": lambda *job, ensembles: engine(*job, ensembles, schedule="demand"),
    "pmcmc split": lambda *job, ensembles: engine(*job, ensembles, mode="split"),
    "pmcmc vectorized split": lambda *job, ensembles: engine(
        *job, ensembles, mode="split", vectorized=True
    ),
    "pmcmc vectorized pool": lambda *job, ensembles: engine(*job, ensembles, vectorized=True),
}


def main() -> None:
    """Be one contender."""
    parser = argparse.ArgumentParser()
    parser.add_argument("contender")
    parser.add_argument("problem")
    for name in ("walkers", "steps", "ensembles"):
        parser.add_argument(name, type=int)
    args = parser.parse_args()
    # by this file's own name, so that engines which import it find the functions
    sys.path.insert(0, str(Path(__file__).parent))
    import contenders

    atexit.register(contenders.Busy.save)
    function = getattr(contenders, args.problem)
    bound = (np.ones(100_000),) if args.problem == "with_data" else None
    run = contenders.CONTENDERS[args.contender]
    took = run(function, bound, args.walkers, args.steps, ensembles=args.ensembles)
    if took is not None:
        print(json.dumps({"seconds": took, "end": time.time()}), flush=True)


if __name__ == "__main__":
    main()
