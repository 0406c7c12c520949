"""What checking while running costs: runs with a stop rule that is never met, beside runs without.

    python tests/benchmarks/rules.py [--runs 5] [--ranks 2] [--steps 4000]

A log_prob of 1 ms of CPU in 4 dimensions, 4 ensembles of 16 walkers in split. "lazy" asks for more
draws than there will be: each check costs one autocorrelation time. "all" asks for an R-hat that
cannot be, and works out every figure at every check from 50 tau on. The ratio is that of wall
times in the same round; the share is what rank 0 spent in commits and checks. Target: under 2 %.
The machine should be idle.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MODEL = """
import time
parameters = ["a", "b", "c", "d"]
initial = [0.0] * 4
def log_prob(theta):
    end = time.perf_counter() + 1e-3
    while time.perf_counter() < end:
        pass
    return -0.5 * float(theta @ theta)
"""
CASES = {"none": "", "lazy": "--until-ess 1e9", "all": "--until-ess 1 --until-rhat 1.0000000001"}


def run(folder: Path, name: str, ranks: int, steps: int) -> tuple[float, float]:
    """Return rank 0's wall time, and the share of it in commits and checks."""
    import pmcmc

    output = folder / f"{name}.h5"
    command = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(ranks), sys.executable]
    command += ["-m", "pmcmc", "model.py", "--nsteps", str(steps), "--nensembles", "4"]
    command += ["--nwalkers", "16", "--seed", "1", "--overwrite", "--output", str(output)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command + CASES[name].split(), cwd=folder, env=env, capture_output=True, text=True
    )
    if done.returncode != (0 if name == "none" else 3):
        raise SystemExit(done.stdout + done.stderr)
    rank = pmcmc.load(output).reader.timings()[0]
    return float(rank["wall"]), float(rank["writing"] / rank["wall"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4000, help="of all ensembles")
    args = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.py").write_text(MODEL)
        for _ in range(args.runs):
            for name in CASES:
                found[name].append(run(Path(folder), name, args.ranks, args.steps))
    for name, runs in found.items():
        ratios = [r[0] / base[0] for r, base in zip(runs, found["none"], strict=True)]
        print(
            f"{name:<5} {statistics.median(r[0] for r in runs):7.2f} s, "
            f"{statistics.median(ratios):.4f} of no rule "
            f"({min(ratios):.3f} to {max(ratios):.3f}); "
            f"commits and checks {100 * statistics.median(r[1] for r in runs):.2f}% of rank 0",
            flush=True,
        )


if __name__ == "__main__":
    main()
