#!/bin/bash
# Several runs, one job each. The same model with seeds 1 to 8:
#     sbatch --array=1-8 slurm/array.sh model.py --nsteps 20000
# or several problems, one per line of a file (`model.py --nsteps 20000 --seed 1 --output a.h5`):
#     sbatch --array=1-3 slurm/array.sh runs.txt
# Each goes back into the queue until it is finished, as in requeue.sh.
#SBATCH --job-name=pmcmc
#SBATCH --array=1-4
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=1
#SBATCH --time=1:00:00
#SBATCH --requeue
#SBATCH --output=%x-%A-%a.log
#SBATCH --open-mode=append

# The job has the environment of the shell that submits it, where `python -m pmcmc` must work. Or
# say here what it takes: with MPI from wheels   . ~/venv/bin/activate
# with the cluster's MPI                         module load openmpi; . ~/venv/bin/activate

launch=${LAUNCH:-mpiexec -n $SLURM_NTASKS} # see requeue.sh
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK

n=$SLURM_ARRAY_TASK_ID
if [[ $1 = *.txt ]]; then
    read -ra words < <(sed -n "${n}p" "$1") # words of the line: no blanks in names
    set -- "${words[@]}"
else
    name=${1##*/}
    set -- "$@" --seed "$n" --output "${name%.py}-$n.h5"
fi

for ((i = 0; i < ${SLURM_RESTART_COUNT:-0} % 10; i++)); do srun -N 1 -n 1 true; done # as in requeue.sh

told=
trap 'told=yes' TERM

# shellcheck disable=SC2086 # $launch is several words
$launch python -m pmcmc "$@" --resume
status=$?
[ "$status" != 0 ] || { python -m pmcmc status --of-run "$@"; status=$?; } # what the file says counts

job=${SLURM_ARRAY_JOB_ID}_$n # the first task's own number is that of the whole array
if [ "$status" = 75 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 100 ] &&
    { [ -z "$told" ] || [ "$(squeue -h -j "$job" -o %r)" = TimeLimit ]; }; then
    scontrol requeue "$job" && sleep 60
fi
exit "$status"
