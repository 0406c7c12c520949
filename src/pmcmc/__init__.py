"""pmcmc runs emcee on a cluster: any number of MPI ranks, every draw safe in one HDF5 file.

>>> import pmcmc
>>> problem = pmcmc.Problem(log_prob, parameters=["m", "b"], initial=p0)
>>> result = pmcmc.run(problem, nsteps=5000, output="line.h5")

Names are loaded when they are first used: `python -m pmcmc` has to set the number of BLAS threads
before numpy is.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .api import run, start
    from .diagnostics.summary import Summary
    from .errors import (
        EvaluationError,
        Interrupted,
        LaunchError,
        ModelError,
        PmcmcError,
        RankError,
        StoreError,
        UsageError,
    )
    from .launch.handle import Run, runs
    from .launch.jobs import Job, load_job, submit
    from .model import stats
    from .model.external import clean_env, scratch
    from .model.periodic import periodic
    from .model.problem import Problem
    from .model.ranks import RankInfo, rank_info
    from .mpi.shared import shared
    from .mpi.startup import is_root
    from .pool.mpipool import MPIPool
    from .prepare.choices import emcee_moves
    from .prepare.plan import Plan
    from .prepare.shape import make_plan
    from .results.loading import load
    from .results.result import Result

if sys.platform == "win32":
    raise ImportError("pmcmc runs on Linux and macOS: on Windows, install and use it in WSL")

__all__ = [
    "EvaluationError",
    "Interrupted",
    "Job",
    "LaunchError",
    "MPIPool",
    "ModelError",
    "Plan",
    "PmcmcError",
    "Problem",
    "RankError",
    "RankInfo",
    "Result",
    "Run",
    "StoreError",
    "Summary",
    "UsageError",
    "__version__",
    "clean_env",
    "emcee_moves",
    "is_root",
    "load",
    "load_job",
    "make_plan",
    "periodic",
    "rank_info",
    "run",
    "runs",
    "scratch",
    "shared",
    "start",
    "stats",
    "submit",
]

_HOMES = {
    "MPIPool": "pool.mpipool",
    "Plan": "prepare.plan",
    "make_plan": "prepare.shape",
    "Problem": "model.problem",
    "periodic": "model.periodic",
    "emcee_moves": "prepare.choices",
    "RankInfo": "model.ranks",
    "rank_info": "model.ranks",
    "scratch": "model.external",
    "shared": "mpi.shared",
    "clean_env": "model.external",
    "Result": "results.result",
    "load": "results.loading",
    "run": "api",
    "runs": "launch.handle",
    "start": "api",
    "Run": "launch.handle",
    "Job": "launch.jobs",
    "load_job": "launch.jobs",
    "submit": "launch.jobs",
    "is_root": "mpi.startup",
    "Summary": "diagnostics.summary",
    "stats": "model.stats",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pmcmc' has no attribute {name!r}")
    home = importlib.import_module(f".{_HOMES.get(name, 'errors')}", __name__)
    value = home if name == "stats" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
