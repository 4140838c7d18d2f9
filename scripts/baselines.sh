#!/usr/bin/env bash
# Run the runs of results/baselines, the first table of the baselines that reviewers ask for: scripts/baselines.sh DATA OUT
# Each method has three tries of its learning rates (1, 3 and 10 times those of fit=quick) on held-out rows of Rotten
# Tomatoes at 0.9, then three seeds on Rotten Tomatoes and SST-2 at 0.5, 0.9 and 0.97, with the embedded 2-layer model.
# Runs have 100 steps of 32 rows. IMP divides them among its rounds. Teachers and sparse transfer's pruning have 100 steps
# of their own. TAMT is left out.
# It takes about an hour on two cores. Started again, the script continues. It needs pip install -e ".[demo]".
# DATA: a folder with SST-2 in GLUE's own layout.
# OUT: the folder for all output.
# PRUNEBERT_PARTS="B C" scripts/baselines.sh …: run only these parts (A to G), for two processes side by side.
set -euo pipefail
scripts=$(realpath "$(dirname "$0")")
usage="usage: scripts/baselines.sh DATA OUT"
data=$(realpath -e "${1:?$usage}")
out=$(realpath -m "${2:?$usage}")
mkdir -p "$out" && cd "$out"
common=(model=tiny prunable=encoder_pooler_embeddings impl.threads=1 fit.steps=100 teacher_fit.steps=100 mask_fit.steps=100)
declare -A methods=(
  [A]=random,magnitude,gmp,movement,soft_movement,platon,l0,snip,rigl
  [B]=gmp_star
  [C]=imp
  [D]=abp,masking,smp,dense
  [E]=obert
  [F]=sparsebert
)
declare -A own=( # what a part needs besides: shared teachers, IMP's rounds, fewer gradients of oBERT for so few steps
  [B]="distill=logits distill.shared=$out/teachers"
  [C]="method.step=0.5 fit.steps=34"
  [E]="distill=logits distill.shared=$out/teachers method.events=3 method.gradients=32"
  [F]="distill=tinybert distill.shared=$out/teachers"
)
compare() { # compare NAME METHODS SPARSITIES WORD…: tune at 0.9, if NAME is not tuned yet, then run three seeds on both tasks
  local name=$1 methods=$2 sparsities=$3 tuned=$out/tune/${1%%-*}
  shift 3
  if [ ! -e "$tuned/tuned.yaml" ]; then
    prunebert -m experiment=tune method="$methods" tune.try=0,1,3 sparsity=0.9 "$@" \
      hydra.callbacks.around.report=false hydra.sweep.dir="$tuned" || [ $? -eq 1 ] # status 1: a run failed, the others continue
  fi
  for task in "task=rotten_tomatoes" "task=sst2 task.data_dir=$data"; do
    local where=${task%% *}
    # shellcheck disable=SC2086
    prunebert -m method="$methods" $task "$@" tuned="$tuned/tuned.yaml" sparsity="$sparsities" seed=0,1,2 \
      hydra.sweep.dir="$out/${where#task=}/$name" || [ $? -eq 1 ]
  done
}
for part in ${PRUNEBERT_PARTS:-A B C D E F}; do
  [ "$part" = G ] && continue
  read -ra words <<<"${common[*]} fit=quick corpus=imdb ${own[$part]:-}"
  compare "$part" "${methods[$part]}" 0.5,0.9,0.97 "${words[@]}"
done
# Sparse transfer: one pruning on plain text for each sparsity, which all tasks and seeds share.
if [[ " ${PRUNEBERT_PARTS:-G} " = *" G "* ]]; then
  words=("${common[@]}" fit=quick corpus=imdb distill=logits distill.weight=1.0)
  for sparsity in 0.9 0.5 0.97; do
    prunebert method=gmp task=mlm sparsity="$sparsity" "${words[@]}" distill.teacher=pretrained hydra.run.dir="$out/upstream/$sparsity"
    compare "G-$sparsity" sparse_transfer "$sparsity" "${words[@]}" method.upstream="$out/upstream/$sparsity" distill.shared="$out/teachers"
  done
fi
if [ -z "${PRUNEBERT_PARTS:-}" ]; then
  prunebert report rotten_tomatoes sst2 --out report
  results=$scripts/..
  mkdir -p "$results/results/baselines" && cp report/tables.tex "$results/results/baselines"
  python "$results/scripts/results_files.py" report/results.csv "$results/results/baselines" "$out"
  python "$results/scripts/results_table.py" "$results/results/baselines" "$results/docs/results/baselines.md"
fi
