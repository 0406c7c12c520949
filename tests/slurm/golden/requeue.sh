#!/bin/bash
# Made by pmcmc VERSION; edit it as you like. Submit it with sbatch, from the
# folder in which the names of files below are meant.
#SBATCH --job-name=model
#SBATCH --ntasks=64
#SBATCH --time=1-12:00:00
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=32
#SBATCH --mem-per-cpu=2G
#SBATCH --partition=long
#SBATCH --account=astro
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@60

. /home/me/.venv/bin/activate || exit 1
export OMP_NUM_THREADS=1  # threads of numpy's BLAS, in each rank

# A job that begins again must not find the shared memory of ranks that were killed:
# MPICH names it by job and step, so let the number of the step grow.
for ((i = 0; i < ${SLURM_RESTART_COUNT:-0} % 10; i++)); do srun -N 1 -n 1 true; done

# With --resume a run goes on from its file, if there is one: submit again at any time.
# In the background, so that this shell can pass signals on.
srun --mpi=pmi2 --kill-on-bad-exit=1 \
    python3 -m pmcmc run runs/model.py --output model.h5 --nsteps 20000 --seed 3 \
        --max-time 13800 --no-progress --resume &
run=$!

# USR1 makes the ranks save their draws and end with status 75; TERM would kill srun at once.
# TERM comes with scancel, and when the time is up.
trap 'told=1; kill -USR1 $run 2>/dev/null' USR1
trap 'told=1; cancelled=1; kill -USR1 $run 2>/dev/null' TERM
while told=; wait $run; status=$?; [ "$told" ]; do :; done  # a signal cuts a wait short
# a launcher's 0 counts only where the file says so too
[ $status -ne 0 ] || { python3 -m pmcmc status model.h5; status=$?; }
# the time may be up before the ranks have stopped
late() { [ "$(squeue -h -j "$SLURM_JOB_ID" -o %r)" = TimeLimit ]; }
if [ $status -eq 75 ] && { [ ! "$cancelled" ] || late; }; then  # 75: there is more to do
    if [ "${SLURM_RESTART_COUNT:-0}" -ge 100 ]; then
        echo "not requeued again after 100 times; sbatch goes on"
    else
        scontrol requeue "$SLURM_JOB_ID" || echo "not requeued; sbatch goes on"
    fi
fi
exit $status
