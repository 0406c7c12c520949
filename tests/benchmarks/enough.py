"""Time and evaluations to "enough", of a default run, on some numbers of ranks.

    OMP_NUM_THREADS=1 python tests/benchmarks/enough.py [--cost 5] [--ranks 1,4,8,16]

A log_prob of 3 correlated parameters that sleeps for so many milliseconds (0: the built-in line,
which does not), and any options of run besides. Seconds are from the first evaluation to the end
of sampling, what it takes to start told apart; "speed-up" is against the first number of ranks,
per rank of those. The draws are the same on any number of ranks. The machine should be idle.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pmcmc

MODEL = """
import time
import numpy as np
from pathlib import Path
parameters = ["a", "b", "c"]
initial = [0.1, 0.2, -0.1]
inverse = np.linalg.inv(0.4 * np.eye(3) + 0.6)
began = Path("began")
def log_prob(theta):
    if not began.exists():
        began.write_text(repr(time.time()))
    time.sleep(COST)
    return -0.5 * float(theta @ inverse @ theta)
"""


def run(ranks: int, cost: float, options: list[str]) -> tuple[float, float, int, int, int]:
    """Return seconds to start and to sample, burn-in, steps of an ensemble, and evaluations."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.py").write_text(MODEL.replace("COST", str(cost / 1e3)))
        command = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(ranks), sys.executable]
        command += ["-m", "pmcmc", "model.py" if cost else "line", "--seed", "1", "--no-progress"]
        command += ["--output", "x.h5", *options]
        started = began = time.time()
        job = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        ended = lines = None
        assert job.stdout is not None
        for line in job.stdout:
            if line.startswith("  cost"):  # the line's own first evaluation leaves no file
                began = time.time()
            if line.startswith("done in"):
                ended, lines = time.time(), line
        if job.wait() or ended is None or "enough draws" not in str(lines):
            raise SystemExit(f"{command} did not end with enough draws: {lines}")
        if (noted := Path(folder, "began")).exists():
            began = float(noted.read_text())
        result = pmcmc.load(Path(folder, "x.h5"))
        evaluations = sum(int(rank["evaluations"]) for rank in result.reader.timings())
        return began - started, ended - began, result.burnin, result.steps[0], evaluations


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cost", type=float, default=5.0, help="milliseconds; 0: the line")
    parser.add_argument("--ranks", default="1,4,8,16")
    parser.add_argument("--options", default="", help="of run")
    args = parser.parse_args()
    print("ranks  start (s)  to enough (s)  burn-in  steps  evaluations  speed-up  of ranks")
    first = None
    for ranks in map(int, args.ranks.split(",")):
        start, seconds, burnin, steps, evaluations = run(ranks, args.cost, args.options.split())
        first = first or (ranks, seconds)
        gain = first[1] / seconds
        print(
            f"{ranks:>5}  {start:>9.1f}  {seconds:>13.1f}  {burnin:>7}  {steps:>5}  "
            f"{evaluations:>11}  {gain:>8.2f}  {gain * first[0] / ranks:>8.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
