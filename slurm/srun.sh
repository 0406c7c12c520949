#!/bin/bash
# One run under srun, Slurm's own launcher:
#     sbatch slurm/srun.sh model.py --nsteps 20000 --seed 1
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

# srun must speak the MPI library's language (`srun --mpi=list` tells what it can); with another
# one every rank would run alone, which pmcmc refuses. $SLURM_MPI_TYPE, if set, is taken as it is.
case $(python -c 'import mpi4py; mpi4py.rc.initialize = False; import mpi4py.MPI as MPI
print(MPI.get_vendor()[0])') in
"Open MPI") mpi=pmix ;;
*) mpi=pmi2 ;; # MPICH and its kin
esac

# A job that starts again must not find the shared memory of ranks that were killed: MPICH names it
# by job and step, so let the number of the step grow.
for ((i = 0; i < ${SLURM_RESTART_COUNT:-0} % 10; i++)); do srun -N 1 -n 1 true; done

# This shell outlives a TERM, so that the ranks can commit. If one rank dies, all must.
trap : TERM
srun --mpi="${SLURM_MPI_TYPE:-$mpi}" --kill-on-bad-exit=1 \
    --cpus-per-task="$SLURM_CPUS_PER_TASK" python -m pmcmc "$@" --resume
status=$?
# a launcher's 0 counts only where the file says so too
[ "$status" != 0 ] || { python -m pmcmc status --of-run "$@"; status=$?; }
exit "$status"
