#!/usr/bin/env bash
# A Slurm of one node, here, for as long as a command runs: tests/slurm.sh pytest -m slurm
# Its files and logs are in a temporary folder. What is missing is installed (Debian, as root); where that cannot be, it
# says why and ends with status 0, as a skipped test does. SLURM_REQUIRED=1: with status 1.
set -uo pipefail

skip() {
  echo "tests/slurm.sh: skipped: $*" >&2
  exit "${SLURM_REQUIRED:-0}"
}

for needed in slurmctld slurmd sbatch munged; do
  PATH=$PATH:/usr/sbin command -v "$needed" >/dev/null && continue
  [ "$(id -u)" = 0 ] || skip "$needed is not here, and only root can install it"
  command -v apt-get >/dev/null || skip "$needed is not here, and neither is apt-get"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends slurm-wlm munge; } \
    >/dev/null 2>/tmp/slurm-install.$$ || skip "slurm-wlm and munge cannot be installed: $(tail -1 /tmp/slurm-install.$$)"
  rm -f /tmp/slurm-install.$$
done
[ "$(id -u)" = 0 ] || skip "its daemons run as root"
export PATH=$PATH:/usr/sbin

root=$(mktemp -d)
chmod 755 "$root"
export SLURM_CONF=$root/slurm.conf OWN_SLURM=$root # before anything is cancelled: never another Slurm's jobs
pids=()
stop() {
  scancel --user="$(id -un)" 2>/dev/null
  for _ in $(seq 100); do # what ends asks the daemons, so they stay until then
    [ -z "$(squeue -h 2>/dev/null)" ] && break
    sleep 0.2
  done
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null; done
  pkill -9 -f "$root/munge/socket" 2>/dev/null
  rm -rf "$root"
}
trap stop EXIT

mkdir -p "$root"/{munge,state,spool}
chown munge: "$root/munge"
(umask 077 && dd if=/dev/urandom of="$root/munge/key" bs=1024 count=1 2>/dev/null)
chown munge: "$root/munge/key"
host=$(hostname -s)
cat >"$root/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$root/munge/socket,cred_expire=8
StateSaveLocation=$root/state
SlurmdSpoolDir=$root/spool
SlurmctldPidFile=$root/slurmctld.pid
SlurmdPidFile=$root/slurmd.pid
SlurmctldPort=${SLURM_PORT:-16817}
SlurmdPort=$((${SLURM_PORT:-16817} + 1))
SlurmctldLogFile=$root/slurmctld.log
SlurmdLogFile=$root/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobRequeue=1
KillWait=10
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP MaxTime=INFINITE
CONF
runuser -u munge -- munged --foreground --force --key-file="$root/munge/key" --socket="$root/munge/socket" \
  --pid-file="$root/munge/pid" --log-file="$root/munge/log" --seed-file="$root/munge/seed" >"$root/munged.out" 2>&1 &
pids+=($!)
disown
for _ in $(seq 50); do [ -S "$root/munge/socket" ] && break; sleep 0.1; done
slurmctld -D -f "$SLURM_CONF" >/dev/null 2>&1 &
pids+=($!)
disown
slurmd -D -f "$SLURM_CONF" -N "$host" >/dev/null 2>&1 &
pids+=($!)
disown
for _ in $(seq 100); do
  [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && break
  sleep 0.3
done
[ "$(sinfo -h -o %T 2>/dev/null)" = idle ] || {
  tail -5 "$root"/*.log "$root/munge/log" "$root/munged.out" >&2
  skip "its daemons do not come up here"
}
"$@"
