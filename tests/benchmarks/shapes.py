"""--mode auto beside every fixed shape of as many ensembles: wall time of the same draws.

    OMP_NUM_THREADS=1 python tests/benchmarks/shapes.py [--ranks 2,4,8,16] [--rounds 3]
    python tests/benchmarks/shapes.py --simulate

A cheap log_prob; ones that sleep 1 ms, 20 ms, and an uneven time (lognormal, 20 ms on average); a
vectorized one. Four ensembles of 32 walkers, as auto has by itself. Times are medians of rounds,
each of which begins with another shape; "auto/best" is auto's over the least of the fixed numbers
of teams, and at most 1.1 is wanted. With --simulate the planner's figures for 1 to 64 ranks, in
place of runs. The machine should be idle.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py

from pmcmc.model.problem import Problem
from pmcmc.options import RunOptions
from pmcmc.planner.costs import CallCost, SystemCost, lognormal
from pmcmc.planner.steps import Length
from pmcmc.prepare.forecast import Forecaster, shape_of

HEAD = """
import time
import numpy as np
parameters, initial = ["a", "b", "c"], [0.1, 0.2, -0.1]
"""
SLEEPS = (
    HEAD
    + """
def log_prob(theta):
    time.sleep({seconds})
    return -0.5 * float(theta @ theta)
"""
)
UNEVEN = (
    HEAD
    + """
def log_prob(theta):
    z = np.random.RandomState(int(np.abs(theta).sum() * 1e9) % 2**32).standard_normal()
    time.sleep(0.02 * np.exp(z - 0.5))
    return -0.5 * float(theta @ theta)
"""
)
CHEAP = HEAD + "\ndef log_prob(theta): return -0.5 * float(theta @ theta)\n"
VECTORIZED = (
    HEAD
    + """
vectorized = True
def log_prob(theta):
    return -0.5 * np.einsum("ij,ij->i", theta, theta)
"""
)
# text of the model, its cost, and evaluations of a second of work
PROBLEMS: dict[str, tuple[str, CallCost, int]] = {
    "cheap": (CHEAP, CallCost((6e-6,)), 15_000),
    "1 ms": (SLEEPS.format(seconds=0.001), CallCost((0.00108,)), 900),
    "20 ms": (SLEEPS.format(seconds=0.02), CallCost((0.0201,)), 50),
    "uneven": (UNEVEN, CallCost(lognormal(0.0202, 0.026)), 50),
    "vectorized": (VECTORIZED, CallCost((1e-5,), 1e-7), 20_000),
}
NENSEMBLES, NWALKERS = 4, 32


def seconds_of(folder: Path, ranks: int, steps: int, more: list[str]) -> float:
    """Return the seconds of a run."""
    command = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(ranks), sys.executable]
    command += ["-m", "pmcmc", "model.py", "--no-progress", "--overwrite", "--burnin", "0"]
    command += ["--nsteps", str(steps), "--seed", "11", *more]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, env=env, capture_output=True, check=True)
    with h5py.File(folder / "model.h5") as file:
        return float(file.attrs["timings"]["wall"].max())


def fixed(ranks: int) -> list[int]:
    """Return the numbers of teams that there can be."""
    return list(range(1, min(ranks, NENSEMBLES) + 1))


def measure(names: list[str], ranks: list[int], seconds: float, rounds: int) -> None:
    """Print the table of real runs."""
    for name in names:
        text, _, rate = PROBLEMS[name]
        for n in ranks:
            useful = min(n, 16) if rate < 1000 else 1
            steps = NENSEMBLES * max(10, round(seconds * rate * useful / NWALKERS / NENSEMBLES))
            shapes = {0: [], **{t: ["--teams", str(t), "--nensembles", "4"] for t in fixed(n)}}
            taken: dict[int, list[float]] = {t: [] for t in shapes}  # 0: auto
            with tempfile.TemporaryDirectory() as where:
                folder = Path(where)
                (folder / "model.py").write_text(text)
                for turn in range(rounds):
                    order = list(shapes)
                    for t in order[turn % len(order) :] + order[: turn % len(order)]:
                        taken[t].append(seconds_of(folder, n, steps, shapes[t]))
            teams = {t: statistics.median(some) for t, some in taken.items()}
            auto = teams.pop(0)
            told = "  ".join(f"{t}: {s:.2f}" for t, s in teams.items())
            ratio = auto / min(teams.values())
            print(f"{name:<11}{n:>5}  {auto:>7.2f} s {ratio:>7.2f}   {told}", flush=True)


def simulate(ranks: list[int]) -> None:
    """Print the table of the planner's figures."""
    for name, (text, call, _) in PROBLEMS.items():
        with tempfile.TemporaryDirectory() as where:
            (Path(where) / "model.py").write_text(text)
            problem = Problem.load(str(Path(where) / "model.py"))
            forecaster = Forecaster(problem, RunOptions(), call, SystemCost())
        for n in ranks:
            length = Length(0, 200)
            auto = forecaster.taken(forecaster.plan(n), length)
            teams = {
                t: forecaster.taken(forecaster.plan(n, nensembles=NENSEMBLES, teams=t), length)
                for t in fixed(n)
            }
            best = min(teams.values())
            told = "  ".join(f"{t}: {s:.2f}" for t, s in teams.items())
            shape = shape_of(forecaster.plan(n)).teams
            print(f"{name:<11}{n:>5}  {auto:>7.2f} s {auto / best:>7.2f}   {told}   {len(shape)}")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--ranks", default="2,4,8,16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of a run, about")
    parser.add_argument("--simulate", action="store_true")
    args = parser.parse_args()
    print("problem    ranks     auto  auto/best   seconds by number of teams")
    if args.simulate:
        simulate([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64])
    else:
        ranks = [int(n) for n in args.ranks.split(",")]
        measure(args.problems.split(","), ranks, args.seconds, args.rounds)


if __name__ == "__main__":
    main()
