"""Whether this launch, these hosts and this folder are fit for a run.

Imports `mpi`, `storage` and `slurm`.
"""
