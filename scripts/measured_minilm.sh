#!/usr/bin/env bash
# results/minilm: every method side by side on the 6-layer model, eight tasks, four sparsities, three seeds, dense with five. Some 1,300
# runs: for a GPU; started again it goes on where it was.
#   scripts/measured_minilm.sh DATA OUT     scripts/measured.sh DATA OUT report makes results/minilm of OUT/runs/minilm
# DATA has glue/{SST-2,STS-B,MRPC,RTE,CoLA} in GLUE's own layout and glue-10k/{QQP,QNLI,MNLI}/{train,dev}.json, from where measured.sh says.
# PRUNEBERT_BESIDE=36: so many runs at once on one GPU, whose memory must hold them, at some 1.5 GB each (without: one a core). NVIDIA's MPS
# lets their kernels run side by side.
# PRUNEBERT_WORDS="impl=cuda": more words for prunebert. PRUNEBERT_SEEDS, PRUNEBERT_TASKS: fewer of either, as 0,1 or sst2,qnli.
set -euo pipefail
usage="usage: scripts/measured_minilm.sh DATA OUT"
from=$(realpath -e "${1:?$usage}")
out=$(realpath -m "${2:?$usage}")
here=$(realpath "$(dirname "$0")")
mkdir -p "$out/data" && cd "$out"
for task in SST-2 STS-B MRPC RTE CoLA; do ln -sfn "$from/glue/$task" "data/$task"; done
[ -e data/MNLI/dev_matched.tsv ] || python "$here/glue_10k.py" "$from/glue-10k" data
read -ra more <<<"${PRUNEBERT_WORDS:-}"
seeds=${PRUNEBERT_SEEDS:-0,1,2} tasks=${PRUNEBERT_TASKS:-sst2,qnli,qqp,mnli_matched,stsb,mrpc,rte,cola}
beside=${PRUNEBERT_BESIDE:-}
run() { # run TWELFTHS NAME WORD…: a sweep, with its part of all that run at once
  local jobs=() part=$1 name=$2 status=0
  shift 2
  [ -z "$beside" ] || jobs=("hydra.launcher.n_jobs=$((beside * part / 12 > 0 ? beside * part / 12 : 1))")
  prunebert experiment=measured_minilm hydra/launcher=laptop "${jobs[@]}" task.data_dir=data "hydra.sweep.dir=runs/$name" \
    "seed=$seeds" "task=$tasks" "$@" "${more[@]}" || status=$?
  [ "$status" -le 1 ] || return "$status" # stopped, or bad input; a cell that failed keeps no other back
}
tamt() { # its masks know no task: those of SST-2 serve all
  run 1 masks_minilm method=tamt task=sst2
  for found in "$out"/runs/masks_minilm/*method=tamt,*; do
    [[ $found =~ seed=([0-9]+),sparsity=([0-9.]+), ]]
    mkdir -p "masks_minilm/seed=${BASH_REMATCH[1]}"
    ln -sfn "$found" "masks_minilm/seed=${BASH_REMATCH[1]}/sparsity=${BASH_REMATCH[2]}"
  done
  run 1 minilm/tamt method=tamt 'method.masks="masks_minilm/seed=${seed}/sparsity=${sparsity}"'
}
all=(
  "run 1 minilm/dense method=dense seed=$seeds,3,4 sparsity=0.0"
  "run 7 minilm/rest method=random,magnitude,imp,gmp,movement,soft_movement,l0,abp,smp"
  "tamt"
  "run 2 minilm/sparsebert method=sparsebert distill.shared=teachers"
  "run 1 minilm/frozen method=random,magnitude method.keep_pretrained=true fit.head_lr=3e-2"
)
started=()
for words in "${all[@]}"; do
  if [ -n "$beside" ]; then
    $words &
    started+=($!)
  else
    $words
  fi
done
for one in "${started[@]}"; do wait "$one"; done
