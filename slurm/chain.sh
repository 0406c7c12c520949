#!/bin/bash
# Where requeue is forbidden: a chain of jobs, each of which goes on where the one before it ended.
#     bash slurm/chain.sh 5 [options of sbatch] slurm/mpiexec.sh model.py --nsteps 2000000
# Run it where you submit jobs. Five jobs enter the queue; each waits until those before it have
# ended, none of them with status 0: stopped (75), out of time, or lost with a node. Once one has
# finished, Slurm removes those that wait.
set -eu
if ! [[ ${1:-} =~ ^[1-9][0-9]*$ ]] || [ $# -lt 2 ]; then
    echo "usage: bash $0 JOBS [options of sbatch] SCRIPT [arguments of pmcmc]" >&2
    exit 2
fi
jobs=$1
shift

earlier=
for ((i = 1; i <= jobs; i++)); do
    job=$(sbatch --parsable --no-requeue --kill-on-invalid-dep=yes \
        ${earlier:+--dependency=afternotok:$earlier} "$@")
    job=${job%%;*} # the number; after ";" the cluster's name
    echo "$job"
    earlier=${earlier:+$earlier:}$job
done
