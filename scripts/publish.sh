#!/usr/bin/env bash
# Publish the runs of scripts/grid.sh in results/ and on its pages: scripts/publish.sh OUT
# Rows that results/ has already stay, unless a run in OUT has the same settings and seed. OUT need not have all models and
# steps. The tables and sentences of docs/results/ and of the README, and their figures, are written anew.
set -euo pipefail
usage="usage: scripts/publish.sh OUT"
out=$(realpath -e "${1:?$usage}")
scripts=$(realpath "$(dirname "$0")")
root=$(realpath "$scripts/..")
results=$root/results figures=$root/docs/results/figures
cd "$out"
publish() { # publish NAME DIR FIGURE…: the runs below DIR, as results/NAME; FIGURE: the names of figures of the report
  local name=$1 dir=$2 earlier=() all=() figure
  [ -d "$dir" ] || return 0
  shift 2
  [ $# -eq 0 ] || all=(--all-figures)
  rm -rf "report/$name" "report/$name-earlier"
  mkdir -p report
  if [ -d "$results/$name" ]; then
    cp -r "$results/$name" "report/$name-earlier"
    earlier=("report/$name-earlier")
  fi
  prunebert report "$dir" "${earlier[@]}" "${all[@]}" --out "report/$name"
  python "$scripts/results_files.py" "report/$name/results.csv" "$results/$name" "$out"
  mkdir -p "$figures/$name"
  for figure in "$@"; do
    find "report/$name/figures" -name "$figure.png" -exec cp {} "$figures/$name" \;
  done
}
allocations() { # allocations NAME: budget.csv and overlap.csv of results/NAME
  [ -d "report/$1" ] || return 0
  local earlier=()
  [ ! -e "report/$1-earlier/budget.csv" ] || earlier=("report/$1-earlier")
  python "$scripts/where_weights_stay.py" "$results/$1" "$out" "${earlier[@]}"
}
publish tiny grid/tiny 'score-*' 'budget-kinds-*' 'overlap-sst2-*-0.97'
publish minilm grid/minilm 'score-*' 'budget-*' 'overlap-sst2-*-0.9'
for model in tiny minilm; do
  allocations "$model"
  publish "${model}_tuning" "tune/$model"
  for file in tune/"$model"/*/tuned.yaml; do
    [ ! -e "$file" ] || cp "$file" "$results/${model}_tuning/$(basename "$(dirname "$file")").yaml"
  done
  publish "${model}_budget" "budget/$model"
done
for budget in "$results"/*budget; do
  mkdir -p "$figures/$(basename "$budget")"
  python "$scripts/plot_steps.py" "$budget" "$figures/$(basename "$budget")/steps.png"
done
python "$scripts/plot_scores.py" "$results/tiny" "$root/docs/images"
if [ -d transfer/tiny ]; then
  python "$scripts/topology_claims.py" grid/tiny/*/scores grid/tiny/*/both/method-movement_* \
    grid/tiny/*/weights/method-{random,magnitude}_* topology/tiny transfer/tiny --out "$results/topology/answers.json" \
    --page "$root/docs/results/topology.md"
fi
for page in "$root"/docs/results/*.md "$root/README.md"; do
  for name in $(grep -oP '(?<=<!-- results/)\w+(?= (scores|means|shown|claims|steps|kept|overlap|tries) -->)' "$page" | sort -u); do
    python "$scripts/results_table.py" "$results/$name" "$page"
  done
  ! grep -qP '<!-- results/\w+ (findings|limits|ranking|repeat) -->' "$page" || python "$scripts/results_pages.py" "$page"
done
