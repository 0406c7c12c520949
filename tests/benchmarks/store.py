"""What keeping the draws costs, beside emcee's HDFBackend; rank 0's memory; waits for the gather.

    python tests/benchmarks/store.py [--runs 3] [--ranks 2] [--seconds 150] [--rows 1500]

One problem, 100 walkers in 3 dimensions. Its tables:

- Cost per step: all that rank 0 does for the file (taking rows, gathering, commits, fsync) over
  its steps, at the default --checkpoint, in runs of --seconds; emcee's is the time in
  HDFBackend.save_step and grow, in a plain run right after each. Target: at most 1/50.
- Checksums: their share of a commit.
- Waiting: the share of its sampling time that each team root spends in the gather, or held up for
  it; rank 0's time for commits apart. Target: under 2 %.
- Memory: rank 0's peak (ru_maxrss) of `python -m pmcmc` with wide rows, for --rows rows of 0.25 MB
  and ten times as many; once without the summary at the end. Target: within 5 %.

The machine should be idle. The model file wraps what it measures; pmcmc itself knows nothing
of it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

PROBLEM = """
import numpy as np
ndim, nwalkers = int(os.environ["NDIM"]), int(os.environ["NWALKERS"])
parameters = [f"p{i}" for i in range(ndim)]
initial = np.random.RandomState(1).randn(nwalkers, ndim)
vectorized = "WIDE" in os.environ
def log_prob(theta):
    return -0.5 * (theta**2).sum(axis=-1)
"""
MODEL = (
    """
import atexit, collections, json, os, resource, time
import pmcmc.cli.main, pmcmc.sampler.ensemble, pmcmc.mpi.gather
import pmcmc.engine.coordinator, pmcmc.engine.rank_loop, pmcmc.storage.checkpoint
"""
    + PROBLEM
    + """
if "QUIET" in os.environ:  # the summary that the command line prints reads all draws
    pmcmc.results.result.Result.assess = lambda self, summary: ""
    pmcmc.results.result.Result.summary = lambda self: type("", (), {"acceptance_fraction": 0.0})()
seconds, steps, inside = collections.Counter(), [0], []

def timed(where, name, label):
    real = getattr(where, name)
    def method(*args, **kwargs):
        began = time.perf_counter()
        inside.append(0.0)
        try:
            return real(*args, **kwargs)
        finally:
            took = time.perf_counter() - began
            own = took - inside.pop()  # what is timed within is not counted twice
            seconds[label] += own
            if inside:
                inside[-1] += took
            steps[0] += label == "rows"
    setattr(where, name, method)

timed(pmcmc.sampler.emcee_sampler.Recorder, "save_step", "rows")
timed(pmcmc.sampler.ensemble.Ensemble, "take_block", "rows taken")
timed(pmcmc.mpi.gather.BlockGather, "join", "gather")
timed(pmcmc.mpi.gather.BlockGather, "poll", "gather")
timed(pmcmc.engine.coordinator.Coordinator, "commit", "commit")
timed(pmcmc.storage.checkpoint, "add_rows", "checksums")
if not vectorized:
    timed(pmcmc.engine.rank_loop.RankLoop, "_mind_memory", "held up")
timed(pmcmc.engine.rank_loop.RankLoop, "_sample", "sampling")

def tell():
    rank = next((os.environ[k] for k in ("PMI_RANK", "OMPI_COMM_WORLD_RANK") if k in os.environ))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"seconds": seconds, "steps": steps[0], "peak": peak}
    with open(f"rank-{rank}.json", "w") as file:
        json.dump(found, file)
atexit.register(tell)
"""
)
PLAIN = (
    """
import os, sys, time
import emcee
"""
    + PROBLEM
    + """
spent = 0.0
class Timed(emcee.backends.HDFBackend):
    def save_step(self, *args):
        global spent
        began = time.perf_counter()
        super().save_step(*args)
        spent += time.perf_counter() - began
    def grow(self, *args):
        global spent
        began = time.perf_counter()
        super().grow(*args)
        spent += time.perf_counter() - began
