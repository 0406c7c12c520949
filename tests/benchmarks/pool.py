"""pmcmc's pool beside its rivals: overhead, speed-up and use of the ranks, in one table.

    pip install '.[mpich]' ipyparallel zeus-mcmc     # ipyparallel and zeus for their rows only
    python tests/benchmarks/pool.py [--runs 3] [--only overhead,speed,share,vectorized]

Every contender runs the same emcee problem on the same ranks, in a process tree of its own that
times the sampling alone; contenders take turns, and medians of paired runs are shown. The machine
should be idle. Overhead is wall time per evaluation less that of serial emcee in the same round.
"""

from __future__ import annotations

import argparse
import atexit
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

NDIM = 3
EMPTY = np.empty((0, 2))
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


def p0(nwalkers: int) -> np.ndarray:
    """Return the start."""
    return np.random.RandomState(1).standard_normal((nwalkers, NDIM))


# ---- contenders: each samples and returns seconds


def emcee_with(pool: Any, function: Any, args: Any, walkers: int, steps: int) -> float:
    """Time emcee with a pool, or serially."""
    import emcee

    sampler = emcee.EnsembleSampler(walkers, NDIM, function, pool=pool, args=args)
    state = sampler.run_mcmc(p0(walkers), 1)
    began = time.perf_counter()
    sampler.run_mcmc(state, steps)
    return time.perf_counter() - began


def contend(name: str, problem: str, walkers: int, steps: int, ensembles: int) -> float | None:
    """Run one contender in this process (every rank calls this); return seconds on rank 0."""
    function = globals()[problem]
    args = (np.ones(100_000),) if problem == "with_data" else None
    job = (function, args, walkers, steps)
    if name == "serial":
        return emcee_with(None, *job)
    if name == "multiprocessing":
        import multiprocessing

        with multiprocessing.Pool(int(os.environ["BENCHMARK_RANKS"])) as pool:
            return emcee_with(pool, *job)
    if name.startswith("ipyparallel"):
        return ipyparallel(name, *job)
    if name in ("schwimmbad", "pmcmc.MPIPool"):
        if name == "schwimmbad":
            from schwimmbad import MPIPool
        else:
            from pmcmc import MPIPool
        with MPIPool() as pool:
            return emcee_with(pool, *job)
    if name == "mpi4py.futures":
        return futures(*job)
    return engine(*job, ensembles)


def futures(function: Any, args: Any, walkers: int, steps: int) -> float | None:
    """Time emcee over mpi4py's MPICommExecutor, one chunk per rank and half-step."""
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


def ipyparallel(name: str, function: Any, args: Any, walkers: int, steps: int) -> float:
    """Time the article's two ways: a view as the pool, and a share of the chain per engine."""
    import ipyparallel as ipp

    ranks = int(os.environ["BENCHMARK_RANKS"])
    with ipp.Cluster(n=ranks, log_level=40) as client:
        view = client[:]
        view.block = True
        view.apply(sys.path.insert, 0, str(Path(__file__).parent))
        view.apply(os.environ.update, {"BENCHMARK_LOOPS": os.environ["BENCHMARK_LOOPS"]})
        if name == "ipyparallel pool":
            return emcee_with(view, function, args, walkers, steps)
        view.apply(emcee_with, None, function, args, walkers, 1)
        began = time.perf_counter()
        view.apply(emcee_with, None, function, args, walkers, steps // ranks)
        return time.perf_counter() - began


def engine(function: Any, args: Any, walkers: int, steps: int, ensembles: int) -> float | None:
    """Time pmcmc.run in pool mode; steps are per ensemble."""
    import pmcmc

    problem = pmcmc.Problem(function, ndim=NDIM, initial=p0(walkers), args=args or ())
    began = time.perf_counter()
    pmcmc.run(problem, nsteps=1, burnin=0, seed=1, mode="pool")
    start = time.perf_counter() - began
    began = time.perf_counter()
    options = {"nsteps": steps * ensembles, "burnin": 0, "mode": "pool", "nensembles": ensembles}
    pmcmc.run(problem, seed=1, **options)
    return time.perf_counter() - began - (start if function is trivial else 0.0)


# ---- the harness


def run(name: str, problem: str, ranks: int, walkers: int, steps: int, ensembles: int = 1) -> dict:
    """Run a contender in a process tree of its own."""
    command = [sys.executable, __file__, "--contender", name, "--problem", problem]
    command += ["--walkers", str(walkers), "--steps", str(steps), "--ensembles", str(ensembles)]
    if name in ("schwimmbad", "pmcmc.MPIPool", "mpi4py.futures", "pmcmc"):
        command = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(ranks), *command]
    env = os.environ | {"BENCHMARK_RANKS": str(ranks)}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command, env=env, cwd=folder, capture_output=True, text=True, timeout=300
        )
        spans = np.concatenate([np.load(p) for p in Path(folder).glob("busy-*.npy")] or [EMPTY])
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        print(f"{name} did not run: {done.stderr[-300:]}", file=sys.stderr)
        return {"seconds": math.nan, "share": math.nan}
    told = json.loads(lines[-1])
    during = (spans[:, 0] > told["end"] - told["seconds"]) & (spans[:, 0] < told["end"])
    return told | {"share": spans[during, 1].sum() / ranks / told["seconds"]}


