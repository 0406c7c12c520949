#!/bin/bash -l
# Made by pmcmc VERSION; edit it as you like. Submit it with sbatch, from the
# folder in which the names of files below are meant.
#SBATCH --job-name=model
#SBATCH --ntasks=16
#SBATCH --time=90
#SBATCH --cpus-per-task=4
#SBATCH --constraint="skylake|icelake"
#SBATCH --array=0-9%3
#SBATCH --mail-user=me@example.org
#SBATCH --mail-type=END,FAIL
#SBATCH --output=%x-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@60

module load gcc/12 openmpi/5 || exit 1
export OMP_NUM_THREADS=4  # threads of numpy's BLAS, in each rank

# With --resume a run goes on from its file, if there is one: submit again at any time.
# In the background, so that this shell can pass signals on.
mpiexec --bind-to none -n $SLURM_NTASKS \
    python3 -m pmcmc run package.model --output=out/draws-$SLURM_ARRAY_TASK_ID.h5 \
        --seed $((5 + SLURM_ARRAY_TASK_ID)) --moves de:0.8,stretch:0.2 --resume &
run=$!

# USR1 makes the ranks save their draws and end with status 75; TERM would kill srun at once.
# TERM comes with scancel, and when the time is up.
trap 'told=1; kill -USR1 $run 2>/dev/null' USR1
trap 'told=1; cancelled=1; kill -USR1 $run 2>/dev/null' TERM
while told=; wait $run; status=$?; [ "$told" ]; do :; done  # a signal cuts a wait short
# a launcher's 0 counts only where the file says so too
[ $status -ne 0 ] || { python3 -m pmcmc status out/draws-$SLURM_ARRAY_TASK_ID.h5; status=$?; }
# the time may be up before the ranks have stopped
late() { [ "$(squeue -h -j "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" -o %r)" = TimeLimit ]; }
link=${1:-1}  # which job of the chain this is
if [ $status -eq 75 ] && { [ ! "$cancelled" ] || late; } && [ "$link" -lt 4 ]; then  # 75: more to do
    sbatch --dependency="afterany:${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" --array=$SLURM_ARRAY_TASK_ID \
        "$0" $((link + 1)) || echo "the chain ends here; sbatch goes on"
fi
exit $status
