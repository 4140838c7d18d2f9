#!/usr/bin/env bash
# Publish the runs of scripts/grid.sh in results/ and on its pages: scripts/publish.sh OUT
# Rows that results/ has already stay, unless a run in OUT has the same settings and seed. OUT need not have all models and
# steps. The tables of docs/results/ and of the README, and their figures, are written anew.
set -euo pipefail
usage="usage: scripts/publish.sh OUT"
out=$(realpath -e "${1:?$usage}")
scripts=$(realpath "$(dirname "$0")")
root=$scripts/..
figures=$root/docs/results/figures
cd "$out"
publish() { # publish NAME DIR: the runs below DIR, as results/NAME
  [ -d "$2" ] || return 0
  local earlier=()
  [ ! -d "$root/results/$1" ] || earlier=("$root/results/$1")
  rm -rf "report/$1"
  prunebert report "$2" "${earlier[@]}" --out "report/$1"
  python "$scripts/results_files.py" "report/$1/results.csv" "$root/results/$1" "$out"
  cp "report/$1/tables.tex" "$root/results/$1/"
  mkdir -p "$figures/$1"
  find "report/$1/figures" -name 'score-*.png' -exec cp {} "$figures/$1" \;
}
for model in tiny minilm; do
  publish "$model" "grid/$model"
  publish "${model}_tuning" "tune/$model"
  for file in tune/"$model"/*/tuned.yaml; do
    [ ! -e "$file" ] || cp "$file" "$root/results/${model}_tuning/$(basename "$(dirname "$file")").yaml"
  done
  publish "${model}_budget" "budget/$model"
done
for budget in "$root"/results/*budget; do
  mkdir -p "$figures/$(basename "$budget")"
  python "$scripts/plot_steps.py" "$budget" "$figures/$(basename "$budget")/steps.png"
done
for page in "$root"/docs/results/*.md "$root/README.md"; do
  for name in $(grep -oP '(?<=<!-- results/)\w+(?= (scores|means|claims|steps) -->)' "$page" | sort -u); do
    python "$scripts/results_table.py" "$root/results/$name" "$page"
  done
  ! grep -qP '<!-- results/\w+ (findings|limits|ranking|repeat) -->' "$page" || python "$scripts/results_pages.py" "$page"
done
