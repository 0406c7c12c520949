#!/bin/bash
# One run under mpiexec, the launcher that came with the MPI library:
#     sbatch slurm/mpiexec.sh model.py --nsteps 20000 --seed 1
# Submitted again after a time limit or a kill, it goes on where it was.
#SBATCH --job-name=pmcmc
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=1
#SBATCH --time=1:00:00
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append

# The job has the environment of the shell that submits it, where `python -m pmcmc` must work. Or
# say here what it takes: with MPI from wheels   . ~/venv/bin/activate
# with the cluster's MPI                         module load openmpi; . ~/venv/bin/activate

export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK # BLAS: no more threads than a rank has CPUs

# This shell outlives a TERM, so that the ranks can commit.
trap : TERM
mpiexec -n "$SLURM_NTASKS" python -m pmcmc "$@" --resume
status=$?
# a launcher's 0 counts only where the file says so too
[ "$status" != 0 ] || { python -m pmcmc status --of-run "$@"; status=$?; }
exit "$status"
