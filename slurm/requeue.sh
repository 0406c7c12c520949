#!/bin/bash
# Until it is finished, whatever comes: time limits, preemption, lost nodes:
#     sbatch slurm/requeue.sh model.py --nsteps 2000000 --seed 1
# pmcmc stops by itself before the time is up, or when it is told to, with status 75: then the job
# goes back into the queue under its own number, and goes on from the file.
#SBATCH --job-name=pmcmc
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=1
#SBATCH --time=1:00:00
#SBATCH --requeue
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append

# The job has the environment of the shell that submits it, where `python -m pmcmc` must work. Or
# say here what it takes: with MPI from wheels   . ~/venv/bin/activate
# with the cluster's MPI                         module load openmpi; . ~/venv/bin/activate

# The launcher: mpiexec, or srun --mpi=pmi2 --kill-on-bad-exit=1 (MPICH), or srun --mpi=pmix
# --kill-on-bad-exit=1 (Open MPI, whose mpiexec is not told of preemption before the grace time is
# over). Write it here, or give it from outside: LAUNCH="srun ..." sbatch slurm/requeue.sh ...
launch=${LAUNCH:-mpiexec -n $SLURM_NTASKS}

export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK # BLAS: no more threads than a rank has CPUs
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK

# A job that starts again must not find the shared memory of ranks that were killed: MPICH under
# srun names it by job and step, so let the number of the step grow.
for ((i = 0; i < ${SLURM_RESTART_COUNT:-0} % 10; i++)); do srun -N 1 -n 1 true; done

# This shell outlives a TERM, so that the ranks can commit; bash runs the trap when they are gone.
told=
trap 'told=yes' TERM

# shellcheck disable=SC2086 # $launch is several words
$launch python -m pmcmc "$@" --resume
status=$?
# a launcher's 0 counts only where the file says so too
[ "$status" != 0 ] || { python -m pmcmc status --of-run "$@"; status=$?; }

# TERM to this shell: scancel, or Slurm requeues the job by itself (nothing to be done); or the time
# was up before the ranks had stopped.
job=$SLURM_JOB_ID
if [ "$status" = 75 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 100 ] &&
    { [ -z "$told" ] || [ "$(squeue -h -j "$job" -o %r)" = TimeLimit ]; }; then
    scontrol requeue "$job" && sleep 60 # Slurm ends this shell meanwhile
fi
exit "$status"
