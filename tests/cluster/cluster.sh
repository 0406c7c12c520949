#!/bin/bash
# The daemons of a Slurm cluster, in a process space of their own: this shell is its process 1, and
# when it is killed the kernel ends every daemon, job step and rank in it.
#   cluster.sh HOME PMIX     HOME holds slurm.conf, hosts and munge.key; PMIX is libpmix's folder
set -eu
home=$1 pmix=$2
export SLURM_CONF=$home/slurm.conf
cd "$home"

# Slurm's plugin opens libpmix.so, a name that Debian has in libpmix-dev only
if [ -d "$pmix" ] && ! [ -e "$pmix/libpmix.so" ]; then
    cp -a "$pmix" pmix
    ln -s libpmix.so.2 pmix/libpmix.so
    mount --bind pmix "$pmix"
fi

munged --foreground --force --key-file="$home/munge.key" --seed-file="$home/munge.seed" \
    --socket="$home/munge.sock" --pid-file="$home/munged.pid" --log-file="$home/munged.log" &
until [ -S munge.sock ]; do sleep 0.05; done
slurmctld -D -i &
until scontrol ping >/dev/null 2>&1; do sleep 0.05; done
for node in n1 n2 n3 n4; do
    # each node has a host name (PMIx and hydra ask for it), a list of hosts that knows the others,
    # and a /dev/shm (killed ranks leave segments there, and Open MPI takes what it sees for local)
    # shellcheck disable=SC2016
    unshare --uts --mount sh -c '
        hostname "$1" && mount --bind hosts /etc/hosts &&
        mount -t tmpfs -o mode=1777 tmpfs /dev/shm && exec slurmd -D -N "$1"' sh "$node" &
done
wait
