#!/usr/bin/env bash
# A plain shell loop over cells, for a machine without a scheduler; every cell has a directory of its own, finished
# cells are skipped, a failed one does not stop the others. Usage: scripts/loop.sh OUT WORD...
#   scripts/loop.sh runs task=rotten_tomatoes model=tiny fit=quick
set -uo pipefail
out=$1
shift
for method in dense random magnitude gmp movement smp; do
  for sparsity in 0.5 0.9; do
    for seed in 0 1 2; do
      cell="$out/$method-$sparsity-$seed"
      [ -f "$cell/result.json" ] && continue
      prunebert "method=$method" "sparsity=$sparsity" "seed=$seed" "hydra.run.dir=$cell" "$@" || echo "failed: $cell" >&2
    done
  done
done
