"""A likelihood that another program works out: a C program that reads and writes files.

Two ranks that write the same file give wrong values, and nobody sees it: whatever the program
reads or writes is in a folder of this rank's own, pmcmc.scratch().

    make -C examples/external
    mpiexec -n 4 python -m pmcmc examples/external/model.py
"""

import subprocess
from pathlib import Path

import numpy as np

import pmcmc
from pmcmc import stats

PROGRAM = Path(__file__).resolve().with_name("decay")
if not PROGRAM.exists():
    raise SystemExit(f"there is no {PROGRAM}: make -C {PROGRAM.parent}")

random = np.random.default_rng(23)
t = np.arange(0.5, 30.0)
counts = random.poisson(120 * np.exp(-t / 9.0) + 10.0)

parameters = {
    "a": stats.uniform(1.0, 500.0),
    "lifetime": stats.uniform(1.0, 50.0),  # seconds
    "background": stats.uniform(0.1, 50.0),
}
initial = {"a": 120.0, "lifetime": 9.0, "background": 10.0}
nwalkers = 8


def log_likelihood(theta):
    folder = pmcmc.scratch()
    data = folder / "data.txt"
    if not data.exists():
        np.savetxt(data, np.column_stack([t, counts]))
    np.savetxt(folder / "parameters.txt", theta[None])
    done = subprocess.run([PROGRAM], cwd=folder, env=pmcmc.clean_env(), check=False)
    if done.returncode:
        raise RuntimeError(f"decay ended with status {done.returncode}")
    return -0.5 * float((folder / "chi2.txt").read_text())
