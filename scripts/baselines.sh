#!/usr/bin/env bash
# Run the runs of results/baselines, the first table of the baselines that reviewers ask for: scripts/baselines.sh DATA OUT
# Each method has three tries of its learning rates (1, 3 and 10 times those of fit=quick) on held-out rows of Rotten
# Tomatoes at 0.9, then three seeds on Rotten Tomatoes and SST-2 at 0.5, 0.9 and 0.97, with the embedded 2-layer model.
# Runs have 100 steps of 32 rows. IMP divides them among its rounds. Teachers, TAMT's masks and sparse transfer's pruning have 100 steps of their own.
# It takes about an hour on two cores. Started again, the script continues. It needs pip install -e ".[demo]".
# DATA: a folder with SST-2 in GLUE's own layout.
# OUT: the folder for all output.
# PRUNEBERT_PARTS="B C" scripts/baselines.sh …: run only these parts (A to F), for two processes side by side.
set -euo pipefail
usage="usage: scripts/baselines.sh DATA OUT"
data=$(realpath -e "${1:?$usage}")
out=$(realpath -m "${2:?$usage}")
mkdir -p "$out" && cd "$out"
common=(model=tiny prunable=encoder_pooler_embeddings impl.threads=1 fit.steps=100 teacher_fit.steps=100 mask_fit.steps=100)
declare -A methods=(
  [A]=random,magnitude,gmp,movement,soft_movement,platon,l0,snip,rigl
  [B]=gmp_star,sparse_transfer
  [C]=imp
  [D]=tamt,abp,masking,smp,dense
  [E]=obert
  [F]=sparsebert
)
declare -A own=( # what a part needs besides: shared teachers, IMP's rounds, fewer gradients of oBERT for so few steps
  [B]="distill=logits distill.shared=$out/teachers"
  [C]="method.step=0.5 fit.steps=34"
  [E]="distill=logits distill.shared=$out/teachers method.events=3 method.gradients=32"
  [F]="distill=tinybert distill.shared=$out/teachers"
)
for part in ${PRUNEBERT_PARTS:-A B C D E F}; do
  read -ra words <<<"${common[*]} ${own[$part]:-}"
  prunebert -m experiment=tune method="${methods[$part]}" tune.try=0,1,3 sparsity=0.9 "${words[@]}" \
    hydra.callbacks.around.report=false hydra.sweep.dir="$out/tune/$part" || [ $? -eq 1 ] # status 1: a run failed, the others continue
  words+=(fit=quick corpus=imdb tuned="$out/tune/$part/tuned.yaml" sparsity=0.5,0.9,0.97 seed=0,1,2)
  prunebert -m method="${methods[$part]}" task=rotten_tomatoes "${words[@]}" hydra.sweep.dir="$out/rotten_tomatoes/$part" || [ $? -eq 1 ]
  prunebert -m method="${methods[$part]}" task=sst2 task.data_dir="$data" "${words[@]}" hydra.sweep.dir="$out/sst2/$part" || [ $? -eq 1 ]
done
