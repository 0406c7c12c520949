"""What a step costs beside emcee's own: the sampling loop alone, a cheap vectorized log_prob.

    OMP_NUM_THREADS=1 python tests/benchmarks/step.py [--runs 5] [--evaluations 10000000]

Plain emcee in memory, pmcmc on one rank, and in split on two, take as many evaluations of the same
log_prob with the same moves and walkers. Seconds are those of the loop: emcee's run_mcmc, and what
the file tells of rank 0, commits included. Medians of paired runs. Targets: at most 1.05 of
emcee's time on one rank, on two at least 1.9 times as fast as on one. The machine should be idle.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import h5py

NWALKERS = 100
MODEL = """
import numpy as np
parameters, initial, vectorized = ["a", "b", "c"], [0.1, 0.2, -0.1], True
def log_prob(theta):
    return -0.5 * np.einsum("ij,ij->i", theta, theta)
"""
EMCEE = """
import time
import emcee, numpy as np
from model import log_prob
from pmcmc.sampler.moves import parse_moves
moves = parse_moves("{moves}")
sampler = emcee.EnsembleSampler({nwalkers}, 3, log_prob, vectorize=True, moves=moves)
sampler.random_state = np.random.RandomState(1).get_state()
start = 0.1 * np.random.default_rng(1).standard_normal(({nwalkers}, 3))
began = time.perf_counter()
sampler.run_mcmc(start, {steps})
print(time.perf_counter() - began)
"""


def emcee(folder: Path, steps: int, moves: str) -> float:
    """Return the seconds of plain emcee."""
    text = textwrap.dedent(EMCEE).format(nwalkers=NWALKERS, steps=steps, moves=moves)
    (folder / "plain.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "plain.py"], cwd=folder, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def pmcmc(folder: Path, steps: int, moves: str, ranks: int) -> float:
    """Return the seconds of pmcmc."""
    launch = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
    command = [*launch, sys.executable, "-m", "pmcmc", "model.py", "--no-progress", "--overwrite"]
    command += ["--mode", "split", "--burnin", "0", "--nsteps", str(steps), "--seed", "1"]
    command += ["--nwalkers", str(NWALKERS), "--moves", moves]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, env=env, capture_output=True, check=True)
    with h5py.File(folder / "model.h5") as file:
        return float(file.attrs["timings"]["wall"].max())


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=10_000_000)
    parser.add_argument("--moves", default="stretch;auto")
    args = parser.parse_args()
    steps = args.evaluations // NWALKERS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.py").write_text(MODEL)
        for moves in args.moves.split(";"):
            plain, one, two = [], [], []
            for _ in range(args.runs):
                plain.append(emcee(folder, steps, moves))
                one.append(pmcmc(folder, steps, moves, 1))
                two.append(pmcmc(folder, steps, moves, 2))
            over = statistics.median(b / a for a, b in zip(plain, one, strict=True))
            faster = statistics.median(b / a for a, b in zip(two, one, strict=True))
            print(
                f"{moves:<8} emcee {statistics.median(plain):.2f} s, one rank "
                f"{statistics.median(one):.2f} s ({over:.3f} of it), two ranks "
                f"{statistics.median(two):.2f} s ({faster:.2f} times as fast as one)",
                flush=True,
            )


if __name__ == "__main__":
    main()
