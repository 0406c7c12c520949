"""Ranks that share a core: the scheduler of each knows it, and no draw does."""

import sys

import pytest

from reference import assert_same_files

SCRIPT = """
import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from pmcmc.__main__ import main
from pmcmc.engine import rank_loop

class Told(rank_loop.Scheduler):
    def __init__(self, size, schedule, several, slowdown):
        super().__init__(size, schedule, several, slowdown)
        print(f"slower by {slowdown:.2f}", flush=True)

rank_loop.Scheduler = Told
sys.exit(main())
"""
MODEL = """
import time
parameters, initial = ["a", "b"], [0.0, 0.0]
def log_prob(theta):
    until = time.perf_counter() + 1e-3
    while time.perf_counter() < until:
        pass
    return -0.5 * float(theta @ theta)
"""
RUN = ["run", "model.py", "--nsteps", "40", "--burnin", "0", "--seed", "3", "--no-progress"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux binds a process to a core")
def test_its_scheduler_counts_messages_as_slower(launch, tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "shared.py").write_text(SCRIPT)
    done = launch(4, "shared.py", *RUN, "--output", "four.h5", cwd=tmp_path)
    assert done.returncode == 0, done
    told = [line for line in done.stdout.splitlines() if line.startswith("slower by ")]
    assert len(told) == 4
    assert all(3 < float(line.split()[-1]) <= 4 for line in told)  # they compute nearly always
    alone = launch(1, "shared.py", *RUN, "--output", "one.h5", cwd=tmp_path)
    assert alone.returncode == 0, alone
    assert "slower by 1.00\n" in alone.stdout
    assert_same_files(tmp_path / "one.h5", tmp_path / "four.h5")
