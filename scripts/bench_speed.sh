#!/usr/bin/env bash
# Measure training steps on the CPU and renew docs/results/speed.md: scripts/bench_speed.sh [MODEL…]
# MODEL: tiny, minilm or bert-base; all three without a MODEL. The other models' files in results/speed/ stay as they are.
# PRUNEBERT_ROUNDS=3 scripts/bench_speed.sh bert-base: the number of rounds; without it, each script's default for the model.
# Nothing else should run on the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
models=("$@")
[ $# -gt 0 ] || models=(tiny minilm bert-base)
for model in "${models[@]}"; do
  case $model in
    tiny | minilm | bert-base) ;;
    *)
      echo "MODEL=$model: must be tiny, minilm or bert-base" >&2
      exit 2
      ;;
  esac
done
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000} # as in prunebert's runs
rounds=(${PRUNEBERT_ROUNDS:+--rounds "$PRUNEBERT_ROUNDS"})
for model in "${models[@]}"; do
  python scripts/bench_alternatives.py "$model" "${rounds[@]}"
  python scripts/bench_step.py "$model" --memory --out "results/speed/memory-$model.json"
  python scripts/bench_step.py "$model" "${rounds[@]}" --out "results/speed/$model.json"
done
python scripts/plot_scaling.py results/speed/{,memory-}{tiny,minilm,bert-base}.json docs/results/figures/speed/scaling.png
python scripts/plot_alternatives.py docs/results/figures/speed/alternatives.png
python scripts/speed_table.py docs/results/speed.md
