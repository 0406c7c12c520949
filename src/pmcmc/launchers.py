"""What launchers tell their ranks by the environment, and programs without it."""

from __future__ import annotations

from collections.abc import Mapping

# of a rank: what an MPI program would take for its own; settings of the user's are not among them
_PREFIXES = (
    "PMI", "HYDI_", "MPIR_", "MPI_LOCAL",  # MPICH, and what takes PMI
    "OMPI_COMM", "OMPI_UNIVERSE", "OMPI_WORLD", "OMPI_MCA_num_procs", "OMPI_MCA_initial_wdir",
    "OMPI_FILE_LOCATION", "OMPI_COMMAND", "OMPI_ARGV", "OMPI_NUM_APP_CTX", "PRTE_LAUNCHED",
    "SLURM_STEP", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_GTIDS", "SLURM_TASK_PID",  # srun
)  # fmt: skip


def without_launcher(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what makes an MPI program take itself for a rank of a job.

    Parameters
    ----------
    env : mapping
        The environment.

    """
    return {name: value for name, value in env.items() if not name.startswith(_PREFIXES)}
