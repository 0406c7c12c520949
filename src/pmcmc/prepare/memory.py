"""What memory the ranks of a run take, as far as it can be told beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..model.checks import call_initial
from ..model.problem import Problem
from .plan import Plan

# measured on Linux, MPICH and Open MPI: Python with numpy, emcee, h5py and MPI; scipy.optimize,
# which a search for the start needs; what rank 0 loads besides, and holds of an ensemble
_RANK, _SEARCH = 80_000_000, 45_000_000
_ROOT, _ENSEMBLE = 60_000_000, 300_000


@dataclass(frozen=True)
class Memory:
    """Bytes of a rank, and of rank 0, whose memory does not grow with the run."""

    rank: int
    root: int


def resident() -> int:
    """Return the bytes of memory that this process takes; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    except (OSError, ValueError, IndexError):
        return 0


def memory_of(plan: Plan, problem: Problem, of_model: int) -> Memory:
    """Return what ranks take.

    Parameters
    ----------
    plan : Plan
        Of the run.
    problem : Problem
        What is sampled.
    of_model : int
        Bytes that loading the model, its data and first evaluations took in this process.

    """
    rank = _RANK + of_model + (_SEARCH if problem.initial_is("map") else 0)
    return Memory(rank, rank + _ROOT + _ENSEMBLE * plan.nensembles)


def make_start(problem: Problem, nwalkers: int) -> None:
    """Make a start, where the model has a function for it: what it loads takes memory too."""
    if callable(problem.initial):
        call_initial(problem.initial, nwalkers, problem.ndim, np.random.default_rng(0))
