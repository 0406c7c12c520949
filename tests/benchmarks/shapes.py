"""--mode auto beside every fixed shape of as many ensembles: wall time of the same draws.

    OMP_NUM_THREADS=1 python tests/benchmarks/shapes.py [--ranks 2,4,8,16] [--rounds 3]
    python tests/benchmarks/shapes.py --problems "3 ms,5 ms 0.5" --seed 2 --ndim 5 --nwalkers 40
    python tests/benchmarks/shapes.py --simulate

A cheap log_prob; ones that sleep 1 ms, 20 ms, and an uneven time (lognormal, 20 ms on average); a
vectorized one. By --problems others: "3 ms" sleeps 3 ms, "5 ms 0.5" a lognormal time of 5 ms on
average whose logarithm has a standard deviation of 0.5. Four ensembles of 32 walkers, as auto has
by itself. Times are medians of rounds, each of which begins with another shape; "auto/best" is
auto's over the least of the fixed numbers of teams, and at most 1.1 is wanted. With --simulate the
planner's figures for 1 to 64 ranks, in place of runs. The machine should be idle.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import re
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
parameters = [f"p{i}" for i in range(NDIM)]
initial = [0.1] * NDIM
"""
SLEEPS = (
    HEAD
    + """
def log_prob(theta):
    time.sleep(SECONDS)
    return -0.5 * float(theta @ theta)
"""
)
UNEVEN = (
    HEAD
    + """
def log_prob(theta):
    z = np.random.RandomState(int(np.abs(theta).sum() * 1e9) % 2**32).standard_normal()
    time.sleep(SECONDS * np.exp(SIGMA * z - SIGMA**2 / 2))
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
    "vectorized": (VECTORIZED, CallCost((1e-5,), 1e-7), 20_000),
}
NENSEMBLES = 4
STANDARD = "cheap,1 ms,20 ms,uneven,vectorized"


def problem_of(name: str) -> tuple[str, CallCost, float]:
    """Return the text of a model, its cost, and evaluations of a second of work."""
    if name in PROBLEMS:
        return PROBLEMS[name]
    found = re.fullmatch(r"([\d.]+) ms(?: ([\d.]+))?", "20 ms 1" if name == "uneven" else name)
    if found is None:
        raise SystemExit(f"a problem is one of {STANDARD}, or as '3 ms' or '5 ms 0.5', not {name}")
    seconds, sigma = float(found[1]) / 1e3, float(found[2] or 0)
    each = seconds + 1e-4  # a sleep lasts longer
    if not sigma:
        return f"SECONDS = {seconds}\n" + SLEEPS, CallCost((each,)), 1 / each
    cost = CallCost(lognormal(each, each * math.sqrt(math.expm1(sigma**2))))
    return f"SECONDS, SIGMA = {seconds}, {sigma}\n" + UNEVEN, cost, 1 / each


def seconds_of(folder: Path, ranks: int, steps: int, more: list[str]) -> float:
    """Return the seconds of a run."""
    command = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(ranks), sys.executable]
    command += ["-m", "pmcmc", "model.py", "--no-progress", "--overwrite", "--burnin", "0"]
    command += ["--nsteps", str(steps), *more]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, env=env, capture_output=True, check=True)
    with h5py.File(folder / "model.h5") as file:
        return float(file.attrs["timings"]["wall"].max())


def fixed(ranks: int) -> list[int]:
    """Return the numbers of teams that there can be."""
    return list(range(1, min(ranks, NENSEMBLES) + 1))


def measure(args: argparse.Namespace) -> None:
    """Print the table of real runs."""
    same = ["--seed", str(args.seed), "--nwalkers", str(args.nwalkers)]
    for name, n in itertools.product(args.problems.split(","), map(int, args.ranks.split(","))):
        text, _, rate = problem_of(name)
        useful = min(n, 16) if rate < 2500 else 1
        steps = NENSEMBLES * max(
            10, round(args.seconds * rate * useful / args.nwalkers / NENSEMBLES)
        )
        shapes = {t: ["--teams", str(t), "--nensembles", str(NENSEMBLES)] for t in fixed(n)}
        shapes[0] = []  # auto
        order = sorted(shapes)
        taken: dict[int, list[float]] = {t: [] for t in shapes}
        with tempfile.TemporaryDirectory() as where:
            folder = Path(where)
            (folder / "model.py").write_text(f"NDIM = {args.ndim}\n{text}")
            for turn in range(args.rounds):
                for t in order[turn % len(order) :] + order[: turn % len(order)]:
                    taken[t].append(seconds_of(folder, n, steps, same + shapes[t]))
        teams = {t: statistics.median(some) for t, some in taken.items()}
        auto = teams.pop(0)
        told = "  ".join(f"{t}: {s:.2f}" for t, s in sorted(teams.items()))
        ratio = auto / min(teams.values())
        print(f"{name:<11}{n:>5}  {auto:>7.2f} s {ratio:>7.2f}   {told}", flush=True)


def simulate(args: argparse.Namespace, ranks: list[int]) -> None:
    """Print the table of the planner's figures."""
    options = RunOptions(nwalkers=args.nwalkers)
    for name in args.problems.split(","):
        text, call, _ = problem_of(name)
        with tempfile.TemporaryDirectory() as where:
            (Path(where) / "model.py").write_text(f"NDIM = {args.ndim}\n{text}")
            problem = Problem.load(str(Path(where) / "model.py"))
            forecaster = Forecaster(problem, options, call, SystemCost())
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
    parser.add_argument("--problems", default=STANDARD)
    parser.add_argument("--ranks", default="2,4,8,16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of a run, about")
    parser.add_argument("--ndim", type=int, default=3)
    parser.add_argument("--nwalkers", type=int, default=32)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--simulate", action="store_true")
    args = parser.parse_args()
    print("problem    ranks     auto  auto/best   seconds by number of teams")
    if args.simulate:
        simulate(args, [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64])
    else:
        measure(args)


if __name__ == "__main__":
    main()
