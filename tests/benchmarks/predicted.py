"""What the planner predicts beside what runs take: wall time of 30 shapes, in one table.

    OMP_NUM_THREADS=1 python tests/benchmarks/predicted.py [--only 16] [--seconds 6]

A log_prob of 3 parameters that sleeps, evenly or for a time that follows from theta (lognormal).
The cost is timed in a process of its own, as `pmcmc plan` does it; the machine's figures are the
planner's defaults. "seconds" are those of sampling, as a run prints them. Targets: a median error
keeps them; evaluations of the start are counted as they were. Targets: a median error below 10%,
the worst below 25%. The machine should be idle.
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
from pmcmc.planner.costs import SystemCost
from pmcmc.prepare.forecast import Forecaster
from pmcmc.prepare.timing import time_log_prob

MODEL = """
import time
from statistics import NormalDist
import numpy as np
parameters = ["a", "b", "c"]
initial = [0.1, 0.2, -0.1]
def log_prob(theta):
    u = (abs(theta[0]) * 1e7) % 1.0
    sigma = SIGMA
    z = NormalDist().inv_cdf(min(max(u, 1e-4), 1 - 1e-4))
    time.sleep(COST * np.exp(sigma * z - sigma * sigma / 2))
    return -0.5 * float(theta @ theta)
"""
NWALKERS = 32
# ranks, ensembles, options, cost in ms, sigma of its logarithm
SHAPES: list[tuple[int, int, list[str], float, float]] = [
    (1, 1, [], 5, 0),
    (1, 4, [], 5, 1),
    (2, 1, ["--mode", "pool"], 5, 0),
    (2, 2, ["--mode", "split"], 5, 0),
    (2, 4, [], 10, 1),
    (2, 8, [], 5, 0.5),
    (3, 4, [], 10, 0),
    (3, 2, ["--mode", "pool"], 10, 0.5),
    (4, 4, [], 10, 0),
    (4, 4, [], 10, 1),
    (4, 1, ["--mode", "pool"], 10, 0),
    (4, 1, ["--mode", "pool"], 10, 1),
    (4, 2, ["--teams", "2"], 10, 0),
    (4, 4, ["--teams", "2"], 10, 1),
    (4, 8, [], 10, 0.5),
    (6, 4, [], 20, 0),
    (6, 4, [], 20, 1),
    (8, 1, ["--mode", "pool"], 20, 0),
    (8, 1, ["--mode", "pool"], 20, 1),
    (8, 4, [], 20, 0),
    (8, 4, [], 20, 1),
    (8, 8, [], 20, 0.5),
    (8, 8, ["--mode", "pool"], 20, 1),
    (8, 4, ["--teams", "2"], 20, 0.5),
    (12, 4, [], 40, 0),
    (12, 4, [], 40, 1),
    (16, 4, [], 50, 0),
    (16, 4, [], 50, 1),
    (16, 8, ["--teams", "4"], 50, 0.5),
    (16, 1, ["--mode", "pool"], 50, 0),
]


def measured(folder: Path, ranks: int, options: list[str]) -> tuple[float, int]:
    """Return the seconds of sampling of a run on real ranks, and its evaluations."""
    command = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(ranks), sys.executable]
    command += ["-m", "pmcmc", "model.py", "--seed", "1", "--no-progress", "--overwrite", *options]
    subprocess.run(
        command, cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    with h5py.File(folder / "model.h5") as file:
        times = file.attrs["timings"]
    return float(times["wall"].max()), int(times["evaluations"].sum())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=int, help="this number of ranks")
    parser.add_argument("--seconds", type=float, default=6.0, help="of a run, about")
    args = parser.parse_args()
    print("ranks ensembles  options            cost (ms) sigma  predicted measured   error")
    errors = []
    for ranks, ensembles, given, cost, sigma in SHAPES:
        if args.only is not None and ranks != args.only:
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            model = folder / "model.py"
            model.write_text(
                MODEL.replace("COST", str(cost / 1e3)).replace("SIGMA", str(float(sigma)))
            )
            problem = Problem.load(str(model))
            call = time_log_prob(problem, NWALKERS)
            step = NWALKERS * ensembles * cost / 1e3 / ranks
            steps = max(10, round(args.seconds / step))
            options = ["--nwalkers", NWALKERS, "--nensembles", ensembles, "--burnin", 0]
            options += ["--nsteps", steps * ensembles, *given]
            asked = {"nwalkers": NWALKERS, "nensembles": ensembles, "burnin": 0}
            asked |= {"nsteps": steps * ensembles}
            for key, value in zip(given[::2], given[1::2], strict=True):
                asked[key[2:]] = int(value) if value.isdigit() else value
            forecaster = Forecaster(problem, RunOptions(**asked), call, SystemCost())
            told = forecaster.seconds(ranks)
            took, evaluations = measured(folder, ranks, [str(word) for word in options])
            # those of the start: the walkers' own, and points at which a ball is fitted
            told += (evaluations - NWALKERS * steps * ensembles) * call.mean / ranks
        errors.append(abs(told / took - 1))
        print(
            f"{ranks:>5} {ensembles:>9}  {' '.join(given):<18} {cost:>9g} {sigma:>5g}  "
            f"{told:>9.2f} {took:>8.2f} {told / took - 1:>+7.1%}",
            flush=True,
        )
    print(f"median error {statistics.median(errors):.1%}, worst {max(errors):.1%}")


if __name__ == "__main__":
    main()
