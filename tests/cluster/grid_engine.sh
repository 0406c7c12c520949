#!/bin/bash
# The daemons of a Grid Engine, in a process space and a network of their own: this shell is its
# process 1, and when it is killed the kernel ends every daemon, job and rank in it.
#   grid_engine.sh HOME     HOME is an empty folder; a file "up" in it says that jobs may come
set -eu
home=$1
cd "$home"
lib=/usr/lib/gridengine share=/usr/share/gridengine
export SGE_ROOT=$home SGE_CELL=cell SGE_QMASTER_PORT=6444 SGE_EXECD_PORT=6445
export SGE_ND=true # the daemons stay in the foreground

# the network: a bridge, on which the master and the nodes n1 and n2 have an address each
printf '%s\n' "10.89.0.1 master" "10.89.0.11 n1" "10.89.0.12 n2" | cat /etc/hosts - >hosts
mount --bind hosts /etc/hosts
hostname master
ip link set lo up
ip link add bridge type bridge
ip addr add 10.89.0.1/24 dev bridge
ip link set bridge up

# jobs are those of "nobody", since Grid Engine kills no process of root's when it ends a job; they
# begin as login shells
mkdir -p login
sed "s|^\(nobody:.*\):[^:]*:[^:]*$|\1:$home/login:/bin/bash|" /etc/passwd >passwd
mount --bind passwd /etc/passwd

# the cell: what the packages ship, with spools in plain files; every user may run jobs
cp -a /var/lib/gridengine/{bin,lib,utilbin,util} .
mkdir -p cell/common spool/{qmaster,n1,n2} tmp tmp-n1 tmp-n2
cat >cell/common/bootstrap <<EOF
admin_user none
default_domain none
ignore_fqdn false
spooling_method classic
spooling_lib libspoolc
spooling_params $home/cell/common;$home/spool/qmaster
binary_path $lib
qmaster_spool_dir $home/spool/qmaster
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
EOF
echo master >cell/common/act_qmaster
sed -e "s|^\(execd_spool_dir\).*|\1 $home/spool|" -e 's/^\(min_.id\).*/\1 0/' \
    -e 's/^\(mailer\).*/\1 none/' \
    -e 's/^\(reporting_params .*\)/\1 accounting_flush_time=00:00:00/' \
    $share/default-configuration >configuration
$lib/spoolinit classic libspoolc "$home/cell/common;$home/spool/qmaster" init
$lib/spooldefaults configuration "$home/configuration"
$lib/spooldefaults complexes $share/util/resources/centry
$lib/spooldefaults usersets $share/util/resources/usersets
$lib/spooldefaults managers root

$lib/sge_qmaster &
until qconf -sh >/dev/null 2>&1; do sleep 0.05; done
qconf -as master
for i in 1 2; do
    qconf -ah n$i
    qconf -as n$i
    # the group by which a host finds a job's processes, to end what is left of it, is its own: the
    # hosts share one process space, and each would end the other's
    echo "gid_range ${i}0000-${i}0099" >n$i
    qconf -Aconf n$i
    # a node has a host name, an address, and a /dev/shm and a folder for temporary files
    # shellcheck disable=SC2016
    unshare --uts --net --mount sh -c '
        hostname "$1"
        mount -t tmpfs -o mode=1777 tmpfs /dev/shm
        mount --bind "tmp-$1" tmp
        until ip link show eth >/dev/null 2>&1; do sleep 0.02; done
        ip link set lo up
        ip addr add "$2/24" dev eth
        ip link set eth up
        # a job keeps the right to open any file: the tests and their Python may be for root alone
        exec setpriv --securebits +no_setuid_fixup --inh-caps +dac_override \
            --ambient-caps +dac_override /usr/lib/gridengine/sge_execd' sh n$i 10.89.0.1$i &
    while [ "$(readlink /proc/$!/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done
    ip link add n$i type veth peer name eth netns $!
    ip link set n$i master bridge up
done

# a queue of two slots a node, with the parallel environment "mpi" that the packages ship; 10 s
# from a warning to the kill, and a scheduler that looks at once
for pe in make smp mpi; do qconf -Ap $share/util/resources/pe/$pe; done
EDITOR=true qconf -aq main
for pair in "hostlist n1 n2" "slots 2" "notify 00:00:10" "load_thresholds NONE" "tmpdir $home/tmp"; do
    qconf -rattr queue "${pair%% *}" "${pair#* }" main
done
qconf -ssconf | sed -e 's/^\(schedule_interval\).*/\1 0:0:1/' -e 's/^\(flush_.*_sec\).*/\1 1/' \
    -e 's/^\(job_load_adjustments\).*/\1 NONE/' >scheduler
qconf -Msconf "$home/scheduler"
until [ "$(qstat -f | grep -c 'BIP.*amd64 *$')" = 2 ]; do sleep 0.1; done
touch up
wait