def rounds(names: list[str], runs: int, *case: Any) -> dict[str, list[dict]]:
    """Run contenders in turn, ``runs`` times."""
    found: dict[str, list[dict]] = {name: [] for name in names}
    for _ in range(runs):
        for name in names:
            found[name].append(run(name, *case))
    return found


def median(values: Any) -> float:
    """Return the median."""
    return statistics.median(values)


RIVALS = ["schwimmbad", "mpi4py.futures", "multiprocessing", "ipyparallel pool"]


def overhead(runs: int) -> None:
    """Print microseconds per evaluation over serial emcee, and the ratio to schwimmbad."""
    for problem in ("trivial", "with_data"):
        for ranks in (2, 3):
            names = ["serial", *RIVALS, "pmcmc.MPIPool", "pmcmc"]
            steps = 100
            found = rounds(names, runs, problem, ranks, 100, steps)
            evaluations = 100 * steps
            base = [r["seconds"] for r in found["serial"]]
            over = {
                name: median(
                    (r["seconds"] - b) / evaluations * 1e6 for r, b in zip(rs, base, strict=True)
                )
                for name, rs in found.items()
            }
            for name in names[1:]:
                ratio = over[name] / over["schwimmbad"]
                label = f"overhead, {problem}, {ranks} ranks"
                print(f"{label:<38}{name:<20}{over[name]:>10.2f} us{ratio:>10.4f} x schwimmbad")


def speed(runs: int) -> None:
    """Print the speed-up over serial emcee on 2 ranks, 1 ms of CPU per evaluation."""
    names = ["serial", *RIVALS, "ipyparallel chains", "pmcmc.MPIPool", "pmcmc"]
    found = rounds(names, runs, "one_ms", 2, 100, 100)
    for name in names[1:]:
        ratio = median(
            b["seconds"] / r["seconds"] for r, b in zip(found[name], found["serial"], strict=True)
        )
        print(f"{'speed-up, 1 ms CPU, 2 ranks':<38}{name:<20}{ratio:>10.3f}")


def share(runs: int) -> None:
    """Print the share of all ranks' time in log_prob."""
    case = ("lognormal", 9, 32)
    for ensembles, steps in ((1, 60), (4, 60), (8, 60)):
        names = ["schwimmbad", "pmcmc.MPIPool", "pmcmc"] if ensembles == 1 else ["pmcmc"]
        for name, rs in rounds(names, runs, *case, steps, ensembles).items():
            label = f"share, lognormal, 9 ranks, {ensembles} ens."
            print(f"{label:<38}{name:<20}{median(r['share'] for r in rs):>10.3f}")
    rs = rounds(["pmcmc"], runs, "even", 16, 64, 50, 2)["pmcmc"]
    label = "share, even 20 ms, 16 ranks, 2 ens."
    print(f"{label:<38}{'pmcmc':<20}{median(r['share'] for r in rs):>10.3f}")


def main() -> None:
    """Measure and print, or be one contender."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="overhead,speed,share")
    for name in ("contender", "problem"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    for name in ("walkers", "steps", "ensembles"):
        parser.add_argument(f"--{name}", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contender:
        atexit.register(Busy.save)
        took = contend(args.contender, args.problem, args.walkers, args.steps, args.ensembles)
        if took is not None:
            print(json.dumps({"seconds": took, "end": time.time()}), flush=True)
        return
    sys.path.insert(0, str(Path(__file__).parent))
    from serial import calibrate

    os.environ.update(OMP_NUM_THREADS="1", BENCHMARK_LOOPS=str(calibrate()))
    for name in args.only.split(","):
        {"overhead": overhead, "speed": speed, "share": share}[name](args.runs)


if __name__ == "__main__":
    main()
