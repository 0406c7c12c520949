"""A model for pmcmc whose log-likelihood is worked out by another program.

    python -m pmcmc FILE                    one rank
    mpiexec -n 16 python -m pmcmc FILE      sixteen

FIRST: two ranks that write the same file give wrong values, and nobody sees it. Whatever the
program reads and writes must be in a folder of this rank's own: pmcmc.scratch().

This is an example that runs: the program is awk, which fits a straight line to ten points. Put
your own in its place.
"""

import shutil
import subprocess

import numpy as np

import pmcmc
from pmcmc import stats

PROGRAM = shutil.which("awk") or "awk"
CODE = """
{ r = ($2 - (slope * $1 + intercept)) / 0.2; sum += r * r }
END { printf "%.17g\\n", -0.5 * sum }
"""
DATA = "0 1.1\n1 2.9\n2 5.2\n3 6.8\n4 9.1\n5 11.2\n6 12.8\n7 15.1\n8 17.0\n9 18.9\n"

parameters = {
    "slope": stats.norm(0, 10),
    "intercept": stats.uniform(-5, 10),  # uniform(lower, width): here -5 to 5
}
nwalkers = 16


def log_likelihood(theta):
    """Write what the program reads, run it, read what it wrote."""
    folder = pmcmc.scratch()  # of this rank alone; removed when the run ends
    data, out = folder / "data.txt", folder / "out.txt"
    if not data.exists():
        data.write_text(DATA)
    slope, intercept = theta
    command = [PROGRAM, "-v", f"slope={slope:.17g}", "-v", f"intercept={intercept:.17g}", CODE]
    with out.open("w") as stdout:
        # clean_env: a program that uses MPI must not take itself for one of our ranks
        done = subprocess.run(
            [*command, data], stdout=stdout, cwd=folder, env=pmcmc.clean_env(), check=False
        )
    if done.returncode:
        return -np.inf  # be sure that this is what a failure of the program means
    return float(out.read_text())