steps = int(sys.argv[1])
sampler = emcee.EnsembleSampler(nwalkers, ndim, log_prob, backend=Timed("plain.h5"))
sampler.run_mcmc(initial, steps)
print(spent / steps)
"""
)


PARTS = ("rows", "rows taken", "gather", "commit", "checksums")


def pmcmc(folder: Path, ranks: int, *options: object, **env: str) -> list[dict[str, Any]]:
    """Run pmcmc; return what each rank told."""
    for old in [*folder.glob("*.h5"), *folder.glob("rank-*.json")]:
        old.unlink()
    mpiexec = str(Path(sys.executable).parent / "mpiexec")
    command = [mpiexec, "-n", str(ranks), sys.executable, "-m", "pmcmc", "model.py"]
    done = subprocess.run(
        [*command, "--seed", "1", "--no-progress", *map(str, options)],
        cwd=folder,
        env=os.environ | env,
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, 75):
        raise SystemExit(done.stderr)
    return [json.loads((folder / f"rank-{r}.json").read_text()) for r in range(ranks)]


def cost_and_waits(folder: Path, runs: int, ranks: int, seconds: float) -> None:
    """Print the first two tables."""
    ours, theirs, commits, waits, sums = [], [], [], [], []
    parts: list[list[float]] = []
    for _ in range(runs):
        same = ("--burnin", 100, "--moves", "stretch")  # emcee's work, and no checks
        options = ("--nsteps", 10**7, "--max-time", seconds, *same)
        told = pmcmc(folder, ranks, *options, NWALKERS="100")
        spent = told[0]["seconds"]
        parts.append([spent.get(k, 0) / told[0]["steps"] for k in PARTS])
        ours.append(sum(parts[-1]))
        whole = spent["commit"] + spent["checksums"]
        commits.append(whole / sum(spent.values()))
        sums.append(spent["checksums"] / whole)
        for rank in told:
            held = rank["seconds"].get("gather", 0) + rank["seconds"].get("held up", 0)
            waits.append(held / sum(rank["seconds"].values()))
        (folder / "plain.h5").unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "plain.py", "2000"],
            cwd=folder,
            env=os.environ | {"NWALKERS": "100"},
            check=True,
            capture_output=True,
            text=True,
        )
        theirs.append(float(done.stdout))
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    print(f"cost per step of 100 walkers, medians of {runs} runs of {seconds:.0f} s")
    print(f"  pmcmc, rank 0 of {ranks}       {1e6 * statistics.median(ours):9.1f} us")
    for name, values in zip(PARTS, zip(*parts, strict=True), strict=True):
        print(f"    {name:<23}{1e6 * statistics.median(values):9.1f} us")
    print(f"  emcee's HDFBackend       {1e6 * statistics.median(theirs):9.1f} us")
    print(f"  ratio                     1 / {statistics.median(ratios):.0f}  (target 1 / 50)")
    print("share of the sampling time, largest of all ranks and runs")
    print(f"  in the gather, or held up{max(waits):10.3%}  (target under 2 %)")
    print(f"  rank 0: commits          {max(commits):10.3%}")
    print(f"share of a commit for checksums{max(sums):9.3%}, largest of all runs", flush=True)


def memory(folder: Path, runs: int, ranks: int, rows: int) -> None:
    """Print the third table."""
    print("rank 0's peak memory, MB")
    for what, env in (("python -m pmcmc", {}), ("  without the summary", {"QUIET": "1"})):
        peaks: dict[int, list[float]] = {1: [], 10: []}
        for _ in range(runs):
            for times, found in peaks.items():
                options = ["--nsteps", rows * times, "--burnin", 0, "--nwalkers", 1024]
                wide = {"NDIM": "30", "NWALKERS": "1024", "WIDE": "1"}
                told = pmcmc(folder, ranks, *options, **wide, **env)
                found.append(told[0]["peak"] / 1024)
        one, ten = (statistics.median(found) for found in peaks.values())
        print(
            f"  {what:<24}{rows} rows {one:7.1f}   {10 * rows} rows {ten:7.1f}   "
            f"{ten / one - 1:+.1%}  (target within 5 %)",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=textwrap.dedent(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=150, help="length of each run")
    parser.add_argument("--rows", type=int, default=1500, help="of the shorter run for the memory")
    args = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", NDIM="3")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "model.py").write_text(MODEL)
        (folder / "plain.py").write_text(PLAIN)
        cost_and_waits(folder, args.runs, args.ranks, args.seconds)
        memory(folder, args.runs, args.ranks, args.rows)


if __name__ == "__main__":
    main()
