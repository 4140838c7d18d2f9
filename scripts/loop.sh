#!/usr/bin/env bash
# Run a sweep as a plain loop, without Hydra's sweeps: scripts/loop.sh OUT WORD...
# Start it again after an interruption, or on several machines that share OUT. Every combination (cell) has its own
# directory. A finished cell is skipped, an interrupted one continues, and a cell of another process is waited for.
#   METHODS="smp movement" SPARSITIES="0.9 0.97" SEEDS="0 1 2" scripts/loop.sh runs task=rte
set -uo pipefail
out=${1:?usage: scripts/loop.sh OUT WORD...}
shift
failed=0
for method in ${METHODS:-smp movement magnitude}; do
  for sparsity in ${SPARSITIES:-0.5 0.8 0.9}; do
    for seed in ${SEEDS:-0 1 2}; do
      prunebert "method=$method" "sparsity=$sparsity" "seed=$seed" "$@" "hydra.run.dir=$out/$method-$sparsity-$seed"
      status=$?
      if [ "$status" -eq 75 ] || [ "$status" -eq 130 ]; then
        echo "stopped; the same command continues" >&2
        exit "$status"
      fi
      [ "$status" -eq 0 ] || failed=1
    done
  done
done
prunebert status "$out"
exit "$failed"
