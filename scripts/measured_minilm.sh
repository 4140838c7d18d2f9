#!/usr/bin/env bash
# Run the runs of results/minilm_eight_tasks: scripts/measured_minilm.sh DATA OUT
# They compare eleven methods on the 6-layer model: eight tasks, four sparsities, three seeds (dense: five). These are about
# 1,300 runs for a GPU. Started again, the script continues. `prunebert report OUT/runs/minilm` makes their
# table.
# DATA: a folder with glue/{SST-2,STS-B,MRPC,RTE,CoLA} in GLUE's own layout and glue-10k/{QQP,QNLI,MNLI}/{train,dev}.json.
#   scripts/grid.sh says where those come from.
# PRUNEBERT_BESIDE=36: the number of runs at once on one GPU; without it, one per core. Its memory must hold them, at about
#   1.5 GB each. NVIDIA's MPS lets their kernels run concurrently.
# PRUNEBERT_WORDS="impl=cuda": further words for prunebert.
# PRUNEBERT_SEEDS=0,1 and PRUNEBERT_TASKS=sst2,qnli: fewer seeds or tasks.
set -euo pipefail
usage="usage: scripts/measured_minilm.sh DATA OUT"
data=$(realpath -e "${1:?$usage}")
out=$(realpath -m "${2:?$usage}")
scripts=$(realpath "$(dirname "$0")")
mkdir -p "$out/data" && cd "$out"
for task in SST-2 STS-B MRPC RTE CoLA; do ln -sfn "$data/glue/$task" "data/$task"; done
[ -e data/MNLI/dev_matched.tsv ] || python "$scripts/glue_10k.py" "$data/glue-10k" data
read -ra extra_words <<<"${PRUNEBERT_WORDS:-}"
seeds=${PRUNEBERT_SEEDS:-0,1,2} tasks=${PRUNEBERT_TASKS:-sst2,qnli,qqp,mnli_matched,stsb,mrpc,rte,cola}
parallel=${PRUNEBERT_BESIDE:-}
run() { # run TWELFTHS NAME WORD…: a sweep, with its share of the runs at once in twelfths
  local jobs=() share=$1 name=$2 status=0
  shift 2
  [ -z "$parallel" ] || jobs=("hydra.launcher.n_jobs=$((parallel * share / 12 > 0 ? parallel * share / 12 : 1))")
  prunebert experiment=measured_minilm hydra/launcher=laptop "${jobs[@]}" task.data_dir=data "hydra.sweep.dir=runs/$name" \
    "seed=$seeds" "task=$tasks" "$@" "${extra_words[@]}" || status=$?
  [ "$status" -le 1 ] || return "$status" # stopped, or bad input; after status 1 (a run failed) the others continue
}
tamt() { # TAMT's masks do not depend on the task, so those of SST-2 serve all
  run 1 masks_minilm method=tamt task=sst2
  python "$scripts/link_masks.py" masks_minilm runs/masks_minilm
  run 1 minilm/tamt method=tamt 'method.masks="masks_minilm/seed=${seed}/sparsity=${sparsity}"'
}
sweeps=(
  "run 1 minilm/dense method=dense seed=$seeds,3,4 sparsity=0.0"
  "run 7 minilm/rest method=random,magnitude,imp,gmp,movement,soft_movement,l0,abp,smp"
  "tamt"
  "run 2 minilm/sparsebert method=sparsebert distill.shared=teachers"
  "run 1 minilm/frozen method=random,magnitude method.keep_pretrained=true fit.head_lr=3e-2"
)
pids=()
for sweep in "${sweeps[@]}"; do
  if [ -n "$parallel" ]; then
    $sweep &
    pids+=($!)
  else
    $sweep
  fi
done
for pid in "${pids[@]}"; do wait "$pid"; done
