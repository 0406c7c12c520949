"""pmcmc's pool beside its rivals: overhead, speed-up and use of the ranks, in one table.

    pip install '.[mpich]' ipyparallel zeus-mcmc     # ipyparallel and zeus for their rows only
    python tests/benchmarks/pool.py [--runs 3] [--only overhead,speed,share,vectorized]

Every contender runs the same emcee problem on the same ranks, in a process tree of its own that
times the sampling alone (see `contenders.py`); contenders take turns, and medians of paired runs
are shown. The machine should be idle. Overhead is wall time per evaluation less that of serial
emcee in the same round.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

EMPTY = np.empty((0, 2))
WITHOUT_MPI = ("serial", "multiprocessing", "ipyparallel pool", "ipyparallel chains")
STEPS = {  # of 100 walkers where an evaluation costs nothing: quick ones need more
    "serial": 2000,
    "pmcmc": 2000,
    "pmcmc.MPIPool": 2000,
    "ipyparallel pool": 20,
}


def run(name: str, problem: str, ranks: int, walkers: int, steps: int, ensembles: int = 1) -> dict:
    """Run a contender; return its seconds, and the share of all ranks' time in log_prob."""
    here = Path(__file__).parent
    command = [sys.executable, str(here / "contenders.py"), name, problem]
    command += [str(walkers), str(steps), str(ensembles)]
    if name not in WITHOUT_MPI:
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


def show(measure: str, name: str, values: list[float], text: str = "") -> None:
    """Print a row: the median, and the least and the largest."""
    middle = statistics.median(values)
    spread = f"{min(values):.3f} to {max(values):.3f}"
    print(f"{measure:<38}{name:<24}{middle:>10.3f}   {spread:<22}{text}", flush=True)


RIVALS = ["schwimmbad", "mpi4py.futures", "multiprocessing", "ipyparallel pool"]


def overhead(runs: int) -> None:
    """Print microseconds per evaluation over serial emcee, and the ratio to schwimmbad."""
    names = ["serial", *RIVALS, "pmcmc.MPIPool", "pmcmc"]
    for problem in ("trivial", "with_data"):
        for ranks in (2, 3):
            each: dict[str, list[float]] = {name: [] for name in names}
            for _ in range(runs):
                for name in names:
                    steps = STEPS.get(name, 100)
                    seconds = run(name, problem, ranks, 100, steps)["seconds"]
                    each[name].append(seconds / steps / 100 * 1e6)
            over = {
                name: [v - b for v, b in zip(values, each["serial"], strict=True)]
                for name, values in each.items()
            }
            for name in names[1:]:
                ratio = statistics.median(over[name]) / statistics.median(over["schwimmbad"])
                measure = f"overhead us, {problem}, {ranks} ranks"
                show(measure, name, over[name], f"{ratio:.4f} x schwimmbad")


def speed(runs: int) -> None:
    """Print the speed-up over serial emcee on 2 ranks, 1 ms of CPU per evaluation."""
    names = ["serial", *RIVALS, "ipyparallel chains", "pmcmc.MPIPool"]
    names += ["pmcmc", "pmcmc on demand", "pmcmc split"]
    speed_up("speed-up, 1 ms CPU, 2 ranks", names, runs, "one_ms", 2, 100, 120)
    names = ["serial", "pmcmc", "pmcmc on demand"]
    speed_up("speed-up, 1 ms CPU, 2 ranks, 4 ens.", names, runs, "one_ms", 2, 100, 40, 4)


def vectorized(runs: int) -> None:
    """Print the speed-up of vectorized runs on 2 ranks over serial scalar emcee."""
    names = ["serial", "pmcmc vectorized pool"]
    speed_up("speed-up, vectorized line, 2 ranks", names, runs, "line", 2, 100, 2000)
    names = ["serial", "pmcmc vectorized split"]
    speed_up("speed-up, vectorized line, 2 ranks", names, runs, "line", 2, 100, 2000, 2)


def speed_up(measure: str, names: list[str], runs: int, *case: Any) -> None:
    """Print serial emcee's time over each contender's, for the same number of evaluations."""
    found = rounds(names, runs, *case)
    ensembles = case[4] if len(case) > 4 else 1
    for name in names[1:]:
        pairs = zip(found[name], found["serial"], strict=True)
        show(measure, name, [ensembles * s["seconds"] / r["seconds"] for r, s in pairs])


def share(runs: int) -> None:
    """Print the share of all ranks' time in log_prob."""
    for ensembles in (1, 4, 8):
        names = ["schwimmbad", "pmcmc.MPIPool"] if ensembles == 1 else ["zeus ChainManager"]
        names = [name for name in names if ensembles < 8]  # zeus wants two ranks for a chain
        found = rounds([*names, "pmcmc"], runs, "lognormal", 9, 32, 60, ensembles)
        for name, results in found.items():
            measure = f"share, lognormal, 9 ranks, {ensembles} ens."
            show(measure, name, [r["share"] for r in results])
    results = rounds(["pmcmc"], runs, "even", 16, 64, 50, 2)["pmcmc"]
    show("share, even 20 ms, 16 ranks, 2 ens.", "pmcmc", [r["share"] for r in results])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="overhead,speed,share,vectorized")
    args = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    from serial import calibrate

    os.environ.update(OMP_NUM_THREADS="1", BENCHMARK_LOOPS=str(calibrate()))
    measures = {"overhead": overhead, "speed": speed, "share": share, "vectorized": vectorized}
    print(f"{'measure':<38}{'contender':<24}{'median':>10}   {'least to most':<22}")
    for name in args.only.split(","):
        measures[name](args.runs)


if __name__ == "__main__":
    main()
