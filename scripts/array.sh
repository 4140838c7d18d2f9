#!/usr/bin/env bash
#SBATCH --job-name=prunebert --requeue --open-mode=append --signal=USR1@120
# Run a sweep as a Slurm job array, without Hydra's sweeps and without submitit: scripts/array.sh OUT WORD...
# The script submits itself, with an array task for every combination (cell). A task writes a checkpoint if it is preempted,
# requeued, or 120 seconds before its time limit. When it starts again, it continues from the checkpoint. sbatch also
# reads its options from the environment:
#   SBATCH_PARTITION=gpu SBATCH_TIMELIMIT=4:00:00 METHODS="smp movement" SEEDS="0 1 2" scripts/array.sh runs task=rte
set -uo pipefail
out=${1:?usage: scripts/array.sh OUT WORD...}
shift
read -ra methods <<<"${METHODS:-smp movement magnitude}"
read -ra sparsities <<<"${SPARSITIES:-0.5 0.8 0.9}"
read -ra seeds <<<"${SEEDS:-0 1 2}"
if [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
  mkdir -p "$out"
  exec sbatch --array="0-$((${#methods[@]} * ${#sparsities[@]} * ${#seeds[@]} - 1))" --output="$out/slurm-%A_%a.out" \
    "$0" "$out" "$@"
fi
cell=$SLURM_ARRAY_TASK_ID
seed=${seeds[cell % ${#seeds[@]}]}
sparsity=${sparsities[cell / ${#seeds[@]} % ${#sparsities[@]}]}
method=${methods[cell / ${#seeds[@]} / ${#sparsities[@]}]}
srun prunebert "method=$method" "sparsity=$sparsity" "seed=$seed" "$@" "hydra.run.dir=$out/$method-$sparsity-$seed"
status=$?
if [ "$status" -eq 75 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_$cell"
fi
exit "$status"
