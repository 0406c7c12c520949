"""Whole-process time of pmcmc in split beside a plain serial emcee script: a table of ratios.

    python tests/benchmarks/serial.py [--runs 5] [--seconds 60]

Same problem, walkers, total steps and start; burn-in 0. Rivals: emcee in memory, and emcee with
its HDFBackend, which like pmcmc keeps the draws. Runs are paired (one of each in turn); medians
are shown. The machine should be idle. `--seconds` is the work in the 1 ms problem, done serially.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

LINE = """
import numpy as np
from scipy import stats
random = np.random.RandomState(123)
x = np.sort(10 * random.rand(50)); yerr = 0.1 + 0.5 * random.rand(50)
y = -0.9594 * x + 4.294; y += np.abs(0.534 * y) * random.randn(50); y += yerr * random.randn(50)
priors = [stats.uniform(-5, 5.5), stats.uniform(0, 10), stats.uniform(-10, 11)]
p0 = [-1.0, 4.5, -0.8] + 1e-4 * np.random.RandomState(1).randn(100, 3)
def like(theta):
    m, b, log_f = theta
    model = m * x + b
    inv_sigma2 = 1.0 / (yerr**2 + model**2 * np.exp(2 * log_f))
    return -0.5 * np.sum((y - model) ** 2 * inv_sigma2 - np.log(inv_sigma2))
def bounds(theta):
    m, b, log_f = theta
    if not (-5 < m < 0.5 and 0 < b < 10 and -10 < log_f < 1): return -np.inf
    return like(theta)
def with_scipy(theta):
    lp = sum(p.logpdf(t) for p, t in zip(priors, theta))
    return lp + like(theta) if np.isfinite(lp) else -np.inf
"""
BUSY = """
import os
import numpy as np
loops = int(os.environ["BENCHMARK_LOOPS"])
p0 = np.random.RandomState(1).randn(100, 3)
def busy(theta):
    total = 0
    for i in range(loops): total += i
    return -0.5 * float(theta @ theta)
"""
NAMES = 'parameters = ["m", "b", "log_f"]; initial = p0; log_prob = {}'
CASES = {  # problem: (common text, emcee's log_prob, pmcmc's model)
    "line, bounds by hand": (LINE, "bounds", NAMES.format("bounds")),
    "line, scipy priors": (
        LINE,
        "with_scipy",
        'parameters = dict(zip(["m", "b", "log_f"], priors)); initial = p0; log_likelihood = like',
    ),
    "1 ms log_prob": (BUSY, "busy", NAMES.format("busy")),
}
SCRIPT = """
import sys, emcee
backend = emcee.backends.HDFBackend(sys.argv[2]) if len(sys.argv) > 2 else None
sampler = emcee.EnsembleSampler(100, 3, {}, backend=backend)
sampler.run_mcmc(p0, int(sys.argv[1]))
"""


def timed(command: list[str], folder: Path) -> float:
    """Return the seconds that a command takes, start-up and all."""
    for old in folder.glob("*.h5"):
        old.unlink()
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def commands(steps: int) -> dict[str, list[str]]:
    """Return how each contender is run for ``steps`` steps of 100 walkers in total."""
    mpiexec = str(Path(sys.executable).parent / "mpiexec")
    pmcmc = [sys.executable, "-m", "pmcmc", "model.py", "--burnin", "0", "--nsteps", str(steps)]
    return {
        "emcee": [sys.executable, "plain.py", str(steps)],
        "emcee + HDFBackend": [sys.executable, "plain.py", str(steps), "plain.h5"],
        "pmcmc, 1 rank": pmcmc,
        "pmcmc, 2 ranks": [mpiexec, "-n", "2", *pmcmc],
    }


def calibrate() -> int:
    """Return the loops of the busy problem that take 1 ms."""
    loops, best = 20000, float("inf")
    for _ in range(20):
        began = time.perf_counter()
        total = 0
        for i in range(loops):
            total += i
        best = min(best, time.perf_counter() - began)
    return int(loops * 1e-3 / best)


def measure(steps: int, runs: int, folder: Path) -> dict[str, list[float]]:
    """Return the seconds of each contender, run after run in turn."""
    contenders = commands(steps)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, command in contenders.items():
            seconds[name].append(timed(command, folder))
    return seconds


def median_ratio(a: list[float], b: list[float]) -> float:
    """Return the median of the paired ratios a / b."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=textwrap.dedent(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60, help="work in the 1 ms problem")
    parser.add_argument("--steps", type=int, default=5000, help="steps of the line problem")
    args = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", BENCHMARK_LOOPS=str(calibrate()))
    head = f"{'problem':<22}{'contender':<20}{'seconds':>9}{'start-up':>10}"
    print(head + f"{'/ emcee':>9}{'/ HDF':>7}{'/ emcee, less start-up':>24}")
    for name, (common, function, model) in CASES.items():
        steps = args.steps if common is LINE else max(10, round(args.seconds * 10))
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            (folder / "plain.py").write_text(common + SCRIPT.format(function))
            (folder / "model.py").write_text(common + model + "\n")
            start = measure(2, args.runs, folder)
            took = measure(steps, args.runs, folder)
        for contender, seconds in took.items():
            rate = [max(s - statistics.median(start[contender]), 1e-9) for s in seconds]
            base = [s - statistics.median(start["emcee"]) for s in took["emcee"]]
            print(
                f"{name:<22}{contender:<20}{statistics.median(seconds):>9.2f}"
                f"{statistics.median(start[contender]):>10.2f}"
                f"{median_ratio(seconds, took['emcee']):>9.3f}"
                f"{median_ratio(seconds, took['emcee + HDFBackend']):>7.3f}"
                f"{median_ratio(rate, base):>24.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
